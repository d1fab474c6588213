"""Commits and reading: what is written, what is refused, what a reader sees."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow as pa
import pytest

from recast.curate import schema
from recast.curate.errors import DataError, IntegrityError, RefusedError, UsageError
from recast.curate.fingerprint import canonical_json
from recast.curate.records import Candidate, Check, CheckStatus, Verdict, VerdictStatus
from recast.curate.store import changes, index, parts
from recast.curate.store.catalog import LockedError, memory
from recast.curate.store.store import Store


def row(n: int, completion: str | None = None, **more: Any) -> dict[str, Any]:
    text = completion if completion is not None else f"answer {n}"
    return {
        "row_id": f"r{n}",
        "messages": [{"role": "user", "content": f"question {n}"}],
        "completion": text,
    } | more


def texts(store: Store, ref: str) -> dict[str, str]:
    return {r["row_id"]: r["completion"] for r in store.open(ref).rows(["row_id", "completion"])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home", deadline_s=5)


def test_a_commit_is_read_back_as_it_was_given(store: Store) -> None:
    version = store.commit([row(1, answer="42", meta={"k": [1]}), row(2)], "a", message="first", author="me")
    assert (version.ref, version.rows, version.added, version.parent) == ("a@v1", 2, 2, None)
    assert (version.author, version.message) == ("me", "first")
    first, second = store.open("a").rows()
    assert first["messages"] == [{"role": "user", "content": "question 1"}]
    assert (first["answer"], first["meta"], first["target"], first["decision"]) == (
        "42",
        {"k": [1]},
        0,
        "expert",
    )
    assert second["demonstration"] == second["completion"] == "answer 2"
    assert second["answer"] is None


def test_only_changed_rows_are_written(store: Store) -> None:
    store.commit([row(n) for n in range(1000)], "a")
    before = set((store.root / "parts").rglob("*.parquet"))
    version = store.commit([row(n, "new" if n == 500 else None) for n in range(1, 1001)], "a")
    assert (version.rows, version.added, version.changed, version.removed) == (1000, 1, 1, 1)
    new = set((store.root / "parts").rglob("*.parquet")) - before
    written = [duckdb.read_parquet(str(p)) for p in new]
    assert sorted(len(t.fetchall()) for t in written if "completion" in t.columns) == [2]


def test_order_is_kept_and_new_rows_come_last(store: Store) -> None:
    store.commit([row(n) for n in (3, 1, 2)], "a")
    store.commit([row(n) for n in (9, 3, 1, 2)], "a")
    store.commit([row(1, "changed")], "a", mode="patch")
    assert list(texts(store, "a")) == ["r3", "r1", "r2", "r9"]
    assert texts(store, "a")["r1"] == "changed"


def test_a_patch_leaves_other_rows_alone_and_removes_named_ones(store: Store) -> None:
    store.commit([row(n) for n in range(4)], "a")
    version = store.commit([row(1, "x"), row(7)], "a", mode="patch", remove=[("r2", 0)])
    assert (version.rows, version.added, version.changed, version.removed) == (4, 1, 1, 1)
    assert texts(store, "a") == {"r0": "answer 0", "r1": "x", "r3": "answer 3", "r7": "answer 7"}
    assert texts(store, "a@v1") == {f"r{n}": f"answer {n}" for n in range(4)}
    with pytest.raises(IntegrityError, match="cannot remove row 'r99'"):
        store.commit([], "a", mode="patch", remove=[("r99", 0)])


def test_a_commit_without_change_is_a_version_with_nothing_in_it(store: Store) -> None:
    store.commit([row(1)], "a")
    version = store.commit([row(1)], "a")
    assert (version.number, version.rows, version.added, version.changed) == (2, 1, 0, 0)
    assert texts(store, "a") == {"r1": "answer 1"}


def test_an_empty_version_can_be_read(store: Store) -> None:
    store.commit([row(1)], "a")
    version = store.commit([], "a")
    assert (version.rows, version.removed) == (0, 1)
    assert store.open("a").table().num_rows == 0
    assert store.open("a").relation(duckdb.connect()).fetchall() == []
    assert len(store.open("a").dataset()) == 0


def test_every_way_in_gives_the_same_rows(store: Store) -> None:
    dicts = [row(n, messages=[{"role": "user", "content": f'say "é"\n{n}'}]) for n in range(5)]
    table = schema.table(dicts)
    nested = pa.Table.from_pylist(dicts)  # messages as list<struct>
    ways: dict[str, Any] = {
        "dicts": dicts,
        "table": table,
        "nested": nested,
        "reader": table.to_reader(),
        "batches": iter(table.to_batches(max_chunksize=2)),
        "dataset": datasets.Dataset.from_list(dicts),
    }
    for name, rows in ways.items():
        version = store.commit(rows, name)
        assert version.rows == 5
        assert store.open(name).table().equals(table), name
        assert store.open(version).live().column("hash").equals(store.open("dicts").live().column("hash"))


def test_a_dataset_has_messages_as_role_and_content(store: Store) -> None:
    store.commit([row(1)], "a")
    dataset = store.open("a").dataset()
    assert dataset[0]["messages"] == [{"role": "user", "content": "question 1"}]
    assert dataset.cache_files, "not memory-mapped"


def test_tool_calls_survive(store: Store) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    messages = [
        {"role": "user", "content": "go"},
        call,
        {"role": "tool", "content": "7", "tool_call_id": "1"},
    ]
    store.commit([row(1, messages=messages), row(2)], "a")
    assert next(store.open("a").rows())["messages"] == messages
    seen = store.open("a").dataset()[0]["messages"]
    assert seen[2]["content"] == "7" and seen[2]["tool_call_id"] == "1"
    assert seen[1]["tool_calls"] == canonical_json(call["tool_calls"])


def test_a_relation_pushes_columns_and_filters_down(store: Store) -> None:
    store.commit([row(n) for n in range(100)], "a")
    store.commit([row(7, "x"), row(8, "y")], "a", mode="patch")
    con = duckdb.connect()
    rows = store.open("a").relation(con).filter("completion = 'x'").select("row_id").fetchall()
    assert rows == [("r7",)]
    assert con.sql("SELECT 1").fetchall() == [(1,)]
    relation = store.open("a").relation(con)
    assert len(relation.fetchall()) == 100
    assert "Filters" in relation.filter("completion = 'x'").explain()


def test_candidates_stay_beside_the_version(store: Store) -> None:
    verdict = Verdict(
        VerdictStatus.REJECTED, "wrong_answer", (Check("answer", CheckStatus.FAIL, "wrong_answer"),)
    )
    candidates = [
        Candidate("r1", 0, k, 0, f"text {k}", 3, "stop", 5, verdict, 0.5, {"reward": 1.0}) for k in range(2)
    ]
    table = schema.candidate_table(candidates, chosen=[("r1", 0, 1, 0)])
    store.commit([row(1)], "a", candidates=table)
    kept = store.open("a").candidates()
    assert kept.schema.equals(schema.CANDIDATE_SCHEMA)
    assert kept.column("chosen").to_pylist() == [False, True]
    assert kept.column("reason").to_pylist() == ["wrong_answer"] * 2
    store.commit([row(1), row(2)], "a")
    assert store.open("a").candidates().num_rows == 0
    assert store.open("a@v1").candidates().num_rows == 2


@pytest.mark.parametrize("column", sorted(schema.NOT_IDENTITY.keys() - {"row_id", "target"}))
def test_what_is_not_identity_does_not_change_a_row(store: Store, column: str) -> None:
    value: Any = 1 if column == "num_tokens" else 0.5 if column in schema.SCORES else "x"
    store.commit([row(1)], "a")
    version = store.commit([row(1, **{column: value})], "a")
    assert version.changed == 0
    # scores are kept even so; a delivery that brings nothing new is not
    assert version.rescored == (1 if column in schema.SCORES else 0)
    assert next(store.open("a").rows())[column] == (value if column in schema.SCORES else None)


@pytest.mark.parametrize("column", schema.IDENTITY)
def test_what_is_identity_changes_a_row(store: Store, column: str) -> None:
    value: Any = {"messages": [], "seed": 7, "meta": {"a": 1}, "decision": "rewrite"}.get(column, "x")
    store.commit([row(1)], "a")
    assert store.commit([row(1, **{column: value})], "a").changed == 1


def test_every_column_is_identity_or_has_a_reason_not_to_be() -> None:
    assert set(schema.IDENTITY) | set(schema.NOT_IDENTITY) == set(schema.VERSION_SCHEMA.names)
    assert not set(schema.IDENTITY) & set(schema.NOT_IDENTITY)


def test_text_cannot_move_between_columns_unnoticed(store: Store) -> None:
    store.commit([row(1, answer="ab", task="c"), row(2, answer=None, task="-")], "a")
    version = store.commit([row(1, answer="a", task="bc"), row(2, answer="-", task=None)], "a")
    assert version.changed == 2


# the conservation law


def test_a_key_given_twice_is_refused_and_nothing_is_committed(store: Store) -> None:
    with pytest.raises(IntegrityError, match=r"'r1' \(target 0\) occurs 2 times"):
        store.commit([row(1), row(2), row(1, "other")], "a")
    assert store.names() == []
    store.commit([row(1), row(2)], "a")
    for rows in ([row(1), row(1)], [row(1, "x"), row(1, "y")], [row(1), row(1, "x")]):
        with pytest.raises(IntegrityError, match="occurs 2 times"):
            store.commit(rows, "a")
    assert store.resolve("a").number == 1
    assert store.commit([row(1), row(1, target=1)], "a").rows == 2


@pytest.mark.parametrize(
    "op, before, after",
    [
        ("add", None, "h"),
        ("remove", "other", None),
        ("change", "other", "h"),
        ("rescore", "h", "h"),
        (None, "h", "h"),
    ],
)
def test_a_log_that_breaks_the_law_is_refused_in_sql(
    op: str | None, before: str | None, after: str | None
) -> None:
    parent = "SELECT 'r1' AS row_id, 0 AS target, 'true' AS hash"
    log = pa.Table.from_pylist(
        [{"row_id": "r1", "target": 0, "op": op, "hash_before": before, "hash_after": after}],
        changes.LOG_SCHEMA,
    )
    with memory() as con:
        con.register("log", log)
        with pytest.raises(IntegrityError, match="conservation law"):
            changes.check(con, "SELECT * FROM log", parent)


def test_the_transaction_refuses_counts_that_do_not_add_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([row(1), row(2)], "a")
    monkeypatch.setattr(changes, "counts", lambda *_: {"add": 5, "change": 0, "remove": 0, "rescore": 0})
    with pytest.raises(IntegrityError, match=r"parent rows 2 \+ added 5 must equal rows 7"):
        store.commit([row(1), row(2), row(3)], "a")
    monkeypatch.undo()
    assert store.resolve("a").number == 1
    assert store.commit([row(1), row(2), row(3)], "a").number == 2


def test_a_rewriting_job_must_account_for_every_row(store: Store) -> None:
    store.commit([row(n) for n in range(3)], "a")
    fates = [row(0, "new", decision="rewrite"), row(1, "new", decision="repair"), row(2, decision="fallback")]
    done = store.commit(fates, "b", parent="a", law="rewrite")
    assert (done.ref, done.parent, done.changed, done.removed) == ("b@v1", "a@v1", 3, 0)
    with pytest.raises(IntegrityError, match="3 rows went in and 2 came out"):
        store.commit(fates[:2], "b", parent="a", law="rewrite")
    with pytest.raises(IntegrityError, match="1 expert, 1 repair, 1 rewrite"):
        store.commit([*fates[:2], row(2)], "b", parent="a", law="rewrite")
    assert store.resolve("b").number == 1


def test_a_rewritten_row_may_come_out_with_further_targets_but_no_row_may_be_new(store: Store) -> None:
    store.commit([row(n) for n in range(2)], "a")
    fates = [row(0, "one", decision="rewrite"), row(1, decision="fallback")]
    second = row(0, "two", decision="rewrite", target=1)
    done = store.commit([*fates, second], "b", parent="a", law="rewrite")
    assert (done.rows, done.added) == (3, 1)
    stranger = row(7, "new", decision="rewrite")
    for added in (stranger, {**stranger, "target": 1}):
        with pytest.raises(IntegrityError, match="1 of them new and 0 lost"):
            store.commit([*fates, added], "b", parent="a", law="rewrite")
    with pytest.raises(IntegrityError, match="2 rows went in and 1 came out"):
        store.commit([fates[0], second], "b", parent="a", law="rewrite")


# what is refused


def test_a_stale_expected_parent_is_refused_with_the_way_out(store: Store) -> None:
    store.commit([row(1)], "a")
    store.commit([row(2)], "a")
    with pytest.raises(RefusedError, match=r"head of a is a@v2, not a@v1.*--expect-parent a@v2"):
        store.commit([row(3)], "a", expect_parent="a@v1")
    assert store.commit([row(3)], "a", expect_parent="a@v2").number == 3


def test_unknown_columns_missing_texts_and_wrong_types_are_named(store: Store) -> None:
    with pytest.raises(UsageError, match=r"unknown columns \['colour'\].*meta"):
        store.commit([row(1, colour="red")], "a")
    with pytest.raises(DataError, match="column 'completion' is empty in row 1"):
        store.commit([row(0), {"row_id": "r1", "messages": []}], "a")
    with pytest.raises(DataError, match="'seed' is string and cannot become int64"):
        store.commit(pa.Table.from_pylist([row(1, seed="x")]), "a")
    assert store.names() == []


def test_invalid_utf8_is_refused(store: Store) -> None:
    table = schema.table([row(1)])
    ends = pa.array([0, 2], pa.int32()).buffers()[1]
    bad = pa.StringArray.from_buffers(1, ends, pa.py_buffer(b"\xff\xfe"))
    with pytest.raises(DataError, match="not valid UTF-8"):
        store.commit(table.set_column(table.schema.get_field_index("completion"), "completion", bad), "a")


def test_strange_texts_come_back_unchanged(store: Store) -> None:
    strange = [
        "nul \0 inside",
        "'; DROP TABLE versions; --",
        "\U0001f600 e\u0301",
        " \t\r\n",
        '"',
        "x" * 10_000_000,
    ]
    rows = [row(n, text, messages=[{"role": "user", "content": text}]) for n, text in enumerate(strange)]
    store.commit(rows, "a")
    assert [r["completion"] for r in store.open("a").rows(["completion"])] == strange
    assert [r["messages"][0]["content"] for r in store.open("a").rows(["messages"])] == strange
    assert store.commit(rows, "a").changed == 0


def test_a_missing_store_is_named() -> None:
    with pytest.raises(UsageError, match="no store at nowhere"):
        Store("nowhere").resolve("a")
    assert Store("nowhere").names() == []


# many processes and crashes


HOLDERS = {
    "a writer of ours": (
        "from recast.curate.store.store import Store; c = Store({root!r}).catalog.writing(); c.__enter__()"
    ),
    "a program of its own": "import duckdb; c = duckdb.connect({catalog!r})",
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_locked_catalog_names_the_holder(store: Store, kind: str) -> None:
    store.commit([row(1)], "a")
    code = HOLDERS[kind].format(root=str(store.root), catalog=str(store.catalog.path))
    code += "; import time; print('ready', flush=True); time.sleep(60)"
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[3]))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        impatient = Store(store.root, deadline_s=0.3)
        with pytest.raises(LockedError, match=str(holder.pid)):
            impatient.commit([row(2)], "a")
        with pytest.raises(LockedError, match="nothing was changed"):
            impatient.resolve("a")
    finally:
        holder.kill()
        holder.wait()
    assert store.commit([row(2)], "a").number == 2  # a killed holder does not block the next


def test_a_crash_before_the_transaction_leaves_no_version(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([row(1)], "a")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "_seal", crash)
    with pytest.raises(KeyboardInterrupt):
        store.commit([row(2)], "a")
    monkeypatch.undo()
    assert store.resolve("a").number == 1
    assert list((store.root / "tmp").iterdir()) == []
    assert texts(store, "a") == {"r1": "answer 1"}


def test_parts_are_named_by_their_content(store: Store, tmp_path: Path) -> None:
    rows = [row(n) for n in range(10)]
    store.commit(rows, "a")
    files = list((store.root / "parts").rglob("*.parquet"))
    assert len(files) == 2 and all(parts.flaw(f, f.stem) == "" for f in files)
    other = Store(tmp_path / "other")
    other.commit(rows, "b")
    assert {f.name for f in (other.root / "parts").rglob("*.parquet")} == {f.name for f in files}


def test_any_flipped_bit_of_a_part_is_an_error_and_never_wrong_text(store: Store) -> None:
    store.commit([row(n, f"text {n} " * 9) for n in range(20)], "a")
    snapshot = store.open("a")
    expected = snapshot.table()
    path = parts.part_path(store.root, snapshot.live().column("part")[0].as_py())
    data = path.read_bytes()
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :])
        assert parts.flaw(path, path.stem), at
        try:  # a flip in a page header that changes nothing that is read may pass
            assert snapshot.table().equals(expected), at
        except IntegrityError:
            continue


def test_a_missing_or_cut_part_is_an_error_never_wrong_text(store: Store) -> None:
    store.commit([row(n) for n in range(10)], "a")
    (rows_part,) = set(store.open("a").live().column("part").to_pylist())
    path = parts.part_path(store.root, rows_part)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(IntegrityError, match=f"part {rows_part} is damaged"):
        store.open("a").table()
    path.unlink()
    with pytest.raises(IntegrityError, match=f"part {rows_part} is missing"):
        store.open("a").table()


def test_large_versions_are_read_in_bounded_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_BYTES", 1000)
    monkeypatch.setattr(parts, "PART_BYTES", 6_000)
    monkeypatch.setattr(schema, "BATCH_ROWS", 10)
    rows = [row(n, "word " * 20) for n in range(90)]
    store.commit(rows, "a")
    assert len(set(store.open("a").live().column("part").to_pylist())) > 1
    store.commit([row(n, f"new {n}") for n in range(0, 90, 3)], "a", mode="patch")
    assert list(texts(store, "a").items()) == [
        (f"r{n}", f"new {n}" if n % 3 == 0 else "word " * 20) for n in range(90)
    ]


def test_many_small_commits_get_a_base_and_stay_readable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_DEPTH", 6)
    store.commit([row(n) for n in range(20)], "a")
    expected = {f"r{n}": f"answer {n}" for n in range(20)}
    for n in range(14):
        store.commit([row(n % 20, f"v{n}")], "a", mode="patch")
        expected[f"r{n % 20}"] = f"v{n}"
    assert texts(store, "a") == expected
    assert any(v.base for v in store.log("a")[:-1])
    assert max(v.depth for v in store.log("a")) == 5
