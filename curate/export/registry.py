"""The formats by name."""

from __future__ import annotations

from recast.curate.errors import UsageError
from recast.curate.export.formats import Format, Objective, Shape
from recast.curate.export.trainers import (
    axolotl,
    hub,
    llamafactory,
    mlx,
    nemo,
    open_instruct,
    openai,
    openrlhf,
    plain,
    prime,
    torchtune,
    trl,
    verl,
)

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        plain.JSONL,
        plain.PARQUET,
        plain.MESSAGES,
        plain.PAIRS,
        plain.STRINGS,
        trl.TRL,
        verl.VERL,
        openrlhf.OPENRLHF,
        axolotl.AXOLOTL,
        llamafactory.LLAMAFACTORY,
        open_instruct.OPEN_INSTRUCT,
        mlx.MLX,
        torchtune.TORCHTUNE,
        nemo.NEMO_RL,
        nemo.NEMO_AUTOMODEL,
        prime.PRIME_RL,
        trl.UNSLOTH,
        prime.VERIFIERS,
        openai.OPENAI,
        hub.HF,
    )
}


def find(name: str, objective: Objective | None = None) -> tuple[Format, Objective, Shape]:
    """The format of that name, and what it writes for an objective (None: its first). Raises UsageError."""
    if name not in FORMATS:
        raise UsageError(f"unknown export format {name!r}; known are {', '.join(FORMATS)}.")
    found = FORMATS[name]
    wanted = objective or found.objective
    if wanted not in found.shapes:
        can = ", ".join(other for other, each in FORMATS.items() if wanted in each.shapes)
        raise UsageError(
            f"{name} has no files for {wanted}; it has {', '.join(found.shapes)}. Of {wanted} there are {can}."
        )
    return found, wanted, found.shapes[wanted]
