"""A GRPO step of this project against one of TRL's GRPOTrainer as it comes: same model, adapter, prompts and rewards.

    python tests/bench/grpo.py [--model smollm2] [--steps 1] [--max-tokens 128]

8 prompts x 8 candidates a step, no KL, rewards drawn at random, so that every group has spread and no pass can be left
out. `ours` draws through the engine hf and cuts a step into passes as `recast learn` does; `trl` generates by itself,
with its own defaults for batch, checkpointing and precision. Each arm is a process of its own on one thread. Seconds
are of the processor (of the clock on a GPU), the mean of the steps; memory is the most that was resident (on a GPU:
allocated). Exit code 1 where ours takes more than half of the time or of the memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

ARMS = ("ours", "trl")
BOUND = 0.5
PROMPTS = CANDIDATES = 8


def rewards(completions: list[Any], **_: Any) -> list[float]:
    drawn = random.Random(len(completions))
    return [drawn.random() for _ in completions]


def measure(arm: str, steps: int, name: str, max_tokens: int) -> dict[str, float]:
    """Mean seconds of a step, candidates' mean length and peak memory (GiB) of one arm, in this process."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from recast.agent.engines.hf.attention import cpu_attention
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sampling
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.micro_batch import fitting
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.trl_trainer import grpo_trainer
    from recast.agent.prompts import templates
    from recast.curate import chat
    from recast.pipelines.demo.styles import latex
    from recast.pipelines.demo.world import DOWNSTREAM, problems
    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load
    from recast.train.model.lora import lora_config

    cuda = torch.cuda.is_available()
    config = LearnConfig(
        steps=steps,
        prompts_per_step=PROMPTS,
        candidates=CANDIDATES,
        max_tokens=max_tokens,
        beta=0.0,
        lr=1e-6,
        save_every=1000,
    )
    drawn = list(problems(DOWNSTREAM, "train", steps * PROMPTS, 0))
    asked = [templates.rewrite([{"role": "user", "content": p.question}], latex(p)) for p in drawn]
    model, tokenizer = load(model_path(name))
    engine = HFEngine(model, tokenizer, batch_size=PROMPTS * CANDIDATES)
    seconds: list[float] = []
    lengths: list[int] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(now() - self.began)

    def now() -> float:
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() if cuda else time.process_time()

    def rewarded(completions: list[Any], completion_ids: list[list[int]], **_: Any) -> Any:
        lengths.extend(map(len, completion_ids))
        return rewards(completions)

    def rollout(given: list[Any], _: Any) -> dict[str, Any]:
        groups = given[::CANDIDATES]
        seeds = [[i * CANDIDATES + j for j in range(CANDIDATES)] for i in range(len(groups))]
        sampling = Sampling(max_tokens=max_tokens)
        found = engine.sample(groups, CANDIDATES, sampling, seeds=seeds, adapter=True)
        flat = [s for group in found for s in group]
        ids = [chat.prompt_ids(tokenizer, p) for p in groups]
        return {
            "prompt_ids": [ids[i // CANDIDATES] for i in range(len(given))],
            "completion_ids": [s.token_ids for s in flat],
            "logprobs": [s.logprobs for s in flat],
        }

    with tempfile.TemporaryDirectory() as folder:
        data = Dataset.from_dict({"prompt": asked})
        if arm == "ours":
            longest = max(len(chat.prompt_ids(tokenizer, prompt)) for prompt in asked)
            micro = fitting(config, model, longest, Path(folder), Processes())
            trainer = grpo_trainer(
                model,
                tokenizer,
                config.model_copy(update={"micro_batch": micro}),
                Path(folder),
                data=data,
                reward=rewarded,
                draw=rollout,
                on_advantages=lambda values: None,
                callback=Clock(),
                eos_ids=engine.eos_ids,
                processes=1,
            )
            engine.model = trainer.model
            with cpu_attention(model):
                trainer.train()
        else:
            given = GRPOConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=CANDIDATES,
                gradient_accumulation_steps=PROMPTS,
                num_generations=CANDIDATES,
                max_completion_length=max_tokens,
                learning_rate=config.lr,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
                use_cpu=not cuda,
            )
            trainer = GRPOTrainer(
                model=model,
                reward_funcs=rewarded,
                args=given,
                train_dataset=data,
                processing_class=tokenizer,
                peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
                callbacks=[Clock()],
            )
            trainer.train()
    peak = (
        torch.cuda.max_memory_allocated()
        if cuda
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {"seconds": statistics.mean(seconds), "gib": peak / 2**30, "tokens": statistics.mean(lengths)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        import torch

        torch.set_num_threads(1)
        print(json.dumps(measure(args.arm, args.steps, args.model, args.max_tokens)))
        return
    found = {}
    for arm in ARMS:
        command = [sys.executable, __file__, "--arm", arm, "--steps", str(args.steps)]
        command += ["--model", args.model, "--max-tokens", str(args.max_tokens)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[arm] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{arm:5} {found[arm]['seconds']:8.1f} s a step {found[arm]['gib']:6.2f} GiB, candidates of "
            f"{found[arm]['tokens']:.0f} tokens",
            flush=True,
        )
    missed = False
    for name in ("seconds", "gib"):
        ratio = found["ours"][name] / found["trl"][name]
        missed |= ratio > BOUND
        print(f"{name:8} {ratio:5.2f} x (at most {BOUND}) {'ok' if ratio <= BOUND else 'MISSED'}")
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
