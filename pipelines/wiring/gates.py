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

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recast.curate.errors import MissingDependencyError, ModelError, UsageError
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.checks.models.judge import JudgeCheck
from recast.curate.gate.gate import Gate, GateConfig, load_gate
from recast.curate.parallel import default_workers
from recast.pipelines.config import Config
from recast.pipelines.options import GateOptions

if TYPE_CHECKING:
    from recast.agent.engines.factory import EngineConfig
    from recast.agent.engines.protocol import Engine

ASKED = {
    "similarity": "similarity",
    "topic": "sentences",
    "entailment": "entails",
    "statements": "relations",
    "judge": "judge",
}
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
    preset_or_file: str | Path | GateConfig,
    *,
    engine: EngineConfig | None = None,
    judge_prompt: str | None = None,
    unsafe_exec: bool = False,
    scored: bool = False,
) -> Gate:
    """The gate of that name with the models that its checks name. Nothing is loaded before a check asks.

    `engine` is what a judge runs on (None: transformers), `judge_prompt` the template by which it is asked where the
    gate has none of its own. `unsafe_exec`: run code without walls where this machine
    has none. `scored`: labels bring the scores that a check without a model would ask for. Raises UsageError for a
    check that names no model otherwise, and for two checks of a kind that name different ones.
    """
    config = load_gate(preset_or_file).config
    if judge_prompt is not None:
        config = _asking(config, judge_prompt)
    if unsafe_exec:
        config = _without_walls(config)
    return Gate(config, models_of(config, engine, scored=scored))


def asked_gate(asked: GateOptions, config: Config, *, scored: bool = False) -> tuple[Gate, int]:
    """The gate that a verb was asked for, its judge as configured, and the number of processes to run it in."""
    gate = open_gate(
        str(asked.gate),
        engine=config.section("judge"),
        judge_prompt=config.section("prompts").judge,
        unsafe_exec=asked.unsafe_exec,
        scored=scored,
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
    prompts = {check.prompt for check in _checks(config) if isinstance(check, JudgeCheck)}
    if len(prompts) > 1:
        raise UsageError(
            f"the gate {config.name!r} asks its judge by two templates; give it one, or make two gates."
        )
    makers: dict[str, Callable[[str], Callable[..., Any]]] = {
        "similarity": Similarity,
        "topic": Sentences,
        "entailment": Entailment,
        "statements": Relations,
        "judge": lambda name: Judge(name, engine, next(iter(prompts), None)),
    }
    return {ASKED[kind]: makers[kind](name) for kind, name in names.items()}


def _checks(config: GateConfig) -> Iterator[Any]:
    yield from config.checks
    for checks in config.tasks.values():
        yield from checks


def _asking(config: GateConfig, prompt: str) -> GateConfig:
    """`config` with its judge asked by `prompt`, which so becomes part of the gate's id."""
    if not any(isinstance(check, JudgeCheck) for check in _checks(config)):
        raise UsageError(
            f"prompts.judge would have no effect: the gate {config.name!r} asks no judge. Leave it out, or add a check "
            "such as `{type: judge, model: path/to/model}` to the gate."
        )

    def asked(checks: Any) -> tuple[Any, ...]:
        return tuple(
            c.model_copy(update={"prompt": c.prompt or prompt}) if isinstance(c, JudgeCheck) else c
            for c in checks
        )

    tasks = {task: asked(checks) for task, checks in config.tasks.items()}
    return config.model_copy(update={"checks": asked(config.checks), "tasks": tasks})


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

    def said(self) -> dict[Any, Any]:
        """Answers that were given before, by what was asked; forgotten all at once where they are too many."""
        if "_said" not in vars(self) or len(self._said) > REMEMBERED:
            self._said: dict[Any, Any] = {}
        return self._said


class _Embedder(_Named):
    """Unit vectors of texts by a sentence-transformers model, None for one that is too long for it."""

    def load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(
                f"a check asks {self.name}, which needs sentence-transformers: pip install 'recast-sft[embedded]', "
                "or take the check, or the model that it names, out of the gate."
            ) from error
        try:
            return SentenceTransformer(self.name, model_kwargs={"use_safetensors": True})
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.name!r} is no sentence-transformers model: {error}") from error

    def embedded(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        """The vectors of `texts` in order; those that are new are embedded in batches, each once."""
        said = self.said()
        if new := [text for text in dict.fromkeys(texts) if text not in said]:
            model = self.loaded()
            limit = model.max_seq_length or math.inf
            fitting = [
                text
                for text, ids in zip(new, model.tokenizer(new)["input_ids"], strict=True)
                if len(ids) <= limit
            ]
            said.update(dict.fromkeys(new))
            said.update(
                zip(
                    fitting,
                    model.encode(
                        fitting, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
                    ),
                    strict=True,
                )
            )
        return [said[text] for text in texts]


class Similarity(_Embedder):
    """Cosine of two texts' embeddings; None where one is too long for the model."""

    def prepare(self, asked: Sequence[tuple[str, str]]) -> None:
        self.embedded([text for pair in asked for text in pair])

    def __call__(self, a: str, b: str) -> float | None:
        one, two = self.embedded((a, b))
        return None if one is None or two is None else float(one @ two)


class Sentences(_Embedder):
    """For each text its cosine to the nearest source; None where a text, or every source, is too long for the model.

    One source among several that is too long is near to nothing.
    """

    def prepare(self, asked: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
        self.embedded([text for texts, sources in asked for text in (*texts, *sources)])

    def __call__(self, texts: Sequence[str], sources: Sequence[str]) -> list[float] | None:
        ours = [vector for vector in self.embedded(texts) if vector is not None]
        theirs = [vector for vector in self.embedded(sources) if vector is not None]
        if len(ours) < len(texts) or not theirs:
            return None
        return np.max(np.stack(ours) @ np.stack(theirs).T, axis=1).tolist()


class _Classifier(_Named):
    """Probabilities of an NLI cross-encoder's `classes` for pairs of texts, None for a pair that is too long for it."""

    classes: ClassVar[tuple[str, ...]]

    def load(self) -> tuple[Any, Any, list[int]]:
        return _classifier(self.name, *self.classes)

    def classified(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, ...] | None]:
        """The probabilities of `pairs` in order; those that are new are asked in batches, each once."""
        said = self.said()
        new = [pair for pair in dict.fromkeys(pairs) if pair not in said]
        new.sort(key=lambda pair: len(pair[0]) + len(pair[1]))  # a batch is padded to its longest
        for i in range(0, len(new), BATCH):
            said.update(zip(new[i : i + BATCH], self._ask(new[i : i + BATCH]), strict=True))
        return [said[pair] for pair in pairs]

    def _ask(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, ...] | None]:
        import torch

        tokenizer, model, indices = self.loaded()
        limit = _longest(tokenizer, model)
        told = [tokenizer(premise, hypothesis) for premise, hypothesis in pairs]
        fitting = [ids for ids in told if len(ids["input_ids"]) <= limit]
        if not fitting:
            return [None] * len(pairs)
        with torch.inference_mode():
            shares = model(**tokenizer.pad(fitting, return_tensors="pt")).logits.float().softmax(-1)
        said = iter(shares[:, indices].tolist())
        return [tuple(next(said)) if len(ids["input_ids"]) <= limit else None for ids in told]


