"""What an objective's trust gate did in an SFT: its means over steps, where its mass lay, what became of tokens.

Reads what `recast sft` leaves beside a model (`loss.jsonl`, `telemetry.json`; see `train.sft.telemetry`) and draws
it: curves as of learning, gate mass over (p, entropy) before and after, and the change of p by how likely a
token was before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recast.curate.files import read_lines
from recast.pipelines.report.charts import curves
from recast.pipelines.report.charts.scales import Linear, fixed, share, short, thousands
from recast.pipelines.report.data import ConfidenceChange, GateMass, Lines, ReportData, Series, Tone, Tuning
from recast.pipelines.report.markup import Markup, described, tag
from recast.pipelines.report.sections import Section, numbers

CURVE, TELEMETRY = "loss.jsonl", "telemetry.json"
MEANS: tuple[tuple[str, str, Tone], ...] = (
    ("p", "p of the label", "first"),
    ("gate", "gate", "second"),
    ("exponent", "exponent α", "third"),
    ("concentration", "concentration C", "open"),
)
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 350, 240, 44, 10, 342, 196


def tunings(sfts: Mapping[str, str | Path | Sequence[str | Path]]) -> tuple[Tuning, ...]:
    """One for each SFT folder that has telemetry; of several seeds of an arm, the first."""
    found = []
    for name, given in sfts.items():
        folder = Path(given) if isinstance(given, str | Path) else Path(given[0])
        if (folder / TELEMETRY).exists():
            summed = json.loads((folder / TELEMETRY).read_text(encoding="utf-8"))
            found.append(_tuning(name, summed, read_lines(folder / CURVE)))
    return tuple(found)


def gates(data: ReportData) -> Section:
    """The section: a block for each tuned model."""
    blocks = [block for tuning in data.tunings if (block := _block(tuning))]
    return Section(
        "gates",
        "Trust gate",
        "What the objective trusted",
        Markup("".join(blocks)) if blocks else None,
        "recast sft",
        hint="--sft NAME=DIR",
        lead="The gate scales a token's gradient: 1 is plain likelihood, 0 lets the token go.",
    )


def _tuning(name: str, summed: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> Tuning:
    series = [
        Series(label, tone, tuple((p["step"], p[key]) for p in points if key in p))
        for key, label, tone in MEANS
    ]
    return Tuning(
        name,
        summed["objective"],
        Lines(f"gate-{name}", "Means over trained tokens", tuple(s for s in series if s.points)),
        before=_read_mass(summed["base"]),
        after=_read_mass(summed["tuned"]),
        changes=tuple(ConfidenceChange(**row) for row in summed["by_confidence"]),
    )


def _read_mass(of: Mapping[str, Any]) -> GateMass:
    return GateMass(
        tuple(of["p_edges"]),
        tuple(of["entropy_edges"]),
        tuple(map(tuple, of["tokens"])),
        tuple(map(tuple, of["gate"])),
    )


def _block(tuning: Tuning) -> Markup | None:
    panels = [
        curves.lines(tuning.means),
        _mass(tuning.before, "Gate mass before", tuning),
        _mass(tuning.after, "Gate mass after", tuning),
        _changes(tuning.changes, tuning),
    ]
    drawn = [panel for panel in panels if panel]
    if not drawn:
        return None
    head = ["p before", "tokens", "learned", "forgotten", "p fell", "mean change of p", "mean change of loss"]
    rows = [
        [
            f"{short(c.low)} to {short(c.high)}",
            thousands(c.tokens),
            thousands(c.learned),
            thousands(c.forgotten),
            thousands(c.fell),
            fixed(c.p_change, 3, sign=True),
            fixed(c.loss_change, 3, sign=True),
        ]
        for c in tuning.changes
    ]
    return tag(
        "div",
        tag("h3", f"{tuning.name}, {tuning.objective}"),
        tag("div", *drawn, class_="panels"),
        numbers(head, rows, "Tokens by confidence"),
    )


def _mass(of: GateMass, title: str, tuning: Tuning) -> Markup:
    """Share of all gate in each cell: entropy across, p upwards; cells of one size, ranges at their edges."""
    total = sum(map(sum, of.gate))
    most = max((v for row in of.gate for v in row), default=0.0)
    columns, rows = len(of.entropy_edges) - 1, len(of.p_edges) - 1
    across, up = Linear(0, columns, LEFT, RIGHT), Linear(0, rows, BOTTOM, TOP)
    parts = []
    for i in range(rows):
        for j in range(columns):
            gate, tokens = of.gate[i][j], of.tokens[i][j]
            if not tokens:
                continue
            high = of.entropy_edges[j + 1]
            entropy = f"{short(of.entropy_edges[j] or 0.0)} to {short(high)}" if high is not None else "more"
            tip = (
                f"p {short(of.p_edges[i])} to {short(of.p_edges[i + 1])}, entropy {entropy} nats"
                f"\n{share(gate, total)} of the gate\n{thousands(tokens)} tokens, mean gate {fixed(gate / tokens, 2)}"
            )
            parts.append(
                tag(
                    "rect",
                    x=across(j) + 0.5,
                    y=up(i + 1) + 0.5,
                    width=across(1) - across(0) - 1,
                    height=up(0) - up(1) - 1,
                    rx=1.5,
                    # the root tells small masses apart, and a cell with tokens is never invisible
                    fill_opacity=0.06 + 0.94 * (gate / most) ** 0.5 if most else 0.06,
                    class_="cell",
                    data_tip=tip,
                )
            )
    for i in range(0, rows + 1, 2):
        parts.append(tag("text", short(of.p_edges[i]), x=LEFT - 7, y=up(i) + 4, class_="tick end"))
    for j, edge in enumerate(of.entropy_edges):
        if edge is not None and j % 2 == 0:
            parts.append(tag("text", short(edge), x=across(j), y=BOTTOM + 18, class_="tick middle"))
    parts.append(tag("text", "p", x=LEFT - 30, y=TOP + 6, class_="axis"))
    parts.append(tag("text", "Rényi-2 entropy, nats →", x=RIGHT, y=BOTTOM + 36, class_="axis end"))
    peak = f"{share(total and sum(of.gate[-1]), total)} of the gate lies at p above {short(of.p_edges[-2])}"
    mean = total / max(1, sum(map(sum, of.tokens)))
    return _figure(title, f"mean gate {fixed(mean, 2)}", parts, described(f"{title}, {tuning.name}", peak))


def _changes(changes: Sequence[ConfidenceChange], tuning: Tuning) -> Markup | None:
    """Share of the tokens of each range of p that were learned (up) and forgotten (down)."""
    if not changes:
        return None
    across, up = Linear(0, 1, LEFT, RIGHT), Linear(-1, 1, BOTTOM, TOP)
    parts = []
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        y = up(value)
        parts += [
            tag("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="grid zero" if value == 0 else "grid"),
            tag("text", f"{abs(100 * value):.0f} %", x=LEFT - 7, y=y + 4, class_="tick end"),
        ]
    for c in changes:
        left, width = across(c.low) + 1, across(c.high) - across(c.low) - 2
        learned, forgotten = c.learned / c.tokens, c.forgotten / c.tokens
        tip = (
            f"p before {short(c.low)} to {short(c.high)}: {thousands(c.tokens)} tokens"
            f"\n{share(c.learned, c.tokens)} learned, {share(c.forgotten, c.tokens)} forgotten"
            f"\np {fixed(c.p_change, 3, sign=True)}, loss {fixed(c.loss_change, 3, sign=True)} on average"
        )
        top, floor = up(learned), up(-forgotten)
        parts += [
            tag("rect", x=left, y=top, width=width, height=up(0) - top, class_="learned"),
            tag("rect", x=left, y=up(0), width=width, height=floor - up(0), class_="forgotten"),
            tag("rect", x=left, y=TOP, width=width, height=BOTTOM - TOP, class_="over", data_tip=tip),
        ]
    for value in (0.0, 0.5, 1.0):
        parts.append(tag("text", short(value), x=across(value), y=BOTTOM + 18, class_="tick middle"))
    parts.append(tag("text", "p before →", x=RIGHT, y=BOTTOM + 36, class_="axis end"))
    learned, forgotten = sum(c.learned for c in changes), sum(c.forgotten for c in changes)
    said = f"{thousands(learned)} learned, {thousands(forgotten)} forgotten"
    note = "above: p rose past a half; below: it fell past a half"
    return _figure(
        "Tokens learned and forgotten", said, parts, described(f"Tokens of {tuning.name}", said), note
    )


def _figure(title: str, ends: str, parts: Sequence[Markup], spoken: str, small: str = "") -> Markup:
    drawing = tag(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="chart gate", role="img", aria_label=spoken
    )
    head = tag(
        "figcaption", tag("span", title, class_="name"), tag("span", ends, class_="ends"), tag("small", small)
    )
    return tag("figure", head, drawing, class_="panel")
