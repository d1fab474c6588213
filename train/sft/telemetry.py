"""What the trust gate did: means over steps, where its mass lay, which tokens were learned and forgotten.

Three things, each kept as data beside the model and drawn by `recast report`:

    loss.jsonl        of every logged step, means over its trained tokens: nll, p, gate, and where there are
                      any the exponent (alpha of p^alpha) and the concentration C
    tokens.parquet    a row a trained token of a sample of the rows: p, Rényi-2 entropy, exponent and gate
                      under the untouched and under the tuned model
    telemetry.json    what the figures show of these: gate mass over (p, entropy), change of p and of the
                      loss by the untouched model's p

The sample is drawn by the run's seed. Cayley's exponent is taken with the mean p of the whole sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recast.curate.files import whole
from recast.train.sft.examples import Example
from recast.train.sft.objective_names import CONCENTRATION, Objective
from recast.train.sft.objectives import TokenStatistics, apply, exponent
from recast.train.sft.scoring import scored

MEANS = ("nll", "p", "gate", "exponent", CONCENTRATION)
MEASURED = ("nll", "entropy", "exponent", "gate")  # of a token under one model
P_EDGES = tuple(round(0.1 * i, 1) for i in range(11))
ENTROPY_EDGES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, np.inf)  # nats
EVEN = 0.5  # a token is known from here on: no other can be likelier


class GateMeans:
    """Means over the trained tokens since the last `flush`; sums stay on the device until then."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, of: TokenStatistics, gate: Tensor) -> None:
        """Count the tokens of one forward pass."""
        logp = of.logp.detach()
        found: dict[str, Tensor | float] = {"nll": -logp, "p": logp.exp(), "gate": gate}
        power = exponent(self.objective, of)
        if power is not None:
            found["exponent"] = power
        if of.log_concentration is not None:
            found[CONCENTRATION] = of.log_concentration.exp()
        for name, values in found.items():
            total = values.sum() if isinstance(values, Tensor) else gate.new_tensor(values * len(gate))
            before, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (before + total, count + len(gate))

    def flush(self) -> dict[str, float]:
        """The means, and begin anew."""
        means = {name: total.item() / max(1, count) for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means


def sample(examples: Sequence[Example], num_tokens: int, seed: int) -> list[int]:
    """Indices of examples, drawn until they hold `num_tokens` trained tokens; sorted."""
    chosen, tokens = [], 0
    for i in np.random.default_rng(seed).permutation(len(examples)).tolist():
        if tokens >= num_tokens:
            break
        chosen.append(i)
        tokens += examples[i].num_trained
    return sorted(chosen)


def measure(
    model: Any, examples: Sequence[Example], objective: Objective, *, pad_id: int, batch_size: int, bf16: bool
) -> dict[str, np.ndarray]:
    """`MEASURED` of every trained token of `examples`, one example after the other; float32, nats."""
    needs = objective.needs | {CONCENTRATION}
    firsts = np.cumsum([0, *(e.num_trained for e in examples)])
    parts: list[tuple[np.ndarray, TokenStatistics]] = []
    for chosen, of in scored(model, examples, needs, pad_id=pad_id, batch_size=batch_size, bf16=bf16):
        places = np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in chosen])
        parts.append((places, TokenStatistics(*(None if x is None else x.float().cpu() for x in of))))  # pyright: ignore[reportArgumentType]
    restored = torch.from_numpy(np.argsort(np.concatenate([places for places, _ in parts])))

    def joined(name: str) -> Tensor | None:
        pieces = [getattr(of, name) for _, of in parts]
        return None if pieces[0] is None else torch.cat(pieces)[restored]

    found = TokenStatistics(*(joined(name) for name in TokenStatistics._fields))  # pyright: ignore[reportArgumentType]
    power = exponent(objective, found)
    assert found.log_concentration is not None
    nan = torch.full_like(found.logp, torch.nan)
    columns = {
        "nll": -found.logp,
        "entropy": (-found.log_concentration).clamp(min=0),
        "exponent": nan if power is None else nan.fill_(power) if isinstance(power, float) else power,
        "gate": apply(objective, found).gate,
    }
    return {name: values.numpy().astype(np.float32) for name, values in columns.items()}


