"""The folder of any trained model as a section of the page: what was learned from, the curves, what came of it.

What made it is told by its manifest: `pretrain`, `sft`, `reject`, `reward-model` and `rl` each leave one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recast.curate.errors import DataError
from recast.curate.files import read_lines
from recast.pipelines.report.charts.scales import duration, fixed, thousands
from recast.pipelines.report.data import Better, Curve, Lines, Moved, Series, Training, finite
from recast.pipelines.report.sources import learning

MANIFEST, CURVE, HELDOUT, METRICS = "manifest.json", "loss.jsonl", "heldout.jsonl", "metrics.jsonl"
KEYS = {
    "reject": "discrimination",
    "reward-model": "num_pairs",
    "rl": "grader_id",
    "sft": "start_loss",
    "pretrain": "parameters",
}
"""A key of the manifest that only this verb writes."""
Measure = tuple[str, str, Better, str]  # key, title, better, unit
LOSS: Measure = ("loss", "Loss", "lower", "")
MEASURES: dict[str, tuple[Measure, ...]] = {
    "pretrain": (("loss", "Loss", "lower", "nats a token"),),
    "sft": (("loss", "Loss", "lower", "nats a token"),),
    "reject": (LOSS, ("ordered", "Right above wrong", "higher", "share of pairs")),
    "reward-model": (LOSS, ("accuracy", "Pairs told apart", "higher", "share of pairs")),
}
OF_RL = 3  # curves of a run of rl that its section shows


def training(name: str, folder: str | Path) -> Training:
    """The section of the model in `folder`. Raises DataError where that is no finished model of ours."""
    folder = Path(folder)
    try:
        known = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no finished model with a {MANIFEST}: {error}.") from error
    verb = next((verb for verb, key in KEYS.items() if key in known), None)
    if verb is None:
        raise DataError(
            f"{folder / MANIFEST} is of none of {', '.join(KEYS)}; expected a model that one of them made."
        )
    if verb == "rl":
        found = learning.learned(folder)
        return Training(name, verb, _facts(verb, known), found.curves[:OF_RL], found.lines)
    trained = read_lines(folder / (METRICS if verb == "pretrain" else CURVE))
    held = read_lines(folder / HELDOUT)
    curves = [
        Curve(key, title, better, unit, train=_points(trained, key), heldout=_points(held, key))
        for key, title, better, unit in MEASURES[verb]
    ]
    lines = ()
    moved: tuple[Moved, ...] = ()
    if verb == "reject":
        lines = _gains(name, trained)
        moved = tuple(Moved(**kind) for kind in known["moved"])
    return Training(
        name, verb, _facts(verb, known), tuple(c for c in curves if c.train or c.heldout), lines, moved
    )


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((line["step"], line[key]) for line in lines if finite(line.get(key)) is not None)


def _gains(name: str, trained: Sequence[Mapping[str, Any]]) -> tuple[Lines, ...]:
    """Nats a token that accepted and refused candidates have gained since the start."""
    series = (
        Series("accepted", "good", _points(trained, "gain_accepted")),
        Series("refused", "bad", _points(trained, "gain_refused")),
    )
    shown = tuple(s for s in series if s.points)
    return (Lines(f"gains-{name}", "Gained since the start, nats a token", shown),) if shown else ()


def _facts(verb: str, known: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    said = [(name, text) for name, text in _OF[verb](known) if text]
    return (*said, ("took", duration(known.get("seconds") or 0.0)))


def _of_pretrain(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("parameters", thousands(known["parameters"])),
        ("tokens", thousands(known["tokens"])),
        ("loss at last", fixed(known["loss"], 3)),
        ("held out", fixed(known.get("heldout_loss"), 3) if known.get("heldout_loss") is not None else ""),
    ]


def _of_sft(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("objective", known["config"]["objective"]),
        ("data", known.get("data") or ""),
        ("rows", thousands(known["num_rows"])),
        ("steps", thousands(known["steps"])),
        ("loss", f"{fixed(known['start_loss'], 3)} → {fixed(known['final_loss'], 3)} nats a token"),
    ]


def _of_reject(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    before, after = (known["discrimination"][when] for when in ("before", "after"))
    apart = [
        (words, f"{_interval(before[key])} → {_interval(after[key])}")
        for key, words in (("auroc", "right above wrong, held out"), ("mass", "P(correct), held out"))
        if before and after
    ]
    return [
        ("method", known["config"]["method"]),
        ("data", known.get("data") or ""),
        *_drawn(known),
        ("accepted texts", thousands(known["num_accepted"])),
        ("refused texts", thousands(known["num_refused"])),
        ("rows that learn the expert", thousands(known["num_by_expert"])),
        ("times eased", str(known["eased"])),
        ("ended by", known["stopped"]),
        *apart,
    ]


def _of_reward_model(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    held = known["heldout"] or known["trained"]
    shorter = held["accepted_shorter"]
    return [
        ("data", known.get("data") or ""),
        *_drawn(known),
        ("pairs", thousands(known["num_pairs"])),
        ("steps", thousands(known["steps"])),
        ("told apart, held out" if known["heldout"] else "told apart", _interval(held["accuracy"])),
        ("where the right one is shorter", _interval(shorter) if shorter else ""),
        ("calibration error", fixed(held["calibration_error"], 3)),
    ]


def _of_rl(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    before, best = known["before"]["reward"], known["best"]["reward"]
    return [
        ("algorithm", known["config"]["algorithm"]),
        ("grader", known["grader"]),
        ("prompts", thousands(known["num_prompts"])),
        ("steps", thousands(known["steps"])),
        ("validation reward", f"{fixed(before, 3)} → {fixed(best, 3)} at step {known['best_step']}"),
        ("ended by", known["stopped"]),
    ]


def _drawn(known: Mapping[str, Any]) -> list[tuple[str, str]]:
    drawn = known.get("drawn")
    if not drawn:
        return []
    return [
        (
            "own answers",
            f"{thousands(drawn['drawn'])}, {fixed(100 * drawn['accepted'])} % accepted by {drawn['grader']}",
        )
    ]


def _interval(found: Mapping[str, float]) -> str:
    return f"{fixed(100 * found['value'])} % [{fixed(100 * found['low'])}, {fixed(100 * found['high'])}]"


_OF = {
    "pretrain": _of_pretrain,
    "sft": _of_sft,
    "reject": _of_reject,
    "reward-model": _of_reward_model,
    "rl": _of_rl,
}
