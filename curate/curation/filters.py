"""Which rows of a version are worth training on: every filter names the rows it removes and why.

Filters run in a fixed order and see only the rows that are still in; the first reason counts. What is wrong with a row
by itself comes before what it shares with others, so that no good row goes as the duplicate of a bad one. Rows stream
by in batches; what is kept of them is a reason each, the sketches of `dedup`, and, where there is a budget,
a vector each. Nothing is rewritten here, and nothing is lost: the caller stores removed rows with their reasons.
Scores that a version does not have (pass rate, NLL) switch their filters off, and the outcome says so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from recast.curate.arithmetic.equalities import false_equalities
from recast.curate.curation import private
from recast.curate.curation.budget import hashed_words_ND, select, uncertainty_N
from recast.curate.curation.decontamination import Benchmarks
from recast.curate.curation.dedup import Duplicate, DuplicateFinder, semantic_duplicates
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.words.repetition import RepetitionCheck
from recast.curate.records import CheckStatus
from recast.curate.texts import words

COLUMNS = ("row_id", "target", "messages", "completion", "answer", "nll_demonstration", "pass_rate")
BATCH_ROWS = 4096
MAD_TO_STD = 1.4826  # of a normal distribution

_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd-\uffff]")

Row = Mapping[str, Any]
Embed = Callable[[Sequence[str]], ArrayLike]


class Finder(Protocol):
    """Who finds duplicates: `DuplicateFinder`, or several machines."""

    def add(self, texts: Sequence[str]) -> None: ...
    def found(self) -> list[Duplicate | None]: ...


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""

LATER: dict[str, str] = {
    "secrets": "rows with secrets were kept as they are before there was the setting",
    "personal": "so were rows with personal data",
}
"""Settings that came later: off, a run is the one that it was without them, so they are no part of its identity."""


RULES: dict[str, int] = {"near_duplicate": 2, "semantic_duplicate": 2}
"""Settings that came to decide otherwise for the same value, with the revision of their rule."""


class CurateConfig(BaseModel):
    """Which rows `recast curate` removes; null switches a filter off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicate_of: Literal["prompt", "completion", "both"] = "both"
    """What makes two rows duplicates: their prompt, their completion, or both together."""
    near_duplicate: float | None = Field(default=0.85, gt=0.0, le=1.0)
    """Estimated Jaccard similarity of word 3-grams from which rows are near duplicates; the first of a group stays."""
    semantic_duplicate: float | None = Field(default=None, gt=0.0, le=1.0)
    """Cosine of embeddings from which two rows are duplicates; the first of a group stays. Needs `--embedding`."""
    min_words: int | None = Field(default=3, ge=0)
    """Shortest completion in words."""
    max_words: int | None = Field(default=4000, gt=0)
    """Longest completion in words."""
    max_garbled: float | None = Field(default=0.01, ge=0.0, lt=1.0)
    """Largest share of control, private and replacement characters in the completion."""
    repetition: bool = True
    """Remove completions that repeat themselves."""
    suspected_wrong: bool = True
    """Remove demonstrations that state a false equality, or another answer than the row's."""
    max_nll: float | None = None
    """Largest NLL of the demonstration in nats per token."""
    nll_outlier: float | None = Field(default=6.0, gt=0.0)
    """Remove rows whose NLL lies this many robust standard deviations (1.4826 MAD) above the median."""
    contamination_ngram: int = Field(default=13, ge=4)
    """Length in words of an n-gram that a row may not share with a benchmark (`--against`)."""
    min_pass_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    """Rows that the model solves less often are removed as too hard."""
    max_pass_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    """Rows that the model solves more often are removed as too easy."""
    budget: int | None = Field(default=None, gt=0)
    """How many rows to keep at most: uncertain ones, spread over the space of their texts."""
    secrets: Literal["remove", "mask"] | None = None
    """What becomes of keys, tokens and passwords in URLs: their rows go, or they are masked as [AWS_KEY]."""
    personal: Literal["remove", "mask"] | None = None
    """The same for e-mail addresses, phone, IBAN and card numbers; names and postal addresses are not found."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the scores of all rows together say about one row."""

    max_nll: float | None = None
    switched_off: Mapping[str, str] = field(default_factory=dict)
    """Filters that cannot run, and what they lack."""


@dataclass(slots=True)
class Curated:
    """The outcome: a reason for every row, empty where it stays."""

    reasons: list[str] = field(default_factory=list)
    details: dict[int, str] = field(default_factory=dict)
    """Row to a sentence: which row it duplicates, which equality is false."""
    switched_off: dict[str, str] = field(default_factory=dict)
    masked: dict[int, dict[str, int]] = field(default_factory=dict)
    """Row that stays to what is masked in it, by kind."""

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
            self.details[index] = detail


