"""The sections on rows: their fates, how improbable they are to the backbone, and samples to read."""

from __future__ import annotations

from collections import Counter

import numpy as np

from recast.pipelines.report.browser import browser
from recast.pipelines.report.charts import flow, ridges
from recast.pipelines.report.charts.scales import fixed, share, thousands, words
from recast.pipelines.report.data import ReportData
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.samples import payload
from recast.pipelines.report.sections import Section, numbers, scroll

ORDERS = {"order": "mixed", "gain": "largest NLL gain", "distance": "largest rewrite"}


def fates(data: ReportData) -> Section:
    drawing = flow.chart(data.fates)
    body = None
    if drawing:
        total = sum(f.rows for f in data.fates)
        counts = Counter[tuple[str, str]]()
        for fate in data.fates:
            counts[fate.decision, fate.reason] += fate.rows
        cells = [
            [words(decision), words(reason) or "–", thousands(n), share(n, total)]
            for (decision, reason), n in counts.most_common()
        ]
        body = Markup(scroll(drawing) + _gate(data) + numbers(["decision", "reason", "rows", "share"], cells))
    return Section(
        "fates",
        "Row fates",
        "What became of every row",
        body,
        "recast rewrite",
        "A rewrite replaces the expert’s text only when every check of the gate passes. Otherwise it is "
        "repaired or the expert’s text stays, with the reason.",
    )


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
                parts.append(
                    tag(
                        "rect",
                        x=x,
                        y=0,
                        width=max(wide - 0.3, 0.3),
                        height=6,
                        class_=f"check-{css}",
                        data_tip=tip,
                    )
                )
            x += wide
        lines.append(
            tag(
                "div",
                tag("span", words(count.check), class_="check-name"),
                tag(
                    "svg",
                    *parts,
                    viewBox="0 0 100 6",
                    preserveAspectRatio="none",
                    class_="meter",
                    role="img",
                    aria_label=f"{share(count.passed, total)} passed",
                ),
                tag(
                    "span",
                    tag("b", share(count.passed, total)),
                    f" of {thousands(total)}",
                    class_="check-share",
                ),
                class_="check-line",
            )
        )
    return tag("div", tag("h3", "Checks of the gate, over all candidates"), *lines, class_="gate")


def likelihood(data: ReportData) -> Section:
    drawing = ridges.chart(data.likelihoods)
    body = None
    lead = "Mean negative log-likelihood a token under the frozen backbone, in its chat template. One value a row."
    if drawing:
        closed = ridges.gap_closed(data.likelihoods)
        if closed is not None:
            lead += (
                f" The rewrites close {closed * 100:.0f} % of the gap between the median demonstration and "
                "the median of the backbone’s own samples."
            )
        cells = []
        for group in data.likelihoods:
            values = ridges.clean(group)
            if values:
                quantiles = np.percentile(values, [10, 50, 90])
                cells.append(
                    [
                        group.label,
                        thousands(len(values)),
                        fixed(float(np.mean(values)), 3),
                        *(fixed(float(q), 3) for q in quantiles),
                    ]
                )
        body = Markup(scroll(drawing) + numbers(["text", "rows", "mean", "10 %", "median", "90 %"], cells))
    return Section(
        "likelihood",
        "Likelihood",
        "How improbable each text is to the backbone",
        body,
        "recast rewrite",
        lead,
    )


def samples(data: ReportData) -> Section:
    body = None
    lead = ""
    if data.samples:
        total = data.rows_in_all or len(data.samples)
        lead = (
            f"{thousands(len(data.samples))} of {thousands(total)} rows. The expert’s words that went are struck "
            "through, the agent’s words that came are underlined."
        )
        body = browser(payload(data.samples), "sample", "decision", ORDERS)
    return Section("samples", "Samples", "Row by row", body, "recast rewrite", lead)
