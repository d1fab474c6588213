"""A version as a `datasets.IterableDataset`: what `recast.load(..., streaming=True)` returns.

`datasets` shares rows out and keeps states; the order is `curate.store.stream`'s. Its own buffer of shuffled rows would
lose what it holds when a state is restored, and its own shares are whole shards: so rows come from `VersionRows`, whose
state is what is left of its share of the order.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import datasets
import numpy as np
from datasets.iterable_dataset import _BaseExamplesIterable

from recast.curate.errors import UsageError
from recast.curate.store.snapshot import Snapshot
from recast.curate.store.stream import BUFFER, Stream, Stretches, share, together, without
from recast.curate.store.turns import Format

Cuts = tuple[tuple[int, int], ...]
"""Shares of shares, outermost first: (index, of how many)."""

_LEAST_SHARDS, _DOUBLINGS = 15, 10


def streamed(
    snapshot: Snapshot, format: Format = "rows", *, seed: int | None = None, buffer: int = BUFFER
) -> VersionDataset:
    """The rows of a version, each once an epoch; arguments as for `Stream.of`."""
    version = snapshot.version
    info = datasets.DatasetInfo(
        dataset_name=version.name,
        config_name=version.id,
        description=f"{version.ref} ({version.id}): {version.message}",
    )
    rows = VersionRows(Stream.of(snapshot, format, seed=seed, buffer=buffer))
    return VersionDataset(ex_iterable=rows, info=info)


class VersionDataset(datasets.IterableDataset):
    """An `IterableDataset` whose state is true at any time.

    That of the base class is of the last iteration: until the next has given a row, it knows neither of the epoch that
    was set nor of the state that was loaded, and a second kill soon after the first begins the epoch again, silently.
    And what was loaded counts there only if its epoch was set by hand.
    """

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self._prepare_ex_iterable_for_iteration()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        _leaf(state_dict)
        self.set_epoch(state_dict["epoch"])
        super().load_state_dict(state_dict)
        self._state_dict = copy.deepcopy(state_dict)

    # the base class makes what these return of itself

    def map(self, *args: Any, **options: Any) -> VersionDataset:
        return _kept(super().map(*args, **options))

    def filter(self, *args: Any, **options: Any) -> VersionDataset:
        return _kept(super().filter(*args, **options))

    def select_columns(self, *args: Any, **options: Any) -> VersionDataset:
        return _kept(super().select_columns(*args, **options))

    def remove_columns(self, *args: Any, **options: Any) -> VersionDataset:
        return _kept(super().remove_columns(*args, **options))

    def shard(self, *args: Any, **options: Any) -> VersionDataset:
        return _kept(super().shard(*args, **options))


def _kept(made: datasets.IterableDataset) -> VersionDataset:
    made.__class__ = VersionDataset
    return cast(VersionDataset, made)


class VersionRows(_BaseExamplesIterable):
    """A share of the rows of a stream.

    Its state has the order, the cuts that made the share, the stretches of places that it began with, and how many rows
    it gave since. Tuples, not lists: `datasets` restores lists member by member and would keep the old length.
    """

    def __init__(self, stream: Stream, cuts: Cuts = ()) -> None:
        super().__init__()
        self.stream, self.cuts = stream, cuts

    def _init_state_dict(self) -> dict[str, Any]:
        left = ((0, len(self.stream)),) if len(self.stream) else ()
        for index, of in self.cuts:
            left = share(left, index, of)
        self._state_dict = {
            "type": type(self).__name__,
            "order": self.stream.order,
            "cuts": self.cuts,
            "left": left,
            "done": 0,
        }
        return self._state_dict

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        state = cast(dict[str, Any], self._state_dict or self._init_state_dict())
        left = self._left(state)
        state |= {"cuts": self.cuts, "left": left, "done": 0}
        for n, row in enumerate(self.stream.rows(left)):
            state["done"] = n + 1
            yield n, row

    def _left(self, state: Mapping[str, Any]) -> Stretches:
        """What of a state is this share's to give. Raises UsageError for that of another order or another share."""
        if state["order"] != self.stream.order:
            raise UsageError(
                f"the state is of {state['order']}, and this stream of {self.stream.order}. Load the same version with "
                "the same seed and buffer."
            )
        cuts, left = _cuts(state), _left(state)
        if cuts != self.cuts[: len(cuts)]:
            raise UsageError(
                f"the state is of {_named(cuts)}, and this is {_named(self.cuts)}. To go on with other ranks or "
                "workers, load recast.join_states([...]) of all of theirs into each."
            )
        for index, of in self.cuts[len(cuts) :]:
            left = share(left, index, of)
        return left

    def shuffle_data_sources(self, generator: np.random.Generator) -> VersionRows:
        """The order of another epoch: `datasets` seeds a generator by its number, and hands that over."""
        seeds = cast(Any, generator.bit_generator.seed_seq)  # pyright: ignore[reportAttributeAccessIssue]
        return VersionRows(self.stream.at(seeds.entropy), self.cuts)

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> VersionRows:
        """Share `index` of `num_shards` of this one; one beyond `self.num_shards`, which nobody reads, has no rows."""
        return VersionRows(self.stream, (*self.cuts, (index, min(num_shards, self.num_shards))))

    def reshard_data_sources(self) -> VersionRows:
        return self

    @property
    def num_shards(self) -> int:
        """Into how many shares this one can be cut.

        15 times a power of two, where there are rows for it: `datasets` reads everything in every process where the
        number of processes does not divide it.
        """
        rows = len(self.stream)
        doublings = next((n for n in range(_DOUBLINGS, -1, -1) if _LEAST_SHARDS << n <= rows), None)
        shards = max(rows, 1) if doublings is None else _LEAST_SHARDS << doublings
        for _, of in self.cuts:
            shards = max(shards // of, 1)
        return shards


def join_states(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One state from those of all ranks and workers of an epoch, for any other number of ranks and workers to load.

    Each of them then gets its share of the rows that are left. Raises UsageError where a state is missing or twice, is
    of another epoch or order, or holds more than a place in a stream (rows of a batched `map` not given yet).
    """
    if not states:
        raise UsageError("there is no state to join; expected those of all ranks and workers.")
    leaves = [_leaf(state) for state in states]
    if any(_around(state) != _around(states[0]) for state in states):
        raise UsageError(
            "the states differ in more than what is left (the epoch, or rows that a batched map holds): only states of "
            "one epoch of the same stream can be joined."
        )
    if len(orders := sorted({leaf["order"] for leaf in leaves})) > 1:
        raise UsageError(
            f"the states are of {' and of '.join(orders)}: only states of one order can be joined."
        )
    pieces = {(_cuts(leaf)): _left(leaf) for leaf in leaves}
    if len(pieces) < len(leaves):
        raise UsageError(f"{len(leaves)} states are of {len(pieces)} readers; expected one of each.")
    while pieces.keys() != {()}:
        deepest = max(pieces, key=len)
        above, (_, of) = deepest[:-1], deepest[-1]
        wanted = [(*above, (index, of)) for index in range(of)]
        if missing := [cuts for cuts in wanted if cuts not in pieces]:
            raise UsageError(
                f"the state of {_named(missing[0])} is missing: rows that it did not give would be lost."
            )
        pieces[above] = together([pieces.pop(cuts) for cuts in wanted])
        for beyond in [cuts for cuts in pieces if cuts[:-1] == above and cuts and cuts[-1][0] >= cuts[-1][1]]:
            del pieces[beyond]  # of more readers than rows
    joined = copy.deepcopy(dict(states[0]))
    _leaf(joined).update(cuts=(), left=pieces[()], done=0)
    return joined


def _leaf(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of `VersionRows` in that of what was made of it."""
    found: Any = state
    while isinstance(found, Mapping):
        if found.get("type") == VersionRows.__name__:
            return cast(dict[str, Any], found)
        found = found.get("examples_iterable")
    raise UsageError("the state is not of a version: expected what `state_dict()` of a stream gave.")


def _around(state: Mapping[str, Any]) -> Any:
    """A state without that of `VersionRows`."""
    if state.get("type") == VersionRows.__name__:
        return None
    return {key: _around(value) if isinstance(value, Mapping) else value for key, value in state.items()}


def _cuts(state: Mapping[str, Any]) -> Cuts:
    return tuple((index, of) for index, of in state["cuts"])  # JSON has lists


def _left(state: Mapping[str, Any]) -> Stretches:
    return without(tuple((begin, end) for begin, end in state["left"]), state["done"])


def _named(cuts: Cuts) -> str:
    """Whose share it is, for a sentence."""
    return " of ".join(f"share {index} of {of}" for index, of in reversed(cuts)) or "all rows"
