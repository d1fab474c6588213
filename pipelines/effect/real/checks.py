"""Whether a reply does what an instruction asks, in Python's own library alone.

The text of this module is the source of a `python` grader (`pipelines.effect.real.subject`), so nothing may be imported
but what a bare Python has. `item["check"]` is a list of conditions, each `[kind, value]`; all of them must hold.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s+(?=\S)")
_AROUND = " \t\n.,;:!?*_\"'`“”‘’()[]"


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """1 where every condition of the item holds for the reply, else 0."""
    said = sample["output_text"].strip()
    return float(bool(said) and all(CONDITIONS[kind](said, value) for kind, value in item["check"]))


def plain(text: str) -> str:
    """A text without case, with single spaces, without signs at its ends."""
    return " ".join(text.casefold().split()).strip(_AROUND)


def words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text)


def entries(text: str) -> list[str]:
    """The entries of a list: marked lines where there are any, else lines, else what commas and `and` part."""
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if _MARK.match(line)]
    if marked or len(lines) > 1:
        return [_MARK.sub("", line) for line in marked or lines]
    return [part for part in re.split(r",\s*and\s+|,|\band\b", text) if part.strip(_AROUND)]


def only(said: str, value: str) -> bool:
    """Nothing but this, whatever its case and the signs around it."""
    return plain(said) == plain(value)


def exactly(said: str, value: str) -> bool:
    """This text to the letter; quotes around the whole are let pass."""
    return said.strip("\"'“”‘’") == value


def has(said: str, value: str) -> bool:
    """These words, as whole ones, whatever their case."""
    return re.search(rf"\b{re.escape(value.casefold())}\b", said.casefold()) is not None


def lacks(said: str, value: list[str]) -> bool:
    """None of these words."""
    return not any(has(said, one) for one in value)


def spells(said: str, value: str) -> bool:
    """This text with this very case."""
    return value in said


def num_entries(said: str, value: int) -> bool:
    return len(entries(said)) == value


def num_sentences(said: str, value: int) -> bool:
    return len(re.findall(r"[.!?]+(?=\s|$)", said)) == value


def begins(said: str, value: str) -> bool:
    return re.match(rf"{re.escape(value)}\b", said.lstrip("\"'“‘*")) is not None


def ends(said: str, value: str) -> bool:
    return plain(said).endswith(plain(value))


def first(said: str, value: str) -> bool:
    """The first word of the reply."""
    found = words(said)
    return bool(found) and found[0].casefold() == value.casefold()


def numbers(said: str, value: list[int]) -> bool:
    """These numbers in this order, and no others."""
    return [int(n) for n in re.findall(r"\d+", said)] == value


def in_a_row(said: str, value: list[int]) -> bool:
    """These numbers in this order, one after another, somewhere."""
    found = [int(n) for n in re.findall(r"\d+", said)]
    return any(found[i : i + len(value)] == value for i in range(len(found)))


def min_lines(said: str, value: int) -> bool:
    return sum(bool(line.strip()) for line in said.splitlines()) >= value


def ordered(said: str, value: list[str]) -> bool:
    """These words in this order, where the reply names them last."""
    named = [w.casefold() for w in words(said) if w.casefold() in value]
    return named[-len(value) :] == value


def json_of(said: str, value: dict[str, Any]) -> bool:
    """An object of JSON with these members and no others, a fence or words around it or not."""
    start, end = said.find("{"), said.rfind("}")
    try:
        found = json.loads(said[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return False
    return isinstance(found, dict) and {k: str(v) for k, v in found.items()} == {
        k: str(v) for k, v in value.items()
    }


CONDITIONS: dict[str, Callable[[str, Any], bool]] = {
    one.__name__: one
    for one in (
        only, exactly, has, lacks, spells, num_entries, num_sentences, begins, ends, first, numbers,
        in_a_row, min_lines, ordered, json_of,
    )
}  # fmt: skip
