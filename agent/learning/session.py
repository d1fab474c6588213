"""One GRPO run on TRL: the trainer, its rollouts through the project's engine, its records and checkpoints.

Owns what touches TRL and PEFT; `agent.learning.learn` owns the configuration and the folder's identity. The policy is
the backbone with the adapter on, the reference and the scorer are the same weights with it off. Rollouts go through
`agent.engines.hf.engine` (K samples share a prefill, cache written in place, a seed a sample) in place of `generate`,
which decodes a quarter as many tokens a second on a CPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from recast.agent.engines import probe
from recast.agent.engines.embedding import sentence_embedder
from recast.agent.engines.hf.attention import cpu_attention
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.protocol import Sampling
from recast.agent.learning import heldout
from recast.agent.learning.config import COLUMNS, LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.learning.run_log import METRICS, Metrics, save_adapter
from recast.agent.learning.trl_trainer import arguments, order, trainer_class
from recast.agent.prompts import templates
from recast.agent.reward.alignment import AnchorCache
from recast.agent.reward.ledger import STOPS, alarms
from recast.agent.reward.scorer import ScoredGroup, Scorer
from recast.curate import chat
from recast.curate.fingerprint import prompt_hash, seed_of
from recast.train.model.checkpoints import last_checkpoint, step_of
from recast.train.model.lora import lora_config

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental in TRL 1.16

ANCHORS = "anchors.jsonl"
ANCHORS_AHEAD = 256
"""Own samples drawn together."""
LOGGED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "kl": "kl",
    "entropy": "entropy",
    "learning_rate": "lr",
    "completions/mean_length": "mean_tokens",
    "completions/clipped_ratio": "truncated_frac",
}
"""What is taken over from TRL's own log, and under which name."""


