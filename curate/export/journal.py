"""An export in shards, which a kill cannot undo: each is made of a stretch of the version, and stands when finished.

Here shards wait in a hidden folder beside the target until all are there, so that an earlier export stays as it was
until the new one is whole. An object store has no renames: there they are sent to their place one by one, and the
manifest of an earlier export goes before the first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.curate.export.destination import Place, exists, filesystem, read_text, remove, whole, within
from recast.curate.export.outcome import Tally
from recast.curate.export.sinks import Written
from recast.curate.export.target import Target


class Journal:
    """The finished shards of an export to a target, by number."""

    def __init__(self, target: Target, identity: Mapping[str, Any]) -> None:
        """`identity`: all that the shards follow from; what stands of another export is thrown away."""
        self.folder = target.folder
        self._here = isinstance(target.folder, Path)
        self._waiting = target.unfinished if self._here else target.folder
        self._path = target.journal
        self._identity = json.loads(json.dumps(identity))
        self._done: dict[str, Any] = {}
        if exists(self._path):
            told = json.loads(read_text(self._path))
            if told["identity"] == self._identity:
                self._done = told["shards"]
            elif isinstance(self._waiting, Path):
                shutil.rmtree(self._waiting)
        self._save()  # before the first shard: what lies about was ours
        if not self._here:
            remove(target.manifest)

    def staged(self, place: Place) -> Place:
        """Where the file that becomes `place` is written."""
        return self._waiting / within(self.folder, place)

    def finished(self, shard: int) -> Tally | None:
        """What became of a shard's rows; None where it is not there, or not whole any more."""
        told = self._done.get(str(shard))
        if told is None:
            return None
        tally = Tally.from_json(told)
        return tally if all(self._stands(file) for file in tally.files) else None

    def finish(self, shard: int, tally: Tally) -> None:
        self._done[str(shard)] = tally.to_json()
        self._save()

    def put_in_place(self, tally: Tally) -> None:
        """Give all files their names. A kill in the midst of it leaves some here and some there; both are known."""
        for file in tally.files if self._here else ():
            waiting = self.staged(file.path)
            if isinstance(waiting, Path) and waiting.exists() and isinstance(file.path, Path):
                file.path.parent.mkdir(parents=True, exist_ok=True)
                waiting.replace(file.path)

    def discard(self, tally: Tally) -> None:
        """Remove the shards, which nobody can use."""
        for file in tally.files:
            remove(self.staged(file.path))
        self.close()

    def close(self) -> None:
        """Forget what was finished: the export is whole, or will never be."""
        if isinstance(self._waiting, Path):
            shutil.rmtree(self._waiting, ignore_errors=True)
        else:
            remove(self._path)

    def _save(self) -> None:
        with whole(self._path) as temporary:
            told = {"identity": self._identity, "shards": self._done}
            temporary.write_text(json.dumps(told), encoding="utf-8")

    def _stands(self, file: Written) -> bool:
        place = self.staged(file.path)
        if not isinstance(place, Path):
            return exists(place) and filesystem(place).size(str(place)) == file.bytes
        if place.exists():
            return place.stat().st_size == file.bytes
        if not isinstance(file.path, Path) or not file.path.exists():
            return False
        with file.path.open("rb") as there:  # an earlier export's file may have this name
            return hashlib.file_digest(there, "sha256").hexdigest() == file.sha256
