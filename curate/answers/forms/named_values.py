"""Values that have a name and no figures: infinity, what does not exist, no and infinitely many solutions.

>>> compare("\\\\infty", "infinity"), compare("DNE", "does not exist"), compare("DNE", "0"), compare("DNE", "undefined")
(True, True, False, None)
"""

from __future__ import annotations

from functools import lru_cache

from recast.curate.answers.normalise import roman
from recast.curate.answers.quantities import quantity
from recast.curate.answers.verdict import OPEN, Verdict

_FORMS = {
    "oo": ("\\infty", "+\\infty", "∞", "+∞", "infinity", "positive infinity", "plus infinity", "oo", "+oo"),
    "-oo": ("-\\infty", "-∞", "-infinity", "negative infinity", "minus infinity", "-oo"),
    "missing": (
        "dne", "d.n.e", "does not exist", "do not exist", "doesn't exist", "limit does not exist", "nonexistent",
        "non-existent", "it does not exist", "the limit does not exist",
    ),
    "undefined": ("undefined", "not defined", "it is undefined", "is undefined", "indeterminate"),
    "none": ("no solution", "no solutions", "there is no solution", "there are no solutions", "\\emptyset",
             "\\varnothing", "∅", "empty set", "the empty set"),
    "many": ("infinitely many", "infinitely many solutions", "infinite", "infinite solutions",
             "an infinite number", "infinite number of solutions"),
    "integers": ("\\mathbb{z}", "\\mathbb z", "all integers", "the integers"),
    "rationals": ("\\mathbb{q}", "\\mathbb q", "all rational numbers"),
    "reals": ("\\mathbb{r}", "\\mathbb r", "all real numbers", "all reals"),
}  # fmt: skip
_NAMES = {form: name for name, forms in _FORMS.items() for form in forms}
_KIN = (
    {"missing", "undefined"},
    {"many", "oo"},
    {"missing", "none"},
    {"undefined", "none"},
    {"oo", "missing"},
    {"-oo", "missing"},
)
"""Values that a text may mean by the same words, or that one convention holds for equal and another does not."""


@lru_cache(maxsize=4096)
def named_value(text: str) -> str | None:
    if len(text) > 60:
        return None
    return _NAMES.get(" ".join(roman(text).lower().rstrip(".").split()))


def compare(a: str, b: str) -> Verdict:
    one, two = named_value(a), named_value(b)
    if one and two:
        return True if one == two else None if {one, two} in _KIN else False
    if not one and not two:
        return OPEN
    return False if quantity(b if one else a) is not None else OPEN
