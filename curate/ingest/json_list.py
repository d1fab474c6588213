"""A JSON list decoded one element at a time, so that memory holds one element and not the list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from recast.curate.errors import DataError
from recast.curate.ingest.streams import LINE_BYTES

PIECE_CHARS = 1 << 20
_BLANKS = re.compile(r"[ \t\n\r]*")


def elements(text: IO[str], name: str) -> Iterator[Any]:
    """Decode the elements of a JSON list one at a time. An error is the file's: nothing says where the next begins."""
    decode = json.JSONDecoder().raw_decode
    held, at, number = "", 0, 0

    def more(size: int = PIECE_CHARS) -> bool:
        nonlocal held, at
        try:
            piece = text.read(size)
        except UnicodeDecodeError as wrong:
            raise DataError(
                f"{name}: not valid UTF-8 after row {number} of the list ({wrong.reason})."
            ) from wrong
        held, at = held[at:] + piece, 0
        return bool(piece)

    def sign() -> str:
        nonlocal at
        while True:
            found = _BLANKS.match(held, at)
            at = found.end() if found else at
            if at < len(held) or not more():
                return held[at : at + 1]

    def broken(what: str) -> DataError:
        return DataError(f"{name}, row {number} of the list: {what}. Correct the file, or write JSON lines.")

    def element() -> Any:
        nonlocal at
        size = PIECE_CHARS
        while True:
            try:
                found, end = decode(held, at)
            except json.JSONDecodeError as wrong:
                cut = wrong.msg.startswith("Unterminated") or wrong.pos > len(held) - 16
                if not cut or len(held) - at > LINE_BYTES or not more(size):
                    raise broken(f"not valid JSON: {wrong.msg}") from wrong
            except RecursionError as wrong:
                raise broken("JSON nested too deeply") from wrong
            except ValueError as wrong:
                raise broken(f"not readable as JSON: {wrong}") from wrong
            else:
                if end < len(held):
                    at = end
                    return found
                length = end - at
                if not more(size):  # a number may go on in the next piece
                    at = length
                    return found
            size *= 2

    sign()
    at += 1  # "["
    if sign() == "]":
        at += 1
    else:
        while True:
            number += 1
            sign()
            yield element()
            end = sign()
            at += 1
            if end == "]":
                break
            if not end:
                raise DataError(
                    f"{name} ends after row {number} of its list, without closing it; is it whole?"
                )
            if end != ",":
                raise broken(f"expected a comma or the end of the list after it, found {end!r}")
    if rest := sign():
        raise DataError(f"{name}: {rest!r} follows the end of the list.")
