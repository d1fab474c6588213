"""One GRPO run on TRL: trainer, rollouts and log wired together, held-out measurements, the backbone given back.

Owns the course of a run; `agent.learning.learn` owns the folder's identity, `agent.learning.trl_trainer` what TRL is
told, `agent.learning.rollouts` the candidates, `agent.learning.run_log` the figures. The policy is the backbone with
the adapter on, the reference and the scorer are the same weights with it off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback

from recast.agent.engines import probe
from recast.agent.engines.embedding import compared_by
from recast.agent.engines.hf.attention import cpu_attention
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.learning import heldout, trl_trainer
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.learning.rollouts import Rollouts, examples
from recast.agent.learning.run_log import METRICS, RunLog
from recast.agent.learning.signal import signal
from recast.agent.learning.warm_start import WarmStart
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.alignment import AnchorCache
from recast.agent.reward.formula import REVISION
from recast.agent.reward.scorer import Scorer
from recast.train.model.checkpoints import last_checkpoint, step_of
from recast.train.model.lora import load_adapter, save_adapter

ANCHORS = "anchors.jsonl"
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
Progress = Callable[[Mapping[str, Any]], None]


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
        prompts: Prompts = DEFAULT,
        *,
        warm: WarmStart | None = None,
        revision: int = REVISION,
    ) -> None:
        """`revision` is that of the reward under which the run began (`agent.reward.formula.REVISION`)."""
        self.prompts, self.warm, self.revision = prompts, warm, revision
        self.model, self.tokenizer, self.gate, self.config, self.out = model, tokenizer, gate, config, out
        self.train, self.heldout, self.processes = train, heldout, processes
        self.order = trl_trainer.order(len(train), config)
        self.log = RunLog(out / METRICS, config.weights(revision).signed, writes=processes.first)
        self.stopped = "steps"
        self.engine = HFEngine(model, tokenizer, batch_size=config.engine_batch)
        """Over the backbone; while the run is on, over the policy."""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # the LoRA layers were put into the caller's model; where TRL failed halfway nothing is left that could take
        # them out, and its own error is to be heard
        if self.engine.has_adapter and (error is None or hasattr(self.engine.model, "unload")):
            self.engine.model.unload()
        # TRL hangs its fused forward on the instance; the class's own is back once that is gone
        self.model.__dict__.pop("forward", None)
        self.model.requires_grad_(True)

    def run(self, progress: Progress | None) -> None:
        """Train from where the folder stands to the last step, measuring on schedule."""
        config = self.config
        with self.processes.first_alone():
            checkpoint = last_checkpoint(self.out / "checkpoints")
            start = step_of(checkpoint) if checkpoint else 0
            self.log.resume(start)
        trainer = self._trainer(progress)
        self.engine = HFEngine(trainer.model, self.tokenizer, batch_size=config.engine_batch)
        self.rollouts = self._rollouts()
        with cpu_attention(self.model):
            if start == 0:
                if self.warm:
                    load_adapter(trainer.model, self.warm.adapter)
                if progress:
                    progress({"step": 0, "total": config.steps, "phase": "measuring held-out rows"})
                self.measure(0)
            if start < config.steps:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            else:
                # killed after its last checkpoint: a trainer that has come to its end reads no weights
                assert checkpoint is not None
                load_adapter(trainer.model, checkpoint)
                self.measure(start)
        self._save("last")

    def measure(self, step: int) -> None:
        """Measure the held-out rows after `step`, once; keep the adapter if it is the best so far."""
        if step in self.log.heldout:
            return
        tokens = self.config.max_tokens
        found = heldout.figures(
            self.rollouts.scorer, self.heldout, max_tokens=tokens, processes=self.processes
        )
        if heldout.best_step({**self.log.heldout, step: found}) == step:
            self._save("adapter")  # before its line, without which a resumed run measures and saves again
        self.log.add_heldout(step, found)

    def _trainer(self, progress: Progress | None) -> Any:
        """TRL's trainer over the policy. Its hooks lead to `rollouts`, which need the policy that it makes."""

        def gated_reward(**columns: Any) -> list[float | None]:
            return self.rollouts.reward(**columns)

        def draw(asked: list[Any], trainer: Any) -> dict[str, Any]:
            return self.rollouts.draw(asked, trainer.state.global_step)

        def chosen(batch: Mapping[str, list[int]]) -> dict[str, list[Any]]:
            return examples([self.train[i] for i in batch["row"]], self.prompts)

        return trl_trainer.grpo_trainer(
            self.model,
            self.tokenizer,
            self.config,
            self.out,
            data=Dataset.from_dict({"row": self.order}).with_transform(chosen),
            reward=gated_reward,
            draw=draw if self.config.vllm == "off" else None,
            on_advantages=lambda values: self.rollouts.advantages(values),
            callback=Recorder(self, progress),
            eos_ids=self.engine.eos_ids,
            processes=self.processes.count,
        )

    def _rollouts(self) -> Rollouts:
        config = self.config
        anchors = AnchorCache(
            self.engine,
            self.tokenizer,
            own_samples=config.own_samples if config.mode == "anchored" else 0,
            max_tokens=config.max_tokens,
            seed=config.seed,
            temperature=config.measured_at(self.revision),
            path=self.out / ANCHORS,
        )
        embed, phrases = compared_by(config.embedding)
        scorer = Scorer(
            self.engine,
            self.gate,
            anchors,
            config.weights(self.revision),
            embed=embed,
            phrases=phrases and self.revision > 1,
            scale=config.scale_rewards,
            prompts=self.prompts,
        )
        return Rollouts(scorer, self.tokenizer, self.train, self.order, config, self.processes)

    def _save(self, name: str) -> None:
        if self.processes.first:
            save_adapter(self.engine.model, self.out / name)
            probe.record(self.engine, self.out / name, self.prompts)


class Recorder(TrainerCallback):
    """Writes a line a step, measures on schedule, reports progress, stops early."""

    def __init__(self, session: Session, progress: Progress | None) -> None:
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
        step, figures = state.global_step, session.rollouts.figures
        taken = {ours: logs[theirs] for theirs, ours in LOGGED.items() if logs.get(theirs) is not None}
        seconds = time.perf_counter() - self._step_began
        said = {"signal": self._signal(step)} if session.log.signal is None else {}
        session.log.add_step({"step": step, **figures, **taken, **said, "seconds": round(seconds, 4)})
        self._report(step, {name: figures.get(name) for name in ("reward", "pass_rate", "nll")})
        if step % config.eval_every == 0 or step >= config.steps:
            self._report(step, {"phase": "measuring held-out rows"})
            session.measure(step)
        reason = session.log.reason_to_stop(config.patience)
        if reason and step < config.steps:
            session.stopped = reason
            control.should_training_stop = True
            session.measure(step)
        return control

    def _signal(self, step: int) -> dict[str, Any]:
        """Say whether there is anything to learn, before hours pass."""
        session = self.session
        groups, warm = session.rollouts.first_asked(), session.warm is not None
        found = signal(groups, session.config, warm=warm, plain_prompt=not session.prompts.shown())
        self._report(step, {"say": [found.words, *found.advice]})
        return found.to_dict()

    def _report(self, step: int, shown: Mapping[str, Any]) -> None:
        if self.progress:
            said = {name: value for name, value in shown.items() if value is not None}
            self.progress({"step": step, "total": self.session.config.steps, **said})
