"""One batch of a rewriting job, from prompts to decisions: sample, verify, repair, score, choose.

Owns the isolation of failures: a row that raises is data (reason `error`), an engine that fails on
everything stops the job. Knows no files (`agent.parts`) and no selection rule (`agent.choice`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Protocol, TypeVar

import numpy as np

from agent import prompts
from agent.choice import ERROR, aligned, failure_message, fallback_reason, farthest
from agent.embedding import Embed
from agent.engine import Engine, Sample, Sampling, Score
from curate.fingerprint import seed_of
from curate.records import Candidate, Decision, DecisionKind, Messages, Verdict, VerdictStatus

CANARY: Messages = [{"role": "user", "content": "Hello"}]
STAGES = ("generate", "gate", "score", "choose", "write")

T = TypeVar("T")


class Gate(Protocol):
    """What a job needs of `curate.gate.Gate`."""

    @property
    def id(self) -> str: ...

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
    ) -> list[Verdict]: ...


@dataclass(slots=True)
class Row:
    """One input row at work, and what has been found out about it."""

    position: int  # in the input
    row_id: str
    target: int
    messages: Messages
    demonstration: str
    answer: str | None
    task: str | None
    candidates: list[Candidate] = field(default_factory=list)
    error: str | None = None
    demonstration_score: Score | None = None
    nll_self: float | None = None  # mean NLL of the backbone's own samples

    @property
    def accepted(self) -> list[Candidate]:
        return [c for c in self.candidates if c.verdict.accepted]

    @property
    def eligible(self) -> list[Candidate]:
        """Accepted candidates that have an NLL to be chosen by."""
        return [c for c in self.accepted if c.nll is not None]

    @property
    def pass_rate(self) -> float | None:
        """Accepted share of the first attempt's candidates."""
        first = [c for c in self.candidates if c.attempt == 0]
        return sum(c.verdict.accepted for c in first) / len(first) if first else None

    def for_gate(self) -> dict[str, Any]:
        return {
            "row_id": self.row_id,
            "messages": self.messages,
            "demonstration": self.demonstration,
            "answer": self.answer,
            "task": self.task,
        }


