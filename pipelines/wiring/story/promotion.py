"""What a version must show before it gets a name that others rely on: rules in YAML, and what was found.

    rows: {min: 1000}
    acceptance: {min_rows: 0.5}
    gate: {max_false_accepts: 0.02}
    comparison: {target: [craft], min_gain: 0, max_forgetting: 5}

A rule that nothing is known about is not met: what would tell is named. Bounds hold for the unfavourable end of a
95 % interval, unless `bound: value` asks for the figure alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recast.curate import yaml_file
from recast.curate.errors import DataError, UsageError
from recast.curate.intervals import wilson
from recast.pipelines.wiring.story.figures import Figures, diversity, figures
from recast.pipelines.wiring.story.trained import change_of, trained_on

if TYPE_CHECKING:
    from recast.curate.curation.collapse import DiversityConfig
    from recast.curate.store.store import Store
    from recast.curate.store.versions import Version

Bound = Literal["interval", "value"]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        asked = [name for name in type(self).model_fields if name.startswith(("min", "max"))]
        if all(getattr(self, name) is None for name in asked):
            raise ValueError(f"it would have no effect; say {' or '.join(asked)}")
        return self


class RowsRule(_Rule):
    min: int | None = Field(default=None, ge=1)
    """Rows of the version."""
    max: int | None = Field(default=None, ge=1)


class AcceptanceRule(_Rule):
    min_rows: float | None = Field(default=None, ge=0, le=1)
    """Share of the rows that were rewritten, of those that rewriting worked on."""
    min_candidates: float | None = Field(default=None, ge=0, le=1)
    """Share of the candidates that the gate accepted."""


class DiversityRule(_Rule):
    max_loss: float = Field(default=0.3, gt=0, lt=1)
    """Share of any measure of diversity that may be lost against the demonstrations."""


class GateRule(_Rule):
    max_false_accepts: float | None = Field(default=None, ge=0, le=1)
    """Share of wrong texts that the gate accepts, by the newest report card of every gate of the rows."""
    max_false_rejects: float | None = Field(default=None, ge=0, le=1)
    """Share of right texts that it rejects."""
    bound: Bound = "interval"


class AuditRule(_Rule):
    min_accepted: float = Field(ge=0, le=1)
    """Share of the rows that the newest audit (`recast gate run`) accepts."""


class ComparisonRule(_Rule):
    target: tuple[str, ...] = ()
    """Suites or tasks that the tuning was for; all others are general."""
    min_gain: float | None = None
    """Points of 100 on the target."""
    max_forgetting: float | None = None
    """Points of 100 on the general tasks."""
    bound: Bound = "interval"


class ReviewRule(_Rule):
    max_wrong: float = Field(ge=0, le=1)
    """Share of the reviewed rows that people edited or took back."""
    min_rows: int = Field(default=1, ge=1)
    """Rows that people must have decided about, once they have decided about any, or `needed`."""
    needed: bool = False
    """Whether a version that nobody has reviewed is refused."""
    bound: Bound = "interval"


class Rules(BaseModel):
    """A file of rules. What it does not name is not asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: RowsRule | None = None
    acceptance: AcceptanceRule | None = None
    diversity: DiversityRule | None = None
    gate: GateRule | None = None
    audit: AuditRule | None = None
    comparison: ComparisonRule | None = None
    review: ReviewRule | None = None

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Read a file. Raises UsageError for what is no rule, DataError where there is no file."""
        import yaml

        try:
            rules = cls.model_validate(yaml_file.load(path.read_text(encoding="utf-8")) or {})
        except FileNotFoundError:
            raise DataError(f"there is no file {path}; --require takes a YAML file of rules.") from None
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as wrong:
            known = ", ".join(cls.model_fields)
            raise UsageError(f"rules file {path}: {wrong}. It may name {known}.") from wrong
        if rules == cls():
            raise UsageError(f"rules file {path} holds no rule; it may name {', '.join(cls.model_fields)}.")
        return rules


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule, and what was found. `met` is None where the rule asks nothing of this version."""

    rule: str
    found: str
    required: str
    met: bool | None
    next: str = ""
    """The command that would tell, or change it."""


