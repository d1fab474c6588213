"""As many accepted rewrites as are wanted, in a stated mix: rounds of the rewriting job, each over a few of the rows.

    job = Rounds(wanted, rows_at, folder)
    job.run(one)       BudgetReached where a budget ends it
    job.rows()         the accepted rows, no more of a kind than its quota

A round takes so many rows of each kind as its quota lacks, by the share of the kind that was accepted so far; rows of a
kind come in an order drawn once. When a kind has no fresh rows left, those that failed are tried again under another
seed. Which rows a round takes depends on the rounds before it alone, and a round is a rewriting job with a folder of
its own (`agent.rewriting.rewrite`), so the whole goes on after a kill and the same inputs end in the same rows.

A round is a small part of what is wanted, and while there are fresh rows of all kinds they are about equally far: a
budget that ends the job leaves the mix as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recast.agent.batches.job import UNLIMITED, Budget
from recast.agent.rewriting.outcome import REWRITTEN, RewriteResult
from recast.curate import files
from recast.curate.errors import BudgetReached
from recast.curate.fingerprint import seed_of
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA

POSITIONS = "rows.json"
"""Which rows a round took, beside its plan."""
BATCHES = 8
"""Least size of a round: one batch alone would leave the engine waiting for the gate."""
PARTS = 20
"""A round has at most this part of what is wanted, or BATCHES batches."""
SMOOTHING = 10.0
"""Rows that the share of all kinds counts for in that of one."""

OneRound = Callable[[pa.Table, Path, int, Budget, Callable[[Mapping[str, Any]], None] | None], RewriteResult]
"""Rewrite these rows in this folder, from this seed, within this budget."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job is to end in. `of_row`: int64[rows of the source], the kind of each; `quotas`: int64[kinds]."""

    of_row: NDArray[np.int64]
    quotas: NDArray[np.int64]
    tries: int  # how often a row is sampled at most
    seed: int
    batch_rows: int
    candidates: int  # that a row can come to in one round

    @property
    def round_rows(self) -> int:
        return max(BATCHES * self.batch_rows, int(self.quotas.sum()) // PARTS)


@dataclass(frozen=True, slots=True)
class _Round:
    result: RewriteResult
    positions: NDArray[np.int64]  # of its rows in the source, ascending
    kept: NDArray[np.bool_]  # of the same rows
    attempt: int  # what is added to the attempts of its candidates, as a row may be in several rounds


class Rounds:
    """The rounds of a job, and what has come of them."""

    def __init__(
        self, wanted: Wanted, rows_at: Callable[[NDArray[np.int64]], pa.Table], folder: Path
    ) -> None:
        """`rows_at`: rows of the source by their positions, in that order (VERSION_SCHEMA)."""
        self.wanted, self.rows_at, self.folder = wanted, rows_at, folder
        self.got = np.zeros_like(wanted.quotas)
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._tried = np.zeros(len(wanted.of_row), np.int64)  # how often
        self._open = np.ones(len(wanted.of_row), bool)  # nothing was accepted yet
        self._asked = np.zeros_like(wanted.quotas)  # rows sampled, by kind
        self._accepted = np.zeros_like(wanted.quotas)
        self._rank = np.random.default_rng(wanted.seed).permutation(len(wanted.of_row))
        self._rounds: list[_Round] = []
        self.stopped = False  # by a budget

    @property
    def last(self) -> RewriteResult:
        """The newest round's. Raises IndexError before there is one."""
        return self._rounds[-1].result

    @property
    def short(self) -> NDArray[np.int64]:
        """int64[kinds]: what the quotas lack."""
        return self.wanted.quotas - self.got

    def run(
        self,
        one: OneRound,
        *,
        budget: Budget = UNLIMITED,
        progress: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Do rounds until all quotas are full or no row is left to try. Raises BudgetReached; what is there stands."""
        while (positions := self._next()) is not None:
            number, again = len(self._rounds), int(self._tried[positions[0]])
            folder = self.folder / f"{number:04d}"
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / POSITIONS).exists():
                files.write_json(folder / POSITIONS, positions.tolist(), indent=None)
            seed = seed_of(self.wanted.seed, "again", again) if again else self.wanted.seed
            try:
                left = self._left(budget, min(len(positions), self.wanted.batch_rows))
                told = progress and self._telling(progress)
                result = one(self.rows_at(positions), folder, seed, left, told)
            except BudgetReached:
                self.stopped = True
                raise
            self._count(positions, result, again)

    def rows(self) -> pa.RecordBatchReader:
        """The accepted rows, round by round (VERSION_SCHEMA)."""
        return pa.RecordBatchReader.from_batches(VERSION_SCHEMA, self._row_batches())

    def candidates(self) -> pa.RecordBatchReader:
        """Every candidate of every round (CANDIDATE_SCHEMA); those are chosen whose rows are among `rows`."""
        return pa.RecordBatchReader.from_batches(CANDIDATE_SCHEMA, self._candidate_batches())

    def figures(self) -> dict[str, Any]:
        return {
            "rows": int(self.got.sum()),
            "wanted": int(self.wanted.quotas.sum()),
            "rounds": len(self._rounds),
            "rows_tried": int((self._tried > 0).sum()),
            "num_candidates": self.counts["candidates"],
            "num_accepted": self.counts["accepted"],
            "num_tokens": self.counts["tokens"],
            "num_errors": self.counts["errors"],
            "reasons": dict(self.rejected.most_common()),
        }

    def _next(self) -> NDArray[np.int64] | None:
        """Positions of the rows of the next round, ascending; None where there is nothing to be had."""
        short = self.short
        left = self._open & (self._tried < self.wanted.tries) & (short[self.wanted.of_row] > 0)
        if not left.any():
            return None
        # rows of a round have one seed, so they have been tried equally often
        left &= self._tried == self._tried[left].min()
        overall = (self._accepted.sum() + 1) / (self._asked.sum() + 1)
        share = (self._accepted + SMOOTHING * overall) / (self._asked + SMOOTHING)
        need = np.ceil(short / share)
        need = np.minimum(need, np.bincount(self.wanted.of_row[left], minlength=len(need)))
        if need.sum() > self.wanted.round_rows:
            need = np.where(need > 0, np.maximum(1, np.floor(need * self.wanted.round_rows / need.sum())), 0)
        chosen: list[NDArray[np.int64]] = []
        for kind in np.flatnonzero(need):
            own = np.flatnonzero(left & (self.wanted.of_row == kind))
            chosen.append(own[np.argsort(self._rank[own])[: int(need[kind])]])
        return np.sort(np.concatenate(chosen))

    def _count(self, positions: NDArray[np.int64], result: RewriteResult, again: int) -> None:
        accepted = np.concatenate(
            [np.isin(batch["decision"].to_pylist(), REWRITTEN) for batch in result.rows()]
        )
        kept = np.zeros(len(positions), bool)
        of_kind = self.wanted.of_row[positions]
        for kind in np.unique(of_kind):
            own = np.flatnonzero(accepted & (of_kind == kind))
            own = own[np.argsort(self._rank[positions[own]])][: int(self.short[kind])]
            kept[own] = True
            self.got[kind] += len(own)
        self._tried[positions] += 1
        self._open[positions[accepted]] = False
        kinds = len(self.wanted.quotas)
        self._asked += np.bincount(of_kind, minlength=kinds)
        self._accepted += np.bincount(of_kind[accepted], minlength=kinds)
        self.counts.update(
            candidates=result.num_candidates, accepted=result.num_accepted, tokens=result.num_tokens,
            errors=result.num_errors,
        )  # fmt: skip
        self.rejected.update(result.reasons)
        self._rounds.append(_Round(result, positions, kept, again * len(result.prompts)))

    def _left(self, budget: Budget, batch_rows: int) -> Budget:
        """What a round may still sample. Raises BudgetReached where that is not one batch."""
        if budget.max_candidates is None:
            return budget
        left = budget.max_candidates - self.counts["candidates"]
        if self._rounds and left < batch_rows * self.wanted.candidates:
            raise BudgetReached(
                f"{left} of {budget.max_candidates} candidates are left, less than a batch may need. The rounds stand "
                f"in {self.folder}; the same command with a larger --max-candidates goes on from there."
            )
        return replace(budget, max_candidates=left)

    def _telling(self, progress: Callable[[Mapping[str, Any]], None]) -> Callable[[Mapping[str, Any]], None]:
        """Progress towards what is wanted, not through the rows of a round."""
        got, wanted = int(self.got.sum()), int(self.wanted.quotas.sum())

        def tell(point: Mapping[str, Any]) -> None:
            new = sum(int(point.get(kind, 0)) for kind in REWRITTEN)
            progress(
                {**point, "done": min(wanted, got + new), "total": wanted, "round": len(self._rounds) + 1}
            )

        return tell

    def _row_batches(self) -> Iterator[pa.RecordBatch]:
        for each in self._rounds:
            start = 0
            for batch in each.result.rows():
                kept = each.kept[start : start + batch.num_rows]
                start += batch.num_rows
                if kept.any():
                    yield batch.filter(pa.array(kept))

    def _candidate_batches(self) -> Iterator[pa.RecordBatch]:
        for each in self._rounds:
            keys = self.rows_at(each.positions[each.kept]).select(["row_id", "target"]).to_pylist()
            kept = {(key["row_id"], key["target"]) for key in keys}
            for batch in each.result.candidates():
                owners = zip(batch["row_id"].to_pylist(), batch["target"].to_pylist(), strict=True)
                chosen = [
                    bool(c) and key in kept
                    for c, key in zip(batch["chosen"].to_pylist(), owners, strict=True)
                ]
                attempts = [a + each.attempt for a in batch["attempt"].to_pylist()]
                for name, values in (("chosen", chosen), ("attempt", attempts)):
                    place = batch.schema.get_field_index(name)
                    field = batch.schema.field(place)
                    batch = batch.set_column(place, field, pa.array(values, field.type))
                yield batch
