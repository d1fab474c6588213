"""`recast gate run`: every row of a version, judged by a gate."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import RefusedError
from recast.pipelines.options import GateOptions, RayAddress, VersionRef, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

SHOWN_REASONS = 12


def job(
    name: VersionRef,
    *,
    options: GateOptions,
    min_accepted: Annotated[
        float | None,
        option(
            "--min-accepted",
            help="Exit code 4 unless at least this share of the rows is accepted.",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            show_default=False,
        ),
    ] = None,
    ray: RayAddress = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge every row of `name` and keep the verdicts in the store, where `recast sql` reads them.

    They are the table `verdicts`: version, gate, row_id, target, status, reason, checks. A row that reads as the
    expert wrote it is asked everything but whether it copies the expert. Killed at any moment, the same command
    goes on. With --workers the same command may run several times, on several machines: they share the rows.
    """
    from dataclasses import asdict

    from recast.curate.gate.audit import audit
    from recast.pipelines.on_ray.cluster import Cluster
    from recast.pipelines.on_ray.verdicts import judged
    from recast.pipelines.wiring.gates import asked_gate

    gate, workers = asked_gate(options, config)
    cluster = Cluster(ray, workers=options.workers) if ray else None
    with cluster or nullcontext():
        found = audit(
            store.open(name),
            gate,
            run.folder,
            workers=workers,
            progress=progress,
            fresh=run.fresh,
            leases=run.leases,
            turn=run.turn,
            judge=cluster and partial(judged, gate, cluster),
        )
    share = found.accepted / max(1, found.rows)
    if min_accepted is not None and share < min_accepted:
        raise RefusedError(
            f"gate {found.gate} accepts {found.accepted} of the {found.rows} rows of {found.version} ({share:.2%}), "
            f'and --min-accepted asks for {min_accepted:.2%}. The verdicts are kept: recast sql "SELECT reason, '
            f"count(*) FROM verdicts WHERE version = '{found.version}' GROUP BY ALL\""
        )
    return {
        **asdict(found),
        "accepted_share": share,
        "failed_rows": found.reasons.get("check_error", 0),
    }


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['version']}: {result['rows']} rows = {result['accepted']} accepted + {result['rejected']} rejected "
        f"+ {result['unverifiable']} unverifiable, by gate {result['gate']} ({result['gate_id']})",
        markup=False,
    )
    for reason, count in list(result["reasons"].items())[:SHOWN_REASONS]:
        console.print(f"  {count:>7} {reason}", markup=False)
    console.print(
        f"look at them: recast sql \"SELECT row_id, reason FROM verdicts WHERE version = '{result['version']}' "
        "AND status <> 'accepted'\"",
        markup=False,
    )
    console.print(f"how often the gate is wrong: recast gate report --gate {result['gate']}", markup=False)
