"""What the agent's engines and jobs cost, as ratios measured in one run.

    python tests/bench/agent.py [--part score] [--model pocket] [--device cpu] [--rows 64] [--repeats 3]
    python tests/bench/agent.py --part rewriting --engine vllm --device cuda --model M --rows 2048

Part `generate`: the hf engine against transformers' own `generate(num_return_sequences=K)` over the same prompts
in file order, each at its best batch size. Part `score`: K candidates a prompt against one forward a candidate.
Part `rewriting`: the whole job against its engine alone, hf or vllm (`agent_rewriting.py`, which measures augmenting,
too).
Both sides run in bfloat16 on one thread, in turn, and figures are medians; on a CPU they are of processor time.
Prompts are those of the demo's world. Exit code 1 where a bound of the project does not hold.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # as a script this file would itself be found as `agent`

import torch

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.protocol import Sample, Sampling
from recast.agent.prompts import templates
from recast.curate import chat
from recast.pipelines.demo.styles import latex
from recast.pipelines.demo.world import DOWNSTREAM, problems
from recast.pipelines.models.names import model_path

K, MAX_TOKENS = 8, 192
SAMPLING = Sampling(temperature=1.0, max_tokens=MAX_TOKENS)


@dataclass(frozen=True, slots=True)
class Ratio:
    """`ours` against `theirs`, both in rows/s, and the least that the project asks for."""

    name: str
    ours: float
    theirs: float
    bound: float
    note: str = ""

    @property
    def value(self) -> float:
        return self.ours / self.theirs

    def __str__(self) -> str:
        verdict = "ok" if self.value >= self.bound else "MISSED"
        figures = f"{self.ours:8.1f} {self.theirs:8.1f} rows/s {self.value:6.2f} x (at least {self.bound:g})"
        return f"{self.name:42} {figures} {verdict}  {self.note}"


def timed(work: Callable[[], Any], device: str) -> float:
    """Seconds of one call: of the clock on a GPU, of the processor on a CPU, which others may be using too."""
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    started = clock()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return clock() - started


def medians(jobs: dict[str, Callable[[], Any]], repeats: int, device: str) -> dict[str, float]:
    """Median seconds of every job; they take turns, so that a busy spell of the machine meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            seconds[name].append(timed(job, device))
    return {name: statistics.median(values) for name, values in seconds.items()}


def generate(engine: HFEngine, ids: list[list[int]], per_batch: int) -> None:
    """transformers as it is commonly called: file order, left padding, K sequences a prompt."""
    tokenizer = engine.tokenizer
    for start in range(0, len(ids), per_batch):
        batch = ids[start : start + per_batch]
        width = max(map(len, batch))
        padded = torch.tensor([[tokenizer.pad_token_id] * (width - len(p)) + p for p in batch])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
        engine.model.generate(
            padded.to(engine.device),
            attention_mask=mask.to(engine.device),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=K,
            max_new_tokens=MAX_TOKENS,
        )


@torch.no_grad()
def one_forward_a_candidate(engine: HFEngine, rows: list[tuple[list[int], list[int]]]) -> None:
    for head, tail in rows:
        logits = engine.model(torch.tensor([head + tail], device=engine.device)).logits[0, len(head) - 1 : -1]
        logp = torch.log_softmax(logits.float(), dim=-1)
        logp.gather(1, torch.tensor(tail, device=engine.device)[:, None]).mean().item()


