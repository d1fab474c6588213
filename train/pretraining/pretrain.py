"""Pretraining of a small causal LM from an endless stream of documents: packed, bf16, resumable.

A step's batch is a function of (seed, step, rank) alone, so a run that was killed goes on from its last
checkpoint with the batches it would have seen. Documents are packed into rows of fixed length; attention
stays inside a document and positions restart at 0, as at inference. Matrices are trained by Muon, the
rest by AdamW (torch.optim). With several processes (torchrun, gloo or nccl) gradients are averaged; what only one of
them may do, such as writing files, is the first one's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict

from recast.curate.files import append_line, whole
from recast.train.model.checkpoints import forget_after

if TYPE_CHECKING:
    from accelerate import PartialState

METRICS = "metrics.jsonl"
PATIENCE = timedelta(days=1)
"""How long processes wait for the first one. Tokenising takes longer than the ten minutes after which NCCL gives up; a
process that has died is noticed by torchrun."""
Document = tuple[list[int], list[float]]  # token ids, and the loss weight of each as a target


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""


class PretrainConfig(BaseModel):
    """Settings of a pretraining run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = 2200
    """Optimizer steps."""
    rows: dict[int, int] = {256: 24, 512: 4}
    """Rows a step and process, by row length in tokens."""
    lr: float = 4e-3
    """Peak learning rate of the Muon matrices (rms matched to AdamW)."""
    lr_embedding: float = 4e-3
    """Peak learning rate of embeddings and norms."""
    weight_decay: float = 0.05
    """Decoupled weight decay of the matrices."""
    warmup: int = 60
    """Steps of linear warm-up."""
    decay_frac: float = 0.35
    """Share of the steps, at the end, over which the rate falls linearly to zero."""
    max_grad_norm: float = 1.0
    """Gradient clipping."""
    seed: int = 0
    """Root of every random choice."""
    save_every: int = 100
    """Steps between checkpoints."""
    compile: bool = True
    """torch.compile the model."""


def processes() -> PartialState:
    """The processes of this run, joined, if torchrun started several. `device` is this one's own GPU, or the CPU."""
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def learning_rate(step: int, config: PretrainConfig) -> float:
    """Factor in [0, 1] at `step`: warm-up, constant, linear decay (WSD)."""
    up = min(1.0, (step + 1) / max(1, config.warmup))
    down = (config.steps - step) / max(1.0, config.decay_frac * config.steps)
    return min(up, 1.0, down)


def pack(
    documents: Iterator[Document], rows: dict[int, int], patience: int = 8
) -> dict[int, list[list[Document]]]:
    """First-fit packing: each document goes to the shortest row length it fits, into the first row with room.

    Stops once `patience` documents in a row found no place. Those are dropped: the stream is endless.
    """
    packed: dict[int, list[list[Document]]] = {length: [[] for _ in range(n)] for length, n in rows.items()}
    room = {length: [length] * n for length, n in rows.items()}
    misses = 0
    while misses < patience:
        document = next(documents)
        size = len(document[0])
        length = next((n for n in sorted(rows) if size <= n), None)
        slot = next((i for i, free in enumerate(room[length]) if free >= size), None) if length else None
        if length is None or slot is None:
            misses += 1
            continue
        misses = 0
        packed[length][slot].append(document)
        room[length][slot] -= size
    return packed


def tensors(rows_BD: list[list[Document]], length: int, pad: int) -> dict[str, torch.Tensor]:
    """Batch of packed rows: ids and positions (B, T), targets and weights shifted by one (B, T), mask (B, 1, T, T)."""
    batch = len(rows_BD)
    ids = torch.full((batch, length), pad)
    positions = torch.zeros((batch, length), dtype=torch.long)
    targets = torch.full((batch, length), pad)
    weights = torch.zeros((batch, length))
    owner = torch.full((batch, length), -1)
    for b, row in enumerate(rows_BD):
        at = 0
        for number, (tokens, weight) in enumerate(row):
            size = len(tokens)
            ids[b, at : at + size] = torch.tensor(tokens)
            positions[b, at : at + size] = torch.arange(size)
            targets[b, at : at + size - 1] = torch.tensor(tokens[1:])
            weights[b, at : at + size - 1] = torch.tensor(weight[1:])
            owner[b, at : at + size] = number
            at += size
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    allowed = (
        owner[:, :, None] == owner[:, None, :]
    ) & causal  # padding sees padding: no row of the softmax is empty
    mask = torch.zeros(batch, 1, length, length).masked_fill(
        ~allowed[:, None], torch.finfo(torch.bfloat16).min
    )
    return {"ids": ids, "positions": positions, "targets": targets, "weights": weights, "mask": mask}


