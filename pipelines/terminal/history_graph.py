"""The history of versions as lines, drawn for a terminal: every version under those that grew from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def drawn(parents: Mapping[str, Sequence[str]]) -> list[tuple[str, str | None]]:
    """(what is drawn, the node on that line or None) from top to bottom.

    `parents`: for every node its parents, the first one first, in an order in which no parent comes before its child.
    Parents that are no nodes themselves are left out.
    """
    lanes: list[str | None] = []  # the node that each column leads down to
    lines: list[tuple[str, str | None]] = []
    for node, above in parents.items():
        at = _lane(lanes, node)
        for other in [n for n, waits in enumerate(lanes) if waits == node and n != at]:
            lines.append((_bent(lanes, at, other, "\u256f"), None))
            lanes[other] = None
        lanes[at] = node
        lines.append((_row(lanes, at), node))
        known = [p for p in above if p in parents]
        lanes[at] = known[0] if known else None
        for parent in known[1:]:
            if parent in lanes:
                other = lanes.index(parent)
                if other != at:
                    lines.append((_bent(lanes, at, other, "\u2524" if other > at else "\u251c"), None))
                continue
            other = _lane(lanes, parent, after=at)
            lanes[other] = parent
            lines.append((_bent(lanes, at, other, "\u256e"), None))
        while lanes and lanes[-1] is None:
            lanes.pop()
    return lines


def _lane(lanes: list[str | None], node: str, after: int = -1) -> int:
    """The column that leads to `node`, else the first that is free to the right of `after`."""
    if node in lanes:
        return lanes.index(node)
    free = next((n for n, waits in enumerate(lanes) if waits is None and n > after), len(lanes))
    if free == len(lanes):
        lanes.append(None)
    return free


def _row(lanes: list[str | None], at: int) -> str:
    signs = ["\u2502" if waits else " " for waits in lanes]
    signs[at] = "\u25cf"
    return " ".join(signs).rstrip()


def _bent(lanes: list[str | None], at: int, other: int, corner: str) -> str:
    """A line between the columns `at` and `other`, whose end at `other` is `corner`."""
    signs = ["\u2502" if waits else " " for waits in lanes]
    low, high = sorted((at, other))
    gaps = ["\u2500" if low <= n < high else " " for n in range(len(lanes))]
    for n in range(low + 1, high):
        signs[n] = "\u253c" if lanes[n] else "\u2500"
    signs[at] = "\u251c" if other > at else "\u2524"
    signs[other] = corner
    return "".join(sign + gap for sign, gap in zip(signs, gaps, strict=True)).rstrip()
