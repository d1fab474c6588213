"""A row taken back: all its targets go, the version before keeps them, and whoever else holds it is named."""

from __future__ import annotations

import pytest

from recast.curate.errors import RefusedError, UsageError
from recast.curate.history.lineage import pin
from recast.curate.history.recall import recall
from recast.curate.store.store import Store


def row(row_id: str, target: int = 0) -> dict:
    asked = [{"role": "user", "content": f"Of {row_id}?"}]
    return {"row_id": row_id, "target": target, "messages": asked, "completion": f"text {row_id} {target}"}


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "store")
    store.commit([row("apple"), row("apple", 1), row("pear"), row("peach")], "d")
    return store


def ids(store: Store, ref: str) -> list[tuple[str, int]]:
    return [(r["row_id"], r["target"]) for r in store.open(ref).rows(["row_id", "target"])]


def test_all_targets_of_a_row_go_and_the_version_before_keeps_them(store):
    found = recall(store, "app", "d")
    assert (found.row_id, found.targets) == ("apple", (0, 1))
    assert found.version is not None and found.version.ref == "d@v2" and found.version.removed == 2
    assert ids(store, "d") == [("pear", 0), ("peach", 0)]
    assert ids(store, "d@v1")[:2] == [("apple", 0), ("apple", 1)]
    assert found.version.meta == {"recalled": ["apple"]}


def test_nothing_is_committed_on_a_dry_run(store):
    found = recall(store, "apple", "d", dry_run=True)
    assert found.version is None and store.resolve("d").ref == "d@v1"


def test_other_names_and_branches_that_hold_the_row_are_named(store):
    store.commit([row("apple")], "other")
    store.commit([row("pear")], "third")
    store.branch("d", "side")
    store.commit([row("apple"), row("new")], "d/side")
    assert recall(store, "apple", "d").elsewhere == ("d/side", "other")


def test_rows_that_were_generated_from_it_are_counted(store):
    made = {"decision": "generated", "meta": {"from": {"version": "d@v1", "row_id": "apple", "target": 0}}}
    store.commit([{**row("more-1"), **made}, {**row("more-2"), **made}, row("pear")], "d-more")
    found = recall(store, "apple", "d")
    assert (found.elsewhere, found.generated) == ((), {"d-more": 2})
    assert recall(store, "pear", "d").generated == {}


def test_the_models_that_learned_from_any_target_are_named_once(store, tmp_path):
    for name in ("m", "n"):
        (tmp_path / name).mkdir()
        pin(store, tmp_path / name, "d")
    found = recall(store, "apple", "d")
    assert [each.model for each in found.impacts] == [str(tmp_path / "m"), str(tmp_path / "n")]
    assert recall(store, "peach", "d").impacts[0].version == "d@v1"


@pytest.mark.parametrize(
    ("start", "said"), [("pe", "is the start of 2 row ids or more: peach, pear"), ("x", "nothing to recall")]
)
def test_what_names_no_single_row_is_refused(store, start, said):
    with pytest.raises(UsageError, match=said):
        recall(store, start, "d")


def test_an_older_version_is_no_place_to_take_a_row_from(store):
    with pytest.raises(UsageError, match="versions never change"):
        recall(store, "apple", "d@v1")


def test_somebody_who_was_faster_is_not_overwritten(store, monkeypatch):
    old = store.resolve("d")
    store.commit([row("new")], "d", mode="patch")
    monkeypatch.setattr(store, "resolve", lambda ref: old)
    with pytest.raises(RefusedError, match="somebody committed in between"):
        recall(store, "apple", "d")
