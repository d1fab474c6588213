"""One self-contained HTML file: sections, styles and script inside, nothing fetched, nothing trusted.

Two walls keep row text inert: every text is escaped by `markup`, and a content security policy allows
only the style and the script whose hashes stand in it, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path

from recast.curate.files import whole
from recast.pipelines.report import gates, headline, results, rows, running
from recast.pipelines.report.data import ReportData
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.sections import Section

SCRIPTS = ("page.js", "samples.js")
STYLES = ("base.css", "charts.css", "samples.css")
SECTIONS = (
    results.outcome,
    rows.fates,
    running.learning,
    gates.gates,
    rows.likelihood,
    results.forgetting,
    rows.samples,
    running.provenance,
)


def _assets(names: tuple[str, ...]) -> str:
    folder = resources.files("recast.pipelines.report") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def styles() -> str:
    """What drawings and text look like."""
    return _assets(STYLES)


def _hash(body: str) -> str:
    return base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()


def _section(section: Section) -> Markup:
    if section.body is None:
        given = [", given as ", tag("code", section.hint), ","] if section.hint else []
        left_out = [tag("b", section.title), " is left out: no data. ", tag("code", section.fill), *given]
        return tag("p", *left_out, " would fill it.", class_="absent", id=section.id)
    return tag(
        "section",
        tag("header", tag("h2", section.title), tag("p", section.lead) if section.lead else None),
        section.body,
        id=section.id,
    )


def render(data: ReportData) -> str:
    """The whole page. The same data give the same bytes."""
    style, script = styles(), _assets(SCRIPTS)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    sections = [make(data) for make in SECTIONS]
    first, rest = sections[0], sections[1:]
    sentence = headline.sentence(data)
    nav = tag(
        "nav",
        tag("a", "recast", href="#top", class_="brand"),
        tag(
            "div", *(tag("a", s.nav, href=f"#{s.id}") for s in sections if s.body is not None), class_="links"
        ),
        tag(
            "button",
            tag("span", "◐", aria_hidden="true"),
            type="button",
            id="theme",
            aria_label="Light or dark",
            title="Light or dark",
        ),
        aria_label="Sections",
    )
    hero = tag(
        "header",
        tag("p", data.subtitle, class_="eyebrow") if data.subtitle else None,
        tag("h1", data.title, class_="quiet" if sentence else None),
        sentence,
        [tag("p", warning, class_="warning", role="note") for warning in data.warnings],
        headline.key_figures(data),
        class_="hero",
        id="top",
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#top", class_="skip"),
        nav,
        tag("main", hero, _section(first), *(_section(s) for s in rest)),
        tag(
            "footer",
            tag(
                "p",
                "Made by recast",
                f" on {data.created_at}" if data.created_at else "",
                ". This file loads nothing from anywhere.",
            ),
        ),
        tag("div", id="tip", role="status", hidden=True),
        Markup(f"<script>{script}</script>"),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", data.title),
        Markup(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def build(run: ReportData, out: Path) -> Path:
    """Writes the report of `run` to `out` (a file, or a folder that gets `report.html`); returns the file."""
    out = Path(out)
    if out.is_dir():
        out = out / "report.html"
    page = render(run)
    with whole(out) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
    return out
