"""Runs: a job, what it was asked, what it said, in a folder that its identity names.

`execute` is the one way in which a verb runs, from the command line, from `recast run`, from the demo
and from Python. A verb that owns a run folder gets `<store>/runs/<verb>-<fingerprint>/`; the fingerprint
covers the arguments, the configuration it uses and the content behind every name it was given. So the
same command finds the same folder: finished, its result is returned; unfinished, the job goes on.

    config.resolved.yaml   what was asked, defaults included
    events.jsonl           started, progress, finished, failed, interrupted, cancelled
    result.json            written last: its presence means finished
    workers/               who is at work (`curate.presence`) and on what (`curate.leases`)
    cancel                 `recast jobs cancel` was here: whoever began before it stops
    ...                    whatever the job keeps there

A run belongs to one process, unless it is asked for with a number of workers (`Verb.shares`): then so many processes,
here and wherever the same command was given, do it together, and the one that finds everything made ends it.

What runs where, and in which order, is the business of `stages`; what jobs do, of `jobs`.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import CancelledError, RecastError, UsageError
from recast.curate.files import write_json, write_text
from recast.curate.fingerprint import fingerprint
from recast.curate.leases import Leases
from recast.curate.presence import Presence
from recast.pipelines.options import Names
from recast.pipelines.run import identity
from recast.pipelines.run.arguments import bind, complete, find, gathered, names_of, parameters
from recast.pipelines.terminal.progress import Progress, Reporter
from recast.pipelines.verbs import INJECTED, Verb

if TYPE_CHECKING:
    from recast.pipelines.config import Config

DISTRIBUTION = "recast-sft"  # `recast` on the package index is another project's
DIGITS = 12
RESULT = "result.json"
EVENTS = "events.jsonl"
RESOLVED = "config.resolved.yaml"
WORKERS, LOGS = "workers", "logs"
CANCEL = "cancel"
LOCK, TURN = ".lock", ".turn"
SHARED = "shared"  # in the lock, where no single process holds it
EVENT_EVERY_S = 2.0
LOCK_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of one job."""

    folder: Path
    fingerprint: str
    fresh: bool = False  # what an earlier attempt made is to be made again
    given: Mapping[str, Any] = field(
        default_factory=dict
    )  # arguments of the job, by the names of its options
    leases: Leases | None = None  # None: this process has the run for itself
    turn: Callable[[], None] = lambda: None  # waits until no other process ends the run

    @property
    def id(self) -> str:
        """What a version records of the run that made it."""
        return self.fingerprint[:DIGITS]

    def event(self, kind: str, **values: Any) -> None:
        """Append one line to the events, each process that shares a run to its own."""
        line = json.dumps({"at": time.time(), "event": kind, **values}, default=str) + "\n"
        with events(self.folder, self.leases.me.id if self.leases else None).open(
            "a", encoding="utf-8"
        ) as file:
            file.write(line)

    def result(self) -> dict[str, Any] | None:
        """The result, or None where the job has not finished."""
        try:
            return json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def finish(self, result: Mapping[str, Any]) -> None:
        write_json(self.folder / RESULT, result)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call."""

    result: dict[str, Any]
    seconds: float  # of the run that did the work
    found: bool  # True where the result was there already
    run: Run | None


def execute(
    verb: str,
    args: Mapping[str, Any],
    *,
    store: str | Path,
    config: Config | None = None,
    progress: Progress | None = None,
    reporter: Reporter | None = None,
    memo: bool = False,
    fresh: bool = False,
    patience_s: float = LOCK_WAIT_S,
) -> Outcome:
    """Run one verb and return its outcome.

    `args` are keyword arguments of the job. `memo` keeps a run folder for verbs that have none of their
    own, so that a stages file can skip what is finished; `fresh` forgets what an earlier run found;
    `patience_s` is how long to wait for another process that runs the same job.
    Raises what the job raises; UsageError for an unknown verb or argument; CancelledError.
    """
    entry = find(verb)

    def settings() -> Config:
        from recast.pipelines.config import Config  # pydantic: a third of the time that `recast log` may take

        return config or Config()

    args = complete(entry, bind(entry, args), config)
    job = entry.job
    injected = {
        "store": lambda: open_store(store),
        "config": settings,
        "progress": lambda: progress,
        "reporter": lambda: reporter,
        "run": lambda: None,
    }
    wanted = [name for name in INJECTED if name in inspect.signature(job).parameters]
    asked_for = gathered(entry, args)
    if not (entry.has_run or memo):
        started = time.monotonic()
        result = job(**asked_for, **{name: injected[name]() for name in wanted})
        return Outcome(result, time.monotonic() - started, found=False, run=None)

    asked = identity_of(entry, args, settings(), Path(store))
    identified = fingerprint(asked)
    folder = Path(store) / "runs" / f"{verb.replace(' ', '-')}-{identified[:DIGITS]}"
    workers = args.pop("workers", None) if entry.shares else None
    if args.get("ray"):  # its actors are not processes that share the run
        workers = None
    run = Run(folder, identified, fresh, args)
    if workers and fresh:
        raise UsageError(
            f"--fresh starts over, and --workers takes part in what others may be doing. Remove {folder} and leave "
            "--fresh out, or do it again without --workers."
        )
    if workers and workers > 1 and _finished(run, store) is None:
        from recast.pipelines.run.sharing import in_processes

        started = time.monotonic()
        one = {**args, "workers": 1}
        result = in_processes(verb, one, workers, store, settings(), folder / LOGS, progress)
        return Outcome(result, time.monotonic() - started, found=False, run=run)
    run.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        held.enter_context(locked(run.folder, patience_s, shared=bool(workers)))
        found = None if fresh else _finished(run, store)
        if found is not None:
            return Outcome(found["result"], found["seconds"], found=True, run=run)
        if fresh:
            forget(run.folder)
        me = held.enter_context(Presence(run.folder / WORKERS, {"verb": verb, "shares": bool(workers)}))
        if workers:

            def turn() -> None:
                held.enter_context(locked(run.folder, math.inf, name=TURN))
                if _finished(run, store) is not None:
                    raise _FinishedByAnother

            run = replace(run, leases=held.enter_context(Leases(me)), turn=turn)
            (run.folder / LOGS).mkdir(exist_ok=True)
        import yaml

        said = {**asked, "given": {name: _plain(value) for name, value in args.items() if value is not None}}
        write_text(run.folder / RESOLVED, yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
        injected["run"] = lambda: run
        injected["progress"] = lambda: _logged(progress, run, me)
        run.event("started", pid=os.getpid())
        started = time.monotonic()
        try:
            result = job(**asked_for, **{name: injected[name]() for name in wanted})
        except _FinishedByAnother:
            run.event("finished", by="another process")
            found = _finished(run, store)
            assert found is not None  # it was there a moment ago, and we have the turn
            return Outcome(found["result"], found["seconds"], found=True, run=run)
        except KeyboardInterrupt:
            run.event("interrupted", seconds=time.monotonic() - started)
            raise
        except CancelledError:
            run.event("cancelled", seconds=time.monotonic() - started)
            raise
        except BaseException as error:
            # the disk may be what failed: the job's own error must not be hidden by a second one
            with contextlib.suppress(OSError):
                run.event("failed", error=type(error).__name__, message=str(error))
            raise
        seconds = round(time.monotonic() - started, 3)
        run.finish({"verb": verb, "fingerprint": run.fingerprint, "seconds": seconds, "result": result})
        run.event("finished", seconds=seconds)
        return Outcome(result, seconds, found=False, run=run)


class _FinishedByAnother(Exception):
    """Another process that shares the run has ended it. Caught in `execute`."""


def events(folder: Path, worker: str | None = None) -> Path:
    """The file of a run's events, or of those of one of the processes that share it."""
    return folder / EVENTS if worker is None else folder / LOGS / f"{worker}.{EVENTS}"


