"""Fills a report from what a run left on disk: the store, the folder of `learn`, evaluations, SFT manifests.

Reads only; what is missing stays empty and the page says which command would fill it.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recast.curate.store.store import Store
from recast.pipelines.report import gates
from recast.pipelines.report.data import ReportData, Role, Stage
from recast.pipelines.report.sources import evaluations, learning, run_folders, trainings
from recast.pipelines.report.sources import versions as from_store
from recast.pipelines.report.sources.evaluations import Evaluation


def collect(
    store_path: str | Path | None = None,
    versions: Sequence[str] = (),
    *,
    learn_dir: str | Path | None = None,
    evals: Mapping[str, Evaluation | Sequence[Evaluation]] | None = None,
    target: Iterable[str] = (),
    sfts: Mapping[str, str | Path | Sequence[str | Path]] | None = None,
    trained: Mapping[str, str | Path] | None = None,
    labels: Mapping[str, str] | None = None,
    roles: Mapping[str, Role] | None = None,
    stages: Sequence[Stage] = (),
    facts: Sequence[tuple[str, str]] = (),
    warnings: Sequence[str] = (),
    title: str | None = None,
    subtitle: str = "",
    created_at: str | None = None,
    max_samples: int = 120,
    seed: int = 0,
) -> ReportData:
    """The data of one page.

    `versions` are refs, oldest first; the rows shown are those of the last. `learn_dir` is the output
    folder of `recast learn`. `evals` maps arm names (`base`, `sft_demonstrations`, `sft_prompt_rewrites`,
    `sft_rewrites`, or any others) to saved evaluations, or to lists of them for several seeds; `target`
    names the downstream suites; `sfts` maps arm names to SFT output folders, `trained` names of sections to
    folders of models that `pretrain`, `sft`, `reject`, `reward-model` or `rl` made. `stages` default to the run
    folders of the store that made what is shown. Raises UsageError for a ref
    that names nothing and DataError for evaluations of different questions.
    """
    store = Store(store_path) if versions or (trained and store_path) else None
    resolved = [store.resolve(ref) for ref in versions] if store else []
    rows = (
        from_store.rows(store.open(resolved[-1]), max_samples=max_samples, seed=seed)
        if store and resolved
        else None
    )
    learned = learning.learned(learn_dir) if learn_dir else None
    if store and not stages:
        made = [
            *_paths(evals or {}),
            *_paths(sfts or {}),
            *_paths(trained or {}),
            *([learn_dir] if learn_dir else []),
        ]
        stages = run_folders.stages(store.root, [v.ref for v in resolved], made)
    heeded = [*warnings, *(f"Learning: {alarm}" for alarm in (learned.alarms if learned else ()))]
    if rows and learned and learned.gate_id and (other := set(rows.gate_ids) - {learned.gate_id}):
        heeded.append(
            f"The rows were accepted by gate {', '.join(sorted(other))}, but the agent learned with gate "
            f"{learned.gate_id}."
        )
    if title is None:
        title = " against ".join(v.ref for v in reversed(resolved)) or "recast report"
    return ReportData(
        title=title,
        subtitle=subtitle,
        created_at=created_at or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        arms=evaluations.arms(evals or {}, target=target, sfts=sfts, labels=labels, roles=roles),
        fates=rows.fates if rows else (),
        curves=learned.curves if learned else (),
        lines=learned.lines if learned else (),
        taught=learned.taught if learned else "agent",
        tunings=gates.tunings(sfts or {}),
        trainings=tuple(trainings.training(name, folder) for name, folder in (trained or {}).items()),
        likelihoods=rows.likelihoods if rows else (),
        gate_counts=rows.gate_counts if rows else (),
        samples=rows.samples if rows else (),
        rows_in_all=resolved[-1].rows if resolved else None,
        versions=from_store.notes(store, resolved) if store else (),
        stages=tuple(stages),
        facts=(*(rows.facts if rows else ()), *facts, *here()),
        warnings=tuple(heeded),
    )


def here() -> tuple[tuple[str, str], ...]:
    """The machine and the packages with which the page was made."""
    found = []
    for package in ("recast-sft", "torch", "transformers", "trl", "peft", "duckdb"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return ("page made on", machine), ("packages", ", ".join(found))


def _paths(given: Mapping[str, Any]) -> list[str | Path]:
    out: list[str | Path] = []
    for value in given.values():
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        out += [path for path in several if isinstance(path, str | Path)]
    return out
