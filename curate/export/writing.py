"""Rows into the files of a format: one pass over the rows of a version, or over a stretch of them.

Rows in = rows written + rows refused, and every refused row is named in a file with what it has and what the trainer
lacks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.curation.split import below, below_bytes
from recast.curate.export.destination import Place
from recast.curate.export.formats import Asked, Format, Line, Refusal, Shape, Slots
from recast.curate.export.outcome import Tally
from recast.curate.export.rejected import Rejected
from recast.curate.export.rows import TALKS, Kind, Row, columns, prompt_key, rows_of
from recast.curate.export.sinks import Sink, as_line, table_of
from recast.curate.export.slots import Plain, each_of, line_of, lines_of, plain, table_of_plain, truths
from recast.curate.export.target import Target
from recast.curate.schema import conform, table

AT_ONCE = 2_048
"""Plain rows that become text or columns together: what is made of them on the way stays near the processor."""
MOST_RUNS = 65  # of rows of one kind in a batch: shorter ones are not worth their own columns

_ASKS, _SAYS = {"content": "a", "role": "user"}, {"content": "b", "role": "assistant"}
_TALKS = [
    {"row_id": "1", "messages": [_ASKS, _SAYS, _ASKS], "completion": "c", "answer": "c"},
    {
        "row_id": "2",
        "messages": [{**_ASKS, "role": "system"}, _ASKS, _SAYS, _ASKS],
        "completion": "c",
        "answer": "c",
    },
]
"""Rows of several turns that show what a format makes of such."""


class Unforeseen(Exception):
    """A turn has a member for which the table has no column: the version must be surveyed whole, and written again."""


class Writing:
    """One pass over rows."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        form: Format,
        shape: Shape,
        asked: Asked,
        target: Target,
        share: float,
        *,
        named: Callable[[Place], Place] = lambda place: place,
        staged: Callable[[Place], Place] = lambda place: place,
    ) -> None:
        """`share`: of the prompts that are held out. `named` says what each file of the target is called in this pass,
        `staged` where one of that name waits to be put in place."""
        self.asked, self.share = asked, share
        schema = shape.schema(asked) if target.parquet and shape.schema else None
        if schema is not None and not shape.parquet and shape.knows - TALKS:
            # plain columns of role and content; JSON lines hold the rest
            shape = replace(shape, knows=(shape.knows & (TALKS | {Kind.DEVELOPER, Kind.MARKED})))
            self.trainer = f"a table of {form.name}"
        else:
            self.trainer = form.trainer
        self.shape = shape
        self.slots = shape.lines.of(asked) if isinstance(shape.lines, Slots) else None

        def sink(place: Place, schema: pa.Schema | None = None) -> Sink:
            return Sink(stack, named(place), schema, staged=staged(named(place)))

        self.train, self.held = sink(target.train, schema), sink(target.validation, schema)
        self.left = sink(target.refused)
        self.indexes = [sink(_index(p)) for p in (target.train, target.validation)] if shape.index else []
        self.tally = Tally()

    @property
    def columns(self) -> list[str]:
        """Columns of the store that the rows must have."""
        return columns(whole=self.shape.whole, spoken=self.asked.survey.spoken)

    @cached_property
    def talks(self) -> bool:
        """Whether rows with earlier turns of the assistant are plain, too: none is refused, marked or shaped here."""
        if self.slots is None:
            return False
        probe = conform(table(_TALKS))
        rows = rows_of(probe, whole=self.shape.whole)
        if any(self.shape.refuses(row, self.asked, self.trainer) for row in rows):
            return False
        lines = [line_of(self.slots, row) for row in rows]
        if self.train.schema is None:
            return bytes(lines_of(self.slots, Plain(probe))) == "".join(map(as_line, lines)).encode()
        columns = table_of_plain(self.slots, Plain(probe), self.train.schema)
        return columns.equals(table_of(lines, self.train.schema))

    def write(self, batches: Iterable[pa.RecordBatch], pairs: Rejected | None) -> Tally:
        """Write the rows and end the files. Raises Unforeseen, of tables."""
        whole = self.shape.whole
        talks = False  # not looked for before there is one: most versions have none
        for batch in batches:
            if self.slots is None:
                rows = rows_of(batch, whole=whole)
                self._write(pairs.beside(rows) if pairs is not None else rows)
                continue
            simple_rows = plain(batch, talks=talks)
            if not talks and not simple_rows.all() and self.talks:
                talks, simple_rows = True, plain(batch, talks=True)
            for begin, end, simple in _runs(simple_rows):
                if not simple:
                    self._write(rows_of(batch.slice(begin, end - begin), whole=whole))
                    continue
                for start in range(begin, end, AT_ONCE):
                    self._write_plain(batch.slice(start, min(AT_ONCE, end - start)))
        done = self.tally
        for side, sink in enumerate((self.train, self.held)):
            done.data[side].extend(sink.close())
            done.lines[side] = sink.lines
        done.columns = self.train.columns
        done.others = [file for sink in (*self.indexes, self.left) for file in sink.close()]
        return done

    def _write_plain(self, batch: pa.RecordBatch) -> None:
        """What `_write` does for rows that nothing can refuse, without an object for any of them."""
        assert self.slots is not None
        sides = [(self.train, batch), (self.held, batch.slice(0, 0))]
        if self.share:
            held = truths(below_bytes(each_of(batch.column("messages")), self.share))
            sides = [(self.train, batch.filter(pc.invert(held))), (self.held, batch.filter(held))]
        for side, (sink, rows) in enumerate(sides):
            if not rows.num_rows:
                continue
            self.tally.rows[side] += rows.num_rows
            for counted in pc.value_counts(rows.column("decision")).to_pylist():
                self.tally.decided(counted["values"], counted["counts"])
            if sink.schema is not None:
                sink.write_table(table_of_plain(self.slots, Plain(rows), sink.schema))
            else:
                sink.columns = list(self.slots)
                sink.write_text(lines_of(self.slots, Plain(rows)), rows.num_rows)

    def _write(self, rows: Sequence[Row]) -> None:
        shape, asked = self.shape, self.asked
        lines: tuple[list[Any], list[Any]] = [], []
        index: tuple[list[Any], list[Any]] = [], []
        table = self.train.schema is not None
        for row in rows:
            if table and asked.survey.unforeseen(row):
                raise Unforeseen
            if refusal := shape.refuses(row, asked, self.trainer):
                self._refuse(row, refusal)
                continue
            side = int(self.share > 0 and below([prompt_key(row)], self.share)[0])
            self.tally.rows[side] += 1
            self.tally.decided(row.decision)
            made = self._made(row)
            lines[side].extend(made)
            if shape.index:
                index[side].extend(asked.row_facts(row) for _ in made)
        self.train.write(lines[0])
        self.held.write(lines[1])
        for sink, each in zip(self.indexes, index, strict=False):
            sink.write(each)

    def _made(self, row: Row) -> list[Line]:
        """The lines of a row that is not refused."""
        if self.slots is not None:
            return [line_of(self.slots, row)]
        assert not isinstance(self.shape.lines, Slots)
        return list(self.shape.lines(row, self.asked))

    def _refuse(self, row: Row, refusal: Refusal) -> None:
        self.tally.refuse(refusal.reason, refusal.has, refusal.lacks, [row.row_id])
        self.left.write([
            {"row_id": row.row_id, "target": row.target, "reason": refusal.reason, "has": refusal.has,
             "lacks": refusal.lacks}
        ])  # fmt: skip


def _runs(simple: np.ndarray) -> list[tuple[int, int, bool]]:
    """Begin, end and kind of runs of rows of one kind; one run of the other kind where they change too often."""
    cuts = [0, *(np.flatnonzero(np.diff(simple)) + 1).tolist(), len(simple)]
    if len(cuts) > MOST_RUNS:
        return [(0, len(simple), False)]
    return [(a, b, bool(simple[a])) for a, b in pairwise(cuts) if a < b]


def _index(path: Place) -> Place:
    return path.with_name(f"{path.stem}.index.jsonl")
