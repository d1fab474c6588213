"""Documents to pretrain on: text and chats as token ids in one flat file, drawn without end.

A document is a text, trained throughout, or a chat, whose prompt counts less than its completion. Texts longer
than a row are cut into pieces, each a document; a chat that is longer is left out and counted, since a cut one
would teach an answer without its question. Token ids lie on disk and are read through a memory map.

    ids.npy         every document end to end
    documents.npy   (D, 2): where each ends, and how many of its first tokens are prompt
    too_long.npy    how many chats were left out
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.chat import encode
from recast.curate.errors import DataError

IDS, DOCUMENTS, TOO_LONG = "ids.npy", "documents.npy", "too_long.npy"
HELD_OUT_EVERY = 100  # one document in a hundred is measured, not trained


@dataclass(frozen=True, slots=True)
class Chat:
    """A prompt with its completion."""

    messages: list[dict[str, Any]]
    completion: str


Piece = str | Chat


@dataclass(frozen=True, slots=True)
class Corpus:
    """Tokenised documents. `num_too_long` chats did not fit a row."""

    ids: np.ndarray
    documents: np.ndarray
    num_too_long: int

    @classmethod
    def build(cls, pieces: Iterable[Piece], tokenizer: Any, folder: Path, max_length: int) -> Corpus:
        """Tokenise into `folder`, in one process only. Raises DataError where nothing is left to train on."""
        folder.mkdir(parents=True, exist_ok=True)
        documents: list[tuple[int, int]] = []
        total = too_long = 0
        with (folder / "ids.tmp").open("wb") as file:
            for piece in pieces:
                for ids, num_prompt in _documents(piece, tokenizer, max_length):
                    if len(ids) > max_length:
                        too_long += 1
                        continue
                    file.write(np.asarray(ids, dtype=np.int32).tobytes())
                    total += len(ids)
                    documents.append((total, num_prompt))
        if len(documents) < 2:
            raise DataError(
                f"found {len(documents)} documents of at most {max_length} tokens to pretrain on ({too_long} chats "
                "were longer); at least two are needed, of which one is measured."
            )
        np.save(folder / IDS, np.fromfile(folder / "ids.tmp", dtype=np.int32))
        np.save(folder / DOCUMENTS, np.asarray(documents, dtype=np.int64))
        np.save(folder / TOO_LONG, too_long)
        (folder / "ids.tmp").unlink()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """The corpus that `build` has made in `folder`."""
        counted = int(np.load(folder / TOO_LONG))
        return cls(np.load(folder / IDS, mmap_mode="r"), np.load(folder / DOCUMENTS), counted)

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def num_tokens(self) -> int:
        return int(self.documents[-1, 0])

    def document(self, number: int, prompt_weight: float) -> tuple[list[int], list[float]]:
        """Token ids, and what each of them counts as a target."""
        end, num_prompt = self.documents[number].tolist()
        start = int(self.documents[number - 1, 0]) if number else 0
        ids = self.ids[start:end].tolist()
        return ids, [prompt_weight] * num_prompt + [1.0] * (len(ids) - num_prompt)

    def held_out(self) -> list[int]:
        """Numbers of the documents that are never drawn."""
        return list(range(len(self) - 1, -1, -HELD_OUT_EVERY))

    def stream(self, seed: str, prompt_weight: float) -> Iterator[tuple[list[int], list[float]]]:
        """Documents drawn without end, the same for the same seed."""
        rng, left_out = random.Random(seed), set(self.held_out())
        while True:
            number = rng.randrange(len(self))
            if number not in left_out:
                yield self.document(number, prompt_weight)


def _documents(piece: Piece, tokenizer: Any, max_length: int) -> Iterator[tuple[list[int], int]]:
    if isinstance(piece, Chat):
        prompt, completion = encode(tokenizer, piece.messages, piece.completion)
        yield [*prompt, *completion], len(prompt)
        return
    ids = [*tokenizer(piece, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    for first in range(0, len(ids), max_length):
        if len(ids) - first > 1:  # a lone end of text has nothing before it to predict it from
            yield ids[first : first + max_length], 0
