"""`recast attribute`: which groups of changed rows pull a model towards held-out text, and which away from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import Memory, ModelPath, Names, OutFile, VersionRef, argument, option
from recast.pipelines.terminal.text import counted, line

if TYPE_CHECKING:
    from recast.curate.history.diff import Diff
    from recast.curate.history.row_diff import RowDiff
    from recast.curate.store.store import Store
    from recast.pipelines.config import Config
    from recast.pipelines.run.runs import Run
    from recast.pipelines.terminal.progress import Progress
    from recast.train.attribution.influence import Change

COLUMNS = ("op", "decision", "reason", "task", "target")
EDIT = "edit"
DEFAULT_ROWS = 200
SEEDS = 5


def job(
    a: VersionRef,
    b: Annotated[str, argument("The version to compare it with.", metavar="OTHER"), Names.VERSION],
    *,
    model: ModelPath = None,
    suite: Annotated[
        list[Path],
        option("--suite", help="JSONL of held-out questions with answers; repeat for more.", metavar="FILE"),
        Names.FILE,
    ],
    by: Annotated[
        list[str] | None,
        option(
            "--by",
            help=f"What rows are grouped by: {', '.join(COLUMNS)}, {EDIT} (what was changed, as `recast edits` names "
            "it); repeat for groups within groups. Default: decision.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        int, option("--rows", help="Most rows of a group that are measured, drawn by their ids.", min=5)
    ] = DEFAULT_ROWS,
    rank: Annotated[int, option("--rank", help="Rank of the LoRA whose gradients are taken.", min=1)] = 16,
    max_length: Annotated[int, option("--max-length", help="Longest row, tokens.", min=8)] = 1024,
    retrain: Annotated[
        int,
        option(
            "--retrain",
            help="Train OTHER and, for so many groups that look worst, OTHER without the rows of the group.",
            metavar="GROUPS",
            min=0,
            show_default=False,
        ),
    ] = 0,
    seeds: Annotated[
        int | None,
        option(
            "--seeds",
            help=f"With --retrain: seeds that each is trained with. Default: {SEEDS}.",
            min=2,
            show_default=False,
        ),
    ] = None,
    revert: Annotated[
        bool,
        option("--revert", help="With --retrain: leave a group out as it was before, and not altogether."),
    ] = False,
    memory: Memory = None,
    out: OutFile = None,
    seed: Annotated[int, option("--seed", help="Draws the LoRA's matrices and the resamples.", min=0)] = 0,
    store: Store,
    config: Config,
    run: Run,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Say of groups of rows that changed from VERSION to OTHER which help a model on held-out text, and which hurt.

    A group's figure is the mean of its rows' influence: nats that a row gains for each nat that the suite's reference
    answers gain, in a small step of the model; of a changed row that of what it is now less that of what it was. The
    intervals hold for all groups together, in 95 of 100 cases; "cannot tell" where 0 lies within. Nothing is trained.

    With --retrain the model is trained on OTHER as `recast sft` would (section `sft`), and for each of the worst groups
    again without its rows, or with them as they were before (--revert): the gain of a group is by how many nats a
    reference answer is less likely then, with intervals over questions and seeds.
    """
    from recast.curate.files import write_json
    from recast.curate.history.diff import diff
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models
    from recast.train.attribution.groups import effects
    from recast.train.attribution.influence import Change, influences
    from recast.train.evaluation.suites import load_suites

    chosen = by or ["decision"]
    if unknown := [name for name in chosen if name not in (*COLUMNS, EDIT)]:
        raise UsageError(f"--by {unknown[0]}: rows are grouped by {', '.join((*COLUMNS, EDIT))}.")
    if (seeds is not None or revert) and not retrain:
        given = "--revert says how" if revert else "--seeds says how often"
        raise UsageError(f"{given} a group is left out; add --retrain GROUPS, or take it away.")
    settings = config.section("sft")
    heldout: dict[str, list[dict[str, Any]]] = {}
    for item in load_suites(suite):
        row = {"messages": item.messages, "completion": item.completion or item.answer}
        heldout.setdefault(item.suite, []).append(row)
    found = diff(store, a, b)
    held: dict[str, _Drawn] = {}
    for row in found.rows(
        ("messages", "completion", "decision", "reason", "task"), ops=("add", "change", "remove")
    ):
        for group in _groups(row, chosen):
            held.setdefault(group, _Drawn(rows)).take(row)
    if not held:
        raise UsageError(
            f"{found.a.ref} and {found.b.ref} hold the same texts: there is no change to attribute anything to."
        )
    drawn: dict[tuple[str, int], int] = {}
    changes: list[Change] = []
    groups: dict[str, list[int]] = {}
    for group, of in held.items():
        for row in of.rows():
            place = drawn.setdefault((row.row_id, row.target), len(changes))
            if place == len(changes):
                changes.append(Change(row.before, row.after))
            groups.setdefault(group, []).append(place)
    measured = influences(
        changes,
        heldout,
        model_path(str(model)),
        rank=rank,
        max_length=max_length,
        seed=seed,
        memory=models.memory(memory),
        progress=progress,
    )
    result = {
        "a": found.a.ref,
        "b": found.b.ref,
        "model": str(model),
        "by": chosen,
        "seed": seed,
        "suites": [
            {
                "suite": name,
                "questions": len(heldout[name]),
                "step": measured.fell[name],
                "groups": [
                    {
                        "group": effect.group, "rows": held[effect.group].seen, "measured": effect.rows,
                        "value": effect.value, "low": effect.low, "high": effect.high, "says": effect.says,
                    }
                    for effect in effects(influence, groups, seed=seed)
                ],
            }
            for name, influence in measured.influence.items()
        ],
    }  # fmt: skip
    if retrain:
        worst = list(
            dict.fromkeys(group["group"] for of in result["suites"] for group in of["groups"][:retrain])
        )
        changes, places = _trained(store, found, chosen, worst)
        _retrain(result, changes, places, heldout, settings, run, seeds or SEEDS, revert, memory, progress)
    if out:
        write_json(out, result)
        result["out"] = str(out)
    return result


