"""The run folders in which the shown versions, agents, models and evaluations were made: time and command.

A run belongs to the page if its result names one of the versions or one of the paths that the page was
made from; whatever else happened in the same store does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from recast.curate import yaml_file
from recast.pipelines.report.data import Stage
from recast.pipelines.run.arguments import command_line
from recast.pipelines.run.runs import RESOLVED, RESULT
from recast.pipelines.verbs import VERBS


def stages(store: Path, refs: Iterable[str], outputs: Iterable[str | Path]) -> tuple[Stage, ...]:
    """Finished runs that made one of `refs` or `outputs`, in the order in which they finished."""
    known_refs = set(refs)
    known_paths = {Path(path).resolve() for path in outputs}
    made: dict[str, tuple[float, Stage]] = {}  # by what was made: a run done again replaces the earlier one
    for file in store.glob(f"runs/*/{RESULT}"):
        try:
            run = json.loads(file.read_text(encoding="utf-8"))
            verb, result, seconds = run["verb"], run["result"], float(run["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not a finished run of this project
        out = Path(result["out"]).resolve() if result.get("out") else None
        if result.get("version") not in known_refs and out not in known_paths:
            continue
        finished, args = file.stat().st_mtime, _arguments(file.parent / RESOLVED)
        key = str(result.get("version") or out)
        name = f"{verb} {result.get('version') or (out.name if out else '')}".strip()
        if key not in made or made[key][0] < finished:
            said = command_line(verb, args) if verb in VERBS else f"recast {verb}"
            made[key] = finished, Stage(name, seconds, said)
    return tuple(stage for _, stage in sorted(made.values(), key=lambda pair: pair[0]))


def _arguments(resolved: Path) -> dict[str, Any]:
    try:
        asked = yaml_file.load(resolved.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    if not isinstance(asked, dict):
        return {}
    # `args` are those of the identity, without what is known by its content: the name of a version, a model
    return dict(asked.get("given") or asked.get("args") or {})
