"""Supervised fine-tuning on the completions of a version, with TRL's SFTTrainer.

The tokens trained are the tokens scored and evaluated: the completion and its end of turn carry the loss,
the prompt never does (`train.sft.examples`). Weights are trained in float32, with bf16 arithmetic where the
machine has it, and saved in the dtype of the model that came in. A run killed at any moment and started
again goes on from its last checkpoint and, on a CPU, ends in the same weights. What a token costs is the
business of `train.sft.objectives`, which rows an epoch sees that of `train.sft.mixture`; this module does not judge
the outcome.

    out/model.safetensors ...   the tuned model, LoRA merged (the adapter itself in out/adapter)
    out/loss.jsonl              the curve: loss, nll and the gate's means (train.sft.telemetry)
    out/heldout.jsonl           held-out NLL, where rows were held out
    out/tokens.parquet          a sample of the trained tokens before and after; telemetry.json sums it up
    out/manifest.json           SftResult; written last, its presence means complete
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.chat import eos_ids, template_id
from recast.curate.curation.split import parted
from recast.curate.files import read_lines, write_json
from recast.train.model.loading import default_device, load, runs_in_bf16
from recast.train.sft.config import SftConfig, TuningConfig
from recast.train.sft.examples import Example, order, tokenize
from recast.train.sft.identity import JOB, MANIFEST, run_in
from recast.train.sft.mixture import stream
from recast.train.sft.objective_names import Objective
from recast.train.sft.trainer import Progress, sft_trainer, train

CURVE, HELDOUT = "loss.jsonl", "heldout.jsonl"
TOKENS, TELEMETRY = "tokens.parquet", "telemetry.json"
BASE_TOKENS = "tokens-base.parquet"  # until the tuned model's stand beside them


@dataclass(frozen=True, slots=True)
class SftResult:
    """What a finished run says about itself; the same as its manifest."""

    out: str
    fingerprint: str  # of data, model, config and held-out rows: the same fingerprint is the same run
    data: str | None  # version ref of the rows; of a mixture, all of them with their weights
    data_fingerprint: str  # of the token ids and what of them is trained
    model: str
    model_fingerprint: str
    template_id: str
    config: dict[str, Any]
    num_rows: int  # of all sources
    num_too_long: int  # left out
    num_tokens: int  # that can be trained: completions and ends of turn of all rows
    num_heldout: int  # rows not trained
    steps: int  # made: fewer than planned where training stopped early
    start_loss: float  # mean nats per trained token of the data under the untouched model
    final_loss: float  # mean nats per trained token over the last epoch, whatever the objective
    heldout_loss: float | None  # NLL of the held-out rows under the saved weights
    best_step: int | None  # whose weights were saved, where the best ones were asked for
    dtype: str  # of the saved weights
    precision: str  # of the arithmetic
    seconds: float  # of the process that finished the run


def sft(
    rows: Any,
    model_path: str | Path,
    config: SftConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    mixed: Sequence[tuple[Any, float | None]] = (),
    data_ref: str | None = None,
    memory: int | None = None,
) -> SftResult:
    """Fine-tune the model at `model_path` on `rows` (see `train.sft.examples.tokenize`) and save it to `out`.

    `mixed` are further sources with their weights (see `train.sft.mixture`). A finished `out` of the same data,
    model and config is returned as it is; an unfinished one goes on from its last checkpoint; one of another
    run raises UsageError (`train.sft.identity`). `progress` gets `{"step", "steps", "loss", "seconds"}` as training
    goes. `memory` is what the process may take in all (bytes; None: a share of what is free); it decides how a batch is
    cut into passes and, but for last bits, not what comes out. Raises DataError where no row can be trained, ModelError
    where the model cannot be loaded, UsageError where a row does not fit into memory (`train.sft.micro_batch`).
    """
    started = time.monotonic()
    out = Path(out)
    device = default_device()
    model, tokenizer = load(model_path, device=device)
    dtype = model.dtype
    sources, num_too_long = _tokenized([rows, *(more for more, _ in mixed)], tokenizer, config.max_length)
    weights = [None, *(weight for _, weight in mixed)]
    bf16 = runs_in_bf16(config.precision, device)
    precision = "bf16" if bf16 else "fp32"
    template = template_id(tokenizer)
    run = run_in(out, sources, weights, model_path, config, template_id=template, precision=precision)
    if finished := _finished(out):
        return finished

    from recast.train.sft.micro_batch import fitting
    from recast.train.sft.scoring import prepare

    num_rows, num_tokens = sum(map(len, sources)), sum(e.num_trained for s in sources for e in s)
    sources[0], heldout = parted(sources[0], run.held)
    examples = [e for source in sources for e in source]
    model = prepare(model, [*examples, *heldout], bf16=bf16)
    micro = fitting(config, model, [*examples, *heldout], out / "checkpoints", bf16=bf16, memory=memory)
    measuring = {"pad_id": tokenizer.pad_token_id, "batch_size": micro, "bf16": bf16}
    start_loss = _before(model, examples, config, out, run.fingerprint, measuring)
    drawn = stream([len(s) for s in sources], weights, epochs=config.epochs, seed=config.seed)
    lengths = [len(e.ids) for e in examples]
    positions = order(lengths, drawn.tolist(), batch_size=config.batch_size, seed=config.seed)
    trainer = sft_trainer(
        model,
        tokenizer,
        examples,
        positions,
        config.model_copy(update={"micro_batch_size": micro}),
        heldout=heldout,
        checkpoints=out / "checkpoints",
        curve=out / CURVE,
        heldout_curve=out / HELDOUT,
        bf16=bf16,
        progress=progress,
    )
    state = train(trainer, config.patience)

    tuned = save(trainer.model, tokenizer, dtype, config, out)
    _after(tuned.float(), examples, config, out, measuring)
    curve, on_heldout = read_lines(out / CURVE), read_lines(out / HELDOUT)
    ended = curve[-1]["epoch"]
    best_step = state["best_global_step"] if config.patience is not None else None
    kept = next((p["loss"] for p in on_heldout if p["step"] == best_step), None)
    result = SftResult(
        out=str(out),
        fingerprint=run.fingerprint,
        data=data_ref,
        data_fingerprint=run.data_fingerprint,
        model=str(model_path),
        model_fingerprint=run.model_fingerprint,
        template_id=run.template_id,
        precision=run.precision,
        config=config.model_dump(mode="json"),
        num_rows=num_rows,
        num_too_long=num_too_long,
        num_tokens=num_tokens,
        num_heldout=len(heldout),
        steps=state["global_step"],
        start_loss=start_loss,
        final_loss=float(np.mean([p["nll"] for p in curve if p["epoch"] > ended - 1])),
        heldout_loss=kept if kept is not None else on_heldout[-1]["loss"] if on_heldout else None,
        best_step=best_step,
        dtype=str(dtype).removeprefix("torch."),
        seconds=round(time.monotonic() - started, 2),
    )
    write_json(out / MANIFEST, asdict(result))
    _tidy(out)
    return result


def _tokenized(sources: Sequence[Any], tokenizer: Any, max_length: int) -> tuple[list[list[Example]], int]:
    pairs = [tokenize(rows, tokenizer, max_length) for rows in sources]
    return [examples for examples, _ in pairs], sum(num for _, num in pairs)


def _before(
    model: Any, examples: Sequence[Example], config: SftConfig, out: Path, run: str, measuring: dict[str, Any]
) -> float:
    """Make `out` this run's, measure the untouched model unless an earlier process has; return its NLL."""
    from recast.train.sft.scoring import mean_nll
    from recast.train.sft.telemetry import measure, sample, write_tokens

    if (out / JOB).exists():
        known = json.loads((out / JOB).read_text())["start_loss"]
        if known is not None:
            return known
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / JOB, {"fingerprint": run, "start_loss": None})
    if config.telemetry_tokens:
        indices = sample(examples, config.telemetry_tokens, config.seed)
        chosen = [examples[i] for i in indices]
        base = measure(model, chosen, Objective.parse(config.objective), **measuring)
        write_tokens(out / BASE_TOKENS, examples, indices, base=base)
    start_loss = mean_nll(model, examples, **measuring)
    write_json(out / JOB, {"fingerprint": run, "start_loss": start_loss})
    return start_loss


