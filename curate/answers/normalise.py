"""What surrounds an answer without belonging to it, and the form in which equal answers are mostly equal strings.

>>> normal("**−3  apples**."), unwrap("$42$")
('-3 apples', '42')
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from recast.curate.maths.notation import lowered, raised

MAX_ANSWER_CHARS = 2_000

_PAIRS = (
    ("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'),
    ("“", "”"), ("<", ">"), ("'", "'"),
)  # fmt: skip
_WRAP = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|boxed|fbox|mbox)\s{0,4}\{([^{}]*)\}\Z")
_TIMES_TEN = re.compile(r"(\d)\s*[xX]\s*10\s*\^")  # 1.5 x 10^4


def unwrap(text: str) -> str:
    """Take off what surrounds an answer without belonging to it: dollars, bold, quotes, `\\text{}`, a full stop."""
    text = text.strip()[:MAX_ANSWER_CHARS]
    if text.isalnum():
        return text
    for _ in range(8):
        before = text
        text = text.strip()
        if not text.endswith(("...", "a.m.", "p.m.")):
            text = text.rstrip(".;:?").rstrip()
        for opening, closing in _PAIRS:
            if (
                len(text) > len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
            ):
                inner = text[len(opening) : -len(closing)]
                if opening not in inner:
                    text = inner.strip()
        if text.startswith("$") and text.endswith("$") and len(text) > 2 and "$" not in text[1:-1]:
            text = text[1:-1].strip()
        if text.endswith("**") and "**" not in text[:-2]:
            text = text[:-2].rstrip()
        match = _WRAP.match(text)
        if match:
            text = match.group(1).strip()
        if text == before:
            break
    return text


_THOUSANDS = (
    re.compile(r"(?<![\d.,'’])\d{1,3}(?:['’]\d{3})+(?![\d'’])"),  # 1'000
    re.compile(
        r"\A[-+$€£]*\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?![\d/]|[ ,]+\d|\s*\\)"
    ),  # 1 234 567, not a list
    re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])"),  # 1.234.567
)
_CONTINENTAL = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3})+),(\d{1,2}|\d{4,})(?![\d.,])")  # 1.234,56
_ROMAN = re.compile(r"\\(?:text|mathrm|textrm|operatorname|mbox|textbf)\s*\{\s*~?([^{}]*)\}")
_MATH_MODE = re.compile(r"(?<!\\)\$(?=\S)([^$]*[^$\s])\$(?![\d.])")  # $17$ minutes, but not $5-$6
_VULGAR = re.compile(r"[¼-¾⅐-⅞]")


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """The form in which equal answers are mostly equal strings. Letters keep their case."""
    text = unwrap(text)
    if text.isdigit() and text.isascii():
        return text
    if not text.isascii():
        text = _VULGAR.sub(lambda m: f" {unicodedata.normalize('NFKC', m.group())}", lowered(raised(text)))
        text = unicodedata.normalize("NFKC", text.replace("…", "..."))
        text = text.replace("\u2212", "-").replace("\u200b", "").replace("\u2044", "/").strip()
    if text.count("$") > 1:
        text = _MATH_MODE.sub(r"\1", text)
    text = re.sub(r"(?<=\d)\\[,!](?=\d{3})", ",", text) if "\\" in text else text
    return " ".join(_TIMES_TEN.sub(r"\1 \\times 10^", grouped(text)).split())


def grouped(text: str) -> str:
    """Numbers whose thousands are parted otherwise than by commas, where nothing else can be meant."""
    text = _CONTINENTAL.sub(lambda m: f"{m.group(1).replace('.', '')}.{m.group(2)}", text)
    for thousands in _THOUSANDS:
        text = thousands.sub(lambda m: re.sub(r"[^\d+$€£-]", ",", m.group()), text)
    return text


def roman(text: str) -> str:
    """`text` with the words that LaTeX sets upright as plain words."""
    return _ROMAN.sub(r" \1 ", text) if "\\" in text else text
