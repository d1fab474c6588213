"""What `make real` shows a model that nobody here made: word problems, and facts that it must not forget.

    python -m recast.pipelines.demo.real pipelines/examples

The problems are the pocket world's in plain English, solved in the notation of an expert who writes for a calculator;
questions of the test split are other ones. The facts are asked with choices, of which the likeliest is taken: what
tuning has done to a model's knowledge shows there whatever it has done to its way of speaking.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from recast.pipelines.demo.files import row, write_rows
from recast.pipelines.demo.styles import annotated, qa
from recast.pipelines.demo.world import problems

FAMILIES = ("word1", "word2", "groups", "share")
PROBLEMS, TESTED = 24, 12  # of each family
CHOICES = 4

CAPITALS = (
    "France Paris Italy Rome Spain Madrid Germany Berlin England London Japan Tokyo China Beijing Russia Moscow "
    "Egypt Cairo Greece Athens Portugal Lisbon Austria Vienna Poland Warsaw Sweden Stockholm Norway Oslo Finland "
    "Helsinki Denmark Copenhagen Ireland Dublin Canada Ottawa Cuba Havana Peru Lima Kenya Nairobi Iraq Baghdad "
    "Iran Tehran Thailand Bangkok India Delhi"
).split()
OPPOSITES = (
    "hot cold big small up down day night old young fast slow happy sad open closed rich poor full empty early late "
    "light dark hard soft wet dry left right strong weak high low"
).split()
LANGUAGES = (
    "France French Italy Italian Spain Spanish Germany German England English Japan Japanese China Chinese Russia "
    "Russian Brazil Portuguese Greece Greek Poland Polish Sweden Swedish Turkey Turkish Mexico Spanish Austria German"
).split()
COLOURS = (
    "grass green snow white coal black blood red gold yellow milk white leaves green chocolate brown".split()
)

ASKED: dict[str, tuple[str, Sequence[str]]] = {
    "capital": ("What is the capital of {}?", CAPITALS),
    "opposite": ("What is the opposite of {}?", OPPOSITES),
    "language": ("Which language do most people in {} speak?", LANGUAGES),
    "colour": ("Which colour does {} have?", COLOURS),
}


def pairs(told: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is asked about, and the answer."""
    return zip(islice(told, 0, None, 2), islice(told, 1, None, 2), strict=True)


def facts() -> Iterator[Mapping[str, object]]:
    """Questions with choices drawn among the answers of their kind."""
    rng = random.Random("facts that a model knows")
    for task, (question, told) in ASKED.items():
        answers = sorted({answer for _, answer in pairs(told)})
        for number, (about, answer) in enumerate(pairs(told)):
            choices = [answer, *rng.sample([a for a in answers if a != answer], CHOICES - 1)]
            rng.shuffle(choices)
            yield {
                "id": f"{task}-{number:02d}",
                "question": question.format(about),
                "choices": choices,
                "answer": choices.index(answer),
                "task": task,
            }


def write(folder: Path) -> list[Path]:
    """Write demonstrations, test questions and facts to `folder`; the same bytes each time."""
    drawn = {
        split: [(n, p) for family in FAMILIES for n, p in enumerate(problems(family, split, num, seed=0))]
        for split, num in (("train", PROBLEMS), ("test", TESTED))
    }
    return [
        write_rows(folder / "problems.jsonl", (row(p, n, annotated(p)) for n, p in drawn["train"])),
        write_rows(folder / "problems-test.jsonl", (row(p, n, qa(p)) for n, p in drawn["test"])),
        write_rows(folder / "facts.jsonl", facts()),
    ]


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
