"""The page on a name over time: what its versions hold, how they came about, and what models made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recast.curate.files import whole
from recast.pipelines.report.charts.scales import fixed, thousands
from recast.pipelines.report.charts.timeline import Point, Timeline, named
from recast.pipelines.report.document import document
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.sections import numbers, scroll

STYLES = ("base.css", "charts.css")


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model that was trained on a version came to. Points of 100; intervals are (low, high)."""

    model: str
    downstream: float | None = None
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None
    forgetting: float | None = None
    forgetting_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One version. What is not known of it is None, and drawn as missing."""

    ref: str
    number: int
    branch: str
    rows: int
    changes: str
    author: str
    created_at: str
    message: str
    tags: tuple[str, ...] = ()
    rewritten: float | None = None  # share of the rows that rewriting worked on
    accepted: float | None = None  # share of the candidates
    nll_gain: float | None = None  # nats per token
    distinct: float | None = None  # share of different 2-grams
    opening_entropy: float | None = None  # nats
    vendi: float | None = None  # effective number of texts
    false_accepts: float | None = None  # share of wrong texts
    false_accepts_interval: tuple[float, float] | None = None
    gate: str = ""
    reviewed: int = 0
    corrected: int = 0
    models: tuple[Learned, ...] = ()


def _of(
    moments: Sequence[Moment], value: Callable[[Moment], float | None], times: float = 1.0
) -> tuple[Point, ...]:
    return tuple(Point(m.number, times * v) for m in moments if (v := value(m)) is not None)


def _models(moments: Sequence[Moment], name: str) -> tuple[Point, ...]:
    found = []
    for moment in moments:
        for model in moment.models:
            value, interval = getattr(model, name), getattr(model, f"{name}_interval", None)
            if value is not None:
                found.append(Point(moment.number, value, *(interval or (None, None)), said=model.model))
    return tuple(found)


def _gates(moments: Sequence[Moment]) -> tuple[Point, ...]:
    return tuple(
        Point(
            m.number,
            100 * m.false_accepts,
            *(100 * v for v in m.false_accepts_interval or ()),
            said=f"gate {m.gate}",
        )
        for m in moments
        if m.false_accepts is not None
    )


def render(name: str, moments: Sequence[Moment], *, created_at: str = "") -> str:
    """The whole page; `moments` oldest first. The same moments give the same bytes."""
    sections = [
        (
            "size",
            "Rows and acceptance",
            "recast rewrite",
            [
                Timeline("Rows", "rows", points=_of(moments, lambda m: float(m.rows))),
                Timeline(
                    "Rewritten", "% of the rows tried", "higher", _of(moments, lambda m: m.rewritten, 100)
                ),
                Timeline(
                    "Accepted", "% of the candidates", "higher", _of(moments, lambda m: m.accepted, 100)
                ),
                Timeline(
                    "Likelier by",
                    "nats per token",
                    "higher",
                    _of(moments, lambda m: m.nll_gain),
                ),
            ],
        ),
        (
            "diversity",
            "Diversity",
            "recast history",
            [
                Timeline("Different 2-grams", "%", "higher", _of(moments, lambda m: m.distinct, 100)),
                Timeline("Entropy of openings", "nats", "higher", _of(moments, lambda m: m.opening_entropy)),
                Timeline(
                    "Effective number of texts", "Vendi score", "higher", _of(moments, lambda m: m.vendi)
                ),
            ],
        ),
        (
            "trust",
            "The gate and the reviewers",
            "recast gate report",
            [
                Timeline("Wrong texts that the gate accepts", "%", "lower", _gates(moments)),
                Timeline(
                    "Corrected by people",
                    "% of the reviewed rows",
                    "lower",
                    _of(moments, lambda m: m.corrected / m.reviewed if m.reviewed else None, 100),
                ),
            ],
        ),
        (
            "models",
            "Models trained on each version",
            "recast sft, then recast eval of the model and of its base",
            [
                Timeline("Downstream", "% right", "higher", _models(moments, "downstream")),
                Timeline("Gain", "points", "higher", _models(moments, "gain")),
                Timeline("Forgetting", "points", "lower", _models(moments, "forgetting")),
            ],
        ),
    ]
    body: list[Markup] = []
    shown: list[tuple[str, str]] = []
    for id_, title, fill, lines in sections:
        panels = named(lines)
        if panels:
            shown.append((id_, title))
            head = tag("header", tag("h2", title))
            body.append(tag("section", head, tag("div", *panels, class_="panels"), id=id_))
        else:
            left_out = [tag("b", title), " is left out: no data. ", tag("code", fill), " would fill it."]
            body.append(tag("p", *left_out, class_="absent", id=id_))
    newest = moments[-1]
    said = f"{len(moments)} versions, {thousands(newest.rows)} rows in {newest.ref}"
    hero = tag("header", tag("p", said, class_="eyebrow"), tag("h1", name), class_="hero", id="top")
    return document(
        f"{name} over time",
        [hero, *body, _table(moments)],
        sections=[*shown, ("versions", "Versions")],
        styles=STYLES,
        scripts=(),
        made=f"Made by recast on {created_at}" if created_at else "Made by recast",
    )


def write(name: str, moments: Sequence[Moment], out: Path, *, created_at: str = "") -> Path:
    """Write the page to `out`, whole or not at all."""
    page = render(name, moments, created_at=created_at)
    with whole(out) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
    return out


def _table(moments: Sequence[Moment]) -> Markup:
    heads = ("version", "rows", "changes", "created", "by", "tags", "message")
    rows = [
        tag(
            "tr",
            tag("th", m.ref if m.branch == "main" else f"{m.ref} ({m.branch})", scope="row"),
            tag("td", thousands(m.rows), class_="num"),
            tag("td", m.changes),
            tag("td", m.created_at),
            tag("td", m.author),
            tag("td", ", ".join(m.tags)),
            tag("td", m.message, class_="message"),
        )
        for m in reversed(moments)
    ]
    head = tag("thead", tag("tr", *(tag("th", h, scope="col") for h in heads)))
    ledger = scroll(tag("table", head, tag("tbody", *rows), class_="ledger"))
    heads = (
        "version",
        "rewritten %",
        "accepted %",
        "gain in nats",
        "2-grams %",
        "openings",
        "Vendi",
        "wrong %",
    )
    figures = numbers((*heads, "models"), [_cells(m) for m in moments])
    return tag("section", tag("header", tag("h2", "Versions")), ledger, figures, id="versions")


def _cells(m: Moment) -> list[str]:
    def percent(value: float | None, digits: int = 1) -> str:
        return fixed(None if value is None else 100 * value, digits)

    models = (
        f"{x.model}: gain {fixed(x.gain, sign=True)}, forgetting {fixed(x.forgetting, sign=True)}"
        for x in m.models
    )
    return [
        m.ref,
        percent(m.rewritten),
        percent(m.accepted),
        fixed(m.nll_gain, 3),
        percent(m.distinct),
        fixed(m.opening_entropy, 2),
        fixed(m.vendi),
        percent(m.false_accepts, 2),
        "; ".join(models),
    ]
