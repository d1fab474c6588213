"""One batch of a rewriting job, from prompts to decisions: sample, clean, verify, repair, score, choose.

What is sampled, how often, and what counts as accepted is the method's (`agent.rewriting.attempts`). A row that raises
is data (`agent.batches.isolation`). Knows no files (`agent.batches.parts`) and no selection rule
(`agent.rewriting.choice`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import numpy as np

from recast.agent.batches.gating import GateJob
from recast.agent.batches.isolation import each, sample_each, scoring_canary
from recast.agent.batches.pipeline import Steps
from recast.agent.engines import tokens
from recast.agent.engines.embedding import Embed, unit_rows
from recast.agent.engines.protocol import PROMPT_TOO_LONG, STOP, Engine, Inspectable, Sample, Score
from recast.agent.prompts import templates
from recast.agent.reward.alignment import scored_at
from recast.agent.reward.drift import word_drift
from recast.agent.rewriting.attempts import Attempt, Method, Row
from recast.agent.rewriting.choice import (
    HESITATION,
    TOO_LONG_TO_SCORE,
    Alignment,
    aligned,
    distinct,
    doubted_from,
    fallback_reason,
    hesitation,
    hesitation_of,
    spread,
    surer_half,
    varied,
)
from recast.agent.rewriting.cleaning import clean
from recast.agent.rewriting.triage import cause_of
from recast.curate.fingerprint import seed_of
from recast.curate.records import Candidate, Cut, Decision, DecisionKind, Verdict

STAGES = ("generate", "score", "choose")


class Worker:
    """Works batches of rows. `seconds` adds up what each stage took of the engine's time."""

    def __init__(
        self,
        engine: Engine,
        method: Method,
        *,
        seed: int,
        targets: int = 1,
        tie_nats: float = 0.05,
        alignment: Alignment,
        own_samples: int = 0,
        score: bool = True,
        phrases: bool = False,
        shows: Inspectable | None = None,
        embed: Embed | None = None,
    ) -> None:
        """Texts are compared by `phrases`, or embedded by the states of their scoring pass where `shows` is the engine,
        else by `embed`."""
        self.engine, self.method, self.seed = engine, method, seed
        self.targets, self.tie_nats = targets, tie_nats
        self.alignment: Alignment = alignment
        self.own_samples = own_samples
        self.score, self.phrases, self.shows, self.embed = score, phrases, shows, embed
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def run(self, rows: list[Row]) -> Steps[list[list[Decision]]]:
        """Fill `rows` with candidates and scores, and return the decisions of each, in order."""
        for number, attempt in enumerate(self.method.attempts):
            tried = [row for row in rows if row.fault is None and not row.accepted]
            if tried:
                yield from self._attempt(tried, attempt, number)
        if self.score:
            self._score([row for row in rows if row.fault is None])
        if self.own_samples:
            self._measure_own([row for row in rows if row.fault is None])
        with self.timed("choose"):
            decisions = self._decide(rows)
        fallen = [r for r, (d, *_) in zip(rows, decisions, strict=True) if d.reason]
        if fallen:
            judged = [r for r in fallen if r.fault is None]
            found: list[Verdict] = yield GateJob(
                [r.for_gate() for r in judged], [r.demonstration for r in judged], [STOP] * len(judged)
            )
            of_demonstration = {r.position: v for r, v in zip(judged, found, strict=True)}
            for row in fallen:
                reason = row.fault or fallback_reason(row.candidates)
                row.cause = cause_of(reason, row.candidates, of_demonstration.get(row.position))
        return decisions

    def _attempt(self, rows: list[Row], attempt: Attempt, number: int) -> Steps[None]:
        """Sample a group for every row and verify it; a row that raises keeps the error."""
        k = attempt.k
        seeds = [[seed_of(self.seed, r.row_id, r.target, j, number) for j in range(k)] for r in rows]
        if attempt.given is not None:
            groups: list[list[Sample] | Exception] = [[Sample(attempt.given(r), [], [], STOP)] for r in rows]
        else:
            with self.timed("generate"):
                groups = attempt.sampled(self.engine, rows, seeds)
        drawn: list[tuple[Row, int, Sample, int, Cut | None, float]] = []
        for row, group, group_seeds in zip(rows, groups, seeds, strict=True):
            if isinstance(group, Exception):
                row.fail(group)
            elif all(sample.finish_reason == PROMPT_TOO_LONG for sample in group):
                if not row.candidates:  # a repair prompt is longer than the first one
                    row.fault = PROMPT_TOO_LONG
            else:
                kept = [_cleaned(s, row, attempt) if self.method.clean else (s, None) for s in group]
                drawn.extend(
                    (row, j, s, group_seeds[j], cut, self._hesitation(s, cut))
                    for j, (s, cut) in enumerate(kept)
                )
        verdicts: list[Verdict] = yield GateJob(
            [row.for_gate() for row, *_ in drawn],
            [sample.text for _, _, sample, *_ in drawn],
            [sample.finish_reason for _, _, sample, *_ in drawn],
        )
        judged = verdicts
        if self.method.accept is not None and drawn:
            with self.timed("score"):
                triples = [(row, s, v) for (row, _, s, *_), v in zip(drawn, verdicts, strict=True)]
                judged = self.method.accept(self.engine, triples)
        for (row, j, sample, seed, cut, unsure), gated, verdict in zip(drawn, verdicts, judged, strict=True):
            scores = {} if math.isnan(unsure) else {HESITATION: unsure}
            if judged is not verdicts:
                # the gate's own word, where the method has another rule: methods are compared by it
                scores["gate"] = float(gated.accepted)
            row.candidates.append(
                Candidate(
                    row_id=row.row_id,
                    target=row.target,
                    k=j,
                    attempt=number,
                    text=sample.text,
                    num_tokens=len(sample.token_ids),
                    finish_reason=sample.finish_reason,
                    seed=seed,
                    verdict=verdict,
                    scores=scores,
                    cut=cut,
                )
            )

    def _hesitation(self, sample: Sample, cut: Cut | None) -> float:
        """Of the tokens that the kept text was drawn as, its end of turn included where nothing follows it.

        Of the whole sample where a server's log-probabilities are of other tokens than those known here.
        """
        if cut is None or len(sample.logprobs) != len(sample.token_ids):
            return hesitation(sample.logprobs)
        begin = len(cut.before)
        first = tokens.num_before(self.engine.tokenizer, sample.token_ids, begin)
        last = tokens.num_before(self.engine.tokenizer, sample.token_ids, begin + len(sample.text))
        return hesitation(sample.logprobs[first : last if cut.after else None])

    def _score(self, rows: list[Row]) -> None:
        """Score demonstrations and accepted candidates under the QA prompt, adapter off."""
        texts = [[row.demonstration, *dict.fromkeys(c.text for c in row.accepted)] for row in rows]

        def score(chosen: Sequence[int]) -> list[tuple[list[Score], list[np.ndarray] | None]]:
            flat = [(rows[i].messages, text) for i in chosen for text in texts[i]]
            asked, told = [m for m, _ in flat], [t for _, t in flat]
            vectors: Iterator[np.ndarray] | None = None
            at = self.method.measured_at if isinstance(self.engine, Inspectable) else 1.0
            if self.shows is not None:
                found, pooled = self.shows.score(asked, told, adapter=False, embed=True, temperature=at)
                assert pooled is not None
                vectors = iter(unit_rows(pooled))
            else:
                found = scored_at(self.engine, asked, told, at)
            scores = iter(found)
            return [
                (
                    [next(scores) for _ in texts[i]],
                    [next(vectors) for _ in texts[i]] if vectors is not None else None,
                )
                for i in chosen
            ]

        with self.timed("score"):
            scored = each(score, len(rows), lambda: scoring_canary(self.engine))
        for row, row_texts, found in zip(rows, texts, scored, strict=True):
            if isinstance(found, Exception):
                row.fail(found)
                continue
            scores, vectors = found
            # an engine scores what is longer than its model as NaN
            row.demonstration_score = None if math.isnan(scores[0].nll) else scores[0]
            by_text = {text: s for text, s in zip(row_texts, scores, strict=True) if not math.isnan(s.nll)}
            row.candidates = [_with_score(c, by_text.get(c.text), row.demonstration) for c in row.candidates]
            if vectors is not None:
                row.states = dict(zip(row_texts, vectors, strict=True))
            if row.accepted and all(c.nll is None for c in row.accepted):
                row.fault = TOO_LONG_TO_SCORE

    def _measure_own(self, rows: list[Row]) -> None:
        """`nll_self`: what the backbone's own answers to the plain question cost it, from its distribution."""
        k = self.own_samples
        seeds = [[seed_of(self.seed, "own", row.row_id, row.target, i) for i in range(k)] for row in rows]
        plain = replace(self.method.attempts[0].sampling, temperature=1.0, top_p=1.0)
        with self.timed("generate"):
            groups = sample_each(self.engine, lambda i: rows[i].messages, k, plain, seeds, adapter=False)
        for row, group in zip(rows, groups, strict=True):
            drawn = [] if isinstance(group, Exception) else [s.logprobs for s in group if s.logprobs]
            row.nll_self = -float(np.mean([np.mean(logprobs) for logprobs in drawn])) if drawn else None

    def _decide(self, rows: list[Row]) -> list[list[Decision]]:
        limit = doubted_from([c for row in rows for c in row.candidates], self.method.doubt)
        tied = [self._tied(row, limit) if row.fault is None else [] for row in rows]
        self._embed_texts(rows, tied)
        chosen: list[np.ndarray] = []  # embeddings of what this batch has kept so far
        seldom = varied([[c.text for c in candidates] for candidates in tied], self.targets)
        decisions = []
        for row, candidates, rarest in zip(rows, tied, seldom, strict=True):
            if not candidates:
                reason = row.fault or fallback_reason(row.candidates)
                fallback = Decision(row.row_id, row.target, row.demonstration, DecisionKind.FALLBACK, reason)
                decisions.append([fallback])
                continue
            kept = [candidates[i] for i in rarest] if self.phrases else candidates[: self.targets]
            if row.states and not self.phrases:
                embeddings_CD = np.stack([row.states[c.text] for c in candidates])
                picked = spread(embeddings_CD, chosen, self.targets)
                kept = [candidates[i] for i in picked]
                chosen.extend(embeddings_CD[picked])
            decisions.append([self._decision(row, row.target + i, c) for i, c in enumerate(kept)])
        return decisions

    def _tied(self, row: Row, limit: float) -> list[Candidate]:
        """The accepted candidates that may be kept, best first; none of a hesitation above `limit`."""
        sure = [c for c in row.accepted if not hesitation_of(c) > limit]
        if self.method.doubt:
            sure = surer_half(sure, self.targets)
        if self.method.first_wins:
            return distinct(sure)[: self.targets]
        if not self.score:
            return distinct(sure)
        own = 0.0 if self.method.choice > 1 else -math.inf
        return aligned([c for c in sure if c.nll is not None], self.tie_nats, self.alignment, own)

    def _decision(self, row: Row, target: int, kept: Candidate) -> Decision:
        kind = DecisionKind.REPAIR if kept.attempt >= self.method.repairs_from else DecisionKind.REWRITE
        return Decision(row.row_id, target, kept.text, kind, candidate=kept)

    def _embed_texts(self, rows: list[Row], tied: list[list[Candidate]]) -> None:
        """Embed all texts that may be kept, in one call, unless scoring has; nothing where there is no tie."""
        if self.embed is None or all(len(candidates) < 2 for candidates in tied):
            return
        texts = list(dict.fromkeys(c.text for candidates in tied for c in candidates))
        vectors = dict(zip(texts, self.embed(texts), strict=True))
        for row, candidates in zip(rows, tied, strict=True):
            row.states = {c.text: vectors[c.text] for c in candidates}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to `stage`."""
        started = monotonic()
        try:
            yield
        finally:
            self.seconds[stage] += monotonic() - started


def _cleaned(sample: Sample, row: Row, attempt: Attempt) -> tuple[Sample, Cut | None]:
    """What of a sample is the rewrite, and what is not. Tokens and their number stay those that were sampled."""
    found = clean(
        sample.text,
        instruction=attempt.instruction,
        question=templates.last_user_text(row.messages),
    )
    if not found.rules:
        return sample, None
    # the limit fell into what was cut: the kept text came to its end before
    reason = STOP if found.after.strip() else sample.finish_reason
    cut = Cut(found.before, found.after, found.rules)
    return replace(sample, text=found.text, finish_reason=reason), cut


def _with_score(candidate: Candidate, score: Score | None, demonstration: str) -> Candidate:
    if score is None or not candidate.verdict.accepted:
        return candidate
    scores = {"entropy": score.entropy, "excess": score.excess, "num_tokens": float(score.num_tokens)}
    scores["drift"] = word_drift(candidate.text, demonstration)
    told = {name: value for name, value in scores.items() if not math.isnan(value)}
    return replace(candidate, nll=score.nll, scores={**candidate.scores, **told})
