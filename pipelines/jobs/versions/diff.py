"""`recast diff`: what changed between two versions, in counts, row by row, and word by word."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Columns, Dedup, Names, Turn, VersionRef, argument, option, parse_columns
from recast.pipelines.terminal.text import counted, line, visible

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.terminal.progress import Progress

DIFFERENT, FAILED_ROWS = 1, 3
ROWS, ROWS_OF_WORDS = 10, 3
SIGNS = {"add": ("+", "green"), "remove": ("-", "red"), "change": ("~", "yellow"), "rescore": ("=", "blue")}


def job(
    a: VersionRef,
    b: Annotated[
        str, argument("A version, or a file or folder that import reads.", metavar="OTHER"), Names.VERSION
    ],
    *,
    words: Annotated[bool, option("--words", help="Show the rows word by word.")] = False,
    unfold: Annotated[bool, option("--unfold", help="Show edits of white space and format, too.")] = False,
    columns: Annotated[
        str | None,
        option(
            "--columns",
            help="Only rows in which one of these differs, and these of them.",
            metavar="A,B",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None,
        option("--where", help="SQL over row_id, op, before, after.", metavar="SQL", show_default=False),
    ] = None,
    answers: Annotated[bool, option("--answers", help="Only rows whose final answer changed.")] = False,
    limit: Annotated[
        int | None,
        option(
            "--limit",
            "-n",
            help="Rows shown: 10, or 3 with --words, or 2000 on a page.",
            min=0,
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        option(
            "--html",
            help="Write one page for a browser that needs nothing else.",
            metavar="FILE",
            show_default=False,
        ),
        Names.OUTPUT,
    ] = None,
    exit_code: Annotated[bool, option("--exit-code", help="Exit 1 where they differ, as git does.")] = False,
    mapping: Columns = None,
    turn: Turn = -1,
    dedup: Dedup = False,
    store: Store,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare VERSION with OTHER: counts of all rows, then some of the rows.

    With --words a LaTeX command, a number or a code token counts as one word, edits of white space and format are
    folded, and a final answer that differs raises an alarm. --where chooses rows, as in
    --where "after.decision = 'fallback'".
    """
    from recast.curate.history.diff import COMPARED, diff
    from recast.curate.history.row_diff import touching
    from recast.curate.schema import SCORES

    names = [name.strip() for name in columns.split(",")] if columns else []
    if unknown := [name for name in names if name not in COMPARED]:
        raise UsageError(f"--columns: there is no column {unknown[0]!r}; a row has {', '.join(COMPARED)}.")
    other = _other(store, b, mapping, turn, dedup)
    if other is not None:
        other.progress = progress
    found = diff(store, a, b if other is None else other)
    page = None
    if html is not None:
        from recast.pipelines.report import diff_page

        page = diff_page.write(
            found, html, where=where, columns=names, limit=diff_page.MAX_ROWS if limit is None else limit
        )
    if limit is None:
        limit = ROWS_OF_WORDS if words else ROWS
    scores = where is not None or bool(set(names) & set(SCORES))
    ops = ("add", "change", "remove", *(("rescore",) if scores else ()))
    rows = found.rows(ops=ops, where=where) if limit else iter(())
    rows = touching(rows, names) if names else rows
    rows = (row for row in rows if row.answer_changed) if answers else rows
    summary = found.summary.to_json()
    if names:
        summary["columns"] = {name: summary["columns"].get(name, 0) for name in names}
    return {
        "a": found.a.ref,
        "b": found.b.ref,
        "summary": summary,
        "rows": [_row(row, names, words, unfold) for row in itertools.islice(rows, limit)],
        "differ": sum(found.counts.values()),
        "html": str(page) if page else None,
        "bad_rows": [bad.to_json() for bad in other.report.bad] if other else [],
        "failed_rows": other.report.num_bad if other else 0,
        "exit_code": DIFFERENT if exit_code and not found.empty else 0,
    }


