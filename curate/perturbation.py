"""Labelled data from any dataset with worked answers: right rewrites, and the same with one thing made wrong.

The base of every perturbation is `retold`: the demonstration's steps said in another order of words (equation
first, then its sentence with the result in place of the sum), calculator annotations gone, the answer at the end.
It must pass the gate; so must its reordered and renotated variants. The wrong ones change one thing each. What
is made depends on nothing but the row and the seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from curate.answers import find_answer
from curate.arithmetic import equalities
from curate.checks.copying import containment
from curate.fingerprint import seed_of
from curate.numerals import exact, literal

_STEP = re.compile(
    r"(?P<sum>[$€£]?[\d.(][^=<>\n]*?)\s*=\s*(?P<money>[$€£]?)<<(?P<work>[^<>]+)=(?P<value>[^<>=]+)>>\s*[\d.,]*\d"
)
_PLAIN_STEP = re.compile(r"(?<![\w.])(\d[\d.]*(?: [-+*/] \d[\d.]*)+) = ([$]?)(\d[\d,.]*\d|\d)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")

MAX_COPIED = 0.7  # of the retelling's 8-grams


@dataclass(frozen=True, slots=True)
class Labelled:
    """A completion of known worth. `right` is None for kinds about which people differ (a unit left off)."""

    row: Mapping[str, Any]
    completion: str
    right: bool | None
    kind: str


def retold(row: Mapping[str, Any]) -> str | None:
    """A right rewrite of a GSM8K-like demonstration.

    None where it states no annotated step or no answer, and where so little could be said differently that the
    result is a copy.
    """
    answer = find_answer(row["demonstration"], False)
    if answer is None:
        return None
    lines: list[str] = []
    steps = 0
    for line in row["demonstration"][: answer.start].splitlines():
        match = _STEP.search(line)
        if match is None or line.count("<<") > 1:
            lines.append(re.sub(r"<<[^<>]*>>", "", line).strip())
            continue
        steps += 1
        work = " ".join(re.sub(r"([-+*/])", r" \1 ", match.group("work")).split())
        value = match.group("value").strip()
        told = f"{line[: match.start()]}{match.group('money')}{value}{line[match.end() :]}"
        lines.append(f"{work} = {value}. {told.strip()}")
    text = "\n".join([*(line for line in lines if line), f"The answer is {answer.text}."])
    return text if steps and containment(text, row["demonstration"]) <= MAX_COPIED else None


# --- kinds ----------------------------------------------------------------------------------------------


def _tail(text: str) -> tuple[str, str]:
    head, _, answer = text.rpartition("The answer is ")
    return head + "The answer is ", answer.rstrip(".")


def _answer_changed(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    value, decimals = literal(answer)
    if value is None or decimals:
        return None
    change = random.choice([1, -1, 2, 10, -10, int(value), 3])
    return f"{head}{int(value) + (change or 1)}."


def _sign_flipped(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    return f"{head}-{answer}." if literal(answer)[0] else None


def _digits_swapped(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    places = [i for i in range(len(answer) - 1) if answer[i : i + 2].isdigit() and answer[i] != answer[i + 1]]
    if not places:
        return None
    i = random.choice(places)
    return f"{head}{answer[:i]}{answer[i + 1]}{answer[i]}{answer[i + 2 :]}."


def _false_equality(text: str, random: Random) -> str | None:
    """One stated result is wrong, everything else stays right."""
    steps = list(_PLAIN_STEP.finditer(text))
    if not steps:
        return None
    step = random.choice(steps)
    value = literal(step.group(3))[0]
    if value is None:
        return None
    wrong = value + random.choice([1, -1, 2, 10])
    return f"{text[: step.start(3)]}{_shown(wrong)}{text[step.end(3) :]}"


def _number_altered(text: str, random: Random) -> str | None:
    """A step's result is another number wherever it stands, apart from the final answer."""
    head, answer = _tail(text)
    steps = [s for s in _PLAIN_STEP.finditer(head) if literal(s.group(3))[0] != literal(answer)[0]]
    if not steps:
        return None
    old = random.choice(steps).group(3)
    new = _shown((literal(old)[0] or 0) + random.choice([1, 3, 7]))
    return re.sub(rf"(?<![\d.,]){re.escape(old)}(?![\d]|[.,]\d)", new, head) + answer + "."


