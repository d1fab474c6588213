"""Sixty right and sixty wrong solutions of questions of GSM8K and mwp, written before the checks that read words.

Each line of `word_cases.jsonl` names its question by file and line of the shared data. A wrong one is refused by one of
these checks or was refused without them; none of these checks refuses a right one.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from recast.curate.gate.gate import load_gate

CASES = [json.loads(line) for line in (Path(__file__).parent / "word_cases.jsonl").read_text().splitlines()]
OURS = ("topic", "consistency", "ending")


@pytest.fixture(scope="module")
def verdicts(shared_data):
    gate = load_gate("math")
    files, found = {}, []
    for case in CASES:
        name, line = case["of"].split(":")
        if name not in files:
            files[name] = (shared_data / name).read_text(encoding="utf-8").splitlines()
        source = json.loads(files[name][int(line)])
        row = {
            "messages": [{"role": "user", "content": source["question"]}],
            "demonstration": source.get("answer") or source["answer_cot"],
            "answer": source.get("answer_value"),
        }
        found.append((case, gate.verify(row, case["completion"])))
    return found


def test_every_wrong_solution_is_refused(verdicts):
    accepted = [case["kind"] for case, said in verdicts if case["expected"] == "refuse" and said.accepted]
    assert accepted == []


def test_most_of_the_wrong_ones_are_seen_by_these_checks(verdicts):
    """The other checks alone accepted 45 of the 60."""
    seen = Counter(
        any(check.reason for check in said.checks if check.name in OURS)
        for case, said in verdicts
        if case["expected"] == "refuse"
    )
    assert seen[True] >= 55


def test_no_right_solution_is_refused_by_these_checks(verdicts):
    refused = [
        (case["of"], case["kind"], check.reason)
        for case, said in verdicts
        for check in said.checks
        if case["expected"] == "accept" and check.name in OURS and check.reason
    ]
    assert refused == []
    assert Counter(case["expected"] for case, _ in verdicts) == {"accept": 60, "refuse": 60}
