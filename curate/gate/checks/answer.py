"""Does the completion end in the right answer?

Catches: a missing answer, another answer, two answers that contradict each other. Cannot catch: a right answer
after wrong reasoning (`arithmetic`, `steps`), or a reference that is itself wrong. Undecided where the row has
no reference, and where no member of the equivalence ensemble can tell.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import field_validator

from recast.curate.answers.convention import PLAIN, convention
from recast.curate.answers.extract import Answer, equivalent, find_answer
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.records import Check

_OPTION = re.compile(r"(?:^|\s)\(?([A-J])[).:]\s+(.+?)(?=\s+\(?[A-J][).:]\s|\n|$)")


class AnswerCheck(CheckConfig):
    """The final answer of the completion is equivalent to the row's reference."""

    type: Literal["answer"] = "answer"
    require_marked: bool = False
    """Refuse an answer that nothing marks, that is, the last number of the text."""
    require_reference: bool = True
    """Without a reference: undecided if True, passed if False (text tasks)."""
    pattern: str | None = None
    """A regular expression whose first group is the answer, its last match counting, in place of the usual marks.
    It runs on untrusted text: one that backtracks without end, such as `(a+)+$`, stalls the check."""
    symbolic: bool = True
    """Let computer algebra vote where exact comparison cannot tell."""

    name: ClassVar[str] = "answer"
    revision: ClassVar[int] = 3
    packages: ClassVar[tuple[str, ...]] = ("math-verify", "sympy")

    def run(self, case: Case) -> Check:
        reference = case.reference
        if reference is None:
            if not self.require_reference:
                return self.passed()
            return self.undecided(
                "no_reference_answer", "Neither the row nor its demonstration states an answer."
            )
        found = self._find(case.completion)
        if found is None:
            return self.failed("no_answer", "The completion states no final answer.")
        if not found.final:
            return self.undecided(
                "ambiguous_answer",
                f"The completion states several answers, the last one {shown(found.text)!r}.",
            )
        same = equivalent(found.text, reference, symbolic=self.symbolic)
        if same is not True and (row := convention(case.prompt, case.demonstration)) != PLAIN:
            same = equivalent(found.text, reference, symbolic=self.symbolic, row=row)
        if same is not True and case.prompt:
            same = self._by_option(found.text, reference, case.prompt, same)
        if same is True:
            return self.passed(1.0)
        said = f"The completion answers {shown(found.text)!r}, the reference is {shown(reference)!r}"
        if same is None:
            return self.undecided("answer_undecided", f"{said}; whether they are the same cannot be told.")
        return self.failed("wrong_answer", f"{said}.", 0.0)

    def _find(self, text: str) -> Answer | None:
        if self.pattern is None:
            return find_answer(text, not self.require_marked)
        matches = list(re.finditer(self.pattern, text))
        return Answer(matches[-1].group(1).strip(), "pattern", matches[-1].start()) if matches else None

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = re.compile(pattern).groups if pattern is not None else 1
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if groups < 1:
            raise ValueError(f"{pattern!r} has no group; put the answer in parentheses")
        return pattern

    def _by_option(self, answer: str, reference: str, prompt: str, verdict: bool | None) -> bool | None:
        """A choice letter on one side and the text of a choice on the other."""
        options = {letter: text.strip() for letter, text in _OPTION.findall(prompt)}
        if len(options) < 2:
            return verdict
        for letter, text in ((answer, reference), (reference, answer)):
            key = letter.strip("() .:").upper()
            if key in options and text.strip("() .:").upper() not in options:
                return equivalent(options[key], text, symbolic=self.symbolic)
        return verdict
