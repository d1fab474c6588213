"""A version as an IterableDataset: each row once an epoch, for any ranks and workers, whenever it is killed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

from recast.curate.errors import UsageError
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.store import Store
from recast.pipelines.wiring.stream import VersionDataset, join_states, streamed
from tests.fakes.exports import sums

ROWS = 273
KILLS = 50


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """273 rows of 300: some were changed in a later part, some are gone."""
    store = Store(tmp_path_factory.mktemp("store"))
    rows = sums(300)
    store.commit(rows, "a")
    store.commit([r | {"completion": "new"} if n % 7 == 0 else r for n, r in enumerate(rows) if n % 11], "a")
    store.commit([r | {"row_id": "last"} for r in rows[:1]], "a", mode="patch")
    snapshot = store.open("a")
    assert len(snapshot) == ROWS
    return snapshot


@pytest.fixture(scope="module")
def wanted(snapshot: Snapshot) -> list[str]:
    return sorted(row["row_id"] for row in snapshot.rows(["row_id"]))


def ids(rows: Any) -> list[str]:
    return [row["row_id"] for row in rows]


def loaded(rows: Any, workers: int = 0) -> list[str]:
    loader = DataLoader(rows, batch_size=4, num_workers=workers, collate_fn=list)
    return [row["row_id"] for batch in loader for row in batch]


def split(ranks: int, rank: int, how: str) -> Callable[[VersionDataset], Any]:
    if how == "shard":  # as accelerate does
        return lambda rows: rows.shard(ranks, rank)
    return lambda rows: split_dataset_by_node(rows, rank, ranks, strategy=how)  # pyright: ignore[reportArgumentType]


# each row once


@pytest.mark.parametrize("how", ["shard", "shards", "auto"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_ranks_have_each_row_once_and_as_many_as_another_within_one(
    snapshot: Snapshot, wanted: list[str], ranks: int, how: str
) -> None:
    rows = streamed(snapshot, seed=0)
    rows.set_epoch(2)
    shares = [ids(split(ranks, rank, how)(rows)) for rank in range(ranks)]
    assert sorted(row for share in shares for row in share) == wanted
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("ranks", [1, 4])
def test_workers_of_a_loader_have_each_row_once_and_always_in_the_same_order(
    snapshot: Snapshot, wanted: list[str], ranks: int
) -> None:
    """A trainer that restores a plain loader skips the batches that it has had, so their order must be what it was."""
    shares = [loaded(streamed(snapshot, seed=0).shard(ranks, rank), workers=2) for rank in range(ranks)]
    assert sorted(row for share in shares for row in share) == wanted
    assert loaded(streamed(snapshot, seed=0).shard(ranks, 0), workers=2) == shares[0]


def test_more_readers_than_rows_lose_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(sums(3), "few")
    rows = streamed(store.open("few"))
    assert rows.num_shards == 3
    assert sorted(loaded(rows, workers=4)) == ["r0", "r1", "r2"]
    assert sorted(row for rank in range(5) for row in ids(rows.shard(5, rank))) == ["r0", "r1", "r2"]


def test_an_epoch_is_an_order_and_without_a_seed_there_is_one(snapshot: Snapshot, wanted: list[str]) -> None:
    rows = streamed(snapshot, seed=0)
    first = ids(rows)
    rows.set_epoch(1)
    second = ids(rows)
    rows.set_epoch(0)
    assert ids(rows) == first != second and sorted(second) == wanted
    plain = streamed(snapshot)
    plain.set_epoch(1)
    assert ids(plain) == ids(snapshot.rows(["row_id"]))


def test_shards_are_many_where_there_are_rows_and_never_more(snapshot: Snapshot) -> None:
    assert streamed(snapshot).num_shards == 240  # 15 * 2 ** 4 of 273 rows
    assert streamed(snapshot).shard(4, 0).num_shards == 60


def test_the_version_goes_along(snapshot: Snapshot) -> None:
    rows = streamed(snapshot).map(lambda row: row)
    assert (rows.info.config_name, rows.info.dataset_name) == (snapshot.version.id, "a")


# killed and restored


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """A state as a file gives it back, where tuples are lists."""
    return json.loads(json.dumps(state))


def test_fifty_kills_with_other_ranks_each_time(snapshot: Snapshot, wanted: list[str]) -> None:
    """At each kill every rank has read another number of rows; the states of all are joined for those to come."""
    rng, kills, epoch = random.Random(0), 0, 0
    while kills < KILLS:
        read: list[str] = []
        state: dict[str, Any] | None = None
        while len(read) < ROWS:
            ranks, states = rng.randint(1, 4), []
            for rank in range(ranks):
                rows = streamed(snapshot, seed=1, buffer=50).shard(ranks, rank)
                if state is None:
                    rows.set_epoch(epoch)
                else:
                    rows.load_state_dict(state)
                for _, row in zip(range(rng.randint(0, 30)), rows, strict=False):
                    read.append(row["row_id"])
                states.append(stored(rows.state_dict()))
            state, kills = join_states(states), kills + 1
        assert sorted(read) == wanted
        assert state is not None and state["epoch"] == epoch
        epoch += 1


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "mapped"), [(0, False), (1, False), (2, True)])
def test_fifty_kills_of_stateful_loaders(
    snapshot: Snapshot, wanted: list[str], workers: int, mapped: bool
) -> None:
    """1 to 4 ranks, each killed on its own, sometimes before its first batch after a restore."""
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    rng, kills, epoch = random.Random(workers), 0, 0
    while kills < KILLS:
        ranks = epoch % 4 + 1
        read: list[str] = []

        def opened(rank: int, epoch: int, ranks: int) -> Any:
            rows = streamed(snapshot, seed=1, buffer=50)
            rows = rows.map(lambda row: {"row_id": row["row_id"]}) if mapped else rows
            rows = rows.shard(ranks, rank)
            rows.set_epoch(epoch)
            return stateful(rows, batch_size=4, num_workers=workers, collate_fn=list)

        for rank in range(ranks):
            loader = opened(rank, epoch, ranks)
            batches: Iterator[Any] = iter(loader)
            while True:
                if rng.random() < 0.25:
                    state, kills = loader.state_dict(), kills + 1
                    loader = opened(rank, epoch, ranks)
                    loader.load_state_dict(state)
                    batches = iter(loader)
                try:
                    read += ids(next(batches))
                except StopIteration:
                    break
        assert sorted(read) == wanted, (epoch, ranks)
        epoch += 1


def test_a_state_is_true_before_the_first_row_after_a_restore(snapshot: Snapshot) -> None:
    rows = streamed(snapshot, seed=0)
    rows.set_epoch(3)
    assert rows.state_dict()["epoch"] == 3
    first = [row["row_id"] for _, row in zip(range(9), rows, strict=False)]
    state = rows.state_dict()
    again = streamed(snapshot, seed=0)
    again.load_state_dict(state)
    assert again.state_dict() == state
    rows = streamed(snapshot, seed=0)
    rows.set_epoch(3)
    assert first + ids(again) == ids(rows)
    again.set_epoch(4)  # the next epoch is whole
    assert len(ids(again)) == ROWS


def test_a_filter_and_a_map_go_on_where_they_stood(snapshot: Snapshot) -> None:
    def opened() -> VersionDataset:
        kept = streamed(snapshot, seed=0).filter(lambda row: row["completion"] == "new")
        return kept.map(lambda row: {"n": len(row["completion"])}).select_columns(["row_id", "n"])

    whole = list(opened())
    assert 0 < len(whole) < ROWS and whole[0].keys() == {"row_id", "n"}
    rows = opened()
    first = [row for _, row in zip(range(5), rows, strict=False)]
    again = opened()
    again.load_state_dict(stored(rows.state_dict()))
    assert first + list(again) == whole


def test_states_that_do_not_fit_say_what_they_are_of(snapshot: Snapshot) -> None:
    state = streamed(snapshot, seed=0).shard(4, 1).state_dict()
    other = streamed(snapshot, seed=1).shard(4, 1)
    other.load_state_dict(state)
    with pytest.raises(
        UsageError, match=r"state is of version \w{16} seed 0 epoch 0 .* of version \w{16} seed 1"
    ):
        ids(other)
    rank = streamed(snapshot, seed=0).shard(3, 1)
    rank.load_state_dict(state)
    with pytest.raises(
        UsageError, match=r"state is of share 1 of 4, and this is share 1 of 3\. .* recast\.join_states"
    ):
        ids(rank)
    with pytest.raises(UsageError, match="expected what `state_dict"):
        rank.load_state_dict({"epoch": 0})


def test_states_are_joined_only_where_none_is_missing(snapshot: Snapshot) -> None:
    states = [streamed(snapshot, seed=0).shard(3, rank).state_dict() for rank in range(3)]
    assert join_states(states) == streamed(snapshot, seed=0).state_dict()
    with pytest.raises(UsageError, match="the state of share 1 of 3 is missing"):
        join_states([states[0], states[2]])
    with pytest.raises(UsageError, match="3 states are of 2 readers"):
        join_states([states[0], states[2], states[2]])
    with pytest.raises(UsageError, match="only states of one order"):
        join_states([streamed(snapshot, seed=5).shard(3, 0).state_dict(), *states[1:]])
    with pytest.raises(UsageError, match="only states of one"):
        join_states([states[0] | {"epoch": 1}, *states[1:]])
    with pytest.raises(UsageError, match="no state to join"):
        join_states([])


def test_states_of_workers_are_joined_through_their_ranks(snapshot: Snapshot, wanted: list[str]) -> None:
    """Two ranks with three workers each become one process."""
    readers = [
        streamed(snapshot, seed=0).shard(2, rank).shard(3, worker) for rank in range(2) for worker in range(3)
    ]
    read = [row["row_id"] for rows in readers for _, row in zip(range(11), rows, strict=False)]
    alone = streamed(snapshot, seed=0)
    alone.load_state_dict(join_states([rows.state_dict() for rows in readers]))
    assert sorted(read + ids(alone)) == wanted


def test_rows_are_tensors_where_they_are_made_so(snapshot: Snapshot) -> None:
    rows = streamed(snapshot).map(lambda row: {"n": len(row["completion"])}).select_columns(["n"])
    batch = next(iter(DataLoader(rows.with_format("torch"), batch_size=3)))  # pyright: ignore[reportArgumentType]
    assert isinstance(batch["n"], torch.Tensor) and batch["n"].shape == (3,)