def _after(
    model: Any, examples: Sequence[Example], config: SftConfig, out: Path, measuring: dict[str, Any]
) -> None:
    """Measure the tokens that `_before` measured."""
    from recast.train.sft.telemetry import measure, read_measured, summary, write_tokens

    if not (out / BASE_TOKENS).exists():
        return
    objective = Objective.parse(config.objective)
    indices, base = read_measured(out / BASE_TOKENS, "base")
    tuned = measure(model, [examples[i] for i in indices], objective, **measuring)
    write_tokens(out / TOKENS, examples, indices, base=base, tuned=tuned)
    write_json(out / TELEMETRY, summary(objective, base, tuned))


def _finished(out: Path) -> SftResult | None:
    """The result in `out`, where the run has come to its end."""
    if not (out / MANIFEST).exists():
        return None
    _tidy(out)  # a kill may have come before this
    return SftResult(**json.loads((out / MANIFEST).read_text(encoding="utf-8")))


def _tidy(out: Path) -> None:
    """Remove what only an unfinished run needs."""
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    (out / BASE_TOKENS).unlink(missing_ok=True)


def save(model: Any, tokenizer: Any, dtype: Any, config: TuningConfig, out: Path) -> Any:
    """Write the tuned model and return it, with a LoRA merged."""
    if config.lora_rank is not None:
        model.save_pretrained(out / "adapter")
        model = model.merge_and_unload()
    # servers and generate() stop at what this names, and the model has learnt to stop where its template does
    model.generation_config.eos_token_id = eos_ids(tokenizer, model.generation_config)
    model.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return model
