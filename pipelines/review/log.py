"""Files of decisions: one event a line, on disk before it counts.

    log = log_of(store, version, "ann")
    log.append(Event(id="...", kind="decide", row_id="r1", action="accept", ...))
    read(log.path).standing(("r1", 0)).action          "accept"

A file begins with a header that names the version, then come events, oldest first. A page without a server
(`pipelines.report.diff_page`) writes the same lines.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError, UsageError
from recast.curate.files import fsync_folder
from recast.curate.fingerprint import fingerprint
from recast.curate.history.reviews import FORMAT
from recast.curate.store.store import Store
from recast.curate.store.versions import Version
from recast.pipelines.review.decisions import Event, Header, Review, event_from


def folder(store: Store, version: Version) -> Path:
    """Where the decisions about a version lie."""
    return store.root / "reviews" / version.id


def log_path(store: Store, version: Version, reviewer: str) -> Path:
    """The file of a reviewer's decisions about a version."""
    return folder(store, version) / f"{file_name(reviewer)}.jsonl"


def log_of(store: Store, version: Version, reviewer: str) -> Log:
    """The same, open for writing."""
    return Log(log_path(store, version, reviewer), Header(version.ref, version.id, reviewer))


def file_name(reviewer: str) -> str:
    """The reviewer's name as the name of a file: no separators, nothing hidden."""
    plain = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in reviewer)
    return plain if plain == reviewer else f"{plain[:40]}-{fingerprint(reviewer)[:8]}"


class Log:
    """The file of one reviewer, open for writing by one process at a time."""

    def __init__(self, path: Path, header: Header) -> None:
        """Open or begin `path` and replay it. Raises UsageError where another process has it, DataError where it is
        about another version or cannot be read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            self._file.close()
            raise UsageError(
                f"{path} is open in another `recast review`; go on there, or close it. Two people review at once under "
                "two names (--reviewer)."
            ) from taken
        self._cut()
        if not path.stat().st_size:
            self._write(asdict(header))
            fsync_folder(path.parent)
        self.review = read(path)
        if self.review.header.version_id != header.version_id:
            self.close()
            raise DataError(
                f"{path} holds decisions about {self.review.header.version} ({self.review.header.version_id}), not "
                f"about {header.version} ({header.version_id})."
            )

    def append(self, event: Event) -> None:
        """Write `event` and wait until the disk has it; then it counts. One that is there already is left alone."""
        if event.id in self.review:
            return
        self._write(event.to_json())
        self.review.apply(event)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._file.fileno())

    def _cut(self) -> None:
        """Drop a last line that a kill cut: nobody was told that it was done."""
        self._file.seek(0)
        whole = self._file.read()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            self._file.truncate(end)
            os.fsync(self._file.fileno())


def read(path: Path) -> Review:
    """Replay a file of decisions. Raises DataError that names the line and what is wrong with it."""
    lines = _lines(path)
    where, first = next(lines, (str(path), None))
    if first is None or first.get("review") != FORMAT:
        raise DataError(
            f"{where} is no file of decisions: expected a first line with `review: {FORMAT}`, `version`, `version_id` "
            "and `reviewer`. `recast review` writes one, and so does the page of `recast diff --html`."
        )
    try:
        review = Review(Header(str(first["version"]), str(first["version_id"]), str(first["reviewer"])))
    except KeyError as missing:
        raise DataError(f"{where} lacks {missing}, which says what was reviewed, and by whom.") from missing
    for where, line in lines:
        review.apply(event_from(line, where))
    return review


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the decisions {path}: {error.strerror}.") from error
    kept = whole[: whole.rfind(b"\n") + 1]
    for number, line in enumerate(kept.split(b"\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except ValueError as error:
            raise DataError(f"{path}, line {number} is not JSON: {error}. Take the line out.") from error
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number} holds a {type(value).__name__}; expected an object.")
        yield f"{path}, line {number}", value
