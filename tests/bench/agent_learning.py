"""What learning does to the rewrites, each reward mode and seed: the demo's world, the pocket backbone.

    python tests/bench/agent_learning.py --out out/learning [--minutes 8] [--modes anchored] [--seeds 0 1 2]

For every mode and seed an agent learns on 600 demonstrations as `recast demo` does, then rewrites 150 questions
of the world's test split that no learning saw, before (adapter off) and after. Measured: gate pass rate and NLL
of the greedy rewrite under the plain question, the level of the backbone's own samples, distinct-2 and Vendi
against the demonstrations, and false accepts among sampled candidates, judged by a solver of the world that
shares no code with the gate. A finished run is a file under `--out` and is not repeated, so the bench can be run
in pieces (`--minutes`: begin no run after that long). Ends with the table of what is there.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from recast.pipelines.demo.world import DOWNSTREAM, VERBS, Problem, problems

MODES = ("anchored", "paper", "typical")
ROWS, TEST_ROWS, CANDIDATES, MAX_TOKENS = 600, 150, 4, 192
STYLE = "latex"

SUM = re.compile(r"(-?\d+)\s*([-+*/])\s*(-?\d+)\s*=\s*(-?\d+)")


def mistakes(problem: Problem, text: str) -> list[str]:
    """What is wrong with `text` as a solution of `problem`, by the world's own steps. Empty where nothing is.

    Works on strings and fractions alone: the last number said, every `a op b = c`, the results in order, the
    verbs and the operands that the text attributes to the steps.
    """
    found = []
    numbers = re.findall(r"-?\d+", text)
    if not numbers or numbers[-1] != problem.answer:
        found.append("answer")
    for left, op, right, result in SUM.findall(text):
        a, b = Fraction(left), Fraction(right)
        if (op == "/" and b == 0) or {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[
            op
        ] != Fraction(result):
            found.append("sum")
    place = 0
    for step in problem.steps:
        match = re.search(rf"(?<![\d.]){step.result}(?![\d.]*\d)", text[place:])
        if match is None:
            found.append("step")
            break
        place += match.end()
    asked = [(word, number) for word, number in re.findall(r"(\w+) the \w+ by (\d+)", problem.question)]
    told = re.findall(r"(\w+) the \w+ by (\d+)", text)
    if told and [t for t in told if t[0] in VERBS] != asked:
        found.append("words")
    return found


def row_of(problem: Problem, number: int) -> dict[str, Any]:
    from recast.pipelines.demo.styles import STYLES

    return {
        "row_id": f"{problem.family}-{number:05d}",
        "messages": [{"role": "user", "content": problem.question}],
        "demonstration": STYLES[STYLE](problem),
        "answer": problem.answer,
        "task": problem.family,
    }


def measured(engine: Any, gate: Any, drawn: Sequence[Problem], *, adapter: bool, seed: int) -> dict[str, Any]:
    """Figures of the rewrites of `drawn` with the adapter on or off; NLLs always with it off."""
    from recast.agent.engines.protocol import Sampling
    from recast.agent.prompts import templates
    from recast.curate.curation.diversity import distinct_n, vendi
    from recast.curate.fingerprint import seed_of

    rows = [row_of(p, i) for i, p in enumerate(drawn)]
    asked = [templates.rewrite(r["messages"], r["demonstration"]) for r in rows]
    plain = [r["messages"] for r in rows]
    greedy = engine.sample(
        asked, 1, Sampling(temperature=0.0, max_tokens=MAX_TOKENS), seeds=[[0]] * len(rows), adapter=adapter
    )
    texts = [g[0].text for g in greedy]
    verdicts = gate.verify_many(rows, texts, [g[0].finish_reason for g in greedy])
    scores, states = engine.score(plain, texts, adapter=False, embed=True)
    _, of_demonstrations = engine.score(plain, [r["demonstration"] for r in rows], adapter=False, embed=True)

    seeds = [[seed_of(seed, "candidates", i, k) for k in range(CANDIDATES)] for i in range(len(rows))]
    groups = engine.sample(asked, CANDIDATES, Sampling(max_tokens=MAX_TOKENS), seeds=seeds, adapter=adapter)
    owners = [i for i, group in enumerate(groups) for _ in group]
    candidates = [s for group in groups for s in group]
    judged = gate.verify_many(
        [rows[i] for i in owners], [s.text for s in candidates], [s.finish_reason for s in candidates]
    )
    accepted = [(i, s.text) for i, s, v in zip(owners, candidates, judged, strict=True) if v.accepted]
    wrong = [(drawn[i].question, text, found) for i, text in accepted if (found := mistakes(drawn[i], text))]
    demonstrations = [r["demonstration"] for r in rows]
    return {
        "pass_rate": statistics.fmean(v.accepted for v in verdicts),
        "nll": statistics.fmean(s.nll for s in scores),
        "excess": statistics.fmean(s.excess for s in scores),
        "tokens": statistics.fmean(len(g[0].token_ids) for g in greedy),
        "distinct_2": distinct_n(texts) / distinct_n(demonstrations),
        "vendi": vendi(states) / vendi(of_demonstrations),
        "sampled_pass_rate": len(accepted) / len(candidates),
        "accepted": len(accepted),
        "false_accepts": len(wrong),
        "false_accepts_by_kind": dict(Counter(kind for *_, kinds in wrong for kind in set(kinds))),
        "false_accept_examples": wrong[:3],
        "example": texts[0],
    }


def own_level(engine: Any, drawn: Sequence[Problem], seed: int) -> float:
    """Mean NLL of the backbone's own samples of the plain questions (nats per token)."""
    from recast.agent.engines.protocol import Sampling
    from recast.curate.fingerprint import seed_of

    asked = [[{"role": "user", "content": p.question}] for p in drawn]
    seeds = [[seed_of(seed, "own", i, k) for k in range(2)] for i in range(len(drawn))]
    groups = engine.sample(asked, 2, Sampling(max_tokens=MAX_TOKENS), seeds=seeds, adapter=False)
    return statistics.fmean(-statistics.fmean(s.logprobs) for g in groups for s in g if s.logprobs)


