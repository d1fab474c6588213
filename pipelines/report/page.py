"""The report of a run: its sections in one self-contained HTML file (`document`)."""

from __future__ import annotations

from pathlib import Path

from recast.curate.files import whole
from recast.pipelines.report import gates, headline, results, rows, running, trainings
from recast.pipelines.report.data import ReportData
from recast.pipelines.report.document import assets, document
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.sections import Section

SCRIPTS = ("browser.js", "samples.js")
STYLES = ("base.css", "charts.css", "browser.css")
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


def styles() -> str:
    """What drawings and text look like."""
    return assets(STYLES)


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
    first, *rest = [make(data) for make in SECTIONS]
    rest = [*trainings.sections(data), *rest]  # a page without any says nothing of them
    sections = [first, *rest]
    sentence = headline.sentence(data)
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
    return document(
        data.title,
        [hero, _section(first), *(_section(s) for s in rest)],
        sections=[(s.id, s.nav) for s in sections if s.body is not None],
        styles=STYLES,
        scripts=SCRIPTS,
        made=f"Made by recast on {data.created_at}" if data.created_at else "Made by recast",
    )


def build(run: ReportData, out: Path) -> Path:
    """Writes the report of `run` to `out` (a file, or a folder that gets `report.html`); returns the file."""
    out = Path(out)
    if out.is_dir():
        out = out / "report.html"
    page = render(run)
    with whole(out) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))
    return out
