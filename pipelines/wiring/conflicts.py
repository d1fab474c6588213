"""What merge and revert do with rows that both sides changed: show them, write them down, take what was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.curate.files import write_lines
from recast.pipelines.options import Message, option
from recast.pipelines.run.arguments import command_line
from recast.pipelines.terminal.text import counted, line, visible

if TYPE_CHECKING:
    from recast.curate.history.merge import ConflictsError, Merged
    from recast.curate.store.store import Store

REFUSED = 4
SHOWN = 3
FIELDS = ("answer", "decision", "reason")
TEXTS = ("completion", "demonstration", *FIELDS)  # shown with each side


@dataclass(frozen=True, slots=True)
class Settling:
    """How conflicts are settled, and what the log says of it."""

    ours: Annotated[
        bool, option("--ours", help="Settle every conflict for the branch that is written to.")
    ] = False
    theirs: Annotated[bool, option("--theirs", help="Settle every conflict for the other side.")] = False
    conflicts_file: Annotated[
        Path | None,
        option(
            "--conflicts",
            help="Settle each as this file says; conflicts that stay open are written to it.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None
    message: Message = None


def settled(
    verb: str, given: Mapping[str, Any], settling: Settling, act: Callable[[Any], Merged], store: Store
) -> dict[str, Any]:
    """Do `act(take)` with what the user chose, and say how it went; what stays open is written to a file.

    `verb` and `given`, its arguments besides `settling`: for the command that takes the choices from that file.
    """
    from recast.curate.history.merge import ConflictsError, read_choices

    ours, theirs, file = settling.ours, settling.theirs, settling.conflicts_file
    if ours + theirs + (file is not None) > 1:
        raise UsageError(
            "--ours, --theirs and --conflicts FILE settle conflicts in different ways; give one of them."
        )
    take: Any = "ours" if ours else "theirs" if theirs else None
    if file is not None and file.exists():
        take = read_choices(file)
    try:
        merged = act(take)
    except ConflictsError as open_:
        path = file or Path(f"{open_.ours.ref}+{open_.theirs.ref}.conflicts.jsonl")
        asked = {**given, "conflicts_file": path, "message": settling.message}
        again = command_line(verb, asked, store=store.root)
        return {**_written(open_, path), "version": None, "again": again}
    return {
        "version": merged.version.ref if merged.version else None,
        "version_id": merged.version.id if merged.version else None,
        "rows": merged.version.rows if merged.version else None,
        "base": merged.base.ref if merged.base else None,
        "taken": merged.taken,
        "settled": merged.settled,
        "num_conflicts": 0,
    }


def _written(open_: ConflictsError, path: Path) -> dict[str, Any]:
    """Write the conflicts as JSON lines, keeping what was chosen there already; the first few come back."""
    chosen: dict[tuple[str, int], dict[str, Any]] = {}
    if path.exists():
        try:
            known = [
                json.loads(text) for text in path.read_text(encoding="utf-8").split("\n") if text.strip()
            ]
            chosen = {(row["row_id"], row["target"]): row for row in known if row.get("take")}
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise UsageError(
                f"{path} is there and is no file of conflicts ({wrong}); name another with --conflicts FILE."
            ) from wrong
    first: list[dict[str, Any]] = []

    def rows() -> Iterator[dict[str, Any]]:
        for conflict in open_.conflicts:
            row = conflict.to_json()
            if len(first) < SHOWN:
                first.append(row)
            row["take"] = chosen.pop((conflict.row_id, conflict.target), row)["take"]
            yield row
        yield from chosen.values()

    write_lines(path, rows())
    return {
        "num_conflicts": len(open_.conflicts),
        "conflicts": first,
        "conflicts_file": str(path),
        "message": str(open_),
    }


def exit_code(result: dict[str, Any]) -> int:
    return REFUSED if result["num_conflicts"] else 0


def show(result: dict[str, Any], console: Any) -> None:
    """Print conflicts, each with what both sides made of the text that they started from."""
    from rich.text import Text

    console.print(Text(result["message"], "bold red"))
    for row in result["conflicts"]:
        console.print(Text().append("\n! ", "bold red").append(line(row["row_id"], 80), "bold"))
        base = row["base"] or {}
        if row["base"]:
            _side("base", base, base, console)
        for side in ("ours", "theirs"):
            _side(side, base, row[side], console)
        for name, (was, ours, theirs) in row["differs"].items():
            if name not in TEXTS:
                said = f"{name}: {_short(was)} became {_short(ours)} in ours, {_short(theirs)} in theirs"
                console.print(Text(f"  {said}", "dim"))
    if (more := result["num_conflicts"] - len(result["conflicts"])) > 0:
        console.print(f"\nand {more:,} more")
    file = Text(
        f"\n{counted(result['num_conflicts'], 'conflict')} in {result['conflicts_file']}: set each line's "
    )
    file.append('"take" to "ours" or "theirs", then\n    ').append(result["again"], "bold")
    console.print(file)
    console.print("or settle all of them with --ours or --theirs.")


def _short(value: Any) -> str:
    return "nothing" if value is None else line(value if isinstance(value, str) else json.dumps(value), 60)


def _side(name: str, base: dict[str, Any], row: dict[str, Any] | None, console: Any) -> None:
    from rich.text import Text

    from recast.curate.history import word_diff
    from recast.pipelines.terminal import row_text

    if row is None:
        console.print(Text().append(f"  {name:<7}", "cyan").append("removed it", "red"))
        return
    said = [f"{field} {visible(str(row[field]))}" for field in FIELDS if row[field] != base.get(field)]
    if row is base:
        said = [visible(str(base["decision"]))]
    console.print(Text().append(f"  {name:<7}", "cyan").append(", ".join(said), "dim"))
    ops = word_diff.phrases(base.get("completion") or row["completion"], row["completion"])
    row_text.printed([(op.kind, op.before, op.after) for op in ops], console)
