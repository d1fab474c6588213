"""`recast import`: a file of demonstrations becomes the next version of a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from curate.errors import UsageError
from pipelines.jobs.options import AsName, Limit, Names, argument, option

SHOWN_PROBLEMS = 5


def job(
    path: Annotated[
        Path, argument("JSONL, JSON, CSV, Parquet, or a saved datasets folder.", metavar="FILE"), Names.FILE
    ],
    *,
    to: AsName,
    columns: Annotated[
        list[str] | None,
        option("--map", help="Read FIELD from COLUMN, e.g. question=prompt_text.", metavar="FIELD=COLUMN"),
    ] = None,
    dedup: Annotated[bool, option("--dedup", help="Keep the first of rows with the same id.")] = False,
    message: Annotated[
        str | None, option("--message", help="Why; stands in the log.", show_default=False)
    ] = None,
    limit: Limit = None,
    store: Any,
    config: Any,
    run: Any = None,
) -> dict[str, Any]:
    """Read `path` into the store as the next version of `to`.

    The schema is detected (messages, prompt/completion, question/answer, problem/solution, alpaca,
    ShareGPT) and said; rows that cannot be read are named by line and left out, with exit code 3.
    Importing again under a name makes its next version, whose diff is what changed.
    """
    from curate import ingest
    from pipelines.jobs import commits

    found = ingest.read(path, mapping=parse_mapping(columns), limit=limit, dedup=dedup)
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
            meta={"source": str(path)},
        ),
    )
    if not found.report.rows:  # committed by an attempt that was killed since: read again for the report
        for _ in found.batches():
            pass
    report = found.report
    return {
        "version": version.ref,
        "version_id": version.id,
        "rows": version.rows,
        "added": version.added,
        "changed": version.changed,
        "removed": version.removed,
        "format": found.format,
        "mapping": dict(found.mapping),
        "missing_answers": report.missing_answers,
        "duplicates": report.duplicates,
        "bad_rows": [
            {"file": b.file, "line": b.line, "reason": b.reason, "text": b.text} for b in report.bad
        ],
        "failed_rows": report.num_bad,
    }


def parse_mapping(columns: list[str] | None) -> dict[str, str] | None:
    """`["question=q"]` as a dict. Raises UsageError."""
    if not columns:
        return None
    for text in columns:
        if "=" not in text:
            raise UsageError(
                f"--map takes FIELD=COLUMN, for instance --map question=prompt_text; found {text!r}."
            )
    return dict(text.split("=", 1) for text in columns)


def show(result: dict[str, Any], console: Any) -> None:
    counts = ", ".join(f"{result[k]} {k}" for k in ("added", "changed", "removed") if result[k])
    console.print(f"{result['version']}: {result['rows']} rows ({counts or 'nothing new'})", markup=False)
    read = ", ".join(f"{field} from {column}" for field, column in result["mapping"].items())
    console.print(f"  read as {result['format']}: {read}", markup=False)
    if result["missing_answers"]:
        console.print(
            f"  {result['missing_answers']} rows have no answer: a rewrite of them cannot be verified by it"
        )
    if result["duplicates"]:
        console.print(f"  {result['duplicates']} rows with an id that had occurred were left out")
    for bad in result["bad_rows"][:SHOWN_PROBLEMS]:
        console.print(f"  {bad['file']}, line {bad['line']}, left out: {bad['reason']}", markup=False)
    if (more := result["failed_rows"] - SHOWN_PROBLEMS) > 0:
        console.print(f"  and {more} more bad rows; --json lists them")
