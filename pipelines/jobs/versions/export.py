"""`recast export`: a version as files that trainers read, and what each trainer would train of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from recast.pipelines.options import Names, VersionRef, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store

TO = Literal[
    "jsonl", "parquet", "messages", "prompt-completion", "prompt-completion-strings", "trl", "verl", "openrlhf",
    "axolotl", "llamafactory", "open-instruct", "mlx", "torchtune", "nemo-rl", "nemo-automodel", "prime-rl", "unsloth",
    "verifiers", "openai", "hf",
]  # fmt: skip
OK, FAILED_ROWS, REFUSED = 0, 3, 4  # exit codes
NAMED = 5  # rows that a line on the terminal names


def job(
    name: VersionRef,
    *,
    to: Annotated[TO, option("--to", help="Trainer or kind of file.")] = "jsonl",
    objective: Annotated[
        Literal["sft", "dpo", "kto", "grpo", "rft"] | None,
        option("--as", help="What for. Default: sft (grpo for verifiers).", show_default=False),
    ] = None,
    turns: Annotated[
        Literal["last", "all"] | None,
        option(
            "--turns", help="Which of the assistant's turns SFT trains. Default: last.", show_default=False
        ),
    ] = None,
    validation: Annotated[
        float,
        option(
            "--validation", help="Share of the prompts for a second file, by their hash.", min=0, max=0.99
        ),
    ] = 0.0,
    out: Annotated[
        Path, option("--out", "-o", help="File or folder to write.", show_default=False), Names.OUTPUT
    ],
    shard_rows: Annotated[
        int | None,
        option(
            "--shard-rows",
            help="Rows for each file, where the reader takes several. A killed export then goes on.",
            min=1,
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        str | None,
        option(
            "--check",
            help="Say what the trainer would train of it with this model's tokenizer.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    python: Annotated[
        Path | None,
        option(
            "--python",
            help="With --check: interpreter of the trainer's environment, whose own loader reads the rows, too.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool,
        option("--compare", help="With --check: what every trainer would train of the first 1,000 rows."),
    ] = False,
    max_length: Annotated[
        int | None,
        option(
            "--max-length",
            help="For --check: tokens of a row. Default: the trainer's.",
            min=1,
            show_default=False,
        ),
    ] = None,
    push: Annotated[
        str | None,
        option(
            "--push",
            help="For hf: data set of the hub to send it to.",
            metavar="USER/NAME",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="With --push: list what would be sent.")] = False,
    licence: Annotated[
        str | None,
        option("--licence", help="For hf: licence of the rows, as the hub names it.", show_default=False),
    ] = None,
    store: Store,
) -> dict[str, Any]:
    """Write version `name` for a trainer, with what it needs beside the rows.

    Rows that the trainer does not know whole are refused by name (exit code 3) and listed in `refused.jsonl`. The last
    line of the result starts the trainer. --check counts what would be trained; exit code 4 where a row trains nothing.
    The trainer's own loader is asked where it is installed beside recast, or in the environment of --python.

    More examples:

        recast export mine --to llamafactory -o out --validation 0.05
        recast export mine --to trl --as dpo -o pairs
        recast export mine --to mlx -o out --check path/to/model --python path/to/venv/bin/python
    """
    from recast.curate.errors import UsageError
    from recast.curate.export.export import export

    if to != "hf" and (push or licence):
        raise UsageError(f"--push and --licence are for --to hf; {to} has no card and no place on the hub.")
    if dry_run and not push:
        raise UsageError("--dry-run lists what --push would send; say --push USER/NAME, too.")
    if max_length is not None and check is None:
        raise UsageError("--max-length is for --check MODEL: files hold rows whole.")
    if python is not None and check is None:
        raise UsageError("--python is for --check MODEL: files are written without the trainer.")
    if compare and (check is None or (objective or "sft") != "sft"):
        raise UsageError(
            "--compare is for --check MODEL and SFT: it counts tokens that each trainer would train."
        )
    if check is not None:
        from recast.curate.export.check.measure import require_measurable
        from recast.curate.export.registry import find
        from recast.pipelines.wiring.loaders.witness import require

        wanted = find(to, objective)[1]
        require_measurable(to, wanted)
        if python is not None:
            require(to, wanted, python)
    facts = None
    if to == "hf":
        from recast.pipelines.wiring.card_facts import card_facts

        facts = card_facts(store, name, licence)
    done = export(
        store, name, to, out, objective=objective, turns=turns, validation=validation, shard_rows=shard_rows,
        facts=facts,
    )  # fmt: skip
    said = done.to_json()
    result: dict[str, Any] = {
        "version": said.pop("ref"),
        **said,
        "out": said["path"],
        "failed_rows": sum(each.count for reason, each in done.refused.items() if reason != "no_rejected"),
    }
    if check is not None:
        result["check"] = _checked(done, check, max_length, python)
        if compare:
            result["check"]["compared"] = _compared(store, done, check, max_length)
    if push:
        from recast.curate.export import push as hub

        result["push"] = {"to": push, "files": hub.planned(done)}
        if not dry_run:
            result["push"]["commit"] = hub.push(done, push)
    return result


def _checked(done: Any, model: str, max_length: int | None, python: Path | None) -> dict[str, Any]:
    from recast.curate.export.check.measure import measure
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring.loaders.witness import witness
    from recast.train.model.loading import load_tokenizer

    path = model_path(model)
    tokenizer = load_tokenizer(path)
    told = {"model": model, **measure(done, tokenizer, max_length=max_length).to_json()}
    told["own_loader"] = witness(done, tokenizer, path, max_length=max_length, python=python)
    return told


def _compared(store: Store, done: Any, model: str, max_length: int | None) -> list[dict[str, Any]]:
    from recast.curate.export.check.compare import compare
    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load_tokenizer

    tokenizer = load_tokenizer(model_path(model))
    found = compare(store.open(done.version_id), tokenizer, done.turns, done.format, max_length=max_length)
    return [each.to_json() for each in found]


def exit_code(result: dict[str, Any]) -> int:
    check = result.get("check", {})
    if check.get("trains_nothing") and result["objective"] not in ("grpo", "rft"):
        return REFUSED
    if check.get("own_loader", {}).get("failed"):
        return REFUSED
    return FAILED_ROWS if result["failed_rows"] else OK


def show(result: dict[str, Any], console: Any) -> None:
    held = f", {result['validation_rows']} of them for validation" if result["validation_rows"] else ""
    what = f"{result['format']} {result['objective']}" if result["start"] else result["format"]
    console.print(
        f"{result['out']}: {result['rows']} rows of {result['version']} as {what}{held}", markup=False
    )
    for file in result["files"]:
        console.print(f"  {file['path']}  {file['bytes']:,} bytes", markup=False)
    for reason, tally in result["refused"].items():
        console.print(
            f"  {tally['count']} refused as {reason}: row {tally['rows'][0]} {tally['has']}; {tally['lacks']}",
            markup=False,
        )
    for note in result["notes"]:
        console.print(f"  {note}", markup=False)
    if "check" in result:
        _show_check(result["check"], console)
    if "push" in result:
        _show_push(result["push"], console)
    if result["start"]:
        console.print(result["start"], markup=False, soft_wrap=True)


def _show_check(check: dict[str, Any], console: Any) -> None:
    whole = check["tokens_trained"] + check["tokens_masked"]
    share = check["tokens_trained"] / whole if whole else 0.0
    console.print(
        f"  {check['trainer']} with {check['model']}: {check['tokens_trained']:,} tokens train, "
        f"{check['tokens_masked']:,} are masked ({share:.0%} train); the end of the turn trains in "
        f"{check['end_of_turn_trained']:,} of {check['lines']:,} lines; {check['cut']:,} cut"
        + (f" at {check['max_length']}" if check["max_length"] else ""),
        markup=False,
    )
    console.print(f"  {_witnessed(check['own_loader'])}", markup=False)
    for why, rows in check["dropped_rows"].items():
        console.print(f"  dropped: {why}: {', '.join(rows)}", markup=False)
    for what, rows in check["template_leaves_out"].items():
        console.print(f"  the chat template leaves out {what}: {', '.join(rows)}", markup=False)
    if check["trains_nothing"]:
        named = ", ".join(check["trains_nothing_rows"])
        console.print(f"  {check['trains_nothing']} lines train nothing: {named}", markup=False)
    if check["example"]:
        from rich.text import Text

        row = Text("  ")
        for piece in check["example"]:
            row.append(piece["text"], style="green" if piece["trained"] else "dim")
        console.print(row)
    if "compared" in check:
        _show_compared(check["compared"], check["trainer"], console)


def _witnessed(own: dict[str, Any]) -> str:
    """What the trainer's own loader said, or why this is our account of it alone."""
    if own["loader"] is None:
        return f"by our account of its loader: {own['why_not']}"
    if own["failed"]:
        return f"its own loader ({own['loader']}) fails on these rows: {own['failed']}"
    left = f", {own['left_out']:,} others left out as dropped or cut" if own["left_out"] else ""
    head = f"its own loader ({own['loader']}) on {own['lines']:,} lines{left}: {own['tokens_trained']:,} tokens train; "
    if not own["differ"] and not own["more"]:
        return head + "the same, one by one"
    named = ", ".join(own["differ"][:NAMED])
    return (
        head
        + f"{len(own['differ'])} rows differ from this account: {named}"
        + (f"; it makes {own['more']} examples more" if own["more"] else "")
    )


def _show_compared(compared: list[dict[str, Any]], to: str, console: Any) -> None:
    from rich.table import Table

    table = Table("trainer", "turns", "refused", "tokens that train", "masked", "cut", "dropped", "turn ends train",
                  f"rows unlike {to}", box=None)  # fmt: skip
    for each in compared:
        counts = [
            each[name]
            for name in ("tokens_trained", "tokens_masked", "cut", "dropped", "end_of_turn_trained")
        ]
        refused = sum(each["refused"].values())
        table.add_row(each["trainer"], each["turns"], *(f"{n:,}" for n in (refused, *counts, each["differ"])))
    console.print(table)


def _show_push(push: dict[str, Any], console: Any) -> None:
    for file in push["files"]:
        console.print(f"  {file['sha256'][:12]}  {file['bytes']:>12,}  {file['path']}", markup=False)
    sent = (
        f"sent to {push['to']}: {push['commit']}" if "commit" in push else f"nothing was sent to {push['to']}"
    )
    console.print(f"  {sent}", markup=False)
