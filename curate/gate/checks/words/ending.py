"""Does the completion end with its answer, and with a whole sentence?

Catches: sums, questions, another answer, another problem, gibberish or anything new after the last marked answer;
a text cut in mid-sentence; an answer said again and again. A closing sentence that says the answer again is fine,
and so is reasoning after an answer that comes first. Cannot catch: what follows an answer that nothing marks; a
cut at the end of a sentence. What the demonstration does is allowed: text after its answer, no mark at its end.
Says nothing about programs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.answers.extract import Answer, stated_answers
from recast.curate.answers.statements.clauses import sentence_end
from recast.curate.answers.statements.marks import is_program
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.words.source import source
from recast.curate.language.english import FUNCTION_WORDS, NEVER_THE_END, SELDOM_THE_END
from recast.curate.language.sentences import sentences
from recast.curate.language.topic import is_english, shared, words_of
from recast.curate.language.vocabulary import vocabulary
from recast.curate.maths.numbers import numbers, spoken
from recast.curate.maths.units import dimensions
from recast.curate.records import Check

ANSWER_FIRST_WORDS = 8
"""Words before an answer, none of them in a sum, up to which the reasoning is expected after it."""
MIN_SENTENCES = 2
"""Sentences of four words and more from which a text has a habit of ending them with a mark."""

_BEFORE_SUM = frozenset(
    "is are was were with".split()
)  # a sum follows on its own line; what she had to start with
MIN_UNMARKED = 25
"""Words from which a text has marks that divide it."""

_MARKS = re.compile(r"[.!?:;](?=\s|$)|\n")
_SUM = re.compile(r"\d\s*[-+*/×÷·−]\s*[$€£(]*\d[^\n]*?=")
_ENDED = re.compile(r"[.!?…。！？]['\")\]”’*_$`}]*\Z")
_OPEN = re.compile(r"[^\W\d_]\Z|[,=+*/(–—-]\Z")
_INFLECTIONS = frozenset("s es er r est ed d ing ly y n en".split())
_ONE_WORD = re.compile(r"[.!?] [A-Za-z]+[ \t]*$", re.MULTILINE)
_MARKUP = " \t\r\n*_$`.!)}]>\\\"'”’。"


class EndingCheck(CheckConfig):
    """The answer is the last thing of substance, and the last sentence is whole."""

    type: Literal["ending"] = "ending"
    max_closing_words: int = Field(default=40, ge=0)
    """Words that may follow the answer where they only say it again."""
    max_answers: int = Field(default=3, ge=1)
    """How often the answer may be marked, if the demonstration does not mark more."""

    name: ClassVar[str] = "ending"
    revision: ClassVar[int] = 4

    def run(self, case: Case) -> Check:
        text = case.completion
        if is_program(text):
            return self.passed()
        stated = stated_answers(text)
        if stated and (new := self._after(text, stated[-1], case)):
            return self.failed("goes_on", f"It goes on after its answer: {shown(new)!r}.", 0.0)
        if len(stated) > max(self.max_answers, len(stated_answers(case.demonstration))):
            return self.failed("answer_repeated", f"It says its answer {len(stated)} times.", 0.0)
        if cut := _cut(text, stated, case) or _cut_within(case):
            return self.failed("cut_mid_sentence", f"It ends in mid-sentence: {shown(cut)!r}.", 0.0)
        return self.passed()

    def _after(self, text: str, last: Answer, case: Case) -> str:
        """What follows the answer and does not only say it again; empty where nothing does."""
        rest = _tail(text)
        if not rest:
            return ""
        before = text[: last.start]
        if "=" not in before and len(words_of(before)) <= ANSWER_FIRST_WORDS:
            return ""
        words = words_of(rest)
        if len(words_of(_tail(case.demonstration))) >= len(words) > 0:
            return ""
        answer = numbers(last.text) | spoken(last.text)
        if not words:
            return "" if numbers(rest) and numbers(rest) <= answer else rest
        if len(words) > self.max_closing_words or _SUM.search(rest):
            return rest
        known = numbers(before) | numbers(case.prompt) | spoken(case.prompt) | answer
        for sentence in sentences(rest):
            said = numbers(sentence)
            if sentence.endswith(("?", "？")) or said - known or (said and answer and not said & answer):
                return sentence
            found = shared(sentence, case.prompt, case.demonstration)
            if found.new and not (said & answer) and not found.known:
                return sentence
        return ""


@lru_cache(maxsize=2048)
def _tail(text: str) -> str:
    """What follows the sentence or line of the last marked answer, without closing signs; all of it matters."""
    stated = stated_answers(text)
    return text[sentence_end(text, stated[-1].start) :].strip(_MARKUP) if stated else ""


def _cut(text: str, stated: tuple[Answer, ...], case: Case) -> str:
    """The last sentence, where it breaks off."""
    end = text.rstrip()
    if not _OPEN.match(end, max(0, len(end) - 1)):
        return ""
    told = sentences(text)
    last = told[-1]
    begin = text.rfind(last)
    words = words_of(last)
    final = words[-1] if words and end[-1].isalpha() else ""
    if final in NEVER_THE_END and is_english(case.demonstration):
        return "" if words_of(case.demonstration)[-1:] == [final] else last
    if end[-1] in ",=+*/(" or final in SELDOM_THE_END:
        return "" if _open_ended(case.demonstration) else last
    if stated and stated[-1].start >= begin:
        return ""
    if numbers(last) & numbers(case.reference or "") or len(words) < 2:
        return ""
    prose = [sentence for sentence in told[:-1] if len(sentence.split()) >= 4]
    habit = sum(_ENDED.search(sentence) is not None for sentence in prose)
    if len(prose) >= MIN_SENTENCES and habit == len(prose) and not _open_ended(case.demonstration):
        return last
    return ""


def _cut_within(case: Case) -> str:
    """A line that breaks off, or all of a text that no mark divides; empty where there is none."""
    text, shown_lines = case.completion, case.demonstration
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    english = is_english(shown_lines) or is_english(case.prompt)
    for line in lines[:-1]:
        if len(line) > 3 and line[-1].isalpha() and english and not _holds(shown_lines, line):
            final = line.rsplit(None, 1)[-1].lower()
            if final in NEVER_THE_END - _BEFORE_SUM and len(line.split()) > 3:
                return line
            if _breaks_off(line, case):
                return line
    if len(lines) > MIN_SENTENCES and not _unmarked(shown_lines):
        open_ = [line for line in lines[:-1] if len(line.split()) >= 5 and line[-1].isalpha()]
        closed = [line for line in lines if len(line.split()) >= 5 and line[-1] in ".!?"]
        if (
            len(open_) == 1
            and len(closed) >= MIN_SENTENCES
            and "=" not in open_[0]
            and not _holds(shown_lines, open_[0])
        ):
            return open_[0]
    body = lines[0] if lines else ""
    if len(body.split()) >= MIN_UNMARKED and len(lines) < 3 and not _MARKS.search(body) and "," not in body:
        return body if len(_MARKS.findall(shown_lines)) > 2 else ""
    return ""


def _holds(text: str, line: str) -> bool:
    """Whether `line` stands in `text`, and not as the beginning of a longer word: `They weigh 4 po` of `4 pounds`."""
    at = text.find(line)
    while at >= 0 and text[at + len(line) : at + len(line) + 1].isalpha():
        at = text.find(line, at + 1)
    return at >= 0


def _breaks_off(line: str, case: Case) -> bool:
    """Whether the last word of a line is the beginning of what the row says there, or a sentence of its own."""
    *_, before, final = ("", "", *line.lower().split())
    if before[-1:] in (".", "!", "?") and (
        len(before) > 4 or before[0].isdigit()
    ):  # and no title: `to Mr. Yu`
        return _ONE_WORD.search(case.demonstration) is None
    row = source(case.prompt, case.demonstration)
    follow = row.follow.get(before, ())
    if final in follow or (len(final) > 3 and _is_common(final)):
        return False
    if any(word.startswith(final) and word.removeprefix(final) not in _INFLECTIONS for word in follow):
        return True
    short = len(final) <= 3 and final not in row.words | FUNCTION_WORDS and not dimensions(final)
    return short and any(word.startswith(final) and word != final for word in row.words)


def _is_common(word: str) -> bool:
    known = vocabulary("English")
    return known is not None and word in known.common


@lru_cache(maxsize=2048)
def _unmarked(text: str) -> bool:
    """Whether a line of prose of the text itself ends without a mark."""
    return any(
        len(line.split()) >= 5 and line.rstrip()[-1].isalpha() for line in text.splitlines() if line.strip()
    )


@lru_cache(maxsize=2048)
def _open_ended(text: str) -> bool:
    """Whether `text` itself ends with a letter that no mark follows, or with an open sign."""
    end = text.rstrip()
    return _OPEN.match(end, max(0, len(end) - 1)) is not None
