"""Row fates as a flow: rows to decisions to reasons. Every row is in every column exactly once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recast.pipelines.report.charts.scales import share, thousands, words
from recast.pipelines.report.data import Fate
from recast.pipelines.report.markup import Markup, described, tag

WIDTH, HEIGHT = 1080, 320
TOP, BOTTOM = 34, 312
COLUMNS_X = (0, 470, 800)
BAR = 12
GAP = 20.0  # between nodes of a column: a label of two lines must fit beside the smallest
MAX_TASKS, MAX_REASONS = 6, 8
ORDER = ("rewrite", "repair", "edited", "generated", "expert", "fallback")
PASSED = "every check passed"
HEADINGS = ("Demonstrations", "Decision", "Because")
LUMPED = re.compile(r"\d+ other (?:tasks|reasons)")


@dataclass(slots=True)
class Node:
    key: tuple[str, str]
    label: str
    rows: int
    css: str
    y: float = 0.0
    height: float = 0.0
    out_used: float = 0.0  # where the next ribbon leaves
    in_used: float = 0.0


def _lump(counts: Counter[str], most: int, rest: str) -> dict[str, str]:
    """Maps every key to itself, or the rare ones to one shared key when there are too many."""
    ranked = [key for key, _ in counts.most_common()]
    if len(ranked) <= most:
        return {key: key for key in ranked}
    kept = set(ranked[: most - 1])
    return {key: key if key in kept else f"{len(ranked) - most + 1} other {rest}" for key in ranked}


def _stack(nodes: Sequence[Node], scale: float) -> None:
    y = float(TOP)  # from the top in every column, so that the main stream runs straight
    for node in nodes:
        node.y, node.height = y, max(node.rows * scale, 2.0)
        y += node.height + GAP


def _ribbon(a: Node, b: Node, x0: float, x1: float, rows: int, scale: float, css: str, tip: str) -> Markup:
    thick = rows * scale
    y0, y1 = a.y + a.out_used, b.y + b.in_used
    a.out_used += thick
    b.in_used += thick
    mid = (x0 + x1) / 2
    edge = max(thick, 1.2)
    path = (
        f"M{x0:.1f} {y0:.1f}C{mid:.1f} {y0:.1f} {mid:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + edge:.1f}C{mid:.1f} {y1 + edge:.1f} {mid:.1f} {y0 + edge:.1f} {x0:.1f} {y0 + edge:.1f}Z"
    )
    return tag("path", d=path, class_=f"ribbon {css}", data_tip=tip)


def chart(fates: Sequence[Fate]) -> Markup | None:
    """The flow, or None without rows."""
    stages = _stages(fates)
    total = sum(rows for _, rows in stages)
    if not total:
        return None
    columns = _columns(stages)
    most = max(len(column) for column in columns)
    scale = (BOTTOM - TOP - GAP * (most - 1) - 2 * most) / total
    for column in columns:
        _stack(column, scale)
    parts = [
        *_ribbons(stages, columns, 0, scale, total),
        *_ribbons(stages, columns, 1, scale, total),
    ]
    for x, column, heading in zip(COLUMNS_X, columns, HEADINGS, strict=True):
        parts.append(tag("text", heading, x=x, y=14, class_="axis strong"))
        for node in column:
            parts += _drawn(node, x, total)
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart flow",
        role="img",
        aria_label=described(
            "What became of every row",
            "; ".join(f"{node.rows} rows {node.label}" for column in columns[1:] for node in column),
        ),
    )


Stages = list[tuple[tuple[tuple[str, str], ...], int]]  # ((kind, name) of each column, rows)


def _stages(fates: Sequence[Fate]) -> Stages:
    """What each group of rows passes through: ("task", t), (decision, ""), (decision, reason)."""
    fates = [fate for fate in fates if fate.rows > 0]
    tasks, reasons = Counter[str](), Counter[str]()
    for fate in fates:
        tasks[fate.task] += fate.rows
        if fate.decision == "fallback":
            reasons[fate.reason] += fate.rows
    task_of, reason_of = _lump(tasks, MAX_TASKS, "tasks"), _lump(reasons, MAX_REASONS, "reasons")
    ranks = {kind: i for i, kind in enumerate(ORDER)}
    fates.sort(key=lambda f: (ranks.get(f.decision, len(ORDER)), f.decision))
    out: Stages = []
    for fate in fates:
        if fate.decision == "fallback":
            end = ("fallback", reason_of[fate.reason])
        else:
            end = ("rewrite", PASSED) if fate.decision in ("rewrite", "repair") else (fate.decision, "")
        out.append(((("all", task_of[fate.task]), (fate.decision, ""), end), fate.rows))
    return out


def _columns(stages: Stages) -> list[list[Node]]:
    columns: list[list[Node]] = []
    for place in range(len(HEADINGS)):
        counts = Counter[tuple[str, str]]()
        for keys, rows in stages:
            counts[keys[place]] += rows
        # the first column commonest first, the others in the order of decisions; what is lumped is last
        order = [key for key, _ in counts.most_common()] if place == 0 else list(counts)
        if place == 2:
            order.sort(key=lambda key: (key[0] == "fallback", -counts[key]))
        order.sort(key=lambda key: bool(LUMPED.fullmatch(key[1])))
        single = place == 0 and len(order) == 1
        columns.append([Node(key, _label(key, single), counts[key], f"fate-{key[0]}") for key in order])
    return columns


def _label(key: tuple[str, str], single: bool) -> str:
    kind, name = key
    if single:
        return "rows in"
    if kind == "all":
        return words(name) or "no task"
    return words(name) or words(kind)


def _ribbons(stages: Stages, columns: list[list[Node]], turn: int, scale: float, total: int) -> list[Markup]:
    links = Counter[tuple[tuple[str, str], tuple[str, str]]]()
    for keys, rows in stages:
        links[keys[turn], keys[turn + 1]] += rows
    starts, ends = ({node.key: (i, node) for i, node in enumerate(c)} for c in columns[turn : turn + 2])
    out = []
    # from top to bottom on both sides, so that ribbons leave and arrive without crossing at a node
    for (start, end), rows in sorted(
        links.items(), key=lambda link: (starts[link[0][0]][0], ends[link[0][1]][0])
    ):
        a, b = starts[start][1], ends[end][1]
        tip = f"{a.label} → {b.label}\n{thousands(rows)} rows, {share(rows, total)}"
        out.append(_ribbon(a, b, COLUMNS_X[turn] + BAR, COLUMNS_X[turn + 1], rows, scale, b.css, tip))
    return out


def _drawn(node: Node, x: float, total: int) -> list[Markup]:
    figures = f"{thousands(node.rows)}, {share(node.rows, total)}"
    tip = f"{node.label}\n{thousands(node.rows)} rows, {share(node.rows, total)}"
    css = f"node {node.css}"
    return [
        tag("rect", x=x, y=node.y, width=BAR, height=node.height, rx=2, class_=css, data_tip=tip),
        tag(
            "text",
            tag("tspan", node.label, class_="strong"),
            tag("tspan", figures, dx=7, class_="muted"),
            x=x + BAR + 9,
            y=node.y + node.height / 2 + 4,
            class_="node-label",
        ),
    ]
