"""The candidates of a step: asked for, drawn, rewarded, and what they say of the step.

    order, examples      which rows come when, and as which prompts
    draw                 K candidates a prompt, through the project's engine; with `learn.redraws` other prompts in
                         place of those whose candidates all earn the same
    reward               gate, alignment and diversity (`agent.reward.scorer`)
    advantages           what TRL made of the rewards; the figures of the step are complete

Rollouts go through `agent.engines.hf.engine` (K samples share a prefill, cache written in place, a seed a sample) in
place of `generate`, which decodes a quarter as many tokens a second on a CPU. Where vLLM draws, `draw` is not called.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recast.agent.engines.protocol import Sample, Sampling
from recast.agent.learning.config import COLUMNS, LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.ledger import mean_or_none
from recast.agent.reward.scorer import ScoredGroup, Scorer
from recast.curate import chat
from recast.curate.fingerprint import prompt_hash, seed_of
from recast.curate.groups import differ
from recast.curate.records import Messages

ANCHORS_AHEAD = 256
"""Own samples drawn together."""
OF_ASKED = ("reward", "pass_rate", "groups_all_pass", "groups_mixed", "groups_all_fail")
"""Figures that are of the prompts that came, where others were put in their place: a curve must not rise by choice."""


@dataclass(frozen=True, slots=True)
class Group:
    """The candidates of one prompt."""

    asked: Messages
    samples: list[Sample]
    scored: ScoredGroup | None = None  # None: TRL asks for the rewards later


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
        self.figures: dict[str, Any] = {}
        """Of the last step; complete once `advantages` has been called."""
        self.scored: list[ScoredGroup] = []
        """Of this process, as the step learns from them."""
        self._asked: list[ScoredGroup] = []
        self._drawing: dict[str, Any] = {}
        self._reward = scorer.reward_func(group_size=config.candidates, on_scored=self._remember)

    def reward(self, **columns: Any) -> list[float | None]:
        """TRL's reward function."""
        return self.scorer.paid(self.scored) if self.config.redraws else self._reward(**columns)

    def draw(self, asked: Sequence[Any], step: int) -> dict[str, Any]:
        """Candidates of `asked`, which holds every prompt K times in a row; the same order comes back.

        Keys as TRL's `rollout_func` returns them: prompt_ids, completion_ids, logprobs, and finish_reason for the
        reward. With `redraws` some of the prompts are others than `asked`, and `reward` knows.
        """
        k = self.config.candidates
        groups = asked[::k]
        if any(asked[i] != groups[i // k] for i in range(len(asked))):
            raise ValueError(
                f"prompts do not come in groups of {k}; group rewards need whole groups a process"
            )
        self._anchor_ahead(step)
        started = time.perf_counter()
        found = self._drawn(groups, step)
        self._drawing = {"generate_seconds": round(time.perf_counter() - started, 4)}
        if self.config.redraws:
            found = self._with_others(self._scored_groups(self._rows_of(groups, step), found), step)
        ids = [chat.prompt_ids(self.tokenizer, group.asked) for group in found]
        drawn = [sample for group in found for sample in group.samples]
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
                for g, s in enumerate(self.scored)
                if not any(s.accepted)
                for j in range(k)
            ),
            default=0.0,
        )
        learnt = self.processes.gathered(self.scored)
        figures = self.scorer.figures(learnt)
        if self.config.redraws:
            of_asked = self.scorer.figures(self.processes.gathered(self._asked))
            figures |= {name: of_asked[name] for name in OF_ASKED}
            figures["groups_taught"] = mean_or_none([differ(g.rewards) for g in learnt])
        self.figures = {
            **figures,
            **self._drawing,
            "advantage_all_fail": max(self.processes.gathered([leaked])),
        }

    def first_asked(self) -> list[ScoredGroup]:
        """The groups of all processes as they were asked, those that others replaced included."""
        return self.processes.gathered(self._asked if self.config.redraws else self.scored)

    def _drawn(self, groups: Sequence[Messages], step: int) -> list[Group]:
        k = self.config.candidates
        seeds = [[seed_of(self.config.seed, prompt_hash(p), step, j) for j in range(k)] for p in groups]
        sampling = Sampling(temperature=self.config.temperature, max_tokens=self.config.max_tokens)
        found = self.scorer.engine.sample(groups, k, sampling, seeds=seeds, adapter=True)
        return [Group(asked, samples) for asked, samples in zip(groups, found, strict=True)]

    def _with_others(self, first: Sequence[Group], step: int) -> list[Group]:
        """`first` with groups of other rows in place of those that teach nothing, as far as rounds suffice."""
        began = time.perf_counter()
        kept = list(first)
        self._asked = [group.scored for group in kept if group.scored]
        spare = self._spare(step)
        drawn = 0
        for _ in range(self.config.redraws):
            idle = [n for n, group in enumerate(kept) if not self._teaches(group)]
            others, spare = spare[: len(idle)], spare[len(idle) :]
            if not others:
                break
            drawn += len(others)
            asked = [self.scorer.prompts.rewrite(row) for row in others]
            taught = [g for g in self._scored_groups(others, self._drawn(asked, step)) if self._teaches(g)]
            for n, group in zip(idle, taught, strict=False):
                kept[n] = group
        self.scored = [group.scored for group in kept if group.scored]
        self._drawing |= {
            "redrawn": sum(self.processes.gathered([drawn])),
            "redraw_seconds": round(time.perf_counter() - began, 4),
        }
        return kept

    def _teaches(self, group: Group) -> bool:
        return group.scored is not None and differ(self.scorer.paid([group.scored]))

    def _scored_groups(self, rows: Sequence[dict[str, Any]], groups: Sequence[Group]) -> list[Group]:
        scored = self.scorer.score(
            rows,
            [[s.text for s in group.samples] for group in groups],
            [[s.finish_reason for s in group.samples] for group in groups],
        )
        return [replace(group, scored=of) for group, of in zip(groups, scored, strict=True)]

    def _rows_of(self, asked: Sequence[Messages], step: int) -> list[dict[str, Any]]:
        """The rows of a step behind these prompts."""
        size = self.config.prompts_per_step
        rows = [self.rows[i] for i in self.order[step * size : (step + 1) * size]]
        by_prompt = {prompt_hash(self.scorer.prompts.rewrite(row)): row for row in rows}
        return [by_prompt[prompt_hash(p)] for p in asked]

    def _spare(self, step: int) -> list[dict[str, Any]]:
        """Rows that no process asks at a step, in an order that is the step's own; this process's share of them."""
        size = self.config.prompts_per_step
        asked = set(self.order[step * size : (step + 1) * size])
        # by the step and not by what came before: a resumed run draws the same
        order = np.random.default_rng([self.config.seed, step, len(self.rows)]).permutation(len(self.rows))
        free = [int(i) for i in order if int(i) not in asked]
        return [self.rows[i] for i in free[self.processes.rank :: self.processes.count]]

    def _remember(self, scored: list[ScoredGroup]) -> None:
        self.scored = scored

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
