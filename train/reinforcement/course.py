"""The course of a run as its folder has it: figures, measurements, best adapters, alarms, when to stop.

A line of `metrics.jsonl` is a step, or an object `heldout` measured after one. All of it survives kill -9: a resumed
run reads back what stands up to its checkpoint, and forgets what came after.

    out/metrics.jsonl      one line a step; validation figures in an object `heldout`
    out/best/step-00040/   adapters of the best measurements
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.files import append_line
from recast.train.model.checkpoints import forget_after
from recast.train.model.lora import save_adapter
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.prompts import Prompt
from recast.train.reinforcement.rollouts import Rollouts

METRICS, BEST = "metrics.jsonl", "best"
Progress = Callable[[Mapping[str, Any]], None]

WINDOW = 5
"""Steps averaged at each end of a run, for the alarms."""
ALARM_KL = 0.5
"""Mean KL from the start in nats a token: about e^0.5 = 1.6 times as likely as before, token after token."""
ALARM_LENGTH_FALL = 0.4
"""Mean length that is left of the first steps'."""
ALARM_ENTROPY_FALL = 0.1
"""Entropy that is left of the first steps'."""
ALARM_UNSCORED = 0.2
"""Share of answers that the grader could not score."""
ALARM_GAP = 0.05
"""Fall of the validation reward below its best, while the training reward rose by as much."""
STOPS = ("kl",)
"""Alarms that end a run: what follows them is text that nobody wants."""


class Course:
    """Records a run in progress. `best_step` is that of the best validation reward so far."""

    def __init__(
        self,
        out: Path,
        config: RlConfig,
        rollouts: Rollouts,
        validation: Sequence[Prompt],
        progress: Progress | None,
    ) -> None:
        self.out, self.config, self.rollouts = out, config, rollouts
        self.validation, self.progress = validation, progress
        self.steps: list[Mapping[str, Any]] = []
        self.heldout: dict[int, dict[str, Any]] = {}
        self.alarms: dict[str, str] = {}
        self.stopped = "steps"

    @property
    def best_step(self) -> int:
        # a kill between the removal of an adapter and the next checkpoint leaves a measurement without one
        return next(step for step in ranked(self.heldout) if adapter_of(self.out, step).exists())

    def resume(self, step: int) -> None:
        """Take over what an interrupted run recorded up to `step`, and forget what came after."""
        for entry in forget_after(self.out / METRICS, step):
            if "heldout" in entry:
                self.heldout[entry["step"]] = entry["heldout"]
            else:
                self.steps.append(entry)
                self.alarms |= entry.get("alarms", {})
        self.stopped = self.reason_to_stop() or "steps"

    def begin(self) -> None:
        """Measure the untrained model."""
        self._report(0, {"phase": "measuring validation prompts"})
        self.measure(0)

    def after(self, step: int, figures: Mapping[str, Any]) -> bool:
        """Record `step`, measure where that is due; whether the run should end here."""
        line: dict[str, Any] = {"step": step, **figures}
        raised = alarms([*self.steps, line], self.heldout, self.config)
        fresh = {name: words for name, words in raised.items() if name not in self.alarms}
        self.alarms |= fresh
        line = {**line, "alarms": fresh} if fresh else line
        self.steps.append(line)
        append_line(self.out / METRICS, line)
        self._report(step, {name: figures.get(name) for name in ("reward", "kl", "mean_tokens")})
        if step % self.config.eval_every == 0 or step >= self.config.steps:
            self._report(step, {"phase": "measuring validation prompts"})
            self.measure(step)
        reason = self.reason_to_stop()
        if reason is None or step >= self.config.steps:
            return False
        self.stopped = reason
        self.measure(step)
        return True

    def measure(self, step: int) -> None:
        """Measure the validation prompts after `step`, once; keep the adapter if it is one of the best."""
        if step in self.heldout:
            return
        found = self.rollouts.greedy(self.validation).figures()
        best = ranked({**self.heldout, step: found})[: self.config.kept]
        if step in best:
            # before its line, without which a resumed run measures and saves again
            save_adapter(self.rollouts.model, adapter_of(self.out, step))
        self.heldout[step] = found
        append_line(self.out / METRICS, {"step": step, "heldout": found})
        for folder in (self.out / BEST).glob("step-*"):
            if folder.name not in {adapter_of(self.out, kept).name for kept in best}:
                shutil.rmtree(folder, ignore_errors=True)
        self._report(step, {"validation": found["reward"]})

    def reason_to_stop(self) -> str | None:
        """Why the run should end before its last step, if it should."""
        ringing = [name for name in STOPS if name in self.alarms]
        if ringing:
            return f"alarm_{ringing[0]}"
        return "validation_fell" if has_fallen(self.heldout, self.config.patience) else None

    def _report(self, step: int, shown: Mapping[str, Any]) -> None:
        if self.progress:
            latest = self.heldout[max(self.heldout)]["reward"] if self.heldout else None
            said = {"validation": latest, **shown}
            said = {name: value for name, value in said.items() if value is not None}
            self.progress({"step": step, "total": self.config.steps, **said})


