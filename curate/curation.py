"""Which rows of a version are worth training on: every filter names the rows it removes and why.

Filters run in a fixed order and see only the rows that are still in; the first reason counts. Nothing is
rewritten here, and nothing is lost: the caller stores removed rows with their reasons. Scores that a version does
not have (pass rate, NLL, embeddings) switch their filters off, and the report says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from curate.arithmetic import false_equalities
from curate.checks.answer import AnswerCheck
from curate.checks.case import Case, words
from curate.checks.repetition import RepetitionCheck
from curate.diversity import normalise_ND
from curate.duplicates import near_duplicates
from curate.records import CheckStatus


class CurateConfig(BaseModel):
    """Thresholds of the filters; None switches one off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicate_of: str = "both"
    """What makes two rows duplicates: their `prompt`, their `completion`, or `both` together."""
    near_duplicate: float | None = Field(default=0.85, gt=0.0, le=1.0)
    """Estimated Jaccard similarity of word 3-grams from which a row is a near duplicate of an earlier one."""
    min_words: int | None = Field(default=3, ge=0)
    """Shortest completion in words."""
    max_words: int | None = Field(default=4000, gt=0)
    """Longest completion in words."""
    repetition: bool = True
    """Remove completions that repeat themselves."""
    suspected_wrong: bool = True
    """Remove demonstrations that state a false equality, or another answer than the row's."""
    max_nll: float | None = None
    """Largest NLL of the demonstration in nats per token."""
    contamination_ngram: int = Field(default=13, ge=4)
    """Length in words of an n-gram of the prompt that may not occur in a benchmark."""
    min_pass_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    """Easiest allowed from below: rows that the model solves less often are removed."""
    max_pass_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    """Rows that the model solves more often are removed."""
    budget: int | None = Field(default=None, gt=0)
    """How many rows to keep at most: uncertain ones first, spread over the embedding space."""


@dataclass(slots=True)
class Curated:
    """The outcome: a reason for every row, empty where it stays."""

    reasons: list[str]
    details: dict[int, str] = field(default_factory=dict)
    """Row to a sentence: which row it duplicates, which equality is false."""
    switched_off: dict[str, str] = field(default_factory=dict)
    """Filters that did not run, and the column they lack."""

    @property
    def kept(self) -> list[int]:
        return [i for i, reason in enumerate(self.reasons) if not reason]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by reason, `kept` first."""
        counts = Counter(reason or "kept" for reason in self.reasons)
        return dict(sorted(counts.items(), key=lambda item: (item[0] != "kept", -item[1])))

    def remove(self, index: int, reason: str, detail: str = "") -> None:
        if not self.reasons[index]:
            self.reasons[index] = reason
            if detail:
                self.details[index] = detail


def curate(
    rows: Sequence[Mapping[str, Any]],
    config: CurateConfig | None = None,
    *,
    benchmarks: Iterable[str] = (),
    embeddings_ND: ArrayLike | None = None,
) -> Curated:
    """Run the filters. Row keys used: messages, completion, demonstration, answer, nll_demonstration, pass_rate."""
    config = config or CurateConfig()
    outcome = Curated([""] * len(rows))
    _duplicates(rows, config, outcome)
    _anomalies(rows, config, outcome)
    _contamination(rows, config, benchmarks, outcome)
    _bands(rows, config, outcome)
    if config.budget is not None:
        _budget(rows, config.budget, embeddings_ND, outcome)
    return outcome


def prompt_text(row: Mapping[str, Any]) -> str:
    """The contents of a row's messages; `messages` may be JSON text."""
    messages = row.get("messages") or ()
    if isinstance(messages, str):
        messages = json.loads(messages)
    return "\n".join(str(m.get("content") or "") for m in messages)


def _duplicates(rows: Sequence[Mapping[str, Any]], config: CurateConfig, outcome: Curated) -> None:
    parts = {"prompt": (True, False), "completion": (False, True), "both": (True, True)}[config.duplicate_of]
    texts = [
        "\n".join(
            [prompt_text(row) if parts[0] else "", str(row.get("completion") or "") if parts[1] else ""]
        )
        for row in rows
    ]
    found = near_duplicates(texts, threshold=config.near_duplicate or 1.0)
    for i in np.flatnonzero(found.duplicate_N):
        exact = bool(found.exact_N[i])
        if exact or config.near_duplicate is not None:
            first = rows[int(found.representative_N[i])].get("row_id") or int(found.representative_N[i])
            outcome.remove(int(i), "exact_duplicate" if exact else "near_duplicate", f"of row {first}")


