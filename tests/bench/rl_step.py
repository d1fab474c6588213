"""What a step of `recast rl` costs beside TRL's GRPOTrainer as it comes: same model, prompts, grader, LoRA.

    python tests/bench/rl_step.py --steps 3 --rounds 3

Processor seconds a step, the first left out, and the peak of the process, imports included; each arm in a process of
its own, in turn, medians of the rounds. TRL imports vLLM where it is installed, recast does not. A learning rate near
zero keeps the policy the same in all steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from recast.pipelines.demo.world import DOWNSTREAM, problems
from recast.pipelines.models.names import model_path
from recast.pipelines.wiring.reinforcement import machinery
from recast.train.graders.format.rows import PromptRow
from recast.train.graders.format.schema import parse
from recast.train.graders.grader import Grader
from recast.train.graders.trl_reward import RewardFunction
from recast.train.model.loading import load
from recast.train.model.lora import lora_config
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.rl import rl
from recast.train.reinforcement.trl_trainer import arguments

ARMS = ("trl", "recast")
BOUNDS = {"seconds": 0.5, "peak_gib": 0.6}


def grader() -> Grader:
    return Grader(parse({"type": "numeric", "name": "right", "reference": "{{ item.answer }}"}))


def rows() -> list[PromptRow]:
    return [
        PromptRow([{"role": "user", "content": p.question}], {"answer": p.answer}, p.question)
        for p in problems(DOWNSTREAM, "train", 80, 1)
    ]


def recast_arm(config: RlConfig, out: Path) -> list[float]:
    ends: list[float] = []

    def seen(point: Any) -> None:
        if "reward" in point:
            ends.append(time.process_time())

    rl(rows(), model_path("pocket"), grader(), config, out, machinery(), seen, force=True)
    return ends


def trl_arm(config: RlConfig, out: Path) -> list[float]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *given: Any, **more: Any) -> None:
            ends.append(time.process_time())

    model, tokenizer = load(model_path("pocket"))
    given = arguments(config, out, device="cpu", bf16=False, micro=config.prompts_per_step * config.samples)
    GRPOTrainer(
        model=model,
        reward_funcs=RewardFunction(grader(), group_size=config.samples),
        args=GRPOConfig(**given),
        train_dataset=Dataset.from_list([{"prompt": list(r.messages), **r.columns} for r in rows()]),
        processing_class=tokenizer,
        peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
        callbacks=[Clock()],
    ).train()
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--micro", type=int, help="rl.micro_batch of recast.")
    parser.add_argument("--arm", choices=ARMS)
    asked = parser.parse_args()
    if asked.arm:
        config = RlConfig(
            steps=asked.steps, prompts_per_step=8, samples=8, max_tokens=96, lr=1e-9, beta=1e-3, eval_every=10_000,
            save_every=10_000, heldout_rows=1, precision="fp32", micro_batch=asked.micro,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as out:
            ends = (recast_arm if asked.arm == "recast" else trl_arm)(config, Path(out) / "run")
        seconds = (ends[-1] - ends[0]) / (len(ends) - 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"seconds": seconds, "peak_gib": peak}))
        return
    found: dict[str, dict[str, list[float]]] = {arm: {name: [] for name in BOUNDS} for arm in ARMS}
    for _ in range(asked.rounds):
        for arm in ARMS:
            call = [sys.executable, __file__, "--steps", str(asked.steps), "--arm", arm]
            call += ["--micro", str(asked.micro)] if asked.micro else []
            said = subprocess.run(call, check=True, capture_output=True, text=True).stdout
            for name, value in json.loads(said.splitlines()[-1]).items():
                found[arm][name].append(value)
            seconds, peak = (found[arm][name][-1] for name in BOUNDS)
            print(f"{arm}: {seconds:.2f} s of processor a step, peak {peak:.2f} GiB", flush=True)
    ratios = {name: median(found["recast"][name]) / median(found["trl"][name]) for name in BOUNDS}
    print(f"recast over TRL: time {ratios['seconds']:.2f} x, peak {ratios['peak_gib']:.2f} x")
    sys.exit(any(ratios[name] > bound for name, bound in BOUNDS.items()))


if __name__ == "__main__":
    main()
