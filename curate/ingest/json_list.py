"""JSON values decoded one at a time, so that memory holds one of them: of a list, or one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from recast.curate.errors import DataError
from recast.curate.ingest.decoding import Decoder
from recast.curate.ingest.streams import LINE_BYTES

PIECE_CHARS = 1 << 20
_BLANKS = re.compile(r"[ \t\n\r]*")


class _Text:
    """A text read in pieces, and how far it was decoded. An error is the file's: nothing says where the next begins."""

    def __init__(self, text: IO[str], name: str, kind: str) -> None:
        self.text, self.name, self.kind = text, name, kind
        self.held, self.at, self.number = "", 0, 0
        self.decoder = Decoder()

    def more(self, size: int = PIECE_CHARS) -> bool:
        try:
            piece = self.text.read(size)
        except UnicodeDecodeError as wrong:
            raise DataError(
                f"{self.name}: not valid UTF-8 after row {self.number} of the {self.kind} ({wrong.reason})."
            ) from wrong
        self.held, self.at = self.held[self.at :] + piece, 0
        return bool(piece)

    def sign(self) -> str:
        """The next sign that is not blank, empty at the end."""
        while True:
            found = _BLANKS.match(self.held, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.held) or not self.more(PIECE_CHARS):
                return self.held[self.at : self.at + 1]

    def broken(self, what: str) -> DataError:
        return DataError(
            f"{self.name}, row {self.number} of the {self.kind}: {what}. Correct the file, or write JSON lines."
        )

    def element(self) -> tuple[Any, str | None]:
        """The next value, and a key that it holds twice."""
        size = PIECE_CHARS
        while True:
            try:
                found, end = self.decoder.raw_decode(self.held, self.at)
            except json.JSONDecodeError as wrong:
                cut = wrong.msg.startswith("Unterminated") or wrong.pos > len(self.held) - 16
                if not cut or len(self.held) - self.at > LINE_BYTES or not self.more(size):
                    raise self.broken(f"not valid JSON: {wrong.msg}") from wrong
            except RecursionError as wrong:
                raise self.broken("JSON nested too deeply") from wrong
            except ValueError as wrong:
                raise self.broken(f"not readable as JSON: {wrong}") from wrong
            else:
                if end < len(self.held):
                    self.at = end
                    return found, self.decoder.twice
                length, twice = end - self.at, self.decoder.twice
                if not self.more(size):  # a number may go on in the next piece
                    self.at = length
                    return found, twice
            size *= 2


def elements(text: IO[str], name: str) -> Iterator[tuple[Any, str | None]]:
    """Yield the elements of a JSON list, each with a key that it holds twice, or None."""
    found = _Text(text, name, "list")
    found.sign()
    found.at += 1  # "["
    if found.sign() == "]":
        found.at += 1
    else:
        while True:
            found.number += 1
            found.sign()
            yield found.element()
            end = found.sign()
            found.at += 1
            if end == "]":
                break
            if not end:
                raise DataError(
                    f"{name} ends after row {found.number} of its list, without closing it; is it whole?"
                )
            if end != ",":
                raise found.broken(f"expected a comma or the end of the list after it, found {end!r}")
    if rest := found.sign():
        raise DataError(f"{name}: {rest!r} follows the end of the list.")


def one_after_another(text: IO[str], name: str) -> Iterator[tuple[Any, str | None]]:
    """Yield JSON values that follow one another, each over any number of lines, as `elements` does."""
    found = _Text(text, name, "objects")
    while found.sign():
        found.number += 1
        yield found.element()
