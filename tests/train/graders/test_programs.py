"""Graders in Python: what they return counts, what they break is theirs alone, and they reach nothing."""

from __future__ import annotations

import pytest

from recast.curate.errors import UsageError
from recast.curate.gate import sandbox
from recast.curate.gate.sandbox import Limits
from recast.train.graders.records import Models
from tests.train.graders.graders import GROUP, PYTHON, grader

if (lacking := sandbox.missing_wall()) is not None:
    pytest.skip(f"this machine lacks {lacking}", allow_module_level=True)

SMALL = Models(limits=Limits(cpu_s=1, wall_s=3, memory_mb=1024, output_kb=64))


def coded(source):
    return grader({**PYTHON, "source": source}, SMALL)


def test_the_function_sees_the_sample_and_the_row():
    source = """
def grade(sample, item):
    assert sample["choices"][0]["message"]["content"] == sample["output_text"]
    return sample["output_json"]["n"] / item["of"][1]
"""
    assert coded(source).grade({"of": [1, 4]}, '{"n": 3}').reward == 0.75


DECEIVING = """
class Odd(float):
    def __float__(self): return 9.0
    def __eq__(self, other): return True
def grade(sample, item):
    return {cases}[sample["output_text"]]()
""".replace(
    "{cases}",
    """{
    "int": lambda: 2, "float": lambda: 0.25, "negative": lambda: -1.5, "subclass": lambda: Odd(0.25),
    "true": lambda: True, "text": lambda: "1.0", "none": lambda: None, "list": lambda: [1.0], "complex": lambda: 1j,
    "nan": lambda: float("nan"), "inf": lambda: float("inf"), "minus inf": lambda: -float("inf"),
    "large": lambda: 10**400, "larger": lambda: 10**5000, "object": lambda: object(), "function": lambda: grade,
    "raises": lambda: {}["missing"], "long error": lambda: int("x" * 100000), "exit": lambda: exit(0),
    "endless text": lambda: "x" * 10**7, "recursion": lambda: grade(sample, item),
}""",
)
WORTH = {"int": 2.0, "float": 0.25, "negative": -1.5, "subclass": 0.25}


def test_only_a_finite_number_counts_and_nothing_stands_in_for_one():
    cases = [
        "int", "float", "negative", "subclass", "true", "text", "none", "list", "complex", "nan", "inf", "minus inf",
        "large", "larger", "object", "function", "raises", "long error", "exit", "endless text", "recursion",
    ]  # fmt: skip
    grades = coded(DECEIVING).grade_many([{}] * len(cases), cases)
    for case, grade in zip(cases, grades, strict=True):
        flags = () if case in WORTH else ("python_grader_runtime_error",)
        assert (grade.reward, grade.errors.flags) == (WORTH.get(case, 0.0), flags), case
        assert grade.scored, "the sample brought it on itself"
        assert len(grade.errors.details) <= 500
    said = dict(zip(cases, (grade.errors.details for grade in grades), strict=True))
    assert said["nan"] == "it returned nan, which is no finite float"
    assert said["raises"] == "KeyError: 'missing'"


HOSTILE = """
import os, sys
def grade(sample, item):
    what = sample["output_text"]
    if what == "die": os._exit(0)
    if what == "loop":
        while True: pass
    if what == "sleep":
        import time; time.sleep(60)
    if what == "shout": print("x" * 10**7)
    if what == "hoard": return float(len(bytearray(4 << 30)))
    if what == "read": return float(len(open("/etc/passwd").read()))
    if what == "call":
        import socket; socket.create_connection(("127.0.0.1", 80), 1)
    if what == "fork": os.fork()
    return 1.0
"""
FLAGS = {
    "die": ("python_grader_server_error", False),
    "loop": ("unresponsive_reward_error", False),
    "sleep": ("unresponsive_reward_error", False),
    "shout": ("python_grader_server_error", False),
    "hoard": ("python_grader_runtime_error", True),
    "read": ("python_grader_runtime_error", True),
    "call": ("python_grader_runtime_error", True),
    "fork": ("python_grader_runtime_error", True),
}


