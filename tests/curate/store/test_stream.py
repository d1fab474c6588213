"""The order of a stream: every row once, the same on every machine, and places that can be shared out anew."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.curate.errors import UsageError
from recast.curate.store.places import mapped
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.store import Store
from recast.curate.store.stream import BLOCK, Stream, count, permuted, share, together, without
from tests.fakes.exports import kinds_of_rows, sums


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """2,500 rows over three parts: some of the first are changed, some are gone, some came first in order."""
    store = Store(tmp_path_factory.mktemp("store"))
    rows = sums(2_500)
    store.commit(rows, "a")
    store.commit([r | {"completion": "changed"} if n % 7 == 0 else r for n, r in enumerate(rows)], "a")
    kept = [r | {"completion": "changed"} if n % 7 == 0 else r for n, r in enumerate(rows) if n % 11]
    store.commit([r | {"row_id": f"new-{r['row_id']}"} for r in rows[:300]] + kept, "a")
    return store.open("a")


def read(stream: Stream, *stretches: tuple[int, int]) -> list[dict[str, Any]]:
    return list(stream.rows(stretches or ((0, len(stream)),)))


def test_without_a_seed_rows_come_as_the_version_has_them(snapshot: Snapshot) -> None:
    assert read(Stream.of(snapshot, buffer=100)) == list(snapshot.rows())


@pytest.mark.parametrize("buffer", [1, 100, 1_500, 100_000])
def test_a_seed_shuffles_and_neither_loses_nor_doubles_a_row(snapshot: Snapshot, buffer: int) -> None:
    stream = Stream.of(snapshot, seed=0, buffer=buffer)
    ids = [row["row_id"] for row in read(stream)]
    stored = [row["row_id"] for row in snapshot.rows(["row_id"])]
    assert sorted(ids) == sorted(stored) and ids != stored
    assert [row["row_id"] for row in read(stream.at(1))] not in (ids, stored)
    assert ids == [row["row_id"] for row in read(Stream.of(snapshot, seed=0, buffer=buffer))]


def test_any_stretch_is_what_the_whole_has_there(snapshot: Snapshot) -> None:
    stream = Stream.of(snapshot, seed=3, buffer=300)
    ids = [row["row_id"] for row in read(stream)]
    for begin, end in ((0, 1), (299, 301), (1_020, 1_030), (len(ids) - 1, len(ids)), (17, 2_400)):
        assert [row["row_id"] for row in read(stream, (begin, end))] == ids[begin:end]
    copied = pickle.loads(pickle.dumps(stream))  # as a worker gets it
    assert [row["row_id"] for row in read(copied, (5, 600))] == ids[5:600]


def test_rows_of_one_block_meet_those_of_others_in_a_window(snapshot: Snapshot) -> None:
    """Of 2,573 rows there are three blocks; a window of two of them mixes rows that lay over a thousand rows apart."""
    at = {row["row_id"]: n for n, row in enumerate(snapshot.rows(["row_id"]))}
    first = [at[row["row_id"]] // BLOCK for row in read(Stream.of(snapshot, seed=0, buffer=2_048), (0, 50))]
    assert len(set(first)) > 1


def test_the_permutation_is_the_same_for_good() -> None:
    """A state is worth nothing where another release orders otherwise."""
    assert permuted(8, 0, 0, "blocks").tolist() == [7, 5, 2, 6, 3, 1, 0, 4]
    assert sorted(permuted(1_000, 1, 2).tolist()) == list(range(1_000))
    assert permuted(0, 1).tolist() == []


def test_formats_have_the_columns_of_data_sets_and_turns_keep_their_members(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit([r for r in kinds_of_rows() if r["row_id"] == "calls"], "calls")
    snapshot = store.open("calls")
    (row,) = read(Stream.of(snapshot, "prompt_completion"))
    assert list(row) == ["prompt", "completion", "answer", "task", "row_id"]
    assert row["prompt"][1]["tool_calls"][0]["function"]["arguments"] == {"a": 2, "b": 3}
    assert row["completion"] == [{"role": "assistant", "content": "It is 5."}]
    (row,) = read(Stream.of(snapshot, "messages"))
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    with pytest.raises(UsageError, match=r"a version is no 'chat'; formats are rows, messages"):
        Stream.of(snapshot, "chat")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the buffer is of 0 rows"):
        Stream.of(snapshot, buffer=0)


def test_an_empty_version_has_an_empty_stream(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit([], "a")
    stream = Stream.of(store.open("a"), seed=0)
    assert len(stream) == 0 and read(stream) == []


def test_a_file_of_places_that_was_cut_is_made_again(snapshot: Snapshot) -> None:
    path = mapped(snapshot)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert mapped(snapshot).read_bytes() == whole


# places


def stretches() -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    sizes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), max_size=5)

    def laid(pairs: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        at, found = 0, []
        for gap, size in pairs:
            found.append((at + gap, at + gap + size))
            at += gap + size
        return tuple(found)

    return sizes.map(laid)


def places(pieces: tuple[tuple[int, int], ...]) -> list[int]:
    return [n for begin, end in pieces for n in range(begin, end)]


@given(stretches(), st.integers(1, 7), st.integers(0, 50))
def test_shares_are_all_places_once_and_differ_by_one_at_most(
    pieces: tuple[tuple[int, int], ...], of: int, done: int
) -> None:
    shares = [share(pieces, index, of) for index in range(of)]
    assert [n for each in shares for n in places(each)] == places(pieces)
    sizes = [count(each) for each in shares]
    assert max(sizes) - min(sizes) <= 1
    assert places(together(shares[::-1])) == places(pieces)
    assert places(without(pieces, done)) == places(pieces)[done:]
    assert share(pieces, of, of) == ()


def test_shares_of_shares_differ_by_one_at_most() -> None:
    for total in range(60):
        sizes = {
            count(share(share(((0, total),), rank, 3), worker, 4)) for rank in range(3) for worker in range(4)
        }
        assert max(sizes) - min(sizes) <= 1
