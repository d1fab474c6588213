"""Learning the rewriting agent: GRPO on a LoRA over the frozen backbone, rewarded by gate and alignment.

    result = learn(rows, model, tokenizer, load_gate("auto"), LearnConfig(steps=40), Path("runs/agent"))

Owns the configuration, the split into training and held-out rows, the schedule of held-out measurements, the
folder and its resume. TRL's trainer is wired in `agent.learning.session`, the reward in `agent.reward.scorer`. Killed
at any moment, the same call goes on from the last complete checkpoint.

    out/adapter/        best adapter by held-out reward (safetensors), what `recast rewrite --agent` loads
    out/last/           the adapter of the last step
    out/metrics.jsonl   one line a step; held-out figures in an object `heldout`
    out/manifest.json   backbone, prompt, gate, data, configuration, figures; written last
    out/checkpoints/    what a resume needs
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.agent.learning.config import COLUMNS, LATER, NOT_IDENTITY, LearnConfig
from recast.agent.learning.manifest import MANIFEST
from recast.agent.learning.run_log import METRICS
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.formula import REVISION
from recast.curate import chat
from recast.curate.curation.split import held_out, parted
from recast.curate.errors import DataError, MissingDependencyError, UsageError
from recast.curate.files import write_json
from recast.curate.fingerprint import fingerprint

if TYPE_CHECKING:
    from recast.agent.learning.session import Session
    from recast.agent.learning.warm_start import WarmStart

JOB = "job.json"
CHECKPOINTS = "checkpoints"
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class LearnResult:
    """Figures of a finished run. `before`, `after` and `best` are held-out figures of greedy rewrites."""

    steps: int
    best_step: int
    before: dict[str, Any]
    after: dict[str, Any]
    best: dict[str, Any]
    rows: int
    heldout_rows: int
    skipped: dict[str, int]
    stopped: str
    seconds: float
    backbone: str
    gate_id: str
    prompt_id: str
    template_id: str
    alarms: dict[str, str] = field(default_factory=dict)
    signal: dict[str, Any] | None = None  # what the first step said (`agent.learning.signal`)
    warm_start: dict[str, Any] | None = None  # what the adapter began with (`WarmStart.to_dict`)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def learn(
    rows: Sequence[Mapping[str, Any]] | Any,
    model: Any,
    tokenizer: Any,
    gate: Any,
    config: LearnConfig,
    out: Path | str,
    *,
    prompts: Prompts = DEFAULT,
    source: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    memory: int | None = None,
    warm: WarmStart | None = None,
) -> LearnResult:
    """Train a rewriting agent on `rows` (mappings with at least row_id, messages, demonstration).

    `model` is the plain backbone; it comes back as it was. `prompts` are what candidates are sampled under. `source`
    says where the rows come from (a version's name and id) and stands in the manifest. `memory` is what the process may
    take in all (bytes; None: a share of what is free), which decides how a step is cut into passes and, but for last
    bits, not what it does. `warm` is an adapter to begin with in place of a fresh one. In several processes
    (`accelerate launch`, `torchrun`) every one makes the same call.

    Raises UsageError where `out` holds another run, the model has an adapter already or a step
    would not fit into memory (`agent.learning.micro_batch`), DataError where too few rows can be used,
    MissingDependencyError for a tracker that is not installed.
    """
    for tracker in config.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise MissingDependencyError(
                f"learn.trackers names {tracker}, which is not installed; run `pip install {tracker}`, or leave it "
                f"out: all figures are in {METRICS} anyway."
            )
    if hasattr(model, "peft_config"):
        raise UsageError("the backbone given to learn has an adapter already; pass the plain model.")
    chat.require_template(tokenizer)
    out = Path(out)
    parts = parted_rows(rows, model, tokenizer, config, prompts)
    from recast.agent.learning.micro_batch import fitting
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.session import Session

    processes = Processes()
    out.mkdir(parents=True, exist_ok=True)
    kept = parts.heldout[: config.heldout_rows]
    job = _job(model, tokenizer, gate, parts.rows, config, prompts, warm)
    with processes.first_alone():
        finished = _claim(out, job)
    if finished is not None:
        return LearnResult(**finished)
    started = time.monotonic()
    micro = fitting(config, model, parts.longest_prompt, out / CHECKPOINTS, processes, memory)
    sized = config.model_copy(update={"micro_batch": micro})
    begun = json.loads((out / JOB).read_text()).get("reward", 1)
    with Session(
        model, tokenizer, gate, sized, parts.train, kept, out, processes, prompts, warm=warm, revision=begun
    ) as session:
        session.run(progress)
    result = _result(session, job, parts.skipped, time.monotonic() - started)
    if processes.first:
        _finish(
            out, {**job, "reward": begun, "source": dict(source or {}), "prompts": prompts.shown()}, result
        )
    processes.wait()
    return result


@dataclass(frozen=True, slots=True)
class Parted:
    """Rows that can be learnt from, in order and by side; how many were left out for which reason, and the longest
    prompt in tokens."""

    rows: list[dict[str, Any]]
    train: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    skipped: dict[str, int]
    longest_prompt: int


def parted_rows(rows: Any, model: Any, tokenizer: Any, config: LearnConfig, prompts: Prompts) -> Parted:
    """Which of `rows` a run learns from and which it holds out. Raises DataError where they do not fill a step."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    kept: list[dict[str, Any]] = []
    skipped: dict[str, int] = {}
    longest_prompt = 0
    for row in rows:
        reason, length = "", 0
        if not row.get("messages") or not row.get("demonstration"):
            reason = "no_demonstration"
        else:
            length = len(chat.prompt_ids(tokenizer, prompts.rewrite(row)))
            if length + config.max_tokens > longest:
                reason = "too_long"
        if reason:
            skipped[reason] = skipped.get(reason, 0) + 1
        else:
            kept.append({name: row.get(name) for name in COLUMNS})
            longest_prompt = max(longest_prompt, length)
    train, heldout = parted(kept, held_out([str(row["row_id"]) for row in kept], config.heldout))
    if len(train) < config.prompts_per_step:
        raise DataError(
            f"{len(train)} rows to learn from, fewer than the {config.prompts_per_step} prompts of one step "
            f"({len(heldout)} are held out, skipped: {skipped or 'none'}). Give more rows or set "
            "learn.prompts_per_step lower."
        )
    return Parted(kept, train, heldout, skipped, longest_prompt)


def _job(
    model: Any,
    tokenizer: Any,
    gate: Any,
    rows: Sequence[Mapping[str, Any]],
    config: LearnConfig,
    prompts: Prompts,
    warm: WarmStart | None,
) -> dict[str, Any]:
    """Identity of a run: what, changed, would make it another one."""
    from recast.agent.engines.hf.engine import backbone_fingerprint

    unused = {name for name in LATER if getattr(config, name) == LearnConfig.model_fields[name].default}
    return {
        "backbone": backbone_fingerprint(model),
        "template_id": chat.template_id(tokenizer),
        "prompt_id": prompts.rewrite_id,
        "gate_id": gate.id,
        "data": fingerprint(list(rows)),
        "config": config.model_dump(mode="json", exclude={*NOT_IDENTITY, *unused}),
        "reward": REVISION,
        # runs without one keep the identity that they had before there were any
        **({"warm_start": warm.id} if warm else {}),
    }


def _claim(out: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """Refuse a folder of another run; return the result of a finished one.

    A folder that tells no revision of the reward holds a run of before there were any, which goes on as it began.
    """
    marker = out / JOB
    if marker.exists():
        found = json.loads(marker.read_text())
        if {"reward": REVISION, **found} != job:
            sides = {**found, **job}
            changed = sorted(k for k in sides if found.get(k) != job.get(k) and (k != "reward" or k in found))
            raise UsageError(
                f"{out} holds another learning run (different: {', '.join(changed)}). Choose another folder, or "
                "remove that one."
            )
    else:
        write_json(marker, job)
    manifest = out / MANIFEST
    return json.loads(manifest.read_text())["result"] if manifest.exists() else None


def _result(session: Session, job: dict[str, Any], skipped: dict[str, int], seconds: float) -> LearnResult:
    log, measured = session.log, session.log.heldout
    first, last, best = min(measured), max(measured), log.best_step
    return LearnResult(
        steps=last,
        best_step=best,
        before=measured[first],
        after=measured[last],
        best=measured[best],
        rows=len(session.train),
        heldout_rows=len(session.heldout),
        skipped=skipped,
        stopped=session.stopped,
        seconds=round(log.seconds_before + seconds, 3),
        backbone=job["backbone"],
        gate_id=job["gate_id"],
        prompt_id=job["prompt_id"],
        template_id=job["template_id"],
        alarms=log.alarms,
        signal=log.signal,
        warm_start=session.warm.to_dict() if session.warm else None,
    )


def _finish(out: Path, job: dict[str, Any], result: LearnResult) -> None:
    """Write the manifest; what only a resume needs goes."""
    adapters = {
        "best": {"folder": "adapter", "step": result.best_step, "heldout": result.best},
        "last": {"folder": "last", "step": result.steps, "heldout": result.after},
    }
    write_json(out / MANIFEST, {**job, "result": result.to_dict(), "adapters": adapters})
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
