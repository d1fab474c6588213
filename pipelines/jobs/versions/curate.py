"""`recast curate`: the rows of a version that are worth training on, as a version; the others with their reasons."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import RefusedError, UsageError
from recast.pipelines.options import Names, VersionRef, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

REMOVED = "-removed"


def job(
    name: VersionRef,
    *,
    to: Annotated[
        str | None,
        option(
            "--as",
            help="Name of the new version. Default: the next version of NAME.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        option(
            "--against",
            help="Benchmark file or folder; rows that share a long n-gram with it go.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    budget: Annotated[
        int | None,
        option("--budget", help="Keep at most N rows, uncertain and spread.", metavar="N", min=1),
    ] = None,
    embedding: Annotated[
        str | None,
        option(
            "--embedding",
            help="Sentence-transformers model for semantic duplicates and the budget. Default: hashed words.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    only: Annotated[
        str | None,
        option(
            "--only",
            help="Keep the rows in which this holds, and apply no filter besides: --only \"decision = 'rewrite'\".",
            metavar="SQL",
            show_default=False,
        ),
        Names.CONDITION,
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="Say what would go, commit nothing.")] = False,
    ray: Annotated[
        str | None,
        option(
            "--ray",
            help="Find duplicates on a Ray cluster: its address, `auto`, or `local` for one here. The same rows go.",
            metavar="ADDRESS",
            show_default=False,
        ),
        Names.ADDRESS,
    ] = None,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Remove duplicates, noise, contaminated and wrong rows of `name`, and choose within a budget.

    With --only, keep the rows in which an SQL condition over their columns holds, and no other filter applies; other
    versions are tables in it, as in --only 'row_id IN (SELECT row_id FROM "other@v2")'.

    Every removed row is kept in NAME-removed with its reason, and why in one sentence in its `meta`. Thresholds are
    the section `curate` of the configuration (`--set curate.max_nll=3`); `recast init` explains them.
    """
    from recast.curate.curation.decontamination import Benchmarks, texts_of
    from recast.curate.curation.filters import chosen, columns_of, curate, limits_of
    from recast.curate.history.query import holds
    from recast.pipelines.on_ray.cluster import Cluster
    from recast.pipelines.on_ray.duplicates import Gathered

    if only is not None and (against or budget or embedding or ray or config.given.get("curate")):
        raise UsageError(
            "--only applies no filter besides its condition, so --against, --budget, --embedding, --ray and the "
            "section `curate` would have no effect; leave them out, or run `recast curate` twice."
        )
    settings = config.section("curate", budget=budget)
    version = store.resolve(name)
    snapshot = store.open(version)
    scores = snapshot.table(["nll_demonstration", "pass_rate"])
    nll, rate = (scores[column].to_numpy() for column in scores.column_names)
    if only is not None:
        outcome = chosen(holds(store, version, only), only)
    else:
        with Cluster(ray) if ray else nullcontext():
            outcome = curate(
                snapshot.rows(columns_of(settings)),
                settings,
                limits=limits_of(settings, nll, rate),
                benchmarks=Benchmarks(
                    (text for path in against or () for text in texts_of(path)), settings.contamination_ngram
                ),
                embed=_embed(embedding),
                progress=progress and (lambda done: progress({"done": done, "total": version.rows})),
                finder=Gathered(settings.near_duplicate) if ray else None,
            )
    kept = outcome.counts.get("kept", 0)
    result = {
        "source": version.ref,
        "rows": version.rows,
        "kept": kept,
        "removed": {reason: rows for reason, rows in outcome.counts.items() if reason != "kept"},
        "examples": _examples(snapshot, outcome),
        "masked": _masked_kinds(outcome),
        "masked_rows": len(outcome.masked),
        "difficulty": bands(rate),
        "not_applied": outcome.switched_off,
        "dry_run": dry_run,
    }
    if not kept:
        cure = (
            f"No row fulfils --only {only!r}."
            if only is not None
            else "Loosen the threshold behind it (section `curate` of the configuration); `--dry-run` shows the effect."
        )
        raise RefusedError(f"nothing of {version.ref} would be left: {_said(result['removed'])}. {cure}")
    return (
        result if dry_run else result | _commit(store, config, run, snapshot, outcome, to, result, settings)
    )


