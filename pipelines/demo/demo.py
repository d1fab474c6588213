"""`recast demo`: the whole idea on the pocket backbone, as a stages file that `recast run` could run.

Expert demonstrations of the downstream family come in an alien style. An agent learns to rewrite them, the
bare backbone rewrites them too (same gate, same selection), SFT runs on all three, and the suites say what
each learned and forgot. Everything goes through the public verbs; this module only draws the data, writes
the stages and reads their results.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recast.curate.errors import UsageError
from recast.curate.files import write_json, write_text
from recast.curate.intervals import half_width
from recast.pipelines.config import Config
from recast.pipelines.demo import files
from recast.pipelines.demo.styles import ALIEN
from recast.pipelines.run import stages
from recast.pipelines.terminal.progress import Reporter

ARMS = ("sft_demonstrations", "sft_prompt_rewrites", "sft_rewrites")
FIGURES = ("downstream", "general", "forgetting", "gold_loglik", "start_loss")
LEARNING = ("reward", "pass_rate", "nll")

# What the pocket needs and real models do not: a model of two million parameters takes large steps.
CONFIG: dict[str, Any] = {
    "model": "pocket",
    "gate": "math",
    "learn": {
        "steps": 16,
        "prompts_per_step": 8,
        "candidates": 8,
        "lr": 1e-3,
        "schedule": "linear",
        "lora_rank": 32,
        "beta": 0.0,
        "max_tokens": 192,
        "eval_every": 8,
        "heldout_rows": 48,
    },
    "rewrite": {"candidates": 4, "max_tokens": 192},
    "sft": {"lr": 3e-4, "epochs": 3, "batch_size": 16},
}
DEFAULT_ROWS = 600
DEFAULT_STYLE = "latex"
DOWNSTREAM_ITEMS = 150
GENERAL_ITEMS = 32  # of each family


def run(
    out: Path,
    *,
    seeds: int = 1,
    rows: int = DEFAULT_ROWS,
    style: str = DEFAULT_STYLE,
    jobs: int = 2,
    items: tuple[int, int] = (DOWNSTREAM_ITEMS, GENERAL_ITEMS),
    overrides: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Run the demo into `out` and return its figures (see `figures`). A killed demo goes on where it was.

    `items` are the questions of the downstream suite and of each general family, `overrides` dotted
    settings on top of `CONFIG`. Raises UsageError for an unknown style or setting.
    """
    if style not in ALIEN:
        raise UsageError(f"there is no style {style!r}; the demonstrations come in {', '.join(ALIEN)}.")
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    plan = stages.Plan.load(write_plan(out, seeds, rows, style, items, overrides))
    outcomes = stages.run(plan, store=out / "store", jobs=jobs, reporter=reporter)
    results = {name: outcome.result for name, outcome in outcomes.items()}
    summary = figures(results, seeds)
    summary["seconds"] = round(time.monotonic() - began, 1)
    summary["rows"], summary["style"] = rows, style
    summary["report"] = results["report"]["out"]
    write_json(out / "result.json", summary)
    return summary


