"""The models that a gate's checks ask, made from the names that the gate itself gives.

    checks:
      - {type: similarity, model: sentence-transformers/all-MiniLM-L6-v2, min_cosine: 0.7}
      - {type: entailment, model: path/to/nli-cross-encoder}
      - {type: statements, model: path/to/nli-cross-encoder}
      - {type: judge, model: path/to/model, min_yes: 0.9, max_no: 0.5}

So a gate file says everything, and its id covers the names. Each callable loads its model when it is first asked and
forgets it when it is pickled: a gate may be sent to another process, which loads its own. A text that is too long
for its model is not cut: the callable says None, and the check is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recast.curate.errors import MissingDependencyError, ModelError, UsageError
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.gate import Gate, GateConfig, load_gate
from recast.curate.parallel import default_workers
from recast.pipelines.config import Config
from recast.pipelines.options import GateOptions

if TYPE_CHECKING:
    from recast.agent.engines.factory import EngineConfig
    from recast.agent.engines.protocol import Engine

ASKED = {"similarity": "similarity", "entailment": "entails", "statements": "relations", "judge": "judge"}
"""Check to the name under which it asks."""
MIN_MASS = 1e-3
"""Smallest P(YES) + P(NO), ends of turn included, of a judge that has understood what it is asked."""
PAIRS_AT_ONCE = 32
REMEMBERED = 4096


def open_gate(
    preset_or_file: str | Path,
    *,
    engine: EngineConfig | None = None,
    unsafe_exec: bool = False,
    scored: bool = False,
) -> Gate:
    """The gate of that name with the models that its checks name. Nothing is loaded before a check asks.

    `engine` is what a judge runs on (None: transformers). `unsafe_exec`: run code without walls where this machine
    has none. `scored`: labels bring the scores that a check without a model would ask for. Raises UsageError for a
    check that names no model otherwise, and for two checks of a kind that name different ones.
    """
    config = load_gate(preset_or_file).config
    if unsafe_exec:
        config = _without_walls(config)
    return Gate(config, models_of(config, engine, scored=scored))


def asked_gate(asked: GateOptions, config: Config, *, scored: bool = False) -> tuple[Gate, int]:
    """The gate that a verb was asked for, its judge as configured, and the number of processes to run it in."""
    gate = open_gate(
        str(asked.gate), engine=config.section("judge"), unsafe_exec=asked.unsafe_exec, scored=scored
    )
    return gate, asked.workers or default_workers()


def models_of(
    config: GateConfig, engine: EngineConfig | None = None, *, scored: bool = False
) -> dict[str, Callable[..., Any]]:
    """A callable for every kind of model that the gate's checks ask."""
    names: dict[str, str] = {}
    for check in _checks(config):
        if check.name not in ASKED or (scored and not check.model):
            continue
        if not check.model:
            raise UsageError(
                f"the gate {config.name!r} has a check `{check.name}` that names no model. Add one to it, such as "
                f"`{{type: {check.name}, model: path/to/model}}`; its threshold belongs to that model."
            )
        if names.setdefault(check.name, check.model) != check.model:
            raise UsageError(
                f"the gate {config.name!r} asks two models about {check.name}: {names[check.name]} and {check.model}. "
                "One gate asks one; make two gates."
            )
    makers: dict[str, Callable[[str], Callable[..., Any]]] = {
        "similarity": Similarity,
        "entailment": Entailment,
        "statements": Relations,
        "judge": lambda name: Judge(name, engine),
    }
    return {ASKED[kind]: makers[kind](name) for kind, name in names.items()}


def _checks(config: GateConfig) -> Iterator[Any]:
    yield from config.checks
    for checks in config.tasks.values():
        yield from checks


def _without_walls(config: GateConfig) -> GateConfig:
    def opened(checks: Any) -> tuple[Any, ...]:
        return tuple(c.model_copy(update={"unsafe": True}) if isinstance(c, CodeCheck) else c for c in checks)

    tasks = {task: opened(checks) for task, checks in config.tasks.items()}
    return config.model_copy(update={"checks": opened(config.checks), "tasks": tasks})


@dataclass
class _Named:
    """A model known by its name, loaded when first needed, never pickled."""

    name: str

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    def loaded(self) -> Any:
        if "_model" not in vars(self):
            self._model = self.load()
        return self._model

    def load(self) -> Any:
        raise NotImplementedError


