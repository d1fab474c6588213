"""Thresholds from labels: as few right completions lost as a bound on accepted wrong ones allows.

A dial is the threshold of a check that is compared with the check's score. Every label is judged twice, with all
dials fully open and fully shut: what fails an open gate fails any, and what passes a shut one passes any; between
them the score decides. The dials are then turned one after the other (coordinate descent) until the upper end of the
Wilson interval of the false-accept rate is at most the target, at the least loss of right completions. A dial is
opened only if some wrong label needs it as it stands: where no label is refused by a check alone, the labels say
nothing against the check.

Thresholds are chosen on one half of the rows and measured on the other; all labels of a row are in one half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recast.curate.errors import RefusedError, UsageError
from recast.curate.fingerprint import fingerprint, seed_of
from recast.curate.gate.checks.case import CheckConfig
from recast.curate.gate.gate import Gate, GateConfig
from recast.curate.gate.labels import Labelled
from recast.curate.gate.report_card import Rate, ReportCard, judged, report_card
from recast.curate.intervals import wilson
from recast.curate.records import CheckStatus

PASSES = 4
MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Dial:
    """The threshold `field` of a check, between `open` (passes whatever its score) and `shut`."""

    field: str
    open: float
    shut: float
    of_score: Callable[[float], float] = float
    """The threshold that a completion with this score just passes."""

    @property
    def sign(self) -> int:
        return 1 if self.shut > self.open else -1


DIALS: dict[str, Dial] = {
    "steps": Dial("min_share", 0.0, 1.0),
    "repetition": Dial("min_distinct", 0.0, 1.0),
    "copy": Dial("max_containment", 1.0, 0.001),
    "arithmetic": Dial("max_undecided", 1.0, 0.0, lambda share: 1.0 - share),
    "names": Dial("max_invented", MANY, 0),
    "numbers": Dial("max_invented", MANY, 0),
    "similarity": Dial("min_cosine", -1.0, 1.0),
    "entailment": Dial("min_probability", 0.0, 1.0),
    "judge": Dial("min_yes", 0.0, 1.0),
}


@dataclass(slots=True)
class Calibration:
    """The gate with its new thresholds, and what it does to labels that had no part in choosing them."""

    config: GateConfig
    turned: dict[str, tuple[str, float, float]]  # check: field, before, after
    target: float
    chosen_on: dict[str, Rate]  # false_accepts, false_rejects
    before: ReportCard
    after: ReportCard


@dataclass(slots=True)
class _Scored:
    """A label that no fixed check refuses. Under a dial at t it passes where `sign * t <= needs[check]`."""

    right: bool
    needs: dict[str, float] = field(default_factory=dict[str, float])


def calibrate(
    gate: Gate,
    labels: Callable[[], Iterable[Labelled]],
    target_false_accept: float = 0.01,
    *,
    workers: int = 1,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Calibration:
    """Choose the dials of `gate`. `labels` is called for each reading of the labels.

    Raises RefusedError where no setting of the dials reaches the target on so few or such labels.
    """
    dials = {check.name: DIALS[check.name] for check in _checks(gate.config) if check.name in DIALS}
    if not dials:
        raise UsageError(
            f"gate {gate.name!r} has no check with a threshold to choose; {', '.join(DIALS)} have one."
        )
    scored, wrongs, rights = _score(gate, dials, labels, workers, progress)
    if not wrongs or not rights:
        raise UsageError(
            f"calibration needs right and wrong labels; the half to choose on has {rights} right and {wrongs} wrong."
        )
    least = wilson(0, wrongs)[1]
    if least > target_false_accept:
        raise RefusedError(
            f"{wrongs} wrong labels to choose on prove no false-accept rate below {least:.2%}, even if none is "
            f"accepted; the target is {target_false_accept:.2%}. Give more labels, or a larger target."
        )
    now = {name: _value(gate.config, name, dial) * dial.sign for name, dial in dials.items()}
    chosen = _turn(scored, now, dials, lambda count: wilson(count, wrongs)[1] <= target_false_accept)
    passed_wrong, passed_right = _passed(scored, chosen)
    accepts, rejects = Rate(passed_wrong, wrongs), Rate(rights - passed_right, rights)
    if accepts.interval[1] > target_false_accept:
        raise RefusedError(
            f"no thresholds of {', '.join(dials)} bring the false accepts to {target_false_accept:.2%}: at best "
            f"{accepts} of the wrong labels pass. Add a check that sees them, such as a judge, or raise the target."
        )
    values = {name: chosen[name] * dial.sign for name, dial in dials.items() if chosen[name] != now[name]}
    config = _set(gate.config, {name: {dials[name].field: value} for name, value in values.items()})
    turned = {
        name: (dials[name].field, now[name] * dials[name].sign, value) for name, value in values.items()
    }

    def held_out() -> Iterable[Labelled]:
        return (label for label in labels() if not to_choose_on(label))

    before = report_card(gate, held_out(), workers=workers, progress=progress)
    after = report_card(Gate(config, gate.models), held_out(), workers=workers, progress=progress)
    return Calibration(
        config,
        turned,
        target_false_accept,
        {"false_accepts": accepts, "false_rejects": rejects},
        before,
        after,
    )


def to_choose_on(label: Labelled) -> bool:
    """Which half a label is in; the same for all labels of a row."""
    row = label.row
    key = str(row.get("row_id") or fingerprint([row.get("messages"), row.get("demonstration")]))
    return seed_of(0, "calibration", key) % 2 == 0


def _checks(config: GateConfig) -> list[CheckConfig]:
    return [check for checks in (config.checks, *config.tasks.values()) for check in checks]


def _value(config: GateConfig, name: str, dial: Dial) -> float:
    return next(getattr(check, dial.field) for check in _checks(config) if check.name == name)


def _set(config: GateConfig, fields: Mapping[str, Mapping[str, float]]) -> GateConfig:
    """The config with other values of some fields, wherever the check occurs; checked anew."""

    def turned(checks: Iterable[CheckConfig]) -> list[dict[str, Any]]:
        return [
            {**check.model_dump(), **{k: _plain(v) for k, v in fields.get(check.name, {}).items()}}
            for check in checks
        ]

    tasks = {task: turned(checks) for task, checks in config.tasks.items()}
    return GateConfig.model_validate({"name": config.name, "checks": turned(config.checks), "tasks": tasks})


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value


def _score(
    gate: Gate,
    dials: Mapping[str, Dial],
    labels: Callable[[], Iterable[Labelled]],
    workers: int,
    progress: Callable[[dict[str, Any]], None] | None,
) -> tuple[list[_Scored], int, int]:
    """The labels that an open gate accepts, and how many wrong and right ones there are in all."""
    opened = Gate(
        _set(gate.config, {name: {dial.field: dial.open} for name, dial in dials.items()}), gate.models
    )
    shut = Gate(
        _set(gate.config, {name: {dial.field: dial.shut} for name, dial in dials.items()}), gate.models
    )

    def half() -> Iterable[Labelled]:
        return (label for label in labels() if label.right is not None and to_choose_on(label))

    scored: list[_Scored] = []
    counts = {True: 0, False: 0}
    for (items, loose, _), (_, strict, _) in zip(
        judged(opened, half(), workers=workers), judged(shut, half(), workers=workers), strict=True
    ):
        for item, most, least in zip(items, loose, strict, strict=True):
            counts[bool(item.right)] += 1
            if not most.accepted:
                continue
            label = _Scored(bool(item.right))
            for check, other in zip(most.checks, least.checks, strict=True):
                if other.status is not CheckStatus.PASS and check.score is not None:
                    dial = dials[check.name]
                    label.needs[check.name] = dial.sign * dial.of_score(check.score)
            scored.append(label)
        if progress:
            progress({"done": sum(counts.values())})
    return scored, counts[False], counts[True]


def _passes(label: _Scored, at: Mapping[str, float], but: str = "") -> bool:
    return all(at[name] <= needed for name, needed in label.needs.items() if name != but)


def _passed(scored: Iterable[_Scored], at: Mapping[str, float]) -> tuple[int, int]:
    """How many wrong and right labels pass."""
    counts = [0, 0]
    for label in scored:
        counts[label.right] += _passes(label, at)
    return counts[0], counts[1]


def _turn(
    scored: list[_Scored], now: Mapping[str, float], dials: Mapping[str, Dial], allowed: Callable[[int], bool]
) -> dict[str, float]:
    """Turn one dial after the other to its best place beside the others."""
    at = dict(now)
    for _ in range(PASSES):
        before = dict(at)
        for name in dials:
            at[name] = _best(name, [s for s in scored if _passes(s, at, but=name)], at[name], allowed)
        if at == before:
            break
    return at


def _best(name: str, scored: list[_Scored], now: float, allowed: Callable[[int], bool]) -> float:
    """The place of one dial that keeps most right labels among those allowed; else the one with fewest mistakes."""
    free = [label for label in scored if name not in label.needs]
    bound = sorted(
        ((label.needs[name], label.right) for label in scored if name in label.needs), reverse=True
    )
    needed = any(not right and value < now for value, right in bound)
    places: dict[float, tuple[int, int]] = {}  # place: wrong and right labels that pass there
    counts = [sum(not label.right for label in free), sum(label.right for label in free)]
    for place in sorted({now, *(value for value, right in bound if right)}, reverse=True):
        while bound and bound[0][0] >= place:
            counts[bound.pop(0)[1]] += 1
        if place >= now or needed:
            places[place] = (counts[0], counts[1])
    fine = {place: counts for place, counts in places.items() if allowed(counts[0])}
    if fine:
        return max(fine, key=lambda place: (fine[place][1], place == now, place))
    return max(places, key=lambda place: (places[place][1] - places[place][0], place))
