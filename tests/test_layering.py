"""Imports run one way at every level of the tree, and what must start at once imports nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("curate", "agent", "train", "pipelines")
MOST_MODULES = 16  # in one folder, `__init__` left out

# Room -> the rooms that it may import. A room is a folder of a package, or one of the package's loose modules; what
# stands in no row may be imported by everybody above it. Rooms that are planned and not built have their row already.
GROUND = (
    "records errors fingerprint chat groups intervals betting parallel schema files yaml_file texts model_folder "
    "presence leases"
)
MAY_IMPORT = {
    "curate": {
        **dict.fromkeys(GROUND.split(), GROUND),
        "maths": GROUND,
        "arithmetic": f"{GROUND} maths",
        "answers": f"{GROUND} maths arithmetic",
        "language": f"{GROUND} maths",
        "ingest": GROUND,
        "store": GROUND,
        "gate": f"{GROUND} maths arithmetic answers language store",
        "curation": f"{GROUND} arithmetic ingest gate",
        "export": f"{GROUND} store curation",
        "history": f"{GROUND} answers language ingest store gate",
    },
    "agent": {
        "prompts": "",
        "engines": "prompts",
        "batches": "engines",
        "reward": "prompts engines batches",
        "learning": "prompts engines reward",
        "rewriting": "prompts engines batches reward",
        "new_rows": "prompts engines batches rewriting",
    },
    "train": {
        "model": "",
        "graders": "",
        "pretraining": "model",
        "sft": "model",
        "evaluation": "model graders",
        "attribution": "model sft",
        "rejection": "model sft graders",
        "reward_model": "model sft rejection graders",
        "reinforcement": "model sft graders",
    },
    "pipelines": {
        "verbs": "",
        "exit_codes": "",
        "options": "",
        "config": "",
        "models": "",
        "terminal": "",
        "run": "verbs exit_codes options config models terminal",
        # not `ray`: beside a folder of that name the types of a checkout without Ray would fail, as vLLM's did
        "on_ray": "config models run",
        "wiring": "options config models terminal run",
        "doctor": "models run",
        "demo": "config terminal run wiring",
        "report": "verbs config run",
        "review": "config run wiring report",
        "effect": "config models terminal run demo report",
        "jobs": "options config models terminal run on_ray wiring doctor demo report review effect",
        "cli": "verbs exit_codes options config terminal run",
        "api": "verbs options config models terminal run wiring",
        "examples": "models demo api",
    },
}
# of another package: all of it, or the rooms named
ACROSS = {
    "curate": {},
    "train": {"curate": None},
    # loading, LoRA targets, chunked logits, memory; rollouts and ledger reach `train` as protocols wired in `pipelines`
    "agent": {"curate": None, "train": {"model"}},
    "pipelines": {"curate": None, "agent": None, "train": None},
}
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "sentence_transformers"}
# modules of the command line: they load before a verb is known, or for verbs that need no model
LIGHT = (
    "pipelines/cli.py",
    "pipelines/verbs.py",
    "pipelines/options.py",
    "pipelines/config.py",
    "pipelines/exit_codes.py",
    "pipelines/jobs/",
    "pipelines/models/",
    "pipelines/run/runs.py",
    "pipelines/terminal/",
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@dataclass(frozen=True, slots=True)
class Arrow:
    """One import of a module of ours by another, as paths of parts: ("curate", "gate", "gate")."""

    importer: tuple[str, ...]
    imported: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        return f"{'/'.join(self.importer)}.py:{self.line} imports {'.'.join(self.imported)}"


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every import between modules of the packages, inside functions and under TYPE_CHECKING, too."""
    known = {
        path.relative_to(ROOT).with_suffix("").parts for package in PACKAGES for path in modules(package)
    }
    found = []
    for importer in sorted(known):
        tree = ast.parse((ROOT / "/".join(importer)).with_suffix(".py").read_text(encoding="utf-8"))
        for names, line in ours(tree):
            places = (names, (*names, "__init__"), names[:-1], (*names[:-1], "__init__"))
            imported = next((place for place in places if place in known), None)
            assert imported is not None, (
                f"{'/'.join(importer)}.py:{line} imports {'.'.join(names)}: no such module"
            )
            if imported != importer:
                found.append(Arrow(importer, imported, line))
    return tuple(found)


