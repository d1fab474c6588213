"""The rewriting job against its engine alone, and what augmenting keeps, in ratios measured in one run.

    python tests/bench/agent_rewriting.py [rewriting] [augment] [--model pocket] [--device cpu] [--rows 512]
        [--engine vllm]

`rewriting`: the whole job (generate, gate, score, embed, choose, write) against the engine generating the same
prompts alone, same threads. The gate has a process of its own, so on a CPU the job's figure is of the processor
seconds of the process that holds the engine; the clock's is printed beside it and needs a second, idle core.
`augment`: new questions from 500 rows of the world's general families and from 500 of the downstream family, which
the backbone cannot solve; judged by the world's own solver. On the general families both ways to come by questions
are held against the project's bound. Exit code 1 where a bound of the project does not hold; that of `ask` is only
printed on the pocket, which follows no request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from recast.agent.engines.factory import EngineConfig, open_engine
from recast.agent.engines.protocol import Engine
from recast.agent.new_rows.augment import AugmentConfig, augment, solving_gate
from recast.agent.prompts import templates
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.fingerprint import seed_of
from recast.curate.gate.gate import load_gate
from recast.pipelines.demo.solver import solve
from recast.pipelines.demo.styles import latex, qa
from recast.pipelines.demo.world import DOWNSTREAM, FAMILIES, Problem, problems
from recast.pipelines.models.names import model_path

CONFIG = RewriteConfig(candidates=4, max_tokens=192)
LEAST_SHARE = {"cpu": 0.75, "cuda": 0.9}
LEAST_KEPT, LEAST_RIGHT = 0.2, 0.95
AUGMENTED_ROWS = 500


def opened(kind: str, model: str, device: str, batch_size: int) -> Engine:
    """The engine over the model in bfloat16. vLLM runs where its build does and forms its own batches."""
    own: dict[str, Any] = {"device": device, "batch_size": batch_size} if kind == "hf" else {}
    return open_engine(EngineConfig(**{"type": kind, "dtype": "bfloat16", **own}), model_path(model))


def rows_of(drawn: list[Problem], style: Any) -> list[dict[str, Any]]:
    return [
        {
            "row_id": f"{p.family}-{i}",
            "messages": [{"role": "user", "content": p.question}],
            "completion": style(p),
            "answer": p.answer,
            "task": p.family,
        }
        for i, p in enumerate(drawn)
    ]


def measured(engine: Engine, args: argparse.Namespace) -> tuple[float, float]:
    """Rows/s of the whole job and of the engine alone: by the clock on a GPU, per processor second on a CPU."""
    rows = rows_of(list(problems(DOWNSTREAM, "train", args.rows, seed=0)), latex)
    asked = [templates.rewrite(r["messages"], r["completion"]) for r in rows]
    seeds = [[seed_of(0, r["row_id"], 0, k, 0) for k in range(CONFIG.candidates)] for r in rows]
    gate = load_gate("math")

    def alone() -> None:
        engine.sample(asked, CONFIG.candidates, CONFIG.sampling, seeds=seeds, adapter=False)

    def whole() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            result = rewrite(rows, engine, gate, CONFIG, Path(folder) / "run")
            for reader in (result.rows(), result.candidates()):  # reading them is part of the job
                assert sum(batch.num_rows for batch in reader)
            return result.seconds

    engine.sample(asked[:8], 1, CONFIG.sampling, seeds=[[0]] * 8, adapter=False)  # warms up
    cpu: dict[str, list[float]] = {"alone": [], "whole": []}
    clock: dict[str, list[float]] = {"alone": [], "whole": []}
    stages: dict[str, float] = {}
    for _ in range(args.repeats):
        for name, work in (("alone", alone), ("whole", whole)):
            began, used = time.perf_counter(), time.process_time()
            stages = work() or stages
            cpu[name].append(time.process_time() - used)
            clock[name].append(time.perf_counter() - began)
    counted = clock if args.device.startswith("cuda") else cpu
    print(
        f"  {len(rows)} rows, K = {CONFIG.candidates}, {args.repeats} rounds; by the clock: engine alone "
        f"{len(rows) / statistics.median(clock['alone']):.1f} rows/s, whole job "
        f"{len(rows) / statistics.median(clock['whole']):.1f} rows/s"
    )
    print(f"  stages of the last job: {', '.join(f'{k} {v:.1f} s' for k, v in stages.items())}")
    whole_s, alone_s = statistics.median(counted["whole"]), statistics.median(counted["alone"])
    return len(rows) / whole_s, len(rows) / alone_s


def rewriting(engine: Engine, args: argparse.Namespace) -> bool:
    ours, theirs = measured(engine, args)
    bound = LEAST_SHARE[args.device.partition(":")[0]]
    held = ours / theirs >= bound
    print(f"whole job against its engine alone: {ours:.1f} / {theirs:.1f} = {ours / theirs:.2f} (at least {bound}): "
          f"{'ok' if held else 'MISSED'}")  # fmt: skip
    return held


def augmenting(engine: Engine, args: argparse.Namespace) -> bool:
    gate: Any = solving_gate(load_gate("math"))
    each = -(-AUGMENTED_ROWS // len(FAMILIES))
    general = [p for family in FAMILIES for p in problems(family, "train", each, seed=args.seed)][
        :AUGMENTED_ROWS
    ]
    inputs = {
        "general families": rows_of(general, qa),
        "downstream family": rows_of(
            list(problems(DOWNSTREAM, "train", AUGMENTED_ROWS, seed=args.seed)), latex
        ),
    }
    held = True
    for name, rows in inputs.items():
        for questions in ("continue", "ask"):
            config = AugmentConfig(questions=questions, max_tokens=192)
            with tempfile.TemporaryDirectory() as folder:
                result = augment(rows, engine, gate, config, Path(folder) / "run", name=name)
                made = result.rows().read_all().to_pylist()
            verdicts = Counter(
                solve(json.loads(row["messages"])[-1]["content"]) == row["answer"] for row in made
            )
            kept, right = len(made) / len(rows), verdicts[True] / max(1, len(made))
            print(
                f"{name}, {questions}: {kept:.1%} of {len(rows)} rows gave a new one, {right:.1%} of those right; "
                f"dropped: {', '.join(f'{n} {r}' for r, n in result.reasons.items())}"
            )
            if name == "general families":
                enough = kept >= LEAST_KEPT and right >= LEAST_RIGHT
                bound = f"at least {LEAST_KEPT:.0%} kept, {LEAST_RIGHT:.0%} right"
                print(f"  {questions} ({bound}): {'ok' if enough else 'MISSED'}", flush=True)
                held &= enough or (questions == "ask" and args.model == "pocket")
    return held


PARTS = {"rewriting": rewriting, "augment": augmenting}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--model", default="pocket")
    parser.add_argument(
        "--device", default="cpu", help="of hf; which clock and bound count, with either engine"
    )
    parser.add_argument("--engine", choices=("hf", "vllm"), default="hf")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=9, help="of the rows that are augmented")
    args = parser.parse_args()
    if args.device == "cpu":
        import torch

        torch.set_num_threads(1)  # processor seconds of waiting threads would count as work
    engine = opened(args.engine, args.model, args.device, args.batch_size)
    held = [PARTS[name](engine, args) for name in args.parts or PARTS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