class Entailment(_Classifier):
    """Probability that a hypothesis follows from a premise; None where they are too long."""

    classes = ("entailment",)

    def prepare(self, asked: Sequence[tuple[str, str]]) -> None:
        self.classified(asked)

    def __call__(self, premise: str, hypothesis: str) -> float | None:
        (found,) = self.classified([(premise, hypothesis)])
        return found[0] if found else None


class Relations(_Classifier):
    """Probabilities of entailment and contradiction of many pairs at once, None for one that is too long."""

    classes = ("entailment", "contradiction")

    def prepare(self, asked: Sequence[tuple[Sequence[tuple[str, str]]]]) -> None:
        self.classified([pair for (pairs,) in asked for pair in pairs])

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, ...] | None]:
        return self.classified(pairs)


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
    prompt: str | None = None  # a template (`agent.prompts.config`); None: the default

    def load(self) -> Engine:
        from recast.agent.engines.factory import EngineConfig, open_engine
        from recast.pipelines.models.names import model_path

        return open_engine(self.engine or EngineConfig(), model_path(self.name))

    def prepare(self, asked: Sequence[tuple[Mapping[str, Any], str]]) -> None:
        said = self.said()
        prompts = {key: prompt for key, prompt in (self.asked(*one) for one in asked) if key not in said}
        if not prompts:
            return
        twice = [prompt for prompt in prompts.values() for _ in range(2)]
        scores = self.loaded().logprobs(twice, ["YES", "NO"] * len(prompts), adapter=False)
        p = [math.exp(-s.nll * s.num_tokens) if math.isfinite(s.nll) else math.nan for s in scores]
        for key, yes, no in zip(prompts, p[::2], p[1::2], strict=True):
            said[key] = None if math.isnan(yes + no) or yes + no < MIN_MASS else yes / (yes + no)

    def __call__(self, row: Mapping[str, Any], completion: str) -> float | None:
        key, _ = self.asked(row, completion)
        if key not in self.said():
            self.prepare([(row, completion)])
        return self.said()[key]

    def asked(self, row: Mapping[str, Any], completion: str) -> tuple[str, Any]:
        """What the judge is asked, and a key for it."""
        from recast.agent.prompts.prompts import judge

        messages = row["messages"]
        messages = json.loads(messages) if isinstance(messages, str) else messages
        prompt = judge(messages, row.get("demonstration") or "", completion, self.prompt)
        return json.dumps(prompt), prompt
