"""One self-contained HTML page that shows what a run changed, and the records it is drawn from."""

from __future__ import annotations

from pipelines.report.data import ReportData
from pipelines.report.page import build

__all__ = ["ReportData", "build"]
