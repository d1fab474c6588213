"""`recast effect`: the proof that rewriting learns as much and forgets less, on the pocket or on a model of yours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Jobs, Names, option

if TYPE_CHECKING:
    from recast.pipelines.config import Config
    from recast.pipelines.terminal.progress import Reporter


def job(
    *,
    model: Annotated[
        list[str] | None,
        option(
            "--model",
            "-m",
            help="Backbone: model folder, hub id, or a name of recast's: pocket, pocket-small, pocket-neox, smollm2. "
            "Repeat it: the first is given the whole grid, the others the headline arms. Default: the config's, "
            "else pocket.",
            metavar="MODEL",
            show_default=False,
        ),
        Names.MODEL,
    ] = None,
    demonstrations: Annotated[
        Path | None,
        option(
            "--demonstrations",
            help="Your own, as `import` reads them. Default: the pocket world's.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    suite: Annotated[
        list[Path] | None,
        option(
            "--suite", help="With your own: questions; repeat for more.", metavar="FILE", show_default=False
        ),
        Names.FILE,
    ] = None,
    target: Annotated[
        str | None,
        option("--target", help="Suite that the demonstrations teach.", metavar="SUITE", show_default=False),
    ] = None,
    quick: Annotated[
        bool, option("--quick", help="One seed, one learning rate, the headline arms: minutes.")
    ] = False,
    study: Annotated[
        bool,
        option(
            "--study",
            help="Take the best agent apart as well: group size, gate, terms of the reward, rows, questions.",
        ),
    ] = False,
    stages: Annotated[
        bool,
        option(
            "--stages",
            help="The other proof: what SFT, reject, RL and chains of them make of right and of noisy data.",
        ),
    ] = False,
    real: Annotated[
        bool,
        option(
            "--real",
            help="The proof on a model that was not made for it, such as smollm2: word problems, instructions that a "
            "program can check, LoRA.",
        ),
    ] = False,
    cells: Annotated[
        Path | None,
        option(
            "--cells",
            help="With --stages or --real: cells that have been measured before, under the same settings, are taken "
            "from here.",
            metavar="FILE",
            show_default=False,
        ),
        Names.FILE,
    ] = None,
    lr: Annotated[
        list[float] | None,
        option(
            "--lr",
            help="Peak learning rate of SFT; repeat for a curve. Default: 1e-4, 3e-4 and 1e-3, for models of a few "
            "million parameters; those of billions take 5e-6 to 5e-5.",
            metavar="RATE",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        option(
            "--data",
            help="Only this data set; repeat for more. There are demonstrations, prompt, sdft, mind-the-gap, "
            "agent-anchored, agent-paper, agent-typical and oracle.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None, option("--seeds", help="Seeds of every arm.", min=1, show_default=False)
    ] = None,
    headline_seeds: Annotated[
        int | None,
        option("--headline-seeds", help="Seeds of the two headline arms.", min=1, show_default=False),
    ] = None,
    out: Annotated[Path, option("--out", "-o", help="Folder for everything it makes."), Names.OUTPUT] = Path(
        "effect"
    ),
    jobs: Jobs = None,
    config: Config,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Fine-tune on demonstrations, on rewrites of every kind and on an oracle; measure what each learned and forgot.

    Learning rates and the best agent are chosen by one rule on half of the questions; the other half is reported,
    with intervals over questions and seeds. Killed, the same command goes on. With data of your own: --demonstrations,
    --suite (the target's and at least one general) and --target.

    `--stages` asks instead what is done with the data: chains of fine-tuning stages on the agent's rewrites or on the
    demonstrations, with right labels or a fifth wrong ones, and whether rewrites are the better start for RL.

    `--real` is the proof on a model that nobody here made: `recast effect --real -m smollm2 -o proof`.
    """
    from pydantic import ValidationError

    from recast.pipelines.demo import demo

    assert model, "a job is given the configured model where none is named"
    if stages or real:
        given = {
            "--study": study, "--lr": lr, "--data": data, "--headline-seeds": headline_seeds, "--suite": suite,
            "--target": target, "--demonstrations": demonstrations, "a second --model": model[1:],
            "--real": stages and real,
        }  # fmt: skip
        _refuse_without_effect(given, "--stages" if stages else "--real")
        other = _stages if stages else _real
        return other(model[0], quick, seeds, cells, out, jobs, config, reporter)
    if cells:
        raise UsageError("--cells goes with --stages or --real.")
    from recast.pipelines.effect import effect
    from recast.pipelines.effect.grid import QUICK, Grid
    from recast.pipelines.effect.subject import own_data, pocket_world
    from recast.pipelines.run.stages import default_jobs

    given = {
        "seeds": seeds,
        "headline_seeds": headline_seeds,
        "study": study or None,
        "lrs": tuple(dict.fromkeys(lr or ())) or None,
        "data": tuple(data or ()) or None,
    }
    settings = (QUICK if quick else Grid()).model_dump() | {k: v for k, v in given.items() if v is not None}
    try:
        grid = Grid.model_validate(settings)
    except ValidationError as error:
        raise UsageError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from error
    effect.refuse_what_the_grid_decides(config)
    if demonstrations is None:
        if suite or target:
            raise UsageError(
                "--suite and --target go with --demonstrations FILE; the pocket world has its own."
            )
        subject = pocket_world(out / "data", grid)
        config = type(config).of(demo.CONFIG).over(config.given)
    else:
        if not suite or not target:
            raise UsageError(
                "--demonstrations needs --suite FILE (two or more) and --target SUITE beside it."
            )
        subject = own_data(demonstrations, suite, target, grid)
    return effect.prove(
        out, subject, grid, models=model, config=config, jobs=jobs or default_jobs(), reporter=reporter
    )


