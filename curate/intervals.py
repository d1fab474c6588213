"""Confidence intervals of 95 % of shares and of small means, in closed form: no scipy at run time.

>>> [round(x, 3) for x in wilson(0, 10)]
[0.0, 0.278]
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Z = 1.959964
"""97.5 % quantile of the normal distribution."""
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def student_t(freedom: int) -> float:
    """97.5 % quantile of Student's t, to 0.003; a table up to 10 degrees of freedom.

    Beyond, the first two terms of its expansion in 1 / df around the normal quantile (Fisher and Cornish 1960). Raises
    ValueError below 1.
    """
    if freedom < 1:
        raise ValueError(f"Student's t has at least 1 degree of freedom, found {freedom}")
    if freedom <= len(_T):
        return _T[freedom - 1]
    first = (Z**3 + Z) / (4 * freedom)
    return Z + first + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)


def half_width(values: Sequence[float]) -> float:
    """Half of the interval of the mean of at least two values (Student's t)."""
    return student_t(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def mean_of_shares(values: Sequence[float]) -> dict[str, float]:
    """`value`, `low` and `high` of the mean of values in [0, 1], by Student's t, to 4 digits; (0, 1) around one."""
    mean = statistics.fmean(values)
    half = half_width(values) if len(values) > 1 else 1.0
    found = {"value": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half)}
    return {name: round(x, 4) for name, x in found.items()}


def share_over_rows(shares: Sequence[float]) -> dict[str, float]:
    """`value`, `low` and `high` of the mean of rows' shares, by its spread over rows; Wilson's where all agree, which
    says less than it seems."""
    mean = statistics.fmean(shares)
    if len(set(shares)) == 1:
        low, high = wilson(round(mean * len(shares)), len(shares))
    else:
        half = half_width(shares)
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return {"low": low, "value": mean, "high": high}


def wilson(count: int, total: int, z: float = Z) -> tuple[float, float]:
    """The Wilson score interval of a share; (0, 1) without observations. Wilson 1927, eq. in closed form."""
    if total == 0:
        return 0.0, 1.0
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
