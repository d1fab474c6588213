# pyright: strict, reportMissingTypeStubs=false
"""What `import recast` offers: the store, the gate, the verbs, and the reward, for scripts and notebooks.

`recast` maps its names to this module when they are first asked for. Nothing is done here twice: a verb is the job
that the command runs (`pipelines.run.runs.execute`), under the signature of that job, and the rest opens what other
rooms own. `API.md` beside this file has an example of each. Errors are those of `curate.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, overload

if TYPE_CHECKING:
    import inspect

    import datasets
    from transformers import TrainerCallback

    from recast.agent.reward.scorer import ScoredGroup
    from recast.curate.gate.gate import Gate
    from recast.curate.store.store import Store
    from recast.pipelines.verbs import Verb
    from recast.train.graders.records import Grade
    from recast.train.graders.trl_reward import RewardFunction

    StorePath = str | Path | Store | None
    Progress = Callable[[Mapping[str, Any]], Any] | bool | None

    class Job(Protocol):
        """A verb as a function: its own arguments, and those of `COMMON` that concern it."""

        def __call__(
            self,
            *args: Any,
            store: StorePath = None,
            config: Mapping[str, Any] | None = None,
            progress: Progress = None,
            **options: Any,
        ) -> dict[str, Any]: ...

    diff: Job
    evaluate: Job
    import_: Job
    learn: Job
    rewrite: Job
    sft: Job

VERBS = {
    "diff": "diff",
    "evaluate": "eval",
    "import_": "import",
    "learn": "learn",
    "rewrite": "rewrite",
    "sft": "sft",
}
"""Function to the verb that it is. `eval` would hide the builtin, `import` is a word of Python's."""

COMMON: dict[str, tuple[Any, Any, str]] = {
    "store": (
        str | Path | None,
        None,
        "Folder of the store, or what `recast.open` returned. None: RECAST_HOME, else `.recast`.",
    ),
    "config": (
        Mapping[str, Any] | None,
        None,
        "Settings as in a config file, nested or dotted: {'sft': {'lr': 1e-4}} or {'sft.lr': 1e-4}.",
    ),
    "progress": (
        Callable[[Mapping[str, Any]], Any] | bool | None,
        None,
        "Called with a mapping now and then (done or step, total, figures). True: shown as by the command.",
    ),
    "fresh": (bool, False, "Start over instead of going on where an earlier call stopped."),
}
"""Argument of every verb that it concerns -> type, default, meaning."""


def open(path: str | Path | None = None) -> Store:
    """The store at `path`. None: RECAST_HOME, else `.recast`.

    Nothing is read or made before it is used: `names()`, `log(name)`, `open(ref).rows()`, `commit(rows, name)`,
    `tag`, `branch` and so on (`curate.store.store.Store`).
    """
    from recast.curate.store.store import Store

    return Store(path)


@overload
def load(
    ref: str,
    path: str | Path | Store | None = None,
    format: Literal["rows", "messages", "prompt_completion"] = "rows",
    *,
    streaming: Literal[False] = False,
) -> datasets.Dataset: ...


@overload
def load(
    ref: str,
    path: str | Path | Store | None = None,
    format: Literal["rows", "messages", "prompt_completion"] = "rows",
    *,
    streaming: Literal[True],
    seed: int | None = None,
    buffer: int | None = None,
) -> datasets.IterableDataset: ...


def load(
    ref: str,
    path: str | Path | Store | None = None,
    format: Literal["rows", "messages", "prompt_completion"] = "rows",
    *,
    streaming: bool = False,
    seed: int | None = None,
    buffer: int | None = None,
) -> datasets.Dataset | datasets.IterableDataset:
    """A version (`NAME`, `NAME@v3`, `NAME@TAG`, `NAME/BRANCH`) as a memory-mapped `datasets.Dataset`, rows in order.

    `path` is the store. `format`: `rows`, all columns of a version (`messages` is the prompt, a list of {role,
    content}); `messages`, the conversation with its completion as the last turn; `prompt_completion`, `prompt` and
    `completion` as lists of turns, as TRL reads them. The latter two keep `answer`, `task` and `row_id`.

    `streaming`: a `datasets.IterableDataset` over the parts of the store instead, in constant memory. Every row comes
    once an epoch, for any number of ranks (`shard(num, rank)`, `split_dataset_by_node`, accelerate) and of workers of a
    DataLoader, each with as many rows as another, within one; `state_dict` and `load_state_dict` go on where a kill
    stopped, after `recast.join_states` with another number of ranks. `seed` shuffles, anew for each `set_epoch(n)`:
    blocks of 1,024 rows come in random order, and `buffer` rows of that (8,192) are shuffled and held at a time. Turns
    keep members beside role and content as objects, where a table has text.

    The version stays with the data set: `info.config_name` is its id, `info.dataset_name` its name,
    `info.description` its ref and message. They survive `map`, `filter`, `select`, `train_test_split` and
    `save_to_disk`, not `to_iterable_dataset` and files of other formats. Raises UsageError for a name that the store
    does not have, which lists what there is, for another format, and for `seed` or `buffer` without `streaming`.
    """
    snapshot = _store(path).open(ref)
    if streaming:
        from recast.pipelines.wiring.stream import streamed

        return streamed(snapshot, format, seed=seed, **({} if buffer is None else {"buffer": buffer}))
    if seed is not None or buffer is not None:
        from recast.curate.errors import UsageError

        raise UsageError("seed and buffer are for streaming=True; a whole data set has shuffle(seed=...).")
    return snapshot.dataset(format)


