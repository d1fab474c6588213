"""`recast init`: a config file with every key, its default and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Names, argument, option


def job(
    path: Annotated[Path, argument("File to write.", metavar="[FILE]"), Names.OUTPUT] = Path("config.yaml"),
    *,
    force: Annotated[bool, option("--force", help="Replace the file if it exists.")] = False,
) -> dict[str, Any]:
    """Write a commented config file. Every key is optional: delete what you do not change."""
    from recast.curate.files import write_text
    from recast.pipelines.config import commented

    if path.exists() and not force:
        raise UsageError(f"{path} exists. Choose another name, or --force to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, commented())
    return {"out": str(path)}


def show(result: dict[str, Any], console: Any) -> None:
    console.print(f"{result['out']} written. Use it: recast learn NAME -c {result['out']}", markup=False)
