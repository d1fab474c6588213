"""A backbone that is pretrained in seconds: a corpus, its settings, and the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recast.train.pretraining.corpus import Chat
from recast.train.pretraining.from_scratch import ScratchConfig, pretrain_from_scratch
from recast.train.pretraining.pretrain import PretrainConfig

TEXTS = [
    f"The {a} {b} sees {n} birds. " * 3
    for a in ("old", "red", "shy")
    for b in ("fox", "cat")
    for n in range(9)
]
CHATS = [Chat([{"role": "user", "content": f"What is {n} + 1?"}], f"{n} + 1 = {n + 1}.") for n in range(40)]
SMALL = ScratchConfig(size="2m", hidden_size=64, num_hidden_layers=1, vocabulary=600, max_position=64)
SHORT = PretrainConfig(
    steps=16, rows={32: 4, 64: 2}, lr=2e-2, lr_embedding=2e-2, warmup=2, save_every=3, compile=False
)


def scratch(folder: Path, **kwargs: Any) -> dict[str, Any]:
    """The tiny backbone, made in `folder`, or what was made there before."""
    return pretrain_from_scratch(
        lambda: [*TEXTS, *CHATS], SMALL, SHORT, folder / "model", folder / "work", **kwargs
    )
