"""The run folders in which the shown versions, agents, models and evaluations were made: time and command.

A run belongs to the page if its result names one of the versions or one of the paths that the page was
made from; whatever else happened in the same store does not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recast.curate import yaml_file
from recast.pipelines.report.data import Stage
from recast.pipelines.run.runs import RESOLVED, RESULT, parameters
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
            made[key] = finished, Stage(name, seconds, command(verb, args))
    return tuple(stage for _, stage in sorted(made.values(), key=lambda pair: pair[0]))


def command(verb: str, args: Mapping[str, Any]) -> str:
    """The command line that asks for `verb` with these arguments."""
    if verb not in VERBS:
        return f"recast {verb}"
    positional, options = [], []
    for name, parameter in parameters(VERBS[verb]).items():
        given = args.get(name)
        if given is None or given == parameter.default or given is False:
            continue
        marker = next(
            (m for m in getattr(parameter.annotation, "__metadata__", ()) if hasattr(m, "param_decls")), None
        )
        flags = [d for d in getattr(marker, "param_decls", None) or () if str(d).startswith("--")]
        default = str(getattr(marker, "default", ""))
        flag = flags[0] if flags else default if default.startswith("--") else f"--{name.replace('_', '-')}"
        for value in given if isinstance(given, list) else [given]:
            if type(marker).__name__ == "ArgumentInfo":
                positional.append(str(value))
            else:
                options += [flag] if value is True else [flag, str(value)]
    return shlex.join(["recast", verb, *positional, *options])


def _arguments(resolved: Path) -> dict[str, Any]:
    try:
        asked = yaml_file.load(resolved.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return dict(asked.get("args") or {}) if isinstance(asked, dict) else {}
