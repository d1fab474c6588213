"""One GRPO run on TRL: the trainer, its rollouts through the project's engine, its records and checkpoints.

Owns what touches TRL and PEFT; `agent.learn` owns the configuration and the folder's identity. The policy is the
backbone with the adapter on, the reference and the scorer are the same weights with it off. Rollouts go
through `agent.engine_hf` (K samples share a prefill, cache written in place, a seed a sample) in place of
`generate`, which decodes a quarter as many tokens a second on a CPU.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from transformers.pytorch_utils import Conv1D

from agent import probe, prompts
from agent.alignment import AnchorCache
from agent.attention import cpu_attention
from agent.embedding import sentence_embedder
from agent.engine import Sampling
from agent.engine_hf import HFEngine
from agent.learn import METRICS, LearnConfig, write_json
from agent.ledger import alarms, mean_or_none
from agent.runlog import Metrics, last_checkpoint, save_adapter
from agent.scorer import ScoredGroup, Scorer, Weights
from agent.trainer import arguments, order, trainer_class
from curate import chat
from curate.fingerprint import prompt_hash, seed_of

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental in TRL 1.16

ANCHORS = "anchors.json"
ANCHORS_AHEAD = 256
"""Own samples drawn together."""
LOGGED = {"loss": "loss", "grad_norm": "grad_norm", "kl": "kl", "entropy": "entropy", "learning_rate": "lr"}
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
    ) -> None:
        self.tokenizer, self.gate, self.config, self.out = tokenizer, gate, config, out
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
        self._last_scored: list[ScoredGroup] = []
        self._generation: dict[str, float] = {}
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
        checkpoint = last_checkpoint(self.out / "checkpoints")
        start = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        self._read_back(start)
        config = self.config
        fingerprint = self.engine.fingerprint  # before the trainer wraps the weights
        trainer = self._trainer(progress)
        self.engine = HFEngine(trainer.model, self.tokenizer, batch_size=config.engine_batch)
        self.engine._fingerprint = fingerprint
        self.anchors.engine = self.scorer.engine = self.engine
        with cpu_attention(self._backbone):
            if start == 0:
                self.measure(0)
            if start < config.steps:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            else:
                self.measure(start)
        save_adapter(trainer.model, self.out / "last")
        probe.record(self.engine, self.out / "last")

    def _trainer(self, progress: Callable[[Mapping[str, Any]], None] | None) -> Any:
        from trl import GRPOConfig

        config = self.config
        self.anchors = AnchorCache(
            self.engine,
            self.tokenizer,
            own_samples=config.own_samples if config.mode == "anchored" else 0,
            max_tokens=config.max_tokens,
            seed=config.seed,
        )
        if (self.out / ANCHORS).exists():
            self.anchors.restore(json.loads((self.out / ANCHORS).read_text()))
        weights = Weights(config.mode, config.lambda_dist, config.diversity_weight, config.lambda_copy)
        embed = sentence_embedder(config.embedding) if config.embedding else None
        self.scorer = Scorer(self.engine, self.gate, self.anchors, weights, embed=embed)

        device = "cuda" if torch.cuda.is_available() else "cpu"
        bf16 = device == "cuda" and torch.cuda.is_bf16_supported()
        args = GRPOConfig(**arguments(config, self.out / "checkpoints", device=device, bf16=bf16))
        data = Dataset.from_dict({"row": self.order}).with_transform(self._examples)
        lora = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            fan_in_fan_out=any(isinstance(m, Conv1D) for m in self._backbone.modules()),  # GPT-2's layers
            task_type="CAUSAL_LM",
        )
        trainer = trainer_class()(
            model=self._backbone,
            reward_funcs=self.scorer.reward_func(
                self.train, group_size=config.candidates, on_scored=self._remember
            ),
            args=args,
            train_dataset=data,
            processing_class=self.tokenizer,
            peft_config=lora,
            rollout_func=self._rollout if config.vllm == "off" else None,
            callbacks=[Recorder(self, progress)],
        )
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        return trainer

    def _examples(self, batch: Mapping[str, list[int]]) -> dict[str, list[Any]]:
        rows = [self.train[i] for i in batch["row"]]
        return {
            "row": batch["row"],
            "prompt": [prompts.rewrite(r["messages"], r["demonstration"]) for r in rows],
        }

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
        self._generation = {
            "generate_seconds": time.perf_counter() - started,
            "num_tokens": float(sum(len(s.token_ids) for s in drawn)),
            "mean_tokens": sum(len(s.token_ids) for s in drawn) / len(drawn),
            "truncated_frac": sum(s.finish_reason == "length" for s in drawn) / len(drawn),
        }
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
        steps = max(1, ANCHORS_AHEAD // (size * self.config.own_samples))
        coming = [self.train[i] for i in self.order[step * size : (step + steps) * size]]
        if not all(self.anchors.knows(row) for row in coming[:size]):
            self.anchors.of(coming)

    def _remember(self, scored: list[ScoredGroup]) -> None:
        self._last_scored = scored

    def step_figures(self) -> dict[str, Any]:
        """What the last rollout and its reward were made of."""
        return {**self.scorer.figures(self._last_scored), **self._generation}

    def record(self, entry: dict[str, Any]) -> None:
        """Write a step's line, with the alarms that it is the first to raise."""
        self.steps.append(entry)
        raised = alarms(self.steps, self.scorer.weights.signed)
        fresh = {name: words for name, words in raised.items() if name not in self.alarms}
        self.alarms |= fresh
        self.metrics.write({**entry, "alarms": fresh} if fresh else entry)

    def measure(self, step: int) -> dict[str, Any]:
        """Greedy rewrites of the held-out rows, gated and scored; keeps the adapter if it is the best so far."""
        if step in self.heldout_figures:
            return self.heldout_figures[step]
        asked = [prompts.rewrite(row["messages"], row["demonstration"]) for row in self.heldout]
        greedy = Sampling(temperature=0.0, max_tokens=self.config.max_tokens)
        drawn = self.engine.sample(asked, 1, greedy, seeds=[[0]] * len(asked), adapter=True)
        scored = self.scorer.score(
            self.heldout,
            [[g[0].text] for g in drawn],
            [[g[0].finish_reason] for g in drawn],
            score_rejected=True,
        )
        figures = self.scorer.figures(scored)
        levels = self.anchors.of(self.heldout)
        found = {
            **{
                name: figures[name]
                for name in ("reward", "pass_rate", "unverifiable_frac", "nll", "alignment")
            },
            "nll_accepted": mean_or_none([g.nll[0] for g in scored if g.accepted[0]]),
            "nll_demonstration": mean_or_none([a.nll_demonstration for a in levels]),
            "nll_self": mean_or_none([a.nll_self for a in levels]),
            "mean_tokens": mean_or_none([len(g[0].token_ids) for g in drawn]),
            "truncated_frac": mean_or_none([g[0].finish_reason == "length" for g in drawn]),
        }
        better = not self.heldout_figures or found["reward"] > self.heldout_figures[self.best_step]["reward"]
        self.heldout_figures[step] = found
        if better or not (self.out / "adapter").exists():
            save_adapter(self.engine.model, self.out / "adapter")
            probe.record(self.engine, self.out / "adapter")
            self.best_step = step
        self.metrics.write({"step": step, "heldout": found})
        return found

    def keep_anchors(self) -> None:
        """Write the anchors measured so far, so that a resumed run measures none twice."""
        write_json(self.out / ANCHORS, self.anchors.state())

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
            # the first of the best, as `measure` keeps it
            self.best_step = max(
                sorted(self.heldout_figures), key=lambda s: self.heldout_figures[s]["reward"]
            )


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
        if self.progress:
            shown = {name: figures[name] for name in ("reward", "pass_rate", "nll")}
            self.progress(
                {"step": step, "total": config.steps, **{k: v for k, v in shown.items() if v is not None}}
            )
        if step % config.eval_every == 0 or step >= config.steps:
            session.measure(step)
            since = [s for s in session.heldout_figures if s > session.best_step]
            if config.patience is not None and len(since) >= config.patience:
                session.stopped = "heldout_reward_fell"
                control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.session.keep_anchors()
