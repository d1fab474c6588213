"""Diversity on against off: among the same candidates, and in what agents come to that learned with and without it.

    python -m tests.bench.diversity choice --data DATA [--run RUN] [--temperature 0.6] [--model smollm2]
    python -m tests.bench.diversity learning --data DATA --out out/diversity [--seeds 0 1 2] [--minutes 20]

`choice` takes the accepted candidates of a rewriting run over word problems in prose, sampled at that temperature (an
agent's, or of the bare model), and compares what is kept of each row with its best aligned candidate, which
`rewrite.embedding=none` keeps. `learning` lets agents of the pocket learn on one half of GSM8K and rewrite rows of the
other half, on: everything as it is by default, off: `learn.lambda_div=0` and `rewrite.embedding=none`. Printed are the
Vendi score on hashed words and 1 - self-BLEU of the rows that both rewrote, and their differences with 95 % intervals:
1.96 standard deviations of the difference over random halves of the rows (half-samples have the variance that the
whole has about its mean). Finished runs are under `--out` and are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import learn
from recast.agent.reward.alignment import AnchorCache, scored_at
from recast.agent.reward.formula import MeasuredGroup, Weights, group_reward
from recast.agent.reward.ledger import shaping_shares
from recast.agent.rewriting.choice import aligned, varied
from recast.agent.rewriting.outcome import RewriteResult
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate.curation.budget import hashed_words_ND
from recast.curate.curation.diversity import novelties_K, self_bleu, vendi
from recast.curate.gate.gate import load_gate
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.texts import containment
from recast.pipelines.models.names import model_path
from recast.train.model.loading import load
from tests.bench import prompt_rows, real_input

HALVES = 30
MEASURES: dict[str, Callable[[Sequence[str]], float]] = {
    "vendi": lambda texts: vendi(hashed_words_ND(texts)),
    "1 - self-BLEU": lambda texts: 1.0 - self_bleu(texts).mean,
}
FIGURES: dict[str, Callable[[Candidate], float]] = {
    "NLL": lambda c: c.nll or 0.0,
    "word drift": lambda c: c.scores["drift"],
    "tokens": lambda c: c.scores["num_tokens"],
}
LEARN = {
    "steps": 10,
    "prompts_per_step": 6,
    "candidates": 8,
    "lr": 3e-4,
    "lora_rank": 32,
    "beta": 0.0,
    "max_tokens": 160,
    "eval_every": 10,
    "heldout_rows": 4,
}
LEARNING_ROWS, TEST_ROWS = 200, 120
MOST_CHARS = 180
"""Longest question of a row to learn from or to rewrite."""


def compared(on: Sequence[str], off: Sequence[str]) -> dict[str, dict[str, float]]:
    """Each measure of both sides, row by row the same rows, and the difference with its interval."""
    found = {}
    for name, measure in MEASURES.items():
        spread = []
        for half in range(HALVES):
            picked = Random(half).sample(range(len(on)), len(on) // 2)
            spread.append(measure([on[i] for i in picked]) - measure([off[i] for i in picked]))
        values = measure(on), measure(off)
        half = 1.96 * statistics.stdev(spread)
        gain = values[0] - values[1]
        found[name] = {
            "on": values[0],
            "off": values[1],
            "gain": gain,
            "low": gain - half,
            "high": gain + half,
        }
    return found


def told(name: str, found: dict[str, dict[str, float]], num: int) -> None:
    for measure, f in found.items():
        print(
            f"{name:10} {num} rows  {measure:14} on {f['on']:.4g}  off {f['off']:.4g}  "
            f"{f['gain']:+.4g} ({f['low']:+.4g} to {f['high']:+.4g})",
            flush=True,
        )


def accepted_of(run: Path) -> list[dict[str, list[Candidate]]]:
    """The accepted candidates of each row of a rewriting run that has any, by its id, a batch after the other."""
    batches = []
    for part in sorted((run / "parts").glob("*.parquet")):
        rows: dict[str, list[Candidate]] = {}
        for row in pq.read_table(part, columns=["row_id", "candidates"]).to_pylist():
            for c in row["candidates"] or ():
                if c["status"] == "accepted" and c["nll"] is not None:
                    verdict, scores = Verdict(VerdictStatus.ACCEPTED), json.loads(c["scores"])
                    candidate = Candidate(
                        row["row_id"],
                        0,
                        c["k"],
                        c["attempt"],
                        c["text"],
                        c["num_tokens"],
                        c["finish_reason"],
                        c["seed"],
                        verdict,
                        nll=c["nll"],
                        scores=scores,
                    )
                    rows.setdefault(row["row_id"], []).append(candidate)
        batches.append(rows)
    return batches


def chosen(
    batches: Sequence[dict[str, list[Candidate]]], tie_nats: float
) -> tuple[list[Candidate], list[Candidate]]:
    """What is kept of each row with diversity and without, which is its best aligned candidate."""
    on, off = [], []
    for rows in batches:
        tied = [aligned(group, tie_nats, "excess") for group in rows.values()]
        on += [t[i] for t, (i,) in zip(tied, varied([[c.text for c in t] for t in tied]), strict=True)]
        off += [t[0] for t in tied]
    return on, off


def shares(rows: Sequence[dict[str, Any]], groups: dict[str, list[Candidate]], anchors: AnchorCache) -> str:
    """What each term would bring of the shaping's variance, were these candidates the groups of a step."""
    weights, rewards = Weights.of(), []
    for row, levels in zip(rows, anchors.of(rows), strict=True):
        group = groups[row["row_id"]]
        measured = MeasuredGroup(
            np.ones(len(group), bool),
            np.array([c.nll for c in group], np.float64),
            np.array([c.scores["excess"] for c in group]),
            novelty=novelties_K([c.text for c in group]),
            overlap=np.array([containment(c.text, row["demonstration"]) for c in group]),
            excess_demonstration=levels.excess_demonstration,
        )
        rewards.append(group_reward(measured, weights))
    alignment = np.concatenate([r.alignment for r in rewards])
    found = {name: round(value, 3) for name, value in shaping_shares(rewards, weights.signed).items()}
    saturated, none = (alignment == 1).mean(), (alignment == 0).mean()
    return f"shares {found}; alignment {alignment.mean():.2f}, at 1 {saturated:.0%}, at 0 {none:.0%}"


