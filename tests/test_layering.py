"""Imports run one way, and what must start at once imports nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("curate", "agent", "train", "pipelines")
MAY_IMPORT = {
    "curate": {"curate"},
    "agent": {"agent", "curate"},
    "train": {"train", "curate"},
    "pipelines": set(PACKAGES),
}
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "sentence_transformers"}
# modules of the command line: they load before a verb is known, or for verbs that need no model
LIGHT = (
    "pipelines/cli.py",
    "pipelines/jobs/",
    "pipelines/config.py",
    "pipelines/run/runs.py",
    "pipelines/terminal/progress.py",
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Top-level names of everything that `tree` imports, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], node.lineno


def imported_at_module_level(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """As `imported`, without what is inside functions or under `if TYPE_CHECKING`."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)
        pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_packages_below_it(package):
    forbidden = set(PACKAGES) - MAY_IMPORT[package]
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name in forbidden
    ]
    assert found == []


def test_no_module_imports_the_tests():
    found = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if "tests" in {name for name, _ in imported(ast.parse(path.read_text(encoding="utf-8")))}
    ]
    assert found == []


def test_curate_and_the_command_line_import_nothing_heavy_at_module_level():
    light = [
        *modules("curate"),
        *(p for p in modules("pipelines") if str(p.relative_to(ROOT)).startswith(LIGHT)),
    ]
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in light
        for name, line in imported_at_module_level(ast.parse(path.read_text(encoding="utf-8")))
        if name in HEAVY
    ]
    assert found == []


def loaded_after(code: str) -> set[str]:
    """Top-level modules in memory after `code` ran in a fresh interpreter."""
    ends = f"{code}\nimport sys\nprint('LOADED', *{{m.split('.')[0] for m in sys.modules}})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ends], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_every_module_of_curate_can_be_imported_without_torch():
    names = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in modules("curate")
        if p.name != "__init__.py"
    ]
    loaded = loaded_after("\n".join(f"import {name}" for name in names))
    assert loaded & HEAVY == set()


def test_help_loads_neither_torch_nor_arrow_nor_duckdb():
    loaded = loaded_after(
        "from pipelines.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    )
    assert loaded & (HEAVY | {"duckdb", "pyarrow", "numpy", "pandas"}) == set()


@pytest.mark.parametrize("verb", ["diff", "log", "export", "report", "import"])
def test_verbs_over_the_store_load_no_torch_for_their_help(verb):
    loaded = loaded_after(
        f"from pipelines.cli import main\ntry:\n    main(['{verb}', '--help'])\nexcept SystemExit:\n    pass"
    )
    assert loaded & HEAVY == set()


def test_help_takes_less_than_a_third_of_a_second_of_processor_time():
    spent = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "recast.pipelines.cli", "--help"],
            capture_output=True,
            check=True,
            cwd=ROOT,
        )
        after = os.times()
        spent.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    assert min(spent) < 0.3


def test_the_distribution_lists_every_package():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert listed == there
