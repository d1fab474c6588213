"""`recast sft`: fine-tune a model on the completions of a version, or of a mixture of versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Limit, Lora, Memory, ModelPath, Names, OutFolder, Seed, argument, option

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress

PREVIEWED = 4  # rows


def job(
    name: Annotated[
        list[str],
        argument(
            "Versions to train on: NAME, NAME@v3 or NAME@TAG; after the first, NAME:0.2 mixes in one row of NAME "
            "for every five of the first.",
            metavar="VERSION[:WEIGHT]...",
        ),
        Names.MIXTURE,
    ],
    *,
    model: ModelPath = None,
    objective: Annotated[
        str | None,
        option(
            "--objective",
            help="nll, p, dft, general:ALPHA, tsallis:Q, cayley, deft or eaft. Default: the config's, else nll.",
            metavar="OBJECTIVE",
            show_default=False,
        ),
    ] = None,
    lora: Lora = None,
    out: OutFolder = None,
    seed: Seed = None,
    limit: Limit = None,
    memory: Memory = None,
    preview_mask: Annotated[
        bool, option("--preview-mask", help="Show which tokens would be trained, and train nothing.")
    ] = False,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train `model` on the completions of versions (prompts carry no loss) and save it to `out`.

    The store remembers which versions made the model, and the model's `dataset.lock` says it, too. Curves and
    what the objective's gate did lie beside the weights; `recast report --sft NAME=DIR` draws them.
    """
    from recast.curate.errors import UsageError
    from recast.curate.history.lineage import pin
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models, outputs
    from recast.train.sft.mixture import Source
    from recast.train.sft.sft import sft

    sources = [Source.parse(text) for text in name]
    if sources[0].weight is not None:
        raise UsageError(
            f"{name[0]!r} comes first, so weights count rows for each of its own: give it none, as in "
            f"`recast sft {sources[0].ref} OTHER:0.2`."
        )
    versions = [store.resolve(source.ref) for source in sources]
    rows = [store.open(version).dataset() for version in versions]
    if limit is not None:
        rows[0] = rows[0].select(range(min(limit, len(rows[0]))))
    path = model_path(str(model))
    settings = config.section("sft", seed=seed, objective=objective, lora_rank=lora)
    if preview_mask:
        return {"preview": preview(rows, path, settings.max_length), "data": versions[0].ref}
    folder = outputs.folder(out, run, "model")
    mixed = [(r, source.weight) for r, source in zip(rows[1:], sources[1:], strict=True)]
    named = [Source(version.ref, s.weight) for version, s in zip(versions, sources, strict=True)]
    data = " + ".join(map(str, named))
    result = sft(
        rows[0],
        path,
        settings,
        folder,
        progress,
        mixed=mixed,
        data_ref=data,
        memory=models.memory(memory),
    )
    pin(
        store,
        folder,
        versions[0].ref,
        mixed=[(source.ref, source.weight) for source in named[1:]],
        author=config.general.author,
    )
    return {**asdict(result), "out": str(folder)}


def preview(sources: list[Any], model: str, max_length: int) -> dict[str, Any]:
    """The first rows of each source as runs of text, trained or not, and the share of all tokens that is masked."""
    from recast.train.model.loading import load_tokenizer
    from recast.train.sft.examples import tokenize

    tokenizer = load_tokenizer(model)
    shown, tokens, trained = [], 0, 0
    for rows in sources:
        examples, _ = tokenize(rows, tokenizer, max_length)
        tokens += sum(len(e.ids) for e in examples)
        trained += sum(e.num_trained for e in examples)
        for e in examples[:PREVIEWED]:
            masked, kept = tokenizer.decode(e.ids[: e.num_prompt]), tokenizer.decode(e.ids[e.num_prompt :])
            shown.append(
                {"masked": masked, "trained": kept, "tokens": len(e.ids), "num_trained": e.num_trained}
            )
    return {"rows": shown, "tokens": tokens, "trained": trained, "masked_share": 1 - trained / tokens}


def show(result: dict[str, Any], console: Any) -> None:
    if "preview" in result:
        return _show_preview(result["preview"], console)
    objective = result["config"]["objective"]
    console.print(
        f"{result['out']}: {result['steps']} steps of {objective} on {result['num_rows']} rows of {result['data']}",
        markup=False,
    )
    console.print(
        f"  loss {result['start_loss']:.3f} before, {result['final_loss']:.3f} over the last epoch (nats a token)"
    )
    if result["heldout_loss"] is not None:
        best = f", at step {result['best_step']}, whose weights are kept" if result["best_step"] else ""
        console.print(f"  {result['num_heldout']} rows held out: {result['heldout_loss']:.3f}{best}")
    if result["num_too_long"]:
        console.print(f"  {result['num_too_long']} rows were too long and left out")
    console.print(f"measure it: recast eval {result['out']} --suite SUITE.jsonl", markup=False)
    return None


def _show_preview(preview: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    for row in preview["rows"]:
        text = Text(row["masked"], style="dim")
        # without colour the brackets say it
        mark = ("", "") if console.color_system else ("[[", "]]")
        text.append(mark[0] + row["trained"] + mark[1], style="bold green")
        console.print(text)
        console.print(f"-- {row['num_trained']} of {row['tokens']} tokens trained\n", markup=False)
    console.print(
        f"{preview['trained']} of {preview['tokens']} tokens are trained; {preview['masked_share']:.1%} are masked."
    )