class Prompts:
    """Questions of the demo's world, their rewriting prompts, and an engine with the model in bfloat16."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.engine = HFEngine.load(model_path(args.model), dtype="bfloat16", device=args.device)
        found = list(problems(DOWNSTREAM, "train", args.rows, seed=0))
        self.questions: list[Any] = [[{"role": "user", "content": p.question}] for p in found]
        self.asked = [templates.rewrite(q, latex(p)) for q, p in zip(self.questions, found, strict=True)]
        self.seeds = [[i * K + j for j in range(K)] for i in range(len(found))]

    def draw(self, batch_size: int) -> list[list[Sample]]:
        self.engine.batch_size = batch_size
        return self.engine.sample(self.asked, K, SAMPLING, seeds=self.seeds, adapter=False)


def generate_part(args: argparse.Namespace) -> Iterator[Ratio]:
    world = Prompts(args)
    ids = [chat.prompt_ids(world.engine.tokenizer, prompt) for prompt in world.asked]
    drawn = world.draw(128)  # also warms up
    generate(world.engine, ids[:4], 4)
    print(
        f"{len(ids)} prompts of {min(map(len, ids))} to {max(map(len, ids))} tokens, K = {K}, samples of "
        f"{statistics.mean(len(s.token_ids) for g in drawn for s in g):.0f} tokens on average"
    )
    sizes = (8, 16, 32) if args.device == "cpu" else (16, 32, 64)
    jobs: dict[str, Callable[[], Any]] = {
        f"generate, {n} prompts": lambda n=n: generate(world.engine, ids, n) for n in sizes
    }
    jobs |= {f"engine, {n} rows": lambda n=n: world.draw(n) for n in (128, 256, 512)}
    found = medians(jobs, args.repeats, args.device)
    for name, seconds in found.items():
        print(f"  {name:24} {len(ids) / seconds:8.1f} prompts/s")
    theirs = min((s, n) for n, s in found.items() if n.startswith("generate"))
    ours = min((s, n) for n, s in found.items() if n.startswith("engine"))
    yield Ratio(
        "hf engine against generate", len(ids) / ours[0], len(ids) / theirs[0], 1.5, f"{ours[1]}; {theirs[1]}"
    )


def score_part(args: argparse.Namespace) -> Iterator[Ratio]:
    world = Prompts(args)
    drawn = world.draw(256)
    flat = [(world.questions[i], s.text) for i, group in enumerate(drawn) for s in group]
    pairs = [chat.encode(world.engine.tokenizer, question, text) for question, text in flat]
    world.engine.batch_size = 64
    jobs: dict[str, Callable[[], Any]] = {
        "engine": lambda: world.engine.logprobs([q for q, _ in flat], [t for _, t in flat], adapter=False),
        "one by one": lambda: one_forward_a_candidate(world.engine, pairs),
    }
    medians(jobs, 1, args.device)  # warms up
    found = medians(jobs, max(5, args.repeats), args.device)
    yield Ratio(
        f"scoring groups of {K} against one by one",
        len(flat) / found["engine"],
        len(flat) / found["one by one"],
        2.0,
        f"{len(flat)} candidates",
    )


def rewriting_part(args: argparse.Namespace) -> Iterator[Ratio]:
    from agent_rewriting import LEAST_SHARE, measured, opened

    whole, alone = measured(opened(args.engine, args.model, args.device, batch_size=256), args)
    bound = LEAST_SHARE[args.device.partition(":")[0]]
    yield Ratio("whole rewriting job against its engine", whole, alone, bound, args.engine)


PARTS = {"generate": generate_part, "score": score_part, "rewriting": rewriting_part}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument("--model", default="pocket")
    parser.add_argument(
        "--device", default="cpu", help="of hf; which clock and bound count, with either engine"
    )
    parser.add_argument("--engine", choices=("hf", "vllm"), default="hf", help="of the part rewriting")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.engine != "hf" and args.part != ["rewriting"]:
        parser.error(f"the other parts measure hf: give --part rewriting with --engine {args.engine}")
    ratios = []
    if args.device == "cpu":
        torch.set_num_threads(1)  # processor seconds of waiting threads would count as work
    for name in args.part or PARTS:
        print(f"{name}, {args.model} on {args.device}, {torch.get_num_threads()} threads")
        for ratio in PARTS[name](args):
            print(ratio, flush=True)
            ratios.append(ratio)
    return 0 if all(r.value >= r.bound for r in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
