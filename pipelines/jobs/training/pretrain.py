"""`recast pretrain`: a small causal LM from nothing, on versions and files, or the pocket backbone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Names, argument, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress

TEXT = (".txt", ".md")


def job(
    sources: Annotated[
        list[str] | None,
        argument(
            "Versions, and files: .txt and .md, rows with `text`, or rows that import could read. None: the pocket "
            "backbone and its own corpus.",
            metavar="[VERSION|FILE]...",
        ),
        Names.VERSION,
    ] = None,
    *,
    out: Annotated[
        Path, option("--out", "-o", help="Folder of the model.", show_default=False), Names.OUTPUT
    ],
    size: Annotated[
        str | None,
        option(
            "--size",
            help="2m, 10m, 30m or 100m parameters. Default: the config's, else 10m. Without sources: tiny, a pocket "
            "that learns sums alone, in minutes.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        option("--steps", help="Optimizer steps. Default: the config's.", min=1, show_default=False),
    ] = None,
    tokenizer: Annotated[
        str | None,
        option(
            "--tokenizer",
            help="Model folder whose tokenizer to use. Default: one is trained.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    work: Annotated[
        Path | None, option("--work", help="Checkpoints and metrics. Default: OUT.work", show_default=False)
    ] = None,
    text: Annotated[
        Path | None,
        option(
            "--text",
            help="For the pocket: folder with gsm8k/ and mwp/, to mix in.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a Llama-architecture model from nothing on text and chats: packed, bf16, resumable.

    Trains its tokenizer, too, unless one is given; rows and rates are section `pretrain` of the configuration,
    the model's shape section `scratch`. Without sources it builds the pocket backbone and measures it: hours on
    one core. `torchrun --nproc-per-node 2 -m pipelines.cli pretrain ...` uses two processes, a GPU each where there
    are any. Killed, the same command goes on from its last checkpoint.
    """
    from recast.curate.errors import UsageError

    work = work or out.with_name(out.name + ".work")
    training = config.section("pretrain", steps=steps)
    if not sources:
        if size not in (None, "tiny") or tokenizer:
            raise UsageError(
                "--tokenizer, and --size but for tiny, are for a model of your own: name versions or files to train on."
            )
        from recast.pipelines.demo import backbone

        name = f"pocket-{size}" if size else "pocket"
        return {"out": str(out), **backbone.build(name, out, work, text, training, progress)}
    if text:
        raise UsageError("--text is for the pocket backbone; name its files as sources instead.")
    from recast.pipelines.models.names import model_path
    from recast.train.pretraining.from_scratch import pretrain_from_scratch

    return pretrain_from_scratch(
        lambda: (piece for source in sources for piece in pieces(source, store)),
        config.section("scratch", size=size),
        training,
        out,
        work,
        tokenizer_path=model_path(tokenizer) if tokenizer else None,
        progress=progress,
    )


def pieces(source: str, store: Store) -> Iterator[Any]:
    """The documents of a version or a file. Raises DataError for a row that is neither text nor a chat."""
    from recast.curate.errors import DataError
    from recast.curate.ingest import files as files
    from recast.curate.ingest import importer
    from recast.curate.schema import decode_row
    from recast.train.pretraining.corpus import Chat

    path = Path(source)
    if store.has(source) or not path.exists():
        for row in store.open(store.resolve(source)).rows(["messages", "completion"]):
            yield Chat(row["messages"], row["completion"])
    elif path.suffix.lower() in TEXT:
        yield path.read_text(encoding="utf-8")
    else:
        first = next((raw for raw in files.read(path) if raw.row is not None), None)
        if first is not None and first.row is not None and isinstance(first.row.get("text"), str):
            for raw in files.read(path):
                if raw.row is None or not isinstance(raw.row.get("text"), str):
                    reason = raw.reason or "no `text`"
                    raise DataError(
                        f"{raw.file}, line {raw.line}: {reason}; every row of a text file has a `text`."
                    )
                yield raw.row["text"]
            return
        rows = importer.read(path, dedup=True)
        for batch in rows.batches():
            for row in batch.to_pylist():
                decoded = decode_row(row)
                yield Chat(decoded["messages"], decoded["completion"])
        if rows.report.bad:
            bad = rows.report.bad[0]
            raise DataError(
                f"{path}, line {bad.line}: {bad.reason}. Import it (`recast import`) to leave bad rows out, and "
                "name the version."
            )


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['tokens'] / 1e6:.1f} M tokens, loss {result['loss']:.3f}", markup=False
    )
    if "accuracy" not in result:
        console.print(
            f"  {result['parameters'] / 1e6:.1f} M parameters, vocabulary {result['vocabulary']}; held out "
            f"{result['heldout_loss']:.3f} nats a token"
        )
        return
    accuracy = result["accuracy"]
    for task, points in accuracy["tasks"].items():
        console.print(f"  {task:20}{points:6.1f}", markup=False)
    console.print(
        f"  {'general':20}{accuracy['general']:6.1f}\n  {'downstream':20}{accuracy['downstream']:6.1f}"
    )
