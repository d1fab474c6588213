"""What of a real model's rewrites a gate accepts, against labels that were given by reading.

    python -m tests.bench.accepted --data DATA [--gate math] [--half development | final] [--show 20] [--json]

The labels (candidates-labels.jsonl) are of cleaned rewrites that SmolLM2 made of mwp prose, mwp programs and GSM8K
(tests/bench/candidates.py), read one by one without sight of any verdict: right, arguable, wrong. They join the data by
the hash of the question. Checks are looked at with the development half; the final half is for the figure that is
written down.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from recast.curate.gate.gate import load_gate
from recast.curate.intervals import wilson
from tests.bench.candidates import SOURCES, question_hash

LABELS = Path(__file__).with_name("candidates-labels.jsonl")


def rows_of(data: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows that candidates are drawn from, as a gate reads them, by source and the hash of their question."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for source, (file, asked, shown, *_) in SOURCES.items():
        for line in (data / file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[source, question_hash(row[asked])] = {
                "messages": [{"role": "user", "content": row[asked]}],
                "demonstration": row[shown],
                "answer": row.get("answer_value"),
                "task": None,
            }
    return rows


def joined(data: Path, half: str) -> list[dict[str, Any]]:
    """The labelled candidates of one half with question, demonstration and answer of their row."""
    rows = rows_of(data)
    labels = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    return [
        {**label, "row": rows[label["source"], label["question_hash"]]}
        for label in labels
        if half in (label["half"], "both")
    ]


def rate(count: int, total: int) -> str:
    low, high = wilson(count, total)
    return f"{count} of {total} = {count / max(1, total):.1%} [{low:.1%}, {high:.1%}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--gate", default="math")
    parser.add_argument("--half", choices=("development", "final", "both"), default="development")
    parser.add_argument("--show", type=int, default=0, help="print so many wrong decisions of each kind")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    gate = load_gate(args.gate)
    counts: Counter[tuple[str, bool]] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    shown: Counter[tuple[str, bool]] = Counter()
    for item in joined(args.data, args.half):
        verdict = gate.verify(item["row"], item["completion"], finish_reason=item["finish_reason"])
        counts[item["label"], verdict.accepted] += 1
        reasons[item["label"], verdict.reason] += 1
        mistaken = verdict.accepted != (item["label"] == "right")
        if mistaken and (item["label"] != "wrong" or verdict.accepted):
            shown[item["label"], verdict.accepted] += 1
            if shown[item["label"], verdict.accepted] <= args.show:
                said = "; ".join(c.message for c in verdict.checks if c.status != "pass") or "accepted"
                print(f"\n[{item['label']}: {item['reason']}] {said}\n{item['completion']}", file=sys.stderr)
    right, arguable, wrong = (counts[label, True] for label in ("right", "arguable", "wrong"))
    result = {
        "gate_id": gate.id,
        "half": args.half,
        "candidates": sum(counts.values()),
        "accepted": {"right": right, "arguable": arguable, "wrong": wrong},
        "right_among_accepted": rate(right, right + wrong),
        "right_ones_accepted": rate(right, right + counts["right", False]),
        "arguable_ones_accepted": rate(arguable, arguable + counts["arguable", False]),
        "right_refused": {r: n for (label, r), n in reasons.most_common() if label == "right" and r},
    }
    print(json.dumps(result, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
