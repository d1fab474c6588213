"""The trap of a mean NLL, learned in: which style each reward mode's agent ends in.

    python tests/bench/agent_trap.py --out out/trap [--modes typical] [--seeds 0] [--minutes 8]

Builds the trap's backbone once (`tests/fakes/trap.py`, about two minutes of one core), checks that the trap is set (the
long-winded style has the lower mean NLL), lets an agent of every mode learn on the same demonstrations, and
counts the styles of its rewrites of unseen questions, greedy and sampled, before and after. The gate is the
`math` gate with a wider bound on length: as it stands it refuses a text of three times the demonstration's
words, which would hide what the reward alone does. A finished run is a file under `--out` and is not repeated.

    python tests/bench/agent_trap.py --out out/trap --effect [--seeds 0 1 2]

goes on to what it comes to: models are tuned on what every mode's agent and the bare backbone write there, and measured
as `recast effect` does (one learning rate).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from recast.pipelines.demo.styles import latex
from recast.pipelines.demo.world import DOWNSTREAM, problems
from tests.fakes import trap

MODES = ("anchored", "paper", "typical")
TEST_ROWS, CANDIDATES, MAX_TOKENS = 40, 4, 256
LEARN: dict[str, Any] = {
    "steps": 14,
    "prompts_per_step": 6,
    "candidates": 8,
    "lr": 1e-3,
    "lora_rank": 32,
    "beta": 0.0,
    "max_tokens": MAX_TOKENS,
    "eval_every": 14,
    "heldout_rows": 16,
}


def rows(split: str, num: int, seed: int) -> list[dict[str, Any]]:
    return [
        {
            "row_id": f"{split}-{i}",
            "messages": [{"role": "user", "content": p.question}],
            "demonstration": latex(p),
            "answer": p.answer,
            "task": p.family,
        }
        for i, p in enumerate(problems(DOWNSTREAM, split, num, seed))
    ]


def gate() -> Any:
    from recast.curate.gate.checks.words.format import FormatCheck
    from recast.curate.gate.gate import MATH, GateConfig, load_gate

    wide = [FormatCheck(max_ratio=10.0) if check.name == "format" else check for check in MATH]
    return load_gate(GateConfig(name="math, any length", checks=tuple(wide)))


def levels(engine: Any) -> dict[str, dict[str, float]]:
    """Mean NLL, excess and tokens of right solutions in each style under the plain question."""
    drawn = list(problems(DOWNSTREAM, "test", TEST_ROWS, 0))
    rng = random.Random(0)
    asked = [[{"role": "user", "content": p.question}] for p in drawn]
    texts = {
        "own": [trap.own(rng, p) for p in drawn],
        "winded": [trap.winded(p) for p in drawn],
        "demonstration": [latex(p) for p in drawn],
    }
    found = {}
    for name, written in texts.items():
        scores = engine.logprobs(asked, written, adapter=False)
        found[name] = {
            key: statistics.fmean(getattr(s, key) for s in scores) for key in ("nll", "excess", "num_tokens")
        }
    return found


def styles(engine: Any, asked_gate: Any, *, adapter: bool) -> dict[str, Any]:
    """Styles of the rewrites of unseen questions, and how many of the sampled ones the gate accepts."""
    from recast.agent.engines.protocol import Sampling
    from recast.agent.prompts import templates

    unseen = rows("test", TEST_ROWS, 1)
    asked = [templates.rewrite(r["messages"], r["demonstration"]) for r in unseen]
    found: dict[str, Any] = {}
    for name, k, temperature in (("greedy", 1, 0.0), ("sampled", CANDIDATES, 1.0)):
        groups = engine.sample(
            asked,
            k,
            Sampling(temperature=temperature, max_tokens=MAX_TOKENS),
            seeds=[[i * k + j for j in range(k)] for i in range(len(asked))],
            adapter=adapter,
        )
        texts = [(unseen[i], s) for i, group in enumerate(groups) for s in group]
        counted = Counter(trap.style_of(s.text) for _, s in texts)
        verdicts = asked_gate.verify_many(
            [r for r, _ in texts], [s.text for _, s in texts], [s.finish_reason for _, s in texts]
        )
        found[name] = {
            "share": {style: counted[style] / len(texts) for style in ("own", "winded", "copy")},
            "pass_rate": statistics.fmean(v.accepted for v in verdicts),
        }
    return found


def choices(engine: Any, asked_gate: Any, num: int = 120) -> dict[str, Counter[str]]:
    """Styles of what is kept of the bare backbone's accepted rewrites: the first, the likeliest, the least excess."""
    from recast.agent.engines.protocol import Sampling
    from recast.agent.prompts import templates

    asked = rows("train", num, 7)
    rewriting = [templates.rewrite(r["messages"], r["demonstration"]) for r in asked]
    seeds = [[i * CANDIDATES + j for j in range(CANDIDATES)] for i in range(num)]
    sampling = Sampling(max_tokens=MAX_TOKENS)
    groups = engine.sample(rewriting, CANDIDATES, sampling, seeds=seeds, adapter=False)
    found: dict[str, Counter[str]] = {name: Counter() for name in ("first", "nll", "excess")}
    for row, group in zip(asked, groups, strict=True):
        texts, reasons = [s.text for s in group], [s.finish_reason for s in group]
        verdicts = asked_gate.verify_many([row] * len(texts), texts, reasons)
        accepted = [text for text, v in zip(texts, verdicts, strict=True) if v.accepted]
        if not accepted:
            continue
        scores = engine.logprobs([row["messages"]] * len(accepted), accepted, adapter=False)
        found["first"][trap.style_of(accepted[0])] += 1
        for name in ("nll", "excess"):
            values = [getattr(score, name) for score in scores]
            found[name][trap.style_of(accepted[values.index(min(values))])] += 1
    return found


