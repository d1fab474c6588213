"""`recast demo`: the whole idea on the backbone that ships with recast, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import Names, option


def job(
    *,
    seeds: Annotated[int, option("--seeds", help="Repeat over this many seeds; means and intervals.", min=1)] = 1,
    rows: Annotated[
        int | None, option("--rows", help="Demonstrations to draw.", min=16, show_default=False)
    ] = None,
    out: Annotated[
        Path, option("--out", "-o", help="Folder for everything the demo makes."), Names.OUTPUT
    ] = Path("demo"),
    jobs: Annotated[
        int | None, option("--jobs", "-j", help="Stages at a time. Default: 2 where there are 2 cores.", min=1)
    ] = None,
    reporter: Any = None,
) -> dict[str, Any]:
    """Demonstrations in a foreign style, an agent that learns to rewrite them, SFT on both, and what is forgotten."""
    from pipelines.demo import demo

    kwargs: dict[str, Any] = {} if rows is None else {"rows": rows}
    return demo.run(out=out, seeds=seeds, jobs=jobs, reporter=reporter, **kwargs)
