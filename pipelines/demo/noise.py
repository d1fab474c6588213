"""What goes wrong with data, in the pocket world: demonstrations with a wrong answer, questions put badly.

    mislabelled(problem, rng)              the same question, solved by taking one verb for another
    disturbed(problem, "typos", rng)       the same question with the same answer, harder to read

A wrong demonstration is wrong as an expert's is: its sums are right and its numbers are those of the question, but a
step does what the verb does not say. No check that looks at the text alone can know.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from recast.pipelines.demo.world import NAMES, NOUNS, Problem, Step, step

TURNED = {"+": "-", "-": "+", "*": "+"}
"""What an operation is taken for."""
TYPOS = 3
"""Words of a question with two letters swapped."""


def mislabelled(problem: Problem, rng: random.Random) -> Problem | None:
    """`problem` with one operation of its chain taken for another and all that follows worked out from there.

    None where no such chain stays at or above 0, or ends in another answer.
    """
    places = list(range(len(problem.steps)))
    rng.shuffle(places)
    for place in places:
        steps = _with_turned(problem.steps, place)
        if steps and str(steps[-1].result) != problem.answer:
            return replace(problem, steps=steps, answer=str(steps[-1].result))
    return None


def _with_turned(steps: tuple[Step, ...], place: int) -> tuple[Step, ...] | None:
    made: list[Step] = []
    value = steps[0].left
    for i, old in enumerate(steps):
        made.append(step(old.text, value, TURNED[old.op] if i == place else old.op, old.right))
        value = made[-1].result
        if value < 0:
            return None
    return tuple(made)


def typos(question: str, rng: random.Random) -> str:
    """Two letters inside a word are swapped, in some of the longer words."""
    words = question.split(" ")
    long = [i for i, word in enumerate(words) if len(re.findall(r"[a-z]", word)) >= 4]
    for i in rng.sample(long, min(TYPOS, len(long))):
        word = words[i]
        pairs = [k for k in range(1, len(word) - 1) if word[k : k + 2].isalpha() and word[k] != word[k + 1]]
        if pairs:
            k = rng.choice(pairs)
            words[i] = word[:k] + word[k + 1] + word[k] + word[k + 2 :]
    return " ".join(words)


def question_first(question: str, rng: random.Random) -> str:
    """What is asked stands before what is told."""
    told, asked = _parted(question)
    return " ".join([asked, *told])


def distractor(question: str, rng: random.Random) -> str:
    """A sentence about somebody and something else, in the midst of what is told."""
    told, asked = _parted(question)
    name = rng.choice([n for n in NAMES if n not in question])
    noun = rng.choice([n for n in NOUNS if n not in question])
    place = rng.randint(1, len(told))
    told.insert(place, f"{name} has {rng.randint(4, 50)} {noun}.")
    return " ".join([*told, asked])


DISTURBANCES: dict[str, Callable[[str, random.Random], str]] = {
    "typos": typos,
    "question_first": question_first,
    "distractor": distractor,
}


def disturbed(problem: Problem, kind: str, rng: random.Random) -> Problem:
    """`problem` asked in another way; `kind` is one of DISTURBANCES. The solution is that of the question as it was."""
    return replace(problem, question=DISTURBANCES[kind](problem.question, rng))


def _parted(question: str) -> tuple[list[str], str]:
    """Sentences that tell, and the one that asks."""
    *told, asked = re.split(r"(?<=[.?]) ", question)
    return told, asked
