"""The candidates of a step: asked for, drawn, rewarded, and what they say of the step.

    order, examples      which rows come when, and as which prompts
    draw                 K candidates a prompt, through the project's engine
    reward               gate, alignment and diversity (`agent.reward.scorer`)
    advantages           what TRL made of the rewards; the figures of the step are complete

Rollouts go through `agent.engines.hf.engine` (K samples share a prefill, cache written in place, a seed a sample) in
place of `generate`, which decodes a quarter as many tokens a second on a CPU. Where vLLM draws, `draw` is not called.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from recast.agent.engines.protocol import Sampling
from recast.agent.learning.config import COLUMNS, LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.scorer import ScoredGroup, Scorer
from recast.curate import chat
from recast.curate.fingerprint import prompt_hash, seed_of

ANCHORS_AHEAD = 256
"""Own samples drawn together."""


class Rollouts:
    """This process's candidates, step after step. `order` holds a row number for every prompt slot of the run."""

    def __init__(
        self,
        scorer: Scorer,
        tokenizer: Any,
        rows: Sequence[dict[str, Any]],
        order: Sequence[int],
        config: LearnConfig,
        processes: Processes,
    ) -> None:
        self.scorer, self.tokenizer, self.rows, self.order = scorer, tokenizer, rows, order
        self.config, self.processes = config, processes
        self.reward = scorer.reward_func(group_size=config.candidates, on_scored=self._remember)
        self.figures: dict[str, Any] = {}
        """Of the last step; complete once `advantages` has been called."""
        self._scored: list[ScoredGroup] = []
        self._drawing: dict[str, Any] = {}

    def draw(self, asked: Sequence[Any], step: int) -> dict[str, Any]:
        """Candidates of `asked`, which holds every prompt K times in a row; the same order comes back.

        Keys as TRL's `rollout_func` returns them: prompt_ids, completion_ids, logprobs, and finish_reason for the
        reward.
        """
        k = self.config.candidates
        groups = asked[::k]
        if any(asked[i] != groups[i // k] for i in range(len(asked))):
            raise ValueError(
                f"prompts do not come in groups of {k}; group rewards need whole groups a process"
            )
        self._anchor_ahead(step)
        seeds = [[seed_of(self.config.seed, prompt_hash(p), step, j) for j in range(k)] for p in groups]
        sampling = Sampling(temperature=self.config.temperature, max_tokens=self.config.max_tokens)
        started = time.perf_counter()
        found = self.scorer.engine.sample(groups, k, sampling, seeds=seeds, adapter=True)
        drawn = [sample for group in found for sample in group]
        self._drawing = {"generate_seconds": round(time.perf_counter() - started, 4)}
        ids = [chat.prompt_ids(self.tokenizer, p) for p in groups]
        return {
            "prompt_ids": [ids[i // k] for i in range(len(asked))],
            "completion_ids": [s.token_ids for s in drawn],
            "logprobs": [s.logprobs for s in drawn],
            "finish_reason": [s.finish_reason for s in drawn],
        }

    def advantages(self, values: Sequence[float]) -> None:
        """Make the figures of the step, once TRL has made advantages of this process's rewards."""
        k = self.config.candidates
        leaked = max(
            (
                abs(values[g * k + j])
                for g, s in enumerate(self._scored)
                if not any(s.accepted)
                for j in range(k)
            ),
            default=0.0,
        )
        self.figures = {
            **self.scorer.figures(self.processes.gathered(self._scored)),
            **self._drawing,
            "advantage_all_fail": max(self.processes.gathered([leaked])),
        }

    def _remember(self, scored: list[ScoredGroup]) -> None:
        self._scored = scored

    def _anchor_ahead(self, step: int) -> None:
        """Measure the anchors of this step and the next ones together: small batches decode slowly."""
        size = self.config.prompts_per_step
        ours = size // self.processes.count
        steps = max(1, ANCHORS_AHEAD // (size * self.config.own_samples))
        coming = [
            self.scorer.anchored(self.rows[i])
            for begin in range(step * size, min((step + steps) * size, len(self.order)), size)
            for i in self.order[begin:][self.processes.rank * ours : (self.processes.rank + 1) * ours]
        ]
        anchors = self.scorer.anchors
        if not all(anchors.knows(row) for row in coming[:ours]):
            anchors.of(coming)


def examples(rows: Sequence[Mapping[str, Any]], prompts: Prompts = DEFAULT) -> dict[str, list[Any]]:
    """`rows` as columns of TRL's data set: the rewriting prompt, and what the reward needs."""
    asked = [prompts.rewrite(row) for row in rows]
    return {"prompt": asked, **{name: [row[name] for row in rows] for name in COLUMNS}}