def choice(args: argparse.Namespace) -> None:
    lines = (args.data / "mwp" / "svamp_nl.jsonl").read_text(encoding="utf-8").splitlines()
    read = {row["item_id"]: row for row in map(json.loads, lines)}
    engine = HFEngine.load(model_path(args.model), dtype="bfloat16")
    run = args.run or args.out / f"{args.model}-{args.temperature:g}"
    if args.run is None:
        asked = [
            {
                "row_id": row["item_id"],
                "messages": [{"role": "user", "content": row["question"]}],
                "completion": row["answer_cot"],
                "answer": row["answer_value"],
            }
            for row in prompt_rows.read(args.data / "mwp" / "svamp_nl.jsonl")[: args.rows]
        ]
        settings = RewriteConfig(temperature=args.temperature, max_tokens=128)
        made = rewrite(asked, engine, load_gate("auto"), settings, run)
        print(f"{made.num_accepted} of {made.num_candidates} candidates accepted", flush=True)
    batches = accepted_of(run)
    groups = {row: group for rows in batches for row, group in rows.items()}
    rows = [
        {
            "row_id": row,
            "messages": [{"role": "user", "content": read[row]["question"]}],
            "demonstration": read[row]["answer_cot"],
        }
        for row in groups
    ]
    flat = [(row["messages"], c.text) for row in rows for c in groups[row["row_id"]]]
    scores = iter(scored_at(engine, [m for m, _ in flat], [t for _, t in flat], args.temperature))
    warm = {row: [with_excess(c, next(scores).excess) for c in group] for row, group in groups.items()}
    for at, found in ((1.0, groups), (args.temperature, warm)):
        anchors = AnchorCache(engine, engine.tokenizer, own_samples=0, temperature=at)
        print(f"{len(flat)} candidates of {len(rows)} rows at T = {at:g}: {shares(rows, found, anchors)}")
    on, off = chosen([{row: warm[row] for row in batch} for batch in batches], RewriteConfig().tie_nats)
    print(f"another candidate is kept in {sum(a.text != b.text for a, b in zip(on, off, strict=True))} rows")
    for name, value in FIGURES.items():
        sides = [statistics.fmean(map(value, side)) for side in (on, off)]
        print(f"mean {name} on {sides[0]:.3f}, off {sides[1]:.3f}")
    told("choice", compared([c.text for c in on], [c.text for c in off]), len(on))


