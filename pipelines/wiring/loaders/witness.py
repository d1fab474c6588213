"""An export read by its trainer's own loader, held against our account of it (`curate.export.check.masks`).

    require(to, objective, python)                            # before anything is written
    told = witness(done, tokenizer, "path/to/model", python=Path("/opt/axolotl/bin/python"))
    told["differ"]                                            # rows of which it trains other tokens than we say

The loader runs in a process of its own: in this interpreter where the trainer is installed beside recast, else in that
of the trainer's environment, whose packages conflict with ours as a rule.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.errors import MissingDependencyError, UsageError
from recast.curate.export.check.measure import LIMITS, examples_of, lines_of, row_of
from recast.curate.export.check.rendering import Example, NotRead
from recast.curate.export.destination import opened
from recast.curate.export.formats import Line, Objective
from recast.curate.export.outcome import Exported
from recast.curate.export.registry import FORMATS, find
from recast.pipelines.wiring.loaders import readers
from recast.pipelines.wiring.loaders.readers import READERS

LINES = 1_000
"""Lines that the loader reads: enough to see where it differs, and few enough to wait for."""
CUTS = ("trl",)
"""Trainers whose loader cuts rows as it reads them; of others, rows that would be cut are left out."""
SIDECARS = (".yaml", ".json", ".py", ".toml")
LAST_WORDS = 400  # characters of what a loader that failed said


def name_of(to: str, objective: Objective) -> str:
    """What the reader of a format is called, if there is one."""
    return to if objective == "sft" else f"{to}-{objective}"


def require(to: str, objective: Objective, python: Path) -> None:
    """Raise UsageError or MissingDependencyError unless `python` is an interpreter that has the trainer."""
    reader, trainer = READERS.get(name_of(to, objective)), FORMATS[to].trainer
    if reader is None:
        known = ", ".join(READERS)
        raise UsageError(f"recast can call no loader of {trainer} for {objective}; it can of {known}.")
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({reader.module!r}) is None)"
    try:
        found = subprocess.run([_interpreter(python), "-c", look], capture_output=True, text=True)
    except OSError as error:
        raise UsageError(
            f"{python} does not run ({error.strerror}); --python takes an interpreter."
        ) from error
    if found.returncode:
        raise MissingDependencyError(
            f"{python} has no module {reader.module}. Give --python the interpreter of the environment in which "
            f"{trainer} is installed, for instance path/to/venv/bin/python."
        )


def witness(
    done: Exported,
    tokenizer: Any,
    model: str,
    *,
    max_length: int | None = None,
    python: Path | None = None,
    like: str | None = None,
) -> dict[str, Any]:
    """What the trainer's own code trains of the first lines, held against our account of it.

    `tokenizer` is that of `model`; `python` None is this interpreter, where it has the trainer; `like`: the trainer by
    whose account it is held where it has none of its own. `differ` has the rows whose tokens or mask are not as we say,
    `more` counts examples of no row, `failed` is what the loader said where it came to no end. `loader` is None and
    `why_not` says why where none was asked.
    """
    name, trainer = name_of(done.format, done.objective), FORMATS[done.format].trainer
    if name not in READERS:
        return {"loader": None, "why_not": f"recast can call no loader of {trainer} for {done.objective}"}
    if python is None and importlib.util.find_spec(READERS[name].module) is None:
        why = f"{trainer} is not installed here; with --python PATH its own loader reads the rows, too"
        return {"loader": None, "why_not": why}
    limit = max_length or LIMITS.get(done.format, (None, "cut"))[0] or readers.ANY_LENGTH
    ours: list[tuple[str, Example]] = []
    wanted: list[bool] = []
    for line in islice(lines_of(done), LINES):
        examples = _fitting(done, line, tokenizer, limit, like or done.format)
        wanted.append(bool(examples))
        ours += [(row_of(line), example) for example in examples]
    if not any(wanted):
        why = f"{trainer} reads none of the first {len(wanted)} lines whole"
        return {"loader": None, "why_not": why}
    with tempfile.TemporaryDirectory(prefix="recast-check-") as folder:
        _copy(done, Path(folder), wanted)
        loader, theirs, failed = _read(name, Path(folder), model, done.turns, limit, python)
    unlike, more = ([], 0) if failed else compared(ours, theirs)
    told = {
        "loader": loader or READERS[name].package,
        "lines": sum(wanted),
        "left_out": len(wanted) - sum(wanted),
        "tokens_trained": sum(sum(example.trained) for example in theirs),
        "differ": list(dict.fromkeys(row for row, _, _ in unlike)),
        "more": more,
        "failed": failed,
    }
    if unlike:
        row, mine, its = unlike[0]
        told["first"] = {
            "row": row,
            "it_trains": its and _learnt(tokenizer, its),
            "we_say": _learnt(tokenizer, mine),
        }
    return told


Unlike = tuple[str, Example, Example | None]


def compared(ours: Sequence[tuple[str, Example]], theirs: Sequence[Example]) -> tuple[list[Unlike], int]:
    """Our examples that the loader does not make, with what it makes in their place where that can be told, and how
    many it makes beside. The order of rows is the loader's own."""
    left = Counter(map(_key, theirs))
    unlike: list[Unlike] = []
    for n, (row, example) in enumerate(ours):
        key = _key(example)
        if left[key]:
            left[key] -= 1
        else:
            unlike.append((row, example, theirs[n] if len(theirs) == len(ours) else None))
    return unlike, max(0, len(theirs) - len(ours))