def _anomalies(rows: Sequence[Mapping[str, Any]], config: CurateConfig, outcome: Curated) -> None:
    repetition, answer = RepetitionCheck(), AnswerCheck(symbolic=False)
    for i in outcome.kept:
        row = rows[i]
        text = str(row.get("completion") or "")
        length = len(words(text))
        if config.min_words is not None and length < config.min_words:
            outcome.remove(i, "too_short", f"{length} words")
        elif config.max_words is not None and length > config.max_words:
            outcome.remove(i, "too_long", f"{length} words")
        elif config.repetition and (found := repetition.run(Case(text, "", row))).status is CheckStatus.FAIL:
            outcome.remove(i, "repetition", found.message)
        elif config.suspected_wrong:
            false = false_equalities(text)
            if false:
                outcome.remove(i, "false_equality", f"{false[0].text} is false")
            elif row.get("answer") is not None:
                judged = answer.run(Case(text, "", row))
                if judged.reason == "wrong_answer":
                    outcome.remove(i, "wrong_answer", judged.message)


def _contamination(
    rows: Sequence[Mapping[str, Any]], config: CurateConfig, benchmarks: Iterable[str], outcome: Curated
) -> None:
    n = config.contamination_ngram
    seen: set[tuple[str, ...]] = set()
    for text in benchmarks:
        tokens = words(text)
        if len(tokens) < n:
            seen.add(tokens)  # a short question is contaminated by itself only
        seen.update(zip(*(tokens[i:] for i in range(n)), strict=False))
    if not seen:
        return
    for i in outcome.kept:
        tokens = words(prompt_text(rows[i]))
        grams = zip(*(tokens[k:] for k in range(n)), strict=False)
        hit = next((g for g in grams if g in seen), tokens if tokens in seen else None)
        if hit is not None:
            outcome.remove(i, "contaminated", "a benchmark holds: " + " ".join(hit))


def _bands(rows: Sequence[Mapping[str, Any]], config: CurateConfig, outcome: Curated) -> None:
    for column, low, high, reasons in (
        ("pass_rate", config.min_pass_rate, config.max_pass_rate, ("too_hard", "too_easy")),
        ("nll_demonstration", None, config.max_nll, ("", "high_nll")),
    ):
        if low is None and high is None:
            continue
        if all(row.get(column) is None for row in rows):
            outcome.switched_off[column] = f"no row has {column}"
            continue
        for i in outcome.kept:
            value = rows[i].get(column)
            if value is not None and low is not None and value < low:
                outcome.remove(i, reasons[0], f"{column} {value:.3g} < {low:g}")
            elif value is not None and high is not None and value > high:
                outcome.remove(i, reasons[1], f"{column} {value:.3g} > {high:g}")


def _budget(
    rows: Sequence[Mapping[str, Any]], budget: int, embeddings_ND: ArrayLike | None, outcome: Curated
) -> None:
    kept = outcome.kept
    if len(kept) <= budget:
        return
    uncertainty = np.array([uncertainty_of(rows[i]) for i in kept])
    if embeddings_ND is None:
        outcome.switched_off["embeddings"] = "selected by uncertainty alone"
        chosen = set(np.argsort(-uncertainty, kind="stable")[:budget].tolist())
    else:
        chosen = set(select(uncertainty, np.asarray(embeddings_ND)[kept], budget))
    for place, i in enumerate(kept):
        if place not in chosen:
            outcome.remove(i, "over_budget", f"uncertainty {uncertainty[place]:.3g}")


def uncertainty_of(row: Mapping[str, Any]) -> float:
    """4 p (1 - p) of the pass rate, 1 at one half; without one, 0.5 for all."""
    rate = row.get("pass_rate")
    return 0.5 if rate is None else 4.0 * float(rate) * (1.0 - float(rate))


def select(uncertainty_N: ArrayLike, embeddings_ND: ArrayLike, budget: int) -> list[int]:
    """Greedy choice of `budget` rows: the next is the largest (uncertainty + distance to the nearest chosen one).

    Both terms lie in [0, 1]; the distance is (1 - cos) / 2. Deterministic: ties go to the earlier row.
    """
    uncertainty = np.asarray(uncertainty_N, dtype=np.float64)
    unit = normalise_ND(embeddings_ND)
    chosen: list[int] = []
    nearest = np.ones(len(unit))
    available = np.ones(len(unit), bool)
    for _ in range(min(budget, len(unit))):
        i = int(np.where(available, uncertainty + nearest, -np.inf).argmax())
        chosen.append(i)
        available[i] = False
        nearest = np.minimum(nearest, (1.0 - unit @ unit[i]) / 2.0)
    return chosen
