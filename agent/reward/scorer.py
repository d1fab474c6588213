"""From sampled groups to rewards: gate, score under the QA prompt, embed, combine.

One object serves the GRPO reward, the held-out measurement and whoever wants the same reward elsewhere. The
gate decides first; only candidates that it accepts are scored. An unverifiable candidate, or one too long to
score, has no reward at all (None), which TRL turns into no advantage.

In a GRPO run of your own, on one copy of the weights (the engine switches the adapter off to score):

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(path), LoraConfig(...))
    engine = HFEngine(model, tokenizer)
    scorer = Scorer(engine, load_gate("math"), AnchorCache(engine, tokenizer), Weights.of("typical"))
    GRPOTrainer(model, reward_funcs=scorer.reward_func(), train_dataset=rows, processing_class=tokenizer, ...)

where the rows have the columns `prompt` (the rewriting prompt), `messages` (the plain question), `demonstration`
and, for the gate, `answer` and `task`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from recast.agent.batches.gating import Gate
from recast.agent.engines.embedding import Embed, unit_rows
from recast.agent.engines.protocol import LENGTH, STOP, Engine, Inspectable
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.alignment import AnchorCache, Anchors
from recast.agent.reward.drift import word_drift
from recast.agent.reward.formula import GroupReward, MeasuredGroup, Weights, group_reward
from recast.agent.reward.ledger import (
    gate_share,
    group_fates,
    judge_disagreement,
    mean_or_none,
    shaping_shares,
)
from recast.curate.curation.diversity import mean_distances_K, novelties_K, opening_entropy
from recast.curate.records import CheckStatus, Messages, Verdict, VerdictStatus
from recast.curate.texts import containment, ngrams, words

Row = Mapping[str, Any]


class ScoringEngine(Engine, Inspectable, Protocol):
    """What the reward needs of an engine: entropies and hidden states, and which tokens end a completion."""

    @property
    def eos_ids(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True)
class ScoredGroup:
    """One row's K candidates. `rewards[i]` is None where candidate i has none; `nll` is NaN where not scored."""

    texts: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    rewards: tuple[float | None, ...]
    nll: np.ndarray
    terms: GroupReward
    pair_distance: float  # mean (1 - cos)/2 over pairs of accepted candidates, NaN below two
    novelty: float  # mean of what the phrases of each accepted one add to the others, likewise
    nll_gain: (
        float  # mean NLL of the accepted less the demonstration's, nats a token; NaN where none is accepted
    )
    drift: np.ndarray  # see `agent.reward.drift`; NaN where not accepted

    @property
    def accepted(self) -> list[bool]:
        return [v.accepted for v in self.verdicts]


