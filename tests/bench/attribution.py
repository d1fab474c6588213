"""Is a planted harmful group of changed rows ranked first? `python -m tests.bench.attribution [--retrain 3]`.

A version of the demo's downstream family is rewritten from LaTeX into the backbone's own style, 200 rows in ten groups
of 20; in one of them, drawn by the seed, every sum takes away where it should add and the other way round. The held-out
set has other questions of the family, told right. Prints the rank of the harmful group by seed, 1 being worst, and what
is said of it and of the others; with --retrain also what trainings without each of the worst groups say, five seeds of
an epoch (`--trained` keeps them: killed and started again, it goes on). Bound: first in 9 of 10 seeds.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast.pipelines.demo.styles import latex, qa
from recast.pipelines.demo.world import DOWNSTREAM, Problem, calculate, problems
from recast.pipelines.models.names import model_path
from recast.train.attribution.groups import effects, gains
from recast.train.attribution.influence import Change, influences
from recast.train.attribution.retrain import retrained
from recast.train.sft.config import SftConfig

GROUPS, ROWS, HELDOUT = 10, 20, 100
CONFIG = SftConfig(epochs=1, checkpoints=0, telemetry_tokens=0)
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


def one(seed: int, model: str, retrain: int, trained: Path) -> dict[str, Any]:
    drawn = list(problems(DOWNSTREAM, "train", GROUPS * ROWS, seed))
    harmful = random.Random(seed).randrange(GROUPS)
    changes = [
        Change(row(p, latex(p)), row(p, qa(wrong(p) if i // ROWS == harmful else p)))
        for i, p in enumerate(drawn)
    ]
    heldout = {"craft": [row(p, qa(p)) for p in problems(DOWNSTREAM, "test", HELDOUT, seed)]}
    begun = time.monotonic()
    measured = influences(changes, heldout, model_path(model), seed=seed)
    groups = {str(g): range(g * ROWS, (g + 1) * ROWS) for g in range(GROUPS)}
    ranked = effects(measured.influence["craft"], groups)
    place = next(i for i, effect in enumerate(ranked) if effect.group == str(harmful))
    worst = {effect.group: groups[effect.group] for effect in ranked[:retrain]}
    said = []
    if worst:
        said = gains(retrained(changes, worst, heldout, model_path(model), CONFIG, trained)["craft"])
    return {
        "trained": next((gain for gain in said if gain.group == str(harmful)), None),
        "others trained": [gain.says for gain in said if gain.group != str(harmful)],
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
    parser.add_argument("--first", type=int, default=0, help="of the seeds")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--retrain", type=int, default=0, help="groups that are left out of a training each")
    parser.add_argument("--trained", type=Path, help="folder for what trainings said")
    args = parser.parse_args()
    first = hurts = 0
    trained = args.trained or Path(tempfile.mkdtemp())
    for seed in range(args.first, args.first + args.seeds):
        found = one(seed, args.model, args.retrain, trained)
        first += found["rank"] == 1
        effect = found["harmful"]
        print(
            f"seed {seed}: rank {found['rank']} of {GROUPS}; {effect.says}: {effect.value:+.2f} "
            f"[{effect.low:+.2f}, {effect.high:+.2f}]; {found['others hurt']} other groups hurt; fell {found['fell']}; "
            f"{found['seconds']:.0f} s",
            flush=True,
        )
        if gain := found["trained"]:
            hurts += gain.says == "hurts"
            print(
                f"  trained without it: {gain.says}: {gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] nats an "
                f"answer; the others: {', '.join(found['others trained'])}",
                flush=True,
            )
    if args.retrain:
        print(f"trainings say that it hurts in {hurts} of {args.seeds}")
    print(f"ranked first in {first} of {args.seeds} (bound {BOUND:.0%})")
    return first < BOUND * args.seeds


if __name__ == "__main__":
    raise SystemExit(main())
