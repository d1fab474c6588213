"""Numbers to places and to words: linear scales, round ticks, histogram bins, short formats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recast.pipelines.report.data import finite


@dataclass(frozen=True, slots=True)
class Linear:
    """Maps [low, high] onto [start, end]; `low == high` maps to the middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) inside [low, high], about `wanted` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((s * power for s in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / raw)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]


def padded(
    values: Sequence[float], *, share: float = 0.08, floor: float | None = None
) -> tuple[float, float]:
    """The extent of `values` with a margin; `floor` is a value the extent must reach down to."""
    low, high = min(values), max(values)
    if floor is not None:
        low = min(low, floor)
    margin = (high - low) * share or abs(high) * share or 1.0
    return (low if floor is not None and low == floor else low - margin), high + margin


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """Centred moving mean of `window` values, of those that exist at both ends."""
    half = window // 2
    return [float(np.mean(values[max(0, i - half) : i + half + 1])) for i in range(len(values))]


def bins(groups: Sequence[Sequence[float]], count: int = 44) -> list[float]:
    """Edges shared by all groups. A far outlier does not squeeze the rest: it is cut off half a spread
    (2nd to 98th percentile) beyond the rest, and `histogram` counts it in the outermost bin.
    """
    joined = np.concatenate([np.asarray(g, dtype=float) for g in groups])
    p2, p98 = (float(v) for v in np.percentile(joined, [2, 98]))
    low = max(float(joined.min()), p2 - (p98 - p2) / 2)
    high = min(float(joined.max()), p98 + (p98 - p2) / 2)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    low = 0.0 if 0 <= low < 0.35 * high else low
    return [float(v) for v in np.linspace(low, high, count + 1)]


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Counts in each bin; values beyond the edges fall into the outermost bins."""
    clipped = np.clip(np.asarray(values, dtype=float), edges[0], edges[-1])
    return [int(n) for n in np.histogram(clipped, bins=edges)[0]]


def fixed(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """A number for people: `digits` decimals, a real minus sign, an en dash where it is missing."""
    value = finite(value)
    if value is None:
        return "–"
    shown = f"{value:{'+' if sign else ''}.{digits}f}"
    if float(shown) == 0:
        shown = f"{0:.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def short(value: float) -> str:
    """A tick label: as few digits as tell it apart from its neighbours."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def thousands(value: int) -> str:
    return f"{value:,}".replace(",", "\N{THIN SPACE}")


def share(part: float, whole: float) -> str:
    """A percentage that says 0 % and 100 % only when they are exact; decimals only near those ends."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if percent in (0, 100) or 1 <= percent <= 99:
        return f"{percent:.0f} %"
    shown = f"{percent:.1f} %"
    return {"0.0 %": "< 0.1 %", "100.0 %": "> 99.9 %"}.get(shown, shown)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def words(key: str) -> str:
    """A snake_case key as words."""
    return key.replace("_", " ").strip()
