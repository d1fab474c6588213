"""A trainer's own loader, in an environment of its own, against our account of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from recast.curate.export.check.rendering import Example
from recast.curate.store.store import Store
from recast.pipelines.wiring.loaders.witness import compared
from tests.fakes.exports import kinds_of_rows, sums

MLX = """
class CacheDataset(list):
    pass


def load_dataset(args, tokenizer):
    import json

    with open(args.data + "/train.jsonl") as lines:
        talks = [json.loads(line)["messages"] for line in lines]
    ids = lambda turns, asks: tokenizer.apply_chat_template(turns, add_generation_prompt=asks, return_dict=False)
    return [[(ids(talk, False), len(ids(talk[:-1], True)) + {shift}) for talk in talks]]
"""


def environment(folder: Path, **modules: str) -> Path:
    """An interpreter that finds these modules, and all that this one finds."""
    for name, text in modules.items():
        path = folder / "packages" / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(exist_ok=True)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}/packages" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python


def mlx(folder: Path, shift: int) -> Path:
    return environment(folder, **{"mlx_lm.tuner.datasets": MLX.replace("{shift}", str(shift))})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Store(tmp_path / ".recast").commit([*sums(4), kinds_of_rows()[0]], "talks")
    return tmp_path


def test_examples_are_matched_whatever_their_order_and_none_counts_twice():
    one, other = Example([1, 2], [False, True]), Example([1, 2], [True, True])
    assert compared([("a", one), ("b", other)], [other, one]) == ([], 0)
    assert compared([("a", one), ("b", one)], [one, other]) == ([("b", one, other)], 0)
    assert compared([("a", one), ("b", one)], [one]) == ([("b", one, None)], 0)
    assert compared([("a", one)], [one, one]) == ([], 1)


@pytest.mark.slow
def test_the_loader_of_an_environment_of_its_own_is_held_against_our_account(recast: Any, home: Path) -> None:
    words = ("export", "talks", "--to", "mlx", "-o", "out", "--check", "pocket")
    said = recast(*words, "--python", str(mlx(home / "right", 0)), "--json")
    check = said.json["check"]
    own = check["own_loader"]
    assert said.code == 0 and (own["lines"], own["left_out"], own["differ"], own["more"]) == (5, 0, [], 0)
    assert own["loader"] == "mlx-lm from its sources" and own["tokens_trained"] == check["tokens_trained"]

    said = recast(*words, "--python", str(mlx(home / "late", 1)), "--json")  # trains a token less of each row
    own = said.json["check"]["own_loader"]
    assert own["differ"] == ["r0", "r1", "r2", "r3", "talks"] and own["first"]["row"] == "r0"
    assert own["first"]["we_say"] == "The" + own["first"]["it_trains"]


@pytest.mark.slow
def test_rows_that_do_not_fit_are_left_out_and_a_loader_that_fails_is_exit_code_4(
    recast: Any, home: Path
) -> None:
    long = sums(1)[0] | {"row_id": "long", "completion": "and so on " * 60}
    Store(home / ".recast").commit([*sums(2), long], "talks")
    words = (
        "export",
        "talks",
        "--to",
        "mlx",
        "-o",
        "out",
        "--check",
        "pocket",
        "--max-length",
        "100",
        "--python",
    )
    said = recast(*words, str(mlx(home / "right", 0)), "--json")
    check = said.json["check"]
    own = check["own_loader"]
    assert check["cut"] == 1 and (own["lines"], own["left_out"], own["differ"]) == (2, 1, [])

    broken = environment(home / "broken", **{"mlx_lm.tuner.datasets": "raise ValueError('no such thing')"})
    said = recast(*words, str(broken))
    assert said.code == 4 and "its own loader (mlx-lm" in said.out and "no such thing" in said.out


def test_what_cannot_be_asked_is_said_before_anything_is_written(recast: Any, home: Path) -> None:
    words = ("export", "talks", "-o", "never", "--check", "pocket", "--python")
    said = recast(*words, str(environment(home / "bare")), "--to", "mlx")
    assert said.code == 6 and "has no module mlx_lm" in said.err
    said = recast(*words, str(home), "--to", "mlx")
    assert said.code == 2 and "does not run" in said.err
    said = recast(*words, sys.executable, "--to", "open-instruct")
    assert said.code == 2 and "can call no loader of open-instruct for sft" in said.err
    said = recast("export", "talks", "-o", "never", "--to", "mlx", "--python", sys.executable)
    assert said.code == 2 and "--python is for --check MODEL" in said.err
    assert not (home / "never").exists()


def test_readers_import_the_standard_library_alone():
    import ast

    from recast.pipelines.wiring.loaders import readers

    found = set()
    for node in ast.parse(Path(str(readers.__file__)).read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found and found <= set(sys.stdlib_module_names), json.dumps(sorted(found))