def adapter_of(out: Path, step: int) -> Path:
    """Where the adapter of a measurement lies, while it is one of the best."""
    return out / BEST / f"step-{step:05d}"


def ranked(measured: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Steps by validation reward, best first; of equal ones the earlier, a trained one before the start."""
    return sorted(measured, key=lambda step: (-round(measured[step]["reward"] or 0.0, 6), step == 0, step))


def has_fallen(measured: Mapping[int, Mapping[str, Any]], patience: int | None) -> bool:
    """Whether the last `patience` measurements all lie below the best reward."""
    if patience is None or len(measured) <= patience:
        return False
    rewards = [round(measured[step]["reward"] or 0.0, 6) for step in sorted(measured)]
    return all(reward < max(rewards) for reward in rewards[-patience:])


def alarms(
    steps: Sequence[Mapping[str, Any]], heldout: Mapping[int, Mapping[str, Any]], config: RlConfig
) -> dict[str, str]:
    """What is wrong with a run so far, by name, each with its figures.

    The last `WINDOW` steps are compared with the first ones, so nothing is said before there are twice as many.
    """
    if len(steps) < 2 * WINDOW:
        return {}
    found: dict[str, str] = {}

    def mean(lines: Sequence[Mapping[str, Any]], name: str) -> float | None:
        values = [line[name] for line in lines if line.get(name) is not None]
        return float(np.mean(values)) if values else None

    before, now = steps[:WINDOW], steps[-WINDOW:]
    kl = mean(now, "kl")
    if kl is not None and kl > ALARM_KL:
        found["kl"] = f"the model is far from its start: KL of {kl:.3g} nats a token, limit {ALARM_KL:g}"
    for name, limit, words in (
        ("mean_tokens", ALARM_LENGTH_FALL, "answers became shorter"),
        ("entropy", ALARM_ENTROPY_FALL, "answers of a prompt grow alike, entropy fell"),
    ):
        first, last = mean(before, name), mean(now, name)
        if first is not None and last is not None and last < first * limit:
            found[name] = f"{words}: {first:.3g} at first, {last:.3g} now"
    unscored = mean(now, "unscored")
    answers = config.prompts_per_step * config.samples
    if unscored is not None and unscored > ALARM_UNSCORED * answers:
        found["unscored"] = f"the grader could not score {unscored / answers:.0%} of the answers"
    rewards = [heldout[step]["reward"] for step in sorted(heldout) if heldout[step]["reward"] is not None]
    first, last = mean(before, "reward"), mean(now, "reward")
    if len(rewards) > 1 and first is not None and last is not None:
        fallen = max(rewards) - rewards[-1]
        if fallen > ALARM_GAP and last - first > ALARM_GAP:
            found["gap"] = (
                f"the training reward rose from {first:.3g} to {last:.3g} while validation fell from "
                f"{max(rewards):.3g} to {rewards[-1]:.3g}: the grader may be played, or the prompts learned by heart"
            )
    return found
