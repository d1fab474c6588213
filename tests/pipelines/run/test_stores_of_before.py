"""What commit 9830611 left on disk stays valid: it opens and verifies, and versions, agents and configs keep their ids.

Where a check decides otherwise today, the id of its gate is another: what stands under the old id is still read, and a
run that began under it is never gone on with by the new gate.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from recast.curate.gate import gate_files
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


def runs_of() -> list[str]:
    return sorted(p.name for p in Path(".recast/runs").iterdir() if p.is_dir())


def unfinished(gate_id: str) -> Path:
    """The rewriting run that its budget stopped under that gate."""
    found = [r for r in Path(".recast/runs").glob("rewrite-*") if not (r / runs.RESULT).exists()]
    (run,) = [r for r in found if gate_id in (r / runs.RESOLVED).read_text()]
    return run


def test_its_versions_verify_and_have_the_same_ids(before, recast):
    assert recast("verify", "--deep", "--json").json["problems"] == []
    store = Store(Path(".recast"))
    assert {ref: store.resolve(ref).id for ref in before["versions"]} == before["versions"]
    assert store.open(store.resolve("craft@ready")).table().num_rows == 24


def test_agents_and_backbones_have_the_same_ids(before):
    assert identity.model("agent/adapter") == before["agent"]
    assert identity.model("pocket") == before["backbone"]["pipelines"] == before["backbone"]["train"]


def test_a_gate_keeps_its_id_unless_one_of_its_checks_decides_otherwise(before):
    ids = {name: load_gate(name).id for name in before["gates"]}
    assert ids["copies.yaml"] == before["gates"]["copies.yaml"]
    assert ids["mine.yaml"] != before["gates"]["mine.yaml"], "its check of answers decides anew"


def test_what_an_old_gate_said_is_still_read(before, recast):
    old = before["gates"]["mine.yaml"]
    assert old != load_gate("mine.yaml").id
    kept = json.loads((gate_files.folder(Path(".recast"), old) / "gate.json").read_text())
    assert kept["id"] == old and kept["name"] == "mine"
    (audit,) = gate_files.audits(Path(".recast"), before["versions"]["craft@v1"])
    assert (audit["gate_id"], audit["accepted"]) == (old, 24)
    assert old in recast("log", "craft").out
    said = recast("sql", "select gate_id, status, count(*) as rows from verdicts group by all", "--json").json
    assert [list(row.values()) for row in said["rows"]] == [[old, "accepted", 24]]
    assert f"gate {before['gates']['copies.yaml']} accepted it" in recast("why", "done@v1", "craft-00000").out


NEW_VERBS = {"reject", "reward_model", "rl"}
"""Sections of verbs that there were not: no run of before has read them."""


@pytest.mark.parametrize("section", sorted(SECTIONS.keys() - NEW_VERBS))
def test_a_section_of_the_configuration_has_the_same_identity(before, section):
    # of a section that came later, nothing is part of an identity as long as nobody uses it
    assert Config().identity(section) == before["config_identity"].get(section, {})


def test_a_finished_run_is_found_finished(before, recast):
    assert "found finished" in recast("learn", "craft@ready", "-c", "config.yaml", "-o", "agent").err
    assert runs_of() == before["runs"]


def test_a_run_that_stood_in_its_middle_goes_on_to_its_end(before, recast):
    run = unfinished(before["gates"]["copies.yaml"])
    made = parts_of(run)
    assert 0 < len(made) < 6  # 24 rows in batches of 4
    result = recast(*before["middle"], "--json").json
    assert runs_of() == before["runs"]
    assert result["rows"] == 24 and sum(result["counts"].values()) == 24
    now = parts_of(run)
    assert len(now) == 6 and {name: now[name] for name in made} == made
    version = Store(Path(".recast")).resolve("own")
    assert version.ref == "own@v1" and version.meta["agent_gate_id"] == before["gates"]["copies.yaml"]


@pytest.mark.slow
def test_a_run_of_a_gate_that_decides_otherwise_is_left_alone_and_the_new_gate_begins_anew(before, recast):
    """The run's folder bears the fingerprint of its gate: another gate is another run, with no part of the old one."""
    run = unfinished(before["gates"]["mine.yaml"])
    made = parts_of(run)
    assert 0 < len(made) < 6
    assert recast(*before["other_gate"], "--json").json["rows"] == 24
    (new,) = set(runs_of()) - set(before["runs"])
    assert parts_of(run) == made and not (run / runs.RESULT).exists()
    assert len(parts_of(run.with_name(new))) == 6
    judged = set(Store(Path(".recast")).open("judged").table()["gate_id"].to_pylist()) - {None, ""}
    assert judged == {load_gate("mine.yaml").id}


def test_an_agent_of_the_old_gate_is_refused_by_name_and_a_new_audit_stands_beside_the_old(before, recast):
    anew = ["learn", "craft@ready", "-c", "config.yaml", "--set", "gate=mine.yaml", "-o", "agent"]
    said = recast(*anew)
    assert said.code == 2 and "different: gate_id" in said.err and "Choose another folder" in said.err
    said = recast("gate", "run", "craft@ready", "--gate", "mine.yaml", "-w", "1")
    assert said.code == 0 and "found finished" not in said.err
    audits = gate_files.audits(Path(".recast"), before["versions"]["craft@v1"])
    assert {audit["gate_id"] for audit in audits} == {before["gates"]["mine.yaml"], load_gate("mine.yaml").id}
