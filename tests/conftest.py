"""What all tests share: one thread a process, the shared data where there are some, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# a deadline measures the machine, not the property
hypothesis.settings.register_profile("recast", deadline=None)
hypothesis.settings.load_profile("recast")
# before torch is imported: with several processes on few cores, two threads each are many times slower
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that would download something fails at once
os.environ.pop("RECAST_HOME", None)

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # files are given out in this order: one that takes a minute must not begin last
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets, which lie beside the repository and are no part of it."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"the real data sets are not here ({SHARED / 'data'})")
    return SHARED / "data"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with tokenizer and chat template."""
    from tests.fakes.models import make_model

    return make_model("llama", tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def tokenizer_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tokenizer without a model: the weights are a server's."""
    from tests.fakes.models import make_tokenizer

    path = tmp_path_factory.mktemp("models") / "tokenizer"
    make_tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder of the real pretrained model, fetched once a machine."""
    from recast.curate.errors import ModelError
    from recast.pipelines.models.fetch import get

    try:
        return Path(get("smollm2")["out"])
    except ModelError as error:
        pytest.skip(f"the real model cannot be had here: {error}")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def recast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run a command line in this process, in an empty folder: `recast("import", file, "--as", "x")`."""
    from recast.pipelines.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        return Said(int(exit_.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def recast_process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command line as a process of its own, in an empty folder."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: object, **kwargs: Any) -> subprocess.Popen[str]:
        # tests that a shell has put into the background ignore Ctrl-C, and so would every child of theirs
        kwargs.setdefault("preexec_fn", partial(signal.signal, signal.SIGINT, signal.SIG_DFL))
        process = subprocess.Popen(
            # the command as installed: `python -m` dies of an interrupt that met exec() of source code (a dataclass
            # being defined), whatever exit code the caught exception leads to
            [Path(sys.executable).with_name("recast"), *map(str, args)],
            cwd=kwargs.pop("cwd", tmp_path),
            env=os.environ | {"PYTHONPATH": str(ROOT)} | kwargs.pop("env", {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **kwargs,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def demonstrations(path: Path, num: int = 8) -> Path:
    """A file of `num` sums with solutions in the pocket world's columns."""
    rows = [
        {
            "id": f"sum-{i}",
            "question": f"What is {i} + 3?",
            "solution": f"{i} + 3 = {i + 3}. The answer is {i + 3}.",
            "answer": str(i + 3),
            "task": "sum",
        }
        for i in range(num)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def command_of(verb: str) -> Any:
    """The parser of a verb, such as "diff" or "gate run"; its `make_context` reads words without doing anything."""
    import typer

    from recast.pipelines import cli

    command: Any = typer.main.get_command(cli.build(verb))
    for word in verb.split():
        command = command.commands[word]
    return command
