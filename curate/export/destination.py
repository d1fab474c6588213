"""Where an export goes: a folder or file of this machine, or one that fsspec reaches (`s3://`, `gs://`, `hf://`).

    with whole(destination("s3://bucket/rows/train.jsonl")) as temporary:
        temporary.write_text(lines)

A file is there whole or not at all. Here it is written under another name, fsynced and renamed; elsewhere it is written
to this machine and sent when it is finished, so that no more than one file of each kind waits here at a time.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from recast.curate import files
from recast.curate.errors import MissingDependencyError, UsageError

_SCHEME = re.compile(
    r"[a-z][a-z0-9+.-]+:/"
)  # a path of pathlib has lost the second slash; one letter is a drive
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}


class Remote(PurePosixPath):
    """A name that fsspec knows; `str` of it is the address. Nothing is asked of anybody until it is used."""

    def __str__(self) -> str:
        scheme, _, rest = super().__str__().partition(":/")
        return f"{scheme}://{rest.lstrip('/')}"


Place = Path | Remote


def destination(path: str | Path) -> Place:
    """A path of this machine, or an address."""
    text = str(path)
    if not _SCHEME.match(text):
        return Path(path)
    return Path(re.sub("^file:/+", "/", text)) if text.startswith("file:") else Remote(text)


@contextlib.contextmanager
def whole(place: Place) -> Iterator[Path]:
    """A name of this machine to write to; what was written is at `place` when the block ends without an error."""
    if isinstance(place, Path):
        with files.whole(place) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="recast-export-") as folder:
        temporary = Path(folder) / place.name
        yield temporary
        filesystem(place).put_file(str(temporary), str(place))


def exists(place: Place) -> bool:
    return place.exists() if isinstance(place, Path) else filesystem(place).exists(str(place))


def is_folder(place: Place) -> bool:
    """Whether `place` is a folder: one that is there, or a name without suffix."""
    return not place.suffix or (isinstance(place, Path) and place.is_dir())


def within(folder: Place, place: Place) -> str:
    """The name of `place` in `folder`."""
    return "/".join(place.parts[len(folder.parts) :])


def read_text(place: Place) -> str:
    if isinstance(place, Path):
        return place.read_text(encoding="utf-8")
    return filesystem(place).cat_file(str(place)).decode()


def opened(place: Place) -> IO[bytes]:
    """A file to read, wherever it lies."""
    return place.open("rb") if isinstance(place, Path) else filesystem(place).open(str(place), "rb")


def remove(place: Place) -> None:
    """Remove a file that may be there."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
    elif exists(place):
        filesystem(place).rm_file(str(place))


def shards(place: Place) -> list[Place]:
    """The shards that lie where those of the file `place` would."""
    pattern = f"{place.stem}-*{place.suffix}"
    if isinstance(place, Path):
        return list(place.parent.glob(pattern))
    found = filesystem(place).glob(str(place.parent / pattern))
    return [place.with_name(str(name).rpartition("/")[2]) for name in found]


def filesystem(place: Remote) -> Any:
    """The file system of an address. Raises MissingDependencyError, UsageError for a scheme that nobody knows."""
    import fsspec

    scheme = str(place).partition(":")[0]
    try:
        made, _ = fsspec.core.url_to_fs(str(place))
    except ImportError as missing:
        package = _PACKAGES.get(scheme, scheme)
        raise MissingDependencyError(f"{place} needs {package}: pip install {package}") from missing
    except ValueError as unknown:
        raise UsageError(f"{place} has a scheme that fsspec does not know: {unknown}") from unknown
    made.invalidate_cache()  # listings that it remembers are from before somebody else wrote
    return made