def run(mode: str, seed: int, backbone: Path, out: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    from recast.agent.engines.hf.engine import HFEngine
    from recast.agent.learning.config import LearnConfig
    from recast.agent.learning.learn import learn
    from recast.train.model.loading import load

    folder = out / f"{mode}-{seed}"
    config = LearnConfig(**{**LEARN, **overrides, "mode": mode, "seed": seed})
    began = time.process_time()
    learned = learn(rows("train", 400, seed), *load(backbone), gate(), config, folder)
    seconds = time.process_time() - began
    engine = HFEngine.load(backbone, adapter=folder / "last")
    return {
        "mode": mode,
        "seed": seed,
        "before": styles(engine, gate(), adapter=False),
        "after": styles(engine, gate(), adapter=True),
        "heldout_nll": [learned.before["nll"], learned.after["nll"]],
        "alarms": learned.alarms,
        "stopped": learned.stopped,
        "cpu_seconds": round(seconds, 1),
    }


def effect(backbone: Path, out: Path, seeds: int) -> str:
    """The tables of a proof on the trap's backbone: demonstrations, prompting alone, every mode's agent, oracle."""
    import yaml

    from recast.pipelines.config import Config
    from recast.pipelines.demo import demo
    from recast.pipelines.effect import effect as proof
    from recast.pipelines.effect.grid import DEMONSTRATIONS, ORACLE, PROMPT, Grid
    from recast.pipelines.effect.subject import pocket_world
    from recast.pipelines.run import runs
    from recast.pipelines.run.stages import default_jobs
    from recast.pipelines.terminal.progress import Lines

    runs.quiet_libraries()
    out.mkdir(parents=True, exist_ok=True)
    gate_file = out / "gate.yaml"
    gate_file.write_text(yaml.safe_dump(gate().config.model_dump(mode="json")))
    grid = Grid(
        lrs=(3e-4,),
        seeds=seeds,
        headline_seeds=seeds,
        data=(DEMONSTRATIONS, PROMPT, *(f"agent-{mode}" for mode in MODES), ORACLE),
        objectives=(),
        ranks=(),
    )
    config = Config.of(demo.CONFIG).over(
        {"gate": str(gate_file), "learn": LEARN, "rewrite": {"max_tokens": MAX_TOKENS}}
    )
    result = proof.prove(
        out,
        pocket_world(out / "data", grid),
        grid,
        models=[str(backbone)],
        config=config,
        jobs=default_jobs(),
        reporter=Lines(),
    )
    return Path(result["table"]).read_text()


def main() -> None:
    from recast.agent.engines.hf.engine import HFEngine

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "recast-trap")
    parser.add_argument("--backbone", type=Path, help="a trap's backbone that was built before")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after that long")
    parser.add_argument("--set", nargs="*", default=[], help="settings of learning, KEY=VALUE (JSON)")
    parser.add_argument("--effect", action="store_true", help="tune models on what the agents write")
    args = parser.parse_args()
    began = time.monotonic()
    args.out.mkdir(parents=True, exist_ok=True)
    backbone = args.backbone or args.out / "backbone"
    if not (backbone / "config.json").exists():
        trap.build(backbone, args.out / "work")
    if args.effect:
        print(effect(backbone, args.out / "effect", len(args.seeds)))
        return
    found = levels(HFEngine.load(backbone))
    print(json.dumps(found, indent=1))
    if not found["winded"]["nll"] < found["own"]["nll"]:
        raise SystemExit("the trap is not set: the long-winded style has the higher mean NLL")
    for name, counted in choices(HFEngine.load(backbone), gate()).items():
        print(f"kept of the bare backbone's accepted rewrites by {name:7} {dict(counted)}")
    overrides = {key: json.loads(value) for key, _, value in (part.partition("=") for part in args.set)}
    for seed in args.seeds:
        for mode in args.modes:
            done = args.out / f"{mode}-{seed}.json"
            if not done.exists() and time.monotonic() - began <= 60 * args.minutes:
                done.write_text(json.dumps(run(mode, seed, backbone, args.out, overrides), indent=1))
    for path in sorted(args.out.glob("*-*.json")):
        result = json.loads(path.read_text())
        for when in ("before", "after"):
            shares = result[when]["sampled"]["share"]
            told = "  ".join(f"{style} {share:5.1%}" for style, share in shares.items())
            print(
                f"{path.stem:12} {when:7} {told}  gate {result[when]['sampled']['pass_rate']:.1%}  greedy own "
                f"{result[when]['greedy']['share']['own']:.1%}  alarms {', '.join(result['alarms']) or 'none'}"
            )


if __name__ == "__main__":
    main()
