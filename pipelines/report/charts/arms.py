"""The arms of a comparison: their colours, their marks and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recast.pipelines.report.charts.scales import fixed
from recast.pipelines.report.data import Arm, ReportData, finite
from recast.pipelines.report.markup import Markup, tag

# field, heading, unit below it, digits, whether more is better
COLUMNS = (
    ("downstream", "Downstream", "% correct", 1, True),
    ("general", "General", "% correct", 1, True),
    ("forgetting", "Forgetting", "points lost", 1, False),
    ("gold_loglik", "Gold log-lik.", "nats / token", 3, True),
    ("start_loss", "Start loss", "nats / token", 3, False),
)

MARKS = {"base": "ring", "reference": "square", "control": "triangle", "target": "disc", "other": "diamond"}


@dataclass(frozen=True, slots=True)
class Style:
    """How one arm is told apart everywhere on the page: a colour class and a shape, never colour alone."""

    css: str
    mark: str


def styles(arms: Sequence[Arm]) -> dict[str, Style]:
    """Style of every arm by key. Arms without a known role share the diamond and differ in colour."""
    seen: dict[str, int] = {}
    out = {}
    for arm in arms:
        turn = seen.get(arm.role, 0)
        seen[arm.role] = turn + 1
        css = f"arm-{arm.role}" if arm.role != "other" and turn == 0 else f"arm-other{turn % 4}"
        out[arm.key] = Style(css, MARKS[arm.role])
    return out


def mark(shape: str, x: float, y: float, size: float = 5.5, **attributes: object) -> Markup:
    """The shape of an arm, drawn around (x, y)."""
    if shape == "square":
        s = size * 0.92
        return tag("rect", x=x - s, y=y - s, width=2 * s, height=2 * s, rx=1.5, class_="mark", **attributes)
    if shape in ("triangle", "diamond"):
        s = size * 1.25
        points = (
            f"{x:.1f},{y - s:.1f} {x + s:.1f},{y + s * 0.75:.1f} {x - s:.1f},{y + s * 0.75:.1f}"
            if shape == "triangle"
            else f"{x:.1f},{y - s:.1f} {x + s:.1f},{y:.1f} {x:.1f},{y + s:.1f} {x - s:.1f},{y:.1f}"
        )
        return tag("polygon", points=points, class_="mark", **attributes)
    return tag(
        "circle", cx=x, cy=y, r=size, class_="mark hollow" if shape == "ring" else "mark", **attributes
    )


def swatch(style: Style) -> Markup:
    """The mark as an inline legend key."""
    drawing = tag("svg", mark(style.mark, 8.0, 8.0, 4.6), viewBox="0 0 16 16", aria_hidden="true")
    return tag("span", drawing, class_=f"swatch {style.css}")


def table(data: ReportData) -> Markup:
    """One line an arm; the best trained arm of each column is marked with words as well as weight."""
    look = styles(data.arms)
    trained = [arm for arm in data.arms if arm.role != "base"]
    shown = [c for c in COLUMNS if any(finite(getattr(a, c[0])) is not None for a in data.arms)]
    even = len({arm.num_seeds for arm in trained}) == 1  # then the caption says it once
    best: dict[str, float] = {}
    for name, _, _, _, higher in shown:
        values = [v for arm in trained if (v := finite(getattr(arm, name))) is not None]
        if len(values) > 1 and min(values) != max(values):
            best[name] = max(values) if higher else min(values)

    def cell(arm: Arm, name: str, digits: int) -> Markup:
        value = finite(getattr(arm, name))
        half = finite(arm.half_widths.get(name))
        wins = value is not None and arm.role != "base" and value == best.get(name)
        inside = [fixed(value, digits)]
        if half is not None and value is not None:
            inside.append(tag("span", f"± {half:.{digits}f}", class_="half"))
        return tag(
            "td", *inside, class_="best" if wins else None, title="best of the trained" if wins else None
        )

    head = tag(
        "tr",
        tag("th", "Arm", scope="col"),
        *(
            tag("th", title, tag("small", f"{unit} {'↑' if higher else '↓'}"), scope="col")
            for _, title, unit, _, higher in shown
        ),
    )
    body = [
        tag(
            "tr",
            tag(
                "th",
                swatch(look[arm.key]),
                tag("span", arm.label),
                tag("small", f"{arm.num_seeds} seeds") if arm.num_seeds > 1 and not even else None,
                scope="row",
            ),
            *(cell(arm, name, digits) for name, _, _, digits, _ in shown),
            class_=f"role-{arm.role}",
        )
        for arm in data.arms
    ]
    return tag("table", tag("thead", head), tag("tbody", *body), class_="arms")
