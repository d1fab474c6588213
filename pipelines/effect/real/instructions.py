"""Instructions that a program can check: what must not be forgotten.

A family is one kind of instruction, drawn with its own words and numbers. `POOL` are all that were written; `KEPT`
those in which SmolLM2, before any tuning, does at least half of what a first draw asks (`TRIED`). They were chosen by
that rule alone, ahead of every arm, and are measured on other prompts (`ASKED`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recast.pipelines.demo.real import CAPITALS, COLOURS, LANGUAGES, OPPOSITES, pairs
from recast.pipelines.demo.world import NAMES

TRIED, ASKED, DRIFT = "tried", "asked", "drift"
"""Draws: what chose the families, what is measured, and what drift from the backbone is measured on."""

TRIED_ITEMS, ENOUGH = 24, 0.5
"""Instructions of a family that it was tried with, and the share to be followed."""

NOUNS = (
    "garden river bridge window kitchen market school doctor teacher farmer horse rabbit flower forest mountain "
    "island harbour village castle train bicycle blanket pillow mirror basket ladder hammer pencil letter picture "
    "apple umbrella airport ocean tiger lion robot kitten monkey tunnel wagon candle orange dragon statue valley"
).split()
SUBJECTS = (
    "the sea", "dogs", "a school", "the rain", "a garden", "music", "a long journey", "bread", "winter",
    "a lighthouse", "friends", "the moon", "a market", "football", "books", "a small village", "birds", "cooking",
    "the summer", "a train",
)  # fmt: skip
OPENINGS = "Today Yesterday Sometimes Perhaps Every Once When Although In After".split()
CLOSINGS = (
    "in the end",
    "every day",
    "at home",
    "for ever",
    "by the river",
    "of course",
    "at night",
    "all day long",
)
KINDS_OF_THINGS = (
    "animals fruits vegetables colors countries cities sports tools drinks birds flowers trees".split()
)
FOODS = "apples bread cheese rice soup honey butter carrots beans eggs".split()
PLACES = "kitchen garden attic car office school cellar library".split()
ITEMS = "key book hat lamp ball cup map phone bag coat".split()
PAINTS = "red blue green black white yellow brown".split()
JOBS = "doctor teacher farmer baker pilot nurse painter driver".split()
SPANISH = (
    "dog perro cat gato house casa water agua book libro bread pan milk leche sun sol moon luna red rojo friend amigo "
    "night noche hello hola thanks gracias white blanco black negro man hombre woman mujer day día school escuela"
).split()
SENTENCES = (
    "The old clock struck nine.", "A fox ran over the hill.", "My sister plays the violin.",
    "The soup is too hot.", "We went to the lake in July.", "The train leaves at noon.",
    "He painted the fence green.", "Her dog sleeps all day.", "The shop closes on Sunday.",
    "Two birds sat on the roof.", "The children built a castle.", "It rained the whole week.",
    "Our boat is made of wood.", "The baker opens at six.", "She found a silver coin.",
    "The road turns left here.", "His brother drives a bus.", "The leaves fall in autumn.",
    "I like my tea with milk.", "The cat hides under the bed.",
)  # fmt: skip
PRAISE = "wonderful excellent lovely great delicious beautiful perfect brilliant".split()
BLAME = "terrible awful boring horrible disgusting broken useless dreadful".split()
REVIEWED = "film book meal hotel concert chair phone restaurant".split()


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is asked, when a reply does it (`pipelines.effect.real.checks`), and a reply that does."""

    prompt: str
    check: list[list[Any]]
    reply: str


Maker = Callable[[random.Random], Instruction]
_CAPITAL, _OPPOSITE, _LANGUAGE, _COLOUR = (
    list(pairs(told)) for told in (CAPITALS, OPPOSITES, LANGUAGES, COLOURS)
)


def one_word(rng: random.Random) -> Instruction:
    country, capital = rng.choice(_CAPITAL)
    form = rng.choice(
        (
            "Answer with one word: what is the capital of {}?",
            "What is the capital of {}? Reply with one word.",
        )
    )
    return Instruction(form.format(country), [["only", capital]], capital)


def upper_case(rng: random.Random) -> Instruction:
    word = rng.choice(NOUNS)
    form = rng.choice(("Write the word {} in capital letters.", "Put this word in upper case: {}"))
    return Instruction(form.format(word), [["spells", word.upper()]], word.upper())


def list_of(rng: random.Random) -> Instruction:
    num, kind = rng.randint(3, 5), rng.choice(KINDS_OF_THINGS)
    form = rng.choice(("List {} {}.", "Name exactly {} {}.", "Give me a list of {} {}."))
    reply = "\n".join(f"{i}. {word}" for i, word in enumerate(rng.sample(NOUNS, num), 1))
    return Instruction(form.format(num, kind), [["num_entries", num]], reply)


