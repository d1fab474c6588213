"""`recast grader validate`: is a file a grader, and can it run here?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.pipelines.options import GraderFile, GraderOptions, OutFile

if TYPE_CHECKING:
    from recast.pipelines.config import Config


def job(
    file: GraderFile,
    *,
    out: OutFile = None,
    options: GraderOptions,
    config: Config,
) -> dict[str, Any]:
    """Check every field, template, formula and source of a grader's file; exit code 2 names the path of a mistake.

    Says what each of its graders reads, and what of it this machine lacks. With `out` the grader is written as a
    published one, as OpenAI's and Azure's jobs of reinforcement fine-tuning read it: `exact` and `ranked_list` become
    Python sources that say the same; what has no published form is refused by name.
    """
    from recast.curate.files import write_json
    from recast.pipelines.wiring.graders import models_of
    from recast.train.graders import runners
    from recast.train.graders.format import schema
    from recast.train.graders.format.publish import published

    grader = schema.load(Path(file))
    models = models_of(options, config)
    keys = list(grader.graders) if isinstance(grader, schema.Multi) else [None]
    found = [
        {
            "key": key,
            "name": one.name,
            "type": one.model_dump()["type"],
            "reads": runners.reads(one),
            "lacks": runners.lacks(one, models),
        }
        for key, one in zip(keys, runners.parts(grader), strict=True)
    ]
    if out is not None:
        write_json(Path(out), published(grader))
    return {
        "name": grader.name,
        "type": grader.model_dump()["type"],
        "calculate_output": grader.calculate_output if isinstance(grader, schema.Multi) else None,
        "graders": found,
        "out": str(out) if out is not None else None,
    }


def show(result: dict[str, Any], console: Any) -> None:
    said = f" = {result['calculate_output']}" if result["calculate_output"] else ""
    console.print(f"{result['name']}, {result['type']}{said}", markup=False)
    for one in result["graders"]:
        name = f"{one['key']}: " if one["key"] else ""
        console.print(f"  {name}{one['name']}, {one['type']}; reads {', '.join(one['reads'])}", markup=False)
        if one["lacks"]:
            console.print(f"    cannot run here: {one['lacks']}", markup=False, soft_wrap=True)
    if result["out"]:
        console.print(f"written as a published grader: {result['out']}", markup=False)
