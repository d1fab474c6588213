"""Samples rewrites of real demonstrations from a real model, for people to label: what the gate is judged by.

    python tests/bench/candidates.py --data DATA --out out/candidates.jsonl [--model smollm2] [--draw 1]

Rows are drawn by the hash of their question, each with one temperature; a line holds source, row id, the hash of the
question (what joins it to the data, of which nothing is kept), temperature, seed, finish reason and the raw
completion. Killed and started again, it goes on with the rows that are missing. No verdict is computed here: labels
are given without sight of any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.protocol import Sampling
from recast.agent.prompts import templates
from recast.curate.files import append_line, read_lines
from recast.curate.fingerprint import seed_of
from recast.pipelines.models.names import model_path

SOURCES = {  # file, question, demonstration, rows, candidates a row
    "prose": ("mwp/svamp_nl.jsonl", "question", "answer_cot", 200, 8),
    "programs": ("mwp/svamp_python_sdp.jsonl", "question", "answer_cot", 50, 4),
    "gsm8k": ("gsm8k/train.jsonl", "question", "answer", 60, 4),
}
TEMPERATURES = (0.3, 0.5, 0.7, 1.0)
SAMPLING = {"top_p": 0.95, "max_tokens": 160}
BATCH_ROWS = 4


def question_hash(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8")).hexdigest()[:16]


def drawn(data: Path, source: str, draw: int = 0) -> Iterator[dict[str, Any]]:
    """The rows of a source with the lowest question hashes, and their temperatures in turn.

    Draw 1 are as many of the hashes that follow, and so on: rows that no draw before has seen.
    """
    file, asked, shown, num_rows, _ = SOURCES[source]
    rows = [json.loads(line) for line in (data / file).read_text(encoding="utf-8").splitlines()]
    unique = {question_hash(row[asked]): (i, row) for i, row in enumerate(rows)}
    for place, key in enumerate(sorted(unique)[draw * num_rows : (draw + 1) * num_rows]):
        i, row = unique[key]
        yield {
            "source": source,
            "row": row.get("item_id", f"{source}_{i}"),
            "question_hash": key,
            "temperature": TEMPERATURES[place % len(TEMPERATURES)],
            "question": row[asked],
            "demonstration": row[shown],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--draw", type=int, default=0)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    there = {(line["source"], line["question_hash"]) for line in read_lines(args.out)}
    engine = HFEngine.load(model_path(args.model), dtype="bfloat16")
    for source, (*_, k) in SOURCES.items():
        rows = [r for r in drawn(args.data, source, args.draw) if (source, r["question_hash"]) not in there]
        for temperature in TEMPERATURES:
            at = [r for r in rows if r["temperature"] == temperature]
            for begin in range(0, len(at), BATCH_ROWS):
                batch = at[begin : begin + BATCH_ROWS]
                asked = [
                    templates.rewrite([{"role": "user", "content": r["question"]}], r["demonstration"])
                    for r in batch
                ]
                seeds = [[seed_of(0, r["question_hash"], j) for j in range(k)] for r in batch]
                sampling = Sampling(temperature=temperature, **SAMPLING)
                groups = engine.sample(asked, k, sampling, seeds=seeds, adapter=False)
                for row, group in zip(batch, groups, strict=True):
                    kept = {n: row[n] for n in ("source", "row", "question_hash", "temperature")}
                    samples = [
                        {"seed": seed, "finish_reason": s.finish_reason, "completion": s.text}
                        for s, seed in zip(group, seeds[batch.index(row)], strict=True)
                    ]
                    append_line(args.out, {**kept, "candidates": samples})
                print(f"{source} T {temperature}: {begin + len(batch)} of {len(at)} rows", flush=True)


if __name__ == "__main__":
    main()