def as_json(rng: random.Random) -> Instruction:
    name, age, job = rng.choice(NAMES), rng.randint(18, 80), rng.choice(JOBS)
    member = {"name": name, "age": age} if rng.random() < 0.5 else {"name": name, "job": job}
    said = " and ".join(f'"{key}" {value}' for key, value in member.items())
    return Instruction(f"Write a JSON object with {said}.", [["json_of", member]], json.dumps(member))


def begins_with(rng: random.Random) -> Instruction:
    opening, about = rng.choice(OPENINGS), rng.choice(SUBJECTS)
    prompt = f'Write one sentence about {about} that starts with the word "{opening}".'
    return Instruction(prompt, [["begins", opening]], f"{opening} somebody told me about {about}.")


def ends_with(rng: random.Random) -> Instruction:
    closing, about = rng.choice(CLOSINGS), rng.choice(SUBJECTS)
    prompt = f'Write one sentence about {about} that ends with the words "{closing}".'
    return Instruction(prompt, [["ends", closing]], f"They talk about {about} {closing}.")


def with_word(rng: random.Random) -> Instruction:
    word, about = rng.choice(NOUNS), rng.choice(SUBJECTS)
    prompt = f'Write a sentence about {about} that contains the word "{word}".'
    return Instruction(prompt, [["has", word]], f"The {word} reminds me of {about}.")


def counting(rng: random.Random) -> Instruction:
    start, num = rng.randint(1, 40), rng.randint(4, 8)
    row = list(range(start, start + num))
    form = rng.choice(("Count from {} to {}.", "Write the numbers from {} to {}."))
    return Instruction(form.format(row[0], row[-1]), [["numbers", row]], ", ".join(map(str, row)))


def ordering(rng: random.Random) -> Instruction:
    row = rng.sample(range(1, 100), rng.randint(3, 4))
    prompt = f"Sort these numbers from smallest to largest: {', '.join(map(str, row))}. Reply with the numbers only."
    return Instruction(prompt, [["numbers", sorted(row)]], ", ".join(map(str, sorted(row))))


def alphabet(rng: random.Random) -> Instruction:
    row = rng.sample(NOUNS, 3)
    return Instruction(
        f"Put these words in alphabetical order: {', '.join(row)}.",
        [["ordered", sorted(row)]],
        ", ".join(sorted(row)),
    )


def copying(rng: random.Random) -> Instruction:
    sentence = rng.choice(SENTENCES)
    form = rng.choice(
        (
            "Repeat this sentence exactly: {}",
            "Copy this sentence, and write nothing else: {}",
            "Say this again: {}",
        )
    )
    return Instruction(form.format(sentence), [["exactly", sentence]], sentence)


def naming(rng: random.Random) -> Instruction:
    (one, two), (first, second) = rng.sample(NAMES, 2), rng.sample(FOODS, 2)
    prompt = f"{one} buys {first}. {two} buys {second}. Who buys {second}?"
    return Instruction(prompt, [["has", two], ["lacks", [one]]], f"{two} buys {second}.")


def reading(rng: random.Random) -> Instruction:
    (item, other), (place, wrong), name = rng.sample(ITEMS, 2), rng.sample(PLACES, 2), rng.choice(NAMES)
    prompt = f"{name} put the {item} in the {place} and the {other} in the {wrong}. Where is the {item}?"
    return Instruction(prompt, [["has", place], ["lacks", [wrong]]], f"The {item} is in the {place}.")


def colour(rng: random.Random) -> Instruction:
    name, item, paint = rng.choice(NAMES), rng.choice(ITEMS), rng.choice(PAINTS)
    prompt = f"{name} has a {paint} {item}. What color is {name}'s {item}?"
    return Instruction(prompt, [["has", paint]], f"{name}'s {item} is {paint}.")


def yes_or_no(rng: random.Random) -> Instruction:
    country, capital = rng.choice(_CAPITAL)
    true = rng.random() < 0.5
    said = capital if true else rng.choice([c for _, c in _CAPITAL if c != capital])
    answer = "Yes" if true else "No"
    return Instruction(
        f"Is {said} the capital of {country}? Answer yes or no.", [["first", answer]], f"{answer}."
    )


def fact(rng: random.Random) -> Instruction:
    form, told = rng.choice(
        (
            ("What is the capital of {}?", _CAPITAL),
            ("Which language do most people in {} speak?", _LANGUAGE),
            ("What is the opposite of {}?", _OPPOSITE),
            ("What color is {}?", _COLOUR),
        )
    )
    about, answer = rng.choice(told)
    return Instruction(form.format(about), [["has", answer]], f"{answer.title()}.")


