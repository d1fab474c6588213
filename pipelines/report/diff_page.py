"""`recast diff --html`: one self-contained page on which a person reads what changed, row by row.

    write(diff(store, "craft", "craft-rewrites"), Path("diff.html"))

Shares the look, the safety and the theme switch of the report's page. Nothing is fetched; row text reaches
the page as text only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recast.curate.files import write_text
from recast.curate.history.diff import Diff
from recast.curate.history.row_diff import READ, RowDiff, Summary, touching
from recast.pipelines.report.markup import Markup, json_script, tag
from recast.pipelines.report.page import _assets, _hash
from recast.pipelines.report.samples import clip, segments

MAX_ROWS = 2000  # rows of one page; `--where` chooses others
STYLES = ("base.css", "samples.css", "diff.css")
SCRIPTS = ("page.js", "diff.js")
_SHOWN_APART = ("completion", "decision", "reason", "messages", "nll_completion", "source")
KEYS = (("j", "next"), ("k", "previous"), ("/", "search"), ("s", "side by side or inline"))


def render(
    found: Diff, *, where: str | None = None, columns: Sequence[str] = (), limit: int = MAX_ROWS
) -> str:
    """The page as HTML. `where`: SQL over row_id, target, op, before, after, as in `Diff.rows`. `columns`: only rows
    in which one of them differs."""
    every = found.rows(where=where)
    rows = list(itertools.islice(touching(every, columns) if columns else every, limit))
    title = f"{found.a.ref} → {found.b.ref}"
    chosen = [f"where {where}"] if where else []
    chosen += [f"with another {' or '.join(columns)}"] if columns else []
    return _document(title, _body(found, rows, title, " ".join(chosen)))


def _document(title: str, content: list[Markup | None]) -> str:
    """The page around `content`, with the policy of the report's page: its own style and script, nothing else."""
    style, script = _assets(STYLES), _assets(SCRIPTS)
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
    links = tag("div", tag("a", "Row by row", href="#samples"), class_="links")
    nav = tag("nav", tag("a", "recast", href="#top", class_="brand"), links, theme, aria_label="Sections")
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#top", class_="skip"),
        nav,
        tag("main", *content),
        tag("footer", tag("p", "Made by recast. This file loads nothing from anywhere.")),
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


def write(
    found: Diff, out: Path, *, where: str | None = None, columns: Sequence[str] = (), limit: int = MAX_ROWS
) -> Path:
    """Write the page to `out`, whole or not at all."""
    write_text(out, render(found, where=where, columns=columns, limit=limit))
    return out


def _body(found: Diff, rows: list[RowDiff], title: str, chosen: str) -> list[Markup | None]:
    summary = found.summary
    total = summary.added + summary.removed + summary.changed + summary.rescored
    said = f"{len(rows):,} of {total:,} rows that differ" + (f", {chosen}" if chosen else "")
    alarm = None
    if summary.answers_changed:
        rows_said = f"{summary.answers_changed:,} row" + ("" if summary.answers_changed == 1 else "s")
        alarm = tag("p", f"The final answer differs in {rows_said}.", class_="alarm", role="alert")
    hero = tag(
        "header",
        tag("p", "What changed", class_="eyebrow"),
        tag("h1", title),
        alarm,
        _cards(summary),
        _details(summary),
        class_="hero",
        id="top",
    )
    browser = tag(
        "section",
        tag("header", tag("h2", "Row by row"), tag("p", said + ".")),
        _browser(rows) if rows else tag("p", "Nothing differs.", class_="absent"),
        id="samples",
    )
    return [hero, browser]