def _commit(
    store: Store,
    config: Config,
    run: Run,
    snapshot: Any,
    outcome: Any,
    to: str | None,
    result: dict[str, Any],
    settings: Any,
) -> dict[str, Any]:
    """Seal the removed rows first, then the version without them: a crash between the two loses no row."""
    from recast.curate.store.versions import MAIN
    from recast.pipelines.wiring import commits

    version = snapshot.version
    own = version.name if version.branch == MAIN else f"{version.name}/{version.branch}"
    target = to or own
    aside = target.replace("/", "-") + REMOVED
    removed = None
    if result["removed"]:
        removed = commits.once(
            store,
            aside,
            run,
            lambda run_id: store.commit(
                _removed_rows(snapshot, outcome),
                aside,
                message=f"removed from {version.ref}: {_said(result['removed'])}",
                author=config.general.author,
                run_id=run_id,
                meta={"removed_from": version.ref},
            ),
        )
    keys = snapshot.table(["row_id", "target"]).to_pylist()
    gone = [(k["row_id"], k["target"]) for k, reason in zip(keys, outcome.reasons, strict=True) if reason]
    new = commits.once(
        store,
        target,
        run,
        lambda run_id: store.commit(
            _masked_rows(snapshot, outcome, settings) if outcome.masked else [],
            target,
            parent=version,
            expect_parent=version.ref if target == own else None,
            mode="patch",
            remove=gone,
            message=f"{version.ref} curated: {_said(result['removed']) or 'nothing removed'}"
            + (f"; masked: {_said(result['masked'])}" if result["masked"] else ""),
            author=config.general.author,
            run_id=run_id,
            meta={"curated": version.ref, "removed": removed and removed.ref},
        ),
    )
    return {"version": new.ref, "version_id": new.id, "removed_version": removed and removed.ref}


def _masked_kinds(outcome: Any) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for found in outcome.masked.values():
        counts.update(found)
    return dict(counts.most_common())


def _masked_rows(snapshot: Any, outcome: Any, settings: Any) -> Iterator[dict[str, Any]]:
    """The rows that stay with something masked; how much of which kind is in their `meta`."""
    from recast.curate.curation.filters import private_pattern
    from recast.curate.curation.private import masked

    pattern = private_pattern(settings, "mask")
    assert pattern is not None  # else nothing would be masked
    for i, row in enumerate(snapshot.rows()):
        if i in outcome.masked:
            yield masked(row, pattern)[0]


def _removed_rows(snapshot: Any, outcome: Any) -> Iterator[Any]:
    """The removed rows in batches, each with its reason, and the sentence in its `meta`."""
    import pyarrow as pa

    begin = 0
    for batch in snapshot.batches():
        reasons = outcome.reasons[begin : begin + batch.num_rows]
        at = [i for i, reason in enumerate(reasons) if reason]
        rows = batch.take(pa.array(at, pa.int64()))
        metas = []
        for i, meta in zip(at, rows.column("meta").to_pylist(), strict=True):
            said = {"from": snapshot.version.ref, "because": outcome.details[begin + i]}
            metas.append(json.dumps({**json.loads(meta or "{}"), "removed": said}, sort_keys=True))
        columns = {name: rows.column(name) for name in rows.schema.names}
        columns |= {
            "reason": pa.array([reasons[i] for i in at], pa.string()),
            "meta": pa.array(metas, pa.string()),
        }
        if at:
            yield pa.RecordBatch.from_pydict(columns, schema=batch.schema)
        begin += batch.num_rows


def _embed(name: str | None) -> Any:
    if name is None:
        return None
    from recast.agent.engines.embedding import sentence_embedder

    return sentence_embedder(name)


def _examples(snapshot: Any, outcome: Any) -> dict[str, dict[str, str]]:
    """The first removed row of every reason, and why."""
    first: dict[str, int] = {}
    for i, reason in enumerate(outcome.reasons):
        if reason:
            first.setdefault(reason, i)
    ids = snapshot.table(["row_id"])["row_id"]
    return {reason: {"row_id": ids[i].as_py(), "why": outcome.details[i]} for reason, i in first.items()}


def bands(rate: Any) -> dict[str, int]:
    """Rows by pass rate: never solved, in quarters between, always solved, and not measured (NaN)."""
    import numpy as np

    known = rate[~np.isnan(rate)]
    if not len(known):
        return {}
    counts = {"0": int((known == 0).sum())}
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (known > low) & (known <= low + 0.25) & (known < 1)
        counts[f"{low:g}-{low + 0.25:g}"] = int(inside.sum())
    counts["1"] = int((known == 1).sum())
    return counts | ({"unknown": len(rate) - len(known)} if len(known) < len(rate) else {})


def _said(removed: dict[str, int]) -> str:
    return ", ".join(f"{rows} {reason.replace('_', ' ')}" for reason, rows in removed.items())


def show(result: dict[str, Any], console: Any) -> None:
    head = "would keep" if result["dry_run"] else f"{result['version']}:"
    console.print(f"{head} {result['kept']} of {result['rows']} rows of {result['source']}", markup=False)
    for reason, rows in result["removed"].items():
        example = result["examples"][reason]
        console.print(f"  {rows:>7} {reason:20} {example['row_id']}: {example['why']}", markup=False)
    if result["masked"]:
        console.print(f"  masked in {result['masked_rows']} rows: {_said(result['masked'])}", markup=False)
    if result["difficulty"]:
        parts = ", ".join(f"{band}: {rows}" for band, rows in result["difficulty"].items() if rows)
        console.print(f"  pass rate {parts}", markup=False)
    for setting, lacking in result["not_applied"].items():
        console.print(f"  curate.{setting} had no effect: {lacking}", markup=False)
    if result.get("removed_version"):
        console.print(f"look at them: recast show {result['removed_version']}", markup=False)
