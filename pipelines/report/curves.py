"""Learning over steps: one small chart a measure, all of one size."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.report.data import Curve
from pipelines.report.markup import Markup, described, tag
from pipelines.report.scales import Linear, fixed, moving_mean, padded, short, ticks

WIDTH, HEIGHT = 350, 190
LEFT, RIGHT, TOP, BOTTOM = 38, 342, 10, 160
WINDOW = 7  # steps of the centred moving mean
MAX_HITS = 160  # hover targets a chart; longer runs are read at every n-th step


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _digits(values: Sequence[float]) -> int:
    return 1 if max(abs(v) for v in values) >= 20 else 2


def chart(curve: Curve) -> Markup | None:
    """One measure, or None where there is no point at all."""
    values = [v for _, v in (*curve.train, *curve.heldout)]
    if not values:
        return None
    steps = [s for s, _ in (*curve.train, *curve.heldout)]
    low, high = padded(values, share=0.1)
    if min(values) >= 0:
        low = max(low, 0.0)
    if max(values) <= 1 and high > 1 and min(values) >= 0:
        high = 1.02
    across = Linear(min(steps), max(steps), LEFT + 4, RIGHT - 4)
    up = Linear(low, high, BOTTOM, TOP)
    parts = []
    for value in ticks(low, high, 4):
        parts += [
            tag("line", x1=LEFT, x2=RIGHT, y1=up(value), y2=up(value), class_="grid"),
            tag("text", short(value), x=LEFT - 7, y=up(value) + 4, class_="tick end"),
        ]
    for value in ticks(min(steps), max(steps), 4):
        parts.append(tag("text", short(value), x=across(value), y=BOTTOM + 18, class_="tick middle"))
    parts.append(tag("text", "step", x=LEFT - 7, y=BOTTOM + 18, class_="axis end"))

    smooth = moving_mean([v for _, v in curve.train], WINDOW) if curve.train else []
    if curve.train:
        dots = [(across(s), up(v)) for s, v in curve.train]
        mean = [(across(s), up(v)) for (s, _), v in zip(curve.train, smooth, strict=True)]
        parts += [
            tag("path", d=_path(dots), class_="raw"),
            tag("path", d=_path(mean), class_="smooth"),
        ]
    held = [(across(s), up(v)) for s, v in curve.heldout]
    if held:
        parts.append(tag("path", d=_path(held), class_="held-line"))
        parts += [tag("circle", cx=x, cy=y, r=4.5, class_="held") for x, y in held]
    parts += _hits(curve, smooth, across, up)
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart curve",
        role="img",
        aria_label=described(f"{curve.title} over the steps of learning", _summary(curve)),
    )


def _hits(curve: Curve, smooth: Sequence[float], across: Linear, up: Linear) -> list[Markup]:
    digits = _digits([v for _, v in (*curve.train, *curve.heldout)])
    lines: dict[float, list[str]] = {}
    every = max(1, -(-len(curve.train) // MAX_HITS))
    for (step, value), mean in list(zip(curve.train, smooth, strict=True))[::every]:
        lines[step] = [f"training {fixed(value, digits)}", f"moving mean {fixed(mean, digits)}"]
    for step, value in curve.heldout:
        lines.setdefault(step, []).insert(0, f"held out {fixed(value, digits)}")
    places = sorted(lines)
    at = [across(step) for step in places]
    out = []
    for i, step in enumerate(places):
        left = (at[i - 1] + at[i]) / 2 if i else LEFT
        right = (at[i] + at[i + 1]) / 2 if i + 1 < len(at) else RIGHT
        out.append(
            tag(
                "g",
                tag("rect", x=left, y=TOP, width=max(right - left, 0.5), height=BOTTOM - TOP),
                tag("line", x1=at[i], x2=at[i], y1=TOP, y2=BOTTOM),
                class_="hit",
                data_tip="\n".join([f"step {short(step)}", *lines[step]]),
            )
        )
    return out


def _summary(curve: Curve) -> str:
    points = curve.heldout or curve.train
    digits = _digits([v for _, v in points])
    kind = "held out" if curve.heldout else "training"
    return f"{kind}: {fixed(points[0][1], digits)} at first, {fixed(points[-1][1], digits)} at last"


def panel(curve: Curve) -> Markup | None:
    """A chart under its name and its first and last held-out value."""
    drawing = chart(curve)
    if drawing is None:
        return None
    points = curve.heldout or curve.train
    digits = _digits([v for _, v in points])
    ends = tag(
        "span",
        fixed(points[0][1], digits),
        tag("i", " → "),
        tag("b", fixed(points[-1][1], digits)),
        class_="ends",
        title="first and last, " + ("held out" if curve.heldout else "training"),
    )
    better = f"{curve.unit + ', ' if curve.unit else ''}{curve.better} is better"
    head = tag("figcaption", tag("span", curve.title, class_="name"), ends, tag("small", better))
    return tag("figure", head, drawing, class_="panel")
