"""`recast promote`: a tag for a version that meets stated rules, and exit code 4 for one that does not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import RefusedError, UsageError
from recast.pipelines.options import Names, VersionRef, argument, option
from recast.pipelines.terminal.text import visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config

MARKS = {True: ("met", "green"), False: ("not met", "bold red"), None: ("not asked", "dim")}


def job(
    name: VersionRef,
    tag: Annotated[str, argument("The tag.", metavar="TAG")],
    *,
    require: Annotated[
        Path, option("--require", help="YAML of rules.", metavar="RULES", show_default=False), Names.FILE
    ],
    comparison: Annotated[
        Path | None,
        option(
            "--comparison",
            help="What `recast compare --out` wrote. Default: the evaluations in the store.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    arm: Annotated[
        str | None,
        option("--arm", help="Which of its arms this version made.", metavar="ARM", show_default=False),
    ] = None,
    move: Annotated[bool, option("--move", help="Take the tag from the version that has it.")] = False,
    dry_run: Annotated[bool, option("--dry-run", help="Say what the rules find, and tag nothing.")] = False,
    store: Store,
    config: Config,
) -> dict[str, Any]:
    """Let NAME@TAG name the version, if it meets every rule of RULES; else exit with code 4 and say which it does not.

    Rules ask for rows, acceptance, diversity, the gate's report card, an audit, gain and forgetting of the models that
    the version made, and what people said in review. pipelines/examples/promote.yaml has all of them. A tag that
    `diversity.guarded_tags` holds asks for diversity whether the file does or not.
    """
    from recast.pipelines.wiring.story.promotion import DiversityRule, Rules, findings

    rules = Rules.load(require)
    settings = config.section("diversity")
    if arm is not None and comparison is None:
        raise UsageError("--arm names an arm of --comparison FILE; give both, or leave it out.")
    if comparison is not None and rules.comparison is None:
        raise UsageError(f"--comparison would have no effect: {require} has no rule `comparison`.")
    if tag in settings.guarded_tags and rules.diversity is None:
        rules = rules.model_copy(update={"diversity": DiversityRule(max_loss=settings.max_loss)})
    version = store.resolve(name)
    found = findings(store, version, rules, settings, comparison=comparison, arm=arm)
    met = all(finding.met is not False for finding in found)
    if met and not dry_run:
        store.tag(version.ref, tag, move=move, author=config.general.author)
    return {
        "version": version.ref,
        "version_id": version.id,
        "tag": f"{version.name}@{tag}",
        "met": met,
        "tagged": met and not dry_run,
        "findings": [asdict(finding) for finding in found],
    }


def exit_code(result: dict[str, Any]) -> int:
    return 0 if result["met"] else RefusedError.exit_code


def show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from recast.pipelines.terminal.text import unwrapped

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("", "rule", "found", "required"):
        table.add_column(head)
    for finding in result["findings"]:
        word, style = MARKS[finding["met"]]
        cells = (Text(visible(finding[key])) for key in ("rule", "found", "required"))
        table.add_row(Text(word, style), *cells)
        if finding["next"] and not finding["met"]:
            table.add_row("", "", Text(visible(finding["next"]), "dim"), "")
    unwrapped(console).print(table)
    failed = sum(finding["met"] is False for finding in result["findings"])
    if result["tagged"]:
        said = f"{result['tag']} is {result['version']}"
    elif result["met"]:
        said = f"{result['version']} may be called {result['tag']}; nothing was tagged (--dry-run)"
    else:
        said = f"{result['version']} is not {result['tag']}: {failed} of {len(result['findings'])} rules are not met"
    console.print(said, markup=False)
