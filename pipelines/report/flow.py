"""Row fates as a flow: rows to decisions to reasons. Every row is in every column exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.data import Fate
from pipelines.report.markup import Markup, described, tag
from pipelines.report.scales import share, thousands, words

WIDTH, HEIGHT = 1080, 320
TOP, BOTTOM = 34, 312
COLUMNS_X = (0, 470, 800)
BAR = 12
GAP = 20.0  # between nodes of a column: a label of two lines must fit beside the smallest
MAX_TASKS, MAX_REASONS = 6, 8
ORDER = ("rewrite", "repair", "edited", "generated", "expert", "fallback")
PASSED = "every check passed"


@dataclass(slots=True)
class Node:
    key: str
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
    fates = [fate for fate in fates if fate.rows > 0]
    total = sum(fate.rows for fate in fates)
    if not total:
        return None
    task_of = _lump(_count(fates, lambda f: f.task), MAX_TASKS, "tasks")
    reason_of = _lump(
        _count([f for f in fates if f.decision == "fallback"], lambda f: f.reason), MAX_REASONS, "reasons"
    )

    def last(fate: Fate) -> tuple[str, str]:
        if fate.decision == "fallback":
            return f"fallback/{reason_of[fate.reason]}", words(reason_of[fate.reason]) or "no reason given"
        if fate.decision in ("rewrite", "repair"):
            return "passed", PASSED
        return f"{fate.decision}/", {"expert": "as ingested"}.get(fate.decision, words(fate.decision))

    ranks = {kind: i for i, kind in enumerate(ORDER)}
    fates.sort(key=lambda f: (ranks.get(f.decision, len(ORDER)), f.decision))
    tasks = Counter[str]()
    decisions = Counter[str]()
    ends = Counter[str]()
    labels: dict[str, str] = {}
    css_of_end: dict[str, str] = {}
    for fate in fates:
        tasks[task_of[fate.task]] += fate.rows
        decisions[fate.decision] += fate.rows
        key, labels[key] = last(fate)
        css_of_end[key] = "fate-rewrite" if key == "passed" else f"fate-{fate.decision}"
        ends[key] += fate.rows
    columns = [
        [
            Node(key, words(key) if len(tasks) > 1 else "rows in", n, "fate-all")
            for key, n in tasks.most_common()
        ],
        [Node(key, words(key), n, f"fate-{key}") for key, n in decisions.items()],
        [
            Node(key, labels[key], ends[key], css_of_end[key])
            for key in sorted(ends, key=lambda k: (k != "passed", css_of_end[k] == "fate-fallback", -ends[k]))
        ],
    ]
    most = max(len(column) for column in columns)
    scale = (BOTTOM - TOP - GAP * (most - 1) - 2 * most) / total
    for column in columns:
        _stack(column, scale)
    by_key = [{node.key: node for node in column} for column in columns]

    first, second = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for fate in fates:
        first[task_of[fate.task], fate.decision] += fate.rows
        second[fate.decision, last(fate)[0]] += fate.rows
    parts = []
    for turn, links in enumerate((first, second)):
        places = [{n.key: i for i, n in enumerate(columns[turn + side])} for side in (0, 1)]
        x0, x1 = COLUMNS_X[turn] + BAR, COLUMNS_X[turn + 1]
        for (start, end), rows in sorted(
            links.items(), key=lambda kv: (places[0][kv[0][0]], places[1][kv[0][1]])
        ):
            a, b = by_key[turn][start], by_key[turn + 1][end]
            tip = f"{a.label} → {b.label}\n{thousands(rows)} rows, {share(rows, total)}"
            parts.append(_ribbon(a, b, x0, x1, rows, scale, b.css, tip))
    for x, column, heading in zip(COLUMNS_X, columns, ("Demonstrations", "Decision", "Because"), strict=True):
        parts.append(tag("text", heading, x=x, y=14, class_="axis strong"))
        for node in column:
            tip = f"{node.label}\n{thousands(node.rows)} rows, {share(node.rows, total)}"
            parts += [
                tag(
                    "rect",
                    x=x,
                    y=node.y,
                    width=BAR,
                    height=node.height,
                    rx=2,
                    class_=f"node {node.css}",
                    data_tip=tip,
                ),
                tag(
                    "text",
                    tag("tspan", node.label, class_="strong"),
                    tag("tspan", f"{thousands(node.rows)}, {share(node.rows, total)}", dx=7, class_="muted"),
                    x=x + BAR + 9,
                    y=node.y + node.height / 2 + 4,
                    class_="node-label",
                ),
            ]
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart flow",
        role="img",
        aria_label=described(
            "What became of every row",
            "; ".join(f"{n.rows} rows {n.label}" for column in columns[1:] for n in column),
        ),
    )


def _count(fates: Sequence[Fate], key) -> Counter[str]:
    counts = Counter[str]()
    for fate in fates:
        counts[key(fate)] += fate.rows
    return counts
