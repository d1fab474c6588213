"""What to set for learning on some rows: a few of them are rewritten at several temperatures under learning's own gate.

    trials = [tried(rows, engine, gate, prompts, t, config) for t in TEMPERATURES]
    found = suggested(trials, rows_to_learn_from, parameters, config)

A temperature is judged by how many rows have candidates of both fates, since these alone teach at first, then by how
many candidates pass. Rewrites are as long as the longest that were accepted, with room. The learning rate is read off
what three sizes of model were learnt at; it is where to begin, not what was found here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recast.agent.engines.protocol import LENGTH, Engine, Sampling
from recast.agent.learning.config import LearnConfig
from recast.agent.prompts.prompts import Prompts
from recast.curate.fingerprint import seed_of
from recast.curate.intervals import share_over_rows

TEMPERATURES = (0.3, 0.6, 1.0)
CANDIDATES = 8
RATES = ((2e6, 3e-4), (1.35e8, 2e-4), (7e9, 3e-6))
"""Parameters of a model, and a peak learning rate that its LoRA learnt at: pocket, SmolLM2 (agent/README.md), and the
published 7B models (arXiv 2602.11220)."""
TAUGHT = 4
"""Prompts of a step that should teach something: fewer make steps of chance."""
MOST_PROMPTS = 64
WEAK = 0.25
"""Share of rows that teach below which a warm start comes first."""
WARM_TEXTS = 48
MOST_WARM_ROWS = 256
SHOWN_REASONS = 4
ROOM = 32
"""Tokens that a rewrite may have beyond twice its demonstration's."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one temperature brought."""

    temperature: float
    rows: int
    candidates: int
    accepted: dict[str, float]  # share of the candidates with its 95 % interval over rows: value, low, high
    teaching: int  # rows with candidates of both fates
    passing: int  # rows with at least one accepted candidate
    truncated: float  # share of the candidates
    tokens: tuple[int, ...]  # lengths of the accepted ones
    reasons: dict[str, int]  # why candidates were refused, commonest first


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Settings as `--set` takes them, each with its reason."""

    settings: dict[str, Any]
    because: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def bounded(config: LearnConfig, rows: Sequence[Mapping[str, Any]], tokenizer: Any) -> LearnConfig:
    """`config` with candidates no longer than twice the longest demonstration of `rows`, and some words: what a model
    that finds no end says beyond that costs time and passes no gate."""
    lengths = tokenizer([row["demonstration"] for row in rows], add_special_tokens=False)["input_ids"]
    return config.model_copy(update={"max_tokens": min(config.max_tokens, 2 * max(map(len, lengths)) + ROOM)})


def tried(
    rows: Sequence[Mapping[str, Any]],
    engine: Engine,
    gate: Any,
    prompts: Prompts,
    temperature: float,
    config: LearnConfig,
) -> Tried:
    """Sample and judge `CANDIDATES` rewrites of each of `rows` (keys of a version), as learning would."""
    k = CANDIDATES
    seeds = [[seed_of(config.seed, "suggestion", str(row["row_id"]), j) for j in range(k)] for row in rows]
    sampling = Sampling(temperature=temperature, max_tokens=config.max_tokens)
    groups = engine.sample([prompts.rewrite(row) for row in rows], k, sampling, seeds=seeds, adapter=False)
    drawn = [(row, sample) for row, group in zip(rows, groups, strict=True) for sample in group]
    verdicts = gate.verify_many(
        [row for row, _ in drawn], [s.text for _, s in drawn], [s.finish_reason for _, s in drawn]
    )
    passed = np.array([v.accepted for v in verdicts]).reshape(len(rows), k)
    shares = passed.mean(axis=1).tolist()
    refused = Counter(v.reason for v in verdicts if not v.accepted and v.reason)
    return Tried(
        temperature=temperature,
        rows=len(rows),
        candidates=len(drawn),
        accepted=share_over_rows(shares),
        teaching=int((passed.any(axis=1) & ~passed.all(axis=1)).sum()),
        passing=int(passed.any(axis=1).sum()),
        truncated=sum(s.finish_reason == LENGTH for _, s in drawn) / len(drawn),
        tokens=tuple(
            len(s.token_ids) for (_, s), verdict in zip(drawn, verdicts, strict=True) if verdict.accepted
        ),
        reasons=dict(refused.most_common(SHOWN_REASONS)),
    )


def suggested(trials: Sequence[Tried], num_rows: int, parameters: int, config: LearnConfig) -> Suggestion:
    """What to set for `num_rows` rows and a model of so many `parameters`. `config`: what was tried with."""
    best = max(trials, key=lambda t: (t.teaching, t.accepted["value"], -t.temperature))
    share = best.teaching / best.rows
    settings: dict[str, Any] = {"learn.temperature": best.temperature}
    because = {
        "learn.temperature": f"{best.teaching} of {best.rows} rows have candidates that pass and such that do not"
    }
    lr = learning_rate(parameters)
    settings["learn.lr"] = lr
    because["learn.lr"] = (
        f"of a model of {parameters / 1e6:.3g} M parameters, read off others' (agent/README.md)"
    )
    prompts = min(MOST_PROMPTS, num_rows, math.ceil(TAUGHT / max(share, TAUGHT / MOST_PROMPTS)))
    settings["learn.prompts_per_step"] = prompts
    because["learn.prompts_per_step"] = f"so that {min(TAUGHT, prompts * share):.1f} of them teach at first"
    if best.tokens:
        longest = int(np.quantile(best.tokens, 0.99))
        settings["learn.max_tokens"] = 16 * math.ceil(1.25 * longest / 16)
        because["learn.max_tokens"] = f"accepted rewrites have up to {longest} tokens"
    elif best.truncated > WEAK:
        settings["learn.max_tokens"] = 2 * config.max_tokens
        because["learn.max_tokens"] = f"{best.truncated:.0%} were cut at {config.max_tokens} tokens"
    if share < WEAK:
        rate = max(best.passing / best.rows, WARM_TEXTS / MOST_WARM_ROWS / 2)
        settings["warm_start.rows"] = min(num_rows, MOST_WARM_ROWS, math.ceil(WARM_TEXTS / rate / 2))
        because["warm_start.rows"] = f"{best.passing} of {best.rows} rows have a rewrite that passes"
    return Suggestion(settings, because)


def learning_rate(parameters: int) -> float:
    """Read off `RATES`, straight between two of them on logarithmic scales, to one digit.

    >>> learning_rate(1_000_000), learning_rate(1_000_000_000)
    (0.0003, 2e-05)
    """
    sizes, rates = zip(*RATES, strict=True)
    found = math.exp(np.interp(math.log(parameters), np.log(sizes), np.log(rates)))
    return float(f"{found:.0e}")
