"""Which measure tells a model's own answers from demonstrations, rewrites, and text that is likely but not its own.

    python -m tests.bench.alignment --data DATA --out out/alignment [--model smollm2] [--temperatures 1.0 0.7 0.45]

Rows are those of `prompt_rows` (word problems in prose and easy ones of GSM8K). At each temperature the bare model
answers the question alone (`own`) and rewrites the demonstration (`rewrite`); traps are text that is likely rather than
typical: the question said again (`echo`), an own answer whose last sentence comes five times (`loop`), one said twice
(`twice`). All are scored under the plain question. Printed is the area under the curve, the share of pairs in which the
kind has the higher measure than an own answer at that temperature (1: always told apart, 0.5: not at all), with 1.96
standard deviations over 200 draws of rows. Samples and scores are files under `--out` and are not made twice.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recast.agent.engines import tokens
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.hf.scoring import Scoring
from recast.agent.engines.protocol import Sampling
from recast.agent.prompts import templates
from recast.curate.files import append_line, read_lines
from recast.curate.fingerprint import seed_of
from recast.curate.language.sentences import sentences
from recast.pipelines.models.names import model_path
from tests.bench import prompt_rows

OWN_SAMPLES = 2
"""Own answers a row, which are also what a text's place among own answers is told by."""
BATCH_ROWS = 32
Line = dict[str, Any]
MEASURES: dict[str, Callable[[Line], float]] = {
    "NLL": lambda line: line["nll"],
    "excess, T = 1": lambda line: line["excess_1"],
    "per token at T": lambda line: line["excess"] / line["tokens"],
    "place among own": lambda line: line["place"],
    "excess at T": lambda line: line["excess"],
}


def sampled(engine: HFEngine, rows: Sequence[Line], temperature: float, most: int, path: Path) -> list[Line]:
    """Own answers and rewrites of `rows` at a temperature, with their tokens; kept in `path`."""
    there = {(line["kind"], line["row"]) for line in read_lines(path)}
    sampling = Sampling(temperature, max_tokens=most)
    for kind, k in (("own", OWN_SAMPLES), ("rewrite", 1)):
        missing = [row for row in rows if (kind, row["id"]) not in there]
        for begin in range(0, len(missing), BATCH_ROWS):
            batch = missing[begin : begin + BATCH_ROWS]
            prompts = [[{"role": "user", "content": row["question"]}] for row in batch]
            if kind == "rewrite":
                shown = [row["solution"] for row in batch]
                prompts = [templates.rewrite(p, text) for p, text in zip(prompts, shown, strict=True)]
            seeds = [[seed_of(0, kind, row["id"], j) for j in range(k)] for row in batch]
            groups = engine.sample(prompts, k, sampling, seeds=seeds, adapter=False)
            for row, group in zip(batch, groups, strict=True):
                for s in group:
                    append_line(path, {"kind": kind, "row": row["id"], "text": s.text, "ids": s.token_ids})
    return list(read_lines(path))


def traps(rows: Sequence[Line], own: Sequence[Line]) -> Iterator[Line]:
    """Demonstrations, and texts that are likely but not what the model says when asked."""
    for row in rows:
        yield {"kind": "demonstration", "row": row["id"], "text": row["solution"]}
        yield {"kind": "echo", "row": row["id"], "text": row["question"]}
    for line in own:
        text = line["text"].strip()
        if found := sentences(text):
            yield {"kind": "loop", "row": line["row"], "text": " ".join([text, *[found[-1]] * 4])}
            yield {"kind": "twice", "row": line["row"], "text": f"{text}\n\n{text}"}