class Scorer:
    """Scores groups of candidates. `embed` None takes the states of the scoring pass itself: no second one.

    Diversity is told by phrases where `phrases`, else by these embeddings; the distance of pairs is theirs anyway.
    `scale` is the trainer's `scale_rewards`, for the ledger's share of the gate in the advantages; `prompts` are those
    that candidates are sampled under. Excess is measured at the temperature of `anchors`.
    """

    def __init__(
        self,
        engine: ScoringEngine,
        gate: Gate,
        anchors: AnchorCache,
        weights: Weights,
        *,
        embed: Embed | None = None,
        phrases: bool = True,
        scale: Literal["batch", "group", "none"] = "none",
        prompts: Prompts = DEFAULT,
    ) -> None:
        self.engine, self.gate, self.anchors, self.weights, self.embed = engine, gate, anchors, weights, embed
        self.phrases = phrases
        self.scale: Literal["batch", "group", "none"] = scale
        self.prompts = prompts

    def score(
        self,
        rows: Sequence[Row],
        groups: Sequence[Sequence[str]],
        finish_reasons: Sequence[Sequence[str]],
        *,
        score_rejected: bool = False,
    ) -> list[ScoredGroup]:
        """Score `groups[i]`, the candidates of `rows[i]` (keys messages, demonstration, answer, task).

        `score_rejected` scores candidates that the gate refused too: a held-out NLL that does not hang on
        the gate.
        """
        at = [(i, j) for i, group in enumerate(groups) for j in range(len(group))]
        texts = [groups[i][j] for i, j in at]
        verdicts = self.gate.verify_many(
            [rows[i] for i, _ in at], texts, [finish_reasons[i][j] for i, j in at]
        )
        every = score_rejected or self.weights.soft_gate
        picked = [n for n, v in enumerate(verdicts) if v.accepted or every]
        nll, excess = np.full(len(at), np.nan), np.full(len(at), np.nan)
        states: list[np.ndarray | None] = [None] * len(at)
        if picked:
            asked = [self.asked(rows[at[n][0]]) for n in picked]
            chosen = [texts[n] for n in picked]
            scores, pooled = self.engine.score(
                asked, chosen, adapter=False, embed=self.embed is None, temperature=self.anchors.temperature
            )
            vectors = self.embed(chosen) if self.embed is not None else unit_rows(_shown(pooled))
            for n, score, vector in zip(picked, scores, vectors, strict=True):
                nll[n], excess[n], states[n] = score.nll, score.excess, vector
        anchors = self.anchors.of([self.anchored(row) for row in rows])
        scored, start = [], 0
        for row, group, levels in zip(rows, groups, anchors, strict=True):
            part = slice(start, start + len(group))
            scored.append(
                self._group(row, group, verdicts[part], nll[part], excess[part], states[part], levels)
            )
            start += len(group)
        return scored

    def asked(self, row: Row) -> Messages:
        """The prompt under which the texts of `row` are scored: its question alone."""
        if self.weights.scored_under == "question":
            return row["messages"]
        return self.prompts.rewrite(row)

    def anchored(self, row: Row) -> Row:
        """`row` as the anchors are measured of it."""
        return {**row, "messages": self.asked(row)}

    def _group(
        self,
        row: Row,
        texts: Sequence[str],
        verdicts: Sequence[Verdict],
        nll: np.ndarray,
        excess: np.ndarray,
        states: Sequence[np.ndarray | None],
        anchors: Anchors,
    ) -> ScoredGroup:
        w = self.weights
        usable = np.isfinite(nll) & anchors.suffice(w.mode)
        passed = np.array([v.accepted for v in verdicts], bool)
        decided = np.array([v.status is not VerdictStatus.UNVERIFIABLE for v in verdicts], bool)
        feasible = ((decided & w.soft_gate) | passed) & usable
        width = next((len(s) for s in states if s is not None), 1)
        embeddings = np.stack([np.zeros(width) if s is None else s for s in states])
        overlap = [
            containment(t, row["demonstration"]) if f else 0.0 for t, f in zip(texts, feasible, strict=True)
        ]
        novelty = np.zeros(len(texts))
        novelty[feasible] = novelties_K([t for t, f in zip(texts, feasible, strict=True) if f])
        group = MeasuredGroup(
            feasible=feasible,
            nll=nll,
            excess=excess,
            embeddings=embeddings,
            novelty=novelty if self.phrases else None,
            overlap=np.array(overlap, dtype=np.float64),
            base=np.where(passed, 1.0, [0.5 * _answers_rightly(v) for v in verdicts]),
            nll_demonstration=anchors.nll_demonstration,
            excess_demonstration=anchors.excess_demonstration,
            nll_self=anchors.nll_self,
        )
        terms = group_reward(group, w)
        unscored = [
            v.status is VerdictStatus.UNVERIFIABLE or ((v.accepted or w.soft_gate) and not f)
            for v, f in zip(verdicts, feasible, strict=True)
        ]
        rewards = tuple(None if u else float(r) for u, r in zip(unscored, terms.reward, strict=True))
        kept = embeddings[feasible & passed]
        distance = float(mean_distances_K(kept).mean()) if len(kept) > 1 else math.nan
        gained = nll[passed & np.isfinite(nll)] - anchors.nll_demonstration
        drift = [
            word_drift(t, row["demonstration"]) if p else math.nan for t, p in zip(texts, passed, strict=True)
        ]
        return ScoredGroup(
            texts=tuple(texts),
            verdicts=tuple(verdicts),
            rewards=rewards,
            nll=nll,
            terms=terms,
            pair_distance=distance,
            novelty=float(novelty[feasible & passed].mean()) if len(kept) > 1 else math.nan,
            nll_gain=float(gained.mean()) if len(gained) else math.nan,
            drift=np.array(drift),
        )

    def figures(self, scored: Sequence[ScoredGroup]) -> dict[str, float | None]:
        """Means over candidates and the ledger of one step; None where nothing was measured."""
        shares = shaping_shares([g.terms for g in scored], self.weights.signed)
        verdicts = [v for g in scored for v in g.verdicts]
        texts = [t for g in scored for t in g.texts]

        def over_passed(name: str) -> float | None:
            return mean_or_none(np.concatenate([g.terms.by_name[name][g.terms.reward > 0] for g in scored]))

        return {
            "reward": mean_or_none([0.0 if r is None else r for g in scored for r in g.rewards]),
            "pass_rate": mean_or_none([v.accepted for v in verdicts]),
            "unverifiable_frac": mean_or_none([v.status is VerdictStatus.UNVERIFIABLE for v in verdicts]),
            "judge_disagreement": judge_disagreement(verdicts),
            "nll": mean_or_none(np.concatenate([g.nll for g in scored])),
            "nll_gain": mean_or_none([g.nll_gain for g in scored]),
            "word_drift": mean_or_none(np.concatenate([g.drift for g in scored])),
            "alignment": over_passed("alignment"),
            "diversity": over_passed("diversity"),
            "copy": over_passed("copy"),
            "novelty": mean_or_none([g.novelty for g in scored]),
            "pair_distance": mean_or_none([g.pair_distance for g in scored]),
            "unique_frac": mean_or_none([len(set(g.texts)) / len(g.texts) for g in scored]),
            "repetition": mean_or_none([_repetition(t) for t in texts]),
            "opening_entropy": opening_entropy(texts),
            "share_gate": gate_share([g.rewards for g in scored], self.scale),
            **{f"share_{name}": share for name, share in shares.items()},
            **group_fates([g.accepted for g in scored]),
        }

    def reward_func(
        self,
        *,
        group_size: int | None = None,
        on_scored: Callable[[list[ScoredGroup]], None] | None = None,
    ) -> Callable[..., list[float | None]]:
        """A TRL reward function. The data set's columns `messages` and `demonstration` are needed, `answer`, `task`
        and `row_id` taken where they are.

        The candidates of a prompt must come next to each other, as TRL passes them; `group_size` (TRL's
        `num_generations`) tells apart a row that comes twice in succession. A completion whose `completion_ids`
        do not end in an end-of-turn token was cut and fails. A group in which none passed gets no reward at all
        rather than K zeros: it carries no signal, and zeros would count in the batch's standard deviation.
        """

        def gated_reward(
            completions: Sequence[Any],
            messages: Sequence[Any],
            demonstration: Sequence[str],
            completion_ids: Sequence[Sequence[int]] | None = None,
            finish_reason: Sequence[str] | None = None,
            **columns: Any,
        ) -> list[float | None]:
            texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
            reasons = finish_reason or self._finish_reasons(completion_ids, len(texts))
            optional = {
                name: columns.get(name) or [None] * len(texts) for name in ("row_id", "answer", "task")
            }
            rows = [
                {"messages": messages[n], "demonstration": demonstration[n]}
                | {name: values[n] for name, values in optional.items()}
                for n in range(len(texts))
            ]
            k = group_size or len(rows)
            starts = [n for n in range(len(rows)) if n % k == 0 or rows[n] != rows[n - 1]]
            if group_size and len(starts) * group_size != len(rows):
                raise ValueError(f"{len(rows)} completions are not whole groups of {group_size}")
            bounds = list(zip(starts, [*starts[1:], len(rows)], strict=True))
            scored = self.score(
                [rows[a] for a, _ in bounds],
                [texts[a:b] for a, b in bounds],
                [reasons[a:b] for a, b in bounds],
            )
            if on_scored is not None:
                on_scored(scored)
            return self.paid(scored)

        return gated_reward

    def paid(self, scored: Sequence[ScoredGroup]) -> list[float | None]:
        """The reward of every candidate as a trainer is told it: none at all in a group in which none passed."""
        soft = self.weights.soft_gate
        return [r if soft or any(g.accepted) else None for g in scored for r in g.rewards]

    def _finish_reasons(self, ids: Sequence[Sequence[int]] | None, num: int) -> list[str]:
        if ids is None:
            return [STOP] * num
        ends = set(self.engine.eos_ids)
        return [STOP if len(i) and i[-1] in ends else LENGTH for i in ids]


def _shown(states: np.ndarray | None) -> np.ndarray:
    assert states is not None  # they were asked for
    return states


def _answers_rightly(verdict: Verdict) -> bool:
    return any(check.name == "answer" and check.status is CheckStatus.PASS for check in verdict.checks)


def _repetition(text: str, n: int = 4) -> float:
    """Share of the word n-grams of `text` that occurred in it before."""
    count = len(words(text)) - n + 1
    return 1.0 - len(ngrams(text, n)) / count if count > 0 else 0.0
