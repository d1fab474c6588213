"""The figures that `recast plan` predicts and `recast rewrite` sets beside what came of them, for people."""

from __future__ import annotations

from recast.pipelines.terminal.progress import clock


def count(number: float) -> str:
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number:,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


FIGURES = {
    "seconds": ("time", clock),
    "tokens": ("tokens", count),
    "accepted_rows": ("rows rewritten", percent),
    "bytes": ("run folder", megabytes),
}
"""Figure to what it is called and how its value is written."""
