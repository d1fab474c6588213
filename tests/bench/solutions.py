"""The gate on solutions that four models wrote to GSM8K's test questions, each labelled by its final answer.

    python tests/bench/solutions.py --data DATA [--gate math] [--show 20]

The demonstration is the data set's own, so a right solution by another path is a hard case: it has other steps. The
labels know nothing of the reasoning: a right answer reached by nonsense counts as right here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from random import Random

from recast.curate.gate.gate import load_gate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--gate", default="math")
    parser.add_argument(
        "--show", type=int, default=0, help="print so many refused right solutions, drawn at random"
    )
    args = parser.parse_args()
    gate = load_gate(args.gate)
    counts: Counter[tuple[bool, str]] = Counter()
    refused: list[tuple[str, str, str]] = []
    for line in (
        (args.data / "gsm8k" / "example_model_solutions.jsonl").read_text(encoding="utf-8").splitlines()
    ):
        row = json.loads(line)
        asked = {
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["ground_truth"],
            "task": "gsm8k",
        }
        for solution in (value for value in row.values() if isinstance(value, dict)):
            verdict = gate.verify(asked, solution["solution"])
            counts[solution["is_correct"], verdict.reason or "accepted"] += 1
            if solution["is_correct"] and not verdict.accepted:
                said = "; ".join(c.message for c in verdict.checks if c.status != "pass")
                refused.append((said, solution["solution"], row["ground_truth"]))
    for right in (True, False):
        total = sum(n for (r, _), n in counts.items() if r == right)
        taken = counts[right, "accepted"]
        print(f"{'right' if right else 'wrong'} by the answer: {taken} of {total} accepted")
        print("  " + ", ".join(f"{n} {reason}" for (r, reason), n in counts.most_common() if r == right))
    for said, text, shown in Random(0).sample(refused, min(args.show, len(refused))):
        print(f"\n[{said}]\n{text}\n--- demonstration\n{shown}", file=sys.stderr)


if __name__ == "__main__":
    main()