def test_what_a_call_breaks_concerns_that_call_alone():
    cases = ["fine", "die", "fine", "loop", "sleep", "fine", "shout", "hoard", "read", "call", "fork", "fine"]
    grades = coded(HOSTILE).grade_many([{}] * len(cases), cases)
    for case, grade in zip(cases, grades, strict=True):
        if case == "fine":
            assert grade.value == 1.0
        else:
            flag, scored = FLAGS[case]
            assert (grade.reward, grade.scored, grade.errors.flags) == (0.0, scored, (flag,)), case
    by_case = dict(zip(cases, grades, strict=True))
    assert by_case["loop"].errors.python_grader_server_error_type == "timeout"
    assert by_case["shout"].errors.python_grader_server_error_type == "output: over its output limit"


def test_a_source_remembers_nothing_from_one_sample_to_the_next():
    grades = coded(
        "seen = []\ndef grade(sample, item):\n    seen.append(1)\n    return len(seen)"
    ).grade_many([{}] * 5, ["x"] * 5)
    assert [g.reward for g in grades] == [1.0] * 5


def test_many_samples_are_graded_as_each_alone():
    one = coded("def grade(sample, item):\n    return hash(sample['output_text']) % 7 / 7")
    texts = [str(n) for n in range(150)]  # more than a process takes at once
    assert [g.reward for g in one.grade_many([{}] * 150, texts)] == [
        one.grade({}, t).reward for t in texts[:3]
    ] + [g.reward for g in one.grade_many([{}] * 147, texts[3:])]


def test_the_packages_of_this_installation_can_be_imported():
    source = """
import numpy
from rapidfuzz import fuzz
def grade(sample, item):
    return numpy.float64(fuzz.ratio("ab", "ab") / 100)
"""
    assert coded(source).grade({}, "").reward == 1.0


def test_rows_hold_values_that_json_does_not():
    import datetime

    item = {"day": datetime.date(2026, 1, 2), "share": float("nan"), "raw": b"ab"}
    source = "def grade(sample, item):\n    return float(item['day']['$date'] == '2026-01-02')"
    assert coded(source).grade(item, "").reward == 1.0


def test_a_group_is_graded_together_and_its_rows_keep_it_apart():
    source = """
def grade_group(samples, item):
    longest = max(len(s["output_text"]) for s in samples)
    return [len(s["output_text"]) / longest + item["n"] for s in samples]
"""
    found = grader({**GROUP, "source": source}, SMALL)
    items, samples = [{"n": 0}, {"n": 0}, {"n": 1}, {"n": 1}], ["a", "aa", "aaaa", "a"]
    assert [g.value for g in found.grade_many(items, samples)] == [0.5, 1.0, 2.0, 1.25]
    together = found.grade_many([{"n": 0}] * 4, samples, groups=[0, 0, 1, 1])
    assert [g.value for g in together] == [0.5, 1.0, 1.0, 0.25]


def test_groups_of_rows_that_cannot_be_compared_must_be_said():
    found = grader(GROUP, SMALL)
    with pytest.raises(UsageError, match="say it with `groups`"):
        found.grade_many([{"picture": object()}] * 2, ["a", "b"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return [1.0]", "1 rewards for 2 samples"),
        ("return 1.0", "expected a list of finite floats"),
        ("return [1.0, float('nan')]", "expected a list of finite floats"),
        ("raise ValueError('no')", "ValueError: no"),
    ],
)
def test_a_group_without_a_float_a_sample_is_worth_nothing(body, reason):
    found = grader({**GROUP, "source": f"def grade_group(samples, item):\n    {body}"}, SMALL)
    grades = found.grade_many([{}] * 2, ["a", "b"])
    assert [g.reward for g in grades] == [0.0, 0.0]
    assert all(
        g.errors.flags == ("python_grader_runtime_error",) and reason in g.errors.details for g in grades
    )