def _learnt(tokenizer: Any, example: Example) -> str:
    return tokenizer.decode(list(compress(example.ids, example.trained)))


def _key(example: Example) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    return tuple(example.ids), tuple(example.trained)


def _fitting(done: Exported, line: Line, tokenizer: Any, limit: int, like: str) -> list[Example]:
    """What we say a line is; nothing where the trainer would drop it, or cut it after it is read."""
    try:
        examples = list(examples_of(line, tokenizer, like, done.objective, done.turns))
    except NotRead:
        return []
    if done.format in CUTS:
        examples = [Example(each.ids[:limit], each.trained[:limit]) for each in examples]
    if any(len(each.ids) > limit for each in examples):
        return []
    trains = done.objective not in ("grpo", "rft")
    return [] if trains and not all(True in each.trained for each in examples) else examples


def _copy(done: Exported, folder: Path, wanted: Sequence[bool]) -> None:
    """The wanted ones of the first lines as the one file of rows, and what stands beside."""
    name = find(done.format, done.objective)[2].files[0].format(slug=folder.name)
    if done.data[0].suffix == ".parquet":
        pq.write_table(_wanted_rows(done, wanted), folder / f"{name}.parquet")
    else:
        with (folder / f"{name}.jsonl").open("wb") as file:
            file.writelines(compress(_raw_lines(done), wanted))
    data = set(done.data)
    for written in done.files:
        if written.path not in data and written.path.suffix in SIDECARS:
            with opened(written.path) as source:
                (folder / written.path.name).write_bytes(source.read())


def _wanted_rows(done: Exported, wanted: Sequence[bool]) -> pa.Table:
    kept: list[pa.RecordBatch] = []
    seen = 0
    for path in done.data:
        with opened(path) as source, pq.ParquetFile(source) as file:
            for batch in file.iter_batches(len(wanted)):
                here = wanted[seen : seen + batch.num_rows]
                kept.append(batch.slice(0, len(here)).filter(pa.array(here, pa.bool_())))
                seen += len(here)
                if seen == len(wanted):
                    return pa.Table.from_batches(kept)
    return pa.Table.from_batches(kept)


def _raw_lines(done: Exported) -> Iterator[bytes]:
    for path in done.data:
        with opened(path) as file:
            yield from file


def _read(
    name: str, folder: Path, model: str, turns: str, limit: int, python: Path | None
) -> tuple[str | None, list[Example], str | None]:
    """Name and version of the loader, what it makes of `folder`, and what it said if it failed."""
    import recast

    found, root = folder / ".examples.jsonl", Path(str(recast.__file__)).absolute().parents[1]
    model = str(Path(model).absolute()) if Path(model).exists() else model
    command = [
        _interpreter(python),
        Path(readers.__file__).resolve(),
        name,
        folder,
        model,
        turns,
        limit,
        root,
        found,
    ]
    # offline, as all it needs is here; no GPU, as only tokens are asked for
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_DISABLED": "true"}
    environment = os.environ | quiet | {"CUDA_VISIBLE_DEVICES": ""}
    if python is not None:
        environment.pop("PYTHONPATH", None)  # it was meant for this interpreter
    ran = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, cwd=folder)
    lines = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    loader = json.loads(lines[0]) if lines else None
    if ran.returncode:
        return loader, [], ran.stderr.strip()[-LAST_WORDS:] or f"it ended with exit code {ran.returncode}"
    return loader, [Example(*json.loads(line)) for line in lines[1:]], None


def _interpreter(python: Path | None) -> str:
    """Its path as a process with another working directory finds it; links stay, as they tell an environment."""
    if python is None:
        return sys.executable
    return os.path.abspath(shutil.which(str(python)) or str(python))
