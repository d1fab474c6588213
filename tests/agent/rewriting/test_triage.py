"""Causes of fallbacks: the same reason can be a weak model or a suspect demonstration."""

from __future__ import annotations

import pytest

from recast.agent.rewriting.triage import CAUSES, STEPS, Triage, agree_elsewhere, cause_of
from recast.curate.records import Candidate, Check, CheckStatus, Verdict, VerdictStatus


def candidate(text: str = "", reason: str = "", status: VerdictStatus = VerdictStatus.REJECTED) -> Candidate:
    return Candidate("r", 0, 0, 0, text, 1, "stop", 0, Verdict(status, reason))


def answered(*answers: int) -> list[Candidate]:
    return [candidate(f"So it is. The answer is {a}.", "wrong_answer") for a in answers]


@pytest.mark.parametrize(
    "answers, suspect",
    [
        ((8, 8, 8, 9), True),
        ((8, 9, 7, 6), False),
        ((8,), False),
        ((8, 8, 9, 7, 6), False),
        ((8, 8, 9, 7), True),
    ],
)
def test_candidates_that_agree_on_another_answer_make_the_demonstration_suspect(answers, suspect) -> None:
    assert agree_elsewhere(answered(*answers)) is suspect
    cause = cause_of("wrong_answer", answered(*answers), None)
    assert cause == ("demonstration_suspect" if suspect else "wrong_answer")


def test_a_demonstration_that_the_gate_refuses_is_the_cause_whatever_the_candidates_did() -> None:
    bad_sum = Check("arithmetic", CheckStatus.FAIL, "false_equality")
    copied = Check("copy", CheckStatus.FAIL, "copy")
    refused = Verdict(VerdictStatus.REJECTED, "false_equality", (bad_sum, copied))
    merely_itself = Verdict(VerdictStatus.REJECTED, "copy", (copied,))
    group = [candidate("", "truncated")]
    assert cause_of("truncated", group, refused) == "demonstration_refused"
    assert cause_of("truncated", group, merely_itself) == "truncated"


@pytest.mark.parametrize(
    "reason, cause",
    [
        ("no_reference_answer", "answer_unparseable"),
        ("timeout", "timeout"),
        ("unreadable_judge", "judge_strict"),
        ("no_judge", "check_missing"),
        ("error", "error"),
    ],
)
def test_an_undecided_row_is_told_apart_by_what_was_not_decided(reason, cause) -> None:
    group = [candidate("", reason, VerdictStatus.UNVERIFIABLE)] * 2 + [candidate("", "copy")]
    assert cause_of("unverifiable", group, None) == cause


def test_refusals_fall_into_groups_with_one_next_step_each() -> None:
    expected = {
        "copy": "copied",
        "judged_no": "judge_strict",
        "too_long": "form",
        "missing_step": "wrong_work",
    }
    assert {r: cause_of(r, [candidate("", r)], None) for r in expected} == expected


def test_causes_come_commonest_first_with_their_meaning_and_a_few_rows() -> None:
    triage = Triage()
    triage.add([*CAUSES, None, "copied", "copied", "copied"], [f"r{i}" for i in range(len(CAUSES) + 4)])
    causes = triage.to_list()
    assert len(causes) == len(CAUSES)
    assert causes[0] == {
        "cause": "copied",
        "rows": 4,
        "meaning": "only copies of the demonstration; an agent learns not to",
        "examples": ["r4", "r16", "r17"],  # the fifth cause, then those after the row without one
    }


def test_every_cause_has_a_next_step_and_no_step_is_without_a_cause() -> None:
    assert {step for _, step in CAUSES.values()} == set(STEPS)
