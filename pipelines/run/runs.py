"""Runs: a job, what it was asked, what it said, in a folder that its identity names.

`execute` is the one way in which a verb runs, from the command line, from `recast run`, from the demo
and from Python. A verb that owns a run folder gets `<store>/runs/<verb>-<fingerprint>/`; the fingerprint
covers the arguments, the configuration it uses and the content behind every name it was given. So the
same command finds the same folder: finished, its result is returned; unfinished, the job goes on.

    config.resolved.yaml   what was asked, defaults included
    events.jsonl           started, progress, finished, failed, interrupted
    result.json            written last: its presence means finished
    ...                    whatever the job keeps there

What runs where, and in which order, is the business of `stages`; what jobs do, of `jobs`.
"""

from __future__ import annotations

import contextlib
import fcntl
import inspect
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import RecastError, UsageError
from recast.curate.files import write_json, write_text
from recast.curate.fingerprint import fingerprint
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

    @property
    def id(self) -> str:
        """What a version records of the run that made it."""
        return self.fingerprint[:DIGITS]

    def event(self, kind: str, **values: Any) -> None:
        """Append one line to the events."""
        line = json.dumps({"at": time.time(), "event": kind, **values}, default=str) + "\n"
        with (self.folder / EVENTS).open("a", encoding="utf-8") as file:
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
    Raises what the job raises; UsageError for an unknown verb or argument.
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
    run = Run(folder, identified, fresh, args)
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder, patience_s):
        found = None if fresh else run.result()
        if found is not None and still_there(found["result"], store):
            return Outcome(found["result"], found["seconds"], found=True, run=run)
        if fresh:
            forget(run.folder)
        import yaml

        said = {**asked, "given": {name: _plain(value) for name, value in args.items() if value is not None}}
        write_text(run.folder / RESOLVED, yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
        injected["run"] = lambda: run
        injected["progress"] = lambda: _logged(progress, run)
        run.event("started", pid=os.getpid())
        started = time.monotonic()
        try:
            result = job(**asked_for, **{name: injected[name]() for name in wanted})
        except KeyboardInterrupt:
            run.event("interrupted", seconds=time.monotonic() - started)
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


def identity_of(verb: Verb, args: Mapping[str, Any], config: Config, store: Path) -> dict[str, Any]:
    """What makes two calls the same: verb, arguments, the configuration used, and content behind names."""
    own = parameters(verb)
    plain, inputs = {}, {}
    for name, value in sorted(args.items()):
        kind = names_of(own[name])
        if value is None or value == own[name].default or kind in (Names.BUDGET, Names.ADDRESS):
            continue
        if kind in (None, Names.OUTPUT):
            plain[name] = _plain(value)
        else:
            values = value if isinstance(value, list | tuple) else [value]
            inputs[name] = [identity.of(kind, v, lambda: open_store(store)) for v in values]
    resolved: dict[str, Any] = {name: config.identity(name) for name in verb.sections if name != "prompts"}
    # nobody named a prompt when runs of before were made
    if "prompts" in verb.sections and (asked := identity.prompts(config, lambda: open_store(store))):
        resolved["prompts"] = asked
    if {"learn", "rewrite", "augment"} & set(verb.sections):
        from recast.curate.gate.gate import load_gate

        resolved["gate"] = load_gate(config.gate_for(verb.name)).id
    return {
        "recast": recast_version(),
        "verb": verb.name,
        "args": plain,
        "inputs": inputs,
        "config": resolved,
    }


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
def locked(folder: Path, patience_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold a run folder for this process. Waits a moment, since the workers of a killed run die with a delay."""
    deadline = time.monotonic() + patience_s
    with (folder / ".lock").open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    raise UsageError(
                        f"the same job is running already, as process {holder}, in {folder}. "
                        "Wait for it, or stop it and run the same command: it goes on from there."
                    ) from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def forget(folder: Path) -> None:
    """Empty a run folder, but for the lock that is held and the events."""
    import shutil

    for path in folder.iterdir():
        if path.name in (".lock", EVENTS):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def recast_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

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


def _logged(progress: Progress | None, run: Run) -> Progress:
    last = 0.0

    def report(point: Any = None, total: Any = None, figures: Any = None, **more: Any) -> None:
        nonlocal last
        if not isinstance(point, Mapping):
            point = {k: v for k, v in (("done", point), ("total", total)) if v is not None}
        point = {**point, **(figures or {}), **more}
        if progress:
            progress(point)
        if time.monotonic() - last >= EVENT_EVERY_S:
            last = time.monotonic()
            run.event("progress", **point)

    return report


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