def limits_of(config: CurateConfig, nll_N: ArrayLike, pass_rate_N: ArrayLike) -> Limits:
    """The limits that follow from the scores of all rows, NaN where a row has none."""
    nll, rate = (np.asarray(values, dtype=np.float64) for values in (nll_N, pass_rate_N))
    nll = nll[np.isfinite(nll)]
    off: dict[str, str] = {}
    if config.max_nll is not None and not len(nll):
        off["max_nll"] = "no row has nll_demonstration"
    for name in ("min_pass_rate", "max_pass_rate"):
        if getattr(config, name) is not None and not np.isfinite(rate).any():
            off[name] = "no row has pass_rate"
    bounds = [] if config.max_nll is None else [config.max_nll]
    if config.nll_outlier is not None and len(nll):
        median = float(np.median(nll))
        spread = MAD_TO_STD * float(np.median(np.abs(nll - median)))
        if spread > 0:
            bounds.append(median + config.nll_outlier * spread)
    return Limits(min(bounds, default=None), off)


def curate(
    rows: Iterable[Row],
    config: CurateConfig | None = None,
    *,
    limits: Limits | None = None,
    benchmarks: Benchmarks | None = None,
    embed: Embed | None = None,
    progress: Callable[[int], None] | None = None,
    finder: Finder | None = None,
) -> Curated:
    """Run the filters over `rows`, which have `COLUMNS`. `progress` is told how many rows are done.
    `finder` finds duplicates by `config.near_duplicate` (None: in this process).

    `limits` None: the rows are gathered into a list first, because the limits follow from all of them.
    """
    config = config or CurateConfig()
    if limits is None:
        rows = list(rows)
        limits = limits_of(
            config, *([_number(row.get(name)) for row in rows] for name in ("nll_demonstration", "pass_rate"))
        )
    outcome = Curated(switched_off=dict(limits.switched_off))
    if config.semantic_duplicate is not None and embed is None:
        outcome.switched_off["semantic_duplicate"] = "no embedding model was given"
    finder = finder or DuplicateFinder(config.near_duplicate)
    spread = _Spread(config, embed)
    judge = _judge(config, limits, benchmarks or Benchmarks())
    to_mask = private_pattern(config, "mask")
    ids: list[str] = []
    seen: list[int] = []  # places of the rows that `finder` was given
    stream = iter(rows)
    while batch := list(islice(stream, BATCH_ROWS)):
        begin = len(ids)
        ids += [str(row.get("row_id") or begin + i) for i, row in enumerate(batch)]
        outcome.reasons += [""] * len(batch)
        for i, row in enumerate(batch, begin):
            if found := judge(row):
                outcome.remove(i, *found)
        left = [(i, row) for i, row in enumerate(batch, begin) if not outcome.reasons[i]]
        seen += [i for i, _ in left]
        finder.add([_text(row, config.duplicate_of) for _, row in left])
        spread.add(left)
        if to_mask is not None:
            for i, row in left:
                if counts := private.masked(row, to_mask)[1]:
                    outcome.masked[i] = counts
        if progress is not None:
            progress(len(ids))
    # only all rows together tell which of them belong to a group
    for i, duplicate in zip(seen, finder.found(), strict=True):
        if duplicate is not None:
            kind = "exact_duplicate" if duplicate.exact else "near_duplicate"
            outcome.remove(i, kind, f"of row {ids[seen[duplicate.first]]}")
    spread.finish(outcome, ids)
    outcome.masked = {i: counts for i, counts in outcome.masked.items() if not outcome.reasons[i]}
    return outcome


def columns_of(config: CurateConfig) -> tuple[str, ...]:
    """What `curate` reads of a row with this configuration."""
    return COLUMNS + (("demonstration", "meta") if config.secrets or config.personal else ())


def private_pattern(config: CurateConfig, act: Literal["remove", "mask"]) -> re.Pattern[str] | None:
    """What of a text the configuration removes the row for, or masks; None for nothing."""
    kinds = (private.secrets() if config.secrets == act else {}) | (
        private.PERSONAL if config.personal == act else {}
    )
    return private.compiled(kinds) if kinds else None


def chosen(holds: ArrayLike, condition: str) -> Curated:
    """The outcome of one condition of the user's own: rows in which it does not hold go as `not_selected`."""
    selected = np.asarray(holds, dtype=bool)
    reasons = ["" if keeps else "not_selected" for keeps in selected]
    return Curated(reasons, dict.fromkeys(np.flatnonzero(~selected).tolist(), f"not {condition}"))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def prompt_text(row: Row) -> str:
    """The contents of a row's messages, which may be JSON text."""
    messages = row.get("messages") or ()
    if isinstance(messages, str):
        messages = json.loads(messages)
    return "\n".join(str(m.get("content") or "") for m in messages)


