"""Angles, of which one is told in radians: `\\frac{\\pi}{2} \\text{ rad}`, `90^\\circ`.

>>> compare("\\\\frac{\\\\pi}{2} \\\\text{ rad}", "90^\\\\circ"), compare("5 degrees", "5 radians")
(True, False)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.expressions import parse
from recast.curate.answers.normalise import roman
from recast.curate.answers.numeric_probe import same
from recast.curate.answers.verdict import OPEN, Verdict

_RADIANS = re.compile(r"(.*\S)\s*\b(?:rad|rads|radians?)\.?\s*\Z", re.DOTALL)
_DEGREES = re.compile(r"(.*\d\S*?)\s*(?:\^\s?\{?\s?\\circ\s?\}?|°|\bdeg(?:rees?)?\s*)\Z", re.DOTALL)
_PI = re.compile(r"(?<![a-z\\])pi(?![a-z])")


@lru_cache(maxsize=1024)
def angle(text: str) -> tuple[str, bool] | None:
    """`(expression, whether it counts radians)`; None where no unit of angle follows."""
    text = roman(text).strip()
    match, radians = _RADIANS.match(text), True
    if not match:
        match, radians = _DEGREES.match(text), False
    return (_PI.sub(r"\\pi", match.group(1).strip()), radians) if match else None


def compare(a: str, b: str) -> Verdict:
    if "rad" not in a and "rad" not in b:
        return OPEN
    one, two = angle(a), angle(b)
    radians = [found is not None and found[1] for found in (one, two)]
    if not any(radians):
        return OPEN
    sizes = [
        f"({found[0]})" if found[1] else f"({found[0]}) \\cdot \\pi / 180" if found else text
        for found, text in ((one or (a, True), a), (two or (b, True), b))
    ]
    return same(parse(sizes[0]), parse(sizes[1]))