def findings(
    store: Store,
    version: Version,
    rules: Rules,
    settings: DiversityConfig,
    *,
    comparison: Path | None = None,
    arm: str | None = None,
) -> list[Finding]:
    """What the rules find in a version, in their order. `comparison` is what `recast compare --out` wrote of models
    that this version made; without it, evaluations are looked for in the store."""
    found: list[Finding] = []
    counted = figures(store, version)
    if rules.rows:
        found += _limits("rows", counted.rows, rules.rows.min, rules.rows.max, "{:,.0f} rows")
    if rules.acceptance:
        found += _acceptance(counted, rules.acceptance, version)
    if rules.diversity:
        found.append(_diversity(store, version, rules.diversity, settings))
    if rules.gate:
        found += _gate(store, version, counted, rules.gate)
    if rules.audit:
        found.append(_audit(store, version, rules.audit))
    if rules.comparison:
        found += _comparison(store, version, rules.comparison, comparison, arm)
    if rules.review:
        found.append(_review(counted, version, rules.review))
    return found


def _limits(rule: str, value: float, low: float | None, high: float | None, form: str) -> Iterator[Finding]:
    if low is not None:
        yield Finding(rule, form.format(value), f"at least {form.format(low)}", value >= low)
    if high is not None:
        yield Finding(rule, form.format(value), f"at most {form.format(high)}", value <= high)


def _acceptance(counted: Figures, rule: AcceptanceRule, version: Version) -> Iterator[Finding]:
    for name, least, part, whole, said in (
        ("acceptance of rows", rule.min_rows, counted.rewritten, counted.tried, "rewritten"),
        ("acceptance of candidates", rule.min_candidates, counted.accepted, counted.candidates, "accepted"),
    ):
        if least is None:
            continue
        if not whole:
            do = f"recast rewrite {version.name} --as NEW"
            yield Finding(name, "nothing was rewritten in this version", f"at least {least:.1%}", False, do)
        else:
            share = part / whole
            yield Finding(
                name, f"{share:.1%} ({part:,} of {whole:,} {said})", f"at least {least:.1%}", share >= least
            )


def _diversity(store: Store, version: Version, rule: DiversityRule, settings: DiversityConfig) -> Finding:
    found = diversity(store, version, settings.model_copy(update={"max_loss": rule.max_loss}))
    said = "; ".join(map(str, found.losses)) or f"no measure fell by more, on {found.num_rows:,} rows"
    return Finding(
        "diversity", said, f"at most {rule.max_loss:.0%} less than the demonstrations", not found.losses
    )


def _gate(store: Store, version: Version, counted: Figures, rule: GateRule) -> Iterator[Finding]:
    from recast.curate.gate import gate_files

    asked = (("false_accepts", rule.max_false_accepts), ("false_rejects", rule.max_false_rejects))
    limits = [(name, most) for name, most in asked if most is not None]
    do = f"recast gate report {version.parent or version.ref}"
    if not counted.gate_ids:
        for name, most in limits:
            yield Finding(_said(name), "no row names a gate", f"at most {most:.2%}", False, do)
    for gate_id in counted.gate_ids:
        card = next(iter(gate_files.cards(store.root, gate_id, people=False)), None)
        for name, most in limits:
            what = f"{_said(name)} of gate {gate_id}"
            if card is None or not card["ensemble"][name]["total"]:
                yield Finding(what, "the gate has no report card", f"at most {most:.2%}", False, do)
                continue
            rate = card["ensemble"][name]
            low, high = rate["interval"]
            value = high if rule.bound == "interval" else rate["share"]
            said = f"{rate['share']:.2%} [{low:.2%}, {high:.2%}] on {card['labels']}"
            yield Finding(what, said, _most(f"{most:.2%}", rule.bound), value <= most)


