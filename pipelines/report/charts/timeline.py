"""A measure over the versions of a name: a point a version that has it, intervals as bars, nothing where it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recast.pipelines.report.charts.curves import BOTTOM, HEIGHT, WIDE, Frame
from recast.pipelines.report.charts.scales import fixed
from recast.pipelines.report.markup import Markup, described, tag

MOST_NAMED = 8
"""Versions whose numbers stand under the chart; of more, every second, third, ..."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measure of one version."""

    number: int
    value: float
    low: float | None = None  # of its 95 % interval
    high: float | None = None
    said: str = ""  # besides the version and the value


@dataclass(frozen=True, slots=True)
class Timeline:
    title: str
    unit: str
    better: str = ""  # higher or lower
    points: tuple[Point, ...] = ()


def panel(line: Timeline) -> Markup | None:
    """The chart, or None where no version has the measure. Several points of one version stand one above another."""
    if not line.points:
        return None
    values = [v for p in line.points for v in (p.value, p.low, p.high) if v is not None]
    places = {number: i for i, number in enumerate(sorted({p.number for p in line.points}))}
    frame = Frame.around([0.0, max(len(places) - 1.0, 1.0)], values, WIDE)
    digits = frame.digits
    parts = [part for part in frame.grid() if "tick middle" not in part and ">step<" not in part]
    every = -(-len(places) // MOST_NAMED)
    parts += [
        tag("text", f"v{number}", x=frame.across(i), y=BOTTOM + 18, class_="tick middle")
        for number, i in places.items()
        if i % every == 0
    ]
    first_of = {p.number: p for p in reversed(line.points)}
    path = [(float(places[p.number]), p.value) for p in sorted(first_of.values(), key=lambda p: p.number)]
    if len(path) > 1:
        parts.append(tag("path", d=frame.path(path), class_="held-line"))
    for point in line.points:
        x = frame.across(float(places[point.number]))
        if point.low is not None and point.high is not None:
            parts.append(
                tag("line", x1=x, x2=x, y1=frame.up(point.low), y2=frame.up(point.high), class_="level")
            )
        told = [f"v{point.number}", _told(point, digits), *([point.said] if point.said else [])]
        parts.append(
            tag("circle", cx=x, cy=frame.up(point.value), r=4.5, class_="held", data_tip="\n".join(told))
        )
    first, last = (fixed(value, digits) for value in (path[0][1], path[-1][1]))
    small = ", ".join(filter(None, (line.unit, line.better and f"{line.better} is better")))
    spoken = described(f"{line.title} over versions", f"{first} at first, {last} at last")
    ends = tag("span", first, tag("i", " → "), tag("b", last), class_="ends", title="first and last version")
    head = tag("figcaption", tag("span", line.title, class_="name"), ends, tag("small", small))
    drawing = tag(
        "svg", *parts, viewBox=f"0 0 {WIDE} {HEIGHT}", class_="chart curve", role="img", aria_label=spoken
    )
    return tag("figure", head, drawing, class_="panel")


def _told(point: Point, digits: int) -> str:
    interval = ""
    if point.low is not None and point.high is not None:
        interval = f" [{fixed(point.low, digits)}, {fixed(point.high, digits)}]"
    return f"{fixed(point.value, digits)}{interval}"


def named(lines: Sequence[Timeline]) -> list[Markup]:
    """The panels of the measures that any version has."""
    return [drawn for line in lines if (drawn := panel(line)) is not None]