class Similarity(_Named):
    """Cosine of two texts' embeddings by a sentence-transformers model; None where one is too long for it."""

    def load(self) -> Callable[[str], np.ndarray | None]:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(
                f"the check `similarity` asks {self.name}, which needs sentence-transformers: pip install "
                "'recast-sft[embedded]', or take the check out of the gate."
            ) from error
        try:
            model = SentenceTransformer(self.name, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.name!r} is no sentence-transformers model: {error}") from error

        @lru_cache(maxsize=REMEMBERED)  # the demonstration of K candidates is embedded once
        def embed(text: str) -> np.ndarray | None:
            limit = model.max_seq_length
            if limit is not None and len(model.tokenizer(text)["input_ids"]) > limit:
                return None
            return model.encode([text], normalize_embeddings=True, show_progress_bar=False)[0]

        return embed

    def __call__(self, a: str, b: str) -> float | None:
        one, two = self.loaded()(a), self.loaded()(b)
        return None if one is None or two is None else float(one @ two)


class Entailment(_Named):
    """Probability that a hypothesis follows from a premise, by an NLI cross-encoder; None where they are too long."""

    def load(self) -> tuple[Any, Any, int]:
        tokenizer, model, (entailed,) = _classifier(self.name, "entailment")
        return tokenizer, model, entailed

    def __call__(self, premise: str, hypothesis: str) -> float | None:
        import torch

        tokenizer, model, entailed = self.loaded()
        pair = tokenizer(premise, hypothesis, return_tensors="pt")
        if pair["input_ids"].shape[1] > _longest(tokenizer, model):
            return None
        with torch.inference_mode():
            logits = model(**pair).logits[0].float()
        return float(logits.softmax(-1)[entailed])


class Relations(_Named):
    """Probabilities of entailment and contradiction of many pairs at once, None for one that is too long."""

    def load(self) -> tuple[Any, Any, int, int]:
        tokenizer, model, (entailed, contradicted) = _classifier(self.name, "entailment", "contradiction")
        return tokenizer, model, entailed, contradicted

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float] | None]:
        import torch

        tokenizer, model, entailed, contradicted = self.loaded()
        told = [tokenizer(premise, hypothesis) for premise, hypothesis in pairs]
        limit = _longest(tokenizer, model)
        short = [i for i, ids in enumerate(told) if len(ids["input_ids"]) <= limit]
        found: list[tuple[float, float] | None] = [None] * len(told)
        short.sort(key=lambda i: len(told[i]["input_ids"]))  # a batch is as long as its longest pair
        for start in range(0, len(short), PAIRS_AT_ONCE):
            batch = short[start : start + PAIRS_AT_ONCE]
            padded = tokenizer.pad([told[i] for i in batch], return_tensors="pt")
            with torch.inference_mode():
                shares = model(**padded).logits.float().softmax(-1)
            for i, share in zip(batch, shares, strict=True):
                found[i] = (float(share[entailed]), float(share[contradicted]))
        return found


def _classifier(name: str, *classes: str) -> tuple[Any, Any, list[int]]:
    """Tokenizer and model of an NLI cross-encoder, and the indices of its `classes`, by how their names begin."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSequenceClassification.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name!r} is no sequence classifier: {error}") from error
    labels = {str(label).lower(): int(i) for i, label in (model.config.id2label or {}).items()}
    found: list[int] = []
    for wanted in classes:
        index = next((i for label, i in labels.items() if label.startswith(wanted[:6])), None)
        if index is None:
            raise ModelError(
                f"{name!r} tells {', '.join(labels) or 'no classes'} apart; expected an NLI model with a "
                f"class `{wanted}`."
            )
        found.append(index)
    return tokenizer, model.eval(), found


def _longest(tokenizer: Any, model: Any) -> int:
    """How many tokens a pair may have."""
    limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None))
    return min(limit for limit in limits if limit)


@dataclass
class Judge(_Named):
    """P(YES) / (P(YES) + P(NO)) of whole replies to the judge prompt; None where the judge says neither."""

    engine: EngineConfig | None = None

    def load(self) -> Engine:
        from recast.agent.engines.factory import EngineConfig, open_engine
        from recast.pipelines.models.names import model_path

        return open_engine(self.engine or EngineConfig(), model_path(self.name))

    def __call__(self, row: Mapping[str, Any], completion: str) -> float | None:
        import json

        from recast.agent.prompts import templates

        messages = row["messages"]
        messages = json.loads(messages) if isinstance(messages, str) else messages
        prompt = templates.judge(messages, row.get("demonstration") or "", completion)
        scores = self.loaded().logprobs([prompt, prompt], ["YES", "NO"], adapter=False)
        yes, no = (math.exp(-s.nll * s.num_tokens) if math.isfinite(s.nll) else math.nan for s in scores)
        return None if math.isnan(yes + no) or yes + no < MIN_MASS else yes / (yes + no)
