"""What a section is, and the parts that all sections share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recast.pipelines.report.markup import Markup, tag


@dataclass(frozen=True, slots=True)
class Section:
    """`body` is None when there is nothing to show; `fill` then names the command whose results would, and
    `hint` how `recast report` is given them."""

    id: str
    nav: str
    title: str
    body: Markup | None
    fill: str
    lead: str = ""
    hint: str = ""


def numbers(head: Sequence[str], rows: Sequence[Sequence[str]], name: str = "Numbers") -> Markup:
    """The figures of a chart as a table that opens on demand: for screen readers, copying and print."""
    return tag(
        "details",
        tag("summary", name),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head))),
                tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows)),
            ),
            class_="scroll",
        ),
        class_="numbers",
    )


def scroll(drawing: Markup) -> Markup:
    return tag("div", drawing, class_="scroll")
