"""The sections on the run itself: how the agent or model learned, and where everything came from."""

from __future__ import annotations

from collections.abc import Sequence

from recast.pipelines.report.charts import curves
from recast.pipelines.report.charts.scales import duration, fixed, thousands
from recast.pipelines.report.data import ReportData, Taught
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.sections import Section, numbers, scroll

TAUGHT: dict[Taught, tuple[str, str, str]] = {
    "agent": (
        "How the agent learned",
        "recast learn",
        "GRPO on a LoRA over the frozen backbone. A candidate that fails the gate gets no reward.",
    ),
    "model": (
        "How the model learned from graded answers",
        "recast rl",
        "A LoRA on the model, merged in the end. Validation prompts are none of the training prompts.",
    ),
}
"""Heading, verb and lead, by what the curves are of."""
FIRST = 3  # curves in the row of wide panels


def learning(data: ReportData) -> Section:
    wide = [p for curve in data.curves[:FIRST] if (p := curves.panel(curve))]
    narrow = [p for group in data.lines if (p := curves.lines(group, curves.NARROW))]
    narrow += [p for curve in data.curves[FIRST:] if (p := curves.panel(curve, curves.NARROW))]
    body = None
    if wide or narrow:
        held = [c for c in data.curves if c.heldout]
        cells = [[c.title, fixed(step, 0), fixed(value, 3)] for c in held for step, value in c.heldout]
        legend = tag(
            "ul",
            tag("li", tag("span", class_="line-key raw-key"), "a training step"),
            tag("li", tag("span", class_="line-key smooth-key"), f"moving mean over {curves.WINDOW} steps"),
            tag("li", tag("span", class_="line-key held-key"), "held-out rows, greedy") if held else None,
            class_="legend",
        )
        body = Markup(
            legend
            + (tag("div", *wide, class_="panels") if wide else "")
            + (tag("div", *narrow, class_="panels narrow") if narrow else "")
            + (numbers(["measure", "step", "held out"], cells) if cells else "")
        )
    heading, verb, lead = TAUGHT[data.taught]
    return Section("learning", "Learning", heading, body, verb, hint="--learned DIR", lead=lead)


def provenance(data: ReportData) -> Section:
    parts: list[Markup] = []
    if data.versions:
        rows = [
            tag(
                "tr",
                tag("th", v.ref, scope="row"),
                tag("td", tag("code", v.id[:16], title=v.id)),
                tag("td", thousands(v.rows), class_="num"),
                tag("td", v.changes or "–", class_="num"),
                tag("td", v.parent or "–"),
                tag("td", v.created_at),
                tag("td", v.message, class_="message"),
            )
            for v in data.versions
        ]
        heads = ("version", "id", "rows", "changes", "parent", "created", "message")
        parts.append(_ledger("ledger", heads, rows))
    if data.facts:
        parts.append(
            tag(
                "dl",
                *(
                    tag("div", tag("dt", name), tag("dd", value), class_="wide" if len(value) > 34 else None)
                    for name, value in data.facts
                ),
                class_="facts",
            )
        )
    if data.stages:
        longest = max(stage.seconds for stage in data.stages) or 1.0
        total = sum(stage.seconds for stage in data.stages)
        rows = [
            tag(
                "tr",
                tag("th", stage.name, scope="row"),
                tag("td", duration(stage.seconds), class_="num"),
                tag(
                    "td",
                    tag(
                        "svg",
                        tag(
                            "rect", x=0, y=0, height=4, width=max(100 * stage.seconds / longest, 0.6), rx=0.6
                        ),
                        viewBox="0 0 100 4",
                        preserveAspectRatio="none",
                        class_="meter stage",
                        aria_hidden="true",
                    ),
                ),
                tag("td", tag("code", stage.command) if stage.command else None, class_="message"),
            )
            for stage in data.stages
        ]
        rows.append(
            tag(
                "tr",
                tag("th", "in all", scope="row"),
                tag("td", duration(total), class_="num"),
                tag("td"),
                tag("td"),
                class_="total",
            )
        )
        heads = ("stage", "time", "", "command")
        parts.append(_ledger("ledger stages", heads, rows))
    return Section(
        "provenance",
        "Provenance",
        "Where this came from",
        Markup("".join(parts)) if parts else None,
        "recast report VERSION",
    )


def _ledger(css: str, heads: Sequence[str], rows: Sequence[Markup]) -> Markup:
    head = tag("thead", tag("tr", *(tag("th", h, scope="col") for h in heads)))
    return scroll(tag("table", head, tag("tbody", *rows), class_=css))
