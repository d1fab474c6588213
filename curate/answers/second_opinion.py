"""What math-verify's vote counts for: a yes that it withholds from slightly changed answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from recast.curate.answers import cas_worker
from recast.curate.answers.structured import tidy


def second_opinion(
    a: str, b: str, verify: Callable[[str, str], bool | None] = cas_worker.verify
) -> bool | None:
    """math-verify's vote on LaTeX that nothing else reads. Its yes needs controls; its no is only an abstention.

    It falls back to a number inside a formula that it cannot read, and then says yes to anything that holds that
    number. So it must also tell `a` apart from changed copies of itself: a sign turned, a digit raised.
    """
    if "\\" not in a + b or verify(a, b) is not True:
        return None
    controls = [c for c in _changed(a) if tidy(c) != tidy(b)]
    if not controls or any(verify(c, b) is not False for c in controls):
        return None
    return True


def _changed(text: str) -> list[str]:
    """Up to four copies of `text` with one sign or digit changed, each another answer."""
    places = [m.start() for m in re.finditer(r"(?<=[\w)}\s])[-+](?=[\s\w\\({])|\d", text)]
    chosen = places[:: max(1, len(places) // 4)][:4]
    swapped = {"+": "-", "-": "+"}
    return [text[:i] + swapped.get(text[i], str((int(text[i]) + 1) % 10) if text[i].isdigit() else "") + text[i + 1 :]
            for i in chosen]  # fmt: skip
