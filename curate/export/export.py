"""A version as the files of a trainer, each written whole, with what the trainer needs beside them.

    export(store, "gsm8k@v3", "llamafactory", "out/", validation=0.05)
    export(store, "gsm8k@v3", "trl", "pairs.jsonl", objective="dpo")

Rows in = rows written + rows refused, and every refused row is named in `refused.jsonl` with what it has and what the
trainer lacks. A folder that was exported to is known by its `recast.json`, which names every file with its hash;
exporting to it again replaces all of them, so that no row of an older split stays behind.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.curation.split import below
from recast.curate.errors import DataError, UsageError
from recast.curate.export.formats import Asked, Format, Line, Objective, Refusal, Shape, Slots, Turns
from recast.curate.export.registry import find
from recast.curate.export.rejected import Rejected, rejected
from recast.curate.export.rows import TALKS, Kind, Row, columns, prompt_key, rows_of, survey
from recast.curate.export.sinks import Sink, Written, measured
from recast.curate.export.slots import Plain, line_of, lines_of, plain, table_of_plain, truths
from recast.curate.files import whole
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.store import Store

MANIFEST = "recast.json"
NAMED_ROWS = 5  # refused rows that a result names for each reason; the file names all
MOST_RUNS = 65  # of rows of one kind in a batch: shorter ones are not worth their own columns


@dataclass(slots=True)
class Refused:
    """Rows of one reason."""

    has: str
    lacks: str
    count: int = 0
    rows: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path  # the file, or the folder
    format: str
    objective: Objective
    turns: Turns
    ref: str
    version_id: str
    rows: int  # written, training and validation together
    validation_rows: int
    lines: int  # more than rows where a row is several examples
    columns: tuple[str, ...]
    files: tuple[Written, ...]
    data: tuple[Path, ...]  # those of them that hold the lines
    refused: Mapping[str, Refused]
    start: str
    notes: tuple[str, ...]

    @property
    def refused_rows(self) -> int:
        return sum(each.count for each in self.refused.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "format": self.format,
            "objective": self.objective,
            "turns": self.turns,
            "ref": self.ref,
            "version_id": self.version_id,
            "rows": self.rows,
            "validation_rows": self.validation_rows,
            "lines": self.lines,
            "columns": list(self.columns),
            "refused": {
                reason: {"count": r.count, "has": r.has, "lacks": r.lacks, "rows": r.rows}
                for reason, r in self.refused.items()
            },
            "files": [file.to_json() for file in self.files],
            "start": self.start,
            "notes": list(self.notes),
        }


def export(
    store: Store,
    ref: str,
    to: str,
    path: str | Path,
    *,
    objective: Objective | None = None,
    turns: Turns | None = None,
    validation: float = 0.0,
    facts: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the version `ref` for the trainer `to` and return what was written.

    `path` is a folder (existing, or a name without suffix), or a file where the format needs nothing beside it.
    `objective`: None is the format's first, SFT for all but `verifiers`. `turns`: which of the assistant's turns SFT is
    to train, `last` unless said. `validation`: share of the rows, by the hash of their prompt, that goes to a second
    file. `facts`: what a card says beside (`trainers.hub.card`).
    Raises UsageError for what the format cannot mean, DataError where no row is left to write.
    """
    form, wanted, shape = find(to, objective)
    if turns is not None and (wanted != "sft" or shape.trains == "reader"):
        raise UsageError(f"--turns has no effect on {to} as {wanted}: it says which turns SFT trains.")
    if not 0 <= validation < 1:
        raise UsageError(
            f"the share for validation is {validation}; expected 0 to below 1, for instance 0.05."
        )
    snapshot = store.open(ref)
    target = _target(Path(path), form, wanted, shape, snapshot)
    asked = Asked(
        name=snapshot.version.name,
        slug=target.slug,
        version=f"{snapshot.version.ref} {snapshot.version.id[:16]}",
        version_id=snapshot.version.id,
        folder=target.folder,
        train=target.train,
        validation=target.validation if validation else None,
        objective=wanted,
        turns=turns or "last",
        survey=survey(snapshot, table=target.parquet),
    )
    earlier = _earlier(target, shape, asked)
    with contextlib.ExitStack() as stack:
        # entered first, so in place last: a folder with a manifest of right hashes is whole
        manifest = stack.enter_context(whole(target.folder / MANIFEST)) if target.listed else None
        run = _Run(stack, form, shape, asked, target, validation)
        pairs = (
            stack.enter_context(rejected(store.with_candidates(snapshot.version)))
            if run.needs_rejected
            else None
        )
        run.write(snapshot, pairs)
        done = run.finish(stack, facts or {})
        if manifest is not None:
            manifest.write_text(
                json.dumps(done.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    kept = {file.path for file in done.files} | {target.folder / MANIFEST}
    for old in earlier - kept:
        old.unlink(missing_ok=True)
    return done


# where to


@dataclass(frozen=True, slots=True)
class _Target:
    path: Path
    folder: Path
    train: Path
    validation: Path
    refused: Path
    slug: str
    parquet: bool
    listed: bool  # a folder of this export alone


def _target(path: Path, form: Format, objective: str, shape: Shape, snapshot: Snapshot) -> _Target:
    slug = f"{snapshot.version.name}-v{snapshot.version.number}"
    if path.is_dir() or not path.suffix:
        suffix = ".parquet" if shape.parquet else ".jsonl"
        train, held = (path / f"{name.format(slug=slug)}{suffix}" for name in shape.files)
        own = "{slug}" not in shape.files[0]
        left = path / ("refused.jsonl" if own else f"{slug}.refused.jsonl")
        return _Target(path, path, train, held, left, slug, shape.parquet, own)
    if shape.beside.__name__ != "nothing" or shape.card or shape.shard_rows:
        raise UsageError(f"{form.name} as {objective} is several files; name a folder instead of {path}.")
    parquet = path.suffix == ".parquet"
    if path.suffix not in (".jsonl", ".json", ".parquet"):
        raise UsageError(f"{path} is neither .jsonl nor .parquet; name a file of these, or a folder.")
    if (parquet and shape.schema is None) or (shape.parquet and not parquet):
        raise UsageError(
            f"{form.name} reads {'Parquet' if shape.parquet else 'JSON lines'}; {path} is another kind."
        )
    held, left = (
        path.with_name(f"{path.stem}.{name}") for name in (f"validation{path.suffix}", "refused.jsonl")
    )
    return _Target(path, path.parent, path, held, left, slug, parquet, False)


def _earlier(target: _Target, shape: Shape, asked: Asked) -> set[Path]:
    """Files of an earlier export to the folder. Raises UsageError where a file of somebody else's would be replaced."""
    if not target.listed:
        return set()
    known: set[Path] = set()
    if (target.folder / MANIFEST).exists():
        listed = json.loads((target.folder / MANIFEST).read_text(encoding="utf-8"))
        folder = Path(listed["path"])
        known = {target.folder / Path(file["path"]).relative_to(folder) for file in listed["files"]}
    beside = [target.folder / name for name in (*shape.beside(asked), *(["README.md"] if shape.card else []))]
    shards = [
        found
        for path in (target.train, target.validation)
        for found in path.parent.glob(f"{path.stem}-*{path.suffix}")
    ]
    for path in (
        target.train,
        target.validation,
        target.refused,
        *beside,
        *(shards if shape.shard_rows else ()),
    ):
        if path.exists() and path not in known:
            raise UsageError(
                f"{path} is there already and no export wrote it (there is no {MANIFEST} that names it); move it, or "
                "export to another folder."
            )
    return known


# writing


class _Run:
    """One pass over the rows."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        form: Format,
        shape: Shape,
        asked: Asked,
        target: _Target,
        share: float,
    ) -> None:
        self.form, self.asked, self.target, self.share = form, asked, target, share
        schema = shape.schema(asked) if target.parquet and shape.schema else None
        if schema is not None and not shape.parquet and shape.knows - TALKS:
            # plain columns of role and content; JSON lines hold the rest
            shape = replace(shape, knows=(shape.knows & (TALKS | {Kind.DEVELOPER, Kind.MARKED})))
            self.trainer = f"a table of {form.name}"
        else:
            self.trainer = form.trainer
        self.shape = shape
        self.slots = shape.lines.of(asked) if isinstance(shape.lines, Slots) else None
        self.train = Sink(stack, target.train, schema, shape.shard_rows)
        self.held = Sink(stack, target.validation, schema, shape.shard_rows)
        self.left = Sink(stack, target.refused)
        self.indexes = (
            [Sink(stack, _index(p)) for p in (target.train, target.validation)] if shape.index else []
        )
        self.refused: dict[str, Refused] = {}
        self.rows = [0, 0]
        self.decisions: dict[str, int] = {}

    @property
    def needs_rejected(self) -> bool:
        return self.asked.objective in ("dpo", "kto")

    def write(self, snapshot: Snapshot, pairs: Rejected | None) -> None:
        whole = self.shape.whole
        for batch in snapshot.batches(columns(whole=whole, spoken=self.asked.survey.spoken)):
            if self.slots is None:
                rows = rows_of(batch, whole=whole)
                self._write(pairs.beside(rows) if pairs is not None else rows)
                continue
            for begin, end, simple in _runs(plain(batch)):
                piece = batch.slice(begin, end - begin)
                if simple:
                    self._write_plain(piece)
                else:
                    self._write(rows_of(piece, whole=whole))

    def _write_plain(self, batch: pa.RecordBatch) -> None:
        """What `_write` does for rows that nothing can refuse, without an object for any of them."""
        assert self.slots is not None
        sides = [(self.train, batch), (self.held, batch.slice(0, 0))]
        if self.share:
            held = truths(below(batch.column("messages").to_pylist(), self.share))
            sides = [(self.train, batch.filter(pc.invert(held))), (self.held, batch.filter(held))]
        for side, (sink, rows) in enumerate(sides):
            if not rows.num_rows:
                continue
            self.rows[side] += rows.num_rows
            for counted in pc.value_counts(rows.column("decision")).to_pylist():
                self.decisions[counted["values"]] = (
                    self.decisions.get(counted["values"], 0) + counted["counts"]
                )
            if sink.schema is not None:
                sink.write_table(table_of_plain(self.slots, Plain(rows), sink.schema))
            else:
                sink.columns = list(self.slots)
                sink.write_text(lines_of(self.slots, Plain(rows)), rows.num_rows)

    def _write(self, rows: Sequence[Row]) -> None:
        shape, asked = self.shape, self.asked
        lines: tuple[list[Any], list[Any]] = [], []
        index: tuple[list[Any], list[Any]] = [], []
        for row in rows:
            if refusal := shape.refuses(row, asked, self.trainer):
                self._refuse(row, refusal)
                continue
            side = int(self.share > 0 and below([prompt_key(row)], self.share)[0])
            self.rows[side] += 1
            self.decisions[row.decision] = self.decisions.get(row.decision, 0) + 1
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
        tally = self.refused.setdefault(refusal.reason, Refused(refusal.has, refusal.lacks))
        tally.count += 1
        if len(tally.rows) < NAMED_ROWS:
            tally.rows.append(row.row_id)
        self.left.write([
            {"row_id": row.row_id, "target": row.target, "reason": refusal.reason, "has": refusal.has,
             "lacks": refusal.lacks}
        ])  # fmt: skip

    def finish(self, stack: contextlib.ExitStack, facts: Mapping[str, Any]) -> Exported:
        asked, shape, target = self.asked, self.shape, self.target
        if not self.rows[0]:
            raise DataError(self._nothing())
        notes = list(shape.notes)
        if self.share and not self.rows[1]:
            asked = replace(asked, validation=None)
            notes.append(
                f"No prompt of the {self.rows[0]} rows fell into the {self.share:.0%} for validation."
            )
        sinks = [self.train, self.held, *self.indexes, self.left]
        for sink in sinks:
            sink.close()
        files = [file for sink in sinks for file in sink.files]
        beside = dict(shape.beside(asked))
        if shape.card:
            splits = {
                name: {"rows": rows, "bytes": sum(file.bytes for file in sink.files)}
                for name, sink, rows in (
                    ("train", self.train, self.rows[0]),
                    ("validation", self.held, self.rows[1]),
                )
                if rows
            }
            counts = {reason: each.count for reason, each in self.refused.items()}
            beside["README.md"] = shape.card(
                asked, splits, {"decisions": self.decisions, "refused": counts, **facts}
            )
        for name, text in beside.items():
            files.append(_written_beside(stack, target.folder / name, text))
        if self.needs_rejected and asked.objective == "kto":
            bad = self.train.lines + self.held.lines - sum(self.rows)
            notes.append(f"{sum(self.rows)} lines are good and {bad} bad.")
        return Exported(
            path=target.path,
            format=self.form.name,
            objective=asked.objective,
            turns=asked.turns,
            ref=asked.version.split(" ")[0],
            version_id=asked.version_id,
            rows=sum(self.rows),
            validation_rows=self.rows[1],
            lines=self.train.lines + self.held.lines,
            columns=tuple(self.train.columns),
            files=tuple(files),
            data=tuple(file.path for sink in (self.train, self.held) for file in sink.files),
            refused=self.refused,
            start=shape.start(asked),
            notes=tuple(notes),
        )

    def _nothing(self) -> str:
        why = "; ".join(
            f"{each.count} refused as {reason} (row {each.rows[0]!r} {each.has}; {each.lacks})"
            for reason, each in self.refused.items()
        )
        if self.rows[1]:
            why = f"all {self.rows[1]} rows fell into the share for validation" + (f"; {why}" if why else "")
        return (
            f"no row of {self.asked.version.split(' ')[0]} is left to train {self.form.trainer} on: "
            f"{why or 'the version is empty'}. Nothing was written."
        )


def _runs(simple: np.ndarray) -> list[tuple[int, int, bool]]:
    """Begin, end and kind of runs of rows of one kind; one run of the other kind where they change too often."""
    cuts = [0, *(np.flatnonzero(np.diff(simple)) + 1).tolist(), len(simple)]
    if len(cuts) > MOST_RUNS:
        return [(0, len(simple), False)]
    return [(a, b, bool(simple[a])) for a, b in pairwise(cuts) if a < b]


def _index(path: Path) -> Path:
    return path.with_name(f"{path.stem}.index.jsonl")


def _written_beside(stack: contextlib.ExitStack, path: Path, text: str) -> Written:
    temporary = stack.enter_context(whole(path))
    temporary.write_text(text, encoding="utf-8")
    return measured(path, temporary, text.count("\n"))
