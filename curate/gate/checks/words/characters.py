"""Is the text made of characters that a person would type, one script a word, and is it text at all?

Catches: invisible, control, private-use and bidirectional characters, escape sequences, soft hyphens; a word of
letters of two scripts that look alike, letters in fancy styles; marks heaped on letters; noise: one character,
syllable or line again and again in any script, stretches of nothing, hex strings and base64; emoji, drawings, text in
capitals. What the question or the demonstration writes itself is allowed, and repetition is measured against the
demonstration's. Cannot catch: noise made of words (`vocabulary`), sentences said again (`repetition`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.word_classes import GRAMMAR
from recast.curate.records import Check

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# without ink, though Unicode counts them as letters, marks or symbols
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f")
_JOINERS = frozenset("\u200c\u200d")  # needed within Arabic and Indic words, and between emoji
_SELECTORS = frozenset("\ufe0e\ufe0f")  # how an emoji is shown
_MARKS = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]")
_WORD = re.compile(r"[^\W\d_]+")
_LOOKALIKE = str.maketrans(
    "αορνυικχγεΑΒΕΖΗΙΚΜΝΟΡΤΥΧаеорсухіјѕԁһӏАВЕЅІЈКМНОРСТУХ",
    "aopvuikxyeABEZHIKMNOPTYXaeopcyxijsdhlABESIJKMHOPCTYX",
)
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]")
_NO_SYMBOL = re.compile(r"[οιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ]")  # nobody names a quantity by these
_SANDWICH = re.compile(r"[a-zA-Z][αορνυικχγεΑΒΕΖΗΙΚΜΝΟΡΤΥΧ]+[a-zA-Z]")
# scripts whose letters never stand in a formula beside Latin ones
_SCRIPTS = {
    "Cyrillic": re.compile(r"[\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f]"),
    "Armenian": re.compile(r"[\u0531-\u058f]"),
    "Hebrew": re.compile(r"[\u05d0-\u05ea]"),
    "Arabic": re.compile(r"[\u0620-\u06ff\u0750-\u077f]"),
    "an Indic script": re.compile(r"[\u0900-\u0dff]"),
    "a script of South-East Asia": re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"),
    "Georgian": re.compile(r"[\u10a0-\u10ff]"),
    "Hangul": re.compile(r"[\u1100-\u115e\u1161-\u11ff\u3130-\u3163\u3165-\u318f\uac00-\ud7a3]"),
    "Ethiopic": re.compile(r"[\u1200-\u137f]"),
    "Cherokee": re.compile(r"[\u13a0-\u13ff\uab70-\uabbf]"),
    "Chinese or Japanese": re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]"),
}
# mathematical, circled, full-width and other styles of Latin letters
_STYLED = re.compile(
    r"[\U0001d400-\U0001d7cb\uff21-\uff3a\uff41-\uff5a\u24b6-\u24e9\U0001f130-\U0001f189\u1d00-\u1d25]{3,}"
)
_PICTURE = r"[\u2600-\u27bf\u2b50-\u2b55\U0001f1e6-\U0001faff]\ufe0f?"
_PICTURES = re.compile(rf"{_PICTURE}(?:\u200d{_PICTURE})*")
MAX_PICTURES = 2
"""Emoji that a text may bring."""
_TICKS = frozenset("✓✔✗✘☑☐★☆➜➔➡❌✅")
_TOLD = re.compile(r"[A-Za-z]{3}|\d")
_SIGN = re.compile(r"[^\w\s]")
_CAPITALS, _LONG_WORD = re.compile(r"[A-Z](?<!\w.)[A-Z]{2,}\b"), re.compile(r"\b[A-Za-z]{3,}\b")
_GAP = re.compile(r"\n(?:[ \t\r]*\n){5,}|[ \t\r\u00a0\u2000-\u200a\u3000]{40,}")
_AGAIN = re.compile(r"(\S.{0,39}?)\1{3,}", re.DOTALL)
_CHUNK, _PERIOD = 18, 40
_LONG = 16
_STRING = re.compile(rf"[A-Za-z0-9]{{{_LONG},}}")
_SPELT = re.compile(r"(?<!\S)(?:[A-Za-z] ){5,}[A-Za-z](?!\S)")
_SWITCH = re.compile(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])")


class CharactersCheck(CheckConfig):
    """Characters that can be seen, words of one script, and no noise."""

    type: Literal["characters"] = "characters"
    min_again: int = Field(default=2 * _CHUNK, ge=2 * _CHUNK)
    """How many characters a piece of at most forty may fill by standing four times and more in a row."""

    name: ClassVar[str] = "characters"
    revision: ClassVar[int] = 4

    def run(self, case: Case) -> Check:
        text = case.completion
        plain = text.replace("\n", " ").isprintable()  # a fast sufficient condition
        control = None if plain else _CONTROL.search(text)
        if control and control.group() not in case.demonstration:
            return self.failed("invisible_character", f"It holds the control character {control.group()!r}.")
        if not text.isascii() and (
            found := self._unseen(case) or self._scripts(case) or self._pictures(case)
        ):
            return found
        return self._noise(case) or self._drawing(case) or self.passed()

    def _pictures(self, case: Case) -> Check | None:
        known = _characters(case.prompt) | _characters(case.demonstration) | _TICKS
        new = [picture for picture in _PICTURES.findall(case.completion) if picture[0] not in known]
        if len(new) > MAX_PICTURES:
            return self.failed("noise", f"It holds {len(new)} pictures, such as {new[0]}.")
        return None

    def _drawing(self, case: Case) -> Check | None:
        """Lines of signs, and words in nothing but capitals."""
        for line in case.completion.splitlines():
            if _TOLD.search(line):
                continue
            bare = "".join(line.split())
            if len(bare) < 4 or bare[-1] == "=" or bare.isalnum() or line in case.demonstration:
                continue
            signs = len(_SIGN.findall(bare))
            if signs > 0.6 * len(bare) and len(set(bare)) > 2:
                return self.failed("noise", f"{shown(line, 40)!r} is a drawing.")
        if _unclosed(case.completion) and not _unclosed(case.demonstration):
            return self.failed("noise", "A calculator's annotation is not closed.")
        if shouts(case.completion) and not shouts(case.demonstration):
            return self.failed("noise", "It is written in capitals.")
        return None

    def _unseen(self, case: Case) -> Check | None:
        """Characters without ink, and marks in heaps."""
        known = _characters(case.prompt) | _characters(case.demonstration)
        for char in dict.fromkeys(case.completion):
            if char.isascii() or char in known or char in _SELECTORS:
                continue
            category = unicodedata.category(char)
            if category in ("Cf", "Cc", "Co", "Cn", "Cs") or char in _BLANK or char == "\ufffd":
                if char in _JOINERS and _joins(case.completion, char):
                    continue
                name = unicodedata.name(char, f"U+{ord(char):04X}")
                return self.failed("invisible_character", f"It holds {name}, which its sources do not.")
        if (
            _MARKS.search(case.completion)
            and (heap := _heap(case.completion))
            and heap not in case.demonstration
        ):
            return self.failed("noise", f"Marks are heaped on its letters: {heap!r}.")
        return None

    def _scripts(self, case: Case) -> Check | None:
        text, source = case.completion, f"{case.prompt}\n{case.demonstration}"
        if (styled := _STYLED.search(text)) and styled.group() not in source:
            return self.failed("mixed_script", f"{styled.group()!r} is set in letters of another style.")
        for script, letters in _SCRIPTS.items():
            if (letter := letters.search(text)) is None:
                continue
            if letters.search(source) is None:
                return self.failed("mixed_script", f"{letter.group()!r} is a letter of {script}.")
            for word in _WORD.findall(text) if script in ("Cyrillic", "Armenian", "Cherokee") else ():
                if letters.search(word) and re.search("[A-Za-z]", word) and word not in source:
                    return self.failed("mixed_script", f"{word!r} mixes {script} and Latin letters.")
        if _GREEK.search(text):
            words = frozenset(_WORD.findall(source.lower()))
            for word in _WORD.findall(text):
                if _disguised(word, words) and word not in source:
                    return self.failed("mixed_script", f"{word!r} mixes Greek and Latin letters.")
        return None

    def _noise(self, case: Case) -> Check | None:
        text = case.completion
        if "\n\n" in text or "\n " in text or "        " in text or "\t\t" in text or not text.isascii():
            gap = _GAP.search(text)
            if gap and not _GAP.search(case.demonstration):
                return self.failed("noise", f"{len(gap.group())} characters of white space stand in a row.")
        if again := self._again(text, case.demonstration):
            return self.failed(
                "noise", f"{shown(again[0], 40)!r} stands {again[1]} times in a row.", 1.0 / again[1]
            )
        pieces = text.split()
        lengths = list(map(len, pieces))
        spelt = _SPELT.search(text) if lengths.count(1) > 5 else None
        if spelt and spelt.group() not in f"{case.prompt}\n{case.demonstration}":
            return self.failed("noise", f"{shown(spelt.group(), 40)!r} is spelt letter by letter.")
        longest = max(lengths, default=0)
        for string in _STRING.findall(text) if longest >= _LONG else ():
            known = string in case.demonstration or string in case.prompt
            if len(_SWITCH.findall(string)) >= 4 and not known:
                return self.failed("noise", f"{shown(string, 40)!r} is no word and no number.")
        return None

    def _again(self, text: str, demonstration: str) -> tuple[str, int] | None:
        """What stands in a row too often, and how often; a rule or a table that the demonstration has, too, may.

        Where a piece of at most 40 characters stands in a row, every stretch of it comes again within 40 characters:
        a fast necessary condition.
        """
        for at in range(0, len(text) - _CHUNK, _CHUNK):
            if text.find(text[at : at + _CHUNK], at + 1, at + _CHUNK + _PERIOD) < 0:
                continue
            for match in _AGAIN.finditer(text[max(0, at - _PERIOD) : at + 5 * _PERIOD]):
                unit, count = match.group(1), len(match.group()) // len(match.group(1))
                if (
                    len(match.group()) >= self.min_again
                    and unit * 4 not in demonstration
                    and not _drawn(unit)
                ):
                    return unit, count
        return None


@lru_cache(maxsize=1024)
def _characters(text: str) -> frozenset[str]:
    """The characters of a text beyond ASCII."""
    return frozenset() if text.isascii() else frozenset(char for char in text if not char.isascii())


def _joins(text: str, joiner: str) -> bool:
    """Whether every joiner stands between letters that need it, or between emoji."""
    return all(
        0 < at < len(text) - 1 and min(text[at - 1], text[at + 1]) >= "\u0590"
        for at, char in enumerate(text)
        if char == joiner
    )


def _heap(text: str) -> str:
    """Three marks on one letter, or marks that make no letter on two neighbours; empty where there are none."""
    run = re.search(rf"\w?{_MARKS.pattern}{{3,}}", text)
    if run:
        return run.group()
    composed = unicodedata.normalize("NFC", text)
    pair = re.search(rf"(?:[A-Za-z]{_MARKS.pattern}){{2,}}", composed)
    return pair.group() if pair else ""


def _disguised(word: str, words: frozenset[str]) -> bool:
    """Whether Greek letters stand for the Latin ones that they look like: `sοld`, `tο`, and not `Δx`, `αt`, `sinθ`."""
    if not _GREEK.search(word) or not re.search("[A-Za-z]", word):
        return False
    return _SANDWICH.search(word) is not None or (
        (len(word) >= 3 or _NO_SYMBOL.search(word) is not None)
        and (told := word.translate(_LOOKALIKE).lower()) in words | GRAMMAR
        and told.isascii()
    )


def _unclosed(text: str) -> bool:
    return text.count("<<") != text.count(">>")


def shouts(text: str) -> bool:
    """Whether the words of a text are in capitals, those of one or two letters apart."""
    capitals = len(_CAPITALS.findall(text))
    return capitals >= 5 and capitals > 0.6 * len(_LONG_WORD.findall(text))


def _drawn(unit: str) -> bool:
    """A line that is drawn, of dashes, dots or stars; the zeros of a number; `1 - ` of a sum of equal numbers."""
    return not unit.strip("-_=.*~+#|─━═│┃· \n\t0") or (
        not unit.strip("0123456789+-*/×÷−= ") and unit.strip("0123456789 ") != ""
    )
