"""What a rewriting job will cost, from a few of its rows rewritten for real.

`predict` draws rows by the hash of their ids, rewrites them as the job would, and scales up. Tokens, and with them
the engine's time, follow the length of a row, which is known for all of them: the ratio estimator (Cochran,
Sampling Techniques, 6.1-6.4), whose error is that of the residuals. Intervals are 95 % and cover the choice of
rows and, for time and disk, an allowance for what a few rows cannot show (`SPEED`, `PACKING`).
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.agent.batches.gating import Gate, asks_models
from recast.agent.batches.job import BESIDE_CANDIDATES
from recast.agent.batches.source import Source, lengths
from recast.agent.engines.protocol import Engine, Sampling
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.rewriting.attempts import Method
from recast.agent.rewriting.outcome import PART_SCHEMA
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.errors import DataError
from recast.curate.intervals import student_t, wilson
from recast.curate.schema import VERSION_SCHEMA

SAMPLED_ROWS = 32
SPEED, PACKING = 0.2, 0.15
"""Shares by which a machine's speed from minute to minute, and compression from batch to batch, may differ."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A prediction and its 95 % interval."""

    low: float
    value: float
    high: float

    def holds(self, actual: float) -> bool:
        return self.low <= actual <= self.high


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a job of `rows` rows will come to."""

    rows: int
    sampled: int
    seconds: Interval
    tokens: Interval  # sampled for candidates
    accepted_rows: Interval  # share that is rewritten or repaired
    bytes: Interval  # of the run folder's parts
    version_bytes: int  # that the store will hold besides

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


FIGURES = ("seconds", "tokens", "accepted_rows", "bytes")


def predict(
    rows: Any,
    engine: Engine,
    gate: Gate,
    config: RewriteConfig,
    run_dir: str | Path,
    *,
    limit: int | None = None,
    num_rows: int = SAMPLED_ROWS,
    method: Method | None = None,
    prompts: Prompts = DEFAULT,
    agent_id: str | None = None,
) -> Prediction:
    """Rewrite `num_rows` of `rows` into `run_dir` and predict the job over all of them (or `limit`)."""
    sample, sizes, total_chars, total = draw(Source.of(rows, limit), num_rows)
    _warm_up(engine)
    few = config.model_copy(update={"batch_rows": min(config.batch_rows, max(1, sample.num_rows))})
    result = rewrite(
        sample, engine, gate, few, run_dir, method=method, prompts=prompts, agent_id=agent_id, beside=False
    )
    candidates = result.candidates().read_all()
    spent = dict.fromkeys(zip(sample["row_id"].to_pylist(), sample["target"].to_pylist(), strict=True), 0)
    for candidate in candidates.select(["row_id", "target", "num_tokens"]).to_pylist():
        spent[candidate["row_id"], candidate["target"]] += candidate["num_tokens"]
    tokens = scaled(list(spent.values()), sizes, total_chars, total)
    engine_s = sum(result.seconds[stage] for stage in ("generate", "score", "choose"))
    gate_s, times = result.seconds["gate"], total / sample.num_rows
    grown = 1.0 if not tokens.value else tokens.value / max(1, result.num_tokens)
    beside = result.num_candidates * times >= BESIDE_CANDIDATES and not asks_models(gate)
    seconds = max(engine_s * grown, gate_s * times) if beside else engine_s * grown + gate_s * times
    spread = (tokens.high - tokens.value) / tokens.value if tokens.value else 0.0
    empty = _parquet_bytes(PART_SCHEMA.empty_table())  # of every part, whatever it holds
    num_parts = math.ceil(total / config.batch_rows)
    sampled_parts = math.ceil(sample.num_rows / few.batch_rows)
    size = num_parts * empty + max(0, result.part_bytes - sampled_parts * empty) * times
    return Prediction(
        rows=total,
        sampled=sample.num_rows,
        seconds=_around(seconds, spread + SPEED),
        tokens=tokens,
        accepted_rows=share(sample.num_rows - result.counts["fallback"], sample.num_rows),
        bytes=_around(size, spread + PACKING),
        version_bytes=round((_parquet_bytes(result.rows().read_all()) + _parquet_bytes(candidates)) * times),
    )


def draw(source: Source, num_rows: int) -> tuple[pa.Table, np.ndarray, int, int]:
    """The `num_rows` rows of lowest id hash, their lengths, the length of all, and how many those are."""
    lowest: list[tuple[int, int, int, pa.Table]] = []  # (-hash, place, characters, row), a heap
    total = total_chars = 0
    for window in source.windows(4096):
        sizes = lengths(window)
        total_chars += int(sizes.sum())
        for i, row_id in enumerate(window["row_id"].to_pylist()):
            place = int.from_bytes(
                hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()[:8], "big"
            )
            entry = (-place, -(total + i), int(sizes[i]))
            if len(lowest) < num_rows:
                heapq.heappush(lowest, (*entry, window.slice(i, 1)))
            elif entry > lowest[0][:3]:
                heapq.heapreplace(lowest, (*entry, window.slice(i, 1)))
        total += window.num_rows
    if not total:
        raise DataError("there are no rows to plan for: the version is empty.")
    lowest.sort(key=lambda entry: -entry[1])
    table = pa.concat_tables([row for *_, row in lowest]).cast(VERSION_SCHEMA)
    return table, np.array([chars for _, _, chars, _ in lowest]), total_chars, total


def scaled(
    values: Sequence[float], sizes: Sequence[float] | np.ndarray, total_size: float, total: int
) -> Interval:
    """The total of a quantity over `total` rows of `total_size`, from its values in a sample of known sizes.

    Ratio estimator: R = sum(y) / sum(x), total = R X, standard error N sqrt(1 - n/N) s_e / sqrt(n) with the
    residuals e = y - R x (Cochran 1977, 6.4).
    """
    y, x, n = np.asarray(values, float), np.asarray(sizes, float), len(values)
    ratio = y.sum() / x.sum() if x.sum() else 0.0
    residuals = y - ratio * x
    deviation = math.sqrt(float((residuals**2).sum()) / (n - 1)) if n > 1 else float(y.sum())
    error = total * math.sqrt(max(0.0, 1 - n / total)) * deviation / math.sqrt(n)
    half = float(student_t(max(1, n - 1)) * error)
    value = float(ratio * total_size)
    return Interval(max(0.0, value - half), value, value + half)


def share(count: int, num: int) -> Interval:
    """A share and its interval (Wilson)."""
    low, high = wilson(count, num)
    return Interval(low, count / num, high)


def compare(prediction: Mapping[str, Any], actual: Mapping[str, float]) -> list[dict[str, Any]]:
    """Predicted against actual, figure by figure, for those that `actual` has."""
    lines = []
    for name in FIGURES:
        if name in actual:
            interval = Interval(**prediction[name])
            lines.append(
                {
                    "figure": name,
                    **asdict(interval),
                    "actual": actual[name],
                    "inside": interval.holds(actual[name]),
                }
            )
    return lines


def _around(value: float, share: float) -> Interval:
    return Interval(value * max(0.0, 1 - share), value, value * (1 + share))


def _warm_up(engine: Engine) -> None:
    """The first call of an engine costs more than the others."""
    engine.sample(
        [[{"role": "user", "content": "Hello"}]],
        1,
        Sampling(1.0, 1.0, 2),
        seeds=[[0]],
        adapter=engine.has_adapter,
    )


def _parquet_bytes(table: pa.Table) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().size
