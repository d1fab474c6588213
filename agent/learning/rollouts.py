"""The candidates of a step: asked for, drawn, rewarded, and what they say of the step.

    order, examples      which rows come when, and as which prompts
    draw                 K candidates a prompt, through the project's engine; prompts whose candidates all earn the
                         same are asked again with a hint, or replaced (`learn.hint_steps`, `learn.redraws`)
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

from recast.agent.engines.protocol import ContinuesTokens, Sample, Sampling
from recast.agent.learning.config import COLUMNS, HINT_PIECES, LearnConfig
from recast.agent.learning.processes import Processes
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.ledger import mean_or_none
from recast.agent.reward.scorer import ScoredGroup, Scorer
from recast.curate import chat
from recast.curate.fingerprint import prompt_hash, seed_of
from recast.curate.groups import differ
from recast.curate.language.hints import prefixes
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
    hint: str = ""  # that its texts begin with; its samples go on after it


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
        solutions: Mapping[str, str] | None = None,
    ) -> None:
        """`solutions`: texts by row id that hints are the beginnings of, where not of the demonstration."""
        self.solutions = solutions or {}
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
        return self.scorer.paid(self.scored) if self.config.draws_again else self._reward(**columns)

    def draw(self, asked: Sequence[Any], step: int) -> dict[str, Any]:
        """Candidates of `asked`, which holds every prompt K times in a row; the same order comes back.

        Keys as TRL's `rollout_func` returns them: prompt_ids, completion_ids, logprobs, and finish_reason for the
        reward. Where some are drawn again (`LearnConfig.draws_again`) the prompts may be others than `asked`, and
        `reward` knows.
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
        if self.config.draws_again:
            found = self._again(self._rows_of(groups, step), found, step)
        ids = [self._ids(group.asked, group.hint) for group in found]
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
        if self.config.draws_again:
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
        return self.processes.gathered(self._asked if self.config.draws_again else self.scored)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(temperature=self.config.temperature, max_tokens=self.config.max_tokens)

    def _seeds(self, asked: Messages, step: int, *more: str) -> list[int]:
        return [
            seed_of(self.config.seed, prompt_hash(asked), step, j, *more)
            for j in range(self.config.candidates)
        ]

    def _drawn(self, groups: Sequence[Messages], step: int) -> list[Group]:
        seeds = [self._seeds(asked, step) for asked in groups]
        found = self.scorer.engine.sample(
            groups, self.config.candidates, self._sampling, seeds=seeds, adapter=True
        )
        return [Group(asked, samples) for asked, samples in zip(groups, found, strict=True)]

    def _again(self, rows: Sequence[dict[str, Any]], first: Sequence[Group], step: int) -> list[Group]:
        """`first`, of `rows`, with other groups in place of those that teach nothing, as far as hints and rounds go."""
        began = time.perf_counter()
        kept = self._scored_groups(rows, first)
        self._asked = [group.scored for group in kept if group.scored]
        hinted = self._put(kept, self._hinted(rows, kept, step)) if self.config.hint_steps else 0
        spare = self._spare(step)
        drawn = 0
        for _ in range(self.config.redraws):
            idle = sum(not self._teaches(group) for group in kept)
            others, spare = spare[:idle], spare[idle:]
            if not others:
                break
            drawn += len(others)
            asked = [self.scorer.prompts.rewrite(row) for row in others]
            self._put(kept, self._scored_groups(others, self._drawn(asked, step)))
        self.scored = [group.scored for group in kept if group.scored]
        self._drawing |= {
            "hinted": sum(self.processes.gathered([hinted])),
            "redrawn": sum(self.processes.gathered([drawn])),
            "again_seconds": round(time.perf_counter() - began, 4),
        }
        return kept

    def _put(self, kept: list[Group], others: Sequence[Group]) -> int:
        """Put those of `others` that teach in place of such of `kept` that do not; return how many."""
        idle = [n for n, group in enumerate(kept) if not self._teaches(group)]
        teaching = [group for group in others if self._teaches(group)]
        for n, group in zip(idle, teaching, strict=False):
            kept[n] = group
        return min(len(idle), len(teaching))

    def _hinted(self, rows: Sequence[dict[str, Any]], groups: Sequence[Group], step: int) -> list[Group]:
        """The prompts of which nobody passed, asked again with the beginning of a solution, where one is due."""
        engine = self.scorer.engine
        assert isinstance(engine, ContinuesTokens)  # learning draws by hf, or TRL draws
        failed = [
            (row, group.asked, hint)
            for row, group in zip(rows, groups, strict=True)
            if group.scored and not any(group.scored.accepted) and (hint := self._hint(row, step))
        ]
        if not failed:
            return []
        drawn = engine.sample_ids(
            [self._ids(asked, hint) for _, asked, hint in failed],
            self.config.candidates,
            self._sampling,
            seeds=[self._seeds(asked, step, "hint") for _, asked, _ in failed],
            adapter=True,
        )
        found = [
            Group(asked, samples, hint=hint) for (_, asked, hint), samples in zip(failed, drawn, strict=True)
        ]
        return self._scored_groups([row for row, *_ in failed], found)

    def _hint(self, row: Mapping[str, Any], step: int) -> str:
        """The beginning of a row's solution that is given at a step; empty where none is due."""
        key = str(row["row_id"])
        begun = prefixes(self.solutions.get(key) or row["demonstration"], HINT_PIECES)
        slices = len(begun) - 1
        # a solution that is given whole leaves nothing to write
        return begun[min(self.config.hints.shown(step + 1, key, slices), max(0, slices - 1))]

    def _ids(self, asked: Messages, hint: str) -> list[int]:
        ids = chat.prompt_ids(self.tokenizer, asked)
        return [*ids, *self.tokenizer(hint, add_special_tokens=False)["input_ids"]] if hint else ids

    def _teaches(self, group: Group) -> bool:
        return group.scored is not None and differ(self.scorer.paid([group.scored]))

    def _scored_groups(self, rows: Sequence[dict[str, Any]], groups: Sequence[Group]) -> list[Group]:
        scored = self.scorer.score(
            rows,
            [[group.hint + s.text for s in group.samples] for group in groups],
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
