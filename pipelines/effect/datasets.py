"""What every data set of a proof is: how much of it was rewritten, how much is trained, how foreign and how varied.

Diversity is relative to the demonstrations of the same seed, on the same rows: 1 is as varied. Vectors are hashed
words (`curate.curation.budget`), so that nothing depends on a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recast.curate.curation.budget import hashed_words_ND
from recast.curate.curation.collapse import Profile, profile
from recast.curate.records import DecisionKind
from recast.curate.store.store import Store
from recast.pipelines.effect.grid import DEMONSTRATIONS, Arm, Cell
from recast.pipelines.effect.table import rows_of
from recast.pipelines.run.stages import StageOutcome

REWRITTEN = (DecisionKind.REWRITE.value, DecisionKind.REPAIR.value)
DIVERSITY = ("distinct_2", "dissimilarity", "vendi")
SPOKEN = ("distinct-2", "1 - self-BLEU", "Vendi")
MEASURED_ROWS = 600


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows that models were trained on; means over seeds."""

    name: str  # Arm.rows
    label: str
    num_seeds: int
    rows: float
    rewritten: float | None  # share of its rows; None where nothing was rewritten
    tokens: float  # trained tokens of one epoch
    steps: float
    start_loss: float  # nats per token under the untouched backbone
    diversity: Mapping[
        str, float | None
    ]  # of DIVERSITY, over the demonstrations'; None where those have none
    seconds: float  # that making it took, learning included


def described(
    cells: Sequence[Cell],
    outcomes: Mapping[str, StageOutcome],
    versions: Mapping[tuple[str, int], str],
    store: Path,
) -> list[DataSet]:
    """The data sets of `cells`, plain likelihood and full weights, in order. `versions`: (rows, seed) -> version."""
    texts = _Texts(Store(store), versions)
    found = []
    for rows in dict.fromkeys(cell.arm.rows for cell in cells):
        plain = [
            c
            for c in cells
            if c.arm.rows == rows and c.arm == Arm(c.arm.data, rewritten_by=c.arm.rewritten_by)
        ]
        by_seed = {cell.seed: cell for cell in plain}  # any learning rate: the data are the same
        if not by_seed:
            continue
        trained = [outcomes[f"sft-{cell.name}"].result for cell in by_seed.values()]
        arm = plain[0].arm
        shares = [
            1 - outcome.result["fallback_share"]
            for seed in by_seed
            if (outcome := outcomes.get(f"{arm.data}-{seed}")) and "fallback_share" in outcome.result
        ]
        made = [
            sum(outcomes[stage].seconds for stage in _makers(arm, seed) if stage in outcomes)
            for seed in by_seed
        ]
        ratios = [texts.ratios(rows, seed) for seed in by_seed]
        found.append(
            DataSet(
                rows,
                arm.label,
                len(by_seed),
                rows=float(np.mean([r["num_rows"] for r in trained])),
                rewritten=float(np.mean(shares)) if shares and not arm.rewritten_by else None,
                tokens=float(np.mean([r["num_tokens"] for r in trained])),
                steps=float(np.mean([r["steps"] for r in trained])),
                start_loss=float(np.mean([r["start_loss"] for r in trained])),
                diversity={name: _mean([r[name] for r in ratios]) for name in DIVERSITY},
                seconds=float(np.mean(made)),
            )
        )
    return found


def all_rewrote(
    store: Path, versions: Mapping[tuple[str, int], str], rewriters: Sequence[str], seeds: Sequence[int]
) -> bool:
    """Whether there are questions that all of `rewriters` rewrote, with every seed."""
    opened = Store(store)

    def rewritten(data: str, seed: int) -> set[str]:
        rows = opened.open(versions[data, seed]).rows(["row_id", "decision"])
        return {row["row_id"] for row in rows if row["decision"] in REWRITTEN}

    return all(set.intersection(*(rewritten(data, seed) for data in rewriters)) for seed in seeds)


def markdown(found: Sequence[DataSet]) -> str:
    """A table for a README."""
    heads = ("SFT data", "seeds", "rows", "rewritten", "tokens", "steps", "start loss", *SPOKEN, "made in")
    rows = (
        [
            data.label,
            str(data.num_seeds),
            f"{data.rows:.0f}",
            "" if data.rewritten is None else f"{100 * data.rewritten:.1f} %",
            f"{data.tokens:,.0f}",
            f"{data.steps:.0f}",
            f"{data.start_loss:.3f}",
            *("" if (d := data.diversity[name]) is None else f"{d:.2f}" for name in DIVERSITY),
            f"{data.seconds:.0f} s",
        ]
        for data in found
    )
    return "\n".join(rows_of(heads, rows)) + "\n"


def _makers(arm: Arm, seed: int) -> list[str]:
    """The stages that make the rows of an arm, learning included."""
    rows = dict.fromkeys((arm.rows, arm.data, *arm.rewritten_by))
    return [stage for name in rows for stage in (f"learn-{name}-{seed}", f"{name}-{seed}")]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


class _Texts:
    """Profiles of versions beside their demonstrations, each measured once."""

    def __init__(self, store: Store, versions: Mapping[tuple[str, int], str]) -> None:
        self.store, self.versions = store, versions
        self.known: dict[tuple[str, int], dict[str, str]] = {}

    def of(self, rows: str, seed: int) -> dict[str, str]:
        """Completion by row id; of a row with several targets the first."""
        if (rows, seed) not in self.known:
            snapshot = self.store.open(self.versions[rows, seed])
            self.known[rows, seed] = {
                row["row_id"]: row["completion"]
                for row in snapshot.rows(["row_id", "target", "completion"])
                if row["target"] == 0
            }
        return self.known[rows, seed]

    def ratios(self, rows: str, seed: int) -> dict[str, float | None]:
        """Each measure of DIVERSITY over that of the demonstrations of the same questions; None where that is 0."""
        ours, theirs = self.of(rows, seed), self.of(DEMONSTRATIONS, seed)
        ids = [row_id for row_id in ours if row_id in theirs][:MEASURED_ROWS]
        before, after = (_profile([texts[i] for i in ids]) for texts in (theirs, ours))
        return {
            name: getattr(after, name) / was if (was := getattr(before, name)) else None for name in DIVERSITY
        }


def _profile(texts: Sequence[str]) -> Profile:
    vectors = hashed_words_ND(texts)
    return profile(texts, vectors, vectors)