def _refuse_without_effect(given: dict[str, Any], proof: str) -> None:
    """Raise UsageError for an option that another proof does not take; `given` are these by name."""
    if refused := [name for name, value in given.items() if value]:
        raise UsageError(f"{refused[0]} has no effect with {proof}, whose arms and questions are fixed.")


def _real(
    model: str,
    quick: bool,
    seeds: int | None,
    cells: Path | None,
    out: Path,
    jobs: int | None,
    config: Config,
    reporter: Reporter | None,
) -> dict[str, Any]:
    """The proof on a real model."""
    from recast.pipelines.effect.real import proof, subject
    from recast.pipelines.effect.real.grid import QUICK, SETTINGS, RealGrid
    from recast.pipelines.run.stages import default_jobs

    proof.refuse_other_settings(config)
    grid = (QUICK if quick else RealGrid()).model_copy(update={"seeds": seeds} if seeds else {})
    return proof.prove(
        out,
        subject.write(out / "data", grid),
        grid,
        model=model,
        config=type(config).of(SETTINGS).over(config.given),
        jobs=jobs or default_jobs(),
        known=cells,
        reporter=reporter,
    )


def _stages(
    model: str,
    quick: bool,
    seeds: int | None,
    cells: Path | None,
    out: Path,
    jobs: int | None,
    config: Config,
    reporter: Reporter | None,
) -> dict[str, Any]:
    """The proof of the stages."""
    from recast.pipelines.demo import demo
    from recast.pipelines.effect.chains import proof
    from recast.pipelines.effect.chains.grid import QUICK, ChainGrid
    from recast.pipelines.effect.chains.subject import pocket_world
    from recast.pipelines.run.stages import default_jobs

    if decided := [name for name in ("sft", "reject", "rl") if config.given.get(name)]:
        raise UsageError(
            f"section {decided[0]} is decided by the grid of --stages: leave it out of the configuration."
        )
    grid = (QUICK if quick else ChainGrid()).model_copy(update={"seeds": seeds} if seeds else {})
    own = {name: value for name, value in demo.CONFIG.items() if name not in ("sft", "model")}
    return proof.prove(
        out,
        pocket_world(out / "data", grid),
        grid,
        model=model,
        config=type(config).of(own).over(config.given),
        jobs=jobs or default_jobs(),
        known=cells,
        reporter=reporter,
    )


def show(result: dict[str, Any], console: Any) -> None:
    if "differences" in result:
        _show_chains(result, console)
        return
    _show(result, console)
    for name, other in result["others"].items():
        console.print(f"\n{name}", markup=False)
        _show(other, console)
    for made in (result, *result["others"].values()):
        console.print(
            f"{made['seconds']:.0f} s. {made['table']}, {', '.join(made['pictures'])}", markup=False
        )


def _show(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("SFT data", "lr", "seeds", "start loss", "downstream", "forgetting"):
        table.add_column(head, justify="left" if head == "SFT data" else "right")
    base = result["base"]
    table.add_row("backbone", "", "", "", f"{base['downstream']:.1f}", f"general {base['general']:.1f}")
    for arm in result["arms"]:
        f = arm["forgetting"]
        table.add_row(
            arm["label"] + (" (best agent)" if arm["agent"] else ""),
            f"{arm['lr']:g}",
            str(arm["num_seeds"]),
            f"{arm['start_loss']:.3f}",
            f"{arm['downstream']:.1f}",
            f"{f['value']:.1f} ({f['low']:.1f} to {f['high']:.1f})",
        )
    console.print(table)
    _show_bounds(result, console)


def _show_bounds(result: dict[str, Any], console: Any) -> None:
    for bound in result["bounds"]:
        held = {True: "held  ", False: "MISSED", None: "open  "}[bound["held"]]
        console.print(f"{held}  {bound['name']}: {bound['found']}", markup=False)


def _show_chains(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("chain", "rows", "seeds", "downstream", "forgetting", "P(correct)", "put badly"):
        table.add_column(head, justify="left" if head in ("chain", "rows") else "right")
    for arm in result["arms"]:
        figures = (f"{arm[key]['value']:.1f}" for key in ("downstream", "forgetting", "correct", "disturbed"))
        table.add_row(arm["label"], arm["rows"], str(arm["num_seeds"]), *figures)
    console.print(table)
    _show_bounds(result, console)
    for found in result["differences"]:
        gain, lost = (
            f"{i['value']:+.1f} ({i['low']:+.1f} to {i['high']:+.1f})"
            for i in (found["downstream"], found["forgetting"])
        )
        console.print(f"{found['question']}: downstream {gain}, forgetting {lost}", markup=False)
    console.print(
        f"{result['models']} models. {result['table']}, {', '.join(result['pictures'])}", markup=False
    )
