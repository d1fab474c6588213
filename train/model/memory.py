"""How much memory a training step takes, before it is tried: estimated from a model's config, against a budget.

    training = Training(model.config, dtype_bytes=4, lora_rank=64)
    need = training.standing(parameters) + taken(training.peak(Pass(tokens=16 * 300, logits=16 * 144)), "cpu")
    rows = most_rows(room("cpu"), 64, needed)       # of a pass, by the bytes that so many need

A pass holds what its backward pass will read: of every token and layer the inputs of norms, of adapters and of the
attention, and the insides of the MLP; of every scored position the logits. `tests/bench/memory.py` prints estimates
beside measured peaks.

Legend: D hidden size, F width of the MLP, Q and K widths of all query and all key heads, V vocabulary, r rank.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError

GIB = 2**30
FLOAT = 4  # bytes of a float32
USABLE = 0.85
"""Share of the free memory that an estimate may fill: estimates are off by some percent, and others want some, too."""
HOLES = 1.35
"""Memory that a CPU process takes for the bytes of a pass: the C library keeps the holes that freed temporaries leave
between them (1.3 to 1.45 times, measured; 1.0 where it was told to give memory back at once)."""
CPU_SHARE = 0.2
"""Share of the free memory that a job plans with on a CPU unless it is told: there larger passes are no faster (8 or 16
candidates of SmolLM2 a pass, measured), and the machine has other things to do."""
TILE = 2**26
"""Logits that a tiled output layer holds at once, more or less."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass by what it makes a model hold.

    `tokens`, padding included, go through the layers. `read` counts tokens of a cache once for every row that attends
    to them without having computed them. `logits` positions are scored with their logits held; `pairs` of queries and
    keys have their attention weights held, where plain attention is used.
    """

    tokens: int
    read: int = 0
    logits: int = 0
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained: `dtype_bytes` of its arithmetic, a LoRA's rank (None: all weights), checkpointing or not.

    `config` is the model's own (transformers). Mixtures count the experts that a token meets; state-space layers are
    taken as attention of the same width, which is rough.
    """

    config: Any
    dtype_bytes: int
    lora_rank: int | None = None
    checkpointing: bool = False

    def standing(self, parameters: int) -> int:
        """Bytes that last through all steps beside the `parameters` loaded: trained weights, gradients, AdamW's state.

        All are float32; for a LoRA its own weights count, else the float32 copy of weights loaded in another dtype.
        """
        if self.lora_rank is None:
            return parameters * (3 * FLOAT + (FLOAT if self.dtype_bytes < FLOAT else 0))
        D, F, Q, K = self._widths()
        in_and_out = (D + Q) + 2 * (D + K) + (Q + D) + 3 * (D + F)
        return 4 * FLOAT * self.lora_rank * in_and_out * self._text.num_hidden_layers

    def peak(self, of: Pass) -> int:
        """Most bytes of tensors that a pass holds at once, those that last through all steps left out."""
        layers, vocabulary = self._text.num_hidden_layers, self._text.vocab_size
        layer = of.tokens * self._of_token() + of.read * self._of_read_token()
        layer += (
            of.pairs * (getattr(self._text, "num_attention_heads", None) or 1) * (FLOAT + self.dtype_bytes)
        )
        if self.checkpointing:
            held = layers * of.tokens * self._text.hidden_size * self.dtype_bytes + layer
        else:
            held = layers * layer
        # gradients of a layer while it is gone back through; logits once to keep, once for what is made of them
        return held + layer // 4 + 2 * FLOAT * max(of.logits * vocabulary, min(TILE, of.tokens * vocabulary))

    @property
    def _text(self) -> Any:
        return self.config.get_text_config()

    def _widths(self) -> tuple[int, int, int, int]:
        text = self._text
        D, heads = text.hidden_size, getattr(text, "num_attention_heads", None) or 1
        head = getattr(text, "head_dim", None) or D // heads
        wide = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * D
        experts = getattr(text, "num_experts_per_tok", None)
        if experts:
            wide = experts * (getattr(text, "moe_intermediate_size", None) or wide)
        return D, wide, heads * head, (getattr(text, "num_key_value_heads", None) or heads) * head

    def _of_token(self) -> int:
        """Bytes of a token in a layer: norms, attention and what adapters read in float32, the MLP in its own dtype."""
        D, F, Q, _ = self._widths()
        common = FLOAT * (2 * D + 4 * Q) + self.dtype_bytes * 3 * F
        if self.lora_rank is None:
            return common + self.dtype_bytes * (2 * D + Q + F)
        # adapters are float32: what comes in another dtype is copied for each of them
        copies = 5 if self.dtype_bytes < FLOAT else 2
        return common + FLOAT * (copies * D + Q + F + 7 * self.lora_rank)

    def _of_read_token(self) -> int:
        """Bytes of a token read from a cache: its key and value, and both once more, repeated for all query heads."""
        _, _, Q, K = self._widths()
        return 2 * K * self.dtype_bytes + 2 * Q * FLOAT


