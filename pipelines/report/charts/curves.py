"""Learning over steps: small charts of one height, a measure each, or a few measures that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recast.pipelines.report.charts.scales import Linear, fixed, moving_mean, padded, short, ticks
from recast.pipelines.report.data import Curve, Lines
from recast.pipelines.report.markup import Markup, described, tag

HEIGHT, LEFT, TOP, BOTTOM = 190, 38, 10, 160
WIDE, NARROW = 350, 262  # page units of a panel in rows of three and of four
WINDOW = 7  # steps of the centred moving mean
MAX_HITS = 160  # hover targets a chart; longer runs are read at every n-th step

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes of one small chart."""

    across: Linear
    up: Linear
    right: float
    digits: int  # of the values shown

    @classmethod
    def around(cls, steps: Sequence[float], values: Sequence[float], width: int) -> Frame:
        low, high = padded(values, share=0.1)
        if min(values) >= 0:
            low = max(low, 0.0)
        if min(values) >= 0 and max(values) <= 1 < high:
            high = 1.02
        right = width - 8
        return cls(
            Linear(min(steps), max(steps), LEFT + 4, right - 4),
            Linear(low, high, BOTTOM, TOP),
            right,
            1 if max(abs(v) for v in values) >= 20 else 2,
        )

    def grid(self) -> list[Markup]:
        parts = []
        for value in ticks(self.up.low, self.up.high, 4):
            y = self.up(value)
            parts += [
                tag("line", x1=LEFT, x2=self.right, y1=y, y2=y, class_="grid"),
                tag("text", short(value), x=LEFT - 7, y=y + 4, class_="tick end"),
            ]
        for value in ticks(self.across.low, self.across.high, 4):
            parts.append(tag("text", short(value), x=self.across(value), y=BOTTOM + 18, class_="tick middle"))
        parts.append(tag("text", "step", x=LEFT - 7, y=BOTTOM + 18, class_="axis end"))
        return parts

    def path(self, points: Points) -> str:
        return "M" + "L".join(f"{self.across(s):.1f} {self.up(v):.1f}" for s, v in points)

    def hits(self, said: dict[float, list[str]]) -> list[Markup]:
        """A hover target a step, over the whole height, that says the values there."""
        places = sorted(said)
        at = [self.across(step) for step in places]
        out = []
        for i, step in enumerate(places):
            left = (at[i - 1] + at[i]) / 2 if i else float(LEFT)
            right = (at[i] + at[i + 1]) / 2 if i + 1 < len(at) else self.right
            out.append(
                tag(
                    "g",
                    tag("rect", x=left, y=TOP, width=max(right - left, 0.5), height=BOTTOM - TOP),
                    tag("line", x1=at[i], x2=at[i], y1=TOP, y2=BOTTOM),
                    class_="hit",
                    data_tip="\n".join([f"step {short(step)}", *said[step]]),
                )
            )
        return out


def smoothed(points: Points) -> list[tuple[float, float]]:
    means = moving_mean([v for _, v in points], WINDOW)
    return [(step, mean) for (step, _), mean in zip(points, means, strict=True)]


def panel(curve: Curve, width: int = WIDE) -> Markup | None:
    """One measure: every step, their moving mean, held-out points and reference levels."""
    points = [*curve.train, *curve.heldout]
    if not points:
        return None
    values = [v for _, v in points] + [v for _, v in curve.levels]
    frame = Frame.around([s for s, _ in points], values, width)
    parts = [*frame.grid(), *(_level(frame, curve, label, value) for label, value in curve.levels)]
    mean = smoothed(curve.train)
    if curve.train:
        parts += [
            tag("path", d=frame.path(curve.train), class_="raw"),
            tag("path", d=frame.path(mean), class_="smooth"),
        ]
    if curve.heldout:
        parts.append(tag("path", d=frame.path(curve.heldout), class_="held-line"))
        parts += [
            tag("circle", cx=frame.across(s), cy=frame.up(v), r=4.5, class_="held") for s, v in curve.heldout
        ]
    said: dict[float, list[str]] = {}
    every = max(1, -(-len(curve.train) // MAX_HITS))
    for (step, value), (_, smooth) in list(zip(curve.train, mean, strict=True))[::every]:
        said[step] = [f"training {fixed(value, frame.digits)}", f"moving mean {fixed(smooth, frame.digits)}"]
    for step, value in curve.heldout:
        said.setdefault(step, []).insert(0, f"held out {fixed(value, frame.digits)}")
    kind, ends = ("held out", curve.heldout) if curve.heldout else ("training", mean)
    first, last = fixed(ends[0][1], frame.digits), fixed(ends[-1][1], frame.digits)
    better = [f"{curve.better} is better"] if curve.better != "neither" else []
    return _figure(
        curve.title,
        tag("span", first, tag("i", " → "), tag("b", last), class_="ends", title=f"first and last, {kind}"),
        ", ".join([*([curve.unit] if curve.unit else []), *better]),
        [*parts, *frame.hits(said)],
        width,
        described(f"{curve.title} over the steps of learning", f"{kind}: {first} at first, {last} at last"),
    )


def _level(frame: Frame, curve: Curve, label: str, value: float) -> Markup:
    """A reference line, named at that end where the curve is farther away."""
    points = curve.heldout or curve.train
    y, left = frame.up(value), abs(points[0][1] - value) > abs(points[-1][1] - value)
    name = {"x": LEFT + 4, "class_": "level-name"} if left else {"x": frame.right, "class_": "level-name end"}
    return tag(
        "g",
        tag("line", x1=LEFT, x2=frame.right, y1=y, y2=y, class_="level"),
        tag("text", f"{label} {fixed(value, frame.digits)}", y=y - 5, **name),
    )


def lines(group: Lines, width: int = WIDE) -> Markup | None:
    """Measures that belong together, each as its moving mean, with a legend in place of end values."""
    series = [s for s in group.series if s.points]
    if not series:
        return None
    points = [point for s in series for point in s.points]
    frame = Frame.around([s for s, _ in points], [v for _, v in points], width)
    parts = frame.grid()
    said: dict[float, list[str]] = {}
    for one in series:
        parts.append(tag("path", d=frame.path(smoothed(one.points)), class_=f"line tone-{one.tone}"))
        every = max(1, -(-len(one.points) // MAX_HITS))
        for step, value in one.points[::every]:
            said.setdefault(step, []).append(f"{one.name} {fixed(value, frame.digits)}")
    key = tag(
        "span",
        *(tag("span", tag("i", class_=f"dot tone-{s.tone}"), s.name) for s in series),
        class_="line-names",
    )
    ends = ", ".join(f"{s.name} {fixed(s.points[-1][1], frame.digits)} at last" for s in series)
    spoken = described(f"{group.title} over the steps of learning", ends)
    return _figure(group.title, None, key, [*parts, *frame.hits(said)], width, spoken)


def _figure(
    title: str, ends: Markup | None, small: Markup | str, parts: Sequence[Markup], width: int, spoken: str
) -> Markup:
    drawing = tag(
        "svg", *parts, viewBox=f"0 0 {width} {HEIGHT}", class_="chart curve", role="img", aria_label=spoken
    )
    head = tag("figcaption", tag("span", title, class_="name"), ends, tag("small", small))
    return tag("figure", head, drawing, class_="panel")
