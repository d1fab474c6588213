"""The frame of the review's page; `assets/` fills it with rows."""

from __future__ import annotations

from recast.pipelines.report.markup import Child, Markup, tag

STYLES = ("base.css", "browser.css", "review.css")
ACTIONS = (
    ("a", "accept", "Accept"),
    ("f", "expert", "Keep expert"),
    ("e", "edit", "Edit"),
    ("x", "suspect", "Suspect"),
    ("d", "defer", "Defer"),
    ("u", "undo", "Undo"),
)
KEYS = (
    ("a", "accept the text"),
    ("f", "keep the expert's text"),
    ("e", "edit; Ctrl+Enter keeps, Esc leaves the draft"),
    ("x", "suspect that the expert is wrong"),
    ("d", "defer"),
    ("u", "undo the last decision"),
    ("j k", "next, previous row"),
    ("1 – 9", "give a reason, or take it back"),
    ("n", "write a note"),
    ("c", "other candidates"),
    ("h", "history of the row"),
    ("s", "side by side, or in one"),
    ("r", "every sign as it is"),
    ("g", "go to a number or a row's id"),
    ("/", "filter: words, is:deferred, sql: CONDITION"),
    ("?", "this help"),
)


def html(title: str) -> str:
    """The page of a review of the version `title`."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"review {title}"),
        tag("link", rel="icon", href="data:,"),
        *(tag("link", rel="stylesheet", href=f"assets/{name}") for name in STYLES),
        tag("link", rel="modulepreload", href="assets/review.js"),
    )
    body = tag(
        "body",
        tag("a", "Skip to the row", href="#row", class_="skip"),
        _bar(title),
        tag("p", id="offline", role="alert", hidden=True),
        tag(
            "main",
            tag("div", id="filter-bar", class_="strip-bar", hidden=True),
            tag(
                "div",
                tag("article", id="row", tabindex="-1", aria_label="Row"),
                tag("aside", id="side", aria_label="What is known of the row"),
                class_="review",
            ),
            id="top",
        ),
        _actions(),
        _help(),
        tag("div", id="tip", role="status", hidden=True),
        tag("p", id="said", class_="unseen", role="status", aria_live="polite"),
        tag("noscript", tag("p", "The review needs the scripts that come with it.", class_="absent")),
        Markup(
            '<script src="assets/page.js"></script><script type="module" src="assets/review.js"></script>'
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _bar(title: str) -> Markup:
    return tag(
        "nav",
        tag("span", "recast", tag("b", " review"), class_="brand"),
        tag("span", title, class_="ref"),
        tag("progress", id="progress", max=1, value=0, aria_label="Reviewed"),
        tag("span", id="count", class_="figure"),
        tag("span", id="rate", class_="figure quiet"),
        tag("span", class_="links"),
        _button("filter", "/", "Filter"),
        _button("goto", "g", "Go to"),
        _button("help", "?", "Help"),
        tag(
            "button",
            tag("span", "◐", aria_hidden="true"),
            type="button",
            id="theme",
            aria_label="Light or dark",
        ),
        aria_label="Review",
    )


def _button(name: str, key: str, label: Child) -> Markup:
    return tag("button", label, tag("kbd", key), type="button", data_do=name, class_="plain")


def _actions() -> Markup:
    buttons = [
        tag(
            "button", tag("kbd", key), tag("span", label), type="button", data_do=name, class_=f"do do-{name}"
        )
        for key, name, label in ACTIONS
    ]
    return tag("div", *buttons, id="actions", role="toolbar", aria_label="Decide")


def _help() -> Markup:
    lines = [
        tag("div", tag("dt", *(tag("kbd", k) for k in key.split())), tag("dd", what)) for key, what in KEYS
    ]
    return tag(
        "dialog",
        tag("h2", "Keys"),
        tag("dl", *lines),
        tag("p", "Every decision is on disk before the next row comes. Close the page whenever you like."),
        tag("button", "Close", tag("kbd", "Esc"), type="button", data_do="close", class_="plain"),
        id="help",
        aria_label="Keys",
    )
