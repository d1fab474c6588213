"""JSON as a row may hold it: a key that occurs twice is found, since Python would keep the last and lose the others."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any


class Decoder:
    """Decodes JSON texts; after each, `twice` is a key that one of its objects holds twice, or None."""

    def __init__(self) -> None:
        self.twice: str | None = None
        self._json = json.JSONDecoder(object_pairs_hook=self._object, parse_float=_number)
        self._flat: json.JSONDecoder | None = json.JSONDecoder(parse_float=_number)

    def decode(self, text: str) -> Any:
        """Decode all of `text`. Raises as json.loads does."""
        self.twice = None
        if self._flat is not None:  # until a line nests: looking at every object costs a third of decoding
            row = self._flat.decode(text)
            if isinstance(row, dict) and text.count('":') == len(row):
                return row  # as many keys in the text as in the object, so none twice and none inside
            self._flat = None
        return self._json.decode(text)

    def raw_decode(self, text: str, start: int) -> tuple[Any, int]:
        """Decode the value at `start`; return it and where it ends."""
        self.twice = None
        return self._json.raw_decode(text, start)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            self.twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        return found


def _number(text: str) -> float | Decimal:
    """A number with a point or an exponent; exact where a float would overflow to infinity."""
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)
