"""Labelled data from any dataset with stated answers: `perturb` makes every kind that applies to each row.

A kind changes a right retelling (`curate.gate.perturbation.sums.retold`) in one way: kinds in sums have plain
names, kinds in words are `group/kind`. What is made depends on nothing but the row, the one before it and the seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Any

from recast.curate.arithmetic.equalities import equalities
from recast.curate.fingerprint import seed_of
from recast.curate.gate.labels import Labelled
from recast.curate.gate.perturbation import form, meaning
from recast.curate.gate.perturbation.sums import OPEN, RIGHT, WRONG, retold
from recast.curate.gate.perturbation.told import Kind, Told

WORDS: dict[str, Kind] = {**meaning.KINDS, **form.KINDS}
"""Every kind that is wrong in words."""


def perturb(rows: Iterable[Mapping[str, Any]], *, seed: int = 0, words: bool = False) -> Iterator[Labelled]:
    """Every kind that applies to each row. Rows whose own demonstration states a false equality are left out.

    `words`: also those that are wrong in words (`WORDS`).
    """
    before: str | None = None
    for number, row in enumerate(rows):
        text = retold(row)
        if text is None or any(e.truth is False for e in equalities(text)):
            continue
        name = str(row.get("row_id") or number)
        for right, kinds in ((True, RIGHT), (False, WRONG), (None, OPEN)):
            for kind, change in kinds.items():
                changed = change(text, Random(seed_of(seed, name, kind)))
                if changed is not None and (changed != text or kind == "retold"):
                    yield Labelled(row, changed, right, kind)
        told = Told(row, text, before)
        for kind, make in WORDS.items() if words else ():
            changed = make(told, Random(seed_of(seed, name, kind)))
            if changed is not None and changed != text:
                yield Labelled(row, changed, False, kind)
        before = text