def write_tokens(
    path: Path, examples: Sequence[Example], indices: Sequence[int], **measured: Mapping[str, np.ndarray]
) -> None:
    """Write a table of the tokens: `example`, `position` in the completion, `token`, and MODEL_MEASURE columns."""
    chosen = [examples[i] for i in indices]
    columns: dict[str, Any] = {
        "example": np.repeat(np.asarray(indices, dtype=np.int64), [e.num_trained for e in chosen]),
        "position": np.concatenate([np.arange(e.num_trained) for e in chosen]),
        "token": np.concatenate([e.ids[e.num_prompt :] for e in chosen]),
    }
    for model, values in measured.items():
        columns |= {f"{model}_{name}": values[name] for name in MEASURED}
    with whole(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_measured(path: Path, model: str) -> tuple[list[int], dict[str, np.ndarray]]:
    """The indices of the examples that `write_tokens` wrote, and what it wrote of one model."""
    table = pq.read_table(path)
    indices = np.unique(table.column("example").to_numpy()).tolist()
    return indices, {name: table.column(f"{model}_{name}").to_numpy() for name in MEASURED}


def summary(
    objective: Objective, base: Mapping[str, np.ndarray], tuned: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The contents of telemetry.json."""
    return {
        "objective": str(objective),
        "tokens": len(base["nll"]),
        "base": _gate_mass(base),
        "tuned": _gate_mass(tuned),
        "by_confidence": _changes(base, tuned),
    }


def _gate_mass(of: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Tokens and gate summed over cells of p (rows) and Rényi-2 entropy (columns), and plain means."""
    p = np.exp(-of["nll"].astype(float))
    edges = [np.asarray(P_EDGES), np.asarray(ENTROPY_EDGES)]
    row = np.clip(np.digitize(p, edges[0]) - 1, 0, len(P_EDGES) - 2)
    column = np.clip(np.digitize(of["entropy"], edges[1]) - 1, 0, len(ENTROPY_EDGES) - 2)
    tokens, mass = (np.zeros((len(P_EDGES) - 1, len(ENTROPY_EDGES) - 1)) for _ in range(2))
    np.add.at(tokens, (row, column), 1)
    np.add.at(mass, (row, column), of["gate"])
    named = {"p": p, "concentration": np.exp(-of["entropy"]), **{n: of[n] for n in MEASURED}}
    means = {name: float(v.mean()) for name, v in named.items() if np.isfinite(v).all()}
    return {
        "p_edges": list(P_EDGES),
        "entropy_edges": [None if np.isinf(e) else e for e in ENTROPY_EDGES],
        "tokens": tokens.astype(int).tolist(),
        "gate": np.round(mass, 4).tolist(),
        "means": means,
    }


def _changes(base: Mapping[str, np.ndarray], tuned: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What became of the tokens of each range of the untouched model's p.

    A token counts as learned where p passes one half upwards, as forgotten where it passes downwards.
    """
    before, after = (np.exp(-of["nll"].astype(float)) for of in (base, tuned))
    cell = np.clip(np.digitize(before, P_EDGES) - 1, 0, len(P_EDGES) - 2)
    rows = []
    for i, (low, high) in enumerate(pairwise(P_EDGES)):
        here = cell == i
        if not here.any():
            continue
        b, a = before[here], after[here]
        rows.append(
            {
                "low": low,
                "high": high,
                "tokens": int(here.sum()),
                "learned": int(((b < EVEN) & (a >= EVEN)).sum()),
                "forgotten": int(((b >= EVEN) & (a < EVEN)).sum()),
                "fell": int((a < b).sum()),
                "p_change": float((a - b).mean()),
                "loss_change": float((tuned["nll"][here].astype(float) - base["nll"][here]).mean()),
            }
        )
    return rows
