"""Curves with their names beside them: gain against forgetting over learning rates, and SFT losses over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recast.pipelines.report.charts.scales import Linear, padded, short, ticks
from recast.pipelines.report.markup import Markup, described, tag
from recast.pipelines.report.picture import standalone
from recast.train.evaluation.bootstrap import Interval

WIDTH, HEIGHT = 640, 420
LETTER = 8.0
"""Width of a letter of a name, at most."""
LEFT, RIGHT, TOP, BOTTOM = 48, 500, 24, 368
LINE_HEIGHT = 15.0
CLASSES = (
    "arm-reference",
    "arm-target",
    "arm-control",
    "arm-base",
    "arm-other0",
    "arm-other1",
    "arm-other2",
    "arm-other3",
)

Points = Sequence[tuple[float, float]]


def plane(named: Mapping[str, Sequence[tuple[Interval, Interval]]], across_title: str, up_title: str) -> str:
    """`curves` with a dot at every point, and through it the intervals of both figures."""
    values = {name: [(x.value, y.value) for x, y in curve] for name, curve in named.items()}
    return curves(values, across_title, up_title, intervals=named)


def curves(
    named: Mapping[str, Points],
    across_title: str,
    up_title: str,
    *,
    intervals: Mapping[str, Sequence[tuple[Interval, Interval]]] | None = None,
) -> str:
    """An SVG file: a curve a name, in order. Names stand right of the axes."""
    ends_of = [i for curve in (intervals or {}).values() for i in curve]
    points = [point for curve in named.values() for point in curve]
    points += [(x.low, y.low) for x, y in ends_of] + [(x.high, y.high) for x, y in ends_of]
    across = Linear(*padded([x for x, _ in points] + [0.0]), LEFT, RIGHT)
    up = Linear(*padded([y for _, y in points] + [0.0]), BOTTOM, TOP)
    parts = [*_axes(across, up, across_title, up_title)]
    ends: list[tuple[float, str, str]] = []
    for number, (name, curve) in enumerate(named.items()):
        css = CLASSES[number % len(CLASSES)]
        path = "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in curve)
        parts.append(tag("path", d=path, class_=f"whisker {css}", fill="none"))
        for x, y in (intervals or {}).get(name, ()):
            parts += [
                tag(
                    "path",
                    d=_line(across(x.low), up(y.value), across(x.high), up(y.value)),
                    class_=f"interval {css}",
                ),
                tag(
                    "path",
                    d=_line(across(x.value), up(y.low), across(x.value), up(y.high)),
                    class_=f"interval {css}",
                ),
                tag("circle", cx=across(x.value), cy=up(y.value), r=4.0, class_=f"mark {css}"),
            ]
        ends.append((up(curve[-1][1]), name, css))
    parts += _names(ends)
    spoken = "; ".join(f"{name}: {', '.join(f'{x:g}, {y:g}' for x, y in c[:8])}" for name, c in named.items())
    width = max(WIDTH, RIGHT + 16 + round(LETTER * max(map(len, named))))
    drawing = tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width} {HEIGHT}",
        class_="chart plane",
        role="img",
        aria_label=described(f"{up_title} over {across_title}", spoken),
    )
    return standalone(drawing)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"


def _axes(across: Linear, up: Linear, across_title: str, up_title: str) -> list[Markup]:
    parts = []
    for value in ticks(up.low, up.high, 5):
        parts += [
            tag("line", x1=LEFT, x2=RIGHT, y1=up(value), y2=up(value), class_="grid"),
            tag("text", short(value), x=LEFT - 8, y=up(value) + 4, class_="tick end"),
        ]
    for value in ticks(across.low, across.high, 6):
        x = across(value)
        parts += [
            tag("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, class_="grid zero" if value == 0 else "grid"),
            tag("text", short(value), x=x, y=BOTTOM + 18, class_="tick middle"),
        ]
    return [
        *parts,
        tag("text", up_title, x=LEFT, y=TOP - 8, class_="axis"),
        tag("text", across_title, x=RIGHT, y=BOTTOM + 40, class_="axis end"),
    ]


def _names(ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """Names in a column, each as near to the end of its curve as the others and the lower edge allow."""
    ends = sorted(ends)
    places: list[float] = []
    for y, *_ in ends:
        places.append(max(y, places[-1] + LINE_HEIGHT) if places else y)
    lowest = float(BOTTOM)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], lowest)
        lowest = places[i] - LINE_HEIGHT
    return [
        tag("text", name, x=RIGHT + 8, y=place + 4, class_=f"label start {css}")
        for place, (_, name, css) in zip(places, ends, strict=True)
    ]
