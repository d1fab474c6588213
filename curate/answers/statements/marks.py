"""The places of a text that mark an answer, in every common form, and what each of them says.

What a model thinks between `<think>` and `</think>` is no statement. A heading (`#### Step 1`), an option of a list
(`A. red`) and an assignment (`A = 5`) are none, either.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from recast.curate.answers.normalise import MAX_ANSWER_CHARS, normal, unwrap
from recast.curate.answers.quantities import quantity
from recast.curate.answers.statements.clauses import is_verb, sentence, sentence_end, taken_back, trimmed
from recast.curate.arithmetic.parser import evaluate


@dataclass(frozen=True, slots=True)
class Answer:
    """A stated answer: its text as written (wrappers taken off), what marked it, and where it begins."""

    text: str
    marker: str
    """`boxed`, `hashes`, `tag`, `letter_line`, `phrase`, `json`, or `last_number` where nothing marked one."""
    start: int
    final: bool = True
    """False where the text marks another answer that differs and nothing says which one counts."""


_IS = (
    r"(?:\s+(?:to|for)\s+(?:the|this|your)\s+\w+)?"
    r"[\s*_\"']{0,6}(?:(?:is|are|was|equals|will be|would be|should be|must be)(?![\w'’])|:|=|[–—-](?=\s))[\s*_]{0,6}"
    r"(?:(?:therefore|thus|then|simply|just|hence|exactly|still|indeed|again|equal to|option|choice)\b)?[\s:,*_]{0,6}"
)
_PHRASE = re.compile(
    rf"\b(?P<final>final\s+|correct\s+|right\s+)?(?:answer|solution)s?\b{_IS}", re.IGNORECASE
)
_NOUN = re.compile(r"[as](?:(?<=a)nswer|(?<=s)olution)", re.IGNORECASE)
_CHOSEN = re.compile(
    rf"\b(?:(?P<final>final)|correct|right|best)\s+(?:option|choice)s?\b{_IS}", re.IGNORECASE
)
_FOREIGN = re.compile(
    r"(?:答案(?:(?:是|为|為|等于)[：:]?|[：:])|答えは|(?:정답|답)(?:[은는][：:]?|[：:])"
    r"|\b(?:respuesta|réponse|resposta|risposta|antwort|antwoord|ответ|відповідь|odpowiedź)(?:\s+final[ea]?)?"
    r"(?:\s+(?:es|est|é|è|ist|lautet|is|to)\b|\s?[:：—]))[\s*_]{0,6}",
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    r"\b(?i:option|choice|answer)\s+\(?([A-J])\)?\s+is\s+(?:the\s+)?(?:correct|right|best)\b(?!\?)"
)
_LETTER_LINE = re.compile(
    r"^[ \t*_]{0,8}(?:(?P<letter>A)[ \t*_]{0,4}:|(?:Ans|Result)[ \t*_]{0,4}[:.=]+)[ \t*_]{0,8}(?=\S)",
    re.MULTILINE,
)
_OPTION_LINE = re.compile(r"^[ \t*_(]{0,8}[B-J][ \t*_]{0,4}[:.)=]", re.MULTILINE)
_HASHES = re.compile(r"^[ \t]{0,8}####[ \t]*(?=\S)", re.MULTILINE)
_NUMBERED = re.compile(r"\d{1,2}[.)]\s+[^\W\d_]")
_JSON = re.compile(r"([\"'])(?:final_)?answer\1\s{0,8}:\s{0,8}", re.IGNORECASE)
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.){0,500})'|(True|False)\b")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,4}(?=[{\w])")
_TAG = re.compile(r"<(final_)?answer>(.{0,2000}?)</(?:final_)?answer>", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_PROGRAM = re.compile(r"^\s{0,40}(?:def \w+\(|return\b|print\(|import \w|from \w+ import)", re.MULTILINE)

_OF_PROGRAM = ("def ", "return", "print(", "import ")


def is_program(text: str) -> bool:
    """Whether a line of `text` defines, returns, prints or imports something."""
    return any(word in text for word in _OF_PROGRAM) and _PROGRAM.search(text) is not None


def without_thoughts(text: str) -> str:
    """`text` with spaces in place of what stands between `<think>` and `</think>`, closed or not."""
    return _THOUGHT.sub(lambda m: " " * len(m.group()), text) if "<think>" in text else text


def marks(text: str) -> list[Answer]:
    """Every marked answer in order of place. `final` is True where its own words say that it is the last one."""
    found: list[Answer] = []
    lower = text.lower()
    if "####" in text:
        found += _hashes(text)
    if "boxed" in text or "\\fbox" in text:
        found += _boxes(text)
    if any(noun in lower for noun in ("answer", "solution", "option", "choice")):
        found += _phrases(text, lower)
        if "answer" in lower:
            found += _fields(text)
    if not text.isascii():
        found += [
            _mark(trimmed(sentence(text, match.end())), "phrase", match.start(), False)
            for match in _FOREIGN.finditer(text)
        ]
    if "A" in text or "Result" in text:
        options = None
        for match in _LETTER_LINE.finditer(text):
            if match.group("letter"):
                options = _OPTION_LINE.search(text) is not None if options is None else options
                if options:
                    continue
            found.append(_mark(trimmed(_line(text, match.end())), "letter_line", match.start(), False))
    found = [mark for mark in found if mark.text]
    if len(found) > 1:
        found.sort(key=lambda mark: mark.start)
    return found


def _hashes(text: str) -> list[Answer]:
    """Lines after `####`, without those that are a heading: words, or a numbered title, with more text below."""
    found = []
    for match in _HASHES.finditer(text):
        line = _line(text, match.end())
        if text.find("\n", match.end()) >= 0 and text[match.end() + len(line) :].strip():
            answer = normal(line)
            title = _NUMBERED.match(line) or not any(c.isdigit() for c in line) or quantity(answer) is None
            if title and "\\" not in line and not (len(answer) == 1 and answer.isupper()):
                continue
        found.append(_mark(line, "hashes", match.start(), True))
    return found


def _boxes(text: str) -> list[Answer]:
    found = []
    for match in _BOXED.finditer(text):
        content = _balanced(text, match.end())
        if content is not None:
            said = text[max(0, match.start() - 60) : match.start()].lower()
            found.append(_mark(content, "boxed", match.start(), "final" in said or "answer" in said))
    return found


def unclosed_box(text: str) -> bool:
    """Whether a box opens that never closes: the text was cut in its answer."""
    return "boxed{" in text and any(_balanced(text, match.end()) is None for match in _BOXED.finditer(text))


def _phrases(text: str, lower: str) -> list[Answer]:
    found = []
    chosen = "option" in lower or "choice" in lower
    phrases = [*_PHRASE.finditer(text, _first(text)), *(_CHOSEN.finditer(text) if chosen else ())]
    program = bool(phrases) and is_program(text)
    for match in phrases:
        if text[match.start() - 1 : match.start()] in ('"', "'", "_") and ":" in match.group():
            continue  # a JSON field, read below
        if is_verb(text, match.start()) or taken_back(text, match.start()):
            continue
        content = trimmed(sentence(text, match.end()))
        if "\\boxed" in content or not content.strip(" *_$`"):
            continue
        if program and evaluate(content) is None:
            continue  # `answer = a + b` in a program states no answer
        if match.group().lower().lstrip().startswith("solution") and len(content) > 30:
            continue
        found.append(_mark(content, "phrase", match.start(), match.group("final") is not None))
    if "correct" in lower or "right" in lower or "best" in lower:
        found += [_mark(match.group(1), "phrase", match.start(), False) for match in _IS_RIGHT.finditer(text)]
    return found


def _first(text: str) -> int:
    """Where a phrase can begin at the earliest: with a word of up to seven letters before the first noun."""
    noun = _NOUN.search(text) if text.isascii() else None
    return max(0, len(text[: noun.start()].rstrip()) - 8) if noun else 0


def withdrawn_until(text: str) -> int:
    """Where the last statement of an answer ends that is denied, asked, guessed or supposed; 0 where there is none."""
    end = 0
    for match in _PHRASE.finditer(text):
        said = sentence(text, match.end())
        if taken_back(text, match.start()) or not trimmed(said).strip():
            end = sentence_end(text, match.end())
    return end


def _fields(text: str) -> list[Answer]:
    """`"answer": ...` of a JSON object or of a printed dictionary, and what `<answer>` tags hold."""
    found = []
    if "<" in text:
        found += [_mark(match.group(2), "tag", match.start(), True) for match in _TAG.finditer(text)]
    for match in _JSON.finditer(text) if '"' in text or "'" in text else ():
        if quoted := _SINGLE_QUOTED.match(text, match.end()):
            content = quoted.group(1) or quoted.group(2) or ""
        else:
            try:
                value, end = json.JSONDecoder().raw_decode(text, match.end())
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                continue
            content = value if isinstance(value, str) else text[match.end() : end]
        found.append(_mark(content, "json", match.start(), False))
    return found


def _mark(content: str, marker: str, start: int, final: bool) -> Answer:
    return Answer(unwrap(content), marker, start, final)


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)][:MAX_ANSWER_CHARS]


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
