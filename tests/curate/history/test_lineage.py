"""Why a row reads as it does, every text it has had, the models that learned it, and SQL over all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recast.curate import schema
from recast.curate.errors import UsageError
from recast.curate.history.lineage import blame, impact, pin, why
from recast.curate.history.merge import merge, revert
from recast.curate.history.query import query
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.store.store import Store


def row(name: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"row_id": name, "messages": [], "completion": completion, "demonstration": "expert"} | more


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An import, a rewrite of it with candidates, and a person's edit."""
    store = Store(tmp_path / "home")
    store.commit(
        [row("a", "expert", source="f.jsonl:1"), row("b", "expert")], "d", author="ann", message="import"
    )
    verdicts = {
        "accepted": Verdict(VerdictStatus.ACCEPTED),
        "wrong": Verdict(VerdictStatus.REJECTED, "wrong_answer"),
    }
    candidates = [
        Candidate(name, 0, k, 0, "t", 1, "stop", k, verdicts[v])
        for name, k, v in [("a", 0, "accepted"), ("a", 1, "wrong"), ("b", 0, "wrong"), ("b", 1, "wrong")]
    ]
    store.commit(
        [
            row(
                "a", "mine", decision="rewrite", agent_id="ag1", gate_id="g1", nll_demonstration=0.8,
                nll_completion=0.25,
            ),
            row("b", "expert", decision="fallback", reason="wrong_answer"),
        ],
        "r", parent="d", law="rewrite", run_id="run7", author="bot",
        candidates=schema.candidate_table(candidates, [("a", 0, 0, 0)]),
    )  # fmt: skip
    store.commit([row("b", "by hand", decision="edited", reason="typo")], "r", mode="patch", author="eve")
    return store


def test_why_is_one_sentence_about_the_version_that_made_the_text(store: Store) -> None:
    assert why(store, "d", "a").startswith("Row a reads as the expert wrote it: d@v1 (by ann, ")
    assert why(store, "d", "a").endswith(
        "'import') brought it from f.jsonl:1, and nothing has changed it since."
    )
    said = why(store, "r", "a")
    assert said.startswith("Row a was rewritten by agent ag1 in r@v1 (by bot, ")
    assert said.endswith(
        "and gate g1 accepted it; its NLL went from 0.80 to 0.25 nats per token; "
        "of 2 candidates: 1 accepted, 1 wrong_answer."
    )
    assert "keeps the expert's text: in r@v1" in why(store, "r@v1", "b")
    assert why(store, "r@v1", "b").endswith(
        "no rewrite passed (wrong_answer); of 2 candidates: 2 wrong_answer."
    )
    assert "was edited by a person in r@v2" in why(store, "r", "b")
    store.commit([], "r", mode="patch", remove=[("b", 0)])
    assert "is not in r: r@v3" in why(store, "r", "b")


def test_why_says_that_what_passed_was_doubted(store: Store) -> None:
    store.commit([row("b", "expert", decision="fallback", reason="hesitant")], "r", mode="patch")
    assert "the model was less sure of each rewrite that passed than of nearly all others (hesitant)" in why(
        store, "r", "b"
    )


def test_blame_gives_every_text_newest_first(store: Store) -> None:
    events = blame(store, "r", "b")
    assert [(e.version.ref, e.op, (e.row or {})["completion"]) for e in events] == [
        ("r@v2", "change", "by hand"), ("r@v1", "change", "expert"), ("d@v1", "add", "expert"),
    ]  # fmt: skip
    assert events[1].to_json()["reason"] == "wrong_answer" and events[0].to_json()["author"] == "eve"
    with pytest.raises(UsageError, match="no row 'zz'"):
        blame(store, "r", "zz")


def test_blame_follows_a_merge_to_where_the_text_was_written(store: Store) -> None:
    store.branch("r@v1", "side")
    store.commit([row("a", "side text", decision="edited")], "r/side", mode="patch", author="sam")
    merge(store, "r", "r/side")
    events = blame(store, "r", "a")
    assert next(e.version.author for e in events if len(e.version.parents) == 1) == "sam"
    assert [(e.row or {})["completion"] for e in events] == ["side text", "side text", "mine", "expert"]