class Worker:
    """Works batches of rows. `seconds` adds up what each stage took."""

    def __init__(
        self,
        engine: Engine,
        gate: Gate,
        sampling: Sampling,
        *,
        candidates: int,
        repairs: int,
        own_samples: int,
        tie_nats: float,
        seed: int,
        embed: Embed | None,
        adapter: bool,
    ) -> None:
        self.engine, self.gate, self.sampling, self.seed = engine, gate, sampling, seed
        self.k, self.repairs, self.own_samples, self.tie_nats = candidates, repairs, own_samples, tie_nats
        self.embed, self.adapter = embed, adapter
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def run(self, rows: list[Row]) -> list[Decision]:
        """Fill `rows` with candidates and scores, and return one decision each, in order."""
        self._attempt(rows, [prompts.rewrite(row.messages, row.demonstration) for row in rows], attempt=0)
        for attempt in range(1, self.repairs + 1):
            failed = [row for row in rows if row.error is None and not row.accepted]
            failures = [failure_message(row.candidates) for row in failed]
            asked = [
                prompts.repair(r.messages, r.demonstration, f) for r, f in zip(failed, failures, strict=True)
            ]
            self._attempt(failed, asked, attempt)
        live = [row for row in rows if row.error is None]
        self._score(live)
        if self.own_samples:
            self._measure_own(live)
        with self.timed("choose"):
            return self._decide(rows)

    def _attempt(self, rows: list[Row], asked: list[Messages], attempt: int) -> None:
        """Sample a group for every row and verify it; a row that raises keeps the error."""
        seeds = [[seed_of(self.seed, r.row_id, r.target, k, attempt) for k in range(self.k)] for r in rows]
        groups = self._sample(asked, self.k, self.sampling, seeds, adapter=self.adapter)
        drawn: list[tuple[Row, int, Sample, int]] = []
        for row, group, group_seeds in zip(rows, groups, seeds, strict=True):
            if isinstance(group, Exception):
                row.error = _describe(group)
            else:
                drawn.extend((row, k, s, group_seeds[k]) for k, s in enumerate(group))
        with self.timed("gate"):
            verdicts = self._verify([(row, sample) for row, _, sample, _ in drawn])
        for (row, k, sample, seed), verdict in zip(drawn, verdicts, strict=True):
            row.candidates.append(
                Candidate(
                    row_id=row.row_id,
                    target=row.target,
                    k=k,
                    attempt=attempt,
                    text=sample.text,
                    num_tokens=len(sample.token_ids),
                    finish_reason=sample.finish_reason,
                    seed=seed,
                    verdict=verdict,
                )
            )

    def _sample(
        self, asked: list[Messages], k: int, sampling: Sampling, seeds: list[list[int]], *, adapter: bool
    ) -> list[list[Sample] | Exception]:
        def sample(chosen: Sequence[int]) -> list[list[Sample]]:
            return self.engine.sample(
                [asked[i] for i in chosen], k, sampling, seeds=[seeds[i] for i in chosen], adapter=adapter
            )

        with self.timed("generate"):
            return self._each(sample, len(asked))

    def _verify(self, drawn: Sequence[tuple[Row, Sample]]) -> list[Verdict]:
        """Verdicts in order; equal texts of a row are verified once (a learned agent repeats itself)."""
        unique = {(row.position, s.text, s.finish_reason): (row, s) for row, s in drawn}
        pairs = list(unique.values())

        def verify(chosen: Sequence[int]) -> list[Verdict]:
            return self.gate.verify_many(
                [pairs[i][0].for_gate() for i in chosen],
                [pairs[i][1].text for i in chosen],
                [pairs[i][1].finish_reason for i in chosen],
            )

        found = [
            Verdict(VerdictStatus.UNVERIFIABLE, ERROR) if isinstance(verdict, Exception) else verdict
            for verdict in self._each(verify, len(pairs), probe=False)
        ]
        verdicts = dict(zip(unique, found, strict=True))
        return [verdicts[row.position, s.text, s.finish_reason] for row, s in drawn]

    def _score(self, rows: list[Row]) -> None:
        """Score demonstrations and accepted candidates under the QA prompt, adapter off."""
        texts = [[row.demonstration, *dict.fromkeys(c.text for c in row.accepted)] for row in rows]

        def score(chosen: Sequence[int]) -> list[list[Score]]:
            flat = [(rows[i].messages, text) for i in chosen for text in texts[i]]
            scores = iter(self.engine.logprobs([m for m, _ in flat], [t for _, t in flat], adapter=False))
            return [[next(scores) for _ in texts[i]] for i in chosen]

        with self.timed("score"):
            scored = self._each(score, len(rows))
        for row, row_texts, scores in zip(rows, texts, scored, strict=True):
            if isinstance(scores, Exception):
                row.error = _describe(scores)
                continue
            # an engine scores what is longer than its model as NaN
            row.demonstration_score = None if math.isnan(scores[0].nll) else scores[0]
            found = {text: s for text, s in zip(row_texts, scores, strict=True) if not math.isnan(s.nll)}
            row.candidates = [_with_score(c, found.get(c.text)) for c in row.candidates]
            if row.accepted and not row.eligible:
                row.error = (
                    "every accepted candidate is too long for the backbone to score after its question"
                )

    def _measure_own(self, rows: list[Row]) -> None:
        """`nll_self`: what the backbone's own answers to the plain question cost it, from its distribution."""
        k = self.own_samples
        seeds = [[seed_of(self.seed, "own", row.row_id, row.target, i) for i in range(k)] for row in rows]
        plain = replace(self.sampling, temperature=1.0, top_p=1.0)
        groups = self._sample([row.messages for row in rows], k, plain, seeds, adapter=False)
        for row, group in zip(rows, groups, strict=True):
            drawn = [] if isinstance(group, Exception) else [s.logprobs for s in group if s.logprobs]
            row.nll_self = -float(np.mean([np.mean(logprobs) for logprobs in drawn])) if drawn else None

    def _decide(self, rows: list[Row]) -> list[Decision]:
        tied = [aligned(row.eligible, self.tie_nats) if row.error is None else [] for row in rows]
        vectors = self._embed_texts(tied)
        chosen: list[np.ndarray] = []  # embeddings of what this batch has kept so far
        decisions = []
        for row, candidates in zip(rows, tied, strict=True):
            if not candidates:
                reason = ERROR if row.error is not None else fallback_reason(row.candidates)
                decision = Decision(row.row_id, row.target, row.demonstration, DecisionKind.FALLBACK, reason)
            else:
                kept = candidates[0]
                if vectors:
                    kept = candidates[farthest(np.stack([vectors[c.text] for c in candidates]), chosen)]
                    chosen.append(vectors[kept.text])
                kind = DecisionKind.REPAIR if kept.attempt else DecisionKind.REWRITE
                decision = Decision(row.row_id, row.target, kept.text, kind, candidate=kept)
            decisions.append(decision)
        return decisions

    def _embed_texts(self, tied: list[list[Candidate]]) -> dict[str, np.ndarray]:
        """Embeddings of all texts that may be kept, in one call; none where no row has a tie to break."""
        if self.embed is None or all(len(candidates) < 2 for candidates in tied):
            return {}
        texts = list(dict.fromkeys(c.text for candidates in tied for c in candidates))
        return dict(zip(texts, self.embed(texts), strict=True))

    def _each(
        self, call: Callable[[Sequence[int]], list[T]], num: int, *, probe: bool = True
    ) -> list[T | Exception]:
        """Call for all indices at once; where that raises, for each alone, with the exception as its result.

        If every single one raises, the engine is asked for one token of a plain prompt: if it cannot do
        that either, the failure is the engine's and rises; else it is the rows'.
        """
        if not num:
            return []
        try:
            return list(call(range(num)))
        except Exception as failure:
            alone: list[T | Exception] = [_caught(call, i) for i in range(num)]
            if probe and all(isinstance(result, Exception) for result in alone):
                self._probe(failure)
            return alone

    def _probe(self, failure: Exception) -> None:
        one_token = replace(self.sampling, max_tokens=1)
        try:
            self.engine.sample([CANARY], 1, one_token, seeds=[[0]], adapter=self.adapter)
        except Exception:
            raise failure from None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to `stage`."""
        started = monotonic()
        try:
            yield
        finally:
            self.seconds[stage] += monotonic() - started


def _with_score(candidate: Candidate, score: Score | None) -> Candidate:
    if score is None or not candidate.verdict.accepted:
        return candidate
    scores = {"entropy": score.entropy, "excess": score.excess, "num_tokens": float(score.num_tokens)}
    return replace(candidate, nll=score.nll, scores=scores)


def _caught(call: Callable[[Sequence[int]], list[T]], index: int) -> T | Exception:
    try:
        return call([index])[0]
    except Exception as error:
        return error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