def _operand_altered(text: str, random: Random) -> str | None:
    """A number that goes into a step is another one there, its result stays."""
    steps = list(_PLAIN_STEP.finditer(text))
    if not steps:
        return None
    step = random.choice(steps)
    number = random.choice(list(_NUMBER.finditer(step.group(1))))
    value = literal(number.group().rstrip("."))[0]
    if value is None:
        return None
    at = step.start(1)
    return f"{text[: at + number.start()]}{_shown(value + 1)}{text[at + number.end() :]}"


def _step_dropped(text: str, random: Random) -> str | None:
    lines = text.split("\n")
    steps = [i for i, line in enumerate(lines[:-1]) if _PLAIN_STEP.match(line)]
    if len(steps) < 2:
        return None
    gone = random.choice(steps[:-1])
    return "\n".join(line for i, line in enumerate(lines) if i != gone)


def _reasoning_dropped(text: str, random: Random) -> str | None:
    return text.rsplit("\n", 1)[-1]


def _told_twice(text: str, random: Random) -> str | None:
    return f"{text}\n{text}"


def _reordered(text: str, random: Random) -> str | None:
    """Two neighbouring steps change places where the second does not use the first's result."""
    lines = text.split("\n")
    for i in range(len(lines) - 2):
        first, second = _PLAIN_STEP.match(lines[i]), _PLAIN_STEP.match(lines[i + 1])
        if first and second and first.group(3) not in _NUMBER.findall(lines[i + 1]):
            lines[i], lines[i + 1] = lines[i + 1], lines[i]
            return "\n".join(lines)
    return None


def _latex(text: str, random: Random) -> str | None:
    """The same sums in LaTeX, the answer in a box."""
    head, answer = _tail(text)

    def formula(match: re.Match[str]) -> str:
        work = match.group(1).replace("*", "\\times").replace("/", "\\div")
        return f"${work} = {match.group(3)}$"

    return _PLAIN_STEP.sub(formula, head).replace(
        "The answer is ", f"So the final answer is $\\boxed{{{answer}}}$."
    )


def _in_words(text: str, random: Random) -> str | None:
    """The same sums in words: `48 divided by 2 equals 24`."""
    words = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}

    def told(match: re.Match[str]) -> str:
        return (
            re.sub(r" ([-+*/]) ", lambda m: f" {words[m.group(1)]} ", match.group(1))
            + f" equals {match.group(3)}"
        )

    steps = [s for s in _PLAIN_STEP.finditer(text) if len(re.findall(r" [-+*/] ", s.group(1))) == 1]
    return _PLAIN_STEP.sub(told, text) if steps and len(steps) == len(_PLAIN_STEP.findall(text)) else None


def _unit_dropped(text: str, random: Random) -> str | None:
    head, answer = _tail(text)
    return f"{head}{random.choice(['$', ''])}{answer}{random.choice([' dollars', ' of them', ''])}."


Kind = Callable[[str, Random], "str | None"]
RIGHT: dict[str, Kind] = {
    "retold": lambda text, random: text,
    "reordered": _reordered,
    "latex": _latex,
    "in_words": _in_words,
}
WRONG: dict[str, Kind] = {
    "answer_changed": _answer_changed,
    "sign_flipped": _sign_flipped,
    "digits_swapped": _digits_swapped,
    "false_equality": _false_equality,
    "operand_altered": _operand_altered,
    "number_altered": _number_altered,
    "step_dropped": _step_dropped,
    "reasoning_dropped": _reasoning_dropped,
    "told_twice": _told_twice,
}
OPEN: dict[str, Kind] = {"unit_changed": _unit_dropped}


def perturb(rows: Iterable[Mapping[str, Any]], *, seed: int = 0) -> Iterator[Labelled]:
    """Every kind that applies to each row. Rows whose own demonstration states a false equality are left out."""
    for number, row in enumerate(rows):
        text = retold(row)
        if text is None or any(e.truth is False for e in equalities(text)):
            continue
        for right, kinds in ((True, RIGHT), (False, WRONG), (None, OPEN)):
            for kind, change in kinds.items():
                random = Random(seed_of(seed, str(row.get("row_id") or number), kind))
                changed = change(text, random)
                if changed is not None and (changed != text or kind == "retold"):
                    yield Labelled(row, changed, right, kind)


def _shown(value: object) -> str:
    number = exact(value) if not isinstance(value, int) else value  # type: ignore[arg-type]
    return str(number) if isinstance(number, int) else f"{float(number):g}"