def _finished(run: Run, store: str | Path) -> dict[str, Any] | None:
    """What `finish` wrote, unless what the run made has been deleted since."""
    found = run.result()
    return found if found is not None and still_there(found["result"], store) else None


def identity_of(verb: Verb, args: Mapping[str, Any], config: Config, store: Path) -> dict[str, Any]:
    """What makes two calls the same: verb, arguments, the configuration used, and content behind names."""
    own = parameters(verb)
    plain, inputs = {}, {}
    for name, value in sorted(args.items()):
        kind = names_of(own[name])
        if (
            value is None
            or value == own[name].default
            or kind in (Names.BUDGET, Names.ADDRESS, Names.WORKERS)
        ):
            continue
        if kind in (None, Names.OUTPUT):
            plain[name] = _plain(value)
        else:
            values = value if isinstance(value, list | tuple) else [value]
            inputs[name] = [identity.of(kind, v, lambda: open_store(store)) for v in values]
    return {
        "recast": recast_version(),
        "verb": verb.name,
        "args": plain,
        "inputs": inputs,
        **settings_of(verb, args, config, store),
    }


def settings_of(verb: Verb, args: Mapping[str, Any], config: Config, store: Path) -> dict[str, Any]:
    """Of `identity_of`, what the configuration decides: the sections read, the gate, and revised rules."""
    # a section that came later, such as prompts, is empty as long as nobody uses it, and runs of before had none
    sections = [*verb.sections, *(section for option, section in verb.sections_with if args.get(option))]
    resolved: dict[str, Any] = {
        name: found for name in sections if name != "prompts" and (found := config.identity(name))
    }
    if "prompts" in verb.sections and (asked := identity.prompts(config, lambda: open_store(store))):
        resolved["prompts"] = asked
    if {"learn", "rewrite", "augment"} & set(verb.sections):
        from recast.curate.gate.gate import load_gate

        resolved["gate"] = load_gate(config.gate_for(verb.name)).id
    rules = config.rules(verb.sections)
    return {"config": resolved, **({"rules": rules} if rules else {})}


