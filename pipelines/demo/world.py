"""The pocket world: families of small question-answering tasks with a solver, and one downstream family.

A `Problem` knows its question, its worked steps and its answer; how a solution is written down is the
business of `pipelines.demo.styles`. Questions fall into a train or a test split by a hash of their text,
so the splits cannot overlap, whatever the seeds.

The general families are the suites on which forgetting is measured. The downstream family, `craft`, is
what a user wants to teach: chains of two to four operations named by verbs (`VERBS`) that no pretraining
document contains and whose surface form does not tell the operation.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

NAMES = (
    "Anna Ben Cora Dan Ella Finn Gina Hugo Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Vera Will Zoe"
).split()
FEMALE = frozenset("Anna Cora Ella Gina Iris Kate Mia Olga Rosa Tina Vera Zoe".split())
NOUNS = (
    "pens cups hats keys maps nuts pins cards coins shells stones stamps beads books balls kites"
).split()
GAINS = ("buys", "finds", "gets", "wins", "picks up")
LOSSES = ("loses", "sells", "gives away", "drops", "breaks")
CONTAINERS = "boxes bags jars shelves crates trays".split()
PLACES = "box bag drawer basket car attic kitchen garden".split()
THINGS = "key cup hat map pen coin book ball kite lamp".split()
WORDS = (
    "apple bird cloud door eagle fish grass horse island jacket king leaf moon night ocean pear rain star"
).split()
KINDS = "wugs daxes feps blims zorks toves mips lorps".split()
COLORS = "red blue green black white yellow".split()
ORDINALS = ("first", "second", "third", "fourth", "fifth")

UNITS = (
    ("meters", "centimeters", "1 meter is 100 centimeters", 100),
    ("hours", "minutes", "1 hour is 60 minutes", 60),
    ("weeks", "days", "1 week is 7 days", 7),
    ("dollars", "cents", "1 dollar is 100 cents", 100),
    ("feet", "inches", "1 foot is 12 inches", 12),
    ("years", "months", "1 year is 12 months", 12),
)

# What a verb of the downstream family does. Never in pretraining: `tests/pipelines/demo/test_world.py` holds that.
VERBS = {
    "bolsters": "+",
    "augments": "+",
    "swells": "+",
    "curtails": "-",
    "depletes": "-",
    "prunes": "-",
    "amplifies": "*",
    "replicates": "*",
}

DOWNSTREAM = "craft"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of work: what is said of it, and `left op right = result` where there is arithmetic."""

    text: str
    left: int = 0
    op: str = ""
    right: int = 0
    result: int = 0

    @property
    def equation(self) -> str:
        return f"{self.left} {self.op} {self.right} = {self.result}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its worked solution. `start` is the opening statement of a chain, else empty."""

    family: str
    question: str
    steps: tuple[Step, ...]
    answer: str
    start: str = ""


