"""`recast pretrain`: the pocket backbone from nothing."""

from __future__ import annotations

import json
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
    import torch

    from pipelines.demo import backbone
    from pipelines.demo.corpus import vocabulary
    from pipelines.demo.realtext import real_rows
    from pipelines.runs import write_whole
    from train.pretrain import pretrain

    settings = config.section("pretrain")
    work = work or out.with_name(out.name + ".work")
    rows = list(real_rows(text)) if text else []
    words = vocabulary(rows)
    tokenizer = backbone.build_tokenizer(rows, words, settings.seed)
    model = backbone.build_model(tokenizer, backbone.SHAPE, settings.seed)
    pretrain(
        model.to("cuda" if torch.cuda.is_available() else "cpu"),
        lambda seed: backbone.documents(tokenizer, rows, words, seed),
        settings,
        work,
        pad=tokenizer.pad_token_id,
        progress=progress,
    )
    backbone.save(model, tokenizer, out)
    manifest = backbone.manifest(out, work, settings, settings.seed, text)
    write_whole(out / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return {"out": str(out), **manifest}


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
