"""Is a planted harmful group of changed rows ranked first? `python -m tests.bench.attribution [--seeds 10]`.

A version of the demo's downstream family is rewritten from LaTeX into the backbone's own style, 200 rows in ten groups
of 20; in one of them, drawn by the seed, every sum takes away where it should add and the other way round. The held-out
set has other questions of the family, told right. Prints the rank of the harmful group by seed, 1 being worst, and what
is said of it and of the others. Bound: first in 9 of 10 seeds.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace
from typing import Any

from recast.pipelines.demo.styles import latex, qa
from recast.pipelines.demo.world import DOWNSTREAM, FAMILIES, Problem, calculate, problems
from recast.pipelines.models.names import model_path
from recast.train.attribution.groups import effects
from recast.train.attribution.influence import Change, influences

GROUPS, ROWS, HELDOUT = 10, 20, 100
BOUND = 0.9
_OTHER = {"+": "-", "-": "+", "*": "+", "/": "*"}


def row(problem: Problem, completion: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": problem.question}], "completion": completion}


def wrong(problem: Problem) -> Problem:
    """The problem worked out with another operation in each step."""
    steps, at = [], problem.steps[0].left
    for step in problem.steps:
        op = _OTHER[step.op]
        made = replace(step, left=at, op=op, result=calculate(at, op, step.right))
        steps.append(made)
        at = made.result
    return replace(problem, steps=tuple(steps), answer=str(at))


def one(seed: int, model: str) -> dict[str, Any]:
    drawn = list(problems(DOWNSTREAM, "train", GROUPS * ROWS, seed))
    harmful = random.Random(seed).randrange(GROUPS)
    changes = [
        Change(row(p, latex(p)), row(p, qa(wrong(p) if i // ROWS == harmful else p)))
        for i, p in enumerate(drawn)
    ]
    heldout = {
        "craft": [row(p, qa(p)) for p in problems(DOWNSTREAM, "test", HELDOUT, seed)],
        "general": [row(p, qa(p)) for f in FAMILIES for p in problems(f, "test", 10, seed, fewer=True)],
    }
    begun = time.monotonic()
    measured = influences(changes, heldout, model_path(model), seed=seed)
    groups = {str(g): range(g * ROWS, (g + 1) * ROWS) for g in range(GROUPS)}
    ranked = effects(measured.influence["craft"], groups)
    place = next(i for i, effect in enumerate(ranked) if effect.group == str(harmful))
    return {
        "seed": seed,
        "rank": place + 1,
        "harmful": ranked[place],
        "others hurt": sum(e.says == "hurts" for e in ranked if e.group != str(harmful)),
        "seconds": time.monotonic() - begun,
        "fell": measured.fell,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--model", default="pocket")
    args = parser.parse_args()
    first = 0
    for seed in range(args.seeds):
        found = one(seed, args.model)
        first += found["rank"] == 1
        effect = found["harmful"]
        print(
            f"seed {seed}: rank {found['rank']} of {GROUPS}; {effect.says}: {effect.value:+.2f} "
            f"[{effect.low:+.2f}, {effect.high:+.2f}]; {found['others hurt']} other groups hurt; fell {found['fell']}; "
            f"{found['seconds']:.0f} s",
            flush=True,
        )
    print(f"ranked first in {first} of {args.seeds} (bound {BOUND:.0%})")
    return first < BOUND * args.seeds


if __name__ == "__main__":
    raise SystemExit(main())
