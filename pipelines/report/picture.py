"""A drawing of the report as a file of its own: SVG with its style inside, for a README or a slide."""

from __future__ import annotations

from collections.abc import Sequence

from recast.curate.errors import UsageError
from recast.pipelines.report.charts import plane
from recast.pipelines.report.data import Arm
from recast.pipelines.report.markup import Markup
from recast.pipelines.report.page import styles


def gain_and_forgetting(arms: Sequence[Arm]) -> str:
    """The plane of downstream accuracy against forgetting as SVG. Raises UsageError for fewer than two such arms."""
    drawing = plane.chart(arms)
    if drawing is None:
        raise UsageError(
            "the picture shows gain against forgetting: it needs two evaluations with a target suite and a "
            "general one. Name the target with --target."
        )
    return standalone(drawing)


def standalone(drawing: Markup) -> str:
    """`drawing`, an svg element of the page, as a whole file. The same drawing gives the same bytes."""
    opening, _, rest = drawing.partition(">")
    return f'{opening} xmlns="http://www.w3.org/2000/svg"><style><![CDATA[{styles()}]]></style>{rest}\n'