def calculate(left: int, op: str, right: int) -> int:
    """Integer result of one step. Division is exact by construction of the families."""
    return {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[op]


def step(text: str, left: int, op: str, right: int) -> Step:
    return Step(text, left, op, right, calculate(left, op, right))


def split_of(question: str) -> str:
    """`train` or `test` (one in ten), by the text of the question alone."""
    return "test" if hashlib.sha256(question.encode()).digest()[0] % 10 == 0 else "train"


def half_of(question: str) -> int:
    """0 or 1 for a real question: half 0 is for pretraining and learning, half 1 for measuring rewriting."""
    return hashlib.sha256(question.strip().encode()).digest()[1] % 2


def pronoun(name: str) -> str:
    return "She" if name in FEMALE else "He"


def operand(rng: random.Random, value: int, op: str) -> int | None:
    """An operand that keeps the value between 0 and 120, or None where there is none."""
    if op == "+":
        return rng.randint(2, 30) if value <= 90 else None
    if op == "-":
        return rng.randint(1, min(value - 1, 30)) if value > 3 else None
    return rng.randint(2, 4) if 2 <= value <= 30 else None


def chain(
    rng: random.Random, family: str, length: int, clause: Callable[[str, str, int, str], str], ops: str
) -> Problem:
    """A word problem: a holding, then `length` changes. `clause(pronoun, op, operand, noun)` words a change."""
    name, noun, value = rng.choice(NAMES), rng.choice(NOUNS), rng.randint(4, 50)
    start = f"{name} has {value} {noun}."
    steps: list[Step] = []
    while len(steps) < length:
        op = rng.choice(ops)
        number = operand(rng, value, op)
        if number is None:
            continue
        steps.append(step(clause(pronoun(name), op, number, noun), value, op, number))
        value = steps[-1].result
    question = f"{start} {' '.join(s.text + '.' for s in steps)} How many {noun} does {name} have now?"
    return Problem(family, question, tuple(steps), str(value), start)


def word_problem(length: int) -> Callable[[random.Random], Problem]:
    def make(rng: random.Random) -> Problem:
        def clause(who: str, op: str, number: int, noun: str) -> str:
            return f"{who} {rng.choice(GAINS if op == '+' else LOSSES)} {number} {noun}"

        return chain(rng, f"word{length}", length, clause, "+-")

    return make


def made_up_verb(rng: random.Random) -> str:
    """A word that looks like a verb and means nothing, so that rewriting learns to copy unknown verbs."""
    onset, vowel, coda = (
        "b bl br c cl d dr f fl g gl gr h j k l m n p pl pr qu r s sk sl st t tr v w z",
        "aeiou",
        "b ck d ft g l ll m mp n nd nt p r rt sk st t x",
    )
    syllables = rng.choice((1, 2, 2, 3))
    return (
        "".join(rng.choice(onset.split()) + rng.choice(vowel) for _ in range(syllables))
        + rng.choice(coda.split())
        + "s"
    )


def made_up_chain(rng: random.Random) -> Problem:
    """A chain whose verbs are made up anew each time: solvable only with a solution in view."""
    verbs: dict[str, str] = {}

    def clause(who: str, op: str, number: int, noun: str) -> str:
        verb = verbs.setdefault(op, made_up_verb(rng))
        return f"{who} {verb} the {noun} by {number}" if by else f"{who} {verb} {number} {noun}"

    by = rng.random() < 0.7
    return chain(rng, "made_up", rng.randint(1, 4), clause, "+-*" if by else "+-")


def craft(rng: random.Random) -> Problem:
    """The downstream family. One wording for every operation: only the verb tells which it is.

    Additions are three in five: the backbone takes an unknown verb for a subtraction more often than not, and
    a task that guessing solves would measure no learning.
    """

    def clause(who: str, op: str, number: int, noun: str) -> str:
        return f"{who} {rng.choice([v for v, o in VERBS.items() if o == op])} the {noun} by {number}"

    return chain(rng, DOWNSTREAM, rng.randint(2, 4), clause, "+++-*")


def groups(rng: random.Random) -> Problem:
    box, noun, a, b = rng.choice(CONTAINERS), rng.choice(NOUNS), rng.randint(2, 12), rng.randint(2, 12)
    question = f"There are {a} {box}. Each one holds {b} {noun}. How many {noun} are there in all?"
    return Problem(
        "groups", question, (step(f"There are {a} {box} with {b} {noun} each", a, "*", b),), str(a * b)
    )


def share(rng: random.Random) -> Problem:
    name, noun, a, b = rng.choice(NAMES), rng.choice(NOUNS), rng.randint(2, 12), rng.randint(2, 12)
    question = (
        f"{name} shares {a * b} {noun} equally among {a} friends. How many {noun} does each friend get?"
    )
    return Problem("share", question, (step(f"{a} friends share {a * b} {noun}", a * b, "/", a),), str(b))


def arithmetic(rng: random.Random) -> Problem:
    op = rng.choice("+-*")
    a, b = (
        (rng.randint(2, 12), rng.randint(2, 12)) if op == "*" else (rng.randint(1, 150), rng.randint(1, 99))
    )
    if op == "-" and b > a:
        a, b = b, a
    return Problem("arithmetic", f"What is {a} {op} {b}?", (step("", a, op, b),), str(calculate(a, op, b)))


def expression(rng: random.Random) -> Problem:
    value = rng.randint(5, 40)
    text, steps = str(value), []
    for _ in range(rng.randint(2, 3)):
        op = rng.choice("+-")
        number = operand(rng, value, op) or 1
        steps.append(step("", value, op, number))
        text, value = f"{text} {op} {number}", steps[-1].result
    return Problem("expression", f"Compute {text}.", tuple(steps), str(value))


def compare(rng: random.Random) -> Problem:
    digits = rng.choice((2, 3))
    a, b = rng.sample(range(10 ** (digits - 1), 10**digits), 2)
    if rng.random() < 0.5:  # near numbers are the hard ones
        b = min(max(a + rng.choice((-9, -4, -2, -1, 1, 2, 4, 9)), 10 ** (digits - 1)), 10**digits - 1)
        if a == b:
            b = a - 1 if a > 10 ** (digits - 1) else a + 1
    larger = rng.random() < 0.5
    word = "larger" if larger else "smaller"
    steps = []
    for place, (x, y) in enumerate(zip(str(a), str(b), strict=True)):
        steps.append(Step(f"The {ORDINALS[place]} digits are {x} and {y}"))
        if x != y:
            steps.append(Step(f"{max(x, y) if larger else min(x, y)} is {word}"))
            break
    answer = max(a, b) if larger else min(a, b)
    return Problem("compare", f"Which number is {word}, {a} or {b}?", tuple(steps), str(answer))


def sorting(rng: random.Random) -> Problem:
    numbers = rng.sample(range(10, 100), rng.randint(3, 4))
    ordered = sorted(numbers)
    steps = tuple(Step(f"Number {i + 1} is {n}") for i, n in enumerate(ordered))
    question = f"Sort these numbers from small to large: {', '.join(map(str, numbers))}."
    return Problem("sorting", question, steps, ", ".join(map(str, ordered)))


def reverse(rng: random.Random) -> Problem:
    words = rng.sample(WORDS, rng.randint(3, 5))
    steps = (Step(f"The last word is {words[-1]}"), Step(f"The first word is {words[0]}"))
    return Problem("reverse", f"Reverse this list: {', '.join(words)}.", steps, ", ".join(words[::-1]))


def count(rng: random.Random) -> Problem:
    letters = [rng.choice("abcd") for _ in range(rng.randint(4, 8))]
    target = rng.choice("abcd")
    seen, marks = 0, []
    for letter in letters:
        seen += letter == target
        marks.append(f"{letter} {seen}")
    question = f"How many times is {target} in this row: {' '.join(letters)}?"
    return Problem("count", question, (Step(f"Counting {target}: {', '.join(marks)}"),), str(seen))


def unit(rng: random.Random) -> Problem:
    large, small, rule, factor = rng.choice(UNITS)
    a, b = rng.randint(2, 9), rng.randint(1, min(factor - 1, 40))
    question = f"How many {small} are {a} {large} and {b} {small}?"
    return Problem(
        "unit", question, (step(rule, a, "*", factor), step("", a * factor, "+", b)), str(a * factor + b)
    )


def syllable_name(rng: random.Random) -> str:
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(2)).title() + (
        rng.choice(("", "n", "r", "l", "s"))
    )


