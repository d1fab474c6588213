"""A version as the files of a trainer, each written whole, with what the trainer needs beside them.

    export(store, "gsm8k@v3", "llamafactory", "out/", validation=0.05)
    export(store, "gsm8k@v3", "trl", "pairs.jsonl", objective="dpo")
    export(store, "gsm8k@v3", "hf", "s3://bucket/gsm8k")

A folder that was exported to is known by its `recast.json`, which names every file with its hash; exporting to it again
replaces all of them, so that no row of an older split stays behind. An export in shards goes on where a kill ended it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError, UsageError
from recast.curate.export.destination import Place, destination, remove, whole
from recast.curate.export.formats import Asked, Format, Objective, Shape, Turns
from recast.curate.export.journal import Journal
from recast.curate.export.outcome import Exported, Tally
from recast.curate.export.registry import find
from recast.curate.export.rejected import Rejected, rejected
from recast.curate.export.rows import survey
from recast.curate.export.sinks import Written, measured
from recast.curate.export.target import Target, earlier, target
from recast.curate.export.writing import Unforeseen, Writing
from recast.curate.store.places import stretch
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.store import Store


def export(
    store: Store,
    ref: str,
    to: str,
    path: str | Path,
    *,
    objective: Objective | None = None,
    turns: Turns | None = None,
    validation: float = 0.0,
    shard_rows: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the version `ref` for the trainer `to` and return what was written.

    `path` is a folder (existing, or a name without suffix), or a file where the format needs nothing beside it; an
    address of fsspec's as well. `objective`: None is the format's first, SFT for all but `verifiers`. `turns`: which of
    the assistant's turns SFT is to train, `last` unless said. `validation`: share of the rows, by the hash of their
    prompt, that goes to a second file. `shard_rows`: rows of the version for each file, for readers that take several.
    `facts`: what a card says beside (`trainers.hub.card`).
    Raises UsageError for what the format cannot mean, DataError where no row is left to write.
    """
    form, wanted, shape = find(to, objective)
    if turns is not None and (wanted != "sft" or shape.trains == "reader"):
        raise UsageError(f"--turns has no effect on {to} as {wanted}: it says which turns SFT trains.")
    if not 0 <= validation < 1:
        raise UsageError(
            f"the share for validation is {validation}; expected 0 to below 1, for instance 0.05."
        )
    if shard_rows is not None and shard_rows < 1:
        raise UsageError(f"shards of {shard_rows} rows were asked for; expected 1 at least.")
    snapshot = store.open(ref)
    version = snapshot.version
    aim = target(destination(path), form, wanted, shape, f"{version.name}-v{version.number}", shard_rows)
    asked = Asked(
        name=version.name,
        slug=aim.slug,
        version=f"{version.ref} {version.id[:16]}",
        version_id=version.id,
        folder=aim.folder,
        train=aim.train,
        validation=aim.validation if validation else None,
        objective=wanted,
        turns=turns or "last",
        # shards of several calls must have the same columns
        survey=survey(snapshot, turns=aim.parquet and aim.shard_rows is not None),
    )
    run = _Run(form, shape, asked, aim, validation, facts or {})
    before = earlier(aim, shape, asked)
    with _pairs(store, snapshot, wanted) as pairs:
        done = run.in_shards(snapshot, pairs) if aim.shard_rows else run.at_once(snapshot, pairs)
    for old in before - {file.path for file in done.files} - {aim.manifest}:
        remove(old)
    return done


@contextlib.contextmanager
def _pairs(store: Store, snapshot: Snapshot, objective: Objective) -> Iterator[Rejected | None]:
    """The rejected candidates, where the objective needs them."""
    if objective not in ("dpo", "kto"):
        yield None
        return
    with rejected(store.with_candidates(snapshot.version)) as found:
        yield found


