"""A row of a finished job sampled again, in its own batch, and held against what was kept.

The same engine gives the same bytes only for the same batch, so all rows of the batch are sampled again; which of them
took part in a repair, and what they were told, is what their kept candidates say. No gate is asked and nothing is
chosen: texts are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recast.agent.batches.parts import Parts, Plan, windows
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine
from recast.agent.rewriting.attempts import Method, Row
from recast.curate.errors import IntegrityError
from recast.curate.fingerprint import seed_of
from recast.curate.records import Candidate, Check, CheckStatus, Cut, Verdict, VerdictStatus


@dataclass(frozen=True, slots=True)
class Replayed:
    """One candidate, as it was sampled and as it is sampled now."""

    k: int
    attempt: int
    seed: int
    chosen: bool
    kept: str
    made: str | None  # None where sampling raised

    @property
    def same(self) -> bool:
        return self.kept == self.made


def batch_of(source: Source, plan: Plan, parts: Parts, row_id: str, target: int) -> tuple[list[Row], int]:
    """The rows of the batch in which a row was, with their kept candidates, and the row's place among them.

    Raises IntegrityError where no batch of the plan has the row.
    """
    for window in windows(source, plan):
        ids = window.rows["row_id"].to_pylist()
        targets = window.rows["target"].to_pylist()
        if (row_id, target) not in set(zip(ids, targets, strict=True)):
            continue
        position = window.start + list(zip(ids, targets, strict=True)).index((row_id, target))
        for batch in window.batches:
            if position in batch[1]:
                rows = window.rows.take([p - window.start for p in batch[1]]).to_pylist()
                kept = parts.read(batch, ["candidates", "error"]).to_pylist()
                by_position: dict[int, list[dict[str, Any]]] = {}
                for each in kept:
                    by_position.setdefault(each["position"], []).append(each)
                made = [_row(p, row, by_position[p]) for p, row in zip(batch[1], rows, strict=True)]
                return made, batch[1].index(position)
    raise IntegrityError(f"row {row_id} (target {target}) is in no batch of job {plan.fingerprint}.")


def replay(rows: Sequence[Row], place: int, engine: Engine, method: Method, seed: int) -> list[Replayed]:
    """Sample the batch `rows` again, attempt by attempt, and compare the candidates of the row at `place`."""
    wanted = rows[place]
    found: list[Replayed] = []
    for number in sorted({c.attempt for c in wanted.candidates}):
        attempt = method.attempts[number]
        before = [replace(r, candidates=[c for c in r.candidates if c.attempt < number]) for r in rows]
        tried = [r for r in before if r.fault is None and not r.accepted]
        seeds = [[seed_of(seed, r.row_id, r.target, j, number) for j in range(attempt.k)] for r in tried]
        own = next(i for i, r in enumerate(tried) if r.position == wanted.position)
        made: Sequence[str] | None
        if attempt.given is not None:
            made = [attempt.given(wanted)] * attempt.k
        else:
            group = attempt.sampled(engine, tried, seeds)[own]
            made = None if isinstance(group, Exception) else [sample.text for sample in group]
        for kept in (c for c in wanted.candidates if c.attempt == number):
            text = kept.cut.before + kept.text + kept.cut.after if kept.cut else kept.text
            chosen = bool(kept.scores.get("chosen"))
            again = made[kept.k] if made is not None and kept.k < len(made) else None
            found.append(Replayed(kept.k, number, kept.seed, chosen, text, again))
    return found


def _row(position: int, row: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> Row:
    """An input row with what its part kept of it; a row with several targets has its candidates beside the first."""
    return Row.of(
        position,
        row,
        candidates=[_candidate(c) for each in kept for c in each["candidates"] or ()],
        fault=next((each["error"] for each in kept if each["error"]), None),
    )


def _candidate(kept: Mapping[str, Any]) -> Candidate:
    checks = tuple(
        Check(
            c["name"], CheckStatus(c["status"]), c.get("reason") or "", c.get("message") or "", c.get("score")
        )
        for c in json.loads(kept["checks"] or "[]")
    )
    cut = json.loads(kept["cut"]) if kept.get("cut") else None
    return Candidate(
        row_id=kept["row_id"],
        target=kept["target"],
        k=kept["k"],
        attempt=kept["attempt"],
        text=kept["text"],
        num_tokens=kept["num_tokens"],
        finish_reason=kept["finish_reason"],
        seed=kept["seed"],
        verdict=Verdict(VerdictStatus(kept["status"]), kept["reason"] or "", checks),
        scores={"chosen": float(kept["chosen"] or 0)},
        cut=Cut(cut["before"], cut["after"], tuple(cut["rules"])) if cut else None,
    )
