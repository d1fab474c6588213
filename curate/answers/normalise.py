"""What surrounds an answer without belonging to it, and the form in which equal answers are mostly equal strings.

>>> normal("**−3  apples**."), unwrap("$42$")
('-3 apples', '42')
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

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


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """The form in which equal answers are mostly equal strings. Letters keep their case."""
    text = unwrap(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.replace("½", " 1/2").replace("⅓", " 1/3").replace("¼", " 1/4")
                                     .replace("¾", " 3/4").replace("⅔", " 2/3"))  # fmt: skip
        text = text.replace("\u2212", "-").replace("\u200b", "").replace("\u2044", "/").strip()
    text = re.sub(r"(?<=\d)\\[,!](?=\d{3})", ",", text) if "\\" in text else text
    return " ".join(_TIMES_TEN.sub(r"\1 \\times 10^", text).split())
