"""Gain against forgetting: every arm as a point, the best corner top left."""

from __future__ import annotations

from collections.abc import Sequence

from recast.pipelines.report.charts.arms import mark, styles
from recast.pipelines.report.charts.scales import Linear, fixed, padded, short, ticks
from recast.pipelines.report.data import Arm, finite
from recast.pipelines.report.markup import Markup, described, tag

WIDTH, HEIGHT = 500, 400
LEFT, RIGHT, TOP, BOTTOM = 44, 484, 16, 348
CHAR = 6.6  # mean width of a character of a 12 px label


Box = tuple[float, float, float, float]  # left, top, right, bottom


def _tip(arm: Arm) -> str:
    lines = [arm.label, f"downstream {fixed(arm.downstream)}", f"forgetting {fixed(arm.forgetting)} points"]
    for name in ("downstream", "forgetting"):
        half = finite(arm.half_widths.get(name))
        if half is not None:
            lines[1 if name == "downstream" else 2] += f" ± {half:.1f}"
    if arm.num_seeds > 1:
        lines.append(f"mean of {arm.num_seeds} seeds, 95 % intervals")
    return "\n".join(lines)


def _spoken(arm: Arm) -> str:
    return _tip(arm).replace("\n", ", ")


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _place(label: str, own: Box, taken: list[Box]) -> tuple[float, float, str]:
    """Where a label covers least: beside its point, under, over, or at a corner of what the point covers."""
    wide = len(label) * CHAR
    left, top, right, bottom = own
    x, y = (left + right) / 2, (top + bottom) / 2
    best: tuple[float, Box, tuple[float, float, str]] | None = None
    for at, base, anchor in (
        (right + 4, y + 4, "start"),
        (left - 4, y + 4, "end"),
        (x, bottom + 14, "middle"),
        (x, top - 6, "middle"),
        (x + 6, bottom + 12, "start"),
        (x - 6, bottom + 12, "end"),
        (x + 6, top - 4, "start"),
        (x - 6, top - 4, "end"),
    ):
        start = at - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = (start, base - 12, start + wide, base + 4)
        outside = wide * 16 - _overlap(box, (LEFT, TOP, WIDTH, BOTTOM))
        cost = 4 * outside + sum(_overlap(box, other) for other in taken)
        if best is None or cost < best[0]:
            best = cost, box, (at, base, anchor)
    assert best is not None
    taken.append(best[1])
    return best[2]


def chart(arms: Sequence[Arm]) -> Markup | None:
    """The plane, or None where fewer than two arms have both figures."""
    known = [
        (arm, x, y)
        for arm in arms
        if (x := finite(arm.forgetting)) is not None and (y := finite(arm.downstream)) is not None
    ]
    if len(known) < 2:
        return None
    look = styles(arms)
    reach_x = [v for arm, x, _ in known for v in (x - _half(arm, "forgetting"), x + _half(arm, "forgetting"))]
    x_low, x_high = padded([*reach_x, 0.0], share=0.14)
    reach_y = [v for arm, _, y in known for v in (y - _half(arm, "downstream"), y + _half(arm, "downstream"))]
    y_low, y_high = padded([*reach_y, 0.0], share=0.08)
    if min(reach_y) >= 0 and max(reach_y) <= 100:
        y_low, y_high = 0.0, max(y_high, 104.0) if max(reach_y) > 70 else y_high
    across, up = Linear(x_low, x_high, LEFT, RIGHT), Linear(y_low, y_high, BOTTOM, TOP)

    parts: list[Markup] = [
        tag(
            "defs",
            tag(
                "radialGradient",
                tag("stop", offset="0", class_="glow-in"),
                tag("stop", offset="1", class_="glow-out"),
                id="glow",
                cx="0",
                cy="0",
                r="0.75",
            ),
        ),
        tag("rect", x=LEFT, y=TOP, width=RIGHT - LEFT, height=BOTTOM - TOP, fill="url(#glow)"),
    ]
    for value in ticks(y_low, y_high, 5):
        parts += [
            tag("line", x1=LEFT, x2=RIGHT, y1=up(value), y2=up(value), class_="grid"),
            tag("text", short(value), x=LEFT - 8, y=up(value) + 4, class_="tick end"),
        ]
    for value in ticks(x_low, x_high, 6):
        x = across(value)
        parts += [
            tag("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, class_="grid zero" if value == 0 else "grid"),
            tag("text", short(value), x=x, y=BOTTOM + 18, class_="tick middle"),
        ]
    parts += [
        tag("text", "downstream, % correct", x=LEFT, y=TOP - 4, class_="axis"),
        tag("text", "forgetting, points lost in general →", x=RIGHT, y=BOTTOM + 38, class_="axis end"),
    ]
    by_role = {arm.role: (across(x), up(y)) for arm, x, y in reversed(known)}
    if "reference" in by_role and "target" in by_role:
        (x0, y0), (x1, y1) = by_role["reference"], by_role["target"]
        parts.append(tag("path", d=f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", class_="link"))
    extents = [_extent(arm, across(x), up(y), across, up) for arm, x, y in known]
    taken = list(extents)
    parts.append(_hint(taken))
    for turn, (arm, x, y) in enumerate(known):
        cx, cy = across(x), up(y)
        dx, dy = _half(arm, "forgetting"), _half(arm, "downstream")
        whiskers = []
        if dx:
            whiskers.append(tag("line", x1=across(x - dx), x2=across(x + dx), y1=cy, y2=cy, class_="whisker"))
        if dy:
            whiskers.append(tag("line", x1=cx, x2=cx, y1=up(y - dy), y2=up(y + dy), class_="whisker"))
        at, base, anchor = _place(arm.label, extents[turn], taken)
        parts.append(
            tag(
                "g",
                *whiskers,
                tag("circle", cx=cx, cy=cy, r=15.0, class_="halo"),
                mark(look[arm.key].mark, cx, cy, 7.5 if arm.role == "target" else 6.2),
                tag("text", arm.label, x=at, y=base, class_=f"label {anchor}"),
                class_=f"point {look[arm.key].css} role-{arm.role}",
                role="img",
                aria_label=_spoken(arm),
                tabindex="0",
                data_tip=_tip(arm),
            )
        )
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart plane",
        role="group",
        aria_label=described(
            "Downstream accuracy against forgetting", "; ".join(_spoken(arm) for arm, _, _ in known)
        ),
    )


def _extent(arm: Arm, cx: float, cy: float, across: Linear, up: Linear) -> Box:
    """What a point and its intervals cover, in page units."""
    dx = across(_half(arm, "forgetting")) - across(0.0)
    dy = up(0.0) - up(_half(arm, "downstream"))
    return cx - max(dx, 8), cy - max(dy, 8), cx + max(dx, 8), cy + max(dy, 8)


def _hint(taken: list[Box]) -> Markup:
    """Says which corner is good, as near to it as the points allow."""
    said = "↖ gains more, forgets less"
    for y in range(TOP + 18, BOTTOM, 18):
        box = (LEFT + 10.0, y - 14.0, LEFT + 10 + len(said) * CHAR, y + 6.0)
        if all(box[2] < t[0] or box[0] > t[2] or box[3] < t[1] or box[1] > t[3] for t in taken):
            taken.append(box)
            return tag("text", said, x=LEFT + 10, y=y, class_="hint")
    return Markup("")


def _half(arm: Arm, name: str) -> float:
    return finite(arm.half_widths.get(name)) or 0.0