def with_excess(candidate: Candidate, excess: float) -> Candidate:
    return replace(candidate, scores={**candidate.scores, "excess": excess})


def kept(result: RewriteResult) -> dict[str, str]:
    rows = result.rows().read_all().to_pylist()
    return {r["row_id"]: r["completion"] for r in rows if r["decision"] == "rewrite"}


def halves(data: Path) -> list[list[dict[str, Any]]]:
    """Rows of GSM8K's halves, the shorter ones: to learn on, and to rewrite."""
    lines = (data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    found: list[list[dict[str, Any]]] = [[], []]
    for row in map(json.loads, lines):
        if len(row["question"]) < MOST_CHARS:
            found[real_input.half_of(row["question"])].append(
                {
                    "row_id": prompt_rows.hashed(row["question"])[:16],
                    "messages": [{"role": "user", "content": row["question"]}],
                    "demonstration": row["answer"],
                    "completion": row["answer"],
                    "answer": row["answer"].split("####")[1].strip(),
                }
            )
    return [found[0][:LEARNING_ROWS], found[1][:TEST_ROWS]]


def learned(arm: str, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """An agent learns and rewrites; what came of it."""
    taught, test = halves(data)
    gate, folder, model = load_gate("auto"), out / f"{arm}-{seed}", model_path("pocket")
    off = arm == "off"
    config = LearnConfig(**{**LEARN, "seed": seed, **({"lambda_div": 0.0} if off else {})})
    learn(taught, *load(model), gate, config, folder)
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    engine = HFEngine.load(model, adapter=folder / "last")
    settings = RewriteConfig(max_tokens=160, seed=seed, embedding="none" if off else "auto")
    result = rewrite(test, engine, gate, settings, folder / "rewrite", agent_id="a" * 16)
    _, best = chosen(accepted_of(folder / "rewrite"), settings.tie_nats)
    return {
        "accepted": result.num_accepted / result.num_candidates,
        "rows": result.counts["rewrite"] / result.num_rows,
        "nll": result.nll_completion,
        "kept": kept(result),
        "best": {c.row_id: c.text for c in best},
        **{
            name: statistics.fmean(s[name] for s in steps if s.get(name) is not None)
            for name in ("share_alignment", "share_diversity", "alignment", "novelty", "pass_rate")
        },
    }


def learning(args: argparse.Namespace) -> None:
    began = time.monotonic()
    gains: dict[str, list[float]] = {name: [] for name in MEASURES}
    for seed in args.seeds:
        done = {arm: args.out / f"{arm}-{seed}.json" for arm in ("on", "off")}
        for arm, path in done.items():
            if not path.exists() and time.monotonic() - began < 60 * args.minutes:
                path.write_text(json.dumps(learned(arm, seed, args.data, args.out)))
        if not all(path.exists() for path in done.values()):
            continue
        on, off = (json.loads(path.read_text()) for path in done.values())
        for arm, said in (("on", on), ("off", off)):
            figures = {name: round(value, 4) for name, value in said.items() if isinstance(value, float)}
            print(f"seed {seed} {arm:3} {figures}", flush=True)
        both = sorted(on["kept"].keys() & off["kept"].keys())
        found = compared([on["kept"][r] for r in both], [off["kept"][r] for r in both])
        told(f"seed {seed}", found, len(both))
        # what the reward alone brings: the best aligned candidate of either agent
        told("  reward", compared([on["best"][r] for r in both], [off["best"][r] for r in both]), len(both))
        for name in MEASURES:
            gains[name].append(found[name]["gain"])
    for name, values in gains.items():
        print(f"{name}: gain over seeds {statistics.fmean(values):+.4g}, {[round(v, 4) for v in values]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("choice", "learning"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/diversity"))
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--run", type=Path, help="for `choice`: folder of a rewriting run; none: make one")
    parser.add_argument("--rows", type=int, default=160, help="of such a run")
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after that long")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    {"choice": choice, "learning": learning}[args.part](args)


if __name__ == "__main__":
    main()