def ours(tree: ast.AST) -> Iterator[tuple[tuple[str, ...], int]]:
    """What `tree` imports from `recast`, each name of a `from` with its module, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recast."):
            base = tuple(node.module.split(".")[1:])
            yield from (((*base, alias.name), node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("recast."):
                    yield tuple(alias.name.split(".")[1:]), node.lineno


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
def test_a_room_imports_only_the_rooms_that_its_row_names(package):
    wrong = []
    for arrow in arrows():
        if arrow.importer[0] != package or arrow.importer[1] == "__init__":
            continue
        room, (other, other_room) = arrow.importer[1], arrow.imported[:2]
        if other == package:
            allowed = {room, *MAY_IMPORT[package].get(room, "").split()}
        elif other in ACROSS[package]:
            allowed = ACROSS[package][other] or {other_room}
        else:
            allowed = set()
        if other_room not in allowed:
            wrong.append(str(arrow))
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_row(package):
    rooms = {path.relative_to(ROOT / package).with_suffix("").parts[0] for path in modules(package)}
    assert rooms - {"__init__"} <= set(MAY_IMPORT[package])


def test_no_circle_at_any_level_of_the_tree():
    """Between files of a folder, between folders of a folder, between a file and the folder beside it."""
    levels: dict[tuple[str, ...], dict[str, dict[str, Arrow]]] = defaultdict(lambda: defaultdict(dict))
    for arrow in arrows():
        depth = next(
            i for i, (a, b) in enumerate(zip(arrow.importer, arrow.imported, strict=False)) if a != b
        )
        above = arrow.importer[:depth]
        levels[above][arrow.importer[depth]].setdefault(arrow.imported[depth], arrow)
    circles = [circle for level in levels.values() for circle in circles_of(level)]
    assert circles == []


def circles_of(level: dict[str, dict[str, Arrow]]) -> list[list[str]]:
    """What is left when rooms that import nothing that is left are taken away, again and again, as its arrows."""
    left = {room: dict(seen) for room, seen in level.items()}
    while done := [room for room, seen in left.items() if not set(seen) & set(left)]:
        for room in done:
            del left[room]
    remaining = [str(a) for seen in left.values() for other, a in seen.items() if other in left]
    return [remaining] if remaining else []


def test_verbs_import_no_verbs():
    """What two of them share lies in `pipelines.wiring` or `pipelines.options`."""
    jobs = ("pipelines", "jobs")
    found = [
        str(arrow)
        for arrow in arrows()
        if arrow.importer[:2] == arrow.imported[:2] == jobs and arrow.imported[-1] != "__init__"
    ]
    assert found == []


def test_the_test_for_circles_finds_one():
    def arrow(a: str, b: str) -> Arrow:
        return Arrow(("p", a), ("p", b), 1)

    straight = {"a": {"b": arrow("a", "b")}, "b": {"c": arrow("b", "c")}}
    assert circles_of(straight) == []
    bent = {**straight, "c": {"a": arrow("c", "a")}}
    assert circles_of(bent) == [["p/a.py:1 imports p.b", "p/b.py:1 imports p.c", "p/c.py:1 imports p.a"]]


def test_no_folder_is_crowded():
    crowded = {
        str(folder.relative_to(ROOT)): count
        for package in PACKAGES
        for folder in {path.parent for path in modules(package)}
        if (count := sum(1 for path in folder.glob("*.py") if path.name != "__init__.py")) > MOST_MODULES
    }
    assert crowded == {}


def test_nothing_of_ours_is_imported_by_its_bare_name():
    """`import curate` would find the folder where tests run in the checkout: a second copy of every class."""
    paths = [p for package in (*PACKAGES, "tests") for p in modules(package) if "fixtures" not in p.parts]
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name in PACKAGES
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
        ".".join(("recast", *p.relative_to(ROOT).with_suffix("").parts))
        for p in modules("curate")
        if p.name not in ("__init__.py", "sandbox_child.py")
    ]
    loaded = loaded_after("\n".join(f"import {name}" for name in names))
    assert "recast" in loaded and loaded & HEAVY == set()


def test_help_loads_neither_torch_nor_arrow_nor_duckdb():
    loaded = loaded_after(
        "from recast.pipelines.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    )
    assert "recast" in loaded and loaded & (HEAVY | {"duckdb", "pyarrow", "numpy", "pandas"}) == set()


@pytest.mark.parametrize("verb", ["diff", "log", "export", "report", "import"])
def test_verbs_over_the_store_load_no_torch_for_their_help(verb):
    loaded = loaded_after(
        f"from recast.pipelines.cli import main\ntry:\n    main(['{verb}', '--help'])\nexcept SystemExit:\n    pass"
    )
    assert "recast" in loaded and loaded & HEAVY == set()
