"""Hinted decoding against the rewriting prompt alone: same rows, gate, candidates, cleaning and choice.

    python -m tests.bench.hinted --data DATA --out out/hinted [--model smollm2] [--strengths 0 1 4]

Rows are those of `prompt_rows` (half word problems in prose, half easy ones of GSM8K). Strength 0 is the prompt alone,
1 as published. Printed are rows rewritten and candidates accepted with their intervals over rows, nats a token of what
is kept less the demonstration's, and tokens a second; accepted texts lie under `--out` to be read.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.rewriting.methods import hinted, prompt_only
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.gate.gate import load_gate
from recast.curate.intervals import mean_of_shares
from recast.pipelines.models.names import model_path
from tests.bench import prompt_rows


def measured(
    strength: float, rows: list[dict[str, Any]], engine: HFEngine, config: RewriteConfig, out: Path
) -> dict[str, Any]:
    method = hinted(config) if strength else prompt_only(config)
    if strength:
        mixings = [
            replace(a, mixing=a.mixing and replace(a.mixing, strength=strength)) for a in method.attempts
        ]
        method = replace(method, attempts=tuple(mixings))
    began = time.process_time()
    result = rewrite(
        rows, engine, load_gate("auto"), config, out / f"run-{strength:g}", method=method, beside=False
    )
    seconds = time.process_time() - began
    found: dict[str, list[dict[str, Any]]] = {row["row_id"]: [] for row in rows}
    for candidate in result.candidates().read_all().to_pylist():
        found[candidate["row_id"]].append(candidate)
    passed = [[c["status"] == "accepted" for c in group] for group in found.values()]
    kept = [row for row in result.rows().read_all().to_pylist() if row["decision"] != "fallback"]
    gains = [row["nll_completion"] - row["nll_demonstration"] for row in kept]
    reasons: dict[str, int] = {}
    for c in (c for group in found.values() for c in group if c["status"] != "accepted"):
        reasons[c["reason"]] = reasons.get(c["reason"], 0) + 1
    return {
        "strength": strength,
        "accepted": mean_of_shares([sum(group) / len(group) for group in passed]),
        "rows_rewritten": sum(map(any, passed)),
        "nll_gain": sum(gains) / len(gains) if gains else None,
        "tokens": result.num_tokens,
        "processor_seconds": round(seconds, 1),
        "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])[:6]),
        "texts": [
            {"row_id": c["row_id"], "text": c["text"], "nll": c["nll"]}
            for group in found.values()
            for c in group
            if c["status"] == "accepted"
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--each", type=int, default=16, help="rows of either data set")
    parser.add_argument("--temperature", type=float, default=0.3)
    parser.add_argument("--strengths", nargs="+", type=float, default=[0.0, 1.0, 4.0])
    args = parser.parse_args()
    rows = [
        {
            "row_id": row["id"],
            "messages": [{"role": "user", "content": row["question"]}],
            "completion": row["solution"],
            "answer": row["answer"],
        }
        for row in prompt_rows.rows(args.data, args.each)
    ]
    engine = HFEngine.load(model_path(args.model), dtype="bfloat16")
    config = RewriteConfig(temperature=args.temperature, top_p=0.95, max_tokens=112)
    for strength in args.strengths:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / f"{args.model}-{strength:g}.json"
        if not path.exists():
            path.write_text(json.dumps(measured(strength, rows, engine, config, args.out), indent=1))
        said = json.loads(path.read_text())
        print({name: value for name, value in said.items() if name != "texts"}, flush=True)


if __name__ == "__main__":
    main()
