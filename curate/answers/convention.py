"""What a row says about the notation of its answers: whether a bare figure is a percentage, and what a comma means.

>>> convention("What percent of the eggs are brown?").percent, convention("Was kostet es?", "2,50 €").decimal_comma
(True, True)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PERCENT_ASKED = re.compile(
    r"\b(?:what|which|how many|find|determine|calculate|express)\b[^.?!]{0,60}"
    r"(?<!\d)(?<!\d\s)(?<!\w-)\bpercent(?:age)?\b"
    r"|\b(?:as an?|in) percent(?:age)?\b",
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r"(?<![\d(\[{,.])\d{1,3}(?:\.\d{3})*,\d{1,2}(?![\d,)\]}]|\.\d)")
_DECIMAL_POINT = re.compile(r"(?<![\d.,])\d+\.\d{1,2}(?!\d|\.\d)|(?<![\d,])\d{1,3}(?:,\d{3})+(?!\d)")
_SCALAR = re.compile(r"\D*\d[\d.]*(?:,\d+)?(?:\D*|\D+\d\D*)\Z")


@dataclass(frozen=True, slots=True)
class Convention:
    """How the answers of one row are written."""

    percent: bool = False
    """A bare figure counts percent, since percent are asked for."""
    decimal_comma: bool = False
    """`1.234,5` is a little more than a thousand, `2,5` two and a half, `1.234` a whole number."""


PLAIN = Convention()


@lru_cache(maxsize=1024)
def convention(question: str, demonstration: str = "") -> Convention:
    """Read from the row's own words; `PLAIN` where they say nothing."""
    percent = "ercent" in question and _PERCENT_ASKED.search(question) is not None
    both = f"{question}\n{demonstration}"
    comma = _DECIMAL_COMMA.search(both) is not None and _DECIMAL_POINT.search(both) is None
    return Convention(percent, comma) if percent or comma else PLAIN


def with_decimal_point(text: str) -> str:
    """An answer written with decimal commas, with decimal points; lists stay as they are."""
    if not _SCALAR.match(text):
        return text
    return re.sub(r"(?<=\d)\.(?=\d{3}(?!\d))", "", text).replace(",", ".")
