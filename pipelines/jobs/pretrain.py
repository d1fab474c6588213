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
) -> dict[str, Any]:
    """Build the tokenizer, pretrain the backbone on the pocket world and write its manifest. Hours on two cores."""
    from pipelines.demo import backbone

    settings = config.section("pretrain")
    raise NotImplementedError(
        f"pretraining of {backbone.POCKET} to {out} from {work}, {text} with {settings}"
    )
