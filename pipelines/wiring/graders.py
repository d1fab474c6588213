"""The models that graders ask: judges on any engine, embeddings, reward models and gates.

A published file names a model of its service (`"model": "gpt-4.1"`); `--judge` names one that answers here in its
place. Everything is loaded when it is first asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import ModelError, UsageError
from recast.curate.records import Messages
from recast.pipelines.config import Config
from recast.pipelines.options import GraderOptions
from recast.pipelines.wiring.gates import Similarity, open_gate
from recast.train.graders.format import schema
from recast.train.graders.grader import Grader
from recast.train.graders.records import Models, Question, Reply

if TYPE_CHECKING:
    from recast.agent.engines.factory import EngineConfig
    from recast.agent.engines.protocol import Engine
    from recast.curate.gate.gate import Gate, GateConfig
    from recast.curate.store.store import Store

MAX_REPLY_TOKENS = 1024
"""Longest reply of a judge where its grader says nothing."""
BATCH = 16
"""Texts that a reward model sees at once."""


def open_grader(
    path: str | Path,
    asked: GraderOptions | None = None,
    config: Config | None = None,
    *,
    store: Store | None = None,
) -> Grader:
    """The grader of a file with the models that it asks; `store` keeps what a server answered. The folder of a reward
    model stands for a grader that asks it alone.

    Raises UsageError with the JSON path of what is wrong in the file, MissingDependencyError for what a metric needs.
    """
    models = models_of(asked or GraderOptions(), config or Config(), store=store)
    if Path(path).is_dir():
        alone = {"type": "reward_model", "name": "reward model", "model": str(path)}
        return Grader(schema.parse(alone, str(path)), models)
    return Grader.load(path, models)


def asked_grader(file: Path | None, asked: GraderOptions, config: Config, *, store: Store) -> Grader | None:
    """`open_grader` where a file is given. Raises UsageError for options that nothing reads without one."""
    if file is not None:
        return open_grader(file, asked, config, store=store)
    if asked != GraderOptions():
        raise UsageError(
            "--judge, --embedding and --unsafe-exec are for what --grader names. Add it, or leave them out."
        )
    return None


def models_of(asked: GraderOptions, config: Config, *, store: Store | None = None) -> Models:
    """What graders may ask. A judge needs no `--judge` where its grader names a model that is here."""
    engine = config.section("judge")

    def opened(gate: str | GateConfig) -> Gate:
        return open_gate(gate, engine=engine, unsafe_exec=asked.unsafe_exec)

    return Models(
        ask=Judges(engine, asked.judge, store),
        cosine=Cosines(asked.embedding) if asked.embedding else None,
        reward=RewardModels(),
        gate=opened,
        unsafe_exec=asked.unsafe_exec,
    )


@dataclass
class Judges:
    """Replies of models by name, each on an engine of its own; `instead` answers for all of them."""

    settings: EngineConfig
    instead: str | None = None
    store: Store | None = None
    _open: dict[str, Engine] = field(default_factory=dict, init=False)

    def __call__(self, model: str, questions: Sequence[Question]) -> list[Reply]:
        """One reply a question. Without a temperature a judge is greedy, so that a grade repeats."""
        from recast.agent.engines.http.client import ServerError
        from recast.agent.engines.protocol import LENGTH, PROMPT_TOO_LONG, Sampling

        engine = self._engine(self.instead or model)
        replies: dict[int, Reply] = {}
        by_sampling: dict[Sampling, list[int]] = {}
        for at, question in enumerate(questions):
            sampling = Sampling(
                0.0 if question.temperature is None else question.temperature,
                1.0 if question.top_p is None else question.top_p,
                question.max_tokens or MAX_REPLY_TOKENS,
            )
            by_sampling.setdefault(sampling, []).append(at)
        for sampling, places in by_sampling.items():
            prompts = [questions[at].messages for at in places]
            seeds = [[questions[at].seed or 0] for at in places]
            try:
                drawn = engine.sample(prompts, 1, sampling, seeds=seeds, adapter=False)
            except ServerError as error:
                replies |= dict.fromkeys(places, Reply("", error=str(error)))
                continue
            for at, (sample,) in zip(places, drawn, strict=True):
                why = {PROMPT_TOO_LONG: "the question is longer than the model takes"}.get(
                    sample.finish_reason, ""
                )
                if sample.finish_reason == LENGTH and not sample.text.strip():
                    why = "it wrote nothing within its limit of tokens"
                replies[at] = Reply(sample.text, len(sample.token_ids), error=why)
        return [replies[at] for at in range(len(questions))]

    def _engine(self, name: str) -> Engine:
        if name not in self._open:
            from recast.pipelines.wiring import models

            try:
                self._open[name] = models.engine(name, None, self.settings, store=self.store)
            except ModelError as error:
                raise ModelError(
                    f"a grader asks the model {name!r}, which cannot be had here: {error} Name one that "
                    "can with --judge."
                ) from error
        return self._open[name]


@dataclass
class Cosines:
    """Cosines of pairs of texts by one embedding model."""

    name: str
    _model: Similarity | None = field(default=None, init=False)

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        self._model = self._model or Similarity(self.name)
        self._model.prepare(list(pairs))
        return [self._model(*pair) for pair in pairs]


@dataclass
class RewardModels:
    """Raw rewards of (prompt, completion) pairs by sequence classifiers of one label, in the model's chat template."""

    _open: dict[str, tuple[Any, Any]] = field(default_factory=dict, init=False)

    def __call__(self, name: str, pairs: Sequence[tuple[Messages, str]]) -> list[float | None]:
        import torch

        from recast.curate.chat import encode

        model, tokenizer = self._loaded(name)
        limit = getattr(model.config, "max_position_embeddings", None)
        rows = [[*prompt, *said] for prompt, said in (encode(tokenizer, *pair) for pair in pairs)]
        fitting = [at for at, ids in enumerate(rows) if limit is None or len(ids) <= limit]
        fitting.sort(key=lambda at: len(rows[at]))  # a batch is padded to its longest
        rewards: list[float | None] = [None] * len(rows)
        for first in range(0, len(fitting), BATCH):
            places = fitting[first : first + BATCH]
            batch = tokenizer.pad({"input_ids": [rows[at] for at in places]}, return_tensors="pt").to(
                model.device
            )
            with torch.inference_mode():
                said = model(**batch).logits[:, 0].float().tolist()
            for at, reward in zip(places, said, strict=True):
                rewards[at] = reward
        return rewards

    def _loaded(self, name: str) -> tuple[Any, Any]:
        if name not in self._open:
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            from recast.pipelines.models.names import model_path

            path = model_path(name)
            try:
                tokenizer = AutoTokenizer.from_pretrained(path)
                model = AutoModelForSequenceClassification.from_pretrained(path, use_safetensors=True)
            except (OSError, ValueError) as error:
                raise ModelError(f"{name!r} is no reward model: {error}") from error
            if model.config.num_labels != 1:
                raise ModelError(
                    f"{name!r} has {model.config.num_labels} labels; expected a reward model, which has one."
                )
            tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
            model.config.pad_token_id = tokenizer.pad_token_id  # where it finds the last token of a row
            self._open[name] = (model.eval(), tokenizer)
        return self._open[name]