def scored(engine: HFEngine, rows: Sequence[Line], lines: list[Line], temperature: float) -> list[Line]:
    """`lines` with their NLL and excess under the plain question; what was cut off is scored as far as it goes."""
    questions = {row["id"]: [{"role": "user", "content": row["question"]}] for row in rows}
    heads = tokens.prompt_ids(engine.tokenizer, [questions[line["row"]] for line in lines])
    ends = [line.get("ids") or tokens.completion_ids(engine.tokenizer, [line["text"]])[0] for line in lines]
    longest = engine.max_length or math.inf
    scoring = Scoring(engine.model, engine.tokenizer.eos_token_id, engine.batch_size, longest, temperature)
    with engine.mode(adapter=False):
        found, _ = scoring.run(heads, ends, embed=False)
    for line, score in zip(lines, found, strict=True):
        at_one = (score.nll - score.entropy) * score.num_tokens
        line |= {"nll": score.nll, "excess_1": at_one, "excess": score.excess, "tokens": score.num_tokens}
    own: dict[str, list[Line]] = {}
    for line in lines:
        if line["kind"] == "own":
            own.setdefault(line["row"], []).append(line)
    for line in lines:
        others = [o["nll"] for o in own[line["row"]] if o is not line]
        line["place"] = float(np.mean([line["nll"] > nll for nll in others])) if others else math.nan
    return lines


def auc(higher: np.ndarray, lower: np.ndarray) -> float:
    """Share of pairs in which the first is higher; half of a pair of equals."""
    ranked = np.sort(lower)
    below = np.searchsorted(ranked, higher, "left") + np.searchsorted(ranked, higher, "right")
    return float(below.mean()) / (2 * len(ranked))


def areas(lines: Sequence[Line], kind: str, measure: Callable[[Line], float]) -> tuple[float, float]:
    """The area of `kind` against own answers, and 1.96 standard deviations of it over draws of rows."""
    rows = sorted({line["row"] for line in lines})
    values = {
        of: [[measure(x) for x in lines if x["row"] == row and x["kind"] == of] for row in rows]
        for of in (kind, "own")
    }

    def area(picked: Sequence[int]) -> float:
        theirs, own = (np.array([v for i in picked for v in values[of][i]]) for of in (kind, "own"))
        return auc(theirs, own)

    random = np.random.default_rng(0)
    drawn = [area(random.integers(0, len(rows), len(rows)).tolist()) for _ in range(200)]
    return area(range(len(rows))), 1.96 * float(np.std(drawn))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--each", type=int, default=50, help="rows of either data set")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--temperatures", nargs="+", type=float, default=[1.0, 0.7, 0.45])
    args = parser.parse_args()
    rows = prompt_rows.rows(args.data, args.each)
    engine = HFEngine.load(model_path(args.model), dtype="bfloat16")
    args.out.mkdir(parents=True, exist_ok=True)
    for temperature in args.temperatures:
        name = f"{args.model}-{temperature:g}"
        scores = args.out / f"{name}-scores.jsonl"
        if not scores.exists():
            drawn = sampled(engine, rows, temperature, args.tokens, args.out / f"{name}-samples.jsonl")
            firsts = {line["row"]: line for line in reversed(drawn) if line["kind"] == "own"}
            found = scored(engine, rows, [*drawn, *traps(rows, list(firsts.values()))], temperature)
            scores.write_text("".join(json.dumps(line) + "\n" for line in found))
        lines = list(read_lines(scores))
        print(f"\n{args.model}, {len(rows)} rows, T = {temperature:g}: area against own answers")
        print(f"{'':14}" + "".join(f"{measure:>17}" for measure in MEASURES))
        for kind in ("demonstration", "rewrite", "echo", "loop", "twice"):
            cells = [areas(lines, kind, measure) for measure in MEASURES.values()]
            print(f"{kind:14}" + "".join(f"{f'{a:.3f} +- {w:.3f}':>17}" for a, w in cells), flush=True)
        for kind in ("own", "rewrite", "demonstration"):
            values = [line["excess"] for line in lines if line["kind"] == kind]
            print(
                f"excess at T of {kind}: mean {np.mean(values):.1f}, standard deviation {np.std(values):.1f}"
            )


if __name__ == "__main__":
    main()