class _Run:
    """One export."""

    def __init__(
        self, form: Format, shape: Shape, asked: Asked, aim: Target, share: float, facts: Mapping[str, Any]
    ) -> None:
        self.form, self.shape, self.asked, self.aim = form, shape, asked, aim
        self.share, self.facts = share, facts

    def at_once(self, snapshot: Snapshot, pairs: Rejected | None) -> Exported:
        """One file of a split; all are in place together, at the end."""
        try:
            return self._whole(snapshot, pairs)
        except Unforeseen:
            self.asked = replace(self.asked, survey=survey(snapshot, turns=True))
            return self._whole(snapshot, pairs)

    def _whole(self, snapshot: Snapshot, pairs: Rejected | None) -> Exported:
        with contextlib.ExitStack() as stack:
            # entered first, so in place last: a folder with a manifest of right hashes is whole
            manifest = stack.enter_context(whole(self.aim.manifest)) if self.aim.listed else None
            writing = Writing(stack, self.form, self.shape, self.asked, self.aim, self.share)
            tally = writing.write(snapshot.batches(writing.columns), pairs)
            done = self._done(stack, tally)
            if manifest is not None:
                _list(done, manifest)
        return done

    def in_shards(self, snapshot: Snapshot, pairs: Rejected | None) -> Exported:
        """A file of a split for every stretch of rows; those that an earlier call has finished stand."""
        assert self.aim.shard_rows is not None
        journal = Journal(self.aim, self._identity())
        tally = Tally()
        for number, begin in enumerate(range(0, len(snapshot), self.aim.shard_rows)):
            part = journal.finished(number)
            if part is None:
                part = self._shard(snapshot, pairs, journal, number, begin)
                journal.finish(number, part)
            tally.add(part)
        with contextlib.ExitStack() as stack:
            if not tally.rows[0]:
                journal.discard(tally)
            manifest = stack.enter_context(whole(self.aim.manifest)) if self.aim.listed else None
            done = self._done(stack, tally)
            journal.put_in_place(tally)
            if manifest is not None:
                _list(done, manifest)
        journal.close()
        return done

    def _shard(
        self, snapshot: Snapshot, pairs: Rejected | None, journal: Journal, number: int, begin: int
    ) -> Tally:
        def named(place: Place) -> Place:
            return place.with_name(f"{place.stem}-{number:05d}{place.suffix}")

        end = min(begin + (self.aim.shard_rows or 0), len(snapshot))
        with contextlib.ExitStack() as stack:
            writing = Writing(
                stack,
                self.form,
                self.shape,
                self.asked,
                self.aim,
                self.share,
                named=named,
                staged=journal.staged,
            )
            return writing.write(stretch(snapshot, begin, end, writing.columns), pairs)

    def _identity(self) -> dict[str, Any]:
        """All that the shards follow from."""
        asked = self.asked
        return {
            "version": asked.version_id,
            "format": self.form.name,
            "objective": asked.objective,
            "turns": asked.turns,
            "validation": self.share,
            "shard_rows": self.aim.shard_rows,
            "table": self.aim.parquet,
        }

    def _done(self, stack: contextlib.ExitStack, tally: Tally) -> Exported:
        """What was written, with what stands beside the rows. Raises DataError where there is none to train on."""
        asked, shape = self.asked, self.shape
        rows, held_rows = sum(tally.rows), tally.rows[1]
        if not tally.rows[0]:
            raise DataError(self._nothing(tally))
        notes = list(shape.notes)
        if self.share and not held_rows:
            asked = replace(asked, validation=None)
            notes.append(f"No prompt of the {rows} rows fell into the {self.share:.0%} for validation.")
        beside = dict(shape.beside(asked))
        if shape.card:
            beside["README.md"] = shape.card(asked, _splits(tally), self._told(tally))
        files = [
            *tally.files,
            *(_beside(stack, self.aim.folder / name, text) for name, text in beside.items()),
        ]
        if asked.objective == "kto":
            notes.append(f"{rows} lines are good and {sum(tally.lines) - rows} bad.")
        return Exported(
            path=self.aim.path,
            format=self.form.name,
            objective=asked.objective,
            turns=asked.turns,
            ref=asked.version.split(" ")[0],
            version_id=asked.version_id,
            rows=rows,
            validation_rows=held_rows,
            lines=sum(tally.lines),
            columns=tuple(tally.columns),
            files=tuple(files),
            data=tuple(file.path for side in tally.data for file in side),
            refused=tally.refused,
            start=shape.start(asked),
            notes=tuple(notes),
        )

    def _told(self, tally: Tally) -> dict[str, Any]:
        refused = {reason: each.count for reason, each in tally.refused.items()}
        return {"decisions": tally.decisions, "refused": refused, **self.facts}

    def _nothing(self, tally: Tally) -> str:
        why = "; ".join(
            f"{each.count} refused as {reason} (row {each.rows[0]!r} {each.has}; {each.lacks})"
            for reason, each in tally.refused.items()
        )
        if tally.rows[1]:
            why = f"all {tally.rows[1]} rows fell into the share for validation" + (f"; {why}" if why else "")
        return (
            f"no row of {self.asked.version.split(' ')[0]} is left to train {self.form.trainer} on: "
            f"{why or 'the version is empty'}. Nothing was written."
        )


def _splits(tally: Tally) -> dict[str, dict[str, int]]:
    return {
        name: {"rows": rows, "bytes": sum(file.bytes for file in files)}
        for name, rows, files in zip(("train", "validation"), tally.rows, tally.data, strict=True)
        if rows
    }


def _beside(stack: contextlib.ExitStack, place: Place, text: str) -> Written:
    temporary = stack.enter_context(whole(place))
    temporary.write_text(text, encoding="utf-8")
    return measured(place, temporary, text.count("\n"))


def _list(done: Exported, manifest: Path) -> None:
    manifest.write_text(json.dumps(done.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
