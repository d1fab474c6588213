"""The rows on which prompts are compared: word problems of which the proof uses none, by the hash of their question.

python tests/bench/prompt_rows.py --data DATA -o few.jsonl       # 8 of mwp prose, 8 easy ones of GSM8K
recast import few.jsonl --as few
recast plan few --rows 16 --prompts default --prompts math --prompts tests/bench/prompts/worked.yaml
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

OURS = "01"
"""First hex digit of the question's hash."""
MOST_STEPS, MOST_CHARS = 3, 260
"""What makes a row of GSM8K easy: calculations of its solution, characters of its question."""


def rows(data: Path, each: int) -> list[dict[str, Any]]:
    """`each` rows of either data set, chosen by the hash of their question."""
    prose = read(data / "mwp" / "svamp_nl.jsonl")
    easy = [
        row
        for row in read(data / "gsm8k" / "train.jsonl")
        if row["answer"].count("<<") <= MOST_STEPS and len(row["question"]) < MOST_CHARS
    ]
    found = [(row, row["answer_cot"], row["answer_value"]) for row in prose[:each]]
    found += [(row, row["answer"], row["answer"].split("####")[1].strip()) for row in easy[:each]]
    return [
        {"id": f"{n:04d}", "question": row["question"], "solution": solution, "answer": answer}
        for n, (row, solution, answer) in enumerate(found)
    ]


def read(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ours = [row for row in found if hashed(row["question"])[0] in OURS]
    return sorted(ours, key=lambda row: hashed("s" + row["question"]))


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    lines = [json.dumps(row) for row in rows(asked.data, asked.each)]
    asked.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
