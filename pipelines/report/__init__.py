"""One self-contained HTML page that shows what a run changed, and the records it is drawn from.

data = collect(".recast", ["gsm8k@v1", "gsm8k-rewrites@v1"], learn_dir="runs/learn", evals={...})
build(data, Path("report.html"))
"""

from __future__ import annotations

from recast.pipelines.report.data import ReportData
from recast.pipelines.report.page import build
from recast.pipelines.report.sources.collect import collect

__all__ = ["ReportData", "build", "collect"]