def test_a_row_may_be_named_by_the_start_of_its_id(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit([row("abc1", "x"), row("abd2", "y")], "d")
    assert (blame(store, "d", "abc")[0].row or {})["completion"] == "x"
    with pytest.raises(UsageError, match="'ab' is the start of 2 row ids"):
        blame(store, "d", "ab")


def test_pins_tell_which_models_learned_a_row(store: Store, tmp_path: Path) -> None:
    model = tmp_path / "model"
    with pytest.raises(UsageError, match="is no folder"):
        pin(store, model, "r")
    model.mkdir()
    lock = json.loads(pin(store, model, "r@v1", author="me").read_text())
    assert (lock["version"], lock["id"], lock["rows"]) == ("r@v1", store.resolve("r@v1").id, 2)
    pin(store, model, "r@v1")
    (tmp_path / "other").mkdir()
    pin(store, tmp_path / "other", "r@v2")
    assert [(i.version, i.completion) for i in impact(store, "b")] == [
        ("r@v1", "expert"),
        ("r@v2", "by hand"),
    ]
    assert impact(store, "zz") == []


def test_ids_may_be_shortened_wherever_a_row_is_named(store: Store, tmp_path: Path) -> None:
    rows = [row(name, f"text of {name}") for name in ("n", *(f"n{k}" for k in range(20)), "other")]
    store.commit(rows, "many")
    (tmp_path / "m").mkdir()
    pin(store, tmp_path / "m", "many")
    assert [(i.row_id, i.completion) for i in impact(store, "oth")] == [("other", "text of other")]
    assert impact(store, "n")[0].completion == "text of n"  # an id of its own, though 20 others begin so
    assert (blame(store, "many", "n")[0].row or {})["completion"] == "text of n"
    assert why(store, "many", "oth").startswith("Row other reads as the expert wrote it")


def test_why_names_who_wrote_a_text_and_who_brought_it_back(store: Store) -> None:
    revert(store, "r@v2", author="zoe")
    said = why(store, "r", "b")
    assert said.startswith("Row b keeps the expert's text: in r@v1 (by bot, ")
    assert "of 2 candidates: 2 wrong_answer; r@v3 (by zoe, " in said and said.endswith(") brought it back.")
    store.branch("r@v1", "side")
    store.commit([row("a", "side text", decision="edited")], "r/side", mode="patch", author="sam")
    merge(store, "r", "r/side", author="zoe")
    said = why(store, "r", "a")
    assert "was edited by a person in r@v4 (by sam, " in said and said.endswith(") merged it in.")


def test_sql_addresses_versions_by_name(store: Store, tmp_path: Path) -> None:
    store.tag("r@v1", "ready")
    (tmp_path / "model").mkdir()
    pin(store, tmp_path / "model", "r")

    def ask(sql: str) -> list[dict[str, Any]]:
        return query(store, sql).to_pylist()

    assert ask("SELECT row_id FROM \"r@v1\" WHERE decision = 'rewrite'") == [{"row_id": "a"}]
    assert ask(
        'SELECT count(*) AS n FROM r JOIN "r@ready" o USING (row_id) WHERE r.completion <> o.completion'
    ) == [{"n": 1}]
    assert ask("SELECT ref, rows FROM versions ORDER BY ref") == [
        {"ref": "d@v1", "rows": 2}, {"ref": "r@v1", "rows": 2}, {"ref": "r@v2", "rows": 2},
    ]  # fmt: skip
    assert ask("SELECT version, op, count(*) AS n FROM changes GROUP BY ALL ORDER BY version")[1] == {
        "version": "r@v1", "op": "change", "n": 2,
    }  # fmt: skip
    assert ask("SELECT reason, count(*) AS n FROM candidates WHERE NOT chosen GROUP BY reason") == [
        {"reason": "wrong_answer", "n": 3}
    ]
    assert {"child": "r@v1", "kind": "parent", "parent": "d@v1"} in ask(
        "SELECT child, kind, parent FROM lineage"
    )
    with pytest.raises(UsageError, match="Tables: d, r"):
        ask("SELECT * FROM nothing")


def test_sql_sees_nothing_outside_the_store(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/x.duckdb'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(UsageError):
            query(store, sql)
    assert not (tmp_path / "out.csv").exists()
