"""What `exact` and `ranked_list` do, in Python's own library alone.

`train.graders.format.publish` writes the text of this module into a published `python` grader, so that such a grader
says elsewhere what it says here. Nothing may be imported but what a bare Python has.
"""

from __future__ import annotations

import json
import re
import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MOST_ENTRIES, MOST_CHARS = 10_000, 10_000
"""Entries of a list, and characters of one, that are looked at."""

_BULLET = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.):]\)?|\(?[a-z][.)])\s+(?=\S)")


def member(value: Any, part: str | int) -> Any:
    """The member of an object or a list; None where there is none."""
    if isinstance(value, dict):
        return value.get(str(part))
    if isinstance(value, list | tuple):
        plain = isinstance(part, int) or (part.isascii() and part.isdigit() and len(part) < 10)
        index = int(part) if plain else -1
        return value[index] if 0 <= index < len(value) else None
    return None


def written(value: Any) -> str:
    """A value as it stands in a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def plain_text(text: str, ignore_case: bool, ignore_space: bool) -> str:
    text = " ".join(text.split()) if ignore_space else text
    return text.casefold() if ignore_case else text


def plain_entry(entry: str) -> str:
    """An entry without case, with single spaces, without punctuation at its ends."""
    words = " ".join(unicodedata.normalize("NFKC", entry[:MOST_CHARS]).casefold().split())
    return words.strip(".,;:!?*_\"'`()[] ")


def listed(value: Any) -> list[str] | None:
    """The entries of a list, or of a text that holds one as JSON or as lines; None for anything else.

    Where some lines are numbered or bulleted, the others are what was said around the list.
    """
    if isinstance(value, list | tuple):
        return [written(one) for one in value[:MOST_ENTRIES]]
    if not isinstance(value, str):
        return None
    said = value.strip()
    if said.startswith("["):
        try:
            read = json.loads(said)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list):
            return listed(read)
    lines = [line for line in said.splitlines() if line.strip()][:MOST_ENTRIES]
    marked = [found for line in lines if (found := _BULLET.match(line))]
    if marked:
        return [found.string[found.end() :].strip() for found in marked]
    return [line.strip() for line in lines] or None


def position_of(entries: Sequence[str], references: Sequence[str], longest: int) -> int | None:
    """The first position, from 1, of an entry that is one of `references`."""
    wanted = {plain_entry(one) for one in references}
    return next((n for n, one in enumerate(entries[:longest], 1) if plain_entry(one) in wanted), None)


def worth(position: int, credit: float | Sequence[float], longest: int) -> float:
    """Credit of a position: gamma^(k-1), or that of a list; none beyond `longest` or the list."""
    if position > longest:
        return 0.0
    if isinstance(credit, int | float):
        return float(credit ** (position - 1))
    return credit[position - 1] if position <= len(credit) else 0.0
