"""`recast gate report`: how often a gate is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from recast.curate.errors import UsageError
from recast.pipelines.options import GateName, Limit, Names, UnsafeExec, Workers, argument, option

SHOWN_EXAMPLES = 4
SHOWN_CHARS = 400
MIN_SHARE = 0.01  # of a kind, for a check to be named as one that sees it
STATUSES = ("accepted", "rejected", "unverifiable")


def job(
    name: Annotated[
        str | None,
        argument("A version to perturb. None: --labels, or what is known already.", metavar="[VERSION]"),
        Names.VERSION,
    ] = None,
    *,
    gate: GateName = None,
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
    limit: Limit = None,
    seed: Annotated[int, option("--seed", help="Seed of the perturbations.")] = 0,
    workers: Workers = None,
    unsafe_exec: UnsafeExec = False,
    store: Any,
    config: Any,
    progress: Any = None,
) -> dict[str, Any]:
    """The report card of a gate: false accepts and false rejects with 95 % Wilson intervals, by check, task and kind.

    The labels are a file's, or made from a version by perturbing its demonstrations; without either, the cards
    that the store holds for the gate are shown. A card is kept with the gate's id, where `gate run`, `log` and
    `why` find it. A check's own row says what it would let through if it were alone.
    """
    from recast.curate.gate import gate_files
    from recast.curate.gate.report_card import report_card
    from recast.curate.parallel import default_workers
    from recast.pipelines.wiring.gates import open_gate

    judge = open_gate(str(gate), engine=config.section("judge"), unsafe_exec=unsafe_exec, scored=name is None)
    if name is None and labels is None:
        known = gate_files.cards(store.root, judge.id)
        if not known:
            raise UsageError(
                f"gate {judge.name} ({judge.id}) has not been measured in {store.root}. Name a version whose "
                f"demonstrations are to be perturbed, or --labels FILE: recast gate report VERSION --gate {gate}"
            )
        return {"gate": judge.name, "cards": known}
    if name is not None and labels is not None:
        raise UsageError(
            "a report card is made from a version or from --labels, not from both. Leave one out."
        )
    made, said = labelled(store, name, labels, limit, seed)
    card = report_card(judge, made, workers=workers or default_workers(), progress=progress)
    gate_files.describe(store.root, judge.id, judge.name, judge.identity)
    content = {"gate": judge.name, **card.to_json()}
    gate_files.keep_card(store.root, judge.id, said, content)
    return {"gate": judge.name, "cards": [{"labels": said, **content}]}


def labelled(
    store: Any, name: str | None, labels: Path | None, limit: int | None, seed: int
) -> tuple[Any, str]:
    """The labels asked for, and what to call them."""
    from itertools import islice

    from recast.curate.gate.labels import read
    from recast.curate.gate.perturbation import perturb

    if labels is not None:
        from recast.pipelines.run.identity import digest

        found = read(labels)
        first = next(found)  # a file that cannot be read is said before workers start
        return islice(_again(first, found), limit), f"{labels.name} ({digest(labels)[:8]})"
    version = store.resolve(name)
    columns = ["row_id", "target", "messages", "demonstration", "answer", "task"]
    rows = islice(store.open(version).rows(columns), limit)
    count = min(version.rows, limit) if limit else version.rows
    return perturb(rows, seed=seed), f"perturbations of {count} rows of {version.ref}, seed {seed}"


def _again(first: Any, rest: Any) -> Any:
    yield first
    yield from rest


def show(result: dict[str, Any], console: Any) -> None:
    for card in result["cards"]:
        show_card(result["gate"], card, console)


def show_card(gate: str, card: dict[str, Any], console: Any) -> None:
    """The card for people: the confusion matrix, then a line for each kind, task and check, then the worst."""
    each = 1e3 * card["seconds"] / max(1, card["completions"])
    lines = [
        f"gate {gate} ({card['gate_id']}) on {card['labels']}, {card['measured_at'][:10]}:",
        f"{card['completions']} completions, {each:.2f} ms of processor time each",
        f"{'':10}" + "".join(f"{status:>14}" for status in STATUSES),
    ]
    for side in ("right", "wrong"):
        counts = card["ensemble"][side]
        lines.append(f"  {side:8}" + "".join(f"{counts.get(status, 0):>14}" for status in STATUSES))
    heads = ("wrong ones accepted", "right ones rejected", "undecided")
    lines.append(f"{'':20}" + "".join(f"{head:>36}" for head in heads))
    lines.append(_line("the gate", card["ensemble"]))
    for title, section in (("by kind", "kinds"), ("by task", "tasks"), ("each check alone", "checks")):
        lines.append(f"{title}:")
        lines += [_line(f"  {key}", tally) for key, tally in card[section].items()]
        for key, counts in card["open_kinds"].items() if section == "kinds" else ():
            said = ", ".join(f"{count} {status}" for status, count in counts.items())
            lines.append(f"  {key:18}  people differ: {said}")
    lines.append("wrong ones that a check alone does not pass, by kind:")
    for kind, by_check in card["seen"].items():
        said = [f"{check} {_rate(rate)}" for check, rate in by_check.items() if rate["share"] >= MIN_SHARE]
        lines.append(f"  {kind:18}  {'; '.join(said)}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    for example in card["examples"][:SHOWN_EXAMPLES]:
        text = " / ".join(example["completion"].splitlines())[:SHOWN_CHARS]
        console.print(
            f"  {example['kind']}, row {example['row_id'] or '?'}: should be {example['expected']}; the gate said: "
            f"{example['said']}\n    {text}",
            markup=False,
            soft_wrap=True,
        )
    if len(card["examples"]) > SHOWN_EXAMPLES:
        console.print(f"  and {len(card['examples']) - SHOWN_EXAMPLES} more mistakes; --json lists them")


def _line(name: str, tally: dict[str, Any]) -> str:
    rates = (_rate(tally[key]) for key in ("false_accepts", "false_rejects", "undecided"))
    return f"{name:20}" + "".join(f"{rate:>36}" for rate in rates)


def _rate(rate: dict[str, Any]) -> str:
    if not rate["total"]:
        return ""
    low, high = rate["interval"]
    return f"{rate['count']}/{rate['total']} {rate['share']:.2%} [{low:.2%}, {high:.2%}]"
