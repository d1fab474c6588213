"""Case reports with a hidden cause: demonstrations to warm up on, prompts to learn from, cases to be asked.

    python pipelines/examples/rft/cases.py --out out/rft

A case names findings that are present and findings that are absent, and asks for the five likeliest causes, the
likeliest first. Who knows the table of this small world names the true cause first in two of three cases: findings are
missing and misleading by chance. The warm-up shows cases with the causes that come into question, in no order; the
prompts have the true cause alone, as records of a clinic do: the order is what is left to learn.

    out/warmup.jsonl      `question`, `solution`: cases with a list of causes
    out/train.jsonl, validation.jsonl     `messages`, `cause`: rows of reinforcement fine-tuning
    out/test.jsonl        a suite: `messages`, `answer`, `cause`
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recast.curate.files import write_lines

FINDINGS = "fever cough rash headache nausea thirst cramps dizziness itching swelling fatigue chills".split()
CAUSES: dict[str, tuple[str, ...]] = {
    "flu": ("fever", "cough", "headache", "chills", "fatigue"),
    "cold": ("cough", "headache", "fatigue"),
    "measles": ("fever", "rash", "cough", "itching"),
    "hives": ("rash", "itching", "swelling"),
    "migraine": ("headache", "nausea", "dizziness"),
    "food poisoning": ("nausea", "cramps", "fever", "chills"),
    "diabetes": ("thirst", "fatigue", "dizziness"),
    "anemia": ("fatigue", "dizziness", "headache"),
    "dehydration": ("thirst", "dizziness", "cramps", "headache"),
    "malaria": ("fever", "chills", "nausea", "fatigue", "headache"),
}
"""What each cause typically shows."""
TYPICAL, ELSE = 0.85, 0.08
"""Chance of a finding that is typical of the cause, and of any other."""
NAMED = 7
"""Findings that a report names, present or absent."""
LISTED = 5
COUNTS = {"warmup": 300, "train": 500, "validation": 120, "test": 200}


@dataclass(frozen=True, slots=True)
class Case:
    present: tuple[str, ...]
    absent: tuple[str, ...]
    cause: str

    @property
    def question(self) -> str:
        present, absent = (", ".join(named) or "nothing" for named in (self.present, self.absent))
        return " ".join(
            [
                f"Present: {present}. Absent: {absent}.",
                f"List the {LISTED} likeliest causes, the likeliest first.",
            ]
        )

    @property
    def ranking(self) -> list[str]:
        """The likeliest causes by the table, the likeliest first."""
        return sorted(CAUSES, key=self.evidence, reverse=True)[:LISTED]

    def evidence(self, cause: str) -> float:
        """Log-likelihood of the report under a cause."""
        typical = CAUSES[cause]
        chance = {finding: TYPICAL if finding in typical else ELSE for finding in FINDINGS}
        return sum(math.log(chance[f]) for f in self.present) + sum(
            math.log(1 - chance[f]) for f in self.absent
        )


def draw(rng: random.Random) -> Case:
    cause = rng.choice(list(CAUSES))
    named = rng.sample(FINDINGS, NAMED)
    present = [f for f in named if rng.random() < (TYPICAL if f in CAUSES[cause] else ELSE)]
    return Case(tuple(present), tuple(f for f in named if f not in present), cause)


def cases(seed: int) -> Iterator[Case]:
    """An endless stream of cases, no question twice."""
    rng, seen = random.Random(seed), set[str]()
    while True:
        case = draw(rng)
        if case.question not in seen:
            seen.add(case.question)
            yield case


def write(out: Path, seed: int = 0) -> None:
    """Write the four files, no case in two of them."""
    drawn = cases(seed)
    parts = {name: [next(drawn) for _ in range(count)] for name, count in COUNTS.items()}
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"order/{seed}")
    unordered = (rng.sample(case.ranking, LISTED) for case in parts["warmup"])
    listed = ("\n".join(f"{n}. {cause}" for n, cause in enumerate(causes, 1)) for causes in unordered)
    write_lines(
        out / "warmup.jsonl",
        (
            {"question": case.question, "solution": text, "answer": case.cause}
            for case, text in zip(parts["warmup"], listed, strict=True)
        ),
    )
    for name in ("train", "validation", "test"):
        write_lines(
            out / f"{name}.jsonl",
            (
                {"messages": [{"role": "user", "content": c.question}], "answer": c.cause, "cause": c.cause}
                for c in parts[name]
            ),
        )


def best_possible(out_of: int = 2000, seed: int = 1) -> dict[str, float]:
    """What the table itself would earn: top-1, top-5 and mean credit of 0.7 a position."""
    drawn = cases(seed)
    places = []
    for _ in range(out_of):
        case = next(drawn)
        ranking = case.ranking
        places.append(ranking.index(case.cause) if case.cause in ranking else None)
    return {
        "top1": sum(p == 0 for p in places) / out_of,
        "top5": sum(p is not None for p in places) / out_of,
        "credit": sum(0.7**p for p in places if p is not None) / out_of,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    write(given.out)
    print({name: round(value, 3) for name, value in best_possible().items()})