def run(mode: str, seed: int, out: Path, model: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Learn with one mode and seed, and measure before and after."""
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.learn import learn
    from recast.curate.gate.gate import load_gate
    from recast.pipelines.demo.demo import CONFIG
    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load

    gate = load_gate(CONFIG["gate"])
    config = LearnConfig(**{**CONFIG["learn"], **overrides, "mode": mode, "seed": seed})
    rows = [row_of(p, i) for i, p in enumerate(problems(DOWNSTREAM, "train", ROWS, seed))]
    began = time.process_time(), time.monotonic()
    learned = learn(rows, *load(model_path(model)), gate, config, out / f"{mode}-{seed}")
    seconds = time.process_time() - began[0], time.monotonic() - began[1]

    drawn = list(problems(DOWNSTREAM, "test", TEST_ROWS, seed))
    engine = HFEngine.load(model_path(model), adapter=out / f"{mode}-{seed}" / "adapter")
    before = measured(engine, gate, drawn, adapter=False, seed=seed)
    after = measured(engine, gate, drawn, adapter=True, seed=seed)
    own = own_level(engine, drawn, seed)
    return {
        "mode": mode,
        "seed": seed,
        "before": before,
        "after": after,
        "nll_self": own,
        "gap_closed": (before["nll"] - after["nll"]) / (before["nll"] - own),
        "best_step": learned.best_step,
        "stopped": learned.stopped,
        "alarms": learned.alarms,
        "cpu_seconds": round(seconds[0], 1),
        "seconds": round(seconds[1], 1),
    }


COLUMNS = (
    "mode seeds pass_before pass_after nll_before nll_after own gap_closed distinct_2 vendi false_accepts cpu_s"
).split()


def table(found: Sequence[dict[str, Any]]) -> str:
    """One line a mode: means over seeds, the worst seed in brackets where a bound is set."""
    lines = ["  ".join(f"{c:>13}" for c in COLUMNS)]
    for mode in MODES:
        runs = [r for r in found if r["mode"] == mode]
        if not runs:
            continue

        def mean(when: str, name: str, runs: list[dict[str, Any]] = runs) -> float:
            return statistics.fmean(r[when][name] for r in runs)

        accepted, wrong = (sum(r["after"][n] for r in runs) for n in ("accepted", "false_accepts"))
        cells = [
            mode,
            str(len(runs)),
            f"{mean('before', 'pass_rate'):.3f}",
            f"{mean('after', 'pass_rate'):.3f} [{min(r['after']['pass_rate'] for r in runs):.3f}]",
            f"{mean('before', 'nll'):.4f}",
            f"{mean('after', 'nll'):.4f}",
            f"{statistics.fmean(r['nll_self'] for r in runs):.4f}",
            f"{statistics.fmean(r['gap_closed'] for r in runs):.2f} [{min(r['gap_closed'] for r in runs):.2f}]",
            f"{mean('after', 'distinct_2'):.2f} [{min(r['after']['distinct_2'] for r in runs):.2f}]",
            f"{mean('after', 'vendi'):.2f} [{min(r['after']['vendi'] for r in runs):.2f}]",
            f"{wrong}/{accepted}",
            f"{statistics.fmean(r['cpu_seconds'] for r in runs):.0f}",
        ]
        lines.append("  ".join(f"{c:>13}" for c in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "recast-learning")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after that long")
    parser.add_argument("--set", nargs="*", default=[], help="settings of learning, KEY=VALUE (JSON)")
    args = parser.parse_args()
    overrides = {key: json.loads(value) for key, _, value in (part.partition("=") for part in args.set)}
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for seed in args.seeds:
        for mode in args.modes:
            done = args.out / f"{mode}-{seed}.json"
            if done.exists() or time.monotonic() - began > 60 * args.minutes:
                continue
            found = run(mode, seed, args.out, args.model, overrides)
            done.write_text(json.dumps(found, indent=1), encoding="utf-8")
            print(f"{mode} seed {seed}: {done}", flush=True)
    print(table([json.loads(p.read_text()) for p in sorted(args.out.glob("*-*.json"))]))


if __name__ == "__main__":
    main()
