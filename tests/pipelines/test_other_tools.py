"""Every line of the table of tools in API.md reads the version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import recast
from recast.curate.export.export import export
from tests.conftest import ROOT
from tests.fakes.exports import kinds_of_rows, sums

PAGE = ROOT / "pipelines" / "API.md"
LINE = re.compile(r"^\| [\w ]+ \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
LINES = [line for pair in LINE.findall(PAGE.read_text(encoding="utf-8")) for line in pair]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows over two parts, one changed and one removed, with tool calls among them."""
    folder = tmp_path_factory.mktemp("here")
    store = recast.open(folder / ".recast")
    rows = [*sums(5), kinds_of_rows()[1]]
    store.commit(rows, "craft")
    export(store, "craft", "parquet", folder / "out")
    store.commit([*rows[1:5], rows[5] | {"completion": "Five."}], "craft")
    return folder


def texts(read: Any) -> list[str]:
    """The column `completion` of what a tool calls a table."""
    if hasattr(read, "fetchall"):
        return [text for (text,) in read.project("completion").fetchall()]
    if hasattr(read, "take_all"):
        return [row["completion"] for row in read.take_all()]
    return list(read["completion"])


def test_the_table_has_two_lines_for_each_of_four_tools() -> None:
    assert len(LINES) == 8


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_a_line_reads_the_version(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(folder)
    tool = next(name for name in ("pandas", "polars", "duckdb", "ray") if name in line.replace("to_", ""))
    module = pytest.importorskip("ray.data" if tool == "ray" else tool)
    if tool == "ray":
        import ray

        module = ray
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
        request.addfinalizer(ray.shutdown)
    read = eval(line, {"recast": recast, tool: module})
    live = line.startswith("recast") or "recast." in line
    wanted = {"The answer is 2.", "The answer is 4.", "The answer is 6.", "The answer is 8."}
    wanted |= {"Five."} if live else {"The answer is 0.", "It is 5."}
    assert set(texts(read)) == wanted and len(texts(read)) == len(wanted)
