"""Rejective fine-tuning: a model learns from the candidates that a gate, a grader or people accepted and refused.

The first of two stages, of which reinforcement is the second. The accepted text is made likelier, the refused one is
pushed away from where it begins to differ, and both are audited.

    out/model.safetensors ...   the tuned model, LoRA merged (the adapter itself in out/adapter)
    out/loss.jsonl              the curve: loss, its terms, how far accepted and refused candidates have moved
    out/heldout.jsonl           the same of the held-out rows
    out/audit.parquet, .json    every candidate before and after; whether right and wrong came apart
    out/answers.jsonl           the answers, where they are the model's own (`train.rejection.answers`)
    out/manifest.json           RejectResult; written last, its presence means complete

A run killed at any moment and started again goes on from its last checkpoint and, on a CPU, ends in the same weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.chat import template_id
from recast.curate.files import read_lines, whole, write_json
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify
from recast.train.model.loading import default_device, load, runs_in_bf16
from recast.train.model.run_folder import MANIFEST, begin
from recast.train.rejection import audit
from recast.train.rejection.config import LATER, NOT_IDENTITY, RejectConfig
from recast.train.rejection.groups import Encoded, describe, encoded, groups, held_by_row, identity
from recast.train.sft.examples import mappings, order
from recast.train.sft.mixture import stream
from recast.train.sft.trainer import Progress, train

CURVE, HELDOUT = "loss.jsonl", "heldout.jsonl"
START = "start.npy"  # log-probabilities of all candidates' tokens as training began, one after the other


@dataclass(frozen=True, slots=True)
class RejectResult:
    """What a finished run says about itself; the same as its manifest."""

    out: str
    fingerprint: str  # of data, model and config: the same fingerprint is the same run
    data: str | None  # version ref of the rows
    model: str
    model_fingerprint: str
    template_id: str
    config: dict[str, Any]
    num_rows: int
    num_heldout: int  # rows not trained
    num_accepted: int
    num_refused: int
    num_by_expert: int  # rows that nobody passed: the expert's text is the accepted one
    reasons: dict[str, int]  # why candidates were refused
    left_out: dict[str, int]  # candidates that are not pushed away, and rows, with the reason
    steps: int  # made
    eased: int  # times that the weights of what pushes away were halved
    stopped: str  # "steps", "patience", or "fell": accepted candidates kept falling
    moved: list[dict[str, Any]]  # candidates of the held-out rows by kind: nats a token before and after
    discrimination: dict[str, Any]  # of the held-out rows, before and after
    dtype: str
    precision: str
    seconds: float  # of the process that finished the run
    drawn: dict[str, Any] | None = None  # figures of own answers: `train.rejection.answers`


def reject(
    rows: Any,
    candidates: Iterable[Mapping[str, Any]],
    model_path: str | Path,
    config: RejectConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    data_ref: str | None = None,
    drawn: Mapping[str, Any] | None = None,
) -> RejectResult:
    """Tune the model at `model_path` on accepted and refused candidates (see `train.rejection.groups`) into `out`.

    `rows` are of any of the kinds that `train.sft.examples.mappings` takes. `drawn` are figures of own answers
    (`train.rejection.answers`), where the candidates are those.
    A finished `out` of the same data, model and config is returned as it is; an unfinished one goes on; one of another
    run raises UsageError. Raises DataError where no row can be trained, UsageError where none has a refused candidate
    or a setting has no effect, ModelError where the model cannot be loaded.
    """
    started = time.monotonic()
    config.check()
    out = Path(out)
    device = default_device()
    model, tokenizer = load(model_path, device=device)
    dtype = model.dtype
    found, left_out = groups(mappings(rows), candidates, config, drop_all_passed=config.all_passed == "drop")
    data, num_too_long = encoded(found, tokenizer, config)
    if num_too_long:
        left_out["too_long_for_max_length"] += num_too_long
    bf16 = runs_in_bf16(config.precision, device)
    facts = {
        "model_fingerprint": identify(model_path),
        "template_id": template_id(tokenizer),
    }
    run = fingerprint(
        {
            **facts,
            "data": fingerprint(identity(data)),
            # what decides which candidates there are is in the data
            "config": config.model_dump(mode="json", exclude={*NOT_IDENTITY, *LATER}),
            "precision": "bf16" if bf16 else "fp32",
        }
    )[:16]
    if finished := begin(out, run):
        _tidy(out)  # a kill may have come before this
        return RejectResult(**finished)

    from recast.train.rejection.preference import preference_trainer
    from recast.train.rejection.trainer import EASINGS, eased, reject_trainer
    from recast.train.sft.scoring import prepare
    from recast.train.sft.sft import save

    heldout, training = _parted(data, config)
    model = prepare(model, [s.example for e in data for s in e.said], bf16=bf16)
    scoring = {
        "pad_id": tokenizer.pad_token_id,
        "batch_size": config.micro_batch_size or config.batch_size,
        "bf16": bf16,
    }
    start = _start(out / START, model, data, scoring)
    passes = stream([len(training)], [None], epochs=config.epochs, seed=config.seed)
    # not the sum: rows with refused candidates would share batches, and these would be about little else
    lengths = [max(len(s.example.ids) for s in data[i].said) for i in training]
    positions = order(lengths, passes.tolist(), batch_size=config.batch_size, seed=config.seed)
    positions = [training[i] for i in positions]
    files = {
        "checkpoints": out / "checkpoints",
        "curve": out / CURVE,
        "heldout_curve": out / HELDOUT,
        "bf16": bf16,
        "progress": progress,
    }
    if config.method in ("dpo", "kto"):
        trainer = preference_trainer(model, tokenizer, data, positions, config, **files)
    else:
        trainer = reject_trainer(model, tokenizer, data, start, positions, heldout, config, **files)
    state = train(trainer, config.patience)
    tuned = save(trainer.model, tokenizer, dtype, config, out)
    summary = audit.write(out, data, heldout, start, _logps(tuned.float(), data, scoring))
    total = -(-len(trainer.train_dataset) // config.batch_size)
    times = eased(read_lines(out / CURVE), config.fall_steps)
    result = RejectResult(
        out=str(out),
        fingerprint=run,
        data=data_ref,
        model=str(model_path),
        **facts,
        config=config.model_dump(mode="json"),
        **describe([e.group for e in data]),
        num_heldout=len(heldout),
        left_out=dict(left_out),
        steps=state["global_step"],
        eased=times,
        stopped="steps" if state["global_step"] >= total else "fell" if times >= EASINGS else "patience",
        moved=summary["heldout"] or summary["trained"],
        discrimination=summary["discrimination"],
        dtype=str(dtype).removeprefix("torch."),
        precision="bf16" if bf16 else "fp32",
        seconds=round(time.monotonic() - started, 2),
        drawn=dict(drawn) if drawn else None,
    )
    write_json(out / MANIFEST, asdict(result))
    _tidy(out)
    return result


def _parted(data: list[Encoded], config: RejectConfig) -> tuple[list[int], list[int]]:
    """(held-out, training) places in `data`."""
    held = held_by_row([e.group.row_id for e in data], config.heldout)
    return [i for i, h in enumerate(held) if h], [i for i, h in enumerate(held) if not h]


def _start(path: Path, model: Any, data: list[Encoded], scoring: dict[str, Any]) -> list[list[Any]]:
    """Log-probabilities under the untouched model, measured once: a resumed run goes on from the same numbers."""
    if not path.exists():
        flat = np.concatenate([x for of_group in _logps(model, data, scoring) for x in of_group])
        with whole(path) as temporary, temporary.open("wb") as file:
            np.save(file, flat)
    lengths = [s.example.num_trained for e in data for s in e.said]
    pieces = iter(np.split(np.load(path), np.cumsum(lengths)[:-1]))
    return [[next(pieces) for _ in e.said] for e in data]


def _logps(model: Any, data: list[Encoded], scoring: dict[str, Any]) -> list[list[np.ndarray]]:
    """Log-probabilities (T,) of the tokens of every candidate, float32."""
    from recast.train.sft.scoring import scored

    examples = [s.example for e in data for s in e.said]
    found: list[Any] = [None] * len(examples)
    for chosen, of in scored(model, examples, frozenset(), **scoring):
        pieces = of.logp.float().cpu().split([examples[i].num_trained for i in chosen])
        for i, piece in zip(chosen, pieces, strict=True):
            found[i] = piece.numpy()
    each = iter(found)
    return [[next(each) for _ in e.said] for e in data]


def _tidy(out: Path) -> None:
    """Remove what only an unfinished run needs."""
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    (out / START).unlink(missing_ok=True)
