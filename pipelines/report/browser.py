"""The browser of rows: search, filters and a list, and beside it the row that is chosen.

This is its frame and its data; `assets/browser.js` fills it, and a script of each page says what is shown of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recast.pipelines.report.markup import Markup, json_script, tag

KEYS = (("j", "next"), ("k", "previous"), ("/", "search"), ("s", "side by side or inline"))


def browser(
    rows: Sequence[Mapping[str, Any]], noun: str, filtered_by: str, orders: Mapping[str, str] | None = None
) -> Markup:
    """`rows`: at least `id`, `target`, `prompt` ([role, text] pairs) and `diff` (`samples.segments`) each. `noun`: what
    one is called. `filtered_by`: what the filters choose by. `orders`: number of a row to sort by -> its name; "order"
    stands for the order in which they are given."""
    controls = tag(
        "div",
        tag(
            "input",
            type="search",
            id="row-search",
            placeholder="Search prompts, texts, ids, reasons",
            aria_label=f"Search {noun}s",
            autocomplete="off",
            spellcheck="false",
        ),
        tag("div", id="row-filters", class_="filters", role="group", aria_label=f"Filter by {filtered_by}"),
        tag(
            "select",
            *(tag("option", name, value=number) for number, name in orders.items()),
            id="row-sort",
            aria_label=f"Sort {noun}s",
        )
        if orders
        else None,
        class_="controls",
    )
    body = tag(
        "div",
        tag(
            "div",
            tag("p", id="row-count", class_="count", aria_live="polite"),
            tag("ol", id="row-list", role="listbox", tabindex="0", aria_label=f"{noun.capitalize()}s"),
            class_="list-box",
        ),
        tag("article", id="row-view", aria_label=noun.capitalize()),
        class_="browser",
    )
    keys = tag("p", *((tag("kbd", key), f" {what} ") for key, what in KEYS), class_="keys")
    silent = f"The browser of {noun}s needs the script inside this page."
    return Markup(
        controls
        + body
        + keys
        + tag("noscript", tag("p", silent, class_="absent"))
        + json_script("row-data", list(rows))
    )