def feeling(rng: random.Random) -> Instruction:
    good = rng.random() < 0.5
    word, thing = rng.choice(PRAISE if good else BLAME), rng.choice(REVIEWED)
    right, wrong = ("positive", "negative") if good else ("negative", "positive")
    prompt = f'Is this review positive or negative? "The {thing} was {word}."'
    return Instruction(prompt, [["has", right], ["lacks", [wrong]]], f"It is {right}.")


def sentences(rng: random.Random) -> Instruction:
    num, about = rng.randint(1, 2), rng.choice(SUBJECTS)
    spoken = ("one sentence", "two sentences")[num - 1]
    reply = " ".join([f"I like to think of {about}."] * num)
    form = rng.choice(("Write exactly {} about {}.", "Write {} about {}, and no more."))
    return Instruction(form.format(spoken, about), [["num_sentences", num]], reply)


def plural(rng: random.Random) -> Instruction:
    word = rng.choice([n for n in NOUNS if n[-1] not in "yshx"])
    form = rng.choice(('What is the plural of "{}"?', 'Write the plural form of the word "{}".'))
    return Instruction(form.format(word), [["has", f"{word}s"]], f'The plural is "{word}s".')


def first_letter(rng: random.Random) -> Instruction:
    word = rng.choice(NOUNS)
    form = rng.choice(('What is the first letter of "{}"?', 'Which letter does the word "{}" start with?'))
    prompt = f"{form.format(word)} Answer with the letter only."
    return Instruction(prompt, [["only", word[0]]], word[0].upper())


def next_number(rng: random.Random) -> Instruction:
    start, gap = rng.randint(1, 20), rng.choice((1, 2, 5, 10))
    row = [start + gap * i for i in range(4)]
    prompt = f"Which number comes next: {', '.join(map(str, row))}?"
    return Instruction(prompt, [["has", str(row[-1] + gap)]], f"The next number is {row[-1] + gap}.")


def sums(rng: random.Random) -> Instruction:
    a, b = rng.randint(2, 60), rng.randint(2, 39)
    return Instruction(f"What is {a} + {b}?", [["has", str(a + b)]], f"{a} + {b} = {a + b}.")


def greeting(rng: random.Random) -> Instruction:
    name, job = rng.choice(NAMES), rng.choice(JOBS)
    prompt = f"Write a one-line thank-you message to a {job} called {name}."
    return Instruction(prompt, [["has", name]], f"Thank you for everything, {name}!")


def in_one_sentence(rng: random.Random) -> Instruction:
    country, capital = rng.choice(_CAPITAL)
    form = rng.choice(
        ("In one sentence, what is the capital of {}?", "Tell me the capital of {} in one sentence.")
    )
    check = [["has", capital], ["num_sentences", 1]]
    return Instruction(form.format(country), check, f"The capital of {country} is {capital}.")


def language(rng: random.Random) -> Instruction:
    country, spoken = rng.choice(_LANGUAGE)
    form = rng.choice(
        (
            "What language is spoken in {}?",
            "Which language do people speak in {}?",
            "{}: which language?",
            "What is the language of {}?",
        )
    )
    return Instruction(form.format(country), [["has", spoken]], f"People in {country} speak {spoken}.")


def opposite(rng: random.Random) -> Instruction:
    word, other = rng.choice(_OPPOSITE)
    form = rng.choice(
        (
            'What is the opposite of "{}"?',
            'Name the opposite of the word "{}".',
            'Opposite of "{}"?',
            'Which word is the opposite of "{}"?',
        )
    )
    return Instruction(form.format(word), [["has", other]], f'The opposite of "{word}" is "{other}".')


def counting_on(rng: random.Random) -> Instruction:
    start, num = rng.randint(1, 40), rng.randint(4, 8)
    row = list(range(start, start + num))
    prompt = f"Write the numbers from {row[0]} to {row[-1]}, separated by commas."
    return Instruction(prompt, [["in_a_row", row]], ", ".join(map(str, row)))


def initial(rng: random.Random) -> Instruction:
    word = rng.choice(NOUNS)
    form = rng.choice(('What is the first letter of the word "{}"?', 'Which letter does "{}" begin with?'))
    return Instruction(
        form.format(word), [["has", word[0]]], f'The first letter of "{word}" is "{word[0].upper()}".'
    )


def who(rng: random.Random) -> Instruction:
    name, food = rng.choice(NAMES), rng.choice(FOODS)
    verb = rng.choice(("buys", "likes", "sells", "eats"))
    return Instruction(f"{name} {verb} {food}. Who {verb} {food}?", [["has", name]], f"{name} {verb} {food}.")


