"""`recast diff --html`: one self-contained page on which a person reads what changed, row by row.

    write(diff(store, "craft", "craft-rewrites"), Path("diff.html"))

Shares the look, the safety and the theme switch of the report's page. Nothing is fetched; row text reaches
the page as text only. Where the second side is a version, rows can be decided about with the keys of `recast
review`; the page saves a file that `recast review --commit --decisions` reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recast.curate.files import write_text
from recast.curate.history.diff import Diff
from recast.curate.history.reviews import REASONS, seen_of
from recast.curate.history.row_diff import READ, RowDiff, Summary, touching
from recast.pipelines.report.browser import browser
from recast.pipelines.report.document import document
from recast.pipelines.report.markup import Markup, json_script, tag
from recast.pipelines.report.samples import MAX_CHARS, clip, segments

MAX_ROWS = 2000  # rows of one page; `--where` chooses others
STYLES = ("base.css", "browser.css", "diff.css")
SCRIPTS = ("browser.js", "decide.js", "diff.js")
_SHOWN_APART = ("completion", "decision", "reason", "messages", "nll_completion", "source")


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
    return document(
        title,
        _body(found, rows, title, " ".join(chosen)),
        sections=[("samples", "Row by row")],
        styles=STYLES,
        scripts=SCRIPTS,
    )


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
    differing = browser([payload(row) for row in rows], "row", "kind of edit") if rows else None
    version = {"version": found.b.ref, "version_id": found.b.id, "reasons": list(REASONS.items())}
    row_by_row = tag(
        "section",
        tag("header", tag("h2", "Row by row"), tag("p", said + ".")),
        json_script("review-data", version) if found.b.id else None,
        differing or tag("p", "Nothing differs.", class_="absent"),
        id="samples",
    )
    return [hero, row_by_row]


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


def payload(row: RowDiff) -> dict[str, Any]:
    """One row as the page's script reads it (assets/diff.js)."""
    before, after = row.before or {}, row.after or {}
    present = after or before
    return {
        "id": row.row_id,
        "target": row.target,
        "op": row.op,
        "seen": seen_of(after["completion"]) if after else None,
        "clipped": len(str(after.get("completion") or "")) > MAX_CHARS,
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
