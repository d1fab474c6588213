"""The runs of a store: who is at work on them, where, how fast, and what is left.

Read from what runs keep in their folders anyway, so it can be asked from any machine that shares the store. A rate is
a process's own, by its own clock; who is alive is told by the clock of the file system (`curate.presence`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recast.curate import leases, presence
from recast.curate.errors import UsageError
from recast.curate.presence import Seen
from recast.pipelines.run import runs

State = Literal["running", "stopping", "unfinished", "finished"]


@dataclass(frozen=True, slots=True)
class Hand:
    """One process at work on a run, or one that died over it."""

    id: str
    host: str
    pid: int
    alive: bool
    started: float  # seconds since the epoch, by the clock of its machine
    made: float | None  # rows or steps, by itself
    per_second: float | None
    units: list[int]  # batches that it holds


@dataclass(frozen=True, slots=True)
class Overview:
    """One run as its folder shows it."""

    run: str
    state: State
    done: float | None
    total: float | None
    per_second: float | None  # of all living processes together
    seconds_left: float | None
    hands: list[Hand]
    logs: list[str]


def overviews(store: str | Path) -> list[Overview]:
    """All runs of a store, the one that was begun last first."""
    folders = [path.parent for path in (Path(store) / "runs").glob(f"*/{runs.RESOLVED}")]
    folders.sort(key=lambda folder: (-(folder / runs.RESOLVED).stat().st_mtime, folder.name))
    return [overview(folder) for folder in folders]


def find(store: str | Path, name: str) -> Path:
    """The folder of the run whose name begins with `name`. Raises UsageError where there is none, or several."""
    found = sorted(path.parent for path in (Path(store) / "runs").glob(f"{name}*/{runs.RESOLVED}"))
    if len(found) != 1:
        near = (
            f"they are {', '.join(path.name for path in found)}"
            if found
            else "`recast jobs --all` lists them"
        )
        raise UsageError(f"{len(found)} runs of {store} begin with {name!r}, expected one; {near}.")
    return found[0]


def overview(folder: Path) -> Overview:
    """What the folder of a run shows."""
    workers = folder / runs.WORKERS
    present = presence.present(workers)
    now = presence.clock(workers) if present else 0.0
    said = {seen.id: presence.said(workers, seen) for seen in present}
    held: dict[str, list[int]] = {}
    for unit, holder in leases.holders(workers).items():
        held.setdefault(holder, []).append(unit)
    hands = [_hand(seen, said[seen.id], now, held.get(seen.id, [])) for seen in present]
    living = [hand for hand in hands if hand.alive]
    done, total = _far(folder, [said[hand.id] for hand in living])
    rates = [hand.per_second for hand in living if hand.per_second]
    left = (total - done) / sum(rates) if rates and total is not None and done is not None else None
    logs = [*(folder / runs.LOGS).glob("*"), folder / runs.EVENTS]
    return Overview(
        run=folder.name,
        state=_state(folder, [said[hand.id] for hand in living]),
        done=done,
        total=total,
        per_second=sum(rates) if rates else None,
        seconds_left=left,
        hands=hands,
        logs=sorted(str(path) for path in logs if path.exists()),
    )


def _hand(seen: Seen, said: Mapping[str, Any], now: float, units: list[int]) -> Hand:
    made, seconds = said.get("made"), said.get("seconds")
    if (
        made is None and "done" in said
    ):  # what is no job over batches does not tell what it found done already
        made, seconds = said["done"] - said["first"], said["at"] - said["since"]
    rate = made / seconds if made and seconds else None
    return Hand(seen.id, seen.host, seen.pid, seen.alive(now), seen.facts["started"], made, rate, units)


def _far(folder: Path, said: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """What is done and what there is to do: as the living say, else by the parts that stand."""
    told = [(point["done"], point["total"]) for point in said if "done" in point and "total" in point]
    if told:
        return max(told)
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, None
    parts = sum(1 for _ in (folder / "parts").glob("*.parquet"))
    return min(parts * plan["batch_rows"], plan["num_rows"]), plan["num_rows"]


def _state(folder: Path, said: Sequence[Mapping[str, Any]]) -> State:
    if not said:
        return "finished" if (folder / runs.RESULT).exists() else "unfinished"
    asked = all("since" in point and runs.cancelled(folder, point["since"]) for point in said)
    return "stopping" if asked else "running"
