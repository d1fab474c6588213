"""Rows as training examples: token ids with a trained tail, their order over a run, their batches.

An example is a prompt, never trained, and a completion with its end of turn, always trained, tokenised by
`curate.chat.encode`. The order of all examples of a run is drawn before training starts (`train.sft.mixture`
says which, `order` in which batches), so that it belongs to the job and not to a trainer's state: resuming
needs only a position in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recast.curate.chat import encode
from recast.curate.errors import DataError
from recast.curate.fingerprint import prompt_hash

IGNORED = -100  # the label that torch's cross-entropy skips
# Examples are sorted by length inside runs of this many batches: few enough that a batch is still a random
# draw of rows, enough that padding stays at a few percent.
GROUPED_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of prompt + completion + end of turn; the first `num_prompt` carry no loss."""

    ids: list[int]
    num_prompt: int
    row_id: str = ""  # targets of a row share it; it decides what is held out

    @property
    def num_trained(self) -> int:
        return len(self.ids) - self.num_prompt

    @property
    def labels(self) -> list[int]:
        return [IGNORED] * self.num_prompt + self.ids[self.num_prompt :]


def tokenize(rows: Any, tokenizer: Any, max_length: int) -> tuple[list[Example], int]:
    """Return `(examples, number of rows longer than max_length)`.

    `rows` is a datasets.Dataset, a pyarrow table or reader, or an iterable of mappings, with `messages` and
    `completion`; a row without a `row_id` is known by its prompt. A row that is too long is left out: cut at its end
    it would teach the model not to stop. Raises DataError where nothing is left to train on.
    """
    examples: list[Example] = []
    num_rows = 0
    for row in mappings(rows):
        num_rows += 1
        messages = messages_of(row)
        prompt, completion = encode(tokenizer, messages, row["completion"])
        if len(prompt) + len(completion) <= max_length:
            row_id = row.get("row_id")
            known_by = prompt_hash(messages) if row_id is None else str(row_id)
            examples.append(Example([*prompt, *completion], len(prompt), known_by))
    if not num_rows:
        raise DataError("there are no rows to train on: the version is empty.")
    if not examples:
        raise DataError(
            f"all {num_rows} rows are longer than max_length={max_length} tokens; raise it, or filter the version."
        )
    return examples, num_rows - len(examples)


def order(lengths: Sequence[int], stream: Sequence[int], *, batch_size: int, seed: int) -> list[int]:
    """Return `stream`, example indices in the order in which they were drawn, as batches of like length.

    `lengths` are those of the examples. Only the very last batch may be partial.
    """
    rng = np.random.default_rng(seed)
    by_index, drawn = np.asarray(lengths), np.asarray(stream)
    group = batch_size * GROUPED_BATCHES
    positions: list[int] = []
    for first in range(0, len(drawn), group):
        block = drawn[first : first + group]
        block = block[np.argsort(-by_index[block], kind="stable")]
        batches = [block[i : i + batch_size] for i in range(0, len(block), batch_size)]
        partial = [batches.pop()] if len(batches[-1]) < batch_size else []
        for batch in [*(batches[i] for i in rng.permutation(len(batches))), *partial]:
            positions.extend(batch.tolist())
    return positions


def collate(examples: Sequence[Example], pad_id: int) -> dict[str, Any]:
    """Return `input_ids`, `labels` and `attention_mask`, each (N, T), padded on the right."""
    import torch

    shape = (len(examples), max(len(e.ids) for e in examples))
    ids = torch.full(shape, pad_id)
    labels = torch.full(shape, IGNORED)
    mask = torch.zeros(shape, dtype=torch.long)
    for n, example in enumerate(examples):
        length = len(example.ids)
        ids[n, :length] = torch.tensor(example.ids)
        labels[n, :length] = torch.tensor(example.labels)
        mask[n, :length] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def mappings(rows: Any) -> Iterable[Mapping[str, Any]]:
    """Iterate over `rows` of any of the kinds that `tokenize` takes."""
    if hasattr(rows, "to_batches"):  # pyarrow.Table
        rows = rows.to_batches()
    elif hasattr(rows, "read_next_batch"):  # pyarrow.RecordBatchReader
        pass
    else:
        return rows
    return (row for batch in rows for row in batch.to_pylist())


def messages_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The prompt as a template takes it: Arrow gives every struct every key, so absent ones are dropped."""
    messages = row["messages"]
    if isinstance(messages, str):
        messages = json.loads(messages)
    return [{key: value for key, value in turn.items() if value is not None} for turn in messages]