def _cards(s: Summary) -> Markup:
    cards = [("changed", s.changed), ("added", s.added), ("removed", s.removed), ("rescored", s.rescored)]
    figures = [(name, f"{count:,}", "") for name, count in cards if count or name != "rescored"]
    figures.append(("unchanged", f"{s.unchanged:,}", ""))
    if s.nll_change is not None:
        figures.append(("NLL", f"{s.nll_change:+.2f}".replace("-", "−"), "mean change, nats a token"))
    if s.length_change is not None:
        figures.append(("length", f"{s.length_change:+,.0f}".replace("-", "−"), "mean change, characters"))
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", name),
                tag(
                    "dd",
                    tag("span", value, class_="value"),
                    tag("span", note, class_="note") if note else None,
                ),
                class_="card",
            )
            for name, value, note in figures
        ),
        class_="cards tight",
    )


def _details(s: Summary) -> Markup:
    """Decisions flipped, rewrites lost and columns touched, as short lists."""

    def listed(title: str, counts: Iterable[tuple[str, int]]) -> Markup | None:
        items = [tag("li", tag("b", f"{n:,}"), f" {name}") for name, n in counts]
        return tag("div", tag("h3", title), tag("ul", *items)) if items else None

    decisions = ((flip.replace("->", "→"), n) for flip, n in s.decisions.items())
    columns = [(name, s.columns[name]) for name in READ if name in s.columns]
    if rest := len(s.columns) - len(columns):
        columns.append((f"more column{'' if rest == 1 else 's'} of scores and provenance", rest))
    lost = [("passed the gate before and no longer", s.gate_pass_to_fail)] if s.gate_pass_to_fail else []
    return tag(
        "div",
        listed("Decisions", decisions),
        listed("Gate", lost),
        listed("Columns", columns),
        class_="tallies",
    )


def _browser(rows: list[RowDiff]) -> Markup:
    controls = tag(
        "div",
        tag(
            "input",
            type="search",
            id="diff-search",
            placeholder="Search texts, ids, reasons",
            aria_label="Search rows",
            autocomplete="off",
            spellcheck="false",
        ),
        tag("div", id="diff-filters", class_="filters", role="group", aria_label="Filter by kind of edit"),
        class_="controls",
    )
    browser = tag(
        "div",
        tag(
            "div",
            tag("p", id="diff-count", class_="count", aria_live="polite"),
            tag("ol", id="sample-list", role="listbox", tabindex="0", aria_label="Rows"),
            class_="list-box",
        ),
        tag("article", id="sample-view", aria_label="Row"),
        class_="browser",
    )
    keys = tag("p", *((tag("kbd", key), f" {what} ") for key, what in KEYS), class_="keys")
    silent = tag(
        "noscript", tag("p", "The browser of rows needs the script inside this page.", class_="absent")
    )
    return Markup(controls + browser + keys + silent + json_script("diff-data", [payload(r) for r in rows]))


def payload(row: RowDiff) -> dict[str, Any]:
    """One row as the page's script reads it (assets/diff.js)."""
    before, after = row.before or {}, row.after or {}
    present = after or before
    return {
        "id": row.row_id,
        "target": row.target,
        "op": row.op,
        "edit": {"add": "added", "remove": "removed"}.get(row.op, row.edit),
        "decision": [before.get("decision"), after.get("decision")],
        "reason": present.get("reason") or "",
        "answers": list(row.answers),
        "nll": list(row.nll),
        "prompt": [
            [str(m.get("role")), clip(_shown(m.get("content")))] for m in present.get("messages") or [] if m
        ],
        "diff": segments(clip(str(before.get("completion") or "")), clip(str(after.get("completion") or ""))),
        "columns": [
            [name, clip(_shown(before.get(name))), clip(_shown(after.get(name)))]
            for name in row.columns
            if name not in _SHOWN_APART and not (name == "demonstration" and _expert(row))
        ],
    }


def _expert(row: RowDiff) -> bool:
    """Whether both sides are demonstrations, so that the two columns tell the same story."""
    return all(
        side is not None and side["demonstration"] == side["completion"] for side in (row.before, row.after)
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else value if isinstance(value, str) else str(value)