def _text(row: Row, part: str) -> str:
    completion = str(row.get("completion") or "")
    if part == "completion":
        return completion
    return prompt_text(row) if part == "prompt" else f"{prompt_text(row)}\n{completion}"


def _judge(
    config: CurateConfig, limits: Limits, benchmarks: Benchmarks
) -> Callable[[Row], tuple[str, str] | None]:
    """What is wrong with one row by itself: the first reason and its sentence, or None."""
    repetition, answer = RepetitionCheck(), AnswerCheck(symbolic=False)
    hidden = private_pattern(config, "remove")

    def faults(row: Row) -> Iterator[tuple[str, str]]:
        text = str(row.get("completion") or "")
        length = len(words(text))
        if hidden is not None and (held := private.masked(row, hidden)[1]):
            secret = held.keys() - private.PERSONAL.keys()
            kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in held.items())
            yield "secret" if secret else "personal_data", f"holds {kinds}"
        if config.min_words is not None and length < config.min_words:
            yield "too_short", f"{length} words"
        if config.max_words is not None and length > config.max_words:
            yield "too_long", f"{length} words"
        if config.max_garbled is not None and (share := garbled(text)) > config.max_garbled:
            yield "garbled", f"{share:.0%} of its characters are no text"
        if config.repetition and (found := repetition.run(Case(text, "", row))).status is CheckStatus.FAIL:
            yield "repetition", found.message
        nll, rate = row.get("nll_demonstration"), row.get("pass_rate")
        if limits.max_nll is not None and nll is not None and nll > limits.max_nll:
            yield "high_nll", f"{nll:.3g} nats per token, more than {limits.max_nll:.3g}"
        if config.min_pass_rate is not None and rate is not None and rate < config.min_pass_rate:
            yield "too_hard", f"pass rate {rate:.3g}, less than {config.min_pass_rate:g}"
        if config.max_pass_rate is not None and rate is not None and rate > config.max_pass_rate:
            yield "too_easy", f"pass rate {rate:.3g}, more than {config.max_pass_rate:g}"
        if benchmarks and (shared := benchmarks.shared(prompt_text(row), text)):
            yield "contaminated", f"a benchmark holds: {shared}"
        if config.suspected_wrong:
            if false := false_equalities(text):
                yield "false_equality", f"{false[0].text} is false"
            if row.get("answer") is not None:
                judged = answer.run(Case(text, "", row))
                if judged.reason == "wrong_answer":
                    yield "wrong_answer", judged.message

    return lambda row: next(faults(row), None)


def garbled(text: str) -> float:
    """Share of characters that are no text: control, private, replacement."""
    return len(_NO_TEXT.findall(text)) / max(1, len(text))


class _Spread:
    """What needs all rows that are left: semantic duplicates and the budget."""

    def __init__(self, config: CurateConfig, embed: Embed | None) -> None:
        self.config = config
        self.semantic = config.semantic_duplicate if embed is not None else None
        self.embed: Embed = embed or hashed_words_ND
        self.needed = self.semantic is not None or config.budget is not None
        self.places: list[int] = []
        self.pass_rates: list[float] = []
        self.vectors: list[NDArray[np.float32]] = []

    def add(self, left: Sequence[tuple[int, Row]]) -> None:
        if not self.needed or not left:
            return
        self.places += [i for i, _ in left]
        self.pass_rates += [_number(row.get("pass_rate")) for _, row in left]
        texts = [_text(row, "both") for _, row in left]
        self.vectors.append(np.asarray(self.embed(texts), dtype=np.float32))

    def finish(self, outcome: Curated, ids: Sequence[str]) -> None:
        if not self.places:
            return
        left = np.array([not outcome.reasons[i] for i in self.places])
        vectors, places = np.concatenate(self.vectors)[left], np.array(self.places)[left]
        pass_rates = np.array(self.pass_rates)[left]
        if self.semantic is not None:
            for i, first in zip(places, semantic_duplicates(vectors, self.semantic), strict=True):
                if first is not None:
                    outcome.remove(int(i), "semantic_duplicate", f"of row {ids[places[first]]}")
        if self.config.budget is None:
            return
        stays = np.array([not outcome.reasons[i] for i in places])
        if stays.sum() <= self.config.budget:
            return
        uncertainty = uncertainty_N(pass_rates)[stays]
        chosen = set(select(uncertainty, vectors[stays], self.config.budget))
        for k, i in enumerate(places[stays]):
            if k not in chosen:
                outcome.remove(int(i), "over_budget", f"uncertainty {uncertainty[k]:.3g}")
