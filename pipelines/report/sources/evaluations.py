"""Evaluation results and SFT manifests to the arms of a report.

An arm is one evaluation or, for several seeds, a list of them; its figures are means over the list. With
one run the intervals are over questions (paired bootstrap for forgetting), with several over seeds
(Student's t). No torch: evaluations are read as JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recast.curate.errors import DataError, UsageError
from recast.curate.intervals import half_width
from recast.pipelines.report.data import Arm, Role, finite
from recast.train.evaluation.compare import compare
from recast.train.evaluation.results import EvalResult

Evaluation = EvalResult | str | Path
Key = tuple[str, str]  # (suite, task)

KNOWN: dict[str, tuple[str, Role]] = {
    "base": ("base, before any SFT", "base"),
    "sft_demonstrations": ("SFT on demonstrations", "reference"),
    "sft_prompt_rewrites": ("SFT on prompt-only rewrites", "control"),
    "sft_rewrites": ("SFT on the agent’s rewrites", "target"),
}
SFT_MANIFEST = "manifest.json"
RESULTS = "results.jsonl"  # as `recast eval` names it inside its run folder


def arms(
    evals: Mapping[str, Evaluation | Sequence[Evaluation]],
    *,
    target: Iterable[str] = (),
    sfts: Mapping[str, str | Path | Sequence[str | Path]] | None = None,
    labels: Mapping[str, str] | None = None,
    roles: Mapping[str, Role] | None = None,
) -> tuple[Arm, ...]:
    """One arm per entry of `evals`; `base` (or the first entry) is what forgetting is measured against.

    `target` names the suites or tasks that the tuning was for; all others are general and weigh alike.
    `sfts` gives the output folder(s) of an arm's SFT, for the start loss. Roles that are not known by name
    may be given in `roles`. Raises DataError where the runs of an arm do not match those of the base.
    """
    if not evals:
        return ()
    loaded = {name: _load(runs) for name, runs in evals.items()}
    first = "base" if "base" in loaded else next(iter(loaded))
    named = frozenset(target)
    base_runs = loaded[first]
    out = []
    for name, runs in loaded.items():
        if len(base_runs) not in (1, len(runs)):
            raise DataError(
                f"{name} has {len(runs)} evaluations and the base {len(base_runs)}; give the base one, or one a seed."
            )
        pairs = [(base_runs[i if len(base_runs) > 1 else 0], run) for i, run in enumerate(runs)]
        label, role = KNOWN.get(name, (name, "other"))
        label, role = (labels or {}).get(name, label), (roles or {}).get(name, role)
        if name == first:
            role = "base"
        losses = [_start_loss(folder) for folder in _several((sfts or {}).get(name, ()))]
        out.append(_arm(name, label, role, pairs, named, [v for v in losses if v is not None]))
    return tuple(_with_roles(out))


def _with_roles(arms: Sequence[Arm]) -> list[Arm]:
    """Where no name says which arm is which: the first trained is the reference, the last the target."""
    trained = [i for i, arm in enumerate(arms) if arm.role != "base"]
    out = list(arms)
    if trained and all(arms[i].role == "other" for i in trained):
        out[trained[0]] = replace(arms[trained[0]], role="reference")
        out[trained[-1]] = replace(arms[trained[-1]], role="target")
    return out


def _arm(
    name: str,
    label: str,
    role: Role,
    pairs: Sequence[tuple[EvalResult, EvalResult]],
    target: frozenset[str],
    losses: Sequence[float],
) -> Arm:
    runs = [_figures(base, run, target) for base, run in pairs]
    values: dict[str, float | None] = {}
    halves: dict[str, float] = {}
    for field in ("downstream", "general", "forgetting", "gold_loglik"):
        seen = [v for run in runs if (v := run[field]) is not None]
        values[field] = float(np.mean(seen)) if seen else None
        if len(seen) > 1:
            halves[field] = half_width(seen)
    if len(runs) == 1:
        halves = _question_intervals(*pairs[0], target, role)
    suites: dict[str, list[float]] = {}
    for _, run in pairs:
        general = {k: v for k, v in _accuracies(run).items() if not target & set(k)}
        several = {suite for suite, task in general if suite != task}
        for (suite, task), accuracy in general.items():
            shown = f"{suite}: {task}" if suite in several and len({s for s, _ in general}) > 1 else task
            suites.setdefault(shown, []).append(accuracy)
    if len(losses) > 1:
        halves["start_loss"] = half_width(losses)
    return Arm(
        key=name,
        label=label,
        role=role,
        **values,
        start_loss=float(np.mean(losses)) if losses else None,
        half_widths=halves,
        suites={suite: float(np.mean(seen)) for suite, seen in suites.items()},
        num_seeds=len(runs),
    )


def _figures(base: EvalResult, run: EvalResult, target: frozenset[str]) -> dict[str, float | None]:
    before, after = _accuracies(base), _accuracies(run)
    if before.keys() != after.keys():
        odd = sorted("/".join(key) for key in before.keys() ^ after.keys())
        raise DataError(f"{base.model} and {run.model} were not asked the same suites: {', '.join(odd)}.")

    def mean(table: Mapping[Key, float], *, general: bool) -> float | None:
        chosen = [v for key, v in table.items() if bool(target & set(key)) != general]
        return float(np.mean(chosen)) if chosen else None

    was, now = mean(before, general=True), mean(after, general=True)
    gold = {key: f.gold_loglik for key, f in run.by_task().items() if finite(f.gold_loglik) is not None}
    return {
        "downstream": mean(after, general=False),
        "general": now,
        "forgetting": was - now if was is not None and now is not None else None,
        "gold_loglik": mean({k: v for k, v in gold.items() if v is not None}, general=True),
    }


def _accuracies(run: EvalResult) -> dict[Key, float]:
    """Points of 100 for every (suite, task)."""
    return {key: 100 * figures.accuracy for key, figures in run.by_task().items()}


def _question_intervals(
    base: EvalResult, run: EvalResult, target: frozenset[str], role: Role
) -> dict[str, float]:
    """95 % half-widths over questions: binomial for downstream, paired bootstrap for forgetting."""
    halves = {}
    chosen = [f for key, f in run.by_task().items() if target & set(key)]
    if chosen:
        variance = sum(f.accuracy * (1 - f.accuracy) / f.num for f in chosen) / len(chosen) ** 2
        halves["downstream"] = 196 * math.sqrt(variance)
    if role != "base":
        change = compare(base, [run], target=target, num_resamples=2000).changes[0]
        if change.forgetting:
            halves["forgetting"] = (change.forgetting.high - change.forgetting.low) / 2
    return halves


def _load(runs: Evaluation | Sequence[Evaluation]) -> list[EvalResult]:
    many = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    return [run if isinstance(run, EvalResult) else EvalResult.load(_file(Path(run))) for run in many]


def _file(path: Path) -> Path:
    """The results at `path`, a file or the folder of an evaluation. Raises UsageError where there are none."""
    if path.is_dir():
        path = path / RESULTS
    if not path.is_file():
        raise UsageError(
            f"no evaluation at {path}; expected what `recast eval` wrote. Give its file or folder."
        )
    return path


def _several(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]


def _start_loss(folder: Path) -> float | None:
    manifest = folder / SFT_MANIFEST
    if not manifest.exists():
        return None
    return finite(json.loads(manifest.read_text(encoding="utf-8")).get("start_loss"))