def join_states(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One state from the `state_dict()` of all ranks and workers of a stream, for any other number of them to load.

    Each then gets its share of the rows that are left of the epoch. Raises UsageError where the state of one is missing
    or there twice, where they are of different epochs, versions or orders, and where one holds more than a place in the
    stream (rows that a batched `map` has made and not given yet).
    """
    from recast.pipelines.wiring import stream

    return stream.join_states(states)


def pin_callback(
    ref: str, path: str | Path | Store | None = None, *, mixed: Sequence[tuple[str, float | None]] = ()
) -> TrainerCallback:
    """A callback for trainers of TRL and transformers that writes `dataset.lock`: the version a model was trained on.

    `path` is the store, `mixed` are further versions with their weights. Every checkpoint gets the file when it is
    saved; the output folder gets it at the end, and the store remembers that model, so that `recast impact ROW` names
    it. `ref` is resolved now: what is committed meanwhile changes nothing. Raises UsageError for an unknown name.
    """
    from recast.pipelines.wiring.pins import PinCallback

    return PinCallback(_store(path), ref, mixed)


def gate(
    name_or_file: str | Path | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    unsafe_exec: bool = False,
) -> Gate:
    """The gate of a preset (`math`, `strict`, `choice`, `text`, `code`, `auto`) or of a YAML file. None: `auto`.

    `gate.verify(row, completion, finish_reason="stop")` is a verdict: `status` (`accepted`, `rejected` or
    `unverifiable`), `reason` (that of the first check that did not pass, empty where all did), `checks` (each with
    name, status, reason and a message). Of `row` it reads `messages`, `demonstration`, `answer` and `task`; those that
    are missing count as unknown. `gate.verify_many(rows, completions)` does many; `gate.id` names the rule.

    Models that a gate file names are loaded when a check first asks them; the section `judge` of `config` says what
    judges run on. `unsafe_exec` runs the code of completions without a sandbox where this machine has none. Raises
    UsageError for what is neither preset nor file, and for a check without the model that it needs.
    """
    return _gate(name_or_file, config, unsafe_exec)


def equivalent(a: str, b: str) -> bool | None:
    """Whether two final answers are the same: True, False, or None where it cannot be told.

    Exact values decide (`0.5` and `1/2` are the same, `0.33` and `1/3` are not). What nothing here can read goes to a
    computer algebra in a process of its own, whose yes is checked.
    """
    from recast.curate.answers import extract

    return extract.equivalent(a, b)


def final_answer(text: str) -> str | None:
    """The final answer that `text` states (the last box, `####`, `The answer is`, else its last number), or None."""
    from recast.curate.answers import extract

    return extract.final_answer(text)


def reward(
    model: Any,
    tokenizer: Any = None,
    gate: str | Path | Gate | None = None,
    *,
    mode: Literal["typical", "anchored", "paper"] | None = None,
    lambda_dist: float | None = None,
    lambda_div: float | None = None,
    lambda_copy: float | None = None,
    own_samples: int | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    embedding: str | None = None,
    seed: int | None = None,
    config: Mapping[str, Any] | None = None,
    group_size: int | None = None,
    on_scored: Callable[[list[ScoredGroup]], None] | None = None,
) -> Callable[..., list[float | None]]:
    """A reward function for TRL's `GRPOTrainer`: 0 outside the gate, and 1 + alignment + diversity - copying within.

    `model` is what rewards are measured with, the frozen backbone: the PEFT model that is trained, whose adapter is
    switched off for it, so that no second copy of the weights is needed; or a model's name or folder, which is loaded
    beside the one that is trained, with its tokenizer. `gate` is what `recast.gate` takes or returns; None: `strict`,
    as for `recast.learn`.
    `mode` and the weights are explained in `agent.reward.formula`; None takes them from `config`'s section `learn`,
    whose defaults are those of `recast.learn`. `temperature` is what the trainer samples at: mode `typical` measures
    there, too. `own_samples` (a prompt, of up to `max_tokens` tokens, drawn from `seed`) matter in mode `anchored`
    alone; `embedding` is what the diversity term compares texts by, a sentence-transformers model or `backbone` for its
    own hidden states, None their phrases.

    The data set needs the columns `prompt` (what is sampled from), `messages` (the plain question, under which texts
    are scored) and `demonstration`; `answer`, `task` and `row_id` are used where they are: the columns of
    `recast.load(ref)`. `group_size` is the trainer's `num_generations`, needed where the data set may bring a row
    twice in succession. The function takes TRL's keywords and returns a reward a completion: None, which TRL turns
    into no advantage, where the gate could not decide, and in groups where nothing passed. `on_scored` is called with
    the scored groups (verdicts, NLLs in nats a token, terms) of each call.

    Raises UsageError for a module without an adapter: nothing would keep it as it was; ModelError for a folder that
    is no model.
    """
    from recast.agent.engines.embedding import compared_by
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.reward.alignment import AnchorCache
    from recast.agent.reward.scorer import Scorer
    from recast.curate.errors import UsageError
    from recast.pipelines.wiring import models

    settings = _config(config).section(
        "learn", mode=mode, lambda_dist=lambda_dist, lambda_div=lambda_div, lambda_copy=lambda_copy,
        own_samples=own_samples, max_tokens=max_tokens, temperature=temperature, embedding=embedding, seed=seed,
    )  # fmt: skip
    if isinstance(model, str | Path):
        model, own = models.load(str(model))
        tokenizer = tokenizer or own
    elif not hasattr(model, "peft_config"):
        raise UsageError(
            f"recast.reward got a {type(model).__name__} without an adapter: training would change what the reward is "
            "measured with. Give the PEFT model that is trained (peft.get_peft_model(model, LoraConfig(...))), or the "
            "name or folder of the backbone, which is then loaded beside it."
        )
    if tokenizer is None:
        raise UsageError("recast.reward needs the model's tokenizer: recast.reward(model, tokenizer, ...).")
    engine = HFEngine(model, tokenizer, batch_size=settings.engine_batch)
    anchors = AnchorCache(
        engine,
        tokenizer,
        own_samples=settings.own_samples if settings.mode == "anchored" else 0,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
        temperature=settings.measured_at(),
    )
    embed, phrases = compared_by(settings.embedding)
    # to pyright the cached `id` of `Gate` is not the property that the scorer's protocol has
    opened: Any = (
        _gate(gate, config, section="learn") if gate is None or isinstance(gate, str | Path) else gate
    )
    scorer = Scorer(engine, opened, anchors, settings.weights(), embed=embed, phrases=phrases)
    return scorer.reward_func(group_size=group_size, on_scored=on_scored)


def grader(
    file: str | Path,
    *,
    judge: str | None = None,
    embedding: str | None = None,
    config: Mapping[str, Any] | None = None,
    unsafe_exec: bool = False,
    group_size: int | None = None,
    on_graded: Callable[[list[Grade]], None] | None = None,
) -> RewardFunction:
    """A grader's JSON file as a reward function for TRL's `GRPOTrainer` and `RLOOTrainer`.

    The function takes TRL's keywords (`prompts`, `completions`, the columns of the data set) and returns a reward a
    completion, None where there is no score: the completion then gets no advantage. Columns are what templates call
    `item`; those that a version keeps in `meta` as well. `on_graded` is called with the grades of each call: reward,
    sub-rewards, and flags of what went wrong. `group_size` is the trainer's `num_generations`, for graders of whole
    groups; None: completions in succession whose rows are equal. Its `grader.grade(item, text)` grades one answer.

    `judge` is a model that answers here for those that the file names, on the engine of `config`'s section `judge`;
    `embedding` a sentence-transformers model for cosines. `unsafe_exec` runs Python sources without a sandbox where
    this machine has none. Raises UsageError with the JSON path of what is wrong in the file, MissingDependencyError for
    a package or corpus that one of its metrics needs.
    """
    from recast.pipelines.options import GraderOptions
    from recast.pipelines.wiring.graders import open_grader
    from recast.train.graders.trl_reward import RewardFunction

    asked = GraderOptions(judge=judge, embedding=embedding, unsafe_exec=unsafe_exec)
    return RewardFunction(
        open_grader(file, asked, _config(config)), group_size=group_size, on_graded=on_graded
    )


def verb(name: str) -> Job:
    """The function of that name in `VERBS`, with the signature of its job and a text about every argument."""
    import inspect

    from recast.pipelines.run import runs

    entry = runs.find(VERBS[name])
    own = runs.parameters(entry)
    handed_in = inspect.signature(entry.job).parameters
    # an argument that would have no effect is not offered
    common = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for key, (kind, default, _) in COMMON.items()
        if key in handed_in or (key == "fresh" and entry.has_run)
    ]
    signature = inspect.Signature(
        [*(p.replace(annotation=_plain_type(p.annotation)) for p in own.values()), *common],
        return_annotation=dict[str, Any],
    )
    positional = inspect.Signature([p for p in own.values() if p.kind is p.POSITIONAL_OR_KEYWORD])

    def call(*args: Any, **options: Any) -> dict[str, Any]:
        given = positional.bind_partial(*args).arguments
        if twice := given.keys() & options.keys():
            raise TypeError(f"{name}() got multiple values for argument {min(twice)!r}")
        shared = {p.name: options.pop(p.name, p.default) for p in common}
        return _performed(entry, given | options, **shared)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "recast"
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = _told(entry, own, [p.name for p in common])
    return call


def _performed(
    entry: Verb,
    args: Mapping[str, Any],
    *,
    store: StorePath = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress = None,
    fresh: bool = False,
) -> dict[str, Any]:
    import contextlib

    from recast.pipelines.run import runs
    from recast.pipelines.terminal.progress import reporter, reporting

    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(contextlib.closing(reporter(quiet=progress is not True)))
        called = progress if callable(progress) else None
        return runs.execute(
            entry.name,
            {key: _text_of_paths(value) for key, value in args.items()},
            store=_store(store).root,
            config=_config(config),
            progress=stack.enter_context(reporting(entry.name, shown, called)) if progress else None,
            reporter=shown,
            fresh=fresh,
        ).result


def _told(entry: Verb, own: Mapping[str, inspect.Parameter], common: Sequence[str]) -> str:
    """What `help` shows: what the job does, every argument in the words of the command line, result and errors."""
    import inspect

    meanings = {
        key: next((text for m in p.annotation.__metadata__ if (text := getattr(m, "help", None))), "")
        for key, p in own.items()
    } | {key: COMMON[key][2] for key in common}
    listed = "\n".join(f"    {key}: {text}" for key, text in meanings.items())
    return (
        f"{inspect.getdoc(entry.job)}\n\nArguments:\n{listed}\n\n"
        f"Returns what `recast {entry.name} --json` prints. Raises UsageError for an argument, a setting or a name "
        "that there is not, and what else of `recast.curate.errors` the command would say."
    )


def _plain_type(annotation: Any) -> Any:
    """`str` of `Annotated[str, ...]`: the rest is for the command line."""
    return (
        getattr(annotation, "__origin__", annotation) if hasattr(annotation, "__metadata__") else annotation
    )


def _text_of_paths(value: Any) -> Any:
    """Paths as text, also in lists: the command line knows nothing else, and so what a run is called by."""
    if isinstance(value, list | tuple):
        return [_text_of_paths(each) for each in cast(Sequence[Any], value)]
    return str(value) if isinstance(value, Path) else value


def _store(path: StorePath) -> Store:
    from recast.curate.store.store import Store

    return path if isinstance(path, Store) else Store(path)


def _gate(
    name: str | Path | None,
    config: Mapping[str, Any] | None,
    unsafe_exec: bool = False,
    section: str = "rewrite",
) -> Gate:
    from recast.pipelines.wiring.gates import open_gate

    settings = _config(config)
    return open_gate(
        name or settings.gate_for(section),
        engine=settings.section("judge"),
        judge_prompt=settings.section("prompts").judge,
        unsafe_exec=unsafe_exec,
    )


def _config(settings: Mapping[str, Any] | None) -> Any:
    from recast.pipelines.config import Config

    return Config().over(settings or {})


def __getattr__(name: str) -> Job:
    if name not in VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, verb(name))
