"""The sections of the page. Each returns its body, or None when its data are absent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.report import arms, bars, curves, flow, plane, ridges
from pipelines.report.data import ReportData
from pipelines.report.markup import Markup, tag
from pipelines.report.samples import payload
from pipelines.report.markup import json_script
from pipelines.report.scales import duration, fixed, share, thousands, words


@dataclass(frozen=True, slots=True)
class Section:
    """`body` is None when there is nothing to show; `fill` then names the command that changes that."""

    id: str
    nav: str
    title: str
    body: Markup | None
    fill: str
    lead: str = ""


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


def outcome(data: ReportData) -> Section:
    body = None
    if data.arms:
        drawing = plane.chart(data.arms)
        note = (
            "Downstream: accuracy on held-out questions of the task. General: mean accuracy over the suites the "
            "base could already do. Forgetting: general of the base minus general of the arm. Gold "
            "log-likelihood: of the reference answers on the general suites, a measure that extracts no answer. "
            "Start loss: training loss before the first update."
        )
        seeds = {arm.num_seeds for arm in data.arms if arm.role != "base"}
        if len(seeds) == 1 and max(seeds) > 1:
            note += f" Means over {max(seeds)} seeds with 95 % intervals."
        body = Markup("").join(
            [
                arms.key_figures(data) or Markup(""),
                tag(
                    "div",
                    tag("div", drawing, class_="plane-box") if drawing else None,
                    tag("div", scroll(arms.table(data)), tag("p", note, class_="caption"), class_="table-box"),
                    class_="outcome" if drawing else "outcome single",
                ),
            ]
        )
    return Section("outcome", "Outcome", "Gain against forgetting", Markup(body) if body else None,
                   "recast eval and recast compare")


def forgetting(data: ReportData) -> Section:
    drawing = bars.chart(data.arms)
    body = None
    if drawing:
        look = arms.styles(data.arms)
        rows = bars.losses(data.arms)
        shown = [a for a in data.arms if any(a.key in lost for _, _, lost in rows)]
        key = tag(
            "ul", *(tag("li", arms.swatch(look[a.key]), a.label) for a in shown), class_="legend"
        )
        cells = [
            [words(suite), fixed(base), *(fixed(lost.get(a.key), 1, sign=True) for a in shown)]
            for suite, base, lost in rows
        ]
        body = Markup(key + scroll(drawing) + numbers(["suite", "base", *(a.label for a in shown)], cells))
    return Section("forgetting", "Forgetting", "What each suite lost", body, "recast eval with the general suites",
                   "Accuracy of the base minus accuracy after SFT, suite by suite.")


def fates(data: ReportData) -> Section:
    drawing = flow.chart(data.fates)
    body = None
    if drawing:
        total = sum(f.rows for f in data.fates)
        counts = Counter[tuple[str, str]]()
        for fate in data.fates:
            counts[fate.decision, fate.reason] += fate.rows
        cells = [
            [words(decision), words(reason) or "–", thousands(n), share(n, total)]  # noqa: RUF001
            for (decision, reason), n in counts.most_common()
        ]
        body = Markup(scroll(drawing) + _gate(data) + numbers(["decision", "reason", "rows", "share"], cells))
    return Section("fates", "Row fates", "What became of every row", body, "recast rewrite",
                   "A rewrite replaces the expert’s text only when every check of the gate passes. Otherwise it is "
                   "repaired or the expert’s text stays, with the reason.")


def _gate(data: ReportData) -> Markup:
    if not data.gate_counts:
        return Markup("")
    lines = []
    for count in data.gate_counts:
        total = count.passed + count.failed + count.undecided
        if not total:
            continue
        parts, x = [], 0.0
        for css, n in (("pass", count.passed), ("undecided", count.undecided), ("fail", count.failed)):
            wide = 100 * n / total
            if n:
                tip = f"{words(count.check)}\n{words(css)}: {thousands(n)} of {thousands(total)} candidates"
                parts.append(tag("rect", x=x, y=0, width=max(wide - 0.3, 0.3), height=6, class_=f"check-{css}", data_tip=tip))
            x += wide
        lines.append(
            tag(
                "div",
                tag("span", words(count.check), class_="check-name"),
                tag("svg", *parts, viewBox="0 0 100 6", preserveAspectRatio="none", class_="meter", role="img",
                    aria_label=f"{share(count.passed, total)} passed"),
                tag("span", tag("b", share(count.passed, total)), f" of {thousands(total)}", class_="check-share"),
                class_="check-line",
            )
        )
    return tag("div", tag("h3", "Checks of the gate, over all candidates"), *lines, class_="gate")


def learning(data: ReportData) -> Section:
    panels = [p for curve in data.curves if (p := curves.panel(curve))]
    body = None
    if panels:
        held = [c for c in data.curves if c.heldout]
        cells = [
            [c.title, fixed(step, 0), fixed(value, 3)] for c in held for step, value in c.heldout
        ]
        legend = tag(
            "ul",
            tag("li", tag("span", class_="line-key raw-key"), "a training step"),
            tag("li", tag("span", class_="line-key smooth-key"), f"moving mean over {curves.WINDOW} steps"),
            tag("li", tag("span", class_="line-key held-key"), "held-out rows") if held else None,
            class_="legend",
        )
        body = Markup(
            legend
            + tag("div", *panels, class_="panels")
            + (numbers(["measure", "step", "held out"], cells) if cells else "")
        )
    return Section("learning", "Learning", "How the agent learned", body, "recast learn",
                   "GRPO on a LoRA over the frozen backbone. A candidate that fails the gate gets no reward.")


def likelihood(data: ReportData) -> Section:
    drawing = ridges.chart(data.likelihoods)
    body = None
    lead = "Mean negative log-likelihood a token under the frozen backbone and its chat template, one value a row."
    if drawing:
        closed = ridges.gap_closed(data.likelihoods)
        if closed is not None:
            lead += (
                f" The rewrites close {closed * 100:.0f} % of the gap between the median demonstration and the "
                "median of the backbone’s own samples."
            )
        cells = []
        for group in data.likelihoods:
            values = ridges.clean(group)
            if values:
                quantiles = np.percentile(values, [10, 50, 90])
                cells.append([group.label, thousands(len(values)), fixed(float(np.mean(values)), 3),
                              *(fixed(float(q), 3) for q in quantiles)])
        body = Markup(scroll(drawing) + numbers(["text", "rows", "mean", "10 %", "median", "90 %"], cells))
    return Section("likelihood", "Likelihood", "How improbable each text is to the backbone", body,
                   "recast rewrite (scores are stored with the version)", lead)


def samples(data: ReportData) -> Section:
    body = None
    lead = ""
    if data.samples:
        total = data.rows_in_all or len(data.samples)
        lead = (
            f"{thousands(len(data.samples))} of {thousands(total)} rows. The expert’s words that went are struck "
            "through, the agent’s words that came are underlined."
        )
        keys = tag(
            "p",
            *(
                (tag("kbd", key), f" {what} ")
                for key, what in (("j", "next"), ("k", "previous"), ("/", "search"), ("s", "side by side or inline"))
            ),
            class_="keys",
        )
        controls = tag(
            "div",
            tag("input", type="search", id="sample-search", placeholder="Search prompts, texts, ids, reasons",
                aria_label="Search samples", autocomplete="off", spellcheck="false"),
            tag("div", id="sample-filters", class_="filters", role="group", aria_label="Filter by decision"),
            tag("select", tag("option", "stored order", value="order"),
                tag("option", "largest NLL gain", value="gain"),
                tag("option", "largest rewrite", value="distance"), id="sample-sort", aria_label="Sort samples"),
            class_="controls",
        )
        browser = tag(
            "div",
            tag("div", tag("p", id="sample-count", class_="count", aria_live="polite"),
                tag("ol", id="sample-list", role="listbox", tabindex="0", aria_label="Samples"), class_="list-box"),
            tag("article", id="sample-view", aria_live="polite", aria_label="Sample"),
            class_="browser",
        )
        silent = tag("noscript", tag("p", "The browser of samples needs the script inside this page.", class_="absent"))
        body = Markup(controls + browser + keys + silent + json_script("samples-data", payload(data.samples)))
    return Section("samples", "Samples", "Row by row", body, "recast rewrite", lead)


def provenance(data: ReportData) -> Section:
    parts: list[Markup] = []
    if data.versions:
        rows = [
            tag(
                "tr",
                tag("th", v.ref, scope="row"),
                tag("td", tag("code", v.id[:16], title=v.id)),
                tag("td", thousands(v.rows), class_="num"),
                tag("td", v.changes or "–", class_="num"),  # noqa: RUF001
                tag("td", v.parent or "–"),  # noqa: RUF001
                tag("td", v.created_at),
                tag("td", v.message, class_="message"),
            )
            for v in data.versions
        ]
        heads = ("version", "id", "rows", "changes", "parent", "created", "message")
        parts.append(
            scroll(tag("table", tag("thead", tag("tr", *(tag("th", h, scope="col") for h in heads))),
                       tag("tbody", *rows), class_="ledger"))
        )
    if data.facts:
        parts.append(
            tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in data.facts), class_="facts")
        )
    if data.stages:
        longest = max(stage.seconds for stage in data.stages) or 1.0
        total = sum(stage.seconds for stage in data.stages)
        rows = [
            tag(
                "tr",
                tag("th", stage.name, scope="row"),
                tag("td", duration(stage.seconds), class_="num"),
                tag("td", tag("svg", tag("rect", x=0, y=0, height=4, width=max(100 * stage.seconds / longest, 0.6), rx=0.6),
                              viewBox="0 0 100 4", preserveAspectRatio="none", class_="meter stage", aria_hidden="true")),
                tag("td", tag("code", stage.command) if stage.command else None, class_="message"),
            )
            for stage in data.stages
        ]
        rows.append(tag("tr", tag("th", "in all", scope="row"), tag("td", duration(total), class_="num"), tag("td"), tag("td"),
                        class_="total"))
        heads = ("stage", "time", "", "command")
        parts.append(
            scroll(tag("table", tag("thead", tag("tr", *(tag("th", h, scope="col") for h in heads))),
                       tag("tbody", *rows), class_="ledger stages"))
        )
    return Section("provenance", "Provenance", "Where this came from",
                   Markup("".join(parts)) if parts else None, "recast run, whose run folders record it")


def all_sections(data: ReportData) -> list[Section]:
    """In reading order."""
    return [make(data) for make in (outcome, fates, learning, likelihood, forgetting, samples, provenance)]
