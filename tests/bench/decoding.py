"""What decoding takes beside its matrix products alone, in one run on one thread.

    python tests/bench/decoding.py [--model smollm2] [--rows 64] [--steps 24]

Prompts of 128 random tokens are read, then `rows` samples of them drawn, `steps` tokens each: once with 8 samples a
prompt, as candidates are drawn, and once with one. A step's matrix products are the linear layers of the model, each
with its own weights, over `rows` vectors. Both are timed in turn, in seconds of the processor (of the clock on a GPU),
and the median counts. Exit code 1 where a step takes more than 2.5 x the time of its products.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from recast.agent.engines.hf.decode import decode
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.protocol import Sampling
from recast.pipelines.models.names import model_path

BOUND = 2.5
PROMPT_TOKENS = 128
CASES = (
    (8, Sampling(temperature=1.0)),
    (1, Sampling(temperature=1.0)),
    (8, Sampling(temperature=0.7, top_p=0.95)),
)
"""Samples a prompt, and how they are drawn."""


def seconds(work: Callable[[], Any]) -> float:
    cuda = torch.cuda.is_available()
    clock = time.perf_counter if cuda else time.process_time
    begun = clock()
    work()
    if cuda:
        torch.cuda.synchronize()
    return clock() - begun


def products(model: Any, rows: int) -> Callable[[], None]:
    """All linear layers of a step, one after the other."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    inputs = {
        m.in_features: torch.randn(rows, m.in_features, dtype=m.weight.dtype, device=m.weight.device)
        for m in layers
    }

    def run() -> None:
        with torch.no_grad():
            for layer in layers:
                torch.nn.functional.linear(inputs[layer.in_features], layer.weight, layer.bias)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine = HFEngine.load(model_path(args.model), dtype=args.dtype)
    model = engine.model
    vocabulary = model.config.get_text_config().vocab_size
    alone = products(model, args.rows)
    alone()
    missed = False
    for k, sampling in CASES:
        prompts = torch.randint(0, vocabulary, (args.rows // k, PROMPT_TOKENS)).tolist()
        seeds = [[i * k + j for j in range(k)] for i in range(len(prompts))]

        def drawn(
            new: int, prompts: Any = prompts, seeds: Any = seeds, sampling: Sampling = sampling
        ) -> None:
            asked = Sampling(sampling.temperature, sampling.top_p, new)
            with engine.mode(False):
                decode(model, prompts, seeds, asked, eos_ids=[], pad_id=0)

        drawn(2)
        steps, products_s = [], []
        for _ in range(args.repeats):
            first = seconds(lambda drawn=drawn: drawn(1))
            steps.append((seconds(lambda drawn=drawn: drawn(args.steps + 1)) - first) / args.steps)
            products_s.append(statistics.median(seconds(alone) for _ in range(5)))
        step, product = statistics.median(steps), statistics.median(products_s)
        missed |= step / product > BOUND
        print(
            f"{args.rows} rows, {k} a prompt, T {sampling.temperature}, top-p {sampling.top_p}: {1000 * step:.0f} ms a "
            f"step, {args.rows / step:.0f} tokens/s; its products {1000 * product:.0f} ms; {step / product:.2f} x "
            f"(at most {BOUND}) {'ok' if step / product <= BOUND else 'MISSED'}",
            flush=True,
        )
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
