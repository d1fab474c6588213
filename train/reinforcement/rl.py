"""Reinforcement fine-tuning: a model answers, a grader says what the answers are worth, the better ones get likelier.

    out/model.safetensors ...   the best model by validation reward, LoRA merged (the adapter itself in out/adapter)
    out/best/, out/last/        adapters of the best measurements, and that of the last step
    out/metrics.jsonl           one line a step; validation figures in an object `heldout`
    out/signal.json             what the untrained model's answers earned
    out/manifest.json           RlResult; written last, its presence means complete

A run killed at any moment and started again goes on from its last checkpoint and, on a CPU, ends in the same weights.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recast.curate import chat
from recast.curate.errors import RefusedError, UsageError
from recast.curate.files import write_json
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify
from recast.train.graders.format.rows import PromptRow
from recast.train.graders.records import Grades
from recast.train.model.checkpoints import last_checkpoint, step_of
from recast.train.model.loading import load
from recast.train.model.lora import load_adapter, save_adapter
from recast.train.model.run_folder import JOB, MANIFEST, begin
from recast.train.reinforcement.config import NOT_IDENTITY, PPO, RlConfig
from recast.train.reinforcement.course import Course, Progress, adapter_of
from recast.train.reinforcement.machinery import Machinery
from recast.train.reinforcement.prompts import Prompts, order, prompts
from recast.train.reinforcement.rollouts import Rollouts
from recast.train.reinforcement.signal import PROMPTS, Signal, signal

SIGNAL = "signal.json"
CHECKPOINTS, LAST = "checkpoints", "last"


@dataclass(frozen=True, slots=True)
class RlResult:
    """What a finished run says about itself; the same as its manifest. `before`, `after` and `best` are figures of
    greedy answers to the validation prompts."""

    out: str
    fingerprint: str  # of data, model, grader and config: the same fingerprint is the same run
    data: str | None  # version ref or file of the rows
    model: str
    model_fingerprint: str
    template_id: str
    grader: str
    grader_id: str
    config: dict[str, Any]
    num_prompts: int
    num_validation: int
    skipped: dict[str, int]
    signal: dict[str, Any]
    steps: int
    best_step: int
    before: dict[str, Any]
    after: dict[str, Any]
    best: dict[str, Any]
    kept: list[int]  # steps whose adapters stay in out/best
    stopped: str  # "steps", "validation_fell" or "alarm_..."
    alarms: dict[str, str]
    grader_errors: dict[str, int]  # over all training answers, by flag
    dtype: str
    seconds: float


def rl(
    rows: Sequence[PromptRow],
    model_path: str | Path,
    grader: Grades,
    config: RlConfig,
    out: str | Path,
    machinery: Machinery,
    progress: Progress | None = None,
    *,
    validation: Sequence[PromptRow] | None = None,
    data_ref: str | None = None,
    force: bool = False,
) -> RlResult:
    """Tune the model at `model_path` on `rows` by the rewards of `grader` into `out`.

    A finished `out` of the same data, model, grader and config is returned as it is; an unfinished one goes on; one of
    another run raises UsageError. Raises RefusedError where the untrained model's answers give nothing to learn from,
    unless `force`; DataError where too few prompts can be used; ModelError where the model cannot be loaded.
    """
    opened = _opened(rows, model_path, grader, config, machinery, validation)
    model, tokenizer, data = opened.model, opened.tokenizer, opened.data
    started = time.monotonic()
    out = Path(out)
    facts = {
        "model_fingerprint": identify(model_path),
        "template_id": chat.template_id(tokenizer),
        "grader_id": grader.id,
    }
    run = fingerprint(
        {
            **facts,
            "data": fingerprint(data.identity()),
            "config": config.model_dump(mode="json", exclude=set(NOT_IDENTITY)),
        }
    )[:16]
    if finished := begin(out, run):
        _tidy(out)  # a kill may have come before this
        return RlResult(**finished)
    found = _signal(out, opened, progress)
    if found.problems and not force:
        for name in (JOB, SIGNAL):  # nothing was begun: the folder is free for other settings
            (out / name).unlink()
        raise RefusedError(
            f"there is nothing to learn from yet: {'; '.join(found.problems)} ({found.words}). What helps: "
            f"{'; '.join(found.advice)}. Or go on all the same with --force."
        )
    dtype = model.dtype
    micro = machinery.fit(config, model, data.longest, out / CHECKPOINTS)
    steps = order(len(data.train), config)
    course = Course(out, config, opened.rollouts, data.validation, progress)
    policy = _train(opened, course, steps, micro, out)
    save_adapter(policy, out / LAST)
    _save_best(policy, tokenizer, dtype, course.best_step, out)
    errors: dict[str, int] = {}
    for line in course.steps:
        for flag, count in line["grader_errors"].items():
            errors[flag] = errors.get(flag, 0) + count
    measured = course.heldout
    result = RlResult(
        out=str(out),
        fingerprint=run,
        data=data_ref,
        model=str(model_path),
        **facts,
        grader=grader.name,
        config=config.model_dump(mode="json"),
        num_prompts=len(data.train),
        num_validation=len(data.validation),
        skipped=data.skipped,
        signal=found.to_dict(),
        steps=len(course.steps),
        best_step=course.best_step,
        before=measured[0],
        after=measured[max(measured)],
        best=measured[course.best_step],
        kept=sorted(step for step in measured if adapter_of(out, step).exists()),
        stopped=course.stopped,
        alarms=course.alarms,
        grader_errors=errors,
        dtype=str(dtype).removeprefix("torch."),
        seconds=round(time.monotonic() - started, 2),
    )
    write_json(out / MANIFEST, asdict(result))
    _tidy(out)
    return result


def preflight(
    rows: Sequence[PromptRow],
    model_path: str | Path,
    grader: Grades,
    config: RlConfig,
    machinery: Machinery,
    *,
    validation: Sequence[PromptRow] | None = None,
) -> tuple[Signal, Prompts]:
    """What the untrained model's answers earn, and the prompts of a run; nothing is trained or written."""
    opened = _opened(rows, model_path, grader, config, machinery, validation)
    return _measured(opened), opened.data


