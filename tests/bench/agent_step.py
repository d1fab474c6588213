"""What the whole reward costs in a GRPO step: time and peak memory against a constant reward.

    python tests/bench/agent_step.py [--steps 5] [--model pocket]

Three arms, each a process of its own, same prompts, candidates, batches and LoRA; a learning rate near zero keeps
the candidates the same in all. `whole`: gate, anchors, NLL, embeddings. `constant`: the same trainer and rollouts
with a reward of 1. `trl`: TRL as it comes, with a reward of 1 and its own generation. Seconds are of the processor
(of the clock on a GPU), the median of the steps after the first. Exit code 1 where the whole reward takes more than
1.25 x the time or 1.15 x the memory of a constant one, by either measure.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

ARMS = ("whole", "constant", "trl")
TIME_BOUND, MEMORY_BOUND = 1.25, 1.15


def constant_reward(completions: list[Any], **_: Any) -> list[float]:
    return [1.0] * len(completions)


def measure(arm: str, steps: int, name: str) -> dict[str, float]:
    """Median seconds of a step and peak memory (MiB) of one arm, in this process."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from recast.agent.engines.hf.attention import cpu_attention
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sampling
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.trl_trainer import arguments, trainer_class
    from recast.agent.prompts import templates
    from recast.agent.reward.alignment import AnchorCache
    from recast.agent.reward.scorer import Scorer, Weights
    from recast.curate import chat
    from recast.curate.gate.gate import load_gate
    from recast.pipelines.demo.demo import CONFIG
    from recast.pipelines.demo.styles import latex
    from recast.pipelines.demo.world import DOWNSTREAM, problems
    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load
    from recast.train.model.lora import lora_config

    cuda = torch.cuda.is_available()
    config = LearnConfig(**{**CONFIG["learn"], "steps": steps, "lr": 1e-12, "save_every": 1000})
    drawn = list(problems(DOWNSTREAM, "train", steps * config.prompts_per_step, 0))
    plain = [[{"role": "user", "content": p.question}] for p in drawn]
    rows = {
        "prompt": [templates.rewrite(m, latex(p)) for m, p in zip(plain, drawn, strict=True)],
        "messages": plain,
        "demonstration": [latex(p) for p in drawn],
        "answer": [p.answer for p in drawn],
    }
    model, tokenizer = load(model_path(name))
    seconds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(now() - self.began)

    def now() -> float:
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() if cuda else time.process_time()

    engine = HFEngine(model, tokenizer, batch_size=config.engine_batch)
    gate: Any = load_gate(CONFIG["gate"])  # a cached property is no plain attribute to a type checker
    scorer = Scorer(engine, gate, AnchorCache(engine, tokenizer), Weights.of())

    def rollout(asked: list[Any], _: Any) -> dict[str, Any]:
        k = config.candidates
        groups = asked[::k]
        seeds = [[i * k + j for j in range(k)] for i in range(len(groups))]
        sampling = Sampling(max_tokens=config.max_tokens)
        found = [s for g in engine.sample(groups, k, sampling, seeds=seeds, adapter=True) for s in g]
        ids = [chat.prompt_ids(tokenizer, p) for p in groups]
        return {
            "prompt_ids": [ids[i // k] for i in range(len(asked))],
            "completion_ids": [s.token_ids for s in found],
            "logprobs": [s.logprobs for s in found],
        }

    with tempfile.TemporaryDirectory() as folder:
        device = "cuda" if cuda else "cpu"
        given = arguments(config, Path(folder), device=device, bf16=cuda, eos_ids=engine.eos_ids)
        reward: Any = scorer.reward_func(group_size=config.candidates) if arm == "whole" else constant_reward
        options: dict[str, Any] = {} if arm == "trl" else {"rollout_func": rollout}
        trainer: Any = (GRPOTrainer if arm == "trl" else trainer_class())(
            model=model,
            reward_funcs=reward,
            args=GRPOConfig(**given),
            train_dataset=Dataset.from_dict(rows),
            processing_class=tokenizer,
            peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
            callbacks=[Clock()],
            **options,
        )
        engine.model = trainer.model
        if arm == "trl":
            trainer.train()
        else:
            with cpu_attention(model):
                trainer.train()
    peak = (
        torch.cuda.max_memory_allocated() / 2**20
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    )
    return {"seconds": statistics.median(seconds[1:]), "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        print(json.dumps(measure(args.arm, args.steps, args.model)))
        return
    found = {}
    for arm in ARMS:
        command = [sys.executable, __file__, "--arm", arm, "--steps", str(args.steps), "--model", args.model]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[arm] = json.loads(done.stdout.splitlines()[-1])
        print(f"{arm:10} {found[arm]['seconds']:7.2f} s a step {found[arm]['peak_mib']:8.0f} MiB", flush=True)
    missed = False
    for baseline in ARMS[1:]:
        for name, bound in (("seconds", TIME_BOUND), ("peak_mib", MEMORY_BOUND)):
            ratio = found["whole"][name] / found[baseline][name]
            missed |= ratio > bound
            verdict = "ok" if ratio <= bound else "MISSED"
            print(f"whole / {baseline:10} {name:10} {ratio:5.2f} x (at most {bound}) {verdict}")
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
