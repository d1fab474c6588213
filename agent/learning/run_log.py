"""What a learning run knows and leaves on disk while it runs: figures, the best step, alarms.

A line of `metrics.jsonl` is a step, or an object `heldout` measured after one. All of it survives kill -9: a resumed
run reads back what stands up to its checkpoint, and forgets what came after.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.agent.learning import heldout
from recast.agent.reward.ledger import STOPS, alarms
from recast.curate.files import append_line
from recast.train.model.checkpoints import forget_after

METRICS = "metrics.jsonl"


class RunLog:
    """The figures of one run. `writes` says whether this process writes the file; all processes know the figures.

    `weights` are the signed weights of the reward's terms (`agent.reward.scorer.Weights.signed`), for the alarms.
    """

    def __init__(self, path: Path, weights: Mapping[str, float], *, writes: bool) -> None:
        self.path, self.weights, self.writes = path, weights, writes
        self.steps: list[Mapping[str, Any]] = []
        self.heldout: dict[int, dict[str, Any]] = {}
        self.alarms: dict[str, str] = {}
        self.signal: dict[str, Any] | None = None
        """What the first step said of whether there is anything to learn (`agent.learning.signal`)."""
        self.best_step = 0
        self.seconds_before = 0.0
        """Of the steps that earlier processes made."""

    def resume(self, step: int) -> None:
        """Take over what an interrupted run recorded up to `step`, and forget what came after."""
        for entry in forget_after(self.path, step):
            if "heldout" in entry:
                self.heldout[entry["step"]] = entry["heldout"]
            else:
                self.steps.append(entry)
                self.signal = self.signal or entry.get("signal")
                self.alarms |= entry.get("alarms", {})
                self.seconds_before += entry.get("seconds", 0.0)
        if self.heldout:
            self.best_step = heldout.best_step(self.heldout)

    def add_step(self, entry: dict[str, Any]) -> None:
        """Keep a step's line, with the alarms that it is the first to raise."""
        self.steps.append(entry)
        self.signal = self.signal or entry.get("signal")
        raised = alarms(self.steps, self.weights)
        fresh = {name: words for name, words in raised.items() if name not in self.alarms}
        self.alarms |= fresh
        self._write({**entry, "alarms": fresh} if fresh else entry)

    def add_heldout(self, step: int, figures: dict[str, Any]) -> None:
        """Keep held-out figures measured after `step`; `best_step` is `step` where none were better."""
        self.heldout[step] = figures
        self.best_step = heldout.best_step(self.heldout)
        self._write({"step": step, "heldout": figures})

    def reason_to_stop(self, patience: int | None) -> str | None:
        """Why the run should end before its last step, if it should."""
        ringing = [name for name in STOPS if name in self.alarms]
        if ringing:
            return f"alarm_{ringing[0]}"
        return "heldout_reward_fell" if heldout.has_fallen(self.heldout, patience) else None

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self.writes:
            append_line(self.path, entry)