def facts() -> dict[tuple[str, str], str]:
    """The facts of the world: an attribute of a land, the same in every process."""
    rng = random.Random("facts of the pocket world")
    lands: list[str] = []
    while len(lands) < 40:
        land = syllable_name(rng) + "ia"
        if land not in lands:
            lands.append(land)
    table = {}
    for land in lands:
        table[land, "capital"] = syllable_name(rng)
        table[land, "river"] = syllable_name(rng)
        table[land, "color"] = rng.choice(COLORS)
        table[land, "animal"] = rng.choice(("bear", "wolf", "fox", "deer", "goat", "hawk", "seal", "hare"))
    return table


FACTS = facts()
FACT_FORMS = (
    "What is the {attribute} of {land}?",
    "Name the {attribute} of {land}.",
    "Which {attribute} belongs to {land}?",
    "Do you know the {attribute} of {land}?",
    "Tell me the {attribute} that {land} has.",
)


def fact(rng: random.Random) -> Problem:
    (land, attribute), value = rng.choice(list(FACTS.items()))
    question = rng.choice(FACT_FORMS).format(attribute=attribute, land=land)
    return Problem("fact", question, (Step(f"The {attribute} of {land} is {value}"),), value)


def logic(rng: random.Random) -> Problem:
    name = rng.choice(NAMES)
    first, second = rng.sample(KINDS, 2)
    color, asked = rng.choice(COLORS), rng.choice(COLORS)
    if rng.random() < 0.5:
        asked = color
    premises = (
        [f"All {first} are {second}", f"All {second} are {color}"]
        if rng.random() < 0.6
        else [f"All {first} are {color}"]
    )
    said = [*premises, f"{name} is one of the {first}"]
    rng.shuffle(said)
    steps = [Step(f"{name} is one of the {first}"), *map(Step, premises), Step(f"So {name} is {color}")]
    question = f"{'. '.join(said)}. Is {name} {asked}?"
    return Problem("logic", question, tuple(steps), "yes" if asked == color else "no")


