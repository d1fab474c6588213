"""Word problems in plain English, of two or three steps: what the proof on a real model teaches.

Each kind tells a little story with its own numbers, names and things. Numbers are small and such that every result is
a whole one above 0. A small instruct model goes wrong in most of them; demonstrations solve them step by step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from recast.pipelines.demo.world import FEMALE, GAINS, LOSSES, NAMES, Problem, Step, calculate, split_of

TASK = "problems"
"""Suite and task that the demonstrations teach."""
THINGS = (
    "pens cups hats keys maps nuts pins cards coins shells stones stamps beads books balls kites apples pears plums "
    "oranges lemons eggs cookies muffins candles buttons ribbons marbles stickers pencils notebooks tickets flowers"
).split()
SHOPS = "market bakery bookshop kiosk museum zoo".split()
HOLDERS = ("boxes", "bags", "jars", "shelves", "crates", "trays", "baskets", "drawers")
TREES = ("apple trees", "pear trees", "plum trees", "rose bushes", "vines", "tulips")
RIDES = ("A bus", "A train", "A truck", "A boat", "A cyclist")
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def who(rng: random.Random, num: int = 1) -> list[str]:
    return rng.sample(NAMES, num)


def he(name: str) -> str:
    return "she" if name in FEMALE else "he"


def told(kind: str, question: str, *steps: tuple[str, int, str, int]) -> Problem:
    worked = tuple(Step(text, a, op, b, calculate(a, op, b)) for text, a, op, b in steps)
    return Problem(kind, question, worked, str(worked[-1].result))


def changes(rng: random.Random) -> Problem:
    (name,), noun, value = who(rng), rng.choice(THINGS), rng.randint(6, 30)
    said, steps = [], []
    start = value
    for _ in range(rng.randint(2, 3)):
        op = rng.choice("+-")
        number = rng.randint(2, 15) if op == "+" else rng.randint(1, min(value - 2, 12))
        verb = rng.choice(GAINS if op == "+" else LOSSES)
        said.append(f"{he(name).title()} {verb} {number} {noun}")
        steps.append((said[-1], value, op, number))
        value = calculate(value, op, number)
        if value < 4:
            break
    question = f"{name} has {start} {noun}. {'. '.join(said)}. How many {noun} does {name} have in the end?"
    return told("changes", question, *steps)


def stored(rng: random.Random) -> Problem:
    holder, noun = rng.choice(HOLDERS), rng.choice(THINGS)
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 20)
    question = (
        f"There are {a} {holder} with {b} {noun} in each, and {c} more {noun} lie on the floor. "
        f"How many {noun} are there in all?"
    )
    return told(
        "stored",
        question,
        (f"The {a} {holder} hold {b} {noun} each", a, "*", b),
        (f"{c} more lie on the floor", a * b, "+", c),
    )


def change_back(rng: random.Random) -> Problem:
    (name,), noun = who(rng), rng.choice(THINGS)
    a, price = rng.randint(2, 9), rng.randint(2, 6)
    paid = a * price + rng.randint(1, 12)
    question = (
        f"At the {rng.choice(SHOPS)} {name} buys {a} {noun} for {price} dollars each and pays with {paid} dollars. "
        f"How many dollars does {he(name)} get back?"
    )
    return told(
        "change_back",
        question,
        (f"The {a} {noun} cost {price} dollars each", a, "*", price),
        (f"{name} pays with {paid} dollars", paid, "-", a * price),
    )


def two_prices(rng: random.Random) -> Problem:
    shop = rng.choice(SHOPS)
    a, b, p, q = rng.randint(2, 6), rng.randint(2, 6), rng.randint(4, 9), rng.randint(2, 5)
    question = (
        f"A {shop} sells {a} tickets for adults at {p} dollars each and {b} tickets for children at {q} dollars each. "
        "How many dollars does it take in?"
    )
    return told(
        "two_prices",
        question,
        ("The adults pay", a, "*", p),
        ("The children pay", b, "*", q),
        ("Together they pay", a * p, "+", b * q),
    )


def times_as_many(rng: random.Random) -> Problem:
    (one, two), noun, a, k = who(rng, 2), rng.choice(THINGS), rng.randint(2, 12), rng.randint(2, 4)
    question = f"{one} has {a} {noun}. {two} has {k} times as many. How many {noun} do they have together?"
    return told(
        "times_as_many",
        question,
        (f"{two} has {k} times as many {noun}", a, "*", k),
        ("They put them together", a * k, "+", a),
    )


def more_than(rng: random.Random) -> Problem:
    (one, two), noun = who(rng, 2), rng.choice(THINGS)
    a, d = rng.randint(3, 25), rng.randint(2, 10)
    if rng.random() < 0.5:
        question = (
            f"{one} collects {a} {noun}, and {two} collects {d} more than {one}. "
            "How many do they collect together?"
        )
        return told(
            "more_than",
            question,
            (f"{two} collects {d} more", a, "+", d),
            ("They put them together", a + d, "+", a),
        )
    a += d
    question = f"{one} collects {a} {noun}, and {two} collects {d} fewer than {one}. How many do they collect together?"
    return told(
        "more_than",
        question,
        (f"{two} collects {d} fewer", a, "-", d),
        ("They put them together", a - d, "+", a),
    )


def pages(rng: random.Random) -> Problem:
    (name,), a, d = who(rng), rng.randint(3, 10), rng.randint(2, 6)
    total = a * d + rng.randint(3, 40)
    question = f"A book has {total} pages. {name} reads {a} pages a day for {d} days. How many pages are left to read?"
    return told(
        "pages",
        question,
        (f"In {d} days {name} reads", d, "*", a),
        ("The pages that are left", total, "-", a * d),
    )


def shared(rng: random.Random) -> Problem:
    (name,), noun, k, each, kept = (
        who(rng),
        rng.choice(THINGS),
        rng.randint(2, 6),
        rng.randint(2, 9),
        rng.randint(1, 9),
    )
    total = k * each + kept
    question = (
        f"{name} has {total} {noun}, keeps {kept} of them, and shares the others equally among {k} friends. "
        f"How many {noun} does each friend get?"
    )
    return told(
        "shared",
        question,
        (f"{name} keeps {kept}", total, "-", kept),
        (f"{k} friends share the others", total - kept, "/", k),
    )


def savings(rng: random.Random) -> Problem:
    (name,), a, weeks = who(rng), rng.randint(2, 10), rng.randint(2, 9)
    spent = rng.randint(2, a * weeks - 1)
    question = (
        f"{name} saves {a} dollars a week for {weeks} weeks and then spends {spent} dollars on a present. "
        f"How many dollars does {he(name)} have left?"
    )
    return told(
        "savings",
        question,
        (f"In {weeks} weeks {name} saves", weeks, "*", a),
        (f"{he(name).title()} spends {spent} dollars", a * weeks, "-", spent),
    )


def distance(rng: random.Random) -> Problem:
    ride, speed, hours, more = (
        rng.choice(RIDES),
        rng.randint(2, 9) * 10,
        rng.randint(2, 5),
        rng.randint(5, 30),
    )
    question = (
        f"{ride} covers {speed} kilometers an hour for {hours} hours and then {more} kilometers more. "
        "How many kilometers is that in all?"
    )
    return told(
        "distance",
        question,
        (f"In {hours} hours it covers", hours, "*", speed),
        (f"Then come {more} kilometers more", hours * speed, "+", more),
    )


def garden(rng: random.Random) -> Problem:
    tree, rows, each = rng.choice(TREES), rng.randint(2, 9), rng.randint(3, 9)
    lost = rng.randint(2, rows * each // 2)
    question = (
        f"A garden has {rows} rows of {each} {tree}. A storm breaks {lost} of them. How many {tree} are left?"
    )
    return told(
        "garden",
        question,
        (f"The {rows} rows hold", rows, "*", each),
        (f"The storm breaks {lost}", rows * each, "-", lost),
    )


def packed(rng: random.Random) -> Problem:
    (name,), noun, k, packs = who(rng), rng.choice(THINGS), rng.randint(2, 6), rng.randint(2, 9)
    first = rng.randint(2, k * packs - 2)
    one, two = rng.sample(WEEKDAYS, 2)
    question = (
        f"{name} collects {first} {noun} on {one} and {k * packs - first} on {two}, and packs all of them in bags "
        f"of {k}. How many bags does {he(name)} fill?"
    )
    return told(
        "packed",
        question,
        ("On both days together", first, "+", k * packs - first),
        (f"Each bag takes {k}", k * packs, "/", k),
    )


def ages(rng: random.Random) -> Problem:
    (one, two), a, years = who(rng, 2), rng.randint(14, 40), rng.randint(2, 10)
    d = rng.randint(2, 9)
    question = f"{one} is {a} years old. {two} is {d} years younger than {one}. How old will {two} be in {years} years?"
    return told(
        "ages",
        question,
        (f"{two} is {d} years younger", a, "-", d),
        (f"In {years} years", a - d, "+", years),
    )


def visitors(rng: random.Random) -> Problem:
    shop = rng.choice(SHOPS)
    one, two, three = rng.sample(WEEKDAYS, 3)
    a, b, c = (rng.randint(5, 40) for _ in range(3))
    question = (
        f"A {shop} has {a} visitors on {one}, {b} on {two} and {c} on {three}. "
        "How many visitors come on these days?"
    )
    return told(
        "visitors",
        question,
        (f"{one} and {two}", a, "+", b),
        (f"{three} as well", a + b, "+", c),
    )


KINDS: tuple[Callable[[random.Random], Problem], ...] = (
    changes, stored, change_back, two_prices, times_as_many, more_than, pages, shared, savings, distance, garden,
    packed, ages, visitors,
)  # fmt: skip


def draw(split: str, num: int, seed: int) -> Iterator[Problem]:
    """`num` different problems of a split (`train` or `test`, apart by hash of the question), kind after kind."""
    rng, seen = random.Random(f"{TASK}/{split}/{seed}"), set[str]()
    while len(seen) < num:
        problem = KINDS[len(seen) % len(KINDS)](rng)
        if split_of(problem.question) == split and problem.question not in seen:
            seen.add(problem.question)
            yield problem
