"""How texts of strangers reach a terminal: signs that would move its cursor are shown, and what is long is cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

PIPED_WIDTH = 200
_KEPT = "\n\t"


class _Pictures(dict[int, str]):
    """For `str.translate`: control signs become their pictures, hidden directions their code points."""

    def __missing__(self, point: int) -> str:
        sign = chr(point)
        shown = sign
        if sign in _KEPT:
            pass
        elif point < 0x20:
            shown = chr(0x2400 + point)
        elif point == 0x7F:
            shown = "\u2421"
        elif unicodedata.category(sign) in ("Cc", "Cs") or unicodedata.bidirectional(sign) in _DIRECTIONS:
            shown = f"<U+{point:04X}>"
        self[point] = shown
        return shown


_DIRECTIONS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
_PICTURES = _Pictures()


def visible(text: str, limit: int | None = None) -> str:
    """`text` with control signs made visible; beyond `limit` characters, cut with a note of how many follow."""
    if limit is None or len(text) <= limit:
        return text.translate(_PICTURES)
    return f"{text[:limit].translate(_PICTURES)}\u2026 and {len(text) - limit:,} more characters"


def line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters."""
    joined = " ".join(visible(text[: 4 * limit]).split())
    return joined if len(joined) <= limit and len(text) <= 4 * limit else f"{joined[: limit - 1]}\u2026"


def unwrapped(console: Any) -> Any:
    """The rich console, wide enough for a table where it does not go to a terminal."""
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    return console


def counted(num: int, noun: str) -> str:
    """`1 row`, `3,043 rows`."""
    return f"{num:,} {noun}" + ("" if num == 1 else "s")


def histogram(counts: Mapping[int, int], width: int = 28) -> list[str]:
    """Lines of bars over bins that are named by their upper bound, gaps included."""
    eighths = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589"
    most = max(counts.values(), default=1)
    bound, bins = min(counts, default=1), []
    while bound <= max(counts, default=0):
        bins.append(bound)
        bound *= 2
    lines = []
    for bound in bins:
        whole, rest = divmod(round(8 * width * counts.get(bound, 0) / most), 8)
        bar = "\u2588" * whole + (eighths[rest] if rest else "")
        lines.append(
            f"\u2264 {bound:>9,}  {bar or (eighths[1] if counts.get(bound) else '')} {counts.get(bound, 0):,}"
        )
    return lines
