"""`recast review`: a person decides about rows, one key each, and the decisions become the next version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.curate.errors import UsageError
from recast.pipelines.options import GateName, Message, Names, UnsafeExec, VersionRef, option
from recast.pipelines.terminal.text import counted

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config

BELOW = 0.02


def job(
    name: VersionRef,
    *,
    queue: Annotated[
        Literal["risk", "active", "random", "changed", "conflicts"],
        option(
            "--queue",
            help="Which rows come first: risk (likeliest mistakes), active (to be sure of a share by few rows), random "
            "(an honest share), changed, conflicts.",
        ),
    ] = "risk",
    below: Annotated[
        float | None,
        option(
            "--below",
            help="With --queue active: the share of refused rows to be 95 % sure to be below. Default: 0.02.",
            metavar="SHARE",
            min=0.0001,
            max=0.5,
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None,
        option(
            "--where",
            help="Only rows in which this holds: SQL over their columns.",
            metavar="SQL",
            show_default=False,
        ),
        Names.CONDITION,
    ] = None,
    against: Annotated[
        str | None,
        option(
            "--against",
            help="Only rows that changed since this version, beside what they were.",
            metavar="VERSION",
            show_default=False,
        ),
        Names.VERSION,
    ] = None,
    reviewer: Annotated[
        str | None,
        option(
            "--reviewer",
            help="Who decides. Default: the config's author, else RECAST_AUTHOR, else the login name.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    merge: Annotated[
        Path | None,
        option(
            "--merge",
            help="Take another reviewer's decisions from this file; those that differ are queued as conflicts.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    commit: Annotated[bool, option("--commit", help="Make the next version of what was decided.")] = False,
    decisions: Annotated[
        Path | None,
        option(
            "--decisions",
            help="With --commit: a file of decisions, such as the page of `recast diff --html` saves.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    to: Annotated[
        str | None,
        option(
            "--as",
            help="With --commit: name or NAME/BRANCH of the new version. Default: the next one of VERSION's branch.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    message: Message = None,
    port: Annotated[
        int | None,
        option(
            "--port",
            help="Port of the page. Default: that of the last time, else a free one.",
            min=1,
            max=65535,
            show_default=False,
        ),
    ] = None,
    show_page: Annotated[bool, option("--open", help="Open the page in a browser.")] = False,
    seed: Annotated[int, option("--seed", help="Of the order that --queue random draws.")] = 0,
    gate: GateName = None,
    unsafe_exec: UnsafeExec = False,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Serve a page on this machine on which a person decides about the rows of VERSION, one key a decision.

    Every decision is on disk before the next row comes, so the page may be closed and the command killed at any time;
    the same command goes on. Ctrl-C ends it. `?` on the page lists the keys. --commit makes the next version of the
    decisions: accepted, edited or back to the expert's text, with reason, note and reviewer in each row's `meta`, where
    `recast why` and `recast blame` read them. An edit that the gate refuses needs a note.
    """
    from recast.curate.store.store import default_author

    if not commit and (decisions or to or message):
        raise UsageError("--decisions, --as and --message say how decisions are committed; add --commit.")
    if below is not None and queue != "active":
        raise UsageError("--below says when --queue active knows enough; add that, or leave it out.")
    if seed and queue != "random":
        raise UsageError("--seed is of the order that --queue random draws; add that, or leave it out.")
    if commit and (where or against or port or merge or show_page or queue != "risk"):
        raise UsageError("--commit opens no page; leave the options of the page out, and merge before.")
    version = store.resolve(name)
    who = reviewer or config.general.author or default_author()
    if merge is not None:
        return _merge(store, version, who, merge)
    judge = _gate(str(gate), config, unsafe_exec)
    if commit:
        return _commit(store, version, who, judge, decisions, to, message)
    return _serve(store, version, who, judge, queue, below or BELOW, where, against, seed, port, show_page)


def _gate(name: str, config: Config, unsafe_exec: bool) -> Any:
    from recast.pipelines.wiring.gates import open_gate

    return open_gate(name, engine=config.section("judge"), unsafe_exec=unsafe_exec)


def _merge(store: Store, version: Any, who: str, file: Path) -> dict[str, Any]:
    from recast.pipelines.review import decisions
    from recast.pipelines.review.log import log_of, read

    with log_of(store, version, who) as log:
        found = decisions.merge(log.review, read(file))
        for event in (*found.taken, *found.conflicts):
            log.append(event)
        conflicts = sum(row.theirs is not None for row in log.review.rows.values())
        return {
            "source": version.ref,
            "reviewer": who,
            "merged": found.to_json(),
            "open_conflicts": conflicts,
        }