def weighted_loss(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted sum of token NLLs (nats) and the sum of weights of a batch."""
    logits = model(
        input_ids=batch["ids"], position_ids=batch["positions"], attention_mask=batch["mask"], use_cache=False
    ).logits
    nll = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), batch["targets"].flatten(), reduction="none"
    )
    weights = batch["weights"].flatten()
    return (nll * weights).sum(), weights.sum()


def heldout_loss(model: Any, documents: list[Document], length: int, pad: int, rows: int = 8) -> float:
    """Mean NLL (nats) of the documents' targets by weight, `rows` packed rows of `length` tokens at a time."""
    packed: list[list[Document]] = [[]]
    room = length
    for document in documents:
        if len(document[0]) > room:
            packed.append([])
            room = length
        packed[-1].append(document)
        room -= len(document[0])
    total = weight = 0.0
    device = next(model.parameters()).device
    model.eval()
    for first in range(0, len(packed), rows):
        batch = {k: v.to(device) for k, v in tensors(packed[first : first + rows], length, pad).items()}
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            loss, counted = weighted_loss(model, batch)
        total, weight = total + float(loss), weight + float(counted)
    return total / weight


def average_gradients(parameters: list[torch.nn.Parameter], world: int) -> None:
    """Average gradients over processes in one message."""
    flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    torch.distributed.all_reduce(flat)
    flat /= world
    at = 0
    for p in parameters:
        if p.grad is not None:
            p.grad.copy_(flat[at : at + p.numel()].view_as(p))
            at += p.numel()


def optimizers(model: torch.nn.Module, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings, head and norms."""
    matrices = [
        p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n
    ]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(rest, lr=config.lr_embedding, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return [muon, adam]


def pretrain(
    model: torch.nn.Module,
    documents: Callable[[str], Iterator[Document]],
    config: PretrainConfig,
    out: Path,
    *,
    pad: int,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Train `model` in place and return the last figures. `documents(seed)` opens a stream.

    Writes `out/checkpoint.pt` (weights, optimizer, step; loaded with weights_only) every `save_every`
    steps and `out/metrics.jsonl`. The same call after a kill goes on from the checkpoint. Of several processes
    every one makes the call, with equal weights on its own device (`processes`), and ends in the same weights.
    """
    together = processes()
    rank, world = together.process_index, together.num_processes
    device = next(model.parameters()).device
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    steppers = optimizers(model, config)
    base_rates = [[g["lr"] for g in o.param_groups] for o in steppers]
    first, seen, spent = 0, 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for stepper, saved in zip(steppers, state["optimizers"], strict=True):
            stepper.load_state_dict(saved)
        first, seen, spent = state["step"], state["tokens"], state["seconds"]
    if rank == 0:
        forget_after(out / METRICS, first)
    parameters = [p for p in model.parameters() if p.requires_grad]
    forward = torch.compile(model) if config.compile else model
    figures: dict[str, float] = {}
    for step in range(first, config.steps):
        began = time.perf_counter()
        packed = pack(documents(f"{config.seed}/{step}/{rank}"), config.rows)
        factor = learning_rate(step, config)
        for stepper, rates in zip(steppers, base_rates, strict=True):
            for group, rate in zip(stepper.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        batches = [tensors(rows, length, pad) for length, rows in packed.items()]
        total_weight = sum(float(b["weights"].sum()) for b in batches)
        loss_sum = 0.0
        for batch in batches:
            batch = {k: v.to(device) for k, v in batch.items()}
            amp = (
                torch.autocast(device.type, torch.bfloat16)
                if device.type in ("cpu", "cuda")
                else nullcontext()
            )
            with amp:
                loss, _ = weighted_loss(forward, batch)
            (loss / total_weight).backward()
            loss_sum += float(loss.detach())
        if world > 1:
            average_gradients(parameters, world)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        seen += world * sum(len(d[0]) for rows in packed.values() for row in rows for d in row)
        spent += time.perf_counter() - began
        figures = {
            "step": step + 1,
            "loss": loss_sum / total_weight,
            "tokens": seen,
            "seconds": round(spent, 1),
            "grad_norm": norm,
            "lr_factor": factor,
        }
        if rank == 0:
            append_line(out / METRICS, figures)
            if progress:
                progress(step + 1, config.steps, figures)
            if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
                save_checkpoint(checkpoint, model, steppers, step + 1, seen, spent)
    together.wait_for_everyone()
    return figures


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    steppers: list[torch.optim.Optimizer],
    step: int,
    tokens: int,
    seconds: float,
) -> None:
    """Write the training state so that a kill leaves either the old or the new file."""
    state = {
        "model": model.state_dict(),
        "optimizers": [o.state_dict() for o in steppers],
        "step": step,
        "tokens": tokens,
        "seconds": seconds,
    }
    with whole(path) as temporary:
        torch.save(state, temporary)
