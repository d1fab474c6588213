"""Bytes of a file: counted while they are read, decompressed, and refused where they expand without end."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from recast.curate.errors import DataError

LINE_BYTES = 64 << 20  # a longer line is no demonstration, and would be held several times over
EXPANDED_BYTES = 1 << 28  # from here on a compressed file must not expand more than EXPANSION times
EXPANSION = 200
BUFFER_BYTES = 1 << 20


@dataclass(slots=True)
class Meter:
    """How many bytes on disk there are and how many were read, for a progress bar."""

    total: int = 0
    done: int = 0


class _Measured(io.FileIO):
    """A file that tells a meter what was read of it."""

    def __init__(self, path: Path, meter: Meter) -> None:
        super().__init__(path, "rb")
        self.meter = meter

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.meter.done += count or 0
        return count


class _Expanded(io.RawIOBase):
    """The content of a compressed file, refusing one that is built to expand without end."""

    def __init__(self, stream: Any, path: Path) -> None:
        self.stream, self.name, self.bytes = stream, path.name, 0
        self.packed = path.stat().st_size
        self.allowed = max(EXPANDED_BYTES, EXPANSION * self.packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, pa.ArrowException) as broken:
            raise DataError(
                f"{self.name}: the compressed data is damaged or cut short ({broken})."
            ) from broken
        self.bytes += len(data)
        if self.bytes > self.allowed:
            raise DataError(
                f"{self.name}: {self.packed} bytes expand to more than {self.allowed}, over {EXPANSION} times their "
                "size; refused as a decompression bomb. Decompress it yourself if it is real."
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        super().close()


def open_stream(path: Path, meter: Meter) -> io.BufferedReader[Any]:
    """The bytes of a file, decompressed where its name says so. Raises DataError while it is read."""
    try:
        raw: io.BufferedReader[Any] = io.BufferedReader(_Measured(path, meter), BUFFER_BYTES)
    except OSError as wrong:
        raise DataError(f"{path} cannot be read: {wrong.strerror}.") from wrong
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(_Expanded(_Gzip(raw), path), BUFFER_BYTES)
    if path.suffix.lower() == ".zst":
        return io.BufferedReader(_Expanded(pa.input_stream(raw, compression="zstd"), path), BUFFER_BYTES)
    return raw


class _Gzip(gzip.GzipFile):
    """Closes the file beneath it, too."""

    def __init__(self, raw: io.BufferedReader[Any]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self.raw = raw

    def close(self) -> None:
        super().close()
        self.raw.close()
