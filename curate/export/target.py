"""The files of one export: their names, and whose files may be replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass

from recast.curate.errors import UsageError
from recast.curate.export.destination import Place, destination, exists, is_folder, read_text, shards, within
from recast.curate.export.formats import Asked, Format, Shape

MANIFEST = "recast.json"


@dataclass(frozen=True, slots=True)
class Target:
    path: Place
    folder: Place
    train: Place
    validation: Place
    refused: Place
    slug: str
    parquet: bool
    listed: bool  # a folder of this export alone
    shard_rows: int | None

    @property
    def manifest(self) -> Place:
        return self.folder / MANIFEST

    @property
    def unfinished(self) -> Place:
        """Folder of an export in shards that has not come to its end."""
        return self.folder / f".{self.train.stem}.unfinished"

    @property
    def journal(self) -> Place:
        return self.unfinished / "journal.json"


def target(path: Place, form: Format, objective: str, shape: Shape, slug: str, shard: int | None) -> Target:
    """What is written to `path`: a folder (existing, or a name without suffix), or a file where nothing stands beside.

    `shard`: rows of the version for each file, where its reader takes several. Raises UsageError for a path or shards
    that the format cannot mean.
    """
    if shard is not None and not shape.many:
        raise UsageError(
            f"{form.name} as {objective} reads one file of a split; --shard-rows would make several."
        )
    if is_folder(path):
        suffix = ".parquet" if shape.parquet else ".jsonl"
        train, held = (path / f"{name.format(slug=slug)}{suffix}" for name in shape.files)
        own = "{slug}" not in shape.files[0]
        left = path / ("refused.jsonl" if own else f"{slug}.refused.jsonl")
        return Target(path, path, train, held, left, slug, shape.parquet, own, shard or shape.shard_rows)
    if shape.folder:
        raise UsageError(f"{form.name} reads {shape.files[0]}.jsonl of a folder; name one instead of {path}.")
    if shape.beside.__name__ != "nothing" or shape.card or shape.shard_rows or shard:
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
    return Target(path, path.parent, path, held, left, slug, parquet, False, None)


def earlier(target: Target, shape: Shape, asked: Asked) -> set[Place]:
    """Files of an earlier export to the folder. Raises UsageError where a file of somebody else's would be replaced."""
    if not target.listed:
        return set()
    known: set[Place] = set()
    if exists(target.manifest):
        listed = json.loads(read_text(target.manifest))
        folder = destination(listed["path"])  # which may have been moved since
        known = {target.folder / within(folder, destination(file["path"])) for file in listed["files"]}
    beside = [target.folder / name for name in (*shape.beside(asked), *(["README.md"] if shape.card else []))]
    named = [target.train, target.validation, target.refused]
    there = [place for place in (*named, *beside) if exists(place)]
    if target.shard_rows:
        found = [shard for place in named for shard in shards(place)]
        there += found
        known |= set(found) if exists(target.journal) else set()  # of this export, which was killed
    for place in there:
        if place not in known:
            raise UsageError(
                f"{place} is there already and no export wrote it (there is no {MANIFEST} that names it); move it, or "
                "export to another folder."
            )
    return known
