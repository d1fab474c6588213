"""The final answer of a text, and whether two answers are the same: yes, no, or undecided.

`final_answer` finds the stated answer: the last balanced `\\boxed{...}`, `#### 42`, a line `A: 42`,
`The answer is 42.`, `Answer: (B)`, a JSON field `"answer"`. Only where nothing marks an answer, and the text is
not a program, is the last number of the text taken (marker `last_number`): a guess that `find_answer` lets the
caller refuse. `equivalent` compares exactly and abstains rather than guesses; the symbolic part runs in
`curate.answers.cas_worker`. The row's question is not known here: `curate.gate.checks.answer` maps choice letters to
texts.

>>> final_answer("Half of 84 is 42. The answer is $42.")
'$42'
>>> equivalent("0.5", "1/2"), equivalent("blue", "red")
(True, False)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from recast.curate.answers.equivalence import equivalent
from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal, unwrap
from recast.curate.arithmetic.parser import evaluate

__all__ = ["Answer", "equivalent", "final_answer", "find_answer"]

# --- extraction -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A stated answer: its text as written (wrappers taken off), what marked it, and where it begins."""

    text: str
    marker: str
    """`boxed`, `hashes`, `letter_line`, `phrase`, `json`, or `last_number` where nothing marked one."""
    start: int
    final: bool = True
    """False where the text marks another answer that differs and nothing says which one counts."""


_PHRASE = re.compile(
    r"\b(?P<final>final\s+|correct\s+|right\s+)?(?:answer|solution)s?\b"
    r"(?:\s+(?:to|for)\s+(?:the|this|your)\s+\w+)?"
    r"[\s*_\"']{0,6}(?:is|are|was|equals|will be|would be|should be|must be|:|=)(?P<after>[\s*_]{0,6}"
    r"(?:(?:therefore|thus|then|simply|just|hence|exactly|still|indeed|again|equal to|option|choice)\b)?[\s:,*_]{0,6})",
    re.IGNORECASE,
)
_LETTER_LINE = re.compile(r"^[ \t*_]{0,8}(?:A|Ans|Result)[ \t*_]{0,4}[:.=]+[ \t*_]{0,8}(?=\S)", re.MULTILINE)
_HASHES = re.compile(r"^[ \t]{0,8}####[ \t]*(?=\S)", re.MULTILINE)
_JSON = re.compile(
    r'"(?:final_)?answer"\s{0,8}:\s{0,8}("(?:[^"\\]|\\.){0,500}"|-?[\d.]+|true|false|\[[^\[\]]{0,500}\])'
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,4}(?=[{\w])")
_DANGLING = re.compile(r"\banswer\s*(?:is|:|=)?[\s*_$:]*\Z", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(?<![\w.])[-−]?[$€£]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?")
_PROGRAM = re.compile(r"^\s{0,40}(?:def \w+\(|return\b|print\(|import \w|from \w+ import)", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"\n|(?<![ (][A-Z])(?<!\bvs)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)[.!?](?=[\s*\"')\]]|$)"
)
_VERB_BEFORE = re.compile(
    r"\b(?:can|cannot|can't|could|not|to|will|did|didn't|would|must|may)\s+\Z", re.IGNORECASE
)


def final_answer(text: str) -> str | None:
    """The final answer that `text` states, without its wrappers, or None."""
    answer = find_answer(text)
    return answer.text if answer else None


@lru_cache(maxsize=1024)
def find_answer(text: str, fallback: bool = True) -> Answer | None:
    """The last marked answer of `text`; with `fallback`, its last number where nothing marks one."""
    marks = _marks(text)
    if marks:
        last = marks[-1]
        others = {normal(m.text) for m in marks[:-1]} - {normal(last.text)}
        if others and not last.final:
            earlier = [m for m in marks[:-1] if normal(m.text) in others]
            settled = all(equivalent(m.text, last.text, symbolic=False) is True for m in earlier)
            return Answer(last.text, last.marker, last.start, settled)
        return Answer(last.text, last.marker, last.start, True)
    if not fallback or _PROGRAM.search(text) or _DANGLING.search(text, max(0, len(text) - 60)):
        return None
    start = max(0, len(text) - MAX_ANSWER_CHARS)
    numbers = list(_LAST_NUMBER.finditer(text, start))
    return Answer(numbers[-1].group().strip(), "last_number", numbers[-1].start()) if numbers else None


def _marks(text: str) -> list[Answer]:
    """Every marked answer in order of place. `final` is True where its own words say that it is the last one."""
    marks: list[Answer] = []
    if "####" in text:
        for match in _HASHES.finditer(text):
            marks.append(_mark(_line(text, match.end()), "hashes", match.start(), True))
    if "boxed" in text or "\\fbox" in text:
        for match in _BOXED.finditer(text):
            content = _balanced(text, match.end())
            if content is not None:
                said = text[max(0, match.start() - 60) : match.start()].lower()
                marks.append(_mark(content, "boxed", match.start(), "final" in said or "answer" in said))
    if "answer" in text or "nswer" in text or "olution" in text:
        program = _PROGRAM.search(text) is not None
        for match in _PHRASE.finditer(text):
            if text[match.start() - 1 : match.start()] in ('"', "_") and ":" in match.group():
                continue  # a JSON field, read below
            if _VERB_BEFORE.search(text, max(0, match.start() - 12), match.start()):
                continue  # the questions that Steve cannot answer are 7
            content = _sentence(text, match.end())
            if "\\boxed" in content or not content.strip(" *_$`"):
                continue
            if program and evaluate(content) is None:
                continue  # `answer = a + b` in a program states no answer
            if match.group().lower().lstrip().startswith("solution") and len(content) > 30:
                continue
            marks.append(_mark(content, "phrase", match.start(), match.group("final") is not None))
        if '"' in text:
            for match in _JSON.finditer(text):
                marks.append(_mark(match.group(1), "json", match.start(), False))
    if ":" in text or "=" in text or "." in text:
        for match in _LETTER_LINE.finditer(text):
            marks.append(_mark(_line(text, match.end()), "letter_line", match.start(), False))
    marks = [m for m in marks if m.text]
    if len(marks) > 1:
        marks.sort(key=lambda m: m.start)
    return marks


def _mark(content: str, marker: str, start: int, final: bool) -> Answer:
    return Answer(unwrap(content), marker, start, final)


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)][:MAX_ANSWER_CHARS]


def _sentence(text: str, start: int) -> str:
    window = text[start : start + MAX_ANSWER_CHARS]
    match = _SENTENCE_END.search(window, 1) if window else None
    return window[: match.start()] if match else window


def _balanced(text: str, start: int) -> str | None:
    """The content of the braces that open at `start`, or the one token there; None where they never close."""
    if start >= len(text):
        return None
    if text[start] != "{":
        match = re.match(r"\w+", text[start : start + 100])
        return match.group() if match else None
    depth = 0
    for i in range(start, min(len(text), start + MAX_ANSWER_CHARS)):
        if text[i] == "{" and text[i - 1] != "\\":
            depth += 1
        elif text[i] == "}" and text[i - 1] != "\\":
            depth -= 1
            if depth == 0:
                return text[start + 1 : i]
    return None
