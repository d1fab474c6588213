"""Estimated against measured memory of one learning step, a process for each measurement.

    python -m tests.bench.memory                              # pocket and a random Llama of SmolLM2's shape
    python -m tests.bench.memory --models smollm2 --micro 8

Measured is the peak of resident memory from the moment that candidates are drawn and scored to the end of the step,
less what was resident before the trainer was made: the policy's forward and backward passes over micro-batches, and
AdamW's state. Estimated is `train.model.memory` with the lengths that this step had. Candidates are random tokens of
full length: drawing them is not what is measured. A step on a tiny model comes first, which loads the libraries.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MAX_TOKENS = 144
STEP: dict[str, Any] = {
    "steps": 1,
    "prompts_per_step": 2,
    "candidates": 4,
    "heldout": 0.2,
    "heldout_rows": 1,
    "lora_rank": 16,
}
SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


def model_of(name: str, folder: Path) -> tuple[Any, Any]:
    """`(model, tokenizer)`: the pocket, or random float32 weights of SmolLM2's shape under a tokenizer of the tests."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load
    from tests.fakes.models import make_tokenizer

    if name == "pocket":
        return load(model_path("pocket"), dtype="float32")
    tokenizer = make_tokenizer()
    if not folder.exists():
        special = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        LlamaForCausalLM(LlamaConfig(**SMOLLM2, bos_token_id=None, **special)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return load(folder)


def resident(name: str) -> int:
    """A figure of this process's memory in bytes: VmRSS now, VmHWM at most since the last `forget_peak`."""
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts[name].split()[0]) * 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, micro: int, folder: Path) -> dict[str, float]:
    """One step of learning; GiB."""
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.engines.protocol import Sample, Sampling
    from recast.agent.learning import micro_batch
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.learn import learn
    from recast.agent.learning.processes import Processes
    from recast.agent.learning.rollouts import Rollouts
    from recast.agent.prompts import templates
    from recast.curate import chat
    from recast.curate.records import Verdict, VerdictStatus
    from tests.fakes.models import load, make_model

    class HalfGate:
        """Accepts every second candidate, so that there is something to learn from."""

        id = "0" * 16

        def verify_many(self, rows: Any, completions: Any, reasons: Any = None) -> list[Verdict]:
            both = (VerdictStatus.ACCEPTED, VerdictStatus.REJECTED)
            return [Verdict(both[i % 2]) for i in range(len(completions))]

    rows = [
        {
            "row_id": str(i),
            "messages": [
                {"role": "user", "content": f"Tom has {i} apples and buys 7 more. How many has he now?"}
            ],
            "demonstration": f"He has {i} + 7 = {i + 7} apples. The answer is {i + 7}.",
        }
        for i in range(8)
    ]

    def drawn(self: HFEngine, prompts: Any, k: int, sampling: Sampling, **how: Any) -> list[list[Sample]]:
        ids = [random.Random(i).choices(range(10, 300), k=MAX_TOKENS) for i in range(k)]
        return [
            [Sample(f"He has {i}.", ids[i], [-1.0] * MAX_TOKENS, "length") for i in range(k)] for _ in prompts
        ]

    HFEngine.sample = drawn
    with tempfile.TemporaryDirectory() as warm:
        tiny = load(make_model("llama", Path(warm) / "model"))
        learn(rows, *tiny, HalfGate(), LearnConfig(**STEP, max_tokens=16), Path(warm) / "agent")
    model, tokenizer = model_of(name, folder)
    config = LearnConfig(**STEP, max_tokens=MAX_TOKENS, micro_batch=micro)
    asked = [templates.rewrite(row["messages"], row["demonstration"]) for row in rows]
    longest = max(len(chat.prompt_ids(tokenizer, prompt)) for prompt in asked)
    estimate = micro_batch.needed_by(config, model, longest, Processes())(micro)
    before = resident("VmRSS")
    complete = Rollouts.advantages

    def then_forget(self: Rollouts, values: Any) -> None:
        complete(self, values)
        forget_peak()

    Rollouts.advantages = then_forget
    peaks = []

    def at_log(point: Any) -> None:
        if "reward" in point:  # the step's own report, before held-out rows are measured
            peaks.append(resident("VmHWM"))

    with tempfile.TemporaryDirectory() as out:
        learn(rows, model, tokenizer, HalfGate(), config, out, progress=at_log)
    return {"estimated": estimate / 2**30, "measured": (peaks[0] - before) / 2**30, "peak": peaks[0] / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["pocket", "smollm2"])
    parser.add_argument("--micro", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(measure(args.models[0], args.micro[0], args.alone)))
        return
    print(
        f"{'model':10} {'micro':>5} {'estimated':>10} {'measured':>10} {'ratio':>6} {'whole process':>14}   (GiB)"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            for micro in args.micro:
                command = [
                    sys.executable,
                    "-m",
                    "tests.bench.memory",
                    "--models",
                    name,
                    "--micro",
                    str(micro),
                ]
                done = subprocess.run(
                    [*command, "--alone", f"{folder}/{name}"], check=True, stdout=subprocess.PIPE, text=True
                )
                found = json.loads(done.stdout.splitlines()[-1])
                ratio = found["estimated"] / found["measured"]
                print(
                    f"{name:10} {micro:5} {found['estimated']:10.3f} {found['measured']:10.3f} {ratio:6.2f} "
                    f"{found['peak']:14.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