def _audit(store: Store, version: Version, rule: AuditRule) -> Finding:
    from recast.curate.gate import gate_files

    required = f"at least {rule.min_accepted:.1%} of the rows"
    newest = next(iter(gate_files.audits(store.root, version.id)), None)
    if newest is None:
        return Finding(
            "audit", "no gate has audited this version", required, False, f"recast gate run {version.ref}"
        )
    share = newest["accepted"] / max(newest["rows"], 1)
    said = f"{share:.1%} accepted by gate {newest['gate']} ({newest['gate_id']})"
    return Finding("audit", said, required, share >= rule.min_accepted)


def _comparison(
    store: Store, version: Version, rule: ComparisonRule, file: Path | None, arm: str | None
) -> Iterator[Finding]:
    limits = (("gain", rule.min_gain, "at least"), ("forgetting", rule.max_forgetting, "at most"))
    changes = [_arm_of(file, arm)] if file is not None else _changes(store, version, rule)
    for name, limit, word in limits:
        if limit is None:
            continue
        required = f"{word} {limit:+.1f} points" + (" (interval)" if rule.bound == "interval" else "")
        if not changes:
            said = "no model of this version and its base were asked the same questions"
            yield Finding(name, said, required, False, f"recast sft {version.ref}, then recast eval of both")
        for change in changes:
            yield _change(name, limit, required, change, rule.bound)


def _change(name: str, limit: float, required: str, change: Mapping[str, Any], bound: Bound) -> Finding:
    interval = change[name]
    what = f"{name} of {change['model']}"
    if interval is None:
        lacks = "no suite is a target" if name == "gain" else "every suite is a target"
        return Finding(what, lacks, required, False, "name the suites of the task in `target`")
    low, high = interval["low"], interval["high"]
    said = f"{interval['value']:+.1f} points [{low:+.1f}, {high:+.1f}]"
    worst = {"gain": low, "forgetting": high}[name] if bound == "interval" else interval["value"]
    return Finding(what, said, required, worst >= limit if name == "gain" else worst <= limit)


def _changes(store: Store, version: Version, rule: ComparisonRule) -> list[dict[str, Any]]:
    """Of every model of the version that is there, against its base."""
    models = [model for model in trained_on(store, [version.id]) if model.there]
    found = ((model, change_of(model, rule.target)) for model in models)
    return [{**change, "model": Path(model.model).name} for model, change in found if change is not None]


def _arm_of(file: Path, arm: str | None) -> dict[str, Any]:
    """The change that a file of `recast compare --out` tells of an arm, or of the only one."""
    try:
        changes = json.loads(file.read_text(encoding="utf-8"))["changes"]
        by_arm = {change["model"]: change for change in changes}
        for change in changes:
            _ = change["gain"], change["forgetting"]
    except FileNotFoundError:
        raise DataError(f"there is no file {file}; `recast compare ... --out FILE` writes one.") from None
    except (ValueError, KeyError, TypeError) as wrong:
        raise DataError(f"{file} is not what `recast compare --out` writes: {wrong!r}.") from wrong
    if arm is None and len(by_arm) == 1:
        return next(iter(by_arm.values()))
    if arm not in by_arm:
        asked = f"no arm {arm!r}" if arm else f"{len(by_arm)} arms"
        raise UsageError(f"{file} has {asked}; say which one with --arm: {', '.join(by_arm)}.")
    return by_arm[arm]


def _review(counted: Figures, version: Version, rule: ReviewRule) -> Finding:
    required = _most(f"{rule.max_wrong:.1%} corrected", rule.bound) + f", of {rule.min_rows:,} rows or more"
    do = f"recast review {version.ref}"
    if not counted.reviewed:
        return Finding("review", "nobody has reviewed a row", required, False if rule.needed else None, do)
    low, high = wilson(counted.corrected, counted.reviewed)
    share = counted.corrected / counted.reviewed
    said = f"{share:.1%} [{low:.1%}, {high:.1%}] of {counted.reviewed:,} reviewed rows"
    value = high if rule.bound == "interval" else share
    met = counted.reviewed >= rule.min_rows and value <= rule.max_wrong
    return Finding("review", said, required, met, "" if met else do)


def _most(limit: str, bound: Bound) -> str:
    return f"at most {limit}" + (" (upper end)" if bound == "interval" else "")


def _said(name: str) -> str:
    return name.replace("_", " ")
