"""The top of the page: what changed in one sentence, and up to four key figures with their reference."""

from __future__ import annotations

import numpy as np

from recast.pipelines.report.charts.arms import styles
from recast.pipelines.report.charts.ridges import clean
from recast.pipelines.report.charts.scales import fixed, share, thousands
from recast.pipelines.report.data import Arm, ReportData, finite
from recast.pipelines.report.markup import Markup, tag

MOST = 4


def sentence(data: ReportData) -> Markup | None:
    """What changed, in one sentence of figures and no adjectives; None without two trained arms."""
    target, reference = data.arm("target"), data.arm("reference")
    if target is None or reference is None:
        return None
    look = styles(data.arms)

    def clause(arm: Arm, *, full: bool) -> list[Markup | str] | None:
        if finite(arm.downstream) is None or finite(arm.forgetting) is None:
            return None
        return [
            tag("b", arm.label, class_=f"arm-name {look[arm.key].css}"),
            " reaches ",
            tag("b", f"{fixed(arm.downstream)} %", class_="figure"),
            " on the task and forgets " if full else " and forgets ",
            tag("b", fixed(arm.forgetting), class_="figure"),
            " points." if full else ".",
        ]

    first, second = clause(target, full=True), clause(reference, full=False)
    if first is None or second is None:
        return None
    return tag("p", tag("span", *first), " ", tag("span", *second), class_="sentence")


def key_figures(data: ReportData) -> Markup | None:
    """The first of the figures that the data hold, most important first."""
    cards = [*_of_models(data), *_of_rows(data), *_of_learning(data)][:MOST]
    return tag("dl", *cards, class_="cards") if cards else None


def _card(value: str, name: str, note: str) -> Markup:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", tag("span", value, class_="value"), tag("span", note, class_="note")),
        class_="card",
    )


def _of_models(data: ReportData) -> list[Markup]:
    target, reference = data.arm("target"), data.arm("reference")
    if target is None or reference is None:
        return []
    cards = []
    for field, name in (("downstream", "Downstream"), ("forgetting", "Forgetting")):
        a, b = finite(getattr(target, field)), finite(getattr(reference, field))
        if a is not None and b is not None:
            cards.append(_card(fixed(a - b, sign=True), name, f"points, {fixed(b)} → {fixed(a)}"))
    a, b = finite(target.start_loss), finite(reference.start_loss)
    if a is not None and b:
        note = f"nats a token, {fixed(b, 2)} → {fixed(a, 2)}"
        cards.append(_card(f"× {fixed(a / b, 2)}", "Loss at the start of SFT", note))
    return cards


def _of_rows(data: ReportData) -> list[Markup]:
    cards = []
    rows = sum(fate.rows for fate in data.fates)
    if rows:
        kept = sum(fate.rows for fate in data.fates if fate.decision in ("rewrite", "repair"))
        note = f"{thousands(kept)} of {thousands(rows)} rows passed the gate"
        cards.append(_card(share(kept, rows), "Rows rewritten", note))
    medians = {g.key: float(np.median(v)) for g in data.likelihoods if (v := clean(g))}
    if "demonstration" in medians and "completion" in medians:
        was, now = medians["demonstration"], medians["completion"]
        cards.append(
            _card(
                fixed(now - was, 2, sign=True),
                "Median NLL",
                f"nats a token, {fixed(was, 2)} → {fixed(now, 2)}",
            )
        )
    return cards


def _of_learning(data: ReportData) -> list[Markup]:
    cards = []
    for curve in data.curves:
        if len(curve.heldout) > 1:
            was, now = curve.heldout[0][1], curve.heldout[-1][1]
            note = f"held out, {fixed(was, 2)} → {fixed(now, 2)}"
            cards.append(_card(fixed(now - was, 2, sign=True), curve.title, note))
    return cards
