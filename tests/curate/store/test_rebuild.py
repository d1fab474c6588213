"""A catalog that is lost or older than its store is refused, and made again from manifests and parts, the same."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest

from recast.curate import schema
from recast.curate.errors import IntegrityError, RecastError, UsageError
from recast.curate.history.lineage import pin
from recast.curate.history.merge import merge, revert
from recast.curate.store import catalog as catalogs
from recast.curate.store import maintenance, manifests
from recast.curate.store.parts import part_path
from recast.curate.store.rebuild import rebuild
from recast.curate.store.store import Store
from tests.curate.store.store_workers import KEYS, row, texts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def held(store: Store) -> dict[str, list[str]]:
    """Every row of every table of the catalog, as text."""
    with store.catalog.reading() as con:
        names = [n for (n,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()]
        return {
            name: sorted(
                str(r) for (r,) in con.execute(f"SELECT to_json(t)::VARCHAR FROM {name} t").fetchall()
            )
            for name in sorted(names)
        }


def snapshots(store: Store) -> dict[str, dict[str, str]]:
    with store.catalog.reading() as con:
        refs = [
            f"{name}@v{number}"
            for name, number in con.execute("SELECT name, number FROM versions").fetchall()
        ]
    return {ref: texts(store, ref) for ref in sorted(refs)}


def collected(store: Store) -> tuple[Path, ...]:
    return maintenance.gc(store, grace_s=0).files


def act(store: Store, rng: random.Random, folder: Path) -> None:
    """Do one thing that a user may do; what is refused changes nothing and is part of the history too."""
    name = rng.choice(["d", "d", "e", "d/side"])
    what = rng.choice(["commit", "commit", "commit", "log", "tag", "branch", "merge", "revert", "pin", "gc"])
    try:
        if what == "commit":
            rows = [row(key, f"{rng.random()} é\n") for key in rng.sample(KEYS, 3)]
            beside = schema.CANDIDATE_SCHEMA.empty_table() if rng.random() < 0.3 else None
            modes: tuple[Literal["patch", "replace"], ...] = ("patch", "replace")
            mode = rng.choice(modes)
            store.commit(
                rows, name, mode=mode, candidates=beside, message=rng.choice(["", "a 'quoted' one", "ü"]),
                run_id=rng.choice([None, "rewrite-12"]), meta={"n": rng.random(), "of": None},
            )  # fmt: skip
        elif what == "log":
            store.commit(store.open("d").table(), f"from-{rng.randrange(3)}", parent="d")
        elif what == "tag":
            store.tag(name, rng.choice("abc"), move=rng.random() < 0.5, note=rng.choice(["", "a risk"]))
        elif what == "branch":
            store.branch(name, rng.choice(["side", "other"]))
        elif what == "merge":
            merge(store, "d", "d/side", take="ours")
        elif what == "revert":
            revert(store, rng.choice(store.log("d")).ref)
        elif what == "pin":
            pin(store, folder, name, mixed=[("e", 0.5)])
        else:
            maintenance.gc(store, grace_s=0)
    except (UsageError, RecastError):
        pass


@pytest.mark.parametrize("seed", range(6))
def test_a_deleted_catalog_is_made_again_the_same(tmp_path: Path, store: Store, seed: int) -> None:
    rng, model = random.Random(seed), tmp_path / "model"
    model.mkdir()
    store.commit([row(k, "first") for k in KEYS], "d")
    store.branch("d", "side")
    store.tag("d", "a", note="a risk")
    pin(store, model, "d@a")
    for _ in range(25):
        act(store, rng, model)
    before, rows = held(store), snapshots(store)
    assert len(before["versions"]) > 5 and all(before.values())
    store.catalog.path.unlink()
    made = rebuild(store)
    assert (made.made_from, made.versions, made.missing_parts) == ("manifests", len(before["versions"]), ())
    assert held(store) == before
    assert snapshots(store) == rows
    assert maintenance.verify(store, deep=True).problems == []
    for _ in range(5):  # and it goes on
        act(store, rng, model)
    assert maintenance.verify(store, deep=True).problems == []


def everything_refused(store: Store, words: str) -> None:
    """Import, every other write, gc and every look-up end in an IntegrityError that names the way out."""
    files = sorted(p for p in (store.root / "parts").rglob("*") if p.is_file())
    for tried in (
        lambda: store.commit([row("n", "x")], "d"),
        lambda: store.commit([row("n", "x")], "new"),
        lambda: store.tag("d", "t"),
        lambda: store.branch("d", "b"),
        lambda: maintenance.gc(store, grace_s=0),
        lambda: store.resolve("d"),
        lambda: store.open("d"),
        lambda: store.names(),
        lambda: store.log("d"),
    ):
        with pytest.raises(IntegrityError, match=words) as refused:
            tried()
        assert "recast rebuild" in str(refused.value)
    assert sorted(p for p in (store.root / "parts").rglob("*") if p.is_file()) == files


def test_a_deleted_catalog_is_named_and_nothing_is_removed(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    store.catalog.path.unlink()
    everything_refused(store, "is lost")
    assert "is lost" in str(maintenance.verify(store).problems[0])


def test_an_older_catalog_is_named_and_nothing_is_removed(store: Store, tmp_path: Path) -> None:
    store.commit([row("a", "x")], "d")
    shutil.copy(store.catalog.path, tmp_path / "old")
    store.commit([row("a", "y")], "d")
    store.tag("d", "ready")
    before = held(store)
    shutil.copy(tmp_path / "old", store.catalog.path)
    everything_refused(store, "is an older copy: it knows 1 transactions")
    assert "older copy" in rebuild(store, dry_run=True).why
    everything_refused(store, "is an older copy")
    made = rebuild(store)
    assert held(store) == before and texts(store, "d@ready") == {"a": "y"}
    assert made.aside is not None and Path(made.aside).read_bytes() == (tmp_path / "old").read_bytes()


def test_an_older_catalog_is_named_although_the_manifest_after_it_was_lost_once(
    store: Store, tmp_path: Path
) -> None:
    store.commit([row("a", "x")], "d")
    shutil.copy(store.catalog.path, tmp_path / "old")  # knows transaction 1
    store.commit([row("a", "y")], "d")
    store.commit([row("a", "z")], "d")
    manifests.path(store.root, 2).unlink()
    assert rebuild(store).made_from == "catalog"  # number 4 is whole, and there is no 2 any more
    before = held(store)
    shutil.copy(tmp_path / "old", store.catalog.path)
    everything_refused(store, "is an older copy: it knows 1 transactions")
    rebuild(store)
    assert held(store) == before and texts(store, "d") == {"a": "z"}


def test_the_catalog_of_another_store_is_named(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    for each in (store, other):
        each.commit([row("a", each.root.name)], "d")
    before = held(store)
    shutil.copy(other.catalog.path, store.catalog.path)
    everything_refused(store, "is not the one that belongs to")
    rebuild(store)
    assert held(store) == before


def test_an_emptied_catalog_is_not_a_new_store(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    before = held(store)
    store.catalog.path.write_bytes(b"")
    with pytest.raises(IntegrityError):
        store.commit([row("a", "y")], "d")
    with pytest.raises(IntegrityError):
        maintenance.gc(store, grace_s=0)
    rebuild(store)
    assert held(store) == before


def test_a_flipped_bit_anywhere_in_the_catalog_is_refused_or_harmless(store: Store) -> None:
    for text in "xyz":
        store.commit([row("a", text)], "d")
    before, rng, refused = held(store), random.Random(4), 0
    for number in range(12):
        whole = store.catalog.path.read_bytes()
        at = rng.randrange(catalogs.HEADER_BYTES if number % 2 else len(whole))
        store.catalog.path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        for asked in (held, collected):
            try:
                assert asked(store) in (before, ())
            except IntegrityError as wrong:
                assert "recast rebuild" in str(wrong)
                refused += 1
        assert rebuild(store).missing_parts == ()
        assert held(store) == before
    assert refused > 5


def test_a_first_import_that_was_killed_before_its_transaction_is_no_lost_catalog(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "_seal", killed)
    with pytest.raises(KeyboardInterrupt):
        store.commit([row("a", "x")], "d")
    monkeypatch.undo()
    assert list((store.root / "parts").rglob("*.parquet")) and store.names() == []
    assert store.commit([row("a", "x")], "d").number == 1


def test_a_manifest_without_its_transaction_is_a_commit_that_did_not_happen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit([row("a", "x")], "d")
    before, announce = held(store), manifests.announce

    def then_killed(*args: Any) -> str:
        announce(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(manifests, "announce", then_killed)
    with pytest.raises(KeyboardInterrupt):
        store.commit([row("a", "y")], "d")
    monkeypatch.undo()
    assert (store.root / "manifests" / "next.json").exists()
    assert held(store) == before
    store.catalog.path.unlink()
    rebuild(store)
    assert held(store) == before
    assert store.commit([row("a", "z")], "d").number == 2
    assert maintenance.verify(store).problems == []


def test_a_transaction_whose_manifest_still_waits_is_settled_by_the_first_reader(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    store.commit([row("a", "y")], "d")
    named = manifests.path(store.root, 2)
    named.rename(named.with_name("next.json"))  # as a kill between commit and rename leaves it
    assert texts(store, "d") == {"a": "y"}
    assert named.exists()
    before = held(store)
    store.catalog.path.unlink()
    rebuild(store)
    assert held(store) == before


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_manifest_that_is_lost_or_changed_is_named_and_written_anew(store: Store, number: int) -> None:
    for text in "xyz":
        store.commit([row("a", text)], "d")
    before, file = held(store), manifests.path(store.root, number)
    whole = file.read_text()
    for damage in ("lost", "cut", "changed"):
        if damage == "lost":
            file.unlink()
        else:
            file.write_text(whole[:-9] if damage == "cut" else whole.replace('"rows":1', '"rows":2'))
        (problem,) = maintenance.verify(store).problems
        assert file.name in problem.what and "recast rebuild" in problem.what
        assert texts(store, "d") == {"a": "z"}
        file.write_text(whole)
    file.unlink()
    assert rebuild(store).made_from == "catalog"
    assert maintenance.verify(store).problems == []
    store.catalog.path.unlink()
    rebuild(store)
    assert {k: v for k, v in held(store).items() if k != "manifest"} == {
        k: v for k, v in before.items() if k != "manifest"
    }


def test_catalog_and_manifest_both_lost_are_named(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    store.commit([row("a", "y")], "d")
    store.catalog.path.unlink()
    manifests.path(store.root, 1).unlink()
    with pytest.raises(IntegrityError, match=r"is lost, and .* manifest 000000000001\.json is missing"):
        rebuild(store)


def test_a_store_without_manifests_gets_them_with_its_next_write(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    store.commit([row("b", "y")], "d", mode="patch")
    store.tag("d", "ready")
    shutil.rmtree(store.root / "manifests")
    con = duckdb.connect(str(store.catalog.path))
    con.execute("DROP TABLE manifest")
    con.close()
    assert maintenance.verify(store).problems == []
    assert texts(store, "d") == {"a": "x", "b": "y"}
    store.tag("d", "again")
    assert manifests.numbers(store.root) == [1]
    before = held(store)
    store.catalog.path.unlink()
    rebuild(store)
    assert held(store) == before


def test_an_older_catalog_of_a_store_without_manifests_keeps_its_parts(store: Store, tmp_path: Path) -> None:
    """Nothing tells an older copy from a killed commit there, so a person has to."""
    store.commit([row("a", "x")], "d")
    shutil.copy(store.catalog.path, tmp_path / "old")
    store.commit([row("a", "y")], "d")
    before = set((store.root / "parts").rglob("*.parquet"))
    shutil.copy(tmp_path / "old", store.catalog.path)
    shutil.rmtree(store.root / "manifests")
    con = duckdb.connect(str(store.catalog.path))
    con.execute("DROP TABLE manifest")
    con.close()
    for part in before:
        os.utime(part, (0, 0))  # long ago: no commit is at work
    for tried in (
        lambda: maintenance.gc(store),
        lambda: store.commit([row("a", "z")], "d"),
    ):
        with pytest.raises(IntegrityError, match="so does an older copy of the catalog"):
            tried()
    assert set((store.root / "parts").rglob("*.parquet")) == before
    rebuild(store)  # a person has looked: the newest version was thrown away
    store.commit([row("a", "z")], "d")
    assert texts(store, "d") == {"a": "z"} and maintenance.verify(store).problems == []


def test_parts_that_are_missing_are_named_and_the_other_versions_are_made_again(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    store.commit([row("b", "y")], "e")
    with store.catalog.reading() as con:
        ((part,),) = con.execute(
            "SELECT part FROM live JOIN versions v ON v.id = version WHERE name = 'e'"
        ).fetchall()
    lost = part_path(store.root, part)
    kept = lost.read_bytes()
    lost.unlink()
    store.catalog.path.unlink()
    made = rebuild(store)
    assert (made.versions, made.missing_parts) == (2, (part,))
    assert texts(store, "d") == {"a": "x"}
    with pytest.raises(IntegrityError, match="is missing"):
        texts(store, "e")
    (problem,) = maintenance.verify(store).problems
    assert problem.versions == ("e@v1",)
    lost.write_bytes(kept)
    assert texts(store, "e") == {"b": "y"}


def test_parts_that_neither_catalog_nor_manifest_knows_are_left_alone(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    shutil.rmtree(store.root / "manifests")
    store.catalog.path.unlink()
    for tried in (
        lambda: store.commit([row("a", "x")], "d"),
        lambda: maintenance.gc(store, grace_s=0),
        lambda: rebuild(store),
    ):
        with pytest.raises(IntegrityError, match=r"neither a catalog .* nor a manifest"):
            tried()
    assert len(list((store.root / "parts").rglob("*.parquet"))) == 2


def test_two_whole_ones_say_so_and_stay_the_same(store: Store) -> None:
    store.commit([row("a", "x")], "d")
    before = held(store)
    made = rebuild(store)
    assert (made.made_from, made.why, made.aside) == ("manifests", "", None)
    assert held(store) == before
    with pytest.raises(UsageError, match="no store at"):
        rebuild(Store(store.root / "none"))


def test_a_manifest_costs_what_changed_not_what_the_version_holds(store: Store) -> None:
    store.commit([row(f"r{n}", "x") for n in range(2000)], "d")
    for n in range(20):
        store.commit([row(f"r{n}", "y")], "d", mode="patch")
    sizes = [manifests.path(store.root, n).stat().st_size for n in (3, 21)]
    assert sizes[1] < 1.1 * sizes[0]


def test_a_version_grown_from_another_data_set_with_a_lower_number_is_made_again(store: Store) -> None:
    for text in "xyz":
        store.commit([row("a", text)], "z")
    store.commit([row("a", "z"), row("b", "w")], "a", parent="z")  # a@v1 descends from z@v3
    before = held(store)
    with store.catalog.reading() as con:
        assert [v["name"] for v in catalogs.tables(con)["versions"]] == ["z", "z", "z", "a"]
    store.catalog.path.unlink()
    rebuild(store)
    assert held(store)["live"] == before["live"]
