"""Chemical formulas with their indices written in any way: `H_2O`, `H2O`, `C_6H_{12}O_6`.

>>> compare("H_2O", "H2O"), compare("NO_2", "NO_3") is OPEN
(True, True)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.verdict import OPEN, Verdict

_ELEMENTS = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Mo|Ag|Cd|Sn|Sb|Te|Xe|Cs|Ba|"
    "Pt|Au|Hg|Pb|Bi|U|H|B|C|N|O|F|P|S|K|V|I"
)
_FORMULA = re.compile(rf"(?:{_ELEMENTS}|[\d()])+(?:\^\{{?\d?[+-]\}}?)?\Z")
_ROMAN = re.compile(r"\\(?:mathrm|text|ce)\s?\{(.*)\}\Z")


@lru_cache(maxsize=1024)
def formula(text: str) -> str | None:
    """The formula without the marks of its indices; None where it is none, or has no index at all."""
    if len(text) > 60 or not any(c.isdigit() for c in text):
        return None
    if match := _ROMAN.match(text):
        text = match.group(1)
    plain = re.sub(r"_\{?(\d+)\}?", r"\1", text).replace(" ", "")
    return plain if len(re.findall("[A-Z]", plain)) > 1 and _FORMULA.match(plain) else None


def compare(a: str, b: str) -> Verdict:
    one, two = formula(a), formula(b)
    return True if one is not None and one == two else OPEN