def cached(config: Any, dtype_bytes: int) -> int:
    """Bytes of a token in the key-value cache of all layers."""
    training = Training(config, dtype_bytes)
    return 2 * training._widths()[3] * dtype_bytes * training._text.num_hidden_layers


def taken(peak: int, device: str) -> int:
    """Bytes that a process takes of `device` ("cuda" or "cpu") where its tensors come to `peak`."""
    return peak if device.startswith("cuda") else int(HOLES * peak)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that a job may still take: `usual` is what it plans with, `most` what it may go to for a single row."""

    usual: int
    most: int

    def shared(self, processes: int) -> Room:
        """The part of each of several processes on one machine."""
        return Room(self.usual // processes, self.most // processes)


def room(device: str, asked: int | None = None) -> Room:
    """What can be had on `device` ("cuda" or "cpu") now; where a person has `asked`, as much as makes that in all.

    Asked are bytes of the whole process, its libraries and weights included; on a GPU those of its tensors. Raises
    UsageError where more is asked than there is.
    """
    free, used = _cuda() if device.startswith("cuda") else (min([available(), *cgroup_rooms()]), resident())
    most = int(USABLE * free)
    if asked is None:
        return Room(most if device.startswith("cuda") else int(CPU_SHARE * free), most)
    if asked > used + free:
        raise UsageError(
            f"a memory of {written(asked)} was asked for, and {written(used + free)} can be had. Ask for less, or end "
            "what else is running."
        )
    return Room(max(0, asked - used), max(0, asked - used))


def most_rows(room: Room, usual: int, needed: Callable[[int], int]) -> int | None:
    """Rows of a pass: a divisor of `usual`, the largest that fits what is planned with, else 1 if it fits at all."""
    fits = next((n for n in range(usual, 0, -1) if usual % n == 0 and needed(n) <= room.usual), None)
    return fits or (1 if needed(1) <= room.most else None)


def parse(text: str) -> int:
    """Bytes of "6GiB", "800 MB", "6G" (binary as in GiB) or a plain number. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(i?b)?\s*", str(text), re.IGNORECASE)
    if found is None or not float(found[1]):
        raise ValueError(f"{text!r} is no amount of memory; write it as 6GiB or 800MB")
    base = 1000 if (found[3] or "").lower() == "b" and found[2] else 1024
    return int(float(found[1]) * base ** " kmgt".index(found[2].lower() or " "))


def written(size: int) -> str:
    """`size` bytes for people."""
    return f"{size / GIB:.1f} GiB"


def resident() -> int:
    """Bytes of memory that this process takes, 0 where no /proc says."""
    try:
        listed = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(dict(line.split(":", 1) for line in listed.splitlines())["VmRSS"].split()[0]) * 1024


def _cuda() -> tuple[int, int]:
    """Bytes that can be had, and those of tensors."""
    import torch

    free, _ = torch.cuda.mem_get_info()
    used = torch.cuda.memory_allocated()
    return free + torch.cuda.memory_reserved() - used, used


def available(root: Path = Path("/")) -> int:
    """Bytes of the machine's memory that can be had without swapping; all there are where no /proc says how many."""
    try:
        listed = (root / "proc/meminfo").read_text()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    facts = dict(line.split(":", 1) for line in listed.splitlines())
    return int(facts["MemAvailable"].removesuffix("kB")) * 1024


def cgroup_rooms(root: Path = Path("/")) -> list[int]:
    """Bytes left under every limit that the control groups of this process set, none where there is no limit.

    Both versions of the interface; page cache that can be dropped counts as free. `root` is where /proc and /sys are.
    """
    listed = root / "proc/self/cgroup"
    if not listed.exists():
        return []
    rooms = []
    for line in listed.read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        group = mount / place.lstrip("/")
        for folder in (group, *group.parents):
            if folder == mount.parent:
                break
            room = _room(folder, *names)
            rooms += [room] if room is not None else []
    return rooms


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """None where `folder` sets no limit, or cannot be seen from inside a container."""
    try:
        most = (folder / limit).read_text().strip()
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if most == "max" or int(most) >= 2**60:  # how the older interface says "none"
        return None
    return max(0, int(most) - used + int(stat.get(reclaimable, 0)))
