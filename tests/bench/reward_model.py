"""What a reward model of the pocket is worth on its own answers, by how many prompts it learned from.

    python tests/bench/reward_model.py --prompts 2848 --seeds 3 --start models/warm --out out/reward
    python tests/bench/reward_model.py --prompts 300 --prompts 1000 --seeds 3 --out out/reward --show 30

Answers are drawn once, to questions of the training split. Validation pairs are those of rows held out of them
(`reward_model.heldout`), test pairs those of `--tests` questions of the test split, on which nothing was chosen.
Beside the accuracy on all test pairs stands that on pairs whose accepted text is right in every step: an answer may be
right by luck, and of a pair whose two texts are both wrong nobody can tell which was accepted.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recast.curate.intervals import mean_of_shares
from recast.pipelines.demo.styles import qa
from recast.pipelines.demo.world import DOWNSTREAM, Problem, calculate, problems
from recast.pipelines.models.names import model_path
from recast.pipelines.wiring.graders import RewardModels
from recast.pipelines.wiring.reinforcement import draw
from recast.train.graders.format.schema import parse
from recast.train.graders.grader import Grader
from recast.train.rejection.answers import own_answers
from recast.train.rejection.groups import groups
from recast.train.reward_model.config import RewardModelConfig
from recast.train.reward_model.measures import measures
from recast.train.reward_model.reward_model import reward_model

GRADER = {"type": "numeric", "name": "right", "reference": "{{ item.answer }}"}
EQUATION = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")
SEED = 7  # of the questions


def asked(split: str, num: int) -> dict[str, Problem]:
    return {f"{split}-{i:05d}": p for i, p in enumerate(problems(DOWNSTREAM, split, num, SEED))}


def rows(found: dict[str, Problem]) -> list[dict[str, Any]]:
    return [
        {
            "row_id": name, "target": 0, "decision": "expert", "completion": qa(p), "answer": p.answer,
            "messages": [{"role": "user", "content": p.question}],
        }
        for name, p in found.items()
    ]  # fmt: skip


def fault(problem: Problem, text: str) -> str:
    """What is wrong with the steps of an answer, whatever its final number."""
    said = [(int(a), op, int(b), int(c)) for a, op, b, c in EQUATION.findall(text)]
    if len(said) != len(problem.steps):
        return "other steps"
    if [op for _, op, _, _ in said] != [s.op for s in problem.steps]:
        return "verb misread"
    if [b for _, _, b, _ in said] != [s.right for s in problem.steps]:
        return "number miscopied"
    if any(calculate(a, op, b) != c for a, op, b, c in said):
        return "sum wrong"
    return "none"


def pairs(answered: Any, config: RewardModelConfig) -> list[tuple[str, Any, str, str]]:
    """Row id, messages, accepted and refused text of every pair."""
    found, _ = groups(answered.rows, answered.candidates, config)
    return [(g.row_id, g.messages, a, r.text) for g in found for a in g.accepted for r in g.refused]


def judged(folder: Path, tests: Sequence[tuple[str, Any, str, str]]) -> np.ndarray:
    """Rewards (N, 2) of the accepted and the refused texts."""
    texts = [(messages, text) for _, messages, *both in tests for text in both]
    return np.array(RewardModels()(str(folder), texts), dtype=float).reshape(-1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--prompts", type=int, action="append", help="Prompts answered; several make a curve."
    )
    parser.add_argument("--tests", type=int, default=400, help="Questions of the test split.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--start", help="Model that becomes the reward model. Default: the pocket, which answers."
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument(
        "--show", type=int, default=0, help="Test pairs of the last model told apart wrongly."
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    sizes = sorted(given.prompts or [3000])
    drawing = RewardModelConfig(samples=8, max_tokens=96, none_passed="drop")
    grader, path = Grader(parse(GRADER)), model_path("pocket")
    train, test = asked("train", sizes[-1]), asked("test", given.tests)
    told = own_answers(rows(train), path, grader, drawing, given.out / "train", draw)
    tests = pairs(own_answers(rows(test), path, grader, drawing, given.out / "test", draw), drawing)
    faults = [(fault(test[name], a), fault(test[name], r)) for name, _, a, r in tests]
    print(f"{len(tests)} test pairs:", dict(Counter(faults).most_common()))
    for size in sizes:
        known = {row["row_id"] for row in told.rows[:size]}
        shares: list[float] = []
        for seed in range(given.seeds):
            config = drawing.model_copy(
                update={
                    "accepted": 1, "lr": given.lr, "epochs": given.epochs, "seed": seed, "checkpoints": 0,
                }
            )  # fmt: skip
            made = reward_model(
                told.rows[:size],
                [c for c in told.candidates if c["row_id"] in known],
                given.start or path,
                config,
                given.out / f"{size}-{seed}",
            )
            rewards = judged(Path(made.out), tests)
            longer = np.array([len(a) - len(r) for _, _, a, r in tests], dtype=float)
            found = measures([name for name, *_ in tests], rewards[:, 0], rewards[:, 1], longer)
            right = rewards[:, 0] > rewards[:, 1]
            clean = np.array([a == "none" for a, _ in faults])
            shares.append(found["accuracy"]["value"])
            print(
                f"{size} prompts, seed {seed}: {made.num_pairs - made.num_heldout} pairs of {made.num_rows} rows; "
                f"trained {made.trained['accuracy']['value']:.3f}, validation "
                f"{made.heldout['accuracy'] if made.heldout else None}, test {found}, "
                f"of {clean.sum()} pairs whose accepted text is right throughout {right[clean].mean():.3f}, of the "
                f"others {right[~clean].mean():.3f}",
                flush=True,
            )
        if len(shares) > 1:
            print(f"{size} prompts: {mean_of_shares(shares)} over {len(shares)} seeds")
    wrong = [i for i in range(len(tests)) if not right[i]][: given.show]
    for i in wrong:
        name, messages, accepted, refused = tests[i]
        print(
            f"\n{name} {faults[i]} {rewards[i].round(2)}\n? {messages[-1]['content']}\n+ {accepted}\n- {refused}"
        )


if __name__ == "__main__":
    main()
