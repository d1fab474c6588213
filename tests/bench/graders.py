"""Graders on solutions that four models wrote to GSM8K's test questions, each labelled by its final answer.

    python tests/bench/graders.py --data DATA

For each grader: credit for wrong solutions, none for right ones, the chance that a right one gets more than a wrong
one, and solutions a second by the clock. The demonstration is the data set's own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recast.curate.gate.labels import Labelled
from recast.train.graders.format import schema
from recast.train.graders.grader import Grader
from recast.train.graders.report import measure

SAID = {"input": "{{ sample.output_text }}"}
SOURCE = """
import re
def grade(sample, item):
    numbers = re.findall(r"-?\\d[\\d,]*(?:\\.\\d+)?", sample["output_text"])
    return float(bool(numbers) and numbers[-1].replace(",", "") == item["answer"].replace(",", ""))
"""
GRADERS: dict[str, dict[str, Any]] = {
    "numeric": {"type": "numeric", "reference": "{{ item.answer }}"},
    "python: the last number": {"type": "python", "source": SOURCE},
    "string_check like": {"type": "string_check", "operation": "like", "reference": "{{ item.answer }}", **SAID},
    **{
        f"text_similarity {metric}": {
            "type": "text_similarity", "evaluation_metric": metric, "reference": "{{ item.demonstration }}", **SAID,
        }
        for metric in ("fuzzy_match", "rouge_l", "bleu", "gleu")
    },
    "gate math": {"type": "gate", "gate": "math"},
    "gate math, share": {"type": "gate", "gate": "math", "credit": "share"},
}  # fmt: skip


def solutions(data: Path) -> Iterator[Labelled]:
    for line in (data / "gsm8k" / "example_model_solutions.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        asked = {
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["ground_truth"],
            "answer": row["ground_truth"].rpartition("A:")[2].strip(),
            "task": "gsm8k",
        }
        for model, solution in row.items():
            if isinstance(solution, dict):
                yield Labelled(asked, solution["solution"], solution["is_correct"], model)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    labelled = list(solutions(args.data))
    for name, value in GRADERS.items():
        report = measure(Grader(schema.parse({"name": name, **value})), labelled)
        tally, apart = report.ensemble, report.separation or 0.0
        print(
            f"{name:30} wrong {tally.false_accepts}, right {tally.false_rejects}, apart {apart:.3f}, "
            f"{report.answers / report.seconds:,.0f}/s"
        )


if __name__ == "__main__":
    main()
