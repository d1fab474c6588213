"""Forgetting suite by suite: a bar an arm, to the right what was lost, to the left what was gained."""

from __future__ import annotations

from collections.abc import Sequence

from recast.pipelines.report.charts.arms import styles
from recast.pipelines.report.charts.scales import Linear, fixed, short, ticks, words
from recast.pipelines.report.data import Arm, finite
from recast.pipelines.report.markup import Markup, described, tag

WIDTH = 1080
NAME_END, BASE_END, LEFT, RIGHT, TOP = 176, 236, 256, 1030, 30
BAR, BETWEEN = 9.0, 14.0


def losses(arms: Sequence[Arm]) -> list[tuple[str, float, dict[str, float]]]:
    """(suite, accuracy of the base, points lost by arm key), worst for the reference arm first."""
    base = next((arm for arm in arms if arm.role == "base" and arm.suites), None)
    if base is None:
        return []
    trained = [arm for arm in arms if arm is not base and arm.suites]
    rows = []
    for suite, before in base.suites.items():
        if finite(before) is None:
            continue
        lost = {
            arm.key: before - after for arm in trained if (after := finite(arm.suites.get(suite))) is not None
        }
        if lost:
            rows.append((suite, before, lost))
    lead = next((a.key for a in trained if a.role == "reference"), trained[0].key if trained else "")
    rows.sort(key=lambda row: -row[2].get(lead, float("-inf")))
    return rows


def chart(arms: Sequence[Arm]) -> Markup | None:
    """The bars, or None without suites of the base and of a trained arm."""
    rows = losses(arms)
    if not rows:
        return None
    look = styles(arms)
    shown = [arm for arm in arms if any(arm.key in lost for _, _, lost in rows)]
    every = [v for _, _, lost in rows for v in lost.values()]
    low, high = min(0.0, *every), max(0.0, *every)
    margin = (high - low) * 0.03 or 1.0
    across = Linear(low - (margin if low < 0 else 0), high + margin, LEFT, RIGHT)
    band = BAR * len(shown) + BETWEEN
    bottom = TOP + band * len(rows)
    parts = [
        tag("text", "suite", x=NAME_END, y=TOP - 12, class_="axis end"),
        tag("text", "base", x=BASE_END, y=TOP - 12, class_="axis end"),
        tag("text", "points lost →", x=RIGHT, y=TOP - 12, class_="axis end"),
    ]
    for value in ticks(across.low, across.high, 9):
        x = across(value)
        parts += [
            tag("line", x1=x, x2=x, y1=TOP - 4, y2=bottom, class_="grid zero" if value == 0 else "grid"),
            tag("text", short(value), x=x, y=bottom + 16, class_="tick middle"),
        ]
    zero = across(0.0)
    for turn, (suite, before, lost) in enumerate(rows):
        y = TOP + band * turn + BETWEEN / 2
        middle = y + BAR * len(shown) / 2 + 4
        parts += [
            tag("text", words(suite), x=NAME_END, y=middle, class_="strong end"),
            tag("text", fixed(before), x=BASE_END, y=middle, class_="muted end"),
        ]
        for arm in shown:
            if arm.key in lost:
                value = lost[arm.key]
                x = across(value)
                tip = (
                    f"{words(suite)}\n{arm.label}\n{fixed(before)} → {fixed(before - value)}, "
                    f"{fixed(abs(value))} points {'lost' if value >= 0 else 'gained'}"
                )
                parts.append(
                    tag(
                        "rect",
                        x=min(x, zero),
                        y=y + 1,
                        width=max(abs(x - zero), 1.2),
                        height=BAR - 2,
                        rx=1.5,
                        class_=f"bar {look[arm.key].css}",
                        data_tip=tip,
                    )
                )
            y += BAR
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {bottom + 22}",
        class_="chart bars",
        role="img",
        aria_label=described("Points lost on each general suite", "The same figures are in the table below."),
    )
