"""Rows for the benchmark of the store: about 1 kB of words with Zipf frequencies each, the same for the same seed.

Rows come in blocks that are drawn column by column and depend on nothing but (seed, block, revision), so that any
number of them can be streamed, and again with some texts changed, without being held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recast.curate.schema import conform

BLOCK_ROWS = 16_384
VOCABULARY = 20_000
DRAW_BITS = 18  # frequencies are rounded to 2**-18, a little less than that of the rarest word
PROMPT_WORDS, TEXT_WORDS = 45, 60
_ID, _PROMPT, _TEXT = range(3)


class Corpus:
    """Rows number 0 to `rows` - 1. `revision` gives a row another completion under the same key and prompt."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows, self.seed = rows, seed
        rng = np.random.default_rng(seed)
        letters = "".join(map(chr, rng.integers(97, 123, 10 * VOCABULARY)))
        ends = np.cumsum(rng.integers(2, 10, VOCABULARY))
        starts = np.concatenate([[0], ends[:-1]])
        self.words = pa.array([letters[a:b] for a, b in zip(starts, ends, strict=True)])
        cumulative = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
        middles = (np.arange(1 << DRAW_BITS) + 0.5) / (1 << DRAW_BITS)
        self.drawn = np.searchsorted(cumulative / cumulative[-1], middles).astype(np.int32)

    def picked(self, count: int, salt: int) -> np.ndarray:
        """int64[count]: numbers of distinct rows all over the corpus, ascending."""
        rng = np.random.default_rng([self.seed, salt])
        return np.sort(rng.choice(self.rows, count, replace=False))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield every row as first written, BLOCK_ROWS at a time."""
        for block, start in enumerate(range(0, self.rows, BLOCK_ROWS)):
            number = np.arange(start, min(start + BLOCK_ROWS, self.rows))
            prompt = self._texts((block, _PROMPT), PROMPT_WORDS, len(number))
            text = self._completions(block, number, 0)
            yield conform(pa.table({
                "row_id": self._ids(block, len(number)),
                "messages": pc.binary_join_element_wise('[{"content":"', prompt, '","role":"user"}]', ""),
                "completion": text, "demonstration": text, "answer": pa.array(number).cast(pa.string()),
            }))  # fmt: skip

    def revised(self, first: Iterable[pa.RecordBatch], revision: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of `batches` with every completion new."""
        for block, batch in enumerate(first):
            number = np.arange(block * BLOCK_ROWS, block * BLOCK_ROWS + batch.num_rows)
            yield _with_completion(batch, self._completions(block, number, revision))

    def chosen(
        self, first: Iterable[pa.RecordBatch], only: np.ndarray, revision: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows `only` (ascending) of `batches` with new completions."""
        for block, batch in enumerate(first):
            number = self._within(block, only)
            if len(number):
                rows = batch.take(pa.array(number - block * BLOCK_ROWS))
                yield _with_completion(rows, self._completions(block, number, revision))

    def touched(
        self, first: Iterable[pa.RecordBatch], only: np.ndarray, revision: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of `batches`, those of `only` (ascending) with new completions."""
        for block, batch in enumerate(first):
            number = self._within(block, only)
            mask = np.zeros(batch.num_rows, bool)
            mask[number - block * BLOCK_ROWS] = True
            new = self._completions(block, number, revision)
            yield _with_completion(
                batch, pc.replace_with_mask(batch.column("completion"), pa.array(mask), new)
            )

    def _within(self, block: int, only: np.ndarray) -> np.ndarray:
        low, high = np.searchsorted(only, [block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS])
        return only[low:high]

    def _completions(self, block: int, number: np.ndarray, revision: int) -> pa.Array:
        """Texts that end in an answer, stated as GSM8K does in the first revision and in words after that."""
        text = self._texts((block, _TEXT, revision), TEXT_WORDS, len(number))
        before, after = ("\n#### ", "") if revision == 0 else (" The answer is ", ".")
        return pc.binary_join_element_wise(text, before, pa.array(number).cast(pa.string()), after, "")

    def _texts(self, place: tuple[int, ...], words: int, count: int) -> pa.Array:
        drawn = self._rng(*place).integers(0, 1 << DRAW_BITS, count * words, dtype=np.uint32)
        lines = pa.ListArray.from_arrays(
            pa.array(np.arange(0, count * words + 1, words, dtype=np.int32)),
            self.words.take(pa.array(self.drawn[drawn])),
        )
        return pc.binary_join(lines, " ")

    def _ids(self, block: int, count: int) -> pa.Array:
        """32 hex digits each, as `ingest` names rows without an id of their own."""
        raw = self._rng(block, _ID).bytes(16 * count).hex().encode()
        offsets = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(raw))

    def _rng(self, *place: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *place])


def _with_completion(batch: pa.RecordBatch, text: pa.Array) -> pa.RecordBatch:
    return batch.set_column(
        batch.schema.get_field_index("completion"), batch.schema.field("completion"), text
    )
