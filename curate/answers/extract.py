"""The final answer of a text, and whether two answers are the same: yes, no, or undecided.

`final_answer` finds the stated answer (`curate.answers.statements`): the last balanced `\\boxed{...}`, `#### 42`, a
line `A: 42`, `The answer is 42.`, `Answer: (B)`, `<answer>42</answer>`, a JSON field `"answer"`. Only where nothing
marks an answer, and the text is not a program, is its last mathematical expression taken, read whole (marker
`last_number`): a guess that `find_answer` lets the caller refuse. `equivalent` compares exactly and abstains rather
than guesses; the symbolic part runs in `curate.answers.cas_worker`. The row's question is not known here:
`curate.gate.checks.answer` maps choice letters to texts.

>>> final_answer("Half of 84 is 42. The answer is $42.")
'$42'
>>> equivalent("0.5", "1/2"), equivalent("blue", "red")
(True, False)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.equivalence import equivalent
from recast.curate.answers.normalise import normal
from recast.curate.answers.statements.last_expression import last_expression
from recast.curate.answers.statements.marks import (
    Answer,
    is_program,
    marks,
    unclosed_box,
    withdrawn_until,
    without_thoughts,
)

__all__ = ["Answer", "equivalent", "final_answer", "find_answer", "stated_answers"]

_ASKED = re.compile(r"[^.!?\n]*\?")
_DANGLING = re.compile(r"\banswer\s*(?:is|:|=)?[\s*_$:]*\Z", re.IGNORECASE)


def final_answer(text: str) -> str | None:
    """The final answer that `text` states, without its wrappers, or None."""
    answer = find_answer(text)
    return answer.text if answer else None


@lru_cache(maxsize=1024)
def stated_answers(text: str) -> tuple[Answer, ...]:
    """Every marked answer of `text` in order, those in thoughts left out."""
    return tuple(marks(without_thoughts(text)))


@lru_cache(maxsize=1024)
def find_answer(text: str, fallback: bool = True) -> Answer | None:
    """The last marked answer of `text`; with `fallback`, its last expression where nothing marks one."""
    found = stated_answers(text)
    text = without_thoughts(text)
    if found:
        last = found[-1]
        others = {normal(m.text) for m in found[:-1]} - {normal(last.text)}
        if others and not last.final:
            earlier = [m for m in found[:-1] if normal(m.text) in others]
            settled = all(equivalent(m.text, last.text, symbolic=False) is True for m in earlier)
            return Answer(last.text, last.marker, last.start, settled)
        return Answer(last.text, last.marker, last.start, True)
    if (
        not fallback
        or is_program(text)
        or _DANGLING.search(text, max(0, len(text) - 60))
        or unclosed_box(text)
    ):
        return None
    written, start = last_expression(text) or ("", 0)
    if not written or start < withdrawn_until(text) or _ASKED.match(text, start + len(written)):
        return None
    return Answer(written, "last_number", start)
