"""`recast gate perturb`: labelled completions from the demonstrations of a version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import DataError
from recast.pipelines.options import GateOptions, Limit, Names, VersionRef, option
from recast.pipelines.wiring.report_cards import PerturbationSeed, perturbed, show_card

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress


def job(
    name: VersionRef,
    *,
    out: Annotated[
        Path, option("--out", "-o", help="JSONL to write.", metavar="FILE", show_default=False), Names.OUTPUT
    ],
    options: GateOptions,
    limit: Limit = None,
    seed: PerturbationSeed = 0,
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Retell the demonstrations of `name`, make one thing wrong in each copy, and write all of them with labels.

    Right: retold, steps reordered, sums in LaTeX, sums in words. Wrong: answer changed, sign flipped, digits
    swapped, a false result, an operand altered, a number altered throughout, a step dropped, the reasoning dropped,
    all told twice. Without a label, since people differ: units dropped or added. Says by kind what the gate makes of
    them. Rows without a stated answer, programs, and rows that could hardly be said differently are left out.
    """
    from recast.curate.files import write_lines
    from recast.curate.gate.labels import read
    from recast.curate.gate.report_card import report_card
    from recast.pipelines.wiring.gates import asked_gate

    judge, workers = asked_gate(options, config)
    made, said = perturbed(store, name, limit, seed)
    kinds: dict[str, int] = {}

    def lines() -> Iterator[dict[str, Any]]:
        for label in made:
            kinds[label.kind] = kinds.get(label.kind, 0) + 1
            yield label.to_json()
        if not kinds:
            raise DataError(
                f"none of the rows of {name} can be perturbed: no demonstration states an answer and can be said "
                "differently. `recast show` shows the rows; import them with an answer column."
            )

    write_lines(out, lines())
    card = report_card(judge, read(out), workers=workers, progress=progress)
    return {
        "out": str(out),
        "labels": sum(kinds.values()),
        "rows": kinds["retold"],
        "kinds": kinds,
        "gate": judge.name,
        "card": {"labels": said, **card.to_json()},
    }


def show(result: dict[str, Any], console: Any) -> None:
    console.print(
        f"{result['out']}: {result['labels']} labelled completions of {result['rows']} rows", markup=False
    )
    show_card(result["gate"], result["card"], console)