def _other(store: Store, b: str, mapping: list[str] | None, turn: int, dedup: bool) -> Any:
    """The file that `b` is, ready to be read; None where it is a version."""
    if store.has(b):
        if mapping or dedup or turn != -1:
            raise UsageError(f"{b} is a version; --map, --turn and --dedup say how a file is read.")
        return None
    if not Path(b).exists():
        return None  # resolving it says what there is
    from recast.curate.ingest import importer

    return importer.read(b, mapping=parse_columns(mapping), turn=turn, dedup=dedup)


def _row(row: Any, names: list[str], words: bool, unfold: bool) -> dict[str, Any]:
    before, after = row.before or {}, row.after or {}
    asked = [m for m in (after or before).get("messages") or [] if m.get("role") == "user"]
    out = {
        "row_id": row.row_id,
        "target": row.target,
        "was": row.was,
        "op": row.op,
        "edit": row.edit,
        "columns": list(row.columns),
        "noise": list(row.noise),
        "look_alikes": row.look_alikes,
        "prompt": asked[-1].get("content") if asked else None,
        "decision": [before.get("decision"), after.get("decision")],
        "reason": (after or before).get("reason"),
        "nll": list(row.nll),
        "answers": list(row.answers),
        "answer_changed": row.answer_changed,
        "before": before.get("completion"),
        "after": after.get("completion"),
        "values": {name: list(row.texts(name)) for name in names},
    }
    if words:
        shown = names or ["completion"]
        out["words"] = {
            name: [[op.kind, op.before, op.after] for op in row.phrases(name, fold=not unfold)]
            for name in shown
        }
        out["folded"] = not unfold and row.edit in ("blanks", "format")
    return out


def exit_code(result: dict[str, Any]) -> int:
    return result["exit_code"] or (FAILED_ROWS if result["failed_rows"] else 0)


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    _show_summary(result, console)
    for row in result["rows"]:
        _show_row(row, console)
    if result["failed_rows"]:
        console.print(
            Text(f"\n{counted(result['failed_rows'], 'row')} of {result['b']} could not be read", "bold red")
        )
        for bad in result["bad_rows"][:5]:
            said = f"{bad['file']}, line {bad['line']}: {bad['reason']}"
            console.print(Text(f"  {visible(said, 300)}"))
    if result["html"]:
        console.print(Text(f"\n{result['html']}: a page of its own; open it in a browser", "dim"))
    elif result["rows"] and len(result["rows"]) < result["differ"]:
        more = f"{len(result['rows']):,} of {counted(result['differ'], 'row')} that differ"
        words = "" if "words" in result["rows"][0] else " --words the words,"
        console.print(Text(f"\n{more}; --limit shows more,{words} --html FILE a page", "dim"))


