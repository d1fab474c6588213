"""So many accepted rows, in the mix of the source: what the options `--accepted` and `--like` of a rewrite do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recast.curate.errors import BudgetReached, RefusedError, UsageError
from recast.pipelines.run.runs import Run
from recast.pipelines.wiring.rewriting import Rewriting

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from recast.agent.batches.job import Budget
    from recast.agent.rewriting.rounds import Rounds
    from recast.curate.curation.quotas import Kinds
    from recast.curate.store.store import Store

ROUNDS = "rounds"
SHOWN = 5


def fill(
    asked: Rewriting,
    accepted: int,
    like: str | None,
    tries: int,
    *,
    store: Store,
    run: Run,
    budget: Budget,
    make_do: bool,
    progress: Callable[..., None] | None,
) -> tuple[Rounds, dict[str, Any]]:
    """Do the rounds, and say what came of each kind of row: `kinds`, and of those with too few, `short`.

    Raises UsageError for what cannot be counted so, BudgetReached where a budget ends it (unless `make_do`), and
    RefusedError where nothing was accepted.
    """
    from recast.agent.rewriting.rewrite import rewrite
    from recast.agent.rewriting.rounds import Rounds, Wanted
    from recast.curate.curation.quotas import columns, kinds, quotas
    from recast.curate.schema import VERSION_SCHEMA
    from recast.curate.store.gather import fetch

    if asked.config.targets > 1:
        raise UsageError(
            "--accepted counts rows of one rewrite each; leave --targets and rewrite.targets out."
        )
    names = [name.strip() for name in (like or "").split(",") if name.strip()]
    snapshot = store.open(asked.version)
    found = kinds(snapshot.batches(columns(names) or ["row_id"]), names)
    of_row = found.of_row[: asked.limit]
    live = snapshot.live()

    def rows_at(positions: np.ndarray) -> pa.Table:
        places = live.take(positions)
        return fetch(store.root, places["part"], places["pos"], VERSION_SCHEMA.names)

    def one(rows: pa.Table, folder: Any, seed: int, left: Budget, tell: Any) -> Any:
        return rewrite(
            rows,
            asked.engine,
            asked.gate,
            asked.config.model_copy(update={"seed": seed}),
            folder,
            method=asked.method,
            prompts=asked.prompts,
            progress=tell,
            agent_id=asked.agent_id,
            budget=left,
        )

    of_kind = found.counts if asked.limit is None else _counts(of_row, len(found.names))
    settings = asked.config
    wanted = Wanted(
        of_row,
        quotas(of_kind, accepted),
        tries,
        settings.seed,
        settings.batch_rows,
        asked.method.most_candidates if asked.method else settings.candidates * (1 + settings.repairs),
    )
    rounds = Rounds(wanted, rows_at, run.folder / ROUNDS)
    try:
        rounds.run(one, budget=budget, progress=progress)
    except BudgetReached as reached:
        if not make_do:
            raise BudgetReached(
                f"{reached} So far {rounds.got.sum():,} of {accepted:,} rows are accepted{_lacking(rounds, found)}; "
                "--make-do makes the version of what there is."
            ) from reached
    if not rounds.got.any():
        raise RefusedError(
            f"none of {rounds.figures()['num_candidates']} candidates was accepted, so there is no row for a version. "
            f"`recast plan {asked.version.ref}` says why on a few rows."
        )
    return rounds, _told(rounds, found, of_kind)


def _counts(of_row: np.ndarray, kinds: int) -> np.ndarray:
    import numpy as np

    return np.bincount(of_row, minlength=kinds)


def _lacking(rounds: Rounds, found: Kinds) -> str:
    most = sorted(range(len(found.names)), key=lambda i: -rounds.short[i])[:SHOWN]
    said = [f"{rounds.short[i]:,} of {found.names[i]}" for i in most if rounds.short[i] > 0]
    return f", lacking {'; '.join(said)}" if len(found.names) > 1 else ""


def _told(rounds: Rounds, found: Kinds, of_kind: np.ndarray) -> dict[str, Any]:
    got, all_got, all_rows = rounds.got, int(rounds.got.sum()), int(of_kind.sum())
    kinds = [
        {
            "kind": name,
            "source_rows": int(of_kind[i]),
            "source_share": float(of_kind[i]) / all_rows,
            "wanted": int(rounds.wanted.quotas[i]),
            "got": int(got[i]),
            "share": float(got[i]) / all_got,
        }
        for i, name in enumerate(found.names)
        if of_kind[i]
    ]
    short = {each["kind"]: each["wanted"] - each["got"] for each in kinds if each["got"] < each["wanted"]}
    return {
        "kinds": kinds,
        "short": dict(sorted(short.items(), key=lambda item: -item[1])),
        "off": max(abs(each["share"] - each["source_share"]) for each in kinds),
    }


def show(result: dict[str, Any], console: Any) -> None:
    """The version, its mix beside the source's, and what it lacks."""
    console.print(
        f"{result['version']}: {result['rows']} of {result['wanted']} accepted rows, from {result['rows_tried']} rows "
        f"of {result['source']} in {result['rounds']} rounds: {result['num_accepted']} of {result['num_candidates']} "
        "candidates were accepted",
        markup=False,
    )
    if len(result["kinds"]) > 1:
        console.print(
            f"  shares of kinds differ from the source's by {result['off']:.2%} at most", markup=False
        )
    if result["short"]:
        lacking = sum(result["short"].values())
        why = "the budget ended it" if result["budget_reached"] else f"each was tried {result['tries']} times"
        console.print(f"  {lacking} rows short; {why}:", markup=False)
        for kind, rows in list(result["short"].items())[:SHOWN]:
            console.print(f"  {rows:>7} {kind}", markup=False)
    for reason, rows in list(result["reasons"].items())[:SHOWN]:
        console.print(f"  {rows:>7} tries failed ({reason})", markup=False)
    console.print(f"look at it: recast show {result['version']}", markup=False)
