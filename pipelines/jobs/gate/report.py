"""`recast gate report`: how often a gate is wrong."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import GateOptions, Limit, Names, argument, option
from recast.pipelines.wiring.report_cards import PerturbationSeed, ReviewedName, of_file, perturbed, show_card

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress


def job(
    name: Annotated[
        str | None,
        argument("A version to perturb. None: --labels, or what is known already.", metavar="[VERSION]"),
        Names.VERSION,
    ] = None,
    *,
    options: GateOptions,
    labels: Annotated[
        Path | None,
        option(
            "--labels",
            help="JSONL of labelled completions, as `gate perturb` writes them.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    reviewed: ReviewedName = None,
    limit: Limit = None,
    seed: PerturbationSeed = 0,
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The report card of a gate: false accepts and false rejects with 95 % Wilson intervals, by check, task and kind.

    The labels are a file's, or what people decided in a review (--reviewed), or made from a version by perturbing its
    demonstrations, in sums and in words; without any, the cards that the store holds for the gate are shown. Of
    reviewed rows, which a gate had accepted, it says how many people found wrong. The card ends with what it cannot
    vouch for: kinds of wrong text of which more than 5 % may pass. A card is kept with the gate's id, where `gate run`,
    `log` and `why` find it. A check's own row says what it would let through if it were alone.
    """
    from recast.curate.gate import gate_files
    from recast.curate.gate.report_card import report_card
    from recast.pipelines.wiring.gates import asked_gate

    given = [source for source in (name, labels, reviewed) if source is not None]
    if len(given) > 1:
        raise UsageError(
            "a report card is made from a version, from --labels or from --reviewed, one of them. Leave the others out."
        )
    judge, workers = asked_gate(options, config, scored=name is None and reviewed is None)
    if not given:
        known = gate_files.cards(store.root, judge.id)
        if not known:
            raise UsageError(
                f"gate {judge.name} ({judge.id}) has not been measured in {store.root}. Name a version whose "
                "demonstrations are to be perturbed, --labels FILE or --reviewed VERSION: recast gate report VERSION "
                f"--gate {options.gate}"
            )
        return {"gate": judge.name, "cards": known}
    people: dict[str, Any] = {}
    if reviewed is not None:
        from recast.pipelines.review.labels import reviewed as decided

        seen = decided(store, reviewed)
        made, said, people = islice(seen.labels(), limit), seen.said, {"people": seen.found(judge)}
    elif labels is not None:
        made, said = of_file(labels, limit)
    else:
        made, said = perturbed(store, str(name), limit, seed, words=True)
    card = report_card(judge, made, workers=workers, progress=progress)
    gate_files.describe(store.root, judge.id, judge.name, judge.identity)
    content = {"gate": judge.name, **card.to_json(), **people}
    gate_files.keep_card(store.root, judge.id, said, content)
    return {"gate": judge.name, "cards": [{"labels": said, **content}]}


def show(result: dict[str, Any], console: Any) -> None:
    for card in result["cards"]:
        show_card(result["gate"], card, console)
