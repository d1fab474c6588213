"""Stages: verbs chained in a file, run several at a time, each finished one only once.

    config: {sft: {epochs: 2}}          # of every stage; a stage may have its own on top
    stages:
      - {name: data,  verb: import,  args: {path: demos.jsonl, as: craft}}
      - {name: agent, verb: learn,   args: {name: craft}, needs: [data]}
      - {name: text,  verb: rewrite, args: {name: craft, agent: "${agent.out}", as: craft-rewrites}}
      - {name: tuned, verb: sft,     args: {name: "${text.version}"}, seconds: 60}

A stage is a verb with its arguments, run by `runs.execute` like the same words on the command line.
`${stage.key}` stands for a value of another stage's result and implies the need of it. `seconds` is how
long a stage takes, roughly, for the time left of the whole; with `show: true` its verb says at the end what came of it.
Because a finished stage is found again by its fingerprint (verb, arguments, configuration, content of its inputs), a
file that was killed at any moment, or changed in one place, does only what is missing.

Stages run in worker processes that live for the whole run (`pipelines.run.worker`), since importing torch
takes as long as a small stage.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from recast.curate import yaml_file
from recast.curate.errors import RecastError, UsageError
from recast.pipelines.config import Config
from recast.pipelines.run.arguments import bind, find
from recast.pipelines.run.pool import Failure, Pool, Task
from recast.pipelines.terminal.progress import Reporter, Silent, clock
from recast.pipelines.verbs import VERBS

REFERENCE = re.compile(r"\$\{([\w-]+)\.([\w.-]+)\}")
KEYS = ("name", "verb", "args", "needs", "config", "seconds", "show")
TICK_S = 0.25
LINE_EVERY_S = 30.0
PLANNED_SHARE = 0.2
"""Share of all planned seconds that counts as if it had been seen to be right."""


class StageFailedError(RecastError):
    """One or more stages failed; the others that did not need them were finished."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Stage:
    """One verb with its arguments."""

    name: str
    verb: str
    args: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)  # on top of the plan's
    seconds: float | None = None  # a rough duration, for the time left
    show: bool = False  # whether the verb says at the end what came of it


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages whose needs are known and free of circles, in the order of the file."""

    stages: tuple[Stage, ...]
    config: Config = field(default_factory=Config)

    @classmethod
    def load(cls, path: str | Path, config: Config | None = None) -> Plan:
        """Read a stages file; `config` goes on top of the file's own. Raises UsageError."""
        path = Path(path)
        try:
            content = yaml_file.load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"there is no stages file {path}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict) or not isinstance(content.get("stages"), list):
            raise UsageError(f"{path} has no list of `stages:`. Each is {{name, verb, args, needs}}.")
        if unknown := set(content) - {"stages", "config"}:
            raise UsageError(
                f"{path}: unknown key {sorted(unknown)[0]!r}; a stages file has `stages` and `config`."
            )
        own = Config.of(content.get("config") or {})
        return cls.of(content["stages"], own.over(config.given) if config else own)

    @classmethod
    def of(cls, stages: Sequence[Mapping[str, Any] | Stage], config: Config | None = None) -> Plan:
        """Check stages given as mappings. Raises UsageError naming the stage and what is wrong with it."""
        found: list[Stage] = []
        for position, given in enumerate(stages):
            found.append(given if isinstance(given, Stage) else _stage(position, given))
        names = [stage.name for stage in found]
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise UsageError(f"two stages are called {twice!r}; names must differ.")
        found = [_with_implied_needs(stage) for stage in found]
        for stage in found:
            bind(find(stage.verb), stage.args)
            if missing := [n for n in stage.needs if n not in names]:
                raise UsageError(f"stage {stage.name!r} needs {missing[0]!r}, which no stage is called.")
        _refuse_circles(found)
        return cls(tuple(found), config or Config())

    def chain_length(self, name: str) -> float:
        """Length of the longest chain of stages that begins with this one: what is urgent."""
        after = [self.chain_length(s.name) for s in self.stages if name in s.needs]
        own = next(s.seconds for s in self.stages if s.name == name)
        return (own if own is not None else 1.0) + max(after, default=0.0)


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What one stage came to."""

    name: str
    result: dict[str, Any]
    seconds: float  # of the run that did the work
    found: bool  # finished before
    folder: str | None


def run(
    plan: Plan,
    *,
    store: str | Path,
    jobs: int,
    reporter: Reporter | None = None,
    logs: str | Path | None = None,
) -> dict[str, StageOutcome]:
    """Run every stage of `plan`, at most `jobs` at a time, and return their outcomes by name.

    What libraries print goes to `logs` (default `<store>/runs/logs`). A stage that fails stops those that
    need it; the others go on, and StageFailedError names it at the end, with its exit code. On
    KeyboardInterrupt the workers are stopped; the same call goes on.
    """
    return _Runner(
        plan, Path(store), jobs, reporter or Silent(), Path(logs or Path(store) / "runs" / "logs")
    ).run()


def default_jobs() -> int:
    """2 where there are 2 cores, else 1: stages are heavy, and most machines have one accelerator at best."""
    return min(2, os.cpu_count() or 1)


class _Runner:
    def __init__(self, plan: Plan, store: Path, jobs: int, reporter: Reporter, logs: Path) -> None:
        self.plan, self.store, self.jobs, self.reporter, self.logs = plan, store, jobs, reporter, logs
        self.urgency = {s.name: plan.chain_length(s.name) for s in plan.stages}
        self.outcomes: dict[str, StageOutcome] = {}
        self.failures: dict[str, Failure] = {}
        self.began: dict[str, float] = {}
        self.waiting = list(plan.stages)
        self.next_line = time.monotonic() + LINE_EVERY_S

    def run(self) -> dict[str, StageOutcome]:
        count = max(1, min(self.jobs, len(self.plan.stages)))
        heavy = any(VERBS[stage.verb].has_run for stage in self.plan.stages)
        with Pool(count, self.logs, warm=heavy) as pool:
            while self.waiting or pool.busy:
                self._start_ready(pool)
                if not pool.busy:
                    break  # what is left needs what failed
                for name, message in pool.messages(TICK_S):
                    self._heard(name, message)
                self._tick(pool)
        if self.failures:
            raise self._failure()
        return {stage.name: self.outcomes[stage.name] for stage in self.plan.stages}

    def _start_ready(self, pool: Pool) -> None:
        ready = [s for s in self.waiting if all(n in self.outcomes for n in s.needs)]
        for stage in sorted(ready, key=lambda s: -self.urgency[s.name])[: pool.idle]:
            self.waiting.remove(stage)
            try:
                args = self._filled(stage)
                config = self.plan.config.over(stage.config)
            except UsageError as error:
                self._failed(stage.name, Failure(error.exit_code, str(error)))
                continue
            self.began[stage.name] = time.monotonic()
            self.reporter.start(stage.name)
            pool.start(Task(stage.name, stage.verb, args, str(self.store), dict(config.given)))

    def _filled(self, stage: Stage) -> dict[str, Any]:
        """The arguments with `${stage.key}` replaced; one that is nothing else keeps its type."""

        def value(match: re.Match[str]) -> Any:
            found: Any = self.outcomes[match[1]].result
            for key in match[2].split("."):
                if not isinstance(found, Mapping) or key not in found:
                    known = ", ".join(found) if isinstance(found, Mapping) else "no keys"
                    raise UsageError(
                        f"stage {stage.name!r}: {match[0]} names nothing; the result has {known}."
                    )
                found = found[key]
            return found

        def fill(given: Any) -> Any:
            if isinstance(given, str):
                whole = REFERENCE.fullmatch(given)
                return value(whole) if whole else REFERENCE.sub(lambda m: str(value(m)), given)
            if isinstance(given, Mapping):
                return {k: fill(v) for k, v in given.items()}
            return [fill(v) for v in given] if isinstance(given, list | tuple) else given

        return {key: fill(given) for key, given in stage.args.items()}

    def _heard(self, name: str, message: Any) -> None:
        if isinstance(message, Mapping):
            self.reporter.update(name, message)
            return
        if isinstance(message, Failure):
            self._failed(name, message)
            return
        result, seconds, found, folder = message
        self.outcomes[name] = StageOutcome(name, result, seconds, found, folder)
        words = f"found finished ({clock(seconds)} then)" if found else f"done in {clock(seconds)}"
        self.reporter.finish(name, words)

    def _failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure
        self.reporter.finish(name, f"failed: {failure.message}")

    def _tick(self, pool: Pool) -> None:
        left = self._seconds_left()
        words = f"{len(self.outcomes)} of {len(self.plan.stages)} stages"
        words += f", about {clock(left)} left" if left is not None else ""
        self.reporter.tick(words, len(self.outcomes), len(self.plan.stages))
        if time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_EVERY_S
            self.reporter.heartbeat(f"{words}; running: {', '.join(sorted(pool.busy))}")

    def _seconds_left(self) -> float | None:
        """The longest chain of what is left, or all of it over the workers, whichever is more.

        Needs `seconds` of every stage; they are scaled by how the finished ones compared with theirs, as if a share
        of the whole had taken what was planned: a stage that found everything in place says little of the others.
        """
        if any(s.seconds is None for s in self.plan.stages):
            return None
        planned = {s.name: s.seconds or 0.0 for s in self.plan.stages}
        worked = [o for o in self.outcomes.values() if not o.found]
        trust = PLANNED_SHARE * sum(planned.values())
        scale = (sum(o.seconds for o in worked) + trust) / (
            sum(planned[o.name] for o in worked) + trust or 1.0
        )
        rest: dict[str, float] = {}
        for stage in self.plan.stages:
            if stage.name in self.outcomes or stage.name in self.failures:
                continue
            spent = time.monotonic() - self.began[stage.name] if stage.name in self.began else 0.0
            rest[stage.name] = max(planned[stage.name] * scale - spent, 0.0)

        def chain(name: str) -> float:
            return rest[name] + max((chain(s.name) for s in self.plan.stages if name in s.needs), default=0.0)

        return max(max((chain(n) for n in rest), default=0.0), sum(rest.values()) / self.jobs)

    def _failure(self) -> StageFailedError:
        skipped = [s.name for s in self.waiting]
        first = next(iter(self.failures.values()))
        sentences = [
            f"Stage {name} failed: {failure.message.rstrip('.')}." for name, failure in self.failures.items()
        ]
        if skipped:
            sentences.append(f"Not run, since they need it: {', '.join(skipped)}.")
        sentences.append("What is finished stands; the same command goes on.")
        return StageFailedError(" ".join(sentences), first.exit_code)


def _stage(position: int, given: Any) -> Stage:
    if not isinstance(given, Mapping):
        raise UsageError(
            f"stage {position + 1} is {given!r}; expected a mapping {{name, verb, args, needs}}."
        )
    name = str(given.get("name") or given.get("verb") or position + 1)
    if unknown := [k for k in given if k not in KEYS]:
        raise UsageError(f"stage {name!r} has an unknown key {unknown[0]!r}; there are {', '.join(KEYS)}.")
    if "verb" not in given:
        raise UsageError(f"stage {name!r} has no verb, for instance `verb: import`.")
    needs = given.get("needs") or ()
    return Stage(
        name,
        str(given["verb"]),
        dict(given.get("args") or {}),
        (needs,) if isinstance(needs, str) else tuple(needs),
        dict(given.get("config") or {}),
        given.get("seconds"),
        bool(given.get("show")),
    )


def _with_implied_needs(stage: Stage) -> Stage:
    def mentioned(given: Any) -> list[str]:
        if isinstance(given, str):
            return [match[1] for match in REFERENCE.finditer(given)]
        if isinstance(given, Mapping):
            return [name for value in given.values() for name in mentioned(value)]
        return (
            [name for value in given for name in mentioned(value)] if isinstance(given, list | tuple) else []
        )

    needs = tuple(dict.fromkeys([*stage.needs, *mentioned(stage.args)]))
    return replace(stage, needs=needs)


def _refuse_circles(stages: Sequence[Stage]) -> None:
    left = {stage.name: set(stage.needs) for stage in stages}
    while left:
        free = [name for name, needs in left.items() if not needs & set(left)]
        if not free:
            raise UsageError(f"stages need each other in a circle: {', '.join(sorted(left))}.")
        for name in free:
            del left[name]
