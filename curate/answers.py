"""The final answer of a text, and whether two answers are the same: yes, no, or undecided.

`final_answer` finds the stated answer: the last balanced `\\boxed{...}`, `#### 42`, a line `A: 42`,
`The answer is 42.`, `Answer: (B)`, a JSON field `"answer"`. Only where nothing marks an answer, and the text is
not a program, is the last number of the text taken (marker `last_number`): a guess that `find_answer` lets the
caller refuse. `equivalent` compares exactly and abstains rather than guesses; the symbolic part runs in
`curate.mathworker`. The row's question is not known here: `curate.checks.answer` maps choice letters to texts.

>>> final_answer("Half of 84 is 42. The answer is $42.")
'$42'
>>> equivalent("0.5", "1/2"), equivalent("blue", "red")
(True, False)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from curate import mathworker
from curate.notation import plain
from curate.numerals import Value, exact
from curate.sums import evaluate
from curate.units import conversions, dimensions

MAX_ANSWER_CHARS = 2_000

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
    r"\b(?P<final>final\s+|correct\s+|right\s+)?(?:answer|solution)s?\b(?:\s+(?:to|for)\s+(?:the|this|your)\s+\w+)?"
    r"[\s*_\"']{0,6}(?:is|are|was|equals|will be|would be|should be|must be|:|=)(?P<after>[\s*_]{0,6}"
    r"(?:(?:therefore|thus|then|simply|just|hence|exactly|equal to|option|choice)\b)?[\s:,*_]{0,6})",
    re.IGNORECASE,
)
_LETTER_LINE = re.compile(r"^[ \t*_]{0,8}(?:A|Ans|Result)[ \t*_]{0,4}[:.=]+[ \t*_]{0,8}(?=\S)", re.MULTILINE)
_HASHES = re.compile(r"^[ \t]{0,8}####[ \t]*(?=\S)", re.MULTILINE)
_JSON = re.compile(r'"(?:final_)?answer"\s{0,8}:\s{0,8}("(?:[^"\\]|\\.){0,500}"|-?[\d.]+|true|false|\[[^\[\]]{0,500}\])')
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,4}(?=[{\w])")
_LAST_NUMBER = re.compile(r"(?<![\w.])[-−]?[$€£]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?")
_PROGRAM = re.compile(r"^\s{0,40}(?:def \w+\(|return\b|print\(|import \w|from \w+ import)", re.MULTILINE)
_SENTENCE_END = re.compile(r"\n|(?<![ (][A-Z])(?<!\bvs)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)[.!?](?=[\s*\"')\]]|$)")


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
        others = {_key(m.text) for m in marks[:-1]} - {_key(last.text)}
        if others and not last.final:
            earlier = [m for m in marks[:-1] if _key(m.text) in others]
            settled = all(equivalent(m.text, last.text, symbolic=False) is True for m in earlier)
            return Answer(last.text, last.marker, last.start, settled)
        return Answer(last.text, last.marker, last.start, True)
    if not fallback or _PROGRAM.search(text):
        return None
    number = None
    for number in _LAST_NUMBER.finditer(text[-MAX_ANSWER_CHARS:]):
        pass
    return Answer(number.group().strip(), "last_number", number.start()) if number else None


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
        match = re.match(r"\w+", text[start:start + 100])
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


_PAIRS = (
    ("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'),
    ("“", "”"), ("<", ">"), ("'", "'"),
)  # fmt: skip
_TEXT_WRAP = re.compile(r"\\(?:text|textbf|mathrm|boxed|fbox|mbox|mathbf)\s{0,4}\{([^{}]*)\}\Z")


def unwrap(text: str) -> str:
    """Take off what surrounds an answer without belonging to it: dollars, bold, quotes, `\\text{}`, a full stop."""
    text = text.strip()[:MAX_ANSWER_CHARS]
    for _ in range(8):
        before = text
        text = text.strip().rstrip(".;:!?").rstrip() if not text.endswith("...") else text.rstrip(". ")
        for opening, closing in _PAIRS:
            if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
                inner = text[len(opening) : -len(closing)]
                if opening not in inner:
                    text = inner.strip()
        if text.startswith("$") and text.endswith("$") and len(text) > 2 and "$" not in text[1:-1]:
            text = text[1:-1].strip()
        if text.endswith("**") and "**" not in text[:-2]:
            text = text[:-2].rstrip()
        match = _TEXT_WRAP.match(text)
        if match:
            text = match.group(1).strip()
        if text == before:
            break
    return text


# --- equivalence ----------------------------------------------------------------------------------------


def equivalent(a: str, b: str, *, symbolic: bool = True) -> bool | None:
    """Whether two answers are the same; None where no member of the ensemble can tell.

    The members, from the strictest on: normalised text, exact rational numbers with units, percent and currency,
    sequences of answers, choice letters, plain words, and (with `symbolic`) computer algebra under a time limit.
    """
    if len(a) > MAX_ANSWER_CHARS or len(b) > MAX_ANSWER_CHARS:
        return True if a == b else None
    one, two = _key(a), _key(b)
    if not one or not two:
        return None
    if one == two:
        return True
    return _compare(one, two, symbolic, 0)


_ARTICLES = re.compile(r"^(?:the|a|an)\s+(?=\w)")
_ASSIGNED = re.compile(r"^[A-Za-z]\w{0,20}\s*=\s*(?=[^=])")
_APPROXIMATELY = re.compile(r"^(?:about|approximately|around|roughly|only|exactly|a total of|total of|≈|=)\s*")


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    """The normal form in which equal answers are mostly equal strings."""
    text = unwrap(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\u200b", "").strip()
    return " ".join(text.split())


Rule = Callable[[str, str, bool, int], "bool | None"]


def _compare(a: str, b: str, symbolic: bool, depth: int) -> bool | None:
    if a == b:
        return True
    numbers = _as_number(a), _as_number(b)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1]
    x, y = _quantity(a), _quantity(b)
    if x is not None and y is not None:
        return _same_quantity(x, y)
    letters = _choice(a), _choice(b)
    if letters[0] and letters[1]:
        return letters[0] == letters[1]
    if depth < 4:
        verdict = _same_sequence(a, b, symbolic, depth)
        if verdict is not None or _sequence(a) is not None or _sequence(b) is not None:
            return verdict
    if _is_words(a) and _is_words(b):
        return _same_words(a, b)
    if (x is not None and _is_words(b)) or (y is not None and _is_words(a)):
        return None if letters[0] or letters[1] or len(a.split()) + len(b.split()) > 6 else False
    if a.replace(" ", "") == b.replace(" ", ""):
        return True
    if symbolic and depth < 2 and not (_is_words(a) or _is_words(b)):
        return mathworker.verify(a, b)
    return None


_PLAIN_NUMBER = re.compile(r"[-+]?\d{1,40}(?:\.\d{1,40})?\Z")


def _as_number(text: str) -> Value | None:
    if not _PLAIN_NUMBER.match(text):
        return None
    return exact(Fraction(text)) if "." in text else int(text)


@dataclass(frozen=True, slots=True)
class _Quantity:
    value: Value
    percent: bool
    unit: tuple[str, ...]


_UNIT_TAIL = re.compile(r"(?P<number>.*?[\d)])\s*(?P<percent>%|percent\b|per cent\b)?\s*(?P<unit>(?:\^?°|¢|[A-Za-z]).*)?\Z", re.S)
_UNIT_TEXT = re.compile(r"(?:\^?°|¢|[A-Za-z])[A-Za-z°¢'\s/.^0-9()-]*\Z")
_SYMBOLS = frozenset(("x", "y", "z", "n", "k", "a", "b", "i", "e", "pi", "t", "r", "sqrt", "sin", "cos", "tan", "log", "ln"))
_SMALL_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {w: 10 * v for v, w in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), 3)}


@lru_cache(maxsize=4096)
def _quantity(text: str) -> _Quantity | None:
    """`$1,200`, `3 1/2 hours`, `\\frac{1}{2}`, `50%`, `x = 5`, `twelve`; None where the text is no single number."""
    text = " ".join(plain(text).split())
    text = _APPROXIMATELY.sub("", _ASSIGNED.sub("", text))
    lower = text.lower()
    if lower in _SMALL_WORDS:
        return _Quantity(_SMALL_WORDS[lower], False, ())
    head, _, tail = lower.partition(" ")
    if head in _SMALL_WORDS and re.fullmatch(r"[a-z ]{1,40}", tail) and tail.split()[0] not in _SMALL_WORDS:
        return _Quantity(_SMALL_WORDS[head], False, tuple(tail.split()))
    money = "$" in text or "€" in text or "£" in text
    match = _UNIT_TAIL.match(text)
    if not match:
        return None
    number = match.group("number")
    unit = (match.group("unit") or "").strip()
    if re.search(r"[A-Za-z]", number) and not number.startswith("sqrt("):
        return None
    if unit and (not _UNIT_TEXT.match(unit) or unit.split()[0].lower() in _SYMBOLS or len(unit) > 60):
        return None
    if not re.fullmatch(r"[-+]?\s*[$€£]?\s*[-+]?.*", number, re.S) or ("=" in number):
        return None
    value = evaluate(number.replace("$", "").replace("€", "").replace("£", ""))
    if value is None:
        return None
    words = tuple(w for w in re.split(r"[\s/]+", unit) if w)
    if money and not words:
        words = ("dollars",)
    return _Quantity(value, bool(match.group("percent")), words)


def _same_quantity(x: _Quantity, y: _Quantity) -> bool | None:
    if x.percent != y.percent:
        full, bare = (x, y) if x.percent else (y, x)
        if exact(Fraction(full.value) / 100) == bare.value:
            return True
        if full.value == bare.value:
            return True if abs(bare.value) > 1 else None  # 0.5% against 0.5: a dropped sign or another number
        return False
    same = x.value == y.value
    if not x.unit or not y.unit:
        return same
    ours, theirs = {_singular(w) for w in x.unit}, {_singular(w) for w in y.unit}
    if ours & theirs - {"per", "of", "a", "the", "in"}:
        return same if ours == theirs or not same else True
    first, second = dimensions(x.unit[0]), dimensions(y.unit[0])
    if first and second:
        factors = conversions(x.unit[0], y.unit[0])
        if any(exact(Fraction(x.value) * f) == y.value for f in factors):
            return True
        return same and any(first[d] == second.get(d) for d in first)
    return None if same else False


def _singular(word: str) -> str:
    word = word.lower().strip(".")
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


_CHOICE = re.compile(r"\(?([A-Ja-j])(?:\)|[.):](?=\s|$)|$)")


def _choice(text: str) -> str | None:
    """The letter of `B`, `(b)`, `B.`, `(B) blue`; None else."""
    match = _CHOICE.match(text)
    if not match or (match.end() == len(text) and len(text) > 4):
        return None
    return match.group(1).upper()


_OPENERS = {"(": ")", "[": "]", "{": "}"}
_SPLIT_WORDS = re.compile(r"\s*(?:,\s*and\b|,\s*or\b|;|\band\b|\bor\b|,)\s*")


@lru_cache(maxsize=4096)
def _sequence(text: str) -> tuple[str, tuple[str, ...]] | None:
    """`(bracket kind, items)`: kind is the two brackets, `set` for `x = 1 or x = 2`, or empty for a bare list."""
    if "," not in text and ";" not in text and " and " not in text and " or " not in text:
        return None
    text = text.replace("\\left", "").replace("\\right", "").replace("\\{", "{").replace("\\}", "}").replace("{,}", ",")
    text = re.sub(r"\\(?:text|mathrm)\{([^{}]*)\}", r"\1", text).replace("\\,", " ").replace("\\ ", " ").strip()
    kind, assigned = "", _ASSIGNED.match(text)
    if assigned:
        text, kind = text[assigned.end() :], "set"
    if len(text) > 1 and text[0] in _OPENERS and text[-1] in ")]}" and _closes_at_end(text):
        kind, text = (text[0] + text[-1]), text[1:-1]
    elif re.fullmatch(r"[-+$]?\d{1,3}(?:,\d{3})+(?:\.\d+)?\D*", text):
        return None  # 1,200: a number
    items: list[str] = []
    level, start = 0, 0
    for match in re.finditer(r"[(\[{]|[)\]}]|" + _SPLIT_WORDS.pattern, text):
        piece = match.group()
        if piece in ("(", "[", "{"):
            level += 1
        elif piece in (")", "]", "}"):
            level -= 1
        elif level == 0:
            items.append(text[start : match.start()].strip())
            start = match.end()
    items.append(text[start:].strip())
    if kind == "" and any(_ASSIGNED.match(i) for i in items):
        kind = "set"
    if len(items) < 2 or not all(items) or len(items) > 200:
        return None
    if kind == "" and any(len(item.split()) > 4 for item in items):
        return None  # a sentence with commas
    return kind, tuple(items)


def _closes_at_end(text: str) -> bool:
    level = 0
    for i, char in enumerate(text):
        if char in "([{":
            level += 1
        elif char in ")]}":
            level -= 1
            if level == 0:
                return i == len(text) - 1
    return False


def _same_sequence(a: str, b: str, symbolic: bool, depth: int) -> bool | None:
    one, two = _sequence(a), _sequence(b)
    if one is None or two is None:
        return None
    (kind, items), (other, others) = one, two
    brackets = {kind, other} - {"", "set", "{}"}
    if len(brackets) == 2 and brackets & {"(]", "[)"} | ({"()", "[]"} & brackets if brackets == {"()", "[]"} else set()):
        return False if brackets & {"(]", "[)"} else None
    if len(items) != len(others):
        return False
    verdicts = [_compare(_key(x), _key(y), symbolic, depth + 1) for x, y in zip(items, others, strict=True)]
    if all(v is True for v in verdicts):
        return True
    unordered = kind in ("set", "{}") or other in ("set", "{}")
    if unordered or (not brackets and sorted(items) == sorted(others)):
        rest = list(others)
        for x in items:
            match = next((y for y in rest if _compare(_key(x), _key(y), symbolic, depth + 1)), None)
            if match is None:
                return None if any(v is None for v in verdicts) else False
            rest.remove(match)
        return True if unordered else False
    return False if any(v is False for v in verdicts) else None


_MATH = re.compile(r"[\\^_=+*/<>|{}0-9√π∞∪∩∫Σ]")


def _is_words(text: str) -> bool:
    return not _MATH.search(text) and any(len(w) > 1 and w.isalpha() for w in re.split(r"[\s'’,.-]+", text))


_YES = {"yes": "yes", "true": "true", "no": "no", "false": "false"}


def _same_words(a: str, b: str) -> bool | None:
    one = re.sub(r"[^\w\s]", " ", _ARTICLES.sub("", a.lower())).split()
    two = re.sub(r"[^\w\s]", " ", _ARTICLES.sub("", b.lower())).split()
    if one == two or "".join(one) == "".join(two):
        return True
    first, second = _YES.get(one[0] if one else ""), _YES.get(two[0] if two else "")
    if first and second:
        return first == second
    if set(one) <= set(two) or set(two) <= set(one):
        return None
    return False