def write_plan(
    out: Path,
    seeds: int,
    rows: int,
    style: str,
    items: tuple[int, int],
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Draw the data and write `out/stages.yaml`. Suites are the same for every seed; demonstrations are not."""
    data = out / "data"
    suites = [
        str(files.write_downstream_suite(data / "craft.jsonl", items[0], seed=0)),
        str(files.write_general_suite(data / "general.jsonl", items[1], seed=0)),
    ]
    planned: list[dict[str, Any]] = [
        {
            "name": "base",
            "verb": "eval",
            "args": {"model": "pocket", "suite": suites, "label": "base"},
            "seconds": 20,
        }
    ]
    for seed in range(seeds):
        demonstrations = files.write_demonstrations(data / f"demonstrations-{seed}.jsonl", rows, style, seed)
        planned += seed_stages(out, seed, str(demonstrations), suites)
    planned.append(report_stage(out, seeds))
    path = out / "stages.yaml"
    config = dict(Config.of(CONFIG).over(overrides or {}).given)
    write_text(path, yaml.safe_dump({"config": config, "stages": planned}, sort_keys=False))
    return path


def seed_stages(out: Path, seed: int, demonstrations: str, suites: list[str]) -> list[dict[str, Any]]:
    """The stages of one seed: import, learn, rewrite with and without the agent, SFT, measure, compare."""
    craft, bare, own = f"craft-{seed}", f"craft-{seed}-prompt", f"craft-{seed}-rewrites"

    def stage(name: str, verb: str, seconds: float, /, **args: Any) -> dict[str, Any]:
        return {
            "name": f"{name}-{seed}",
            "verb": verb,
            "args": args,
            "seconds": seconds,
        }

    planned = [
        stage("import", "import", 5, path=demonstrations, to=craft),
        stage("learn", "learn", 110, name=f"${{import-{seed}.version}}", seed=seed),
        stage("prompt", "rewrite", 60, name=f"${{import-{seed}.version}}", to=bare, seed=seed),
        stage(
            "rewrite",
            "rewrite",
            60,
            name=f"${{import-{seed}.version}}",
            agent=f"${{learn-{seed}.out}}",
            to=own,
            seed=seed,
        ),
        stage("diff", "diff", 5, a=f"${{import-{seed}.version}}", b=f"${{rewrite-{seed}.version}}"),
    ]
    sources = {"sft_demonstrations": "import", "sft_prompt_rewrites": "prompt", "sft_rewrites": "rewrite"}
    for arm, source in sources.items():
        planned.append(stage(arm, "sft", 40, name=f"${{{source}-{seed}.version}}", seed=seed))
        planned.append(
            stage(f"eval_{arm}", "eval", 20, model=f"${{{arm}-{seed}.out}}", suite=suites, label=arm)
        )
    planned.append(
        stage(
            "compare",
            "compare",
            5,
            base="${base.out}",
            others=[f"${{eval_{arm}-{seed}.out}}" for arm in ARMS],
            target=["craft"],
        )
    )
    return planned


def report_stage(out: Path, seeds: int) -> dict[str, Any]:
    """The page: rows and learning curves of the first seed, evaluations of all."""
    evals = ["base=${base.out}"]
    evals += [f"{arm}=${{eval_{arm}-{seed}.out}}" for arm in ARMS for seed in range(seeds)]
    sfts = [f"{arm}=${{{arm}-{seed}.out}}" for arm in ARMS for seed in range(seeds)]
    args = {
        "versions": ["${import-0.version}", "${rewrite-0.version}"],
        "out": str(out / "report.html"),
        "learned": "${learn-0.out}",
        "evals": evals,
        "sfts": sfts,
        "target": ["craft"],
        "title": "recast demo: the pocket backbone",
    }
    needs = [f"compare-{seed}" for seed in range(seeds)]
    return {"name": "report", "verb": "report", "args": args, "needs": needs, "seconds": 5}


def figures(results: Mapping[str, dict[str, Any]], seeds: int) -> dict[str, Any]:
    """The demo's result: per arm the means over seeds, in points of 100 and nats, and intervals where seeds > 1."""
    by_arm: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    learning: list[dict[str, dict[str, float]]] = []
    for seed in range(seeds):
        compared = results[f"compare-{seed}"]
        for arm, change in zip(ARMS, compared["changes"], strict=True):
            by_arm[arm].append(
                {
                    "downstream": change["downstream"],
                    "general": change["general_accuracy"],
                    "forgetting": change["forgetting"]["value"],
                    "gold_loglik": results[f"eval_{arm}-{seed}"]["suites"]["general"]["gold_loglik"],
                    "start_loss": results[f"{arm}-{seed}"]["start_loss"],
                }
            )
        learned = results[f"learn-{seed}"]
        learning.append({when: {k: learned[when][k] for k in LEARNING} for when in ("before", "after")})
    base = results["compare-0"]
    summary: dict[str, Any] = {
        "seconds": 0.0,
        "seeds": seeds,
        "base": {
            "downstream": base["base_downstream"],
            "general": base["base_general"],
            "gold_loglik": results["base"]["suites"]["general"]["gold_loglik"],
        },
        **{arm: {f: mean([v[f] for v in values]) for f in FIGURES} for arm, values in by_arm.items()},
        "learning": {
            when: {k: mean([point[when][k] for point in learning]) for k in LEARNING}
            for when in ("before", "after")
        },
        "fallback_share": mean([results[f"rewrite-{s}"]["fallback_share"] for s in range(seeds)]),
    }
    if seeds > 1:
        summary["intervals"] = {
            arm: {f: interval([v[f] for v in values]) for f in FIGURES} for arm, values in by_arm.items()
        }
        summary["per_seed"] = by_arm
    return summary


def mean(values: list[float]) -> float:
    return round(statistics.fmean(values), 4)


def interval(values: list[float]) -> float:
    """Half width of the 95 % interval of the mean over seeds (Student's t)."""
    return round(half_width(values), 4)
