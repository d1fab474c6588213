"""A text with marks on it, as trees of elements: whatever it is cut into, each piece keeps the marks of its place.

A node is a text, or a list of a tag's name, its attributes, and nodes. The page makes elements of them with
`createElement` and text nodes only, so no text can become an element.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

Node = Any  # str | [tag, {attribute: text}, *nodes]

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Signs that show nothing, or that move others: they are shown by their code points."""

_AROUND = 1  # characters that an edit of format takes beside its signs: a blank


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters `start` to `end` of a text: what a diff says of them, or a check's words about them."""

    start: int
    end: int
    kind: Literal["ins", "del", "check"]
    said: str = ""  # of a check
    formats: bool = False  # the edit is one of format


class Painted:
    """A text with its marks, cut up by place."""

    def __init__(self, text: str, marks: Iterable[Mark] = ()) -> None:
        self.text = text
        changes: list[tuple[int, bool, Mark]] = []
        for mark in marks:
            if mark.start < mark.end:
                changes += [(mark.start, True, mark), (mark.end, False, mark)]
        changes.sort(key=lambda change: change[0])
        self._starts = [0]
        self._worn: list[tuple[Mark, ...]] = [()]
        worn: list[Mark] = []
        for place, begins, mark in changes:
            worn.append(mark) if begins else worn.remove(mark)
            if place == self._starts[-1]:
                self._worn[-1] = tuple(worn)
            else:
                self._starts.append(place)
                self._worn.append(tuple(worn))

    def leaf(self, start: int, end: int) -> list[Node]:
        """Characters `start` to `end` as they are."""
        out: list[Node] = []
        at = bisect_right(self._starts, start) - 1
        while start < end:
            stop = min(end, self._starts[at + 1] if at + 1 < len(self._starts) else end)
            if start < stop:
                out += _worn(seen(self.text[start:stop]), self._worn[at])
            start, at = stop, at + 1
        return out

    def sign(self, shown: str, start: int, end: int) -> list[Node]:
        """`shown` in place of the characters `start` to `end`."""
        return _worn([shown] if shown else [], self.marks(start, end))

    def hidden(self, start: int, end: int) -> list[Node]:
        """Signs that only format: nothing, but where a diff is about little else than them."""
        edits = (mark for mark in self.marks(start, end) if mark.kind != "check")
        about = any(mark.formats or mark.end - mark.start <= end - start + _AROUND for mark in edits)
        return self.leaf(start, end) if about else []

    def marks(self, start: int, end: int) -> tuple[Mark, ...]:
        """The marks that touch characters `start` to `end`."""
        at, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1) - 1
        return tuple(dict.fromkeys(mark for worn in self._worn[at : last + 1] for mark in worn))

    @cached_property
    def braces(self) -> dict[int, int]:
        """Place of every opening brace -> place of the one that closes it."""
        pairs: dict[int, int] = {}
        open_: list[int] = []
        for found in re.finditer(r"\\.|[{}]", self.text, re.DOTALL):
            if found[0] == "{":
                open_.append(found.start())
            elif found[0] == "}" and open_:
                pairs[open_.pop()] = found.start()
        return pairs


def seen(text: str) -> list[Node]:
    """`text` with signs that nobody could see as their code points."""
    out: list[Node] = []
    at = 0
    for found in _HIDDEN.finditer(text):
        if at < found.start():
            out.append(text[at : found.start()])
        point = f"U+{ord(found[0]):04X}"
        name = unicodedata.name(found[0], "a control character")
        out.append(["span", {"class": "hidden-sign", "title": f"{point}: {name.lower()}"}, point])
        at = found.end()
    return [*out, text[at:]] if at < len(text) else out


def _worn(nodes: list[Node], marks: tuple[Mark, ...]) -> list[Node]:
    """`nodes` inside the elements of their marks."""
    if not nodes:
        return []
    for mark in sorted(marks, key=lambda mark: mark.kind != "check"):
        attributes = {"class": "check-mark", "data-tip": mark.said} if mark.kind == "check" else {}
        nodes = [["mark" if mark.kind == "check" else mark.kind, attributes, *nodes]]
    return nodes