def open_store(path: str | Path) -> Any:
    """The store at `path`; the folder is made when something is committed."""
    from recast.curate.store.store import Store

    return Store(Path(path))


def still_there(result: Mapping[str, Any], store: str | Path) -> bool:
    """Whether what a finished run made has not been deleted since."""
    if result.get("out") and not Path(result["out"]).exists():
        return False
    if result.get("version"):
        try:
            open_store(store).resolve(result["version"])
        except RecastError:
            return False
    return True


@contextlib.contextmanager
def locked(
    folder: Path, patience_s: float = LOCK_WAIT_S, *, shared: bool = False, name: str = LOCK
) -> Iterator[None]:
    """Hold a run folder for this process, or for all that hold it `shared`. Waits a moment, since the workers of a
    killed run die with a delay."""
    deadline = time.monotonic() + patience_s
    with (folder / name).open("a+") as file:
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise UsageError(_held(folder, file.read().strip())) from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(SHARED if shared else str(os.getpid()))
        file.flush()
        yield


def _held(folder: Path, holder: str) -> str:
    if holder == SHARED:
        return (
            f"processes that share it are doing this job already, in {folder}. With --workers the same command helps "
            "them; without it, wait for them, or stop them with `recast jobs cancel`."
        )
    return (
        f"the same job is running already, as process {holder or 'unknown'}, in {folder}. "
        "Wait for it, or stop it and run the same command: it goes on from there."
    )


def forget(folder: Path) -> None:
    """Empty a run folder, but for the lock that is held and the events."""
    import shutil

    for path in folder.iterdir():
        if path.name in (LOCK, EVENTS):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def recast_version() -> str:

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+source"


def quiet_libraries() -> None:
    """Libraries keep their banners, bars and telemetry to themselves. Before they are imported."""
    for name, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TQDM_DISABLE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "PYTHONWARNINGS": "ignore",
    }.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")


def _logged(progress: Progress | None, run: Run, me: Presence) -> Progress:
    last = 0.0
    first: float | None = None

    def report(point: Any = None, total: Any = None, figures: Any = None, **more: Any) -> None:
        nonlocal last, first
        if not isinstance(point, Mapping):
            point = {k: v for k, v in (("done", point), ("total", total)) if v is not None}
        point = {**point, **(figures or {}), **more}
        if progress:
            progress(point)
        if time.monotonic() - last >= EVENT_EVERY_S:
            last = time.monotonic()
            run.event("progress", **point)
            if "done" in point:
                first = point["done"] if first is None else first
                me.say(first=first)
            plain = {k: v for k, v in point.items() if isinstance(v, int | float | str)}
            me.say(**plain, at=time.time())
            if cancelled(run.folder, me.since):
                raise CancelledError(
                    f"cancelled by `recast jobs cancel`. What is finished stands in {run.folder}; the same command "
                    "goes on from there."
                )

    return report


def cancel(folder: Path) -> None:
    """Ask whoever is at work in a run folder to stop."""
    write_text(folder / CANCEL, "")


def cancelled(folder: Path, since: float) -> bool:
    """Whether that was asked later than `since`, on the clock of the file system."""
    try:
        return (folder / CANCEL).stat().st_mtime > since
    except FileNotFoundError:
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