def _show_summary(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    from recast.curate.history.row_diff import READ

    s = result["summary"]
    console.print(Text(f"{result['a']} \u2192 {result['b']}", "bold"))
    counts = Text("  ")
    for key, style in (
        ("changed", "yellow"),
        ("added", "green"),
        ("removed", "red"),
        ("rescored", "blue"),
        ("unchanged", ""),
    ):
        if s[key] or key != "rescored":
            counts.append(f"{s[key]:,} {key}", style=style if s[key] else "dim").append("   ")
    counts.rstrip()
    console.print(counts)

    def told(label: str, said: str, style: str = "") -> None:
        console.print(Text().append(f"  {label:<11}", "dim").append(said, style))

    if s["columns"]:
        read = [f"{name} {s['columns'][name]:,}" for name in READ if name in s["columns"]]
        rest = len(s["columns"]) - len(read)
        read += [f"{'and ' * bool(read)}{counted(rest, 'column')} of scores and provenance"] if rest else []
        told("columns", "   ".join(read))
    if s["decisions"]:
        told(
            "decisions",
            "   ".join(f"{flip} {num:,}" for flip, num in s["decisions"].items()).replace("->", "\u2192"),
        )
    if s["gate_pass_to_fail"]:
        told("gate", f"{counted(s['gate_pass_to_fail'], 'row')} passed before and no longer", "bold red")
    if s["nll_change"] is not None:
        told("NLL", f"{_signed(s['nll_change'], '.3f')} nats per token on average")
    if s["length_change"] is not None:
        told("length", f"{_signed(s['length_change'], ',.0f')} characters on average")
    if s["answers_changed"]:
        said = (
            f"the final answer differs in {counted(s['answers_changed'], 'row')} (--answers shows only these)"
        )
        console.print(Text(f"  ! {said}", "bold red"))


def _show_row(row: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    from recast.pipelines.terminal import row_text

    sign, style = SIGNS[row["op"]]
    head = Text().append(f"\n{sign} ", f"bold {style}").append(line(row["row_id"], 80), "bold")
    if row["was"]:
        head.append(f" (was {line(row['was'], 80)})", "dim")
    if row["target"]:
        head.append(f" (target {row['target']})", "dim")
    flip = [d for d in dict.fromkeys(row["decision"]) if d]
    said = [" \u2192 ".join(flip), row["reason"] or ""]
    if None not in row["nll"]:
        said.append(f"NLL {row['nll'][0]:.2f} \u2192 {row['nll'][1]:.2f}")
    head.append("".join(f"   {visible(word)}" for word in said if word), "dim")
    console.print(head)
    if "words" in row:
        if row["prompt"]:
            row_text.indented(Text(line(str(row["prompt"]), 300), "dim italic"), console, "    ")
        if row["folded"] and not row["values"]:
            console.print(
                Text(
                    f"    only {'white space' if row['edit'] == 'blanks' else 'the format'} changed (--unfold)",
                    "dim",
                )
            )
        for name, ops in () if row["folded"] and not row["values"] else row["words"].items():
            if all(kind == "equal" for kind, _, _ in ops):
                continue
            if name != "completion":
                console.print(Text(f"    {name}", "bold dim"))
            row_text.printed(ops, console)
    else:
        for name, (was, now) in (row["values"] or {"completion": (row["before"], row["after"])}).items():
            if was != now:
                _show_sides(name, was, now, console)
    if row["edit"] == "other columns" and not row["values"]:
        console.print(Text(f"    the completion is the same; {', '.join(row['columns'])} changed", "dim"))
    if row["noise"]:
        console.print(Text(f"    {', '.join(row['noise'])}: only what floats leave behind differs", "dim"))
    for name, told in row["look_alikes"].items():
        console.print(Text(f"    ! {name}: {visible(told, 300)}", "bold red"))
    was, now = (visible(str(answer), 200) if answer is not None else "none" for answer in row["answers"])
    if row["answer_changed"]:
        console.print(Text(f"    ! the final answer changed: {was} \u2192 {now}", "bold red"))
    elif "words" in row and row["answers"] != [None, None]:
        kept = now if row["op"] != "remove" else was
        console.print(Text().append("    final answer ", "dim").append(kept, "bold"))


def _show_sides(name: str, was: str | None, now: str | None, console: Any) -> None:
    """Both sides on a line each, from a little before the first sign that differs."""
    from rich.text import Text

    from recast.curate.history.word_diff import common_start

    width = max((min(console.width, 160) if console.is_terminal else 160) - 6, 40)
    same = common_start(was or "", now or "")
    start = max(same - 24, 0) if same > 40 else 0
    if name != "completion":
        console.print(Text(f"    {name}", "dim"))
    for sign, style, text in (("-", "red", was), ("+", "green", now)):
        if text:
            shown = ("\u2026" if start else "") + line(text[start:], width - 1)
            console.print(Text().append(f"    {sign} ", style).append(shown, style))


def _signed(value: float, form: str) -> str:
    return f"{value:+{form}}".replace("-", "\u2212")
