"""What learning starts from, on a model that was not made for it: bare, warm start, dynamic sampling.

    python -m tests.bench.learning_starts --data DATA --out out/starts [--model smollm2] [--arms plain warm ...]
    python -m tests.bench.learning_starts --data DATA --out out/hard --model pocket --hard --arms plain redraws

Rows are word problems in prose (`mwp/svamp_nl.jsonl`), the held-out ones those of `recast learn`; with `--hard` those
of GSM8K under a prompt that the pocket was not made for. Every arm learns from the same rows with the same seed; what
is measured afterwards are sampled candidates of the held-out rows, at the temperature and under the gate of learning:
the share that passes, and rows with at least one that does. A line an arm and stage is appended to `result.jsonl`;
killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.protocol import Sampling
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import learn, parted_rows
from recast.agent.learning.warm_start import WarmStartConfig
from recast.agent.prompts.config import PromptsConfig
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.curate.files import append_line, read_lines
from recast.curate.fingerprint import seed_of
from recast.curate.gate.gate import load_gate
from recast.curate.intervals import mean_of_shares
from recast.pipelines.models.names import model_path
from recast.pipelines.wiring.learning.warm_start import Begun, warm_start
from recast.train.model.loading import load
from tests.bench import diversity

ROWS = 300
LEARN = {
    "prompts_per_step": 6, "candidates": 6, "beta": 0.0, "lora_rank": 16, "max_tokens": 112, "eval_every": 100,
    "save_every": 2, "heldout_rows": 8,
}  # fmt: skip
OF_MODEL = {"smollm2": {"lr": 2e-4, "temperature": 0.45}, "pocket": {"lr": 3e-4, "temperature": 0.7}}
ARMS: dict[str, tuple[dict[str, Any], bool]] = {
    "plain": ({}, False),
    "warm": ({}, True),
    "redraws": ({"redraws": 2}, False),
    "warm+redraws": ({"redraws": 2}, True),
}
CANDIDATES = 4
HARD = {"prompts_per_step": 8, "candidates": 8, "lr": 1e-3, "schedule": "linear", "temperature": 1.0}
HARD_ROWS = 36
HARD_PROMPT = "Question: {{ question }}\nExpert: {{ demonstration }}\nNow you:"


def rows(data: Path) -> list[dict[str, Any]]:
    lines = (data / "mwp" / "svamp_nl.jsonl").read_text(encoding="utf-8").splitlines()[:ROWS]
    return [
        {
            "row_id": row["item_id"],
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["answer_cot"],
            "answer": row["answer_value"],
            "task": None,
        }
        for row in map(json.loads, lines)
    ]


def measured(
    engine: HFEngine, heldout: list[dict[str, Any]], gate: Any, config: LearnConfig, prompts: Prompts
) -> dict[str, Any]:
    """Sampled candidates of the held-out rows: what passes, and a few of them to be read."""
    asked = [prompts.rewrite(row) for row in heldout]
    seeds = [[seed_of(0, "held out", row["row_id"], j) for j in range(CANDIDATES)] for row in heldout]
    sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
    groups = engine.sample(asked, CANDIDATES, sampling, seeds=seeds, adapter=engine.has_adapter)
    flat = [(row, s) for row, group in zip(heldout, groups, strict=True) for s in group]
    verdicts = gate.verify_many(
        [r for r, _ in flat], [s.text for _, s in flat], [s.finish_reason for _, s in flat]
    )
    passed = [v.accepted for v in verdicts]
    shares = [sum(passed[i : i + CANDIDATES]) / CANDIDATES for i in range(0, len(passed), CANDIDATES)]
    return {
        "rows": len(heldout),
        "accepted": mean_of_shares(shares),
        "rows_rewritten": sum(share > 0 for share in shares),
        "texts": [
            {"row_id": row["row_id"], "text": s.text} for (row, s), ok in zip(flat, passed, strict=True) if ok
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2", choices=OF_MODEL)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warm-rows", type=int, default=64)
    parser.add_argument("--warm-candidates", type=int, default=4)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hard", action="store_true")
    args = parser.parse_args()
    gate, result = load_gate("strict"), args.out / "result.jsonl"
    data = diversity.halves(args.data)[0] if args.hard else rows(args.data)
    prompts = Prompts(PromptsConfig(rewrite=HARD_PROMPT)) if args.hard else DEFAULT
    args.out.mkdir(parents=True, exist_ok=True)
    path = model_path(args.model)

    def say(point: Any) -> None:
        print(time.strftime("%H:%M:%S"), {k: v for k, v in point.items() if v is not None}, flush=True)

    def keep(arm: str, adapter: Path | None, config: LearnConfig, **more: Any) -> None:
        if any(line["arm"] == arm for line in read_lines(result)):
            return
        engine = HFEngine.load(path, adapter=adapter, batch_size=128)
        if args.hard:
            heldout = diversity.halves(args.data)[1][:HARD_ROWS]
        else:
            heldout = parted_rows(data, engine.model, engine.tokenizer, config, prompts).heldout
        line = {
            "arm": arm,
            "model": args.model,
            "gate": gate.id,
            **measured(engine, heldout, gate, config, prompts),
            **more,
        }
        append_line(result, line)
        say({name: line[name] for name in ("arm", "accepted", "rows_rewritten", *more)})

    more = {**OF_MODEL[args.model], **(HARD if args.hard else {}), "steps": args.steps, "seed": args.seed}
    base = LearnConfig.model_validate({**LEARN, **more})
    keep("bare", None, base)
    for arm in args.arms:
        settings, warmed = ARMS[arm]
        config, out = base.model_copy(update=settings), args.out / arm
        warm, before = None, time.process_time()
        if warmed:
            start = WarmStartConfig(rows=args.warm_rows, candidates=args.warm_candidates)
            begun = Begun(path, gate, prompts, base, None)
            # one folder of all arms: the draw and what it teaches are the same
            warm = warm_start(data, begun, start, args.out / "start", say)
            keep("warm, 0 steps", warm.adapter, base, warm=warm.to_dict())
        model, tokenizer = load(path)
        learnt = learn(data, model, tokenizer, gate, config, out, prompts=prompts, progress=say, warm=warm)
        steps = [line for line in read_lines(out / "metrics.jsonl") if "pass_rate" in line]
        keep(
            f"{arm}, {args.steps} steps",
            out / "last",
            base,
            seconds=learnt.seconds,
            processor_seconds=round(time.process_time() - before, 1),
            pass_rates=[line["pass_rate"] for line in steps],
            redrawn=[line.get("redrawn", 0) for line in steps],
            taught=[line.get("groups_taught", 1 - line["groups_all_fail"]) for line in steps],
        )


if __name__ == "__main__":
    main()
