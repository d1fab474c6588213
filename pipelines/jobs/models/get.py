"""`recast models get`: a model from outside as a folder that every verb reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Names, argument, option

if TYPE_CHECKING:
    from recast.pipelines.terminal.progress import Progress

Source = Annotated[str, argument("`smollm2`, a GGUF file, or an id of the model hub.", metavar="SOURCE")]
Out = Annotated[
    Path | None,
    option(
        "--out",
        "-o",
        help="Folder for the model. Default: where `--model NAME` finds it.",
        show_default=False,
    ),
    Names.OUTPUT,
]


def job(source: Source, *, out: Out = None, progress: Progress | None = None) -> dict[str, Any]:
    """Fetch a model and save it as a folder: safetensors, tokenizer, chat template, end of turn, manifest.

    What is fetched is hashed and compared with what was tried; a GGUF file is dequantised to bfloat16. `smollm2` is
    SmolLM2-135M-Instruct (Apache-2.0, 270 MB): afterwards `--model smollm2` works as `--model pocket` does.
    """
    from recast.pipelines.models.fetch import get

    return get(source, out, progress)


def show(result: dict[str, Any], console: Any) -> None:
    here = "is here already" if result["found"] else "fetched"
    console.print(f"{result['name']} {here}: {result['out']}", markup=False)
    for name in ("source", "licence", "architecture", "parameters", "vocabulary", "end_of_turn"):
        if result.get(name) is not None:
            shown = f"{result[name]:,}" if isinstance(result[name], int) else result[name]
            console.print(f"  {name.replace('_', ' '):<13} {shown}", markup=False)
