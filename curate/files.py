"""Files that a kill cannot break: written whole or not at all, and JSON lines that are appended and may end cut.

with whole(path) as temporary:
    pq.write_table(table, temporary)
write_json(path, {"steps": 40})
write_lines(path, ({"id": n} for n in range(3)))
with first(path) as temporary: ...             # where several processes make the same file

append_line(path, {"step": 1, "loss": 0.7})
points = read_lines(path)                      # without a last line that a kill has cut
points = cut_lines(path, lambda p: p["step"] <= 20)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LEFTOVER = ".tmp"
"""How files end that are being written; after a kill they stay."""


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends, and is gone where the block raises.

    Content and rename are fsynced: a crash leaves the old file or the new one, never a half. Folders above `path` are
    made. Two writers at once do not meet: each has a name of its own, the later rename wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


@contextlib.contextmanager
def first(path: Path) -> Iterator[Path]:
    """As `whole`, but a file that is at `path` already stays: of several writers the first one's counts.

    Raises OSError where the file system makes no hard links.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        try:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        except (
            FileNotFoundError
        ):  # swept as a leftover while this process was stopped: it matters where no other was
            if not path.exists():
                raise
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def sweep(folder: Path, age_s: float, now: float) -> None:
    """Remove what a kill has left in `folder` of files that `whole` and `first` were writing, if it is as old as that
    at `now`, on the clock of the file system."""
    for leftover in folder.glob(f"*{LEFTOVER}"):
        with contextlib.suppress(FileNotFoundError):  # its writer was quicker
            if now - leftover.stat().st_mtime >= age_s:
                leftover.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Write `value` as a JSON document that ends in a newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON line for each of `values`, drawn one at a time; no file where drawing them raises."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{LEFTOVER}")


def fsync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one JSON line; a kill can cut it short, nothing before it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that `append_line` made, oldest first; none where there is no file."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    return [json.loads(line) for line in lines[:-1]]  # what follows the last newline was cut by a kill


def cut_lines(path: Path, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Drop a cut last line and every line that `keep` refuses, from the file too; return what is left."""
    kept = [line for line in read_lines(path) if keep(line)]
    if path.exists():
        write_lines(path, kept)
    return kept