def _retrain(
    result: dict[str, Any], changes: Sequence[Change], places: dict[str, list[int]],
    heldout: dict[str, list[dict[str, Any]]], settings: Any, run: Run, seeds: int, revert: bool,
    memory: str | None, progress: Progress | None,
) -> None:  # fmt: skip
    """Say in `result`, suite by suite, what training without each group of `places` does."""
    from recast.pipelines.models.names import model_path
    from recast.pipelines.wiring import models
    from recast.train.attribution.groups import gains
    from recast.train.attribution.retrain import retrained

    differences = retrained(
        changes,
        places,
        heldout,
        model_path(result["model"]),
        settings,
        run.folder / "trained",
        seeds=seeds,
        revert=revert,
        memory=models.memory(memory),
        progress=progress,
    )
    for suite in result["suites"]:
        suite["without"] = [
            {
                "group": gain.group, "rows": len(places[gain.group]), "seeds": gain.seeds, "value": gain.value,
                "low": gain.low, "high": gain.high, "says": gain.says,
            }
            for gain in gains(differences[suite["suite"]])
        ]  # fmt: skip


def _trained(
    store: Store, found: Diff, by: list[str], groups: list[str]
) -> tuple[list[Change], dict[str, list[int]]]:
    """All rows that are trained, in the order of the version and then those that were removed, and the places of each
    group's rows."""
    from recast.train.attribution.influence import Change

    names = ("messages", "completion", "decision", "reason", "task")
    changed = {(row.row_id, row.target): row for row in found.rows(names, ops=("add", "change", "remove"))}
    changes: list[Change] = []
    places: dict[str, list[int]] = {group: [] for group in groups}

    def place(row: RowDiff) -> None:
        for group in _groups(row, by):
            if group in places:
                places[group].append(len(changes))
        changes.append(Change(row.before, row.after))

    for row in store.open(found.b).rows(("row_id", "target", "messages", "completion")):
        if (known := changed.get((row["row_id"], row["target"]))) is not None:
            place(known)
        else:
            changes.append(Change(row, row))
    for row in changed.values():
        if row.after is None:
            place(row)
    return changes, places


class _Drawn:
    """The rows of a group with the lowest hashes of their keys, whatever their order: at most so many."""

    def __init__(self, most: int) -> None:
        self.most, self.seen = most, 0
        self._held: list[tuple[int, int, RowDiff]] = []

    def take(self, row: RowDiff) -> None:
        import heapq

        from recast.curate.fingerprint import seed_of

        self.seen += 1
        entry = (-seed_of(0, row.row_id, row.target), self.seen, row)
        if len(self._held) < self.most:
            heapq.heappush(self._held, entry)
        else:
            heapq.heappushpop(self._held, entry)

    def rows(self) -> list[RowDiff]:
        return [row for _, _, row in sorted(self._held, key=lambda entry: entry[1])]


def _groups(row: RowDiff, by: list[str]) -> Iterator[str]:
    """The names of the groups that a row is in: one, or one for each kind of edit."""
    side = row.after or row.before or {}
    values = {"op": row.op, "target": row.target, **{name: side.get(name) for name in COLUMNS[1:4]}}
    names = [str(values[name]) if values[name] not in (None, "") else "none" for name in by if name != EDIT]
    for kind in _kinds(row) if EDIT in by else [None]:
        yield ", ".join([*names, *([kind] if kind else [])])


def _kinds(row: RowDiff) -> Sequence[str | None]:
    from recast.curate.history.edits import prompt_of
    from recast.curate.language.edits.edits import edits

    if row.before is None or row.after is None:
        return [row.op]
    told = edits(row.before["completion"], row.after["completion"], prompt_of(row.after["messages"]))
    return sorted({edit.name for edit in told}) or ["none"]


def show(result: dict[str, Any], console: Any) -> None:
    from rich.text import Text

    console.print(Text(f"{result['a']} -> {result['b']} under {line(result['model'], 60)}", "bold"))
    for suite in result["suites"]:
        console.print(
            Text(f"\n{line(suite['suite'], 60)}  {counted(suite['questions'], 'question')}", "bold")
        )
        _table(console, suite["groups"], ("rows", "measured"), "influence")
        if "without" in suite:
            console.print(
                "\ntrained with all of them, and without the group: nats an answer that it gains",
                markup=False,
            )
            _table(console, suite["without"], ("rows", "seeds"), "gain")
    if "out" in result:
        console.print(f"\nwritten to {result['out']}", markup=False)


def _table(console: Any, groups: list[dict[str, Any]], counts: tuple[str, str], figure: str) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    for name in (*counts, figure, "interval"):
        table.add_column(name, justify="right")
    table.add_column("")
    colour = {"helps": "green", "hurts": "red"}
    for group in groups:
        table.add_row(
            Text(line(group["group"], 60)),
            *(f"{group[name]:,}" for name in counts),
            f"{group['value']:+.3g}",
            f"{group['low']:+.3g} to {group['high']:+.3g}",
            Text(group["says"], colour.get(group["says"], "dim")),
        )
    console.print(table)
