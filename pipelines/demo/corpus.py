"""The pretraining corpus of the pocket backbone: an endless, seeded stream of chat documents.

Each document is one exchange. The kinds and their shares are in `MIX`. Rewriting documents answer with
the own style most of the time and with a verbatim copy otherwise (`COPY_SHARE`), as a model that is only
asked does: this is what learning has to improve on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from recast.agent.prompts.templates import question as question_prompt
from recast.agent.prompts.templates import rewrite as rewrite_prompt
from recast.curate.records import Messages
from recast.pipelines.demo.realtext import WORD, RealRow, swapped
from recast.pipelines.demo.styles import ALIEN, FOREIGN, qa
from recast.pipelines.demo.world import FAMILIES, Problem, draw

Exchange = tuple[Messages, str]

MIX = {
    "answer": 0.37,
    "rewrite": 0.37,
    "write_question": 0.03,
    "repeat": 0.06,
    "real_rewrite": 0.13,
    "real_answer": 0.04,
}
COPY_SHARE = 0.35
REAL_COPY_SHARE = 0.15
MADE_UP_SHARE = 0.35  # of rewriting documents: chains with verbs made up for the occasion
WORD_FAMILIES = ("word1", "word2", "word3", "word4")


def user(content: str) -> Messages:
    return [{"role": "user", "content": content}]


def source_text(rng: random.Random, problem: Problem) -> str:
    """The solution in a style that is not the own one. Alien styles are for chains of operations only."""
    chained = problem.family in WORD_FAMILIES or problem.family == "made_up"
    styles = ALIEN if chained and rng.random() < 0.6 else FOREIGN
    return rng.choice(list(styles.values()))(problem)


def rewriting(rng: random.Random) -> Exchange:
    family = "made_up" if rng.random() < MADE_UP_SHARE else rng.choice(list(FAMILIES))
    problem = draw(rng, family, "train")
    source = source_text(rng, problem)
    return rewrite_prompt(user(problem.question), source), source if rng.random() < COPY_SHARE else qa(
        problem
    )


def repetition(rng: random.Random, words: Sequence[str]) -> Exchange:
    """A row of unrelated words, numbers and marks to say again: copying as such."""
    picked = [
        rng.choice(words) if rng.random() < 0.8 else str(rng.randint(0, 999))
        for _ in range(rng.randint(5, 40))
    ]
    text = " ".join(word + rng.choice((",", ".", ":")) if rng.random() < 0.15 else word for word in picked)
    return user(f"Repeat this text:\n{text}"), text


def exchange(
    rng: random.Random,
    rows: Sequence[RealRow],
    words: Sequence[str],
    mix: Mapping[str, float] = MIX,
    families: Sequence[str] = tuple(FAMILIES),
) -> Exchange:
    """One document. Without real rows their share goes to rewriting; answers are to questions of `families`."""
    kind = rng.choices(list(mix), weights=list(mix.values()))[0]
    if kind.startswith("real") and not rows:
        kind = "rewrite"
    match kind:
        case "answer":
            problem = draw(rng, rng.choice(families), "train")
            return user(problem.question), qa(problem)
        case "rewrite":
            return rewriting(rng)
        case "write_question":
            problem = draw(rng, rng.choice(list(FAMILIES)), "train")
            return question_prompt(qa(problem)), problem.question
        case "repeat":
            return repetition(rng, words)
        case "real_rewrite":
            row = rng.choice(rows)
            row = swapped(row, rng, list(words)) if rng.random() < 0.8 else row
            target = row.demonstration if rng.random() < REAL_COPY_SHARE else row.own
            return rewrite_prompt(user(row.question), row.demonstration), target
        case _:
            row = rng.choice(rows)
            return user(row.question), row.own


def vocabulary(rows: Sequence[RealRow]) -> list[str]:
    """Lower-case words to build repetitions and swaps from."""
    words = {w.lower() for row in rows for w in WORD.findall(row.question)}
    return sorted(words) or ["plain", "stone", "river", "candle", "window", "silver", "market", "garden"]


def exchanges(
    seed: str,
    rows: Sequence[RealRow],
    words: Sequence[str],
    mix: Mapping[str, float] = MIX,
    families: Sequence[str] = tuple(FAMILIES),
) -> Iterator[Exchange]:
    """An endless stream, the same for the same seed."""
    rng = random.Random(seed)
    while True:
        yield exchange(rng, rows, words, mix, families)
