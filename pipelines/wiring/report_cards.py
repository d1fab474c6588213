"""What the verbs of the gate share: labelled completions to measure it on, and its report card for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from recast.pipelines.options import Names, option

if TYPE_CHECKING:
    from recast.curate.gate.labels import Labelled
    from recast.curate.store.store import Store

ReviewedName = Annotated[
    str | None,
    option(
        "--reviewed",
        help="Labels that people gave: a version that `recast review --commit` made, or a file of decisions.",
        metavar="VERSION",
        show_default=False,
    ),
    Names.VERSION,
]
PerturbationSeed = Annotated[int, option("--seed", help="Seed of the perturbations.")]

SHOWN_EXAMPLES = 4
SHOWN_CHARS = 400
MIN_SHARE = 0.01  # of a kind, for a check to be named as one that sees it
STATUSES = ("accepted", "rejected", "unverifiable")


def perturbed(
    store: Store, name: str, limit: int | None, seed: int, *, words: bool = False
) -> tuple[Iterator[Labelled], str]:
    """The demonstrations of a version, perturbed, with `words` in words too, and what to call these labels."""
    from recast.curate.gate.perturbation.perturb import perturb

    version = store.resolve(name)
    columns = ["row_id", "target", "messages", "demonstration", "answer", "task"]
    rows = islice(store.open(version).rows(columns), limit)
    count = min(version.rows, limit) if limit else version.rows
    return perturb(
        rows, seed=seed, words=words
    ), f"perturbations of {count} rows of {version.ref}, seed {seed}"


def of_file(labels: Path, limit: int | None = None) -> tuple[Iterator[Labelled], str]:
    """The labels of a file, and what to call them. One that cannot be read is said at once, before workers start."""
    from recast.curate.gate.labels import read
    from recast.pipelines.run.identity import digest

    found = read(labels)
    return islice(chain([next(found)], found), limit), f"{labels.name} ({digest(labels)[:8]})"


def show_card(gate: str, card: dict[str, Any], console: Any) -> None:
    """The card for people: the confusion matrix, then a line for each kind, task and check, then the worst."""
    each = 1e3 * card["seconds"] / max(1, card["completions"])
    people = [_people(card["people"])] if card.get("people") else []
    lines = [
        f"gate {gate} ({card['gate_id']}) on {card['labels']}, {card['measured_at'][:10]}:",
        f"{card['completions']} completions, {each:.2f} ms of processor time each",
        f"{'':10}" + "".join(f"{status:>14}" for status in STATUSES),
    ]
    for side in ("right", "wrong"):
        counts = card["ensemble"][side]
        lines.append(f"  {side:8}" + "".join(f"{counts.get(status, 0):>14}" for status in STATUSES))
    lines += people
    heads = ("wrong ones accepted", "right ones rejected", "undecided")
    lines.append(f"{'':34}" + "".join(f"{head:>36}" for head in heads))
    lines.append(_line("the gate", card["ensemble"]))
    for title, section in (
        ("by kind", "kinds"),
        ("by group of kinds", "groups"),
        ("by task", "tasks"),
        ("each check alone", "checks"),
    ):
        tallies = card.get(section, {})  # a card of before knows no groups
        if section == "groups" and len(tallies) < 2:
            continue  # it would say again what the gate as a whole does
        idle = [key for key, tally in tallies.items() if _passes_all(tally)] if section == "checks" else []
        tallies = {key: tally for key, tally in tallies.items() if key not in idle}
        lines += (
            [f"{title}:", *(_line(f"  {key}", tally) for key, tally in tallies.items())] if tallies else []
        )
        lines += [f"checks that pass all of it: {', '.join(idle)}"] if idle else []
        for key, counts in card["open_kinds"].items() if section == "kinds" else ():
            said = ", ".join(f"{count} {status}" for status, count in counts.items())
            lines.append(f"  {key:18}  people differ: {said}")
    seen = [f"  {kind:18}  {said}" for kind, by_check in card["seen"].items() if (said := _seen(by_check))]
    lines += ["wrong ones that a check alone does not pass, by kind:", *seen] if seen else []
    lines += (
        _unvouched(card) if not people else []
    )  # it knows no kinds: these are rows, as somebody judged them
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


def _people(found: dict[str, Any]) -> str:
    """What people found of the rows that the gate accepts."""
    from recast.curate.history.reviews import REASONS

    low, high = found["interval"]
    came = found["queues"]
    basis = (
        "drawn at random"
        if set(came) == {"random"}
        else f"which came up by {', '.join(came) or 'nothing'} and stand for themselves alone"
    )
    said = (
        f"as people judged: {found['wrong']} of {found['accepted']} reviewed rows that it accepts are wrong = "
        f"{found['share']:.2%} [{low:.2%}, {high:.2%}], {basis}"
    )
    if reasons := found.get("reasons"):  # a card of before has none
        named = (f"{REASONS.get(reason, 'no reason given')} {rows}" for reason, rows in reasons.items())
        said += f"\n  because: {', '.join(named)}"
    order = found["by_order"]
    if order and order["looked"]:
        low, high = order["interval"]
        said += (
            f"\nof all {order['rows']} rows that were up for review, {low:.2%} to {high:.2%} are wrong and accepted: "
            f"95 % sure, by the first {order['looked']} of the drawn order"
        )
    return said


def _passes_all(tally: dict[str, Any]) -> bool:
    let_through, refused, undecided = (tally[key] for key in ("false_accepts", "false_rejects", "undecided"))
    all_passed = let_through["count"] == let_through["total"]
    return all_passed and not refused["count"] and not undecided["count"]


def _seen(by_check: dict[str, Any]) -> str:
    return "; ".join(f"{check} {rate(of)}" for check, of in by_check.items() if of["share"] >= MIN_SHARE)


def _unvouched(card: dict[str, Any]) -> Iterator[str]:
    """What the card cannot vouch for: kinds that pass, and what is no kind of it."""
    if "unvouched" not in card:
        return
    yield "what this card cannot vouch for:"
    for kind, passing in card["unvouched"].items():
        yield f"  {kind:30}  {rate(passing)} pass"
    yield (
        "  and whatever none of its kinds is: they are made of demonstrations by rules, and a model errs in ways of "
        "its own. Read what it accepted: recast review"
    )


def _line(name: str, tally: dict[str, Any]) -> str:
    rates = (rate(tally[key]) for key in ("false_accepts", "false_rejects", "undecided"))
    return f"{name:34}" + "".join(f"{said:>36}" for said in rates)


def rate(found: dict[str, Any]) -> str:
    """A share with its counts and interval; nothing where nothing was counted."""
    if not found["total"]:
        return ""
    low, high = found["interval"]
    return f"{found['count']}/{found['total']} {found['share']:.2%} [{low:.2%}, {high:.2%}]"
