"""The sections on models: gain against forgetting, and what each suite lost."""

from __future__ import annotations

from recast.pipelines.report.charts import arms, bars, plane
from recast.pipelines.report.charts.scales import fixed, words
from recast.pipelines.report.data import ReportData
from recast.pipelines.report.markup import Markup, tag
from recast.pipelines.report.sections import Section, numbers, scroll


def outcome(data: ReportData) -> Section:
    body = None
    if data.arms:
        drawing = plane.chart(data.arms)
        note = (
            "Downstream: accuracy on held-out questions of the task. General: mean accuracy over the suites "
            "the base could already do. Forgetting: general of the base minus general of the arm. Gold "
            "log-likelihood: of the reference answers on the general suites, a measure that extracts nothing. "
            "Start loss: training loss before the first update."
        )
        seeds = {arm.num_seeds for arm in data.arms if arm.role != "base"}
        if max(seeds, default=1) > 1:
            note += " Means over seeds, ± half of the 95 % interval over seeds."
            if len(seeds) == 1:
                note = note.replace("over seeds,", f"over {max(seeds)} seeds,")
        elif any(arm.half_widths for arm in data.arms):
            note += " One run each, ± half of the 95 % interval over questions."
        beside = tag("div", scroll(arms.table(data)), tag("p", note, class_="caption"), class_="table-box")
        left = tag("div", drawing, class_="plane-box") if drawing else None
        body = tag("div", left, beside, class_="outcome" if drawing else "outcome single")
    return Section(
        "outcome",
        "Outcome",
        "Gain against forgetting",
        body,
        "recast eval",
        hint="--eval NAME=FILE --target SUITE",
    )


def forgetting(data: ReportData) -> Section:
    drawing = bars.chart(data.arms)
    body = None
    if drawing:
        look = arms.styles(data.arms)
        rows = bars.losses(data.arms)
        shown = [a for a in data.arms if any(a.key in lost for _, _, lost in rows)]
        key = tag("ul", *(tag("li", arms.swatch(look[a.key]), a.label) for a in shown), class_="legend")
        cells = [
            [words(suite), fixed(base), *(fixed(lost.get(a.key), 1, sign=True) for a in shown)]
            for suite, base, lost in rows
        ]
        body = Markup(key + scroll(drawing) + numbers(["suite", "base", *(a.label for a in shown)], cells))
    return Section(
        "forgetting",
        "Forgetting",
        "What each suite lost",
        body,
        "recast eval",
        hint="--eval NAME=FILE",
        lead="Accuracy of the base minus accuracy after SFT, suite by suite.",
    )
