"""Does a row share a long n-gram of words with a benchmark?

Catches: a question or a solution of a benchmark that stands in a row, whole or in part, whatever its case and
punctuation. Cannot catch: paraphrases, translations and benchmarks whose numbers were changed. Texts of a
benchmark shorter than `n` words count only where they are a row's whole prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError
from recast.curate.ingest.files import read
from recast.curate.texts import bare_words, grams


class Benchmarks:
    """The n-grams of benchmark texts, as 64-bit hashes."""

    def __init__(self, texts: Iterable[str] = (), n: int = 13) -> None:
        self.n = n
        self._grams: set[int] = set()
        self._short: set[tuple[str, ...]] = set()
        for text in texts:
            self.add(text)

    def __bool__(self) -> bool:
        return bool(self._grams or self._short)

    def add(self, text: str) -> None:
        words = bare_words(text)
        if len(words) < self.n:
            self._short.add(words)
        self._grams.update(map(hash, grams(words, self.n)))

    def shared(self, prompt: str, completion: str = "") -> str | None:
        """The first n-gram of a row that a benchmark holds, or None."""
        words = bare_words(prompt)
        if words and words in self._short:
            return " ".join(words)
        for tokens in (words, bare_words(completion)):
            for gram in grams(tokens, self.n):
                if hash(gram) in self._grams:
                    return " ".join(gram)
        return None


def texts_of(path: Path) -> Iterator[str]:
    """Every string of a benchmark file, in any field and at any depth. Raises DataError for a row that is no row."""
    for raw in read(path):
        if raw.row is None:
            raise DataError(
                f"{raw.file}, line {raw.line}: {raw.reason}. A benchmark that is half read protects by half: mend it."
            )
        yield from _strings(raw.row)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings(member)
