"""Edits of a version: counted over rows and candidates, with acceptance and gain worked out by hand."""

from __future__ import annotations

import pytest

from recast.curate.errors import UsageError
from recast.curate.gate import gate_files
from recast.curate.gate.checks.words.edits import EditsCheck
from recast.curate.gate.gate import Gate, GateConfig
from recast.curate.history import edits as mining
from recast.curate.history.edits import became, mine
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store

OPENING = "Let's think step by step."


def before(i: int) -> str:
    return f"Ann has {i} red pens. She buys 5 more, so {i} + 5 = {i + 5} pens.\n#### {i + 5}"


def row(i: int, completion: str, **more: object) -> dict:
    asked = f"Ann has {i} red pens. She buys 5 more. How many pens has she now?"
    return {
        "row_id": f"r{i}", "messages": [{"role": "user", "content": asked}], "completion": completion,
        "demonstration": before(i), **more,
    }  # fmt: skip


def candidate(i: int, k: int, text: str, accepted: bool, nll: float | None = None) -> Candidate:
    status = VerdictStatus.ACCEPTED if accepted else VerdictStatus.REJECTED
    return Candidate(
        f"r{i}", 0, k, 0, text, 9, "stop", k, Verdict(status, "" if accepted else "copy"), nll=nll
    )


@pytest.fixture
def store(tmp_path) -> Store:
    """Rows 1 and 2 with an opening, row 3 without its units, row 4 as the expert wrote it."""
    store = Store(tmp_path / "store")
    store.commit([row(i, before(i)) for i in range(1, 5)], "d")
    opened = {i: f"{OPENING}\n{before(i)}" for i in (1, 2, 3, 4)}
    bare = before(3).replace("8 pens", "8")
    rows = [
        row(1, opened[1], decision="rewrite", nll_demonstration=2.0, nll_completion=1.5),
        row(2, opened[2], decision="rewrite", nll_demonstration=2.0, nll_completion=1.0),
        row(3, bare, decision="rewrite", nll_demonstration=2.0, nll_completion=1.75),
        row(4, before(4), decision="fallback", reason="copy", nll_demonstration=2.0, nll_completion=2.0),
    ]
    candidates = [
        candidate(1, 0, opened[1], True, 1.5), candidate(2, 0, opened[2], True, 1.0), candidate(3, 0, bare, True, 1.75),
        candidate(3, 1, opened[3], False), candidate(4, 0, opened[4], False), candidate(4, 1, before(4), False),
    ]  # fmt: skip
    store.commit(rows, "d-rewrites", parent="d", law="rewrite", candidates=candidate_table(candidates))
    return store


def clusters(found: mining.Mined) -> dict[str, dict]:
    return {cluster["name"]: cluster for cluster in found.to_json()["clusters"]}


def test_rows_and_candidates_are_counted_apart_with_acceptance_and_gain(store):
    found = mine(store, "d-rewrites")
    said = found.to_json()
    # 4 rows, of which one reads as before; 6 candidates, of which one is the demonstration
    assert (said["rows"], said["changed"], said["candidates"], said["against"]) == (4, 3, 5, "demonstrations")
    assert said["acceptance"] == 3 / 5
    opening = clusters(found)["adds_opening"]
    assert (opening["rows"], opening["share"], opening["candidates"]) == (2, 2 / 3, 4)
    assert (opening["acceptance"], opening["acceptance_without"]) == (2 / 4, 1 / 1)
    # scored candidates: 2.0 - 1.5 and 2.0 - 1.0 with the opening, 2.0 - 1.75 without
    assert (opening["gain"], opening["gain_without"]) == (0.75, 0.25)
    assert clusters(found)["drops_units"]["rows"] == 1


def test_the_commonest_edit_comes_first_with_an_example_of_what_was_kept(store):
    (first, *_) = mine(store, "d-rewrites", examples=1).clusters
    assert first.name == "adds_opening"
    assert first.examples == [{"row_id": "r1", "target": 0, "before": "", "after": OPENING}]


def test_against_another_version_people_are_seen(store):
    edited = row(1, f"{OPENING} " + before(1).replace("buys", "gets"), decision="edited")
    untouched = [r for r in store.open("d-rewrites").rows() if r["row_id"] != "r1"]
    store.commit([edited, *untouched], "d-rewrites")
    found = mine(store, "d-rewrites@v2", against="d-rewrites@v1")
    assert (found.compared, found.totals.rows, found.totals.candidates) == (1, 1, 0)
    assert clusters(found)["replaced: buys -> gets"]["rows"] == 1
    assert "adds_opening" not in clusters(found)


def test_two_versions_that_read_alike_have_no_edits_to_look_at(store):
    with pytest.raises(UsageError, match=r"no row of d-rewrites@v1 reads otherwise than in d-rewrites@v1"):
        mine(store, "d-rewrites", against="d-rewrites")


def test_a_limit_takes_the_first_rows_and_their_candidates(store):
    found = mine(store, "d-rewrites", limit=2)
    assert (found.compared, found.totals.candidates) == (2, 2)


def test_rare_words_are_forgotten_where_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(mining, "MOST_BY_WORDS", 4)
    rows = [row(i, before(i).replace("buys", f"buys{'xyzuvwabc'[i]}")) for i in range(9)]
    store.commit(rows, "many")
    found = mine(store, "many")
    assert found.forgotten > 0
    assert sum(cluster.name.startswith("replaced") for cluster in found.clusters) <= 5


def test_processes_of_their_own_find_the_same(store):
    assert mine(store, "d-rewrites", workers=2).to_json() == mine(store, "d-rewrites").to_json()


def test_of_a_ruled_edit_it_is_said_what_became_of_it(store: Store) -> None:
    """Two of three changed rows had the opening; under a gate that bans it one has, and two candidates were refused."""
    gate = Gate(
        GateConfig(
            name="no-openings", checks=(EditsCheck(banned=("adds_opening",), wanted=("drops_units",)),)
        )
    )
    gate_files.describe(store.root, gate.id, gate.name, gate.identity)
    opened = {i: f"{OPENING}\n{before(i)}" for i in (1, 2, 3)}
    bare = {i: before(i).replace(f"{i + 5} pens", f"{i + 5}") for i in (1, 2, 3)}
    made = {"decision": "rewrite", "gate_id": gate.id}
    rows = [row(1, opened[1], **made), row(2, bare[2], **made), row(3, bare[3], **made), row(4, before(4))]
    candidates = [
        candidate(2, 0, opened[2], False),
        candidate(3, 0, opened[3], False),
        candidate(3, 1, bare[3], True),
    ]
    store.commit(rows, "d-rewrites", parent="d", candidates=candidate_table(candidates))
    assert became(store, mine(store, "d-rewrites@v1")) == [], "no gate of its rows was written down"
    assert became(store, mine(store, "d-rewrites@v2")) == [
        {
            "name": "adds_opening", "rule": "banned", "rows": 1, "of": 3, "refused": 2,
            "before": {"version": "d-rewrites@v1", "rows": 2, "of": 3},
        },
        {
            "name": "drops_units", "rule": "wanted", "rows": 2, "of": 3, "refused": 0,
            "before": {"version": "d-rewrites@v1", "rows": 1, "of": 3},
        },
    ]  # fmt: skip