@dataclass(frozen=True, slots=True)
class Opened:
    """What a run works with."""

    model: Any
    tokenizer: Any
    data: Prompts
    rollouts: Rollouts
    config: RlConfig
    machinery: Machinery


def _opened(
    rows: Sequence[PromptRow],
    model_path: str | Path,
    grader: Grades,
    config: RlConfig,
    machinery: Machinery,
    validation: Sequence[PromptRow] | None,
) -> Opened:
    config.check()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "recast rl runs in one process; start it without accelerate launch or torchrun. `recast export --to trl` "
            "and its fellows write what trainers over several GPUs read."
        )
    model, tokenizer = load(model_path)
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    data = prompts(rows, validation, tokenizer, config, longest=longest)
    rollouts = Rollouts(machinery.draw, model, tokenizer, grader, config)
    return Opened(model, tokenizer, data, rollouts, config, machinery)


def _signal(out: Path, opened: Opened, progress: Progress | None) -> Signal:
    """Of the untrained model, measured once."""
    if (out / SIGNAL).exists():
        return Signal(**json.loads((out / SIGNAL).read_text(encoding="utf-8")))
    if progress:
        progress({"step": 0, "total": opened.config.steps, "phase": f"grading {PROMPTS} prompts"})
    found = _measured(opened)
    write_json(out / SIGNAL, found.to_dict())
    return found


def _measured(opened: Opened) -> Signal:
    """Several answers a prompt, whatever the algorithm; with hints as half-way, where about half of each is shown."""
    config = opened.config.model_copy(update={"samples": max(4, opened.config.samples)})
    rollouts = opened.rollouts
    asked = Rollouts(rollouts.draw, rollouts.model, rollouts.tokenizer, rollouts.grader, config)
    step = max(1, config.hinted_steps // 2)
    return signal(asked.of_step(opened.data.train[:PROMPTS], step))


def _train(opened: Opened, course: Course, steps: Sequence[Sequence[int]], micro: int, out: Path) -> Any:
    """Make the steps that are left; return the policy, the model with its adapter."""
    config, machinery, rollouts = opened.config, opened.machinery, opened.rollouts
    checkpoints = out / CHECKPOINTS
    checkpoint = last_checkpoint(checkpoints)
    start = step_of(checkpoint) if checkpoint else 0
    course.resume(start)
    from recast.train.reinforcement import ppo, trl_trainer

    if config.algorithm == PPO:
        bf16 = trl_trainer.in_bf16(config, opened.model)
        made = ppo.PPO(opened.model, opened.tokenizer, config, micro=micro, bf16=bf16)
        if checkpoint:
            made.restore(checkpoint)
        policy = made.policy
    else:
        ids = chat.eos_ids(opened.tokenizer, getattr(opened.model, "generation_config", None))
        made = trl_trainer.trainer(
            opened.model, opened.tokenizer, config, machinery, rollouts, course, opened.data.train, steps,
            checkpoints=checkpoints, eos_ids=ids, micro=micro,
        )  # fmt: skip
        policy = made.model
        if checkpoint:  # read again by a trainer that goes on; one that has come to its end reads nothing
            load_adapter(policy, checkpoint)
    rollouts.model = policy
    with machinery.attention(opened.model):
        if start == 0:
            course.begin()
        if start < config.steps and course.reason_to_stop() is None:
            if isinstance(made, ppo.PPO):
                ppo.run(
                    made, rollouts, course, opened.data.train, steps, checkpoints=checkpoints, start=start
                )
            else:
                made.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return policy


def _save_best(policy: Any, tokenizer: Any, dtype: Any, step: int, out: Path) -> None:
    """Write the best model whole, and its adapter beside it."""
    load_adapter(policy, adapter_of(out, step))
    save_adapter(policy, out / "adapter")
    tuned = policy.merge_and_unload()
    # TRL hangs its fused forward on the instance; the class's own is back once that is gone
    tuned.__dict__.pop("forward", None)
    # servers and generate() stop at what this names, and the model has learnt to stop where its template does
    tuned.generation_config.eos_token_id = chat.eos_ids(tokenizer, tuned.generation_config)
    tuned.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _tidy(out: Path) -> None:
    """Remove what only an unfinished run needs."""
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
