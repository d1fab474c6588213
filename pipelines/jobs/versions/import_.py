"""`recast import`: a file of demonstrations becomes the next version of a name."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import (
    AsName,
    Columns,
    Dedup,
    Limit,
    Message,
    Names,
    Turn,
    argument,
    option,
    parse_columns,
)
from recast.pipelines.terminal.text import counted, histogram, line, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress, Reporter

SHOWN_PROBLEMS = 5
SAMPLES = 3


def job(
    path: Annotated[
        Path,
        argument("JSONL, JSON, CSV (also .gz, .zst), Parquet, or a saved datasets folder.", metavar="FILE"),
        Names.FILE,
    ],
    *,
    to: AsName,
    columns: Columns = None,
    turn: Turn = -1,
    dedup: Dedup = False,
    dry_run: Annotated[
        bool, option("--dry-run", help="Show how it would be read, with three rows, and stop there.")
    ] = False,
    expect_parent: Annotated[
        str | None,
        option(
            "--expect-parent",
            help="Refuse unless the newest version is this.",
            metavar="VERSION",
            show_default=False,
        ),
    ] = None,
    message: Message = None,
    limit: Limit = None,
    store: Store,
    config: Config,
    run: Run | None = None,
    progress: Progress | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Read FILE into the store as the next version of NAME.

    The schema is detected (messages, prompt/completion, question/answer, problem/solution, instruction/response,
    alpaca, ShareGPT, OpenAI fine-tuning) and said, with three rows as they would be stored, before anything is
    committed. Rows that cannot be read are named by line and kept in `bad_rows`, with exit code 3. Importing again
    under a name makes its next version, whose diff is what changed.
    """
    from recast.curate.ingest import importer
    from recast.curate.store import versions
    from recast.pipelines.wiring import commits

    name, branch = versions.parse_branch(to)
    if branch != versions.MAIN and not store.has(to):
        raise UsageError(f"there is no branch {to!r}; start it first: recast branch {name} {branch}")
    found = importer.read(path, mapping=parse_columns(columns), limit=limit, dedup=dedup, turn=turn)
    plan = {
        "path": str(path),
        "format": found.format,
        "mapping": found.mapping,
        "sample": found.sample(SAMPLES),
    }
    if dry_run:
        return {**plan, "dry_run": True}
    if reporter is not None:
        reporter.say("\n".join(preview(plan)) + "\n")
    found.progress = progress
    found.bad_file = bad_file = store.root / "tmp" / f"bad-{uuid.uuid4().hex}.jsonl"
    try:
        version = commits.once(
            store,
            to,
            run,
            lambda run_id: store.commit(
                found,
                to,
                message=message or f"import of {path.name}",
                author=config.general.author,
                run_id=run_id,
                expect_parent=expect_parent,
                meta={"source": str(path), "format": found.format, "mapping": found.mapping},
            ),
        )
        if not found.report.rows:  # committed by an attempt that was killed since: read again for the report
            for _ in found.batches():
                pass
        kept = None
        if found.report.num_bad:
            kept = store.root / "bad_rows" / f"{version.ref}.jsonl"
            kept.parent.mkdir(exist_ok=True)
            bad_file.replace(kept)
    finally:
        bad_file.unlink(missing_ok=True)
    report = found.report
    return {
        "version": version.ref,
        "version_id": version.id,
        "parent": version.parent,
        "rows": version.rows,
        "added": version.added,
        "changed": version.changed,
        "removed": version.removed,
        "format": found.format,
        "mapping": found.mapping,
        "answers": report.answers,
        "missing_answers": report.missing_answers,
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "lengths": {str(bound): rows for bound, rows in sorted(report.lengths.items())},
        "bad_rows": [bad.to_json() for bad in report.bad],
        "bad_rows_file": str(kept) if kept else None,
        "failed_rows": report.num_bad,
    }


def preview(plan: dict[str, Any]) -> list[str]:
    """How a file is read, with its first rows as they are stored, for a person to agree with."""
    width = max(min(shutil.get_terminal_size().columns, 160) - 14, 40)
    lines = [f"{plan['path']} is read as {plan['format']}"]
    lines += [f"  {field:<11} from {column}" for field, column in plan["mapping"].items()]
    if rest := sorted({key for row in plan["sample"] for key in row["meta"] or {}}):
        lines.append(f"  {'meta':<11} from {', '.join(map(visible, rest))}")
    for number, row in enumerate(plan["sample"], 1):
        lines.append(f"\nrow {number}  id {line(row['row_id'], 60)}")
        lines += [f"  {visible(str(m.get('role'))):<11} {line(_said(m), width)}" for m in row["messages"]]
        lines.append(f"  {'completion':<11} {line(row['completion'], width)}")
        lines += [
            f"  {field:<11} {line(row[field], width)}"
            for field in ("answer", "task")
            if row[field] is not None
        ]
    return lines


def _said(message: dict[str, Any]) -> str:
    if message.get("tool_calls"):
        return f"calls {message['tool_calls']}"
    content = message.get("content")
    return content if isinstance(content, str) else str(content)


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    if result.get("dry_run"):
        console.print(Text("\n".join(preview(result))))
        console.print("\nNothing was committed (--dry-run).", style="dim")
        return
    counts = ", ".join(f"{result[k]:,} {k}" for k in ("added", "changed", "removed") if result[k])
    console.print(
        Text(f"{result['version']}: {counted(result['rows'], 'row')} ({counts or 'nothing new'})", "bold")
    )
    answers = f"{result['answers']:,} found"
    if result["missing_answers"]:
        missing = counted(result["missing_answers"], "row")
        answers += f"; {missing} {'has' if missing[:2] == '1 ' else 'have'} no answer to check a rewrite by"
    console.print(f"  answers     {answers}")
    if result["duplicates"]:
        console.print(
            f"  duplicates  {counted(result['duplicates'], 'row')} whose id had occurred, left out (--dedup)"
        )
    if result["rejected"]:
        said = counted(result["rejected"], "completion")
        console.print(
            f"  rejected    {said} that the data set says are worse, kept as candidates of their rows"
        )
    lengths = {int(bound): rows for bound, rows in result["lengths"].items()}
    for place, bar in enumerate(histogram(lengths)):
        console.print(f"  {'' if place else 'characters':<11} {bar}")
    if result["failed_rows"]:
        console.print(
            Text(f"  {counted(result['failed_rows'], 'row')} could not be read and were left out", "bold red")
        )
        for bad in result["bad_rows"][:SHOWN_PROBLEMS]:
            said = f"{bad['file']}, line {bad['line']}: {bad['reason']}"
            console.print(Text(f"    {visible(said, 300)}"))
        if (more := result["failed_rows"] - SHOWN_PROBLEMS) > 0:
            console.print(f"    and {more:,} more")
        console.print(Text(f"    all of them, with their text: {result['bad_rows_file']}"))
    if result["parent"] and result["added"] + result["changed"] + result["removed"]:
        console.print(Text(f"  what changed: recast diff {result['parent']} {result['version']}", "dim"))
