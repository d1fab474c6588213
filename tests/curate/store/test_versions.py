"""History: refs, logs, tags, branches, merges, reverts, gc and verify, against a dictionary model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from recast.curate.errors import DataError, IntegrityError, RefusedError, UsageError
from recast.curate.files import write_lines
from recast.curate.history.merge import ConflictsError, merge, read_choices, revert
from recast.curate.store import maintenance
from recast.curate.store.catalog import Catalog
from recast.curate.store.parts import part_path
from recast.curate.store.store import Store


def row(name: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"row_id": name, "messages": [], "completion": completion} | more


def texts(store: Store, ref: str) -> dict[str, str]:
    return {r["row_id"]: r["completion"] for r in store.open(ref).rows(["row_id", "completion"])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_refs_read_like_git(store: Store) -> None:
    first = store.commit([row("1", "a")], "data")
    second = store.commit([row("1", "b")], "data", message="second")
    store.tag("data@v1", "ready")
    store.branch("data@v1", "side")
    third = store.commit([row("1", "c")], "data/side")
    assert store.resolve("data").id == second.id
    assert store.resolve("data@v1").id == store.resolve("data@ready").id == first.id
    assert store.resolve("data/side").id == third.id and third.ref == "data@v3" and third.branch == "side"
    assert store.resolve(first.id[:10]).id == first.id
    assert store.names() == ["data"]
    assert [v.ref for v in store.log("data")] == ["data@v3", "data@v2", "data@v1"]
    assert [v.ref for v in store.log("data/side")] == ["data@v3", "data@v1"]
    assert third.parent == "data@v1"


def test_names_that_differ_in_capitals_only_are_refused(store: Store) -> None:
    store.commit([row("1", "a")], "data")
    with pytest.raises(UsageError, match="'data' already, which differs from 'Data' in capitals only"):
        store.commit([row("1", "b")], "Data")
    assert store.names() == ["data"]


@pytest.mark.parametrize(
    "ref, words",
    [
        ("nothing", r"no data set 'nothing' in this store; there is data"),
        ("data@v9", r"'data' has no version 9; it has v1"),
        ("data@lost", r"'data' has no tag 'lost'; its tags are ready, its versions v1"),
        ("data/side", r"'data' has no branch 'side'; it has main"),
        ("../../etc", r"is not a reference; write NAME, NAME@v3"),
        ("a'; DROP TABLE versions; --", r"is not a reference"),
        ("", r"is not a reference"),
    ],
)
def test_a_wrong_ref_says_what_there_is(store: Store, ref: str, words: str) -> None:
    store.commit([row("1", "a")], "data")
    store.tag("data", "ready")
    with pytest.raises(UsageError, match=words):
        store.resolve(ref)
    assert not store.has(ref)


def test_names_may_be_of_any_script_but_not_paths(store: Store) -> None:
    assert store.commit([row("1", "a")], "données-数据").ref == "données-数据@v1"
    for name in ("../x", "a b", "x\0", ".hidden", "a/b/c", "x" * 200, "data@v1"):
        with pytest.raises(UsageError):
            store.commit([row("1", "a")], name)


def test_tags_do_not_move_unless_told_to(store: Store) -> None:
    store.commit([row("1", "a")], "data")
    store.commit([row("1", "b")], "data")
    store.tag("data@v1", "ready")
    store.tag("data@v1", "ready")
    with pytest.raises(RefusedError, match="already names data@v1"):
        store.tag("data@v2", "ready")
    assert store.tag("data@v2", "ready", move=True).number == 2
    assert store.resolve("data@ready").number == 2
    with pytest.raises(UsageError, match="may not look like a version"):
        store.tag("data", "v7")
    with pytest.raises(RefusedError, match="exists"):
        store.branch("data", "main")


# merging


def test_a_merge_takes_what_only_one_side_changed(store: Store) -> None:
    store.commit([row(n, "base") for n in "abcdef"], "d")
    store.branch("d", "x")
    store.commit([row("a", "ours"), row("c", "both"), row("new1", "o")], "d", mode="patch", remove=[("e", 0)])
    store.commit(
        [row("b", "theirs"), row("c", "both"), row("new2", "t")], "d/x", mode="patch", remove=[("f", 0)]
    )
    before = len(list((store.root / "parts").rglob("*.parquet")))
    merged = merge(store, "d", "d/x")
    assert merged.version is not None and merged.taken == 3 and merged.settled == 0
    assert merged.version.parents == (store.resolve("d@v2").id, store.resolve("d@v3").id)
    assert texts(store, "d") == {
        "a": "ours", "b": "theirs", "c": "both", "d": "base", "new1": "o", "new2": "t",
    }  # fmt: skip
    assert len(list((store.root / "parts").rglob("*.parquet"))) <= before + 2  # logs, no rows
    assert merge(store, "d", "d/x").version is None  # nothing left to merge
    assert merge(store, "d/x", "d").version is not None
    assert texts(store, "d/x") == texts(store, "d")


def test_a_conflict_is_refused_until_somebody_settles_it(store: Store, tmp_path: Path) -> None:
    store.commit([row(n, "base") for n in "abc"], "d")
    store.branch("d", "x")
    store.commit([row("a", "ours"), row("b", "ours")], "d", mode="patch", remove=[("c", 0)])
    store.commit([row("a", "theirs"), row("b", "theirs"), row("c", "theirs")], "d/x", mode="patch")
    with pytest.raises(
        ConflictsError, match=r"3 rows were changed on both sides of d@v2 and d@v3"
    ) as refused:
        merge(store, "d", "d/x")
    conflict = refused.value.conflicts[0]
    assert (conflict.row_id, (conflict.base or {})["completion"]) == ("a", "base")
    assert ((conflict.ours or {})["completion"], (conflict.theirs or {})["completion"]) == ("ours", "theirs")
    assert refused.value.conflicts[2].ours is None
    assert store.resolve("d").number == 2

    file = tmp_path / "conflicts.jsonl"
    lines = [c.to_json() for c in refused.value.conflicts]
    lines[0]["take"], lines[1]["take"] = "theirs", "ours"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=r'line 3: take is None; write "ours" or "theirs"'):
        read_choices(file)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    with pytest.raises(ConflictsError, match="1 row was"):
        merge(store, "d", "d/x", take=read_choices(file))
    chosen = read_choices(file)
    chosen["c", 0] = "theirs"
    merged = merge(store, "d", "d/x", take=chosen)
    assert merged.settled == 3
    assert texts(store, "d") == {"a": "theirs", "b": "ours", "c": "theirs"}


@pytest.mark.parametrize("side, expected", [("ours", "ours"), ("theirs", "theirs")])
def test_one_rule_can_settle_all(store: Store, side: Any, expected: str) -> None:
    store.commit([row("a", "base"), row("b", "base")], "d")
    store.branch("d", "x")
    store.commit([row("a", "ours")], "d", mode="patch")
    store.commit([row("a", "theirs"), row("b", "theirs")], "d/x", mode="patch")
    merge(store, "d", "d/x", take=side)
    assert texts(store, "d") == {"a": expected, "b": "theirs"}


def test_a_new_score_does_not_stand_against_a_new_text(store: Store) -> None:
    store.commit([row("a", "base"), row("b", "base")], "d")
    store.branch("d", "x")
    store.commit([row("a", "base", nll_self=1.0), row("b", "new")], "d")
    store.commit([row("a", "other"), row("b", "base", nll_self=2.0)], "d/x")
    merge(store, "d", "d/x")
    assert texts(store, "d") == {"a": "other", "b": "new"}


def test_histories_without_a_common_version_merge_by_key(store: Store) -> None:
    store.commit([row("a", "1"), row("b", "same")], "d")
    store.commit([row("b", "same"), row("c", "3")], "e")
    merge(store, "d", "e")
    assert texts(store, "d") == {"a": "1", "b": "same", "c": "3"}


# undoing


def test_a_revert_undoes_one_version_and_keeps_what_came_after(store: Store) -> None:
    store.commit([row(n, "base") for n in "abc"], "d")
    store.commit([row("a", "wrong"), row("x", "wrong")], "d", mode="patch", remove=[("b", 0)])
    store.commit([row("c", "later")], "d", mode="patch")
    done = revert(store, "d@v2")
    assert done.version is not None and done.version.message == "revert d@v2"
    assert list(texts(store, "d").items()) == [
        ("a", "base"),
        ("b", "base"),
        ("c", "later"),
    ]  # in the old order
    assert revert(store, "d@v2").version is None
    with pytest.raises(UsageError, match="first version"):
        revert(store, "d@v1")


def test_a_revert_of_what_changed_again_is_a_conflict(store: Store) -> None:
    store.commit([row("a", "base")], "d")
    store.commit([row("a", "wrong")], "d")
    store.commit([row("a", "better")], "d")
    with pytest.raises(ConflictsError):
        revert(store, "d@v2")
    revert(store, "d@v2", take="theirs")
    assert texts(store, "d") == {"a": "base"}


# gc and verify


def test_gc_removes_orphans_after_a_grace_period_and_nothing_else(store: Store) -> None:
    store.commit([row(n, "x") for n in "abc"], "d")
    store.commit([row("a", "y")], "d", mode="patch")
    store.open("d").dataset()
    orphan = part_path(store.root, "0" * 32)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"left by a crash")
    (store.root / "tmp" / "x.parquet").write_bytes(b"half")
    assert maintenance.gc(store).files == () and maintenance.gc(store).kept == 2
    shown = maintenance.gc(store, grace_s=0, dry_run=True)
    assert {f.name for f in shown.files} == {orphan.name, "x.parquet"} and orphan.exists()
    assert maintenance.gc(store, grace_s=0).bytes == len(b"left by a crash") + len(b"half")
    assert not orphan.exists()
    assert maintenance.gc(store, grace_s=0).files == ()
    assert maintenance.verify(store, deep=True).ok
    assert texts(store, "d@v1") == dict.fromkeys("abc", "x") and texts(store, "d")["a"] == "y"


def test_a_text_with_a_line_separator_is_still_one_line_of_choices(tmp_path: Path) -> None:
    file = tmp_path / "conflicts.jsonl"
    write_lines(file, [{"row_id": "a", "target": 0, "ours": "one\u2028two\x85three", "take": "ours"}])
    assert read_choices(file) == {("a", 0): "ours"}


def test_a_commit_whose_parts_gc_took_is_made_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit([row("a", "x")], "d")
    seal, swept = Store._seal, []

    def late(self: Store, *args: Any, **kwargs: Any) -> Any:
        if not swept:
            swept.append(len(maintenance.gc(self, grace_s=0).files))
        return seal(self, *args, **kwargs)

    monkeypatch.setattr(Store, "_seal", late)
    assert store.commit([row("a", "y")], "d").number == 2
    assert swept == [2]  # rows and log, not yet named
    assert texts(store, "d") == {"a": "y"} and maintenance.verify(store, deep=True).ok


def test_verify_is_clean_on_a_whole_store(store: Store) -> None:
    store.commit([row(n, "x") for n in "abc"], "d")
    store.branch("d", "x")
    store.commit([row("a", "y", nll_self=0.5)], "d", mode="patch")
    store.commit([], "d/x")
    merge(store, "d", "d/x", take="ours")
    found = maintenance.verify(store, deep=True)
    assert found.problems == [] and found.versions == 4 and found.rows_hashed == 4 and found.parts > 4


@pytest.mark.parametrize("kind", ["rows", "log"])
def test_one_flipped_bit_is_found_and_named(store: Store, kind: str) -> None:
    store.commit([row(n, "some text " * 20 + n) for n in "abc"], "d")
    second = store.commit([row("a", "other")], "d", mode="patch")
    first = store.resolve("d@v1")
    part = first.log if kind == "log" else store.open("d@v1").live().column("part")[0].as_py()
    path = part_path(store.root, part)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)
    for deep in (False, True):
        found = maintenance.verify(store, deep=deep)
        (problem,) = found.problems
        assert f"part {part} ({kind}) is damaged" in problem.what
        assert problem.versions == (first.ref, second.ref)
        if kind == "rows":
            assert problem.rows == 3 and problem.examples == ("'a'", "'b'", "'c'")
    with pytest.raises(IntegrityError, match=f"part {part} is damaged"):
        store.open("d@v1").table()
    path.unlink()
    assert "is missing" in maintenance.verify(store).problems[0].what


def test_changed_content_under_a_changed_name_is_found_by_a_deep_verify(store: Store) -> None:
    store.commit([row("a", "true")], "d")
    with Catalog(store.catalog.path).writing() as change:
        change.con.execute("UPDATE versions SET author = 'somebody else'")
    assert "do not give its id" in maintenance.verify(store).problems[0].what


def test_a_truncated_catalog_is_named(store: Store) -> None:
    store.commit([row(n, "x") for n in "abc"], "d")
    path = store.catalog.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    cut, unreadable = maintenance.verify(store).problems
    assert "catalog.duckdb was cut short" in cut.what and "catalog.duckdb cannot be read" in unreadable.what
    with pytest.raises(IntegrityError, match=r"catalog .*catalog\.duckdb"):
        store.resolve("d")


# any history equals a dictionary


class History(RuleBasedStateMachine):
    """Commits, branches, merges, reverts and gc in any order, beside a model made of dictionaries."""

    KEYS = st.sampled_from("abcd")
    TEXTS = st.sampled_from("xyz")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(self.folder.name)
        self.model: dict[str, dict[str, str]] = {}  # ref -> rows
        self.heads: dict[str, str] = {}  # branch -> ref

    def teardown(self) -> None:
        assert maintenance.verify(self.store, deep=True).problems == []
        for ref, rows in self.model.items():
            assert texts(self.store, ref) == rows
        self.folder.cleanup()

    def _seal(self, branch: str, version: Any, rows: dict[str, str]) -> None:
        self.model[version.ref], self.heads[branch] = rows, version.ref

    @initialize(rows=st.dictionaries(KEYS, TEXTS))
    def start(self, rows: dict[str, str]) -> None:
        self._seal("main", self.store.commit([row(k, t) for k, t in rows.items()], "d"), rows)

    @rule(branch=st.sampled_from(["main", "side"]), rows=st.dictionaries(KEYS, TEXTS))
    def replace(self, branch: str, rows: dict[str, str]) -> None:
        if branch in self.heads:
            name = "d" if branch == "main" else "d/side"
            self._seal(branch, self.store.commit([row(k, t) for k, t in rows.items()], name), rows)

    @rule(branch=st.sampled_from(["main", "side"]), rows=st.dictionaries(KEYS, TEXTS, min_size=1), drop=KEYS)
    def patch(self, branch: str, rows: dict[str, str], drop: str) -> None:
        if branch not in self.heads:
            return
        now = self.model[self.heads[branch]]
        gone = [drop] if drop in now and drop not in rows else []
        name = "d" if branch == "main" else "d/side"
        version = self.store.commit(
            [row(k, t) for k, t in rows.items()], name, mode="patch", remove=[(k, 0) for k in gone]
        )
        self._seal(branch, version, {k: t for k, t in (now | rows).items() if k not in gone})

    @rule()
    def branch(self) -> None:
        if "side" not in self.heads:
            self.store.branch("d", "side")
            self.heads["side"] = self.heads["main"]

    @rule(side=st.sampled_from(["ours", "theirs"]), into=st.sampled_from(["main", "side"]))
    def merge(self, side: Any, into: str) -> None:
        if "side" not in self.heads:
            return
        name, other = ("d", "d/side") if into == "main" else ("d/side", "d")
        ours = self.model[self.heads[into]]
        theirs = self.model[self.heads["side" if into == "main" else "main"]]
        done = merge(self.store, name, other, take=side)
        base = self.model[done.base.ref] if done.base else {}
        expected: dict[str, str] = {}
        for key in ours.keys() | theirs.keys() | base.keys():
            o, t, b = ours.get(key), theirs.get(key), base.get(key)
            taken = o if t in (b, o) else t if o == b else (o if side == "ours" else t)
            if taken is not None:
                expected[key] = taken
        assert texts(self.store, name) == expected
        if done.version:
            self._seal(into, done.version, expected)

    @rule(side=st.sampled_from(["ours", "theirs"]))
    def revert(self, side: Any) -> None:
        version = self.store.resolve("d")
        if version.parent is None:
            return
        now, before = self.model[version.ref], self.model[version.parent]
        done = revert(self.store, version.ref, take=side)
        assert (done.version is None) == (now == before)
        if done.version:
            self._seal("main", done.version, before)

    @rule()
    def collect(self) -> None:
        assert maintenance.gc(self.store, grace_s=0).files == ()

    @invariant()
    def heads_read_as_the_model(self) -> None:
        for branch, ref in self.heads.items():
            name = "d" if branch == "main" else "d/side"
            assert self.store.resolve(name).ref == ref


_ANY_HISTORY = {
    "deadline": None, "phases": [Phase.generate], "suppress_health_check": list(HealthCheck), "print_blob": True,
}  # fmt: skip


def test_any_history_equals_a_dictionary() -> None:
    run_state_machine_as_test(
        History, settings=settings(max_examples=4, stateful_step_count=6, **_ANY_HISTORY)
    )


@pytest.mark.torture
def test_any_long_history_equals_a_dictionary(capsys: pytest.CaptureFixture[str]) -> None:
    histories, steps = 200, 20
    run_state_machine_as_test(
        History, settings=settings(max_examples=histories, stateful_step_count=steps, **_ANY_HISTORY)
    )
    with capsys.disabled():
        print(f"\nhistories of up to {steps} steps: {histories}")


def test_a_conflict_says_what_differs_in_meta_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "meta")
    one = {"row_id": "1", "messages": [], "completion": "c"}
    store.commit([one | {"meta": {"level": 1, "seen": 1}}], "a")
    store.branch("a", "x")
    store.commit([one | {"meta": {"level": 2, "seen": 1}}], "a")
    store.commit([one | {"meta": {"level": 3, "seen": 1, "by": "Ann"}}], "a/x")
    with pytest.raises(ConflictsError) as open_:
        merge(store, "a", "a/x")
    (conflict,) = open_.value.conflicts
    assert conflict.differs == {"meta.level": [1, 2, 3], "meta.by": [None, None, "Ann"]}
    assert conflict.to_json()["differs"] == conflict.differs
