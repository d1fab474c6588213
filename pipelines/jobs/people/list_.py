"""`recast jobs`: what runs in a store, where, how fast, and what is left."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import argument, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store

LINES = 20


def job(
    name: Annotated[
        str | None, argument("A run, or how its name begins. Default: all.", metavar="RUN")
    ] = None,
    *,
    everything: Annotated[bool, option("--all", help="Finished runs, too.")] = False,
    logs: Annotated[bool, option("--logs", help=f"The last {LINES} lines of every log, too.")] = False,
    store: Store,
) -> dict[str, Any]:
    """What is being done in this store, on whatever machine: processes, rates, what is left, and where the logs are.

    Runs that nobody is at work on are listed as unfinished: the command that began one goes on with it.
    """
    from dataclasses import asdict

    from recast.pipelines.run import overview

    if name is not None:
        found = [overview.overview(overview.find(store.root, name))]
    else:
        found = [one for one in overview.overviews(store.root) if everything or one.state != "finished"]
    jobs = [asdict(one) for one in found]
    if logs:
        for one in jobs:
            one["last_lines"] = {path: tail(Path(path)) for path in one["logs"]}
    return {"jobs": jobs}


def tail(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, LINES)]


def show(result: dict[str, Any], console: Any) -> None:
    from recast.pipelines.terminal.progress import clock

    if not result["jobs"]:
        console.print("nothing is running and nothing is unfinished; --all lists finished runs")
    for one in result["jobs"]:
        words = [one["run"], one["state"]]
        if one["total"]:
            words.append(f"{one['done']:,.0f} of {one['total']:,.0f}")
        if one["per_second"]:
            words.append(f"{one['per_second']:.3g}/s")
        if one["seconds_left"] is not None:
            words.append(f"{clock(one['seconds_left'])} left")
        console.print("  ".join(words), markup=False)
        for hand in one["hands"]:
            did = [f"{hand['made']:,.0f} done"] if hand["made"] is not None else []
            did += [f"{hand['per_second']:.3g}/s"] if hand["per_second"] else []
            did += [f"at {', '.join(map(str, hand['units']))}"] if hand["units"] else []
            did += [] if hand["alive"] else ["dead"]
            console.print(f"  {hand['host']} process {hand['pid']}  {'  '.join(did)}", markup=False)
        for path in one["logs"]:
            console.print(f"  {path}", markup=False)
            for line in one.get("last_lines", {}).get(path, ()):
                console.print(f"    {line}", markup=False)
