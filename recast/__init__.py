"""recast: expert demonstrations turned into supervision that the model being trained could have written itself.

    import recast

    recast.import_("demos.jsonl", to="craft")
    rows = recast.load("craft", format="prompt_completion")
    recast.gate("math").verify(row, completion).status

The names below are those of `recast.pipelines.api`, fetched when they are first used: `import recast` alone loads
nothing. `help(recast.learn)` explains each, `pipelines/API.md` shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recast.pipelines.api import (
        diff,
        equivalent,
        evaluate,
        final_answer,
        gate,
        grader,
        import_,
        join_states,
        learn,
        load,
        open,
        pin_callback,
        reward,
        rewrite,
        sft,
    )

    __version__: str

__all__ = [
    "diff",
    "equivalent",
    "evaluate",
    "final_answer",
    "gate",
    "grader",
    "import_",
    "join_states",
    "learn",
    "load",
    "open",
    "pin_callback",
    "reward",
    "rewrite",
    "sft",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from recast.pipelines.run.runs import recast_version

        value = recast_version()
    elif name in __all__:
        from recast.pipelines import api

        value = getattr(api, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