def reading(rng: random.Random) -> Problem:
    things, places = rng.sample(THINGS, 3), [rng.choice(PLACES) for _ in range(3)]
    told = [f"{rng.choice(NAMES)} put the {t} in the {p}" for t, p in zip(things, places, strict=True)]
    asked = rng.randrange(3)
    question = f"{'. '.join(told)}. Where is the {things[asked]}?"
    return Problem("reading", question, (Step(told[asked]),), places[asked])


def sequence(rng: random.Random) -> Problem:
    first, gap = rng.randint(1, 40), rng.randint(2, 12)
    numbers = [first + gap * i for i in range(4)]
    steps = (step("", numbers[1], "-", numbers[0]), step("", numbers[3], "+", gap))
    question = f"Which number comes next: {', '.join(map(str, numbers))}?"
    return Problem("sequence", question, steps, str(numbers[3] + gap))


def parity(rng: random.Random) -> Problem:
    number = rng.randint(10, 999)
    word = "odd" if number % 2 else "even"
    return Problem(
        "parity",
        f"Is {number} odd or even?",
        (Step(f"{number} ends in {number % 10}, which is {word}"),),
        word,
    )


FAMILIES: dict[str, Callable[[random.Random], Problem]] = {
    "word1": word_problem(1),
    "word2": word_problem(2),
    "word3": word_problem(3),
    "word4": word_problem(4),
    "groups": groups,
    "share": share,
    "arithmetic": arithmetic,
    "expression": expression,
    "compare": compare,
    "sorting": sorting,
    "reverse": reverse,
    "count": count,
    "unit": unit,
    "fact": fact,
    "logic": logic,
    "reading": reading,
    "sequence": sequence,
    "parity": parity,
}
GENERATORS = {**FAMILIES, DOWNSTREAM: craft, "made_up": made_up_chain}


def draw(rng: random.Random, family: str, split: str) -> Problem:
    """One problem of `family` from `split`."""
    while True:
        problem = GENERATORS[family](rng)
        if split_of(problem.question) == split:
            return problem


def problems(family: str, split: str, num: int, seed: int, *, fewer: bool = False) -> Iterator[Problem]:
    """`num` different problems of a family, or with `fewer` all it is found to have. Deterministic in its arguments.

    Raises ValueError where a family has fewer and that is not allowed.
    """
    rng, seen = random.Random(f"{family}/{split}/{seed}"), set()
    for _ in range(200 * num):
        problem = draw(rng, family, split)
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem
            if len(seen) == num:
                return
    if not fewer:
        raise ValueError(f"family {family!r} has fewer than {num} different {split} questions")
