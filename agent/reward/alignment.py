"""Alignment under the QA prompt: where a text lies between the backbone's own samples and the demonstration.

Scoring never sees the rewriting prompt (arXiv 2602.11220): the question alone, the real chat template, the
completion's tokens and its end of turn, the adapter off. This module measures and remembers the two anchors
of a prompt, its demonstration and the backbone's own samples; `agent.reward.formula` turns them into a term.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recast.agent.engines.protocol import Engine, Inspectable, Sampling, Score
from recast.curate.chat import template_id
from recast.curate.fingerprint import fingerprint, prompt_hash, seed_of
from recast.curate.records import Messages


@dataclass(frozen=True, slots=True)
class Anchors:
    """Levels of one row in nats: per token for the NLLs, summed for the excess. NaN: too long to score."""

    nll_demonstration: float
    excess_demonstration: float
    nll_self: float

    def suffice(self, mode: str) -> bool:
        """Whether they hold what a reward mode needs."""
        needed = {"paper": (), "typical": (self.excess_demonstration,)}
        return all(map(math.isfinite, needed.get(mode, (self.nll_demonstration, self.nll_self))))


class AnchorCache:
    """Anchors of rows. The level of own samples is measured once a prompt, that of a demonstration once a row.

    Keys hold the prompt, the backbone and its template, for own samples how they are drawn, for a demonstration
    its text. `own_samples` completions of the plain question are drawn at temperature 1, and their mean NLL is
    that of the tokens drawn: no second pass. With 0 of them `nll_self` stays NaN. The excess of a demonstration is
    that of the distribution at `temperature`, which whoever compares a candidate with it has to score at, too.

    With a `path` what is measured is kept there, a line an entry, for a resumed run; several processes may append
    to it at once. Own samples are drawn from `seed`, so a run of another seed on the same file measures its own.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Any,
        *,
        own_samples: int = 2,
        max_tokens: int = 512,
        seed: int = 0,
        temperature: float = 1.0,
        path: Path | None = None,
    ) -> None:
        self.engine, self.own_samples, self.seed, self.path = engine, own_samples, seed, path
        self.temperature = temperature
        self.sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=max_tokens)
        self._context = [engine.fingerprint, template_id(tokenizer)]
        self._known = _read(path) if path is not None and path.exists() else {}

    def of(self, rows: Sequence[Mapping[str, Any]]) -> list[Anchors]:
        """Anchors of `rows` (keys messages, demonstration), measuring those not yet known in one batch."""
        of_row = [self._demonstration_key(row) for row in rows]
        of_prompt = [self._own_key(row) for row in rows]
        fresh: dict[str, list[float]] = {}
        new = {key: row for key, row in zip(of_row, rows, strict=True) if key not in self._known}
        if new:
            scores = scored_at(
                self.engine,
                [row["messages"] for row in new.values()],
                [row["demonstration"] for row in new.values()],
                self.temperature,
            )
            fresh |= {key: [s.nll, s.excess] for key, s in zip(new, scores, strict=True)}
        asked = {
            key: row["messages"] for key, row in zip(of_prompt, rows, strict=True) if key not in self._known
        }
        if asked and self.own_samples:
            levels = self._own(list(asked.values()))
            fresh |= {key: [level] for key, level in zip(asked, levels, strict=True)}
        self._keep(fresh)
        return [
            Anchors(*self._known[row], *(self._known[prompt] if self.own_samples else [math.nan]))
            for row, prompt in zip(of_row, of_prompt, strict=True)
        ]

    def knows(self, row: Mapping[str, Any]) -> bool:
        """Whether the anchors of `row` have been measured."""
        own = not self.own_samples or self._own_key(row) in self._known
        return own and self._demonstration_key(row) in self._known

    def _keep(self, fresh: Mapping[str, list[float]]) -> None:
        self._known |= fresh
        if self.path is None or not fresh:
            return
        lines = [json.dumps([key, [v if math.isfinite(v) else None for v in fresh[key]]]) for key in fresh]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            # begins a line of its own: the last one may have been cut by a kill
            file.write("\n" + "\n".join(lines) + "\n")

    def _own(self, prompts: Sequence[Messages]) -> list[float]:
        draws = range(self.own_samples)
        seeds = [[seed_of(self.seed, "own", prompt_hash(p), k) for k in draws] for p in prompts]
        groups = self.engine.sample(prompts, self.own_samples, self.sampling, seeds=seeds, adapter=False)
        return [
            -float(np.mean([np.mean(s.logprobs) for s in group if s.logprobs]))
            if any(s.logprobs for s in group)
            else math.nan
            for group in groups
        ]

    def _own_key(self, row: Mapping[str, Any]) -> str:
        drawn = [self.own_samples, self.seed, asdict(self.sampling)]
        return fingerprint(["own", *self._context, prompt_hash(row["messages"]), *drawn])[:32]

    def _demonstration_key(self, row: Mapping[str, Any]) -> str:
        at = [] if self.temperature == 1 else [self.temperature]  # files of before know no other
        return fingerprint([*self._context, prompt_hash(row["messages"]), row["demonstration"], *at])[:32]


def scored_at(
    engine: Engine, prompts: Sequence[Messages], completions: Sequence[str], temperature: float
) -> list[Score]:
    """Scores under the frozen backbone, their excess at `temperature`.

    Raises ValueError where that is not 1 and the engine shows no whole distributions.
    """
    if temperature == 1:
        return engine.logprobs(prompts, completions, adapter=False)
    if not isinstance(engine, Inspectable):
        raise ValueError(f"the engine {engine.name!r} tells no excess at temperature {temperature:g}; use 1")
    return engine.score(prompts, completions, adapter=False, temperature=temperature)[0]


def _read(path: Path) -> dict[str, list[float]]:
    """Entries of a file of anchors; lines that a kill cut are passed over and measured again."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            key, values = json.loads(line)
        except ValueError:
            continue
        found[key] = [math.nan if v is None else float(v) for v in values]
    return found
