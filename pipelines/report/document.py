"""A page that is one file: its styles and its script inside, nothing fetched, nothing trusted.

Two walls keep row text inert: every text is escaped by `markup`, and a content security policy allows only the style
and the script whose hashes stand in it, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources

from recast.pipelines.report.markup import Child, Markup, tag

PAGE_SCRIPT = "page.js"  # theme, tooltips and the marked section; every page has it


def assets(names: Iterable[str]) -> str:
    """The files of `assets/` one under another."""
    folder = resources.files("recast.pipelines.report") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def document(
    title: str,
    main: Sequence[Child],
    *,
    sections: Iterable[tuple[str, str]],
    styles: Sequence[str],
    scripts: Sequence[str],
    made: str = "Made by recast",
) -> str:
    """The page around `main`. `sections`: id and name of what the bar at its top leads to."""
    style, script = assets(styles), assets((PAGE_SCRIPT, *scripts))
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    theme = tag(
        "button",
        tag("span", "◐", aria_hidden="true"),
        type="button",
        id="theme",
        aria_label="Light or dark",
        title="Light or dark",
    )
    links = tag("div", *(tag("a", name, href=f"#{id_}") for id_, name in sections), class_="links")
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#top", class_="skip"),
        tag("nav", tag("a", "recast", href="#top", class_="brand"), links, theme, aria_label="Sections"),
        tag("main", *main),
        tag("footer", tag("p", f"{made}. This file loads nothing from anywhere.")),
        tag("div", id="tip", role="status", hidden=True),
        Markup(f"<script>{script}</script>"),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Markup(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _hash(body: str) -> str:
    return base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
