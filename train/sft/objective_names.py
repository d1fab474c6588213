"""The names of the token objectives and what they stand for; `train.sft.objectives` has the arithmetic.

Apart from it so that a configuration is checked without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from recast.curate.errors import UsageError
from recast.train.model.statistic_names import CONCENTRATION, ENTROPY

SYNTAX = "nll, p, dft, general:ALPHA, tsallis:Q, cayley, deft or eaft"
PLAIN = ("nll", "p", "dft", "cayley", "deft", "eaft")


@dataclass(frozen=True, slots=True)
class Objective:
    """A parsed objective. `exponent` is the fixed power of p, where there is one (0: the limit, -log p)."""

    name: str
    exponent: float | None = None

    @classmethod
    def parse(cls, text: str | Objective) -> Objective:
        """Read `SYNTAX`. Raises UsageError."""
        if isinstance(text, Objective):
            return text
        name, colon, value = text.strip().lower().partition(":")
        if not colon and name in PLAIN:
            return cls(name, {"nll": 0.0, "p": 1.0}.get(name))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name == "general" and 0 < number < math.inf:
            return cls(f"general:{number:g}", number)
        if name == "tsallis" and math.isfinite(number):
            return cls(f"tsallis:{number:g}", 1.0 - number)
        if name in ("general", "tsallis"):
            wanted = (
                "a number above 0, as in general:0.5" if name == "general" else "a number, as in tsallis:0.5"
            )
            raise UsageError(f"the objective {text!r} needs {wanted}.")
        raise UsageError(f"there is no objective {text!r}; there are {SYNTAX}.")

    def __str__(self) -> str:
        return self.name

    @property
    def needs(self) -> frozenset[str]:
        """Statistics of the distribution beyond the label's probability."""
        return frozenset({"deft": (CONCENTRATION,), "eaft": (ENTROPY,)}.get(self.name, ()))
