"""Rows for the benchmark of the store: about 1 kB of words with Zipf frequencies each, the same for the same seed.

Rows come in blocks that are drawn column by column and depend on nothing but (seed, block, revision), so that any
number of them can be streamed, and again with some texts changed, without being held.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.schema import VERSION_SCHEMA, conform

BLOCK_ROWS = 16_384
VOCABULARY = 20_000
PROMPT_WORDS, TEXT_WORDS = 45, 60
_ID, _PROMPT, _TEXT = range(3)


class Corpus:
    """Rows number 0 to `rows` - 1. `revision` gives every row another completion under the same key and prompt."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows, self.seed = rows, seed
        rng = np.random.default_rng(seed)
        letters = "".join(map(chr, rng.integers(97, 123, 10 * VOCABULARY)))
        ends = np.cumsum(rng.integers(2, 10, VOCABULARY))
        starts = np.concatenate([[0], ends[:-1]])
        self.words = pa.array([letters[a:b] for a, b in zip(starts, ends, strict=True)])
        weights = 1 / np.arange(1, VOCABULARY + 1)
        self.cumulative = np.cumsum(weights / weights.sum())

    def picked(self, count: int, salt: int) -> np.ndarray:
        """int64[count]: numbers of distinct rows all over the corpus, ascending."""
        rng = np.random.default_rng([self.seed, salt])
        return np.sort(rng.choice(self.rows, count, replace=False))

    def batches(self, revision: int = 0, only: np.ndarray | None = None) -> Iterator[pa.RecordBatch]:
        """Yield every row, with the texts of `revision`; of the rows `only` alone where given, the others as first
        written."""
        for block in range(-(-self.rows // BLOCK_ROWS)):
            batch = self._block(block, 0 if only is not None else revision)
            if only is not None:
                mine = self._within(block, only)
                new = self._completions(block, revision, batch.num_rows).take(pa.array(mine))
                mask = np.zeros(batch.num_rows, bool)
                mask[mine] = True
                text = pc.replace_with_mask(batch.column("completion"), pa.array(mask), new)
                batch = _with_completion(batch, text)
            yield batch

    def chosen(self, only: np.ndarray, revision: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows `only`, with the texts of `revision`."""
        for block in np.unique(only // BLOCK_ROWS).tolist():
            yield self._block(block, revision).take(pa.array(self._within(block, only)))

    def reader(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(VERSION_SCHEMA, batches)

    def _within(self, block: int, only: np.ndarray) -> np.ndarray:
        low, high = np.searchsorted(only, [block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS])
        return only[low:high] - block * BLOCK_ROWS

    def _block(self, block: int, revision: int) -> pa.RecordBatch:
        count = min(BLOCK_ROWS, self.rows - block * BLOCK_ROWS)
        prompt = self._texts(block, _PROMPT, 0, PROMPT_WORDS, count)
        demonstration = self._completions(block, 0, count)
        completion = self._completions(block, revision, count) if revision else demonstration
        return conform(pa.table({
            "row_id": self._ids(block, count),
            "messages": pc.binary_join_element_wise('[{"content":"', prompt, '","role":"user"}]', ""),
            "completion": completion,
            "demonstration": demonstration,
            "answer": self._answers(block, count),
        }))  # fmt: skip

    def _completions(self, block: int, revision: int, count: int) -> pa.Array:
        """Texts that end in an answer, stated as GSM8K does in the first revision and in words after that."""
        text = self._texts(block, _TEXT, revision, TEXT_WORDS, count)
        stated = ("\n#### ", "") if revision == 0 else (" The answer is ", ".")
        return pc.binary_join_element_wise(text, stated[0], self._answers(block, count), stated[1], "")

    def _answers(self, block: int, count: int) -> pa.Array:
        return pa.array(np.arange(block * BLOCK_ROWS, block * BLOCK_ROWS + count)).cast(pa.string())

    def _rng(self, block: int, column: int, revision: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, block, column, revision])

    def _texts(self, block: int, column: int, revision: int, words: int, count: int) -> pa.Array:
        drawn = np.searchsorted(self.cumulative, self._rng(block, column, revision).random(count * words))
        lines = pa.ListArray.from_arrays(
            pa.array(np.arange(0, count * words + 1, words, dtype=np.int32)),
            self.words.take(pa.array(np.minimum(drawn, VOCABULARY - 1))),
        )
        return pc.binary_join(lines, " ")

    def _ids(self, block: int, count: int) -> pa.Array:
        """32 hex digits each, as `ingest` names rows without an id of their own."""
        raw = self._rng(block, _ID, 0).bytes(16 * count).hex().encode()
        offsets = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
        return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(raw)])


def _with_completion(batch: pa.RecordBatch, text: pa.Array) -> pa.RecordBatch:
    return batch.set_column(
        batch.schema.get_field_index("completion"), batch.schema.field("completion"), text
    )
