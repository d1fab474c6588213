"""Which prompt to take: several of them on the same rows, with the same seeds, and a paired test.

    trials = try_prompts(rows, engine, gate, config, "runs/6", {"default": DEFAULT, "math": Prompts(...)})
    take = choice(trials)       # of the most accepted candidates, or None: these rows cannot tell

Rows are those that `agent.rewriting.forecast` would draw. A prompt is taken where its candidates are accepted more
often than those of every other one, by an exact test of the differences row by row: rows are hard or easy for all
prompts alike, so that the difference shows long before the intervals of two shares come apart.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from recast.agent.batches.gating import Gate
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import Engine
from recast.agent.prompts.prompts import Prompts
from recast.agent.rewriting.forecast import SAMPLED_ROWS, Interval, draw, share
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate import chat
from recast.curate.errors import UsageError
from recast.curate.intervals import share_over_rows

LEVEL = 0.05
"""Chance to take a prompt although all are equally good."""
SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """What one prompt brought on the rows."""

    name: str
    prompt_id: str
    rows: int
    accepted_rows: Interval  # share that is rewritten or repaired
    accepted_candidates: Interval  # share of the first attempt's, with the spread over rows
    tokens: int  # sampled for candidates
    tokens_per_accepted_row: float | None
    prompt_tokens: float  # mean length of the prompt
    reasons: dict[str, int]  # why candidates failed, commonest first
    accepted_by_row: tuple[int, ...]  # the first attempt's candidates

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "accepted_by_row"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which prompt to take. `p_values`: of the leading one against each of the others."""

    take: str | None
    leading: str
    p_values: dict[str, float]
    level: float


def try_prompts(
    rows: Any,
    engine: Engine,
    gate: Gate,
    config: RewriteConfig,
    run_dir: str | Path,
    prompts: Mapping[str, Prompts],
    *,
    limit: int | None = None,
    num_rows: int = SAMPLED_ROWS,
    agent_id: str | None = None,
) -> list[Trial]:
    """Rewrite the same `num_rows` of `rows` (of the first `limit`) under every one of `prompts`, each in a folder of
    its own. Resumes like `agent.rewriting.rewrite.rewrite`.

    Raises UsageError for two prompts that ask alike.
    """
    by_id: dict[tuple[str, str], str] = {}
    for name, asked in prompts.items():
        other = by_id.setdefault((asked.rewrite_id, asked.repair_id), name)
        if other != name:
            raise UsageError(f"the prompts {other} and {name} ask alike ({asked.rewrite_id}); name others.")
    sample, *_ = draw(Source.of(rows, limit), num_rows)
    few = config.model_copy(update={"batch_rows": min(config.batch_rows, max(1, sample.num_rows))})
    return [
        _trial(name, asked, sample, engine, gate, few, Path(run_dir) / asked.rewrite_id, agent_id)
        for name, asked in prompts.items()
    ]


def _trial(
    name: str,
    prompts: Prompts,
    sample: pa.Table,
    engine: Engine,
    gate: Gate,
    config: RewriteConfig,
    run_dir: Path,
    agent_id: str | None,
) -> Trial:
    result = rewrite(sample, engine, gate, config, run_dir, prompts=prompts, agent_id=agent_id, beside=False)
    accepted = dict.fromkeys(zip(sample["row_id"].to_pylist(), sample["target"].to_pylist(), strict=True), 0)
    drawn, reasons = Counter[tuple[str, int]](), Counter[str]()
    for candidate in result.candidates().read_all().to_pylist():
        if candidate["reason"]:
            reasons[candidate["reason"]] += 1
        if candidate["attempt"] == 0:
            row = candidate["row_id"], candidate["target"]
            drawn[row] += 1
            accepted[row] += candidate["status"] == "accepted"
    rewritten = sample.num_rows - result.counts["fallback"]
    return Trial(
        name=name,
        prompt_id=prompts.rewrite_id,
        rows=sample.num_rows,
        accepted_rows=share(rewritten, sample.num_rows),
        accepted_candidates=Interval(
            **share_over_rows([accepted[row] / max(1, drawn[row]) for row in accepted])
        ),
        tokens=result.num_tokens,
        tokens_per_accepted_row=result.num_tokens / rewritten if rewritten else None,
        prompt_tokens=_prompt_tokens(engine, prompts, sample),
        reasons=dict(reasons.most_common(SHOWN_REASONS)),
        accepted_by_row=tuple(accepted.values()),
    )


def choice(trials: Sequence[Trial]) -> Choice:
    """The prompt of the most accepted candidates, if it beats every other one.

    Of `m` prompts each may come out ahead by luck, in one direction of a test that has two, so that a p-value must lie
    at or below 2 / m of LEVEL. Among equals the one of fewer tokens leads.
    """
    if len(trials) < 2:
        raise UsageError("one prompt cannot be compared; name two or more.")
    lead = max(trials, key=lambda trial: (sum(trial.accepted_by_row), -trial.tokens))
    level = LEVEL * 2 / len(trials)
    p_values = {
        trial.name: sign_flip(
            [a - b for a, b in zip(lead.accepted_by_row, trial.accepted_by_row, strict=True)]
        )
        for trial in trials
        if trial is not lead
    }
    return Choice(
        lead.name if all(p <= level for p in p_values.values()) else None, lead.name, p_values, level
    )


def sign_flip(differences: Sequence[int]) -> float:
    """Two-sided p-value of paired whole-number differences: how often their sum is as far from 0 with random signs.

    Exact, by adding up the distribution of the sum (Fisher's randomisation test, The Design of Experiments, 21).

    >>> sign_flip([1, 1, 1, 1, 1, 1, 0])
    0.03125
    """
    sizes = [abs(d) for d in differences if d]
    reach = sum(sizes)
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0  # of the sum 0
    for size in sizes:
        # the sum lies within what was added so far, so that nothing wraps around
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    far = abs(sum(differences))
    return float(min(1.0, chances[: reach - far + 1].sum() + chances[reach + far :].sum())) if far else 1.0


def _prompt_tokens(engine: Engine, prompts: Prompts, sample: pa.Table) -> float:
    asked = sample.select(["row_id", "messages", "demonstration", "answer", "task"]).to_pylist()
    lengths = [
        len(
            chat.prompt_ids(
                engine.tokenizer, prompts.rewrite({**row, "messages": json.loads(row["messages"])})
            )
        )
        for row in asked
    ]
    return statistics.fmean(lengths)
