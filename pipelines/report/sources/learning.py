"""The folder that `recast learn` or `recast rl` leaves: its metrics become curves, its manifest names its gate.

`metrics.jsonl` holds one JSON object a line with `step` and measures; held-out measures stand in an object
`heldout` of the line. Measures that the page does not know are left to the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError
from recast.pipelines.report.data import Better, Curve, Lines, Series, Taught, Tone, finite

METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
SIGNAL = "signal.json"
"""What only `rl` leaves."""
HELDOUT = "heldout"

# measure, title, better, unit; in the order of the page
MEASURES: tuple[tuple[str, str, Better, str], ...] = (
    ("reward", "Reward", "higher", "mean over candidates"),
    ("pass_rate", "Gate pass rate", "higher", "share of candidates"),
    ("nll", "NLL under the backbone", "lower", "nats a token"),
    ("mean_tokens", "Length of a rewrite", "neither", "tokens"),
    ("pair_distance", "Distance within a group", "higher", "of embeddings"),
)
# of a model that graded answers taught
MODEL_MEASURES: tuple[tuple[str, str, Better, str], ...] = (
    ("reward", "Reward", "higher", "mean over answers"),
    ("spread", "Prompts that teach", "neither", "share whose answers earn differently"),
    ("kl", "KL from the start", "neither", "nats a token"),
    ("mean_tokens", "Length of an answer", "neither", "tokens"),
    ("entropy", "Entropy", "neither", "nats a token"),
)
LEVELS = {"nll": (("nll_demonstration", "demonstrations"), ("nll_self", "own samples"))}
GROUPS: tuple[tuple[str, str, tuple[tuple[str, str, Tone], ...]], ...] = (
    (
        "fates",
        "Groups of candidates",
        (
            ("groups_all_pass", "all pass", "good"),
            ("groups_mixed", "some", "open"),
            ("groups_all_fail", "none", "bad"),
        ),
    ),
    (
        "shares",
        "What moved the shaping",  # share of its variance within groups; a term near 0 has weight but no say
        (
            ("share_alignment", "alignment", "first"),
            ("share_diversity", "diversity", "second"),
            ("share_copy", "copy", "third"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Learned:
    curves: tuple[Curve, ...]
    lines: tuple[Lines, ...]
    gate_id: str | None
    taught: Taught
    alarms: tuple[str, ...]  # in words, each with its figures


def learned(folder: str | Path) -> Learned:
    """Curves and gate id of a run of `learn` or `rl`, finished or not; no curves where it has not begun.

    Raises DataError with the line number where `metrics.jsonl` holds anything but JSON objects; an
    unfinished last line, as a kill leaves it, is not an error.
    """
    folder = Path(folder)
    points = _points(folder / METRICS)
    curves = []
    taught: Taught = "model" if (folder / SIGNAL).exists() else "agent"
    for name, title, better, unit in MEASURES if taught == "agent" else MODEL_MEASURES:
        train = tuple(sorted(points.get(name, {}).items()))
        heldout = tuple(sorted(points.get(f"{HELDOUT}/{name}", {}).items()))
        if train or heldout:
            curves.append(Curve(name, title, better, unit, train, heldout, _levels(points, name)))
    lines = []
    for key, title, members in GROUPS:
        series = tuple(
            Series(label, tone, tuple(sorted(points[name].items())))
            for name, label, tone in members
            if name in points
        )
        if series:
            lines.append(Lines(key, title, series))
    manifest = folder / MANIFEST
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    alarms = known.get("result", known).get("alarms", {})
    return Learned(tuple(curves), tuple(lines), known.get("gate_id"), taught, tuple(alarms.values()))


def _levels(points: Mapping[str, dict[float, float]], measure: str) -> tuple[tuple[str, float], ...]:
    """Held-out values that do not change with the agent, as first measured."""
    found = []
    for name, label in LEVELS.get(measure, ()):
        if steps := points.get(f"{HELDOUT}/{name}"):
            found.append((label, steps[min(steps)]))
    return tuple(found)


def _points(path: Path) -> dict[str, dict[float, float]]:
    """{measure: {step: value}}; a step that was done again after a resume counts as it was done last."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    points: dict[str, dict[float, float]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            step = float(entry["step"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                continue
            raise DataError(
                f"{path}, line {number}: expected a JSON object with `step`, found {line[:60]!r}."
            ) from error
        for name, value in _measures(entry):
            points.setdefault(name, {})[step] = value
    return points


def _measures(entry: Mapping[str, Any]) -> list[tuple[str, float]]:
    inner = entry.get(HELDOUT)
    pairs = [*entry.items()]
    if isinstance(inner, Mapping):
        pairs += [(f"{HELDOUT}/{name}", value) for name, value in inner.items()]
    return [
        (name, float(value))
        for name, value in pairs
        if isinstance(value, int | float) and not isinstance(value, bool) and finite(float(value)) is not None
    ]
