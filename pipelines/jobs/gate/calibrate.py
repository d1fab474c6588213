"""`recast gate calibrate`: thresholds of a gate from labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import GateOptions, Names, option
from recast.pipelines.wiring.report_cards import ReviewedName, show_card

if TYPE_CHECKING:
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Progress


def job(
    *,
    labels: Annotated[
        Path | None,
        option("--labels", help="JSONL of labelled completions.", metavar="FILE", show_default=False),
        Names.FILE,
    ] = None,
    reviewed: ReviewedName = None,
    target_false_accept: Annotated[
        float,
        option(
            "--target-false-accept",
            help="Largest share of wrong completions that may pass (95 % sure).",
            min=0.0,
            max=1.0,
        ),
    ] = 0.01,
    options: GateOptions,
    out: Annotated[
        Path, option("--out", "-o", help="Gate file to write.", metavar="FILE"), Names.OUTPUT
    ] = Path("gate-calibrated.yaml"),
    store: Store,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Choose the thresholds of every check that has a score, on one half of the labelled rows; measure on the other.

    The labels are a file's, or what people decided in a review (--reviewed). The thresholds are those that lose fewest
    right completions with the upper end of the Wilson interval of the false accepts at the target or below; where no
    thresholds reach it, nothing is written and the exit code is 4. The new gate file is for --gate, and its id is
    another one if a threshold moved.
    """
    from recast.curate.files import write_text
    from recast.curate.gate import gate_files
    from recast.curate.gate.calibration import calibrate
    from recast.curate.gate.gate import Gate
    from recast.curate.gate.labels import read
    from recast.pipelines.run.identity import digest
    from recast.pipelines.wiring.gates import asked_gate

    if (labels is None) == (reviewed is None):
        raise UsageError(
            "a gate is calibrated on --labels FILE or on --reviewed VERSION; give one of them. `recast gate perturb` "
            "makes labels, `recast review` asks people for them."
        )
    old, workers = asked_gate(options, config, scored=reviewed is None)
    if reviewed is not None:
        from recast.pipelines.review.labels import reviewed as decided

        seen = decided(store, reviewed)
        made, name, said = seen.labels, seen.said, f"the held-out half of {seen.said}"
    else:
        assert labels is not None
        if not labels.is_file():
            raise UsageError(f"there is no file of labels {labels}; `recast gate perturb` makes one.")
        made, name = partial(read, labels), labels.name
        said = f"the held-out half of {labels.name} ({digest(labels)[:8]})"
    found = calibrate(
        old,
        made,
        target_false_accept,
        workers=workers,
        progress=progress,
    )
    new = Gate(found.config.model_copy(update={"name": out.stem}))
    after = {"gate": new.name, **found.after.to_json()}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, _text(new, old.name, name, found))
    gate_files.describe(store.root, new.id, new.name, new.identity)
    gate_files.keep_card(store.root, new.id, said, after)
    return {
        "out": str(out),
        "gate_id": new.id,
        "before_id": old.id,
        "turned": {
            name: {"field": field, "before": was, "after": now}
            for name, (field, was, now) in found.turned.items()
        },
        "target_false_accept": target_false_accept,
        "chosen_on": {name: str(rate) for name, rate in found.chosen_on.items()},
        "before": {"labels": said, "gate": old.name, **found.before.to_json()},
        "after": {"labels": said, **after},
    }


def _text(new: Any, old: str, labels: str, found: Any) -> str:
    """The gate file: every threshold written out, so that other defaults cannot change it."""
    import yaml

    content = new.config.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    if not content["tasks"]:
        del content["tasks"]
    rates = found.after.ensemble
    return (
        f"# Gate {old!r} calibrated on one half of {labels} for at most {found.target:.2%} false accepts.\n"
        f"# On the other half: false accepts {rates.false_accepts}, false rejects {rates.false_rejects}.\n"
    ) + yaml.safe_dump(content, sort_keys=False)


def show(result: dict[str, Any], console: Any) -> None:
    moved = [f"{name}.{t['field']} {t['before']:g} -> {t['after']:g}" for name, t in result["turned"].items()]
    console.print(f"{result['out']}: gate {result['gate_id']}, was {result['before_id']}", markup=False)
    console.print(
        f"  {', '.join(moved) or 'no threshold moved: they are the best for this target'}", markup=False
    )
    for name, rate in result["chosen_on"].items():
        console.print(f"  {name.replace('_', ' ')} where chosen: {rate}", markup=False)
    for when in ("before", "after"):
        rates = result[when]["ensemble"]
        said = ", ".join(
            f"{key.replace('_', ' ')} {rates[key]['share']:.2%} [{rates[key]['interval'][0]:.2%}, "
            f"{rates[key]['interval'][1]:.2%}]"
            for key in ("false_accepts", "false_rejects")
        )
        console.print(f"  {when}, on the other half: {said}", markup=False)
    show_card(Path(result["out"]).stem, result["after"], console)