class Session:
    """A run in progress. Used as a context manager: the backbone gets its shape back at the end."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        gate: Any,
        config: LearnConfig,
        train: Sequence[dict[str, Any]],
        heldout: Sequence[dict[str, Any]],
        out: Path,
        processes: Processes,
    ) -> None:
        self.tokenizer, self.gate, self.config, self.out = tokenizer, gate, config, out
        self.processes = processes
        self.train, self.heldout = list(train), list(heldout)
        self.metrics = Metrics(out / METRICS)
        self.heldout_figures: dict[int, dict[str, Any]] = {}
        self.best_step = 0
        self.stopped = "steps"
        self.alarms: dict[str, str] = {}
        self.steps: list[Mapping[str, Any]] = []
        self.seconds_before = 0.0
        self.order = order(len(self.train), config)
        self._backbone = model
        self._scored: list[ScoredGroup] = []  # this process's groups of the step
        self._step_figures: dict[str, Any] = {}
        self.engine = HFEngine(model, tokenizer, batch_size=config.engine_batch)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.engine.has_adapter:
            self.engine.model.unload()  # the LoRA layers were put into the caller's model
        # TRL hangs its fused forward on the instance; the class's own is back once that is gone
        self._backbone.__dict__.pop("forward", None)
        self._backbone.requires_grad_(True)

    def run(self, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Train from where the folder stands to the last step, measuring on schedule."""
        with self.processes.first_alone():
            checkpoint = last_checkpoint(self.out / "checkpoints")
            start = step_of(checkpoint) if checkpoint else 0
            self._read_back(start)
        config = self.config
        fingerprint = self.engine.fingerprint  # before the trainer wraps the weights
        trainer = self._trainer(progress)
        self.engine = HFEngine(trainer.model, self.tokenizer, batch_size=config.engine_batch)
        self.engine._fingerprint = fingerprint
        self.anchors.engine = self.scorer.engine = self.engine
        with cpu_attention(self._backbone):
            if start == 0:
                if progress:
                    progress({"step": 0, "total": config.steps, "phase": "measuring held-out rows"})
                self.measure(0)
            if start < config.steps:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            else:
                self.measure(start)
        self._save("last")

    def _trainer(self, progress: Callable[[Mapping[str, Any]], None] | None) -> Any:
        from trl import GRPOConfig

        config = self.config
        self.anchors = AnchorCache(
            self.engine,
            self.tokenizer,
            own_samples=config.own_samples if config.mode == "anchored" else 0,
            max_tokens=config.max_tokens,
            seed=config.seed,
            path=self.out / ANCHORS,
        )
        embed = sentence_embedder(config.embedding) if config.embedding else None
        self.scorer = Scorer(
            self.engine, self.gate, self.anchors, config.weights, embed=embed, scale=config.scale_rewards
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        bf16 = device == "cuda" and torch.cuda.is_bf16_supported()
        if "tensorboard" in config.trackers:  # beside the checkpoints, which are removed in the end
            os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(self.out / "tensorboard"))
        given = arguments(
            config,
            self.out / "checkpoints",
            device=device,
            bf16=bf16,
            eos_ids=self.engine.eos_ids,
            processes=self.processes.count,
        )
        trainer = trainer_class()(
            model=self._backbone,
            reward_funcs=self.scorer.reward_func(group_size=config.candidates, on_scored=self._remember),
            args=GRPOConfig(**given),
            train_dataset=Dataset.from_dict({"row": self.order}).with_transform(self._examples),
            processing_class=self.tokenizer,
            peft_config=lora_config(self._backbone, config.lora_rank, config.lora_alpha),
            rollout_func=self._rollout if config.vllm == "off" else None,
            callbacks=[Recorder(self, progress)],
        )
        trainer.eos_token_ids = self.engine.eos_ids  # TRL's own leave out what the template ends a turn with
        trainer.on_advantages = self._check_advantages
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        return trainer

    def _examples(self, batch: Mapping[str, list[int]]) -> dict[str, list[Any]]:
        rows = [self.train[i] for i in batch["row"]]
        asked = [templates.rewrite(r["messages"], r["demonstration"]) for r in rows]
        return {"prompt": asked, **{name: [r[name] for r in rows] for name in COLUMNS}}

    def _rollout(self, asked: list[Any], trainer: Any) -> dict[str, Any]:
        """TRL's hook: `asked` holds every prompt K times in a row; the same order comes back."""
        k = self.config.candidates
        groups = asked[::k]
        if any(asked[i] != groups[i // k] for i in range(len(asked))):
            raise ValueError(
                f"prompts do not come in groups of {k}; group rewards need whole groups a process"
            )
        step = trainer.state.global_step
        self._anchor_ahead(step)
        seeds = [[seed_of(self.config.seed, prompt_hash(p), step, j) for j in range(k)] for p in groups]
        sampling = Sampling(temperature=self.config.temperature, max_tokens=self.config.max_tokens)
        started = time.perf_counter()
        drawn = [s for g in self.engine.sample(groups, k, sampling, seeds=seeds, adapter=True) for s in g]
        self._step_figures = {"generate_seconds": round(time.perf_counter() - started, 4)}
        ids = [chat.prompt_ids(self.tokenizer, p) for p in groups]
        return {
            "prompt_ids": [ids[i // k] for i in range(len(asked))],
            "completion_ids": [s.token_ids for s in drawn],
            "logprobs": [s.logprobs for s in drawn],
            "finish_reason": [s.finish_reason for s in drawn],
        }

    def _anchor_ahead(self, step: int) -> None:
        """Measure the anchors of this step and the next ones together: small batches decode slowly."""
        size = self.config.prompts_per_step
        ours = size // self.processes.count
        steps = max(1, ANCHORS_AHEAD // (size * self.config.own_samples))
        coming = [
            self.scorer.anchored(self.train[i])
            for begin in range(step * size, min((step + steps) * size, len(self.order)), size)
            for i in self.order[begin:][self.processes.rank * ours : (self.processes.rank + 1) * ours]
        ]
        if not all(self.anchors.knows(row) for row in coming[:ours]):
            self.anchors.of(coming)

    def _remember(self, scored: list[ScoredGroup]) -> None:
        self._scored = scored

    def _check_advantages(self, advantages: Sequence[float]) -> None:
        """Figures of the step, once TRL has made advantages of the rewards; those of this process come in."""
        k = self.config.candidates
        leaked = max(
            (
                abs(advantages[g * k + j])
                for g, s in enumerate(self._scored)
                if not any(s.accepted)
                for j in range(k)
            ),
            default=0.0,
        )
        self._step_figures = {
            **self.scorer.figures(self.processes.gathered(self._scored)),
            **self._step_figures,
            "advantage_all_fail": max(self.processes.gathered([leaked])),
        }

    def step_figures(self) -> dict[str, Any]:
        """What the last rollout and its reward were made of."""
        return self._step_figures

    def record(self, entry: dict[str, Any]) -> None:
        """Keep a step's line, with the alarms that it is the first to raise."""
        self.steps.append(entry)
        raised = alarms(self.steps, self.scorer.weights.signed)
        fresh = {name: words for name, words in raised.items() if name not in self.alarms}
        self.alarms |= fresh
        self._write({**entry, "alarms": fresh} if fresh else entry)

    def reason_to_stop(self) -> str | None:
        """Why the run should end before its last step, if it should."""
        ringing = [name for name in STOPS if name in self.alarms]
        if ringing:
            return f"alarm_{ringing[0]}"
        fallen = heldout.has_fallen(self.heldout_figures, self.config.patience)
        return "heldout_reward_fell" if fallen else None

    def measure(self, step: int) -> dict[str, Any]:
        """Held-out figures after `step`, measured once; keeps the adapter if it is the best so far."""
        if step in self.heldout_figures:
            return self.heldout_figures[step]
        found = heldout.figures(
            self.scorer, self.heldout, max_tokens=self.config.max_tokens, processes=self.processes
        )
        self.heldout_figures[step] = found
        self.best_step = heldout.best_step(self.heldout_figures)
        if self.best_step == step:
            self._save("adapter")
        self._write({"step": step, "heldout": found})
        return found

    def _save(self, name: str) -> None:
        if self.processes.first:
            save_adapter(self.engine.model, self.out / name)
            probe.record(self.engine, self.out / name)

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self.processes.first:
            self.metrics.write(entry)

    def _read_back(self, step: int) -> None:
        """Take over what an interrupted run recorded up to `step`, and forget what came after."""
        for entry in self.metrics.cut(step):
            if "heldout" in entry:
                self.heldout_figures[entry["step"]] = entry["heldout"]
            else:
                self.steps.append(entry)
                self.alarms |= entry.get("alarms", {})
                self.seconds_before += entry.get("seconds", 0.0)
        if self.heldout_figures:
            self.best_step = heldout.best_step(self.heldout_figures)


class Recorder(TrainerCallback):
    """Writes a line a step, measures on schedule, reports progress, stops early."""

    def __init__(self, session: Session, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        self.session, self.progress = session, progress
        self._step_began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._step_began = time.perf_counter()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        session, config = self.session, self.session.config
        if not logs or "loss" not in logs:
            return control
        step = state.global_step
        figures = session.step_figures()
        taken = {ours: logs[theirs] for theirs, ours in LOGGED.items() if logs.get(theirs) is not None}
        seconds = time.perf_counter() - self._step_began
        session.record({"step": step, **figures, **taken, "seconds": round(seconds, 4)})
        self._report(step, {name: figures.get(name) for name in ("reward", "pass_rate", "nll")})
        if step % config.eval_every == 0 or step >= config.steps:
            self._report(step, {"phase": "measuring held-out rows"})
            session.measure(step)
        reason = session.reason_to_stop()
        if reason and step < config.steps:
            session.stopped = reason
            control.should_training_stop = True
            session.measure(step)
        return control

    def _report(self, step: int, shown: Mapping[str, Any]) -> None:
        if self.progress:
            said = {name: value for name, value in shown.items() if value is not None}
            self.progress({"step": step, "total": self.session.config.steps, **said})
