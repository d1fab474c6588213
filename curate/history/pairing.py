"""Rows without ids that changed: which removed row an added one was before.

A row without an id has one made of its texts, so that an edit takes the row away and adds another. Two such rows are
one when they share their prompt, and of what is left, when most of their words are the same. Rows with ids of their own
are never paired: their ids say that they are others.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from recast.curate.fingerprint import ROW_ID_DIGITS, canonical_json

MADE_ID = rf"[0-9a-f]{{{ROW_ID_DIGITS}}}"
LIKENESS = 0.5  # shared words and pairs of words, of all that either row has
_COMPARED = (
    20_000  # rows on a side that are compared by likeness; a version rewritten whole has no pairs to find
)
_COMMON = 64  # a word that more removed rows have tells none of them apart
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Text:
    """A row that came or went: its key, its prompt as it is stored, its completion."""

    row_id: str
    target: int
    messages: str
    completion: str

    @property
    def id_is_made(self) -> bool:
        """Whether the id is the hash of the texts (`fingerprint.row_id`)."""
        text = f'{{"completion":{canonical_json(self.completion)},"messages":{self.messages}}}'
        return hashlib.sha256(text.encode()).hexdigest()[:ROW_ID_DIGITS] == self.row_id


def pairs(removed: Sequence[Text], added: Sequence[Text]) -> Iterator[tuple[Text, Text]]:
    """Yield (what was, what is) of rows that changed, each row at most once."""
    removed = [row for row in removed if row.id_is_made]
    added = [row for row in added if row.id_is_made]
    for same in (_by_prompt, _by_completion, _by_words):
        found = list(same(removed, added))
        yield from found
        gone = {id(row) for pair in found for row in pair}
        removed, added = ([row for row in side if id(row) not in gone] for side in (removed, added))


def _by_prompt(removed: Sequence[Text], added: Sequence[Text]) -> Iterator[tuple[Text, Text]]:
    """Rows with one prompt; where a prompt has several, the most alike first."""
    sides = [_grouped(rows, lambda row: row.messages) for rows in (removed, added)]
    for prompt, new in sides[1].items():
        old = sides[0].get(prompt, [])
        if len(old) == len(new) == 1:
            yield old[0], new[0]
        elif old:
            yield from _most_alike(old, new, 0.0)


def _by_completion(removed: Sequence[Text], added: Sequence[Text]) -> Iterator[tuple[Text, Text]]:
    """Rows with one completion that no other row has, whose prompts have a word in common."""
    sides = [_grouped(rows, lambda row: row.completion) for rows in (removed, added)]
    for completion, new in sides[1].items():
        old = sides[0].get(completion, [])
        if len(old) == len(new) == 1 and _words(_spoken(old[0])) & _words(_spoken(new[0])):
            yield old[0], new[0]


def _by_words(removed: Sequence[Text], added: Sequence[Text]) -> Iterator[tuple[Text, Text]]:
    if max(len(removed), len(added)) <= _COMPARED:
        yield from _most_alike(removed, added, LIKENESS)


def _most_alike(removed: Sequence[Text], added: Sequence[Text], least: float) -> Iterator[tuple[Text, Text]]:
    """Pairs by falling likeness, of at least `least`; ties in the order of the rows."""
    old, new = ([_words(f"{_spoken(row)}\n{row.completion}") for row in side] for side in (removed, added))
    having: dict[str, list[int]] = defaultdict(list)
    for at, words in enumerate(old):
        for word in words:
            having[word].append(at)
    found: list[tuple[float, int, int]] = []
    for j, words in enumerate(new):
        shared = Counter(i for word in words if len(rows := having.get(word, ())) <= _COMMON for i in rows)
        for i, _ in shared.most_common(4):
            alike = len(old[i] & words) / max(len(old[i] | words), 1)
            if alike >= least:
                found.append((-alike, i, j))
    gone: set[int] = set()
    come: set[int] = set()
    for _, i, j in sorted(found):
        if i not in gone and j not in come:
            gone.add(i)
            come.add(j)
            yield removed[i], added[j]


def _grouped(rows: Sequence[Text], of: Callable[[Text], str]) -> dict[str, list[Text]]:
    groups: dict[str, list[Text]] = defaultdict(list)
    for row in rows:
        groups[of(row)].append(row)
    return groups


def _spoken(row: Text) -> str:
    return "\n".join(str(turn.get("content")) for turn in json.loads(row.messages))


def _words(text: str) -> frozenset[str]:
    """Words of a text, and pairs of neighbours."""
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(words) | frozenset(map(" ".join, itertools.pairwise(words)))
