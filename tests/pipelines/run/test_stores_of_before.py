"""What commit 9830611 left on disk stays valid: it opens, verifies, goes on, and every id is the same."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from recast.curate.gate.gate import load_gate
from recast.curate.store.store import Store
from recast.pipelines.config import SECTIONS, Config
from recast.pipelines.run import identity, runs

ARCHIVE = Path(__file__).parents[2] / "fixtures" / "of_9830611" / "before.tar.xz"


@pytest.fixture
def before(tmp_path, monkeypatch) -> dict[str, Any]:
    """The working folder of then as the current one; returns what that commit expected."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return json.loads(Path("expected.json").read_text())


def parts_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "parts").iterdir())}


def test_its_versions_verify_and_have_the_same_ids(before, recast):
    assert recast("verify", "--deep", "--json").json["problems"] == []
    store = Store(Path(".recast"))
    assert {ref: store.resolve(ref).id for ref in before["versions"]} == before["versions"]
    assert store.open(store.resolve("craft@ready")).table().num_rows == 24


RAISED = {"code"}
"""Checks whose revision went up since, for they decide otherwise: the gates that hold one have ids of their own now."""


def test_gates_agents_and_backbones_have_the_same_ids(before):
    now = {name: load_gate(name) for name in before["gates"]}
    raised = {name for name, gate in now.items() if RAISED & gate.identity["revisions"].keys()}
    assert {name for name, gate in now.items() if gate.id != before["gates"][name]} == raised
    assert identity.model("agent/adapter") == before["agent"]
    assert identity.model("pocket") == before["backbone"]["pipelines"] == before["backbone"]["train"]


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_a_section_of_the_configuration_has_the_same_identity(before, section):
    assert Config().identity(section) == before["config_identity"][section]


def test_a_finished_run_is_found_finished(before, recast):
    said = recast("learn", "craft@ready", "-c", "config.yaml", "-o", "agent")
    assert "found finished" in said.err
    said = recast("gate", "run", "craft@ready", "--gate", "mine.yaml", "-w", "1")
    assert "found finished" in said.err
    assert sorted(p.name for p in Path(".recast/runs").iterdir() if p.is_dir()) == before["runs"]


def test_a_run_that_stood_in_its_middle_goes_on_to_its_end(before, recast):
    run = next(r for r in Path(".recast/runs").glob("rewrite-*") if not (r / runs.RESULT).exists())
    made = parts_of(run)
    assert 0 < len(made) < 6  # 24 rows in batches of 4
    result = recast(*before["middle"], "--json").json
    assert sorted(p.name for p in Path(".recast/runs").iterdir() if p.is_dir()) == before["runs"]
    assert result["rows"] == 24 and sum(result["counts"].values()) == 24
    now = parts_of(run)
    assert len(now) == 6 and {name: now[name] for name in made} == made
    version = Store(Path(".recast")).resolve("own")
    assert version.ref == "own@v1" and version.meta["agent_gate_id"] is not None
