"""What share of demonstrations has all its steps read: `python -m tests.bench.steps --data ../shared/data [--show 30]`.

A demonstration has all its steps read where

- every stretch of it (line or sentence) with two numbers and an arithmetic sign between them, or a relation sign
  after an operation, yields an equality that is decided, and
- every number in it that the question does not hold is a step's result, or a constant (`KNOWN`) that goes into one, or
  (`storied`) a sentence tells it beside two known numbers that come to it.

What states no step at all is counted apart (`silent`): its answer stands in the question, or nothing of it is read.
Prints JSON: the shares with their counts, and the reasons of the rest. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from recast.curate.arithmetic.equalities import equalities
from recast.curate.gate.checks.sums.grounds import storied
from recast.curate.gate.checks.sums.numbers import KNOWN
from recast.curate.language.sentences import sentences
from recast.curate.maths.notation import plain
from recast.curate.maths.numbers import Value, exact, numbers, spoken

SOURCES = {
    "mwp prose": ("mwp/svamp_nl.jsonl", "answer_cot"),
    "mwp programs": ("mwp/svamp_python_sdp.jsonl", "answer_cot"),
    "gsm8k": ("gsm8k/train.jsonl", "answer"),
    "gsm8k without annotations": ("gsm8k/train.jsonl", "answer"),
}
NUMBER = r"[$€£]?\d[\d,]*(?:\.\d+)?"
SUM = re.compile(
    rf"{NUMBER}[^\d\n=]{{0,40}}?\s?[-+*/×÷x]\s?[^\d\n=]{{0,20}}?{NUMBER}|[-+*/×÷]\s?{NUMBER}[^\n=]{{0,40}}="
)
HYPHEN = re.compile(r"\d[ -]?[A-Za-z]+-[A-Za-z]+|\d-[A-Za-z]+|\d+/\d+|\d+-\d+")
ANNOTATION = re.compile(r"<<[^<>\n]*>>")


def unread(question: str, demonstration: str) -> str:
    """Why not all steps of `demonstration` are read; empty where they are, `silent` where it states none."""
    stated = equalities(demonstration)
    decided = [e for e in stated if e.truth is not None]
    results = {e.result for e in decided if e.result is not None}
    given = numbers(question) | spoken(question)
    if not results:
        return "silent"
    for sentence in sentences(ANNOTATION.sub("", demonstration)):
        if (
            SUM.search(HYPHEN.sub("", plain(sentence)))
            and "=" in sentence
            and not any(e.truth is not None for e in equalities(sentence))
            and not any(e.text in sentence or numbers(sentence) <= {*e.operands, e.result} for e in decided)
        ):
            return f"sum: {sentence}"
    operands: set[Value] = {v for e in decided for v in e.operands}
    known = given | frozenset(results)
    for value in sorted(numbers(demonstration) - known - storied(demonstration, known)):
        readings = {value, -value, exact(Fraction(value) * 100), exact(Fraction(value) / 100)}
        constant = readings & KNOWN and readings & operands
        if not readings & (results | given) and not constant:
            return f"number: {float(value):g}"
    return ""


def rows(data: Path, name: str) -> list[tuple[str, str]]:
    file, key = SOURCES[name]
    loaded: list[dict[str, Any]] = [
        json.loads(line) for line in (data / file).read_text(encoding="utf-8").splitlines()
    ]
    pairs = [(row["question"], str(row[key])) for row in loaded]
    if name.endswith("annotations"):
        pairs = [(question, ANNOTATION.sub("", told)) for question, told in pairs]
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--source", choices=SOURCES, action="append")
    parser.add_argument(
        "--show", type=int, default=0, help="print so many demonstrations that are not all read"
    )
    args = parser.parse_args()
    for name in args.source or SOURCES:
        pairs = rows(args.data, name)
        why = [unread(*pair) for pair in pairs]
        kinds = Counter(reason.partition(":")[0] or "all read" for reason in why)
        print(
            json.dumps(
                {
                    "source": name,
                    "rows": len(pairs),
                    "all_read": round(kinds["all read"] / len(pairs), 4),
                    **{kind: count for kind, count in kinds.most_common() if kind != "all read"},
                }
            )
        )
        rest = [(pair, reason) for pair, reason in zip(pairs, why, strict=True) if reason]
        for (question, told), reason in Random(0).sample(rest, min(args.show, len(rest))):
            print(f"-- {reason}\nQ: {question}\nA: {told}\n")


if __name__ == "__main__":
    main()
