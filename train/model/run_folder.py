"""The folder of a training run: whose it is while it is unfinished, and that it is finished.

job.json        the run that has begun here
manifest.json   its result; written last
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recast.curate.errors import UsageError
from recast.curate.files import write_json

JOB, MANIFEST = "job.json", "manifest.json"


def begin(out: Path, run: str) -> dict[str, Any] | None:
    """Make `out` the folder of `run`, or go on in it; the result where it is finished.

    Raises UsageError where it is another run's.
    """
    for name, state in ((MANIFEST, "finished"), (JOB, "unfinished")):
        if (out / name).exists():
            known = json.loads((out / name).read_text(encoding="utf-8"))
            if known.get("fingerprint") != run:
                raise UsageError(
                    f"{out} holds the {state} run {known.get('fingerprint')} of other data, model or config; this one "
                    f"is {run}. Choose another output folder, or remove that one."
                )
            return known if name == MANIFEST else None
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / JOB, {"fingerprint": run})
    return None
