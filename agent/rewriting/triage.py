"""Zero-pass triage: why rows kept their demonstrations, in groups that call for the same next step.

A fallback's reason says which check failed most often. Its cause says what is the matter: the same `wrong_answer`
is a weak model where candidates disagree and a suspect demonstration where they agree with each other. Pure
functions over candidates and verdicts; the job keeps one cause a row and counts them (`Triage`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recast.agent.batches.isolation import ERROR
from recast.agent.engines.protocol import PROMPT_TOO_LONG
from recast.agent.rewriting.choice import COPY, TOO_LONG_TO_SCORE, UNVERIFIABLE, reasons
from recast.curate.answers.extract import equivalent, find_answer
from recast.curate.records import HESITANT, Candidate, CheckStatus, Verdict

EXAMPLES = 3
"""Row ids kept of each cause."""
CONSENSUS = 0.5
"""Share of all candidates that must agree on one other answer before the demonstration is suspect."""

_OPEN = ("no_reference_answer", "answer_undecided", "ambiguous_answer", "no_answer")
_TIME = ("timeout", "code_limit")
_JUDGE = ("unreadable_judge", "judge_undecided", "judged_no")
_LACKS = ("no_judge", "no_entailment_model", "no_similarity_model", "no_sandbox", "no_tests")
_FORM = (
    "too_long",
    "too_short",
    "empty",
    "meta_talk",
    "refusal",
    "chat_marker",
    "open_fence",
    "script_changed",
)

STEPS = ("show", "why", "longer", "more", "repairs", "learn", "doctor")
"""What a person can do next: look at the row as it was imported, ask why it reads as it does; rewrite again with a
larger max_tokens, with more candidates, with one more repair; learn an agent; see what the machine lacks."""

CAUSES: dict[str, tuple[str, str]] = {
    "demonstration_refused": ("the gate refuses the demonstration itself: it is suspect", "show"),
    "demonstration_suspect": ("candidates agree on another answer than the demonstration's", "show"),
    "answer_unparseable": ("no answer can be read or compared; does the data name an answer column?", "why"),
    "truncated": ("cut off at the longest length", "longer"),
    "copied": ("only copies of the demonstration; an agent learns not to", "learn"),
    "wrong_answer": ("answers differ and are wrong", "more"),
    "wrong_work": ("right form, wrong steps", "repairs"),
    "form": ("of the wrong length or form", "repairs"),
    "judge_strict": ("the judge says no, or cannot be read", "why"),
    "timeout": ("a check ran out of time", "why"),
    "check_missing": ("a check lacks a model or tool that it asks", "doctor"),
    PROMPT_TOO_LONG: ("question and demonstration leave the model no room", "show"),
    HESITANT: ("accepted, but by a model that was less sure of it than of nearly all else", "more"),
    TOO_LONG_TO_SCORE: ("accepted, but too long to score after the question", "show"),
    ERROR: ("something raised", "why"),
}
"""Cause to what it means and which of `STEPS` comes next."""


def cause_of(reason: str, candidates: Sequence[Candidate], demonstration: Verdict | None) -> str:
    """The cause of one fallback. `demonstration` is the gate's verdict on the demonstration as a completion."""
    if reason in (ERROR, PROMPT_TOO_LONG, TOO_LONG_TO_SCORE, HESITANT):
        return reason
    if demonstration is not None and any(
        check.status is CheckStatus.FAIL and check.name != "copy" for check in demonstration.checks
    ):
        return "demonstration_refused"
    if reason == UNVERIFIABLE:
        open_reasons = Counter(c.verdict.reason for c in candidates if reasons([c])[UNVERIFIABLE])
        reason = open_reasons.most_common(1)[0][0] if open_reasons else reason
    if reason == "wrong_answer":
        return "demonstration_suspect" if agree_elsewhere(candidates) else "wrong_answer"
    for group, cause in (
        (_OPEN, "answer_unparseable"),
        (_TIME, "timeout"),
        (_JUDGE, "judge_strict"),
        (_LACKS, "check_missing"),
        (_FORM, "form"),
        (("truncated",), "truncated"),
        ((COPY,), "copied"),
        (("error", "check_error"), ERROR),
    ):
        if reason in group:
            return cause
    return "wrong_work"


def agree_elsewhere(candidates: Sequence[Candidate]) -> bool:
    """Whether at least two candidates, and `CONSENSUS` of all, give one and the same refused answer."""
    found = [find_answer(c.text) for c in candidates if c.verdict.reason == "wrong_answer"]
    texts = [answer.text for answer in found if answer is not None]
    groups: list[list[str]] = []
    for text in texts:
        group = next((g for g in groups if equivalent(g[0], text, symbolic=False)), None)
        if group is None:
            groups.append(group := [])
        group.append(text)
    largest = max(map(len, groups), default=0)
    return largest >= 2 and largest >= CONSENSUS * len(candidates)


@dataclass(slots=True)
class Triage:
    """Causes counted over a job, with a few rows of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, causes: Sequence[str | None], row_ids: Sequence[str]) -> None:
        for cause, row_id in zip(causes, row_ids, strict=True):
            if cause is None:
                continue
            self.counts[cause] += 1
            kept = self.examples.setdefault(cause, [])
            if len(kept) < EXAMPLES:
                kept.append(row_id)

    def to_list(self) -> list[dict[str, Any]]:
        """Commonest first: cause, number of rows, what it means, example rows."""
        return [
            {"cause": cause, "rows": rows, "meaning": CAUSES[cause][0], "examples": self.examples[cause]}
            for cause, rows in self.counts.most_common()
        ]
