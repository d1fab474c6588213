"""The gate: may this completion replace the row's demonstration? Accepted, rejected or unverifiable, and why.

A gate is an ordered list of checks with thresholds. One gate object is the reward's hard gate, the accept rule
and the audit. Its id is the fingerprint of its checks, their thresholds and revisions, and the versions of the
libraries that can change a verdict; two gates with one id decide alike. The verdict's reason is that of the
first failed check, or, where none failed, of the first undecided one: undecided is never acceptance.

>>> gate = load_gate("math")
>>> gate.verify({"answer": "17", "demonstration": "12 + 5 = 17"}, "12 and 5 make 17. The answer is 18.").reason
'wrong_answer'
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recast.curate import yaml_file
from recast.curate.errors import UsageError
from recast.curate.fingerprint import fingerprint
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.checks.models.entailment import EntailmentCheck
from recast.curate.gate.checks.models.judge import JudgeCheck
from recast.curate.gate.checks.models.similarity import SimilarityCheck
from recast.curate.gate.checks.models.statements import StatementsCheck
from recast.curate.gate.checks.sums.arithmetic import ArithmeticCheck
from recast.curate.gate.checks.sums.numbers import NumbersCheck
from recast.curate.gate.checks.sums.operations import OperationsCheck
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.checks.sums.symbols import SymbolsCheck
from recast.curate.gate.checks.words.characters import CharactersCheck
from recast.curate.gate.checks.words.consistency import ConsistencyCheck
from recast.curate.gate.checks.words.copying import CopyCheck
from recast.curate.gate.checks.words.edits import EditsCheck
from recast.curate.gate.checks.words.ending import EndingCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.names import NamesCheck
from recast.curate.gate.checks.words.polarity import PolarityCheck
from recast.curate.gate.checks.words.quantities import QuantitiesCheck
from recast.curate.gate.checks.words.repetition import RepetitionCheck
from recast.curate.gate.checks.words.roles import RolesCheck
from recast.curate.gate.checks.words.topic import TopicCheck
from recast.curate.gate.checks.words.vocabulary import VocabularyCheck
from recast.curate.gate.checks.words.wording import WordingCheck
from recast.curate.parallel import in_order
from recast.curate.records import Check, CheckStatus, Verdict, VerdictStatus

AnyCheck = Annotated[
    FormatCheck
    | AnswerCheck
    | ArithmeticCheck
    | StepsCheck
    | NumbersCheck
    | NamesCheck
    | CopyCheck
    | RepetitionCheck
    | CharactersCheck
    | VocabularyCheck
    | OperationsCheck
    | SymbolsCheck
    | QuantitiesCheck
    | PolarityCheck
    | WordingCheck
    | RolesCheck
    | CodeCheck
    | TopicCheck
    | ConsistencyCheck
    | EndingCheck
    | EditsCheck
    | SimilarityCheck
    | EntailmentCheck
    | StatementsCheck
    | JudgeCheck,
    Field(discriminator="type"),
]
Checks = tuple[AnyCheck, ...]

_TOLD: Checks = (
    CopyCheck(max_told=0.8),
    RepetitionCheck(),
    CharactersCheck(),
    ConsistencyCheck(),
    EndingCheck(),
    OperationsCheck(),
    SymbolsCheck(),
    QuantitiesCheck(),
    PolarityCheck(),
    WordingCheck(),
    RolesCheck(),
)
"""What every text is asked that answers in words."""
_SUMS: Checks = (NamesCheck(), VocabularyCheck(), TopicCheck(), *_TOLD)
_OPEN: Checks = (VocabularyCheck(open=True), TopicCheck(min_share=0.2, min_new=4), *_TOLD)
"""The same of texts about the world, which may bring words of their own."""
MATH: Checks = (FormatCheck(), AnswerCheck(), ArithmeticCheck(), StepsCheck(), *_SUMS)
STRICT: Checks = (
    FormatCheck(),
    AnswerCheck(),
    ArithmeticCheck(),
    StepsCheck(sums=True, detours=False),
    NumbersCheck(),
    *_SUMS,
)
"""What a reward must ask: whatever optimises against it has no empty text to find."""
CHOICE: Checks = (FormatCheck(), AnswerCheck(require_marked=True), ArithmeticCheck(), *_OPEN)
TEXT: Checks = (FormatCheck(), AnswerCheck(require_reference=False), ArithmeticCheck(), *_OPEN)
CODE: Checks = (FormatCheck(), CodeCheck(), RepetitionCheck(), CharactersCheck())

CHUNK_ROWS = 500
"""Rows that a worker process takes at once."""
Job = tuple[Mapping[str, Any], str, str]
"""A row, a completion of it, and why the completion ended."""


class GateConfig(BaseModel):
    """What a gate consists of. YAML of the same shape can be given to `load_gate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "math"
    """How people call it; not part of the id."""
    checks: Checks = MATH
    """The checks, in order."""
    tasks: dict[str, Checks] = Field(default_factory=dict)
    """Checks for rows whose `task` has this name, in place of `checks`."""


_BY_TASK: dict[str, Checks] = {"choice": CHOICE, "mmlu": CHOICE, "text": TEXT, "chat": TEXT, "code": CODE}
PRESETS: dict[str, GateConfig] = {
    "math": GateConfig(name="math"),
    "strict": GateConfig(name="strict", checks=STRICT, tasks=_BY_TASK),
    "choice": GateConfig(name="choice", checks=CHOICE),
    "text": GateConfig(name="text", checks=TEXT),
    "code": GateConfig(name="code", checks=CODE),
    "auto": GateConfig(name="auto", checks=MATH, tasks=_BY_TASK),
}


class Gate:
    """A gate ready to decide. Stateless: safe to share between threads, cheap to build in every process."""

    def __init__(self, config: GateConfig, models: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self.config = config
        self.models = dict(models or {})
        seen = [check.name for check in config.checks]
        if not seen or len(set(seen)) != len(seen):
            raise UsageError(
                f"gate {config.name!r} holds the checks {seen}; expected at least one, and none twice."
            )

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def id(self) -> str:
        """16 hex digits: the same for every gate that decides alike."""
        return fingerprint(self.identity)[:16]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the id is made of."""
        lists = [self.config.checks, *self.config.tasks.values()]
        every = [check for checks in lists for check in checks]
        return {
            "checks": self.config.model_dump(mode="json", exclude={"name"}),
            "revisions": {check.name: check.revision for check in every},
            "packages": {name: _version(name) for check in every for name in check.packages},
        }

    def verify(self, row: Mapping[str, Any], completion: str, *, finish_reason: str = "stop") -> Verdict:
        """Decide about one completion. `row` keys used: messages, demonstration, answer, task."""
        case = self._case(row, completion, finish_reason)
        ran: list[Check] = []
        for check in self.checks_for(case.row):
            outcome = _outcome(check, case)
            ran.append(outcome)
            if outcome.reason in ("empty", "too_long"):
                break  # nothing further can be said, or not in bounded time
        return decide(tuple(ran))

    def verify_chunk(self, jobs: Sequence[Job]) -> list[Verdict]:
        """One verdict a job, in order; models that can answer many questions at once are asked once for all jobs."""
        able = {name: getattr(model, "prepare", None) for name, model in self.models.items()}
        prepared = {name: prepare for name, prepare in able.items() if prepare}
        asked: dict[str, list[tuple[Any, ...]]] = {name: [] for name in prepared}
        # a row or question that breaks here breaks again in its own check, which makes it `check_error`
        for job in jobs if prepared else ():
            with suppress(Exception):
                case = self._case(*job)
                for check in self.checks_for(case.row):
                    for name, args in check.asks(case):
                        if name in asked:
                            asked[name].append(args)
        for name, prepare in prepared.items():
            with suppress(Exception):
                prepare(asked[name])
        with _collector_paused():
            return [self.verify(row, completion, finish_reason=reason) for row, completion, reason in jobs]

    def _case(self, row: Mapping[str, Any], completion: str, finish_reason: str) -> Case:
        return Case(completion, row.get("demonstration") or "", row, finish_reason, self.models)

    def checks_for(self, row: Mapping[str, Any]) -> Sequence[CheckConfig]:
        task = row.get("task")
        return self.config.tasks.get(task, self.config.checks) if task else self.config.checks

    def verify_many(
        self,
        rows: Sequence[Mapping[str, Any]],
        completions: Sequence[str],
        finish_reasons: Sequence[str] | None = None,
        *,
        workers: int = 1,
    ) -> list[Verdict]:
        """One verdict a row, in order. Raises ValueError where the lengths differ.

        With `workers` above 1 the rows are shared among as many processes, which pays from a few thousand rows on.
        """
        reasons = finish_reasons if finish_reasons is not None else ["stop"] * len(rows)
        jobs = list(zip(rows, completions, reasons, strict=True))
        if len(jobs) < 2 * CHUNK_ROWS:
            workers = 1
        chunks = (jobs[i : i + CHUNK_ROWS] for i in range(0, len(jobs), CHUNK_ROWS))
        return [verdict for made in self.verify_chunks(chunks, workers=workers) for verdict in made]

    def verify_chunks(self, chunks: Iterable[Sequence[Job]], *, workers: int = 1) -> Iterator[list[Verdict]]:
        """The verdicts of each chunk of a stream, in order, while later chunks are at work.

        A gate that asks models stays in this process, where they are.
        """
        if self.models:
            return map(partial(_verify_chunk, self), chunks)
        return in_order(partial(_verify_chunk, self.config), chunks, workers=workers)


@contextmanager
def _collector_paused() -> Generator[None]:
    """No run of the garbage collector: checks make no cycles, and walks over what they remember took a sixth.

    What they remember is old afterwards, as if it had been walked over. Nothing is changed for a process that froze
    objects of its own.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _outcome(check: CheckConfig, case: Case) -> Check:
    """Run a check. A check that breaks has not decided; one bad row never stops a run."""
    try:
        return check.run(case)
    except Exception as error:
        return check.undecided(
            "check_error", f"The check broke: {type(error).__name__}: {shown(str(error))}."
        )


def _verify_chunk(gate: Gate | GateConfig, jobs: Sequence[Job]) -> list[Verdict]:
    """One chunk, perhaps in a worker process; building the gate there costs nothing."""
    gate = gate if isinstance(gate, Gate) else Gate(gate)
    return gate.verify_chunk(jobs)


def decide(checks: tuple[Check, ...]) -> Verdict:
    """The verdict of checks in order: any fail rejects, else any undecided makes it unverifiable."""
    for status, verdict in (
        (CheckStatus.FAIL, VerdictStatus.REJECTED),
        (CheckStatus.UNDECIDED, VerdictStatus.UNVERIFIABLE),
    ):
        for check in checks:
            if check.status is status:
                return Verdict(verdict, check.reason, checks)
    return Verdict(VerdictStatus.ACCEPTED, "", checks)


def load_gate(
    preset_or_file: str | Path | GateConfig = "auto", models: Mapping[str, Callable[..., Any]] | None = None
) -> Gate:
    """A gate by preset name (`math`, `strict`, `choice`, `text`, `code`, `auto`), from a YAML file, or from a config.

    `models` are what its checks may ask: `similarity(a, b)`, `sentences(texts, sources)`,
    `entails(premise, hypothesis)`, `relations(pairs)`, `judge(row, text)`. One with a method `prepare(asked)`, where
    `asked` is a list of such arguments, is told beforehand what `verify_many` will ask.
    """
    if isinstance(preset_or_file, GateConfig):
        return Gate(preset_or_file, models)
    name = str(preset_or_file)
    if name in PRESETS:
        return Gate(PRESETS[name], models)
    path = Path(preset_or_file)
    if not path.is_file():
        raise UsageError(
            f"gate {name!r} is neither a preset ({', '.join(PRESETS)}) nor a file. "
            "Name a preset, or a YAML file with `checks:`."
        )
    import yaml

    try:
        loaded = yaml_file.load(path.read_text(encoding="utf-8"))
        return Gate(GateConfig.model_validate({"name": path.stem, **(loaded or {})}), models)
    except (yaml.YAMLError, ValidationError, TypeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"gate file {path}: {error}. Expected `checks:`, a list of {{type: ..., thresholds}}."
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
