"""How improbable each kind of text is to the frozen backbone: one histogram a kind, one common axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recast.pipelines.report.charts.scales import Linear, bins, fixed, histogram, short, thousands, ticks
from recast.pipelines.report.data import Likelihoods, finite
from recast.pipelines.report.markup import Markup, described, tag

WIDTH = 1080
LEFT, RIGHT = 190, 1066
ROW, PEAK, TOP = 92, 70, 26
CSS = {"demonstration": "arm-reference", "completion": "arm-target", "self": "arm-base"}


def clean(group: Likelihoods) -> list[float]:
    """The finite values; rows without a score are not drawn and are counted in the caption."""
    return [v for v in group.values if finite(v) is not None]


def gap_closed(groups: Sequence[Likelihoods]) -> float | None:
    """Share of the distance between the median demonstration and the median own sample that is gone.

    (med demonstration - med completion) / (med demonstration - med own). None where a kind is missing
    or the demonstrations are not farther than the own samples.
    """
    medians = {g.key: float(np.median(v)) for g in groups if (v := clean(g))}
    if {"demonstration", "completion", "self"} - medians.keys():
        return None
    gap = medians["demonstration"] - medians["self"]
    return (medians["demonstration"] - medians["completion"]) / gap if gap > 0 else None


def chart(groups: Sequence[Likelihoods]) -> Markup | None:
    """The histograms, or None where no kind of text has a value."""
    known = [(group, values) for group in groups if (values := clean(group))]
    if not known:
        return None
    edges = bins([values for _, values in known])
    across = Linear(edges[0], edges[-1], LEFT, RIGHT)
    bottom = TOP + ROW * len(known)
    parts = []
    for value in ticks(edges[0], edges[-1], 9):
        x = across(value)
        parts += [
            tag("line", x1=x, x2=x, y1=TOP - 8, y2=bottom, class_="grid"),
            tag("text", short(value), x=x, y=bottom + 18, class_="tick middle"),
        ]
    parts.append(tag("text", "nats a token →", x=RIGHT, y=bottom + 36, class_="axis end"))
    for turn, (group, values) in enumerate(known):
        parts.append(_row(group, values, edges, across, TOP + ROW * (turn + 1)))
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {bottom + 42}",
        class_="chart ridges",
        role="img",
        aria_label=described(
            "Distribution of the mean negative log-likelihood a token",
            "; ".join(f"{g.label}: median {fixed(float(np.median(v)), 2)}" for g, v in known),
        ),
    )


def _row(group: Likelihoods, values: list[float], edges: list[float], across: Linear, floor: float) -> Markup:
    counts = histogram(values, edges)
    up = Linear(0, max(counts), floor, floor - PEAK)
    outline = f"M{across(edges[0]):.1f} {floor:.1f}"
    hits = []
    for i, n in enumerate(counts):
        x0, x1, y = across(edges[i]), across(edges[i + 1]), up(n)
        outline += f"L{x0:.1f} {y:.1f}L{x1:.1f} {y:.1f}"
        tip = (
            f"{group.label}\n{fixed(edges[i], 2)} to {fixed(edges[i + 1], 2)} nats a token"
            f"\n{thousands(n)} of {thousands(len(values))} rows"
        )
        hits.append(
            tag("rect", x=x0, y=floor - PEAK - 8, width=x1 - x0, height=PEAK + 8, class_="bin", data_tip=tip)
        )
    outline += f"L{across(edges[-1]):.1f} {floor:.1f}Z"
    median = float(np.median(values))
    x = across(min(max(median, edges[0]), edges[-1]))
    left_half = x < (LEFT + RIGHT) / 2
    return tag(
        "g",
        tag("text", group.label, x=0, y=floor - 22, class_="strong"),
        tag("text", f"{thousands(len(values))} rows", x=0, y=floor - 5, class_="muted"),
        tag("path", d=outline, class_="area"),
        tag("line", x1=LEFT, x2=RIGHT, y1=floor, y2=floor, class_="base-line"),
        tag("line", x1=x, x2=x, y1=floor, y2=floor - PEAK - 15, class_="median"),
        tag(
            "text",
            f"median {fixed(median, 2)}",
            x=x + (7 if left_half else -7),
            y=floor - PEAK - 6,
            class_="median-label" if left_half else "median-label end",
        ),
        *hits,
        class_=CSS[group.key],
    )
