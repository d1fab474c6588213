"""The models that a gate's checks ask, made from the names that the gate itself gives.

    checks:
      - {type: similarity, model: sentence-transformers/all-MiniLM-L6-v2, min_cosine: 0.7}
      - {type: entailment, model: path/to/nli-cross-encoder}
      - {type: judge, model: path/to/model, min_yes: 0.9, max_no: 0.5}

So a gate file says everything, and its id covers the names. Each callable loads its model when it is first asked and
forgets it when it is pickled: a gate may be sent to another process, which loads its own. A text that is too long
for its model is not cut: the callable says None, and the check is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

ASKED = {"similarity": "similarity", "topic": "sentences", "entailment": "entails", "judge": "judge"}
"""Check to the name under which it asks."""
ALONE = ("topic",)
"""Checks that decide without a model where they name none."""
MIN_MASS = 1e-3
"""Smallest P(YES) + P(NO), ends of turn included, of a judge that has understood what it is asked."""
REMEMBERED = 65_536
"""Texts whose embeddings are kept: a chunk of rows has some ten thousand sentences."""
BATCH = 64
"""Texts or pairs that a model sees at once."""


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
        if check.name not in ASKED or (not check.model and (scored or check.name in ALONE)):
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
        "topic": Sentences,
        "entailment": Entailment,
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


class _Embedder(_Named):
    """Unit vectors of texts by a sentence-transformers model, many at once; what was embedded is remembered."""

    def load(self) -> Callable[[Iterable[str]], dict[str, np.ndarray | None]]:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(
                f"a check asks {self.name}, which needs sentence-transformers: pip install 'recast-sft[embedded]', "
                "or take the check, or the model that it names, out of the gate."
            ) from error
        try:
            model = SentenceTransformer(self.name, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.name!r} is no sentence-transformers model: {error}") from error
        vectors: dict[str, np.ndarray | None] = {}

        def embed(texts: Iterable[str]) -> dict[str, np.ndarray | None]:
            new = [text for text in dict.fromkeys(texts) if text not in vectors]
            if new:
                if len(vectors) + len(new) > REMEMBERED:
                    vectors.clear()
                    new = list(dict.fromkeys(texts))
                limit = model.max_seq_length
                lengths = [len(ids) for ids in model.tokenizer(new)["input_ids"]] if limit else [0] * len(new)
                fitting = [text for text, n in zip(new, lengths, strict=True) if not limit or n <= limit]
                vectors.update(dict.fromkeys(new))
                made = model.encode(fitting, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
                vectors.update(zip(fitting, made, strict=True))
            return vectors

        return embed


class Similarity(_Embedder):
    """Cosine of two texts' embeddings; None where one is too long for the model."""

    def prepare(self, asked: Sequence[tuple[str, str]]) -> None:
        self.loaded()([text for pair in asked for text in pair])

    def __call__(self, a: str, b: str) -> float | None:
        vectors = self.loaded()((a, b))
        one, two = vectors[a], vectors[b]
        return None if one is None or two is None else float(one @ two)


class Sentences(_Embedder):
    """For each text its cosine to the nearest of the sources; None where one of the texts is too long for the model.

    A source that is too long is near to nothing.
    """

    def prepare(self, asked: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
        self.loaded()([text for texts, sources in asked for text in (*texts, *sources)])

    def __call__(self, texts: Sequence[str], sources: Sequence[str]) -> list[float] | None:
        vectors = self.loaded()([*texts, *sources])
        ours = [vectors[text] for text in texts]
        theirs = [vector for source in sources if (vector := vectors[source]) is not None]
        if not theirs or any(vector is None for vector in ours):
            return None
        return np.max(np.stack(ours) @ np.stack(theirs).T, axis=1).tolist()


class Entailment(_Named):
    """Probability that a hypothesis follows from a premise, by an NLI cross-encoder; None where they are too long."""

    def load(self) -> tuple[Any, Any, int]:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.name)
            model = AutoModelForSequenceClassification.from_pretrained(self.name, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.name!r} is no sequence classifier: {error}") from error
        labels = {str(label).lower(): i for i, label in (model.config.id2label or {}).items()}
        entailed = next((i for label, i in labels.items() if label.startswith("entail")), None)
        if entailed is None:
            raise ModelError(
                f"{self.name!r} tells {', '.join(labels) or 'no classes'} apart; expected an NLI model with a "
                "class `entailment`."
            )
        return tokenizer, model.eval(), int(entailed)

    def __call__(self, premise: str, hypothesis: str) -> float | None:
        import torch

        tokenizer, model, entailed = self.loaded()
        pair = tokenizer(premise, hypothesis, return_tensors="pt")
        limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None))
        if pair["input_ids"].shape[1] > min(limit for limit in limits if limit):
            return None
        with torch.inference_mode():
            logits = model(**pair).logits[0].float()
        return float(logits.softmax(-1)[entailed])


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