def _commit(
    store: Store, version: Any, who: str, gate: Any, file: Path | None, to: str | None, message: str | None
) -> dict[str, Any]:
    from recast.pipelines.review.commit import commit
    from recast.pipelines.review.log import log_path, read

    path = file or log_path(store, version, who)
    if not path.exists():
        raise UsageError(
            f"{who} has decided nothing about {version.ref} ({path} is not there). Review it first, or name the file "
            "with --decisions, the reviewer with --reviewer."
        )
    done = commit(store, version, read(path), gate, to=to, message=message)
    return {"source": version.ref, **done.to_json(), "failed_rows": len(done.stale)}


def _serve(
    store: Store, version: Any, who: str, gate: Any, queue: Any, below: float, where: str | None, against: str | None,
    seed: int, port: int | None, show_page: bool,
) -> dict[str, Any]:  # fmt: skip
    import sys
    import webbrowser

    from recast.curate.history.diff import diff
    from recast.pipelines.review import server
    from recast.pipelines.review.log import folder
    from recast.pipelines.review.session import Session

    if queue == "changed" and against is None:
        raise UsageError(
            "--queue changed shows what changed since another version; name it with --against VERSION."
        )
    since = diff(store, store.resolve(against), version) if against else None
    with Session(
        store,
        version,
        reviewer=who,
        gate=gate,
        queue_name=queue,
        where=where,
        against=since,
        seed=seed,
        below=below,
    ) as session:
        session.row(session.next_open(-1) or 0)  # a gate that judges for the first time reads its words
        bound, token = server.address(folder(store, version), session.file_name, port)
        url = f"http://{server.HOST}:{bound.getsockname()[1]}/{token}/"
        said = f"{counted(len(session.queue.rows), 'row')} of {version.ref}, {session.queue.said}"
        print(f"{said}\n{url}\nfor this machine's browser alone; Ctrl-C ends it", file=sys.stderr, flush=True)
        if show_page:
            webbrowser.open(url)
        server.serve(session, bound, token)
        facts = session.progress()
        return {
            "source": version.ref, "reviewer": who, "decisions": str(session.log.path), "counts": facts["counts"],
            "done": facts["done"], "rows": facts["rows"], "estimate": facts["estimate"],
            "active": facts["active"],
        }  # fmt: skip


def _sure(active: dict[str, Any]) -> str:
    """What an active review knows, and what it still takes."""
    rows = f"after {counted(active['looked'], 'row')} of {active['rows']:,}"
    if active["sure"]:
        return f"95 % sure: {active['sure']} {active['below']:.2%} are refused ({rows})"
    more = "they look no fewer than that" if active["left"] is None else f"about {active['left']} rows more"
    known = f"{active['low']:.2%} to {active['high']:.2%} are refused, 95 % sure"
    return f"{known} ({rows}); below {active['below']:.2%}: {more}"


def show(result: dict[str, Any], console: Any) -> None:
    if "merged" in result:
        merged = result["merged"]
        console.print(
            f"{counted(merged['taken'], 'decision')} taken over, {merged['agreed']} the same, "
            f"{counted(merged['conflicts'], 'new conflict')}",
            markup=False,
        )
        if result["open_conflicts"]:
            console.print(f"settle them: recast review {result['source']} --queue conflicts", markup=False)
        return
    counts = ", ".join(f"{rows} {name}" for name, rows in result["counts"].items()) or "nothing decided"
    if "done" in result:
        console.print(f"{result['source']}: {counts}; in {result['decisions']}", markup=False)
        if result["active"]:
            console.print(f"  {_sure(result['active'])}", markup=False)
        if result["counts"]:
            console.print(f"make a version of it: recast review {result['source']} --commit", markup=False)
        return
    console.print(f"{result['version'] or 'no version'}: {counts} of {result['source']}", markup=False)
    if result["overruled"]:
        console.print(f"  over the gate, with a note: {', '.join(result['overruled'][:8])}", markup=False)
    if result["stale"]:
        rows = counted(len(result["stale"]), "row")
        console.print(
            f"  {rows} read otherwise by now and are left out: {', '.join(result['stale'][:8])}", markup=False
        )
    if result["deferred"]:
        console.print(f"  {counted(result['deferred'], 'row')} deferred", markup=False)
