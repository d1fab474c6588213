"""HTML and SVG elements that are safe by construction.

`tag` escapes every child and attribute that is not already `Markup`, so row text reaches the page
only as text. Nothing here knows what a report is.
"""

from __future__ import annotations

import html
import json
from typing import Any

VOID = frozenset({"meta", "link", "br", "hr", "input", "img", "col"})


class Markup(str):
    """A string that is already HTML. Only this module and constants of this package make one."""

    __slots__ = ()


Child = Any  # str | Markup | number | None | iterable of those


def text(child: Child) -> Markup:
    """`child` as HTML: Markup as it is, None as nothing, iterables joined, all else escaped."""
    if child is None:
        return Markup("")
    if isinstance(child, Markup):
        return child
    if isinstance(child, (list, tuple)) or hasattr(child, "__next__"):
        return Markup("".join(text(part) for part in child))
    return Markup(html.escape(str(child), quote=True))


def number(value: float) -> str:
    """A coordinate with two decimals and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def tag(name: str, /, *children: Child, **attributes: Any) -> Markup:
    """`<name ...>children</name>`.

    Attribute names lose a trailing underscore (`class_`) and turn others into hyphens (`data_tip`,
    `text_anchor`), except `viewBox`, which is kept. None and False leave an attribute out, True
    writes it bare.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        else:
            shown = number(value) if isinstance(value, float) else str(value)
            written.append(f' {key}="{html.escape(shown, quote=True)}"')
    opening = f"<{name}{''.join(written)}>"
    return Markup(opening if name in VOID else f"{opening}{text(children)}</{name}>")


def described(name: str, values: str) -> str:
    """The accessible name of a drawing. Not a `<title>`: browsers show that as a second tooltip."""
    return f"{name}. {values.rstrip('.')}."


def json_script(element_id: str, value: Any) -> Markup:
    """Data for the page's script. `<`, `>` and `&` are escaped, so no text can close the element."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        body = body.replace(char, f"\\u{ord(char):04x}")
    return Markup(f'<script type="application/json" id="{html.escape(element_id)}">{body}</script>')
