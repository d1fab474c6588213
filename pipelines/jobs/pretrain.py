"""`recast pretrain`: the pocket backbone from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pipelines.jobs.options import Names, option


def job(
    *,
    out: Annotated[
        Path, option("--out", "-o", help="Folder of the model.", show_default=False), Names.OUTPUT
    ],
    work: Annotated[
        Path | None, option("--work", help="Checkpoints and metrics. Default: OUT.work", show_default=False)
    ] = None,
    text: Annotated[
        Path | None,
        option("--text", help="Folder with gsm8k/ and mwp/, to mix in.", metavar="DIR", show_default=False),
    ] = None,
    config: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """Build tokenizer, template and weights of the pocket backbone, measure every task, write the manifest.

    Hours on one core; `torchrun --nproc-per-node 2 -m pipelines.demo.backbone` uses two. Killed, the same
    command goes on from its last checkpoint.
    """
    from pipelines.demo import backbone

    work = work or out.with_name(out.name + ".work")
    return {"out": str(out), **backbone.build(out, work, text, config.section("pretrain"), progress)}


def show(result: dict[str, Any], console: Any) -> None:
    accuracy = result["accuracy"]
    console.print(
        f"{result['out']}: {result['tokens'] / 1e6:.1f} M tokens, loss {result['loss']:.3f}", markup=False
    )
    for task, points in accuracy["tasks"].items():
        console.print(f"  {task:20}{points:6.1f}", markup=False)
    console.print(
        f"  {'general':20}{accuracy['general']:6.1f}\n  {'downstream':20}{accuracy['downstream']:6.1f}"
    )
