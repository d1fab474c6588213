"""`recast grader run`: what one answer is worth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, cast

from recast.curate.errors import UsageError
from recast.pipelines.options import GraderFile, GraderOptions, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config


def job(
    file: GraderFile,
    *,
    item: Annotated[
        str,
        option("--item", help="The row as JSON: what templates call `item`.", metavar="JSON"),
    ] = "{}",
    sample: Annotated[
        str, option("--sample", help="What the model wrote.", metavar="TEXT", show_default=False)
    ],
    options: GraderOptions,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Grade one answer. The result is the published response to a run: reward, sub-rewards, named error flags.

    `scored` is ours: false where the reward of 0 says nothing of the answer, since the judge was silent, the row lacks
    a column, or the gate could not decide.
    """
    from recast.pipelines.wiring.graders import open_grader

    try:
        row: Any = json.loads(item)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f'--item is no JSON: {error}. Expected an object such as \'{{"answer": "4"}}\'.'
        ) from error
    if not isinstance(row, dict):
        raise UsageError(
            f'--item is a {type(row).__name__}; expected an object such as \'{{"answer": "4"}}\'.'
        )
    grader = open_grader(file, options, config, store=store)
    return grader.grade(cast("dict[str, Any]", row), sample).to_json()


def show(result: dict[str, Any], console: Any) -> None:
    parts = ", ".join(f"{key} {reward:g}" for key, reward in result["sub_rewards"].items())
    worth = f"{result['reward']:g}" if result["scored"] else "no score"
    console.print(f"{result['metadata']['name']}: {worth}{f' ({parts})' if parts else ''}", markup=False)
    for flag, value in result["metadata"]["errors"].items():
        if value:
            console.print(f"  {flag}{'' if value is True else f': {value}'}", markup=False, soft_wrap=True)
    for key, value in result["metadata"]["scores"].items():
        console.print(f"  {key}: {value}", markup=False, soft_wrap=True)
