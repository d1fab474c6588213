"""`recast report`: one self-contained HTML page about versions, agents and models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Names, argument, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store


def job(
    versions: Annotated[
        list[str] | None,
        argument("Versions, oldest first; the rows shown are those of the last.", metavar="[VERSION]..."),
        Names.VERSION,
    ] = None,
    *,
    out: Annotated[Path, option("--out", "-o", help="The page."), Names.OUTPUT] = Path("report.html"),
    learned: Annotated[
        Path | None,
        option(
            "--learned",
            help="Folder of an agent, or of a model of `recast rl`.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    evals: Annotated[
        list[str] | None,
        option(
            "--eval", help="An evaluation; the first is the base.", metavar="NAME=FILE", show_default=False
        ),
        Names.NAMED_FILE,
    ] = None,
    sfts: Annotated[
        list[str] | None,
        option(
            "--sft",
            help="A tuned model: its start loss, and what its objective trusted.",
            metavar="NAME=DIR",
            show_default=False,
        ),
    ] = None,
    trained: Annotated[
        list[str] | None,
        option(
            "--trained",
            help="A model that pretrain, sft, reject, reward-model or rl made: a section with its curves.",
            metavar="NAME=DIR",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        option("--target", help="Suite or task that the tuning was for.", show_default=False),
    ] = None,
    title: Annotated[str | None, option("--title", help="Title of the page.", show_default=False)] = None,
    store: Store,
) -> dict[str, Any]:
    """Draw one page: row fates, learning curves, likelihoods, gain against forgetting, sample diffs.

    The page needs no network and no other file. What is not given is left out, and the page says which
    command would fill it.
    """
    from recast.pipelines.report import build
    from recast.pipelines.report.sources.collect import collect

    if not (versions or learned or evals or sfts or trained):
        raise UsageError(
            "nothing to report on: name a version, --learned DIR, --eval NAME=FILE, --sft NAME=DIR or "
            "--trained NAME=DIR."
        )
    data = collect(
        store.root,
        versions or (),
        learn_dir=learned,
        evals=pairs(evals, "--eval"),
        target=target or (),
        sfts=pairs(sfts, "--sft"),
        trained=each_once(trained),
        title=title,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    return {"out": str(build(data, out)), "versions": list(versions or ())}


def pairs(given: list[str] | None, option: str) -> dict[str, Any]:
    """`["base=a.jsonl"]` as a dict; a name that occurs again collects its values (several seeds)."""
    found: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"{option} takes NAME=PATH, for instance {option} base=runs/base; found {text!r}."
            )
        found[name] = [*found[name], value] if name in found else [value]
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def each_once(given: list[str] | None) -> dict[str, str]:
    """`["sft=models/mine"]` as a dict. Raises UsageError for a name that occurs twice."""
    found = pairs(given, "--trained")
    if twice := next((name for name, value in found.items() if isinstance(value, list)), None):
        raise UsageError(
            f"two models are called {twice!r} by --trained; a section each has a name of its own."
        )
    return found


def show(result: dict[str, Any], console: Any) -> None:
    console.print(result["out"], markup=False)
