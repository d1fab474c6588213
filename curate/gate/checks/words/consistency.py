"""Does the completion agree with itself?

Catches: marked answers that differ, whatever says `final`; an answer that is denied, guessed, supposed, asked or
one of a list, where none is stated after it; results that the text itself calls wrong or takes back; the question
told again with the answer after it, where the demonstration computes. Cannot catch: a contradiction between
sentences that neither call a result wrong nor mark an answer; a denial in another language than English. What the
demonstration does is allowed: answers that it marks, denials in it. Says nothing about programs.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from recast.curate.answers.extract import Answer, equivalent, stated_answers
from recast.curate.answers.normalise import normal
from recast.curate.answers.quantities import quantity
from recast.curate.answers.statements.marks import is_program
from recast.curate.arithmetic.equalities import equalities, step_results
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.sentences import sentences
from recast.curate.language.stance import (
    denial,
    denied_numbers,
    hedged_number,
    may_deny,
    may_waver,
    not_the_answer,
    retraction,
    unsettled,
)
from recast.curate.language.stems import stem
from recast.curate.language.topic import stems, words_of
from recast.curate.maths.numbers import Value, literal, numbers, spoken
from recast.curate.records import Check

RETOLD = 0.8
"""Share of a sentence's words that the question says, from which it is the question told again."""

_NEGATIVE = re.compile(r"\bnot\b|n['’]t\b|\bnever\b")
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_RESULT = re.compile(r"=\s*[$€£]?(\d[\d,]*(?:\.\d+)?)")
_REASONS = re.compile(
    r"\b(?:add|plus|sum|subtract|minus|take away|takes? off|multipl|times|divid|half|third|quarter|twice|double|triple"
    r"|differen|product|left over|remain|equal)",
    re.IGNORECASE,
)


class ConsistencyCheck(CheckConfig):
    """One answer, stated and not taken back, and results that the text stands by."""

    type: Literal["consistency"] = "consistency"

    name: ClassVar[str] = "consistency"
    revision: ClassVar[int] = 2

    def run(self, case: Case) -> Check:
        text = case.completion
        if is_program(text):
            return self.passed()
        stated = stated_answers(text)
        if other := _another_answer(stated, case):
            said = f"It answers {shown(other)!r}, and {shown(stated[-1].text)!r} in the end."
            return self.failed("answers_differ", said, 0.0)
        if may_waver(text):
            if (guess := hedged_number(text)) and not hedged_number(f"{case.prompt}\n{case.demonstration}"):
                return self.failed("answer_not_stated", f"It guesses: {shown(guess)!r}.", 0.0)
            told = sentences(text)
            if doubtful := _unsettled_answer(text, told, stated):
                said = f"Nothing states the answer after {shown(doubtful)!r}."
                return self.failed("answer_not_stated", said, 0.0)
            if may_deny(text) and (denied := _denied(told, case)):
                return self.failed("result_denied", f"It denies what it says: {shown(denied)!r}.", 0.0)
        if _only_restated(stated, case):
            return self.failed("only_restated", "It says what the question says, and then the answer.", 0.0)
        return self.passed()


def _another_answer(stated: tuple[Answer, ...], case: Case) -> str:
    """A marked answer that is certainly not the last one, nor any that the demonstration marks."""
    if len(stated) < 2:
        return ""
    last = stated[-1]
    same = {normal(last.text)}
    for answer in stated[:-1]:
        if normal(answer.text) in same or quantity(normal(answer.text)) is None:
            continue  # words where a number was marked are no answer: `Answer: we add the two`
        if equivalent(answer.text, last.text, symbolic=False) is False:
            allowed = (other.text for other in stated_answers(case.demonstration))
            if not any(equivalent(answer.text, other, symbolic=False) is True for other in allowed):
                return answer.text
        same.add(normal(answer.text))
    return ""


def _unsettled_answer(text: str, told: tuple[str, ...], stated: tuple[Answer, ...]) -> str:
    """A sentence that denies the answer, or one that leaves it open and is followed by none that states it."""
    for sentence in told:
        kind = unsettled(sentence)
        if not kind or not ("answer" in sentence.lower() or _FIGURE.search(sentence)):
            continue  # `The results may be of use.`
        begin = text.find(sentence)
        after = [a for a in stated if a.start >= begin + len(sentence)]
        if kind == "denied" and stated and numbers(stated[-1].text) & numbers(sentence):
            return sentence
        if kind == "denied" and not any(c.isdigit() for c in sentence):
            continue  # `The answer is not obvious.`
        if not after and not (kind == "supposed" and any(begin <= a.start for a in stated)):
            return sentence
    return ""


def _denied(told: tuple[str, ...], case: Case) -> str:
    """A sentence that calls wrong what it or the one before it computes or answers, or that takes it back."""
    results: set[str] = set()
    negative = _NEGATIVE.search(case.prompt) or _NEGATIVE.search(case.demonstration)  # how many are not sold?
    before = ""
    for sentence in told:
        results.update(result.rstrip(",") for result in _RESULT.findall(sentence))
        if retraction(sentence) and not retraction(case.demonstration):
            return sentence
        if not negative and any(number.rstrip(",") in results for number in denied_numbers(sentence)):
            return sentence
        near = f"{before} {sentence}"
        if (
            not_the_answer(sentence)
            and (last := _last_number(near))
            and last in numbers(case.reference or "")
        ):
            return sentence
        if denial(sentence) and not denial(case.demonstration) and _last_number(near) is not None:
            return sentence
        before = sentence
    return ""


def _last_number(text: str) -> Value | None:
    """The last number written in `text`."""
    found = _FIGURE.findall(text)
    return literal(found[-1].rstrip(","))[0] if found else None


def _only_restated(stated: tuple[Answer, ...], case: Case) -> bool:
    """Whether no sentence reasons, though the demonstration computes: no sum, no number beside those given and the
    answer, no operation in words, no answer said together with what it follows from."""
    if equalities(case.completion) or not step_results(case.demonstration):
        return False
    given = numbers(case.prompt) | spoken(case.prompt)
    answer = numbers(case.reference or "")
    asked = stems(case.prompt)
    marked = {sentence_of(case.completion, a) for a in stated}
    for sentence in sentences(case.completion):
        words = words_of(sentence)
        if sentence in marked or not words:
            continue
        if (
            sum(stem(word) in asked for word in words) >= RETOLD * len(words)
            and not numbers(sentence) - given
        ):
            continue
        said = numbers(sentence) | spoken(sentence)
        if said - given - answer or (said & answer and said & given - answer) or _REASONS.search(sentence):
            return False
    return True


def sentence_of(text: str, answer: Answer) -> str:
    """The sentence of `text` that marks `answer`."""
    return next((s for s in sentences(text) if text.find(s) <= answer.start < text.find(s) + len(s)), "")