def where(rng: random.Random) -> Instruction:
    item, place, name = rng.choice(ITEMS), rng.choice(PLACES), rng.choice(NAMES)
    prompt = f"{name} put the {item} in the {place}. Where is the {item}?"
    return Instruction(prompt, [["has", place]], f"The {item} is in the {place}.")


def question(rng: random.Random) -> Instruction:
    about = rng.choice(SUBJECTS)
    form = rng.choice(
        ("Write a question about {}.", "Ask me a question about {}.", "Think of one question about {}.")
    )
    return Instruction(form.format(about), [["spells", "?"]], f"What do you like about {about}?")


def program(rng: random.Random) -> Instruction:
    name, does = rng.choice(NOUNS), rng.choice(("adds", "multiplies", "compares", "subtracts"))
    sign = {"adds": "+", "multiplies": "*", "compares": "==", "subtracts": "-"}[does]
    prompt = f'Write a Python function called "{name}" that {does} two numbers.'
    return Instruction(prompt, [["spells", f"def {name}("]], f"def {name}(a, b):\n    return a {sign} b")


def numbered(rng: random.Random) -> Instruction:
    about, num = rng.choice(SUBJECTS), rng.randint(3, 5)
    form = rng.choice(
        (
            "Write a numbered list of {} facts about {}.",
            "Give me {} short facts about {}, numbered.",
        )
    )
    reply = "\n".join(f"{i}. Many people think about {about}." for i in range(1, num + 1))
    return Instruction(form.format(num, about), [["num_entries", num]], reply)


def poem(rng: random.Random) -> Instruction:
    about, num = rng.choice(SUBJECTS), rng.choice((2, 3, 4))
    form = rng.choice(
        ("Write a short poem about {}.", "Write a poem of a few lines about {}.", "A poem about {}, please.")
    )
    reply = "\n".join([f"I sing of {about}"] * num)
    return Instruction(form.format(about), [["min_lines", 2]], reply)


def spanish(rng: random.Random) -> Instruction:
    word, said = rng.choice(list(pairs(SPANISH)))
    form = rng.choice(
        ('How do you say "{}" in Spanish?', 'What is the Spanish word for "{}"?', 'Say "{}" in Spanish.')
    )
    return Instruction(form.format(word), [["has", said]], f'In Spanish, "{word}" is "{said}".')


POOL: dict[str, Maker] = {
    make.__name__: make
    for make in (
        one_word, upper_case, list_of, as_json, begins_with, ends_with, with_word, counting, ordering, alphabet,
        copying, naming, reading, colour, yes_or_no, fact, feeling, sentences, plural, first_letter, next_number, sums,
        greeting, in_one_sentence, language, opposite, counting_on, initial, who, where, question, program, numbered,
        poem, spanish,
    )
}  # fmt: skip
FOLLOWED = {
    "one_word": 0, "upper_case": 0, "list_of": 17, "as_json": 13, "begins_with": 6, "ends_with": 1, "with_word": 22,
    "counting": 0, "ordering": 3, "alphabet": 0, "copying": 17, "naming": 10, "reading": 8, "colour": 16,
    "yes_or_no": 10, "fact": 17, "feeling": 3, "sentences": 14, "plural": 16, "first_letter": 0, "next_number": 0,
    "sums": 6, "greeting": 13, "in_one_sentence": 20, "language": 21, "opposite": 21, "counting_on": 23, "initial": 17,
    "who": 24, "where": 24, "question": 21, "program": 22, "numbered": 10, "poem": 19, "spanish": 4,
}  # fmt: skip
"""Of TRIED_ITEMS instructions, those that the untouched SmolLM2 followed (greedy, at most 64 tokens, 2026-11-29)."""
KEPT = tuple(family for family, num in FOLLOWED.items() if num >= ENOUGH * TRIED_ITEMS)


def draw(
    which: str, num: int, families: Sequence[str] | None = None, *, without: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Instruction]]:
    """`num` different instructions of each family (None: those that were kept), or all it has if it has fewer, none
    whose prompt is in `without`.
    """
    for family in KEPT if families is None else families:
        rng, seen = random.Random(f"{which}/{family}"), set(without)
        drawn = (POOL[family](rng) for _ in range(100 * num))
        found = 0
        for one in drawn:
            if one.prompt not in seen and found < num:
                seen.add(one.prompt)
                found += 1
                yield family, one


def row(number: int, family: str, one: Instruction) -> dict[str, Any]:
    """A question of a suite."""
    return {
        "id": f"{family}-{number:03d}",
        "prompt": one.prompt,
        "answer": one.reply,
        "completion": one.reply,
        "check": one.check,
        "task": family,
    }
