"""Days of the calendar: `2021-03-05`, `March 5, 2021`, `5th of March`, `03/05/2021`.

>>> compare("2021-03-05", "Friday, March 5, 2021"), compare("03/04/2021", "April 3, 2021"), compare("5", "6") is OPEN
(True, None, True)
"""

from __future__ import annotations

import re
from functools import lru_cache

from recast.curate.answers.quantities import quantity
from recast.curate.answers.verdict import OPEN, Verdict

Date = tuple[int | None, int | None, int | None]
"""Year, month, day; None where it is not said."""

_MONTHS = {
    name: i for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
} | {
    name: i
    for i, name in enumerate(
        (
            "january february march april may june july august september october november december"
        ).split(),
        1,
    )
} | {"sept": 9}  # fmt: skip
_WEEKDAY = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day\s*,?\s+", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})\Z")
_NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\Z")
_CHINESE = re.compile(r"(?:(\d{4})年)?(\d{1,2})月(\d{1,2})[日号]\Z")
_MONTH_FIRST = re.compile(
    r"([A-Za-z]{3,9})\.?\s+(?:(\d{1,2})(?:st|nd|rd|th)?)?(?:(?:\s*,\s*|\s+)?(\d{4}))?\Z"
)
_DAY_FIRST = re.compile(
    r"(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?([A-Za-z]{3,9})\.?(?:\s*,)?(?:\s+(\d{4}))?\Z"
)


@lru_cache(maxsize=2048)
def dates(text: str) -> tuple[Date, ...]:
    """The days that `text` may mean, two where day and month could be either way round, none where it is no date."""
    if not any(c.isdigit() for c in text):
        return ()
    text = _WEEKDAY.sub("", text, count=1).strip()
    if match := _ISO.match(text):
        found: list[Date] = [(int(match.group(1)), int(match.group(3)), int(match.group(4)))]
    elif match := _NUMERIC.match(text):
        one, two, year = int(match.group(1)), int(match.group(3)), int(match.group(4))
        found = [(year, one, two), (year, two, one)]
    elif match := _CHINESE.match(text):
        found = [(int(match.group(1)) if match.group(1) else None, int(match.group(2)), int(match.group(3)))]
    elif match := _MONTH_FIRST.match(text):
        name, day, year = match.groups()
        found = [(int(year) if year else None, _MONTHS.get(name.lower(), 0), int(day) if day else None)]
    elif match := _DAY_FIRST.match(text):
        day, name, year = match.groups()
        found = [(int(year) if year else None, _MONTHS.get(name.lower(), 0), int(day))]
    else:
        return ()
    valid = {date for date in found if 1 <= (date[1] or 0) <= 12 and (date[2] is None or 1 <= date[2] <= 31)}
    return tuple(sorted(valid, key=str))


def compare(a: str, b: str) -> Verdict:
    one, two = dates(a), dates(b)
    if one and two:
        if one == two:
            return True
        said = {tuple(x is None for x in date) for date in (*one, *two)}
        close = [
            (x, y)
            for x in one
            for y in two
            if all(p == q or None in (p, q) for p, q in zip(x, y, strict=True))
        ]
        if not close:
            return False
        return True if len(one) == len(two) == len(said) == 1 else None
    if not one and not two:
        return OPEN
    date, other = (one[0], b) if one else (two[0], a)
    number = quantity(other)
    if number is None:
        return None if any(c.isdigit() for c in other) else OPEN
    return None if number.value in date else False  # the year alone, or the day
