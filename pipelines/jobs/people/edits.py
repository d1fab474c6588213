"""`recast edits`: what rewriting, or people, changed in a version, by kind of edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Limit, Names, VersionRef, Workers, option
from recast.pipelines.terminal.text import counted, line, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.terminal.progress import Progress

FEW_ROWS = 2000  # from which on processes of their own pay
EXAMPLES, OF_ONE = 2, 20
SHOWN_CHARS = 110


def job(
    name: VersionRef,
    *,
    against: Annotated[
        str | None,
        option(
            "--against",
            help="Texts before: those of another version. Default: the demonstrations.",
            metavar="VERSION",
            show_default=False,
        ),
        Names.VERSION,
    ] = None,
    only: Annotated[
        list[str] | None,
        option("--only", help="Only this edit, with more examples; repeat for more.", show_default=False),
    ] = None,
    least: Annotated[
        int, option("--least", help="Leave out edits of a few words that occur less often.", min=1)
    ] = 2,
    limit: Limit = None,
    workers: Workers = None,
    store: Store,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Cluster what the texts of VERSION changed of those that they were made of.

    Each edit has a name: `adds_opening`, `drops_units`, `merges_steps`, `repeats_question`, ... or its own words.
    Beside it stand how many rows and candidates have it, how many of these the gate accepted, and how much likelier
    the backbone finds them. A name can be banned or wanted in a gate file: `{type: edits, banned: [adds_opening]}`; of
    a version that was made under such a gate it is said what became of them since the version before.
    """
    from recast.curate.history.edits import became, mine
    from recast.curate.language.edits.names import NAMES, is_name
    from recast.curate.parallel import default_workers

    if unknown := [edit for edit in only or () if not is_name(edit)]:
        raise UsageError(
            f"--only: no edit is called {unknown[0]!r}. There are {', '.join(NAMES)}, and edits named by their words."
        )
    rows = store.resolve(name).rows
    processes = 1 if min(rows, limit or rows) < FEW_ROWS else workers or default_workers()
    found = mine(
        store,
        name,
        against=against,
        examples=OF_ONE if only else EXAMPLES,
        limit=limit,
        workers=processes,
        progress=progress,
    )
    result = found.to_json(1 if only else least)
    result["ruled"] = [] if against else became(store, found, limit=limit, workers=processes)
    if only:
        result["clusters"] = [cluster for cluster in result["clusters"] if cluster["name"] in only]
    return result


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from recast.pipelines.terminal.text import unwrapped

    head = (
        f"{result['version']} against {result['against']}: {result['changed']:,} of "
        f"{counted(result['rows'], 'row')} read otherwise"
    )
    if result["candidates"]:
        sampled = f"{counted(result['candidates'], 'candidate')} that differ"
        head += f"; {result['acceptance']:.0%} of {sampled} were accepted"
    console.print(Text(head, "bold"))
    for ruled in result["ruled"]:
        console.print(Text(f"  {_ruled(ruled)}"))
    if not result["clusters"]:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    sampled, scored = bool(result["candidates"]), result["gain"] is not None
    for title, is_shown, right in (
        ("edit", True, False),
        ("rows", True, True),
        ("share", True, True),
        ("candidates", sampled, True),
        ("accepted", sampled, True),
        ("without it", sampled, True),
        ("gain", scored, True),
        ("without it", scored, True),
        ("what it is", True, False),
    ):
        if is_shown:
            table.add_column(title, justify="right" if right else "left")
    for cluster in result["clusters"]:
        cells = [
            Text(visible(cluster["name"], 60)),
            f"{cluster['rows']:,}",
            _share(cluster["share"]),
            *([f"{cluster['candidates']:,}", _share(cluster["acceptance"])] if sampled else []),
            *([_share(cluster["acceptance_without"])] if sampled else []),
            *([_nats(cluster["gain"]), _nats(cluster["gain_without"])] if scored else []),
            cluster["meaning"],
        ]
        table.add_row(*cells)
    unwrapped(console).print(table)
    for cluster in result["clusters"]:
        if cluster["examples"]:
            console.print(Text(f"\n{visible(cluster['name'], 60)}", "bold"))
        for example in cluster["examples"]:
            console.print(Text(f"  {line(example['row_id'], 40)}", "dim"))
            for sign, style, text in (("-", "red", example["before"]), ("+", "green", example["after"])):
                if text:
                    console.print(Text().append(f"    {sign} ", style).append(line(text, SHOWN_CHARS)))
    if result["rare"]:
        console.print(
            Text(f"\n{counted(result['rare'], 'rarer edit')} of a few words; --least 1 shows them", "dim")
        )


def _ruled(told: dict[str, Any]) -> str:
    """What became of an edit that the version's gate bans or wants."""
    before = told["before"]
    was = f"{before['rows']:,} of {before['of']:,} changed rows in {before['version']}, " if before else ""
    said = f"{told['rule']} {visible(told['name'], 60)}: {was}{told['rows']:,} of {told['of']:,} here"
    refused = counted(told["refused"], "refused candidate")
    return f"{said}; {refused} had it" if told["rule"] == "banned" else said


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
