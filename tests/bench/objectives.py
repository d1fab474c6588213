"""Token objectives, measured: what a step costs, and what each does where the base is strong, middling or weak.

    python tests/bench/objectives.py time [--rounds 5]
    python tests/bench/objectives.py memory
    python tests/bench/objectives.py regimes --out out/regimes [--seeds 0 1 2]

`time` and `memory` train a Llama of vocabulary 32,768 on 8 x 1,024 tokens, all but the first of a row trained,
and print what a step takes against NLL of the same trainer, none of them a step that writes to the curve; beside
it NLL with its curve, TRL's own NLL, and DEFT written with a plain softmax over all logits. The model is small,
so that the objective is much of the step. Times are CPU seconds of whole optimizer steps, the variants in turn
within a round, ratios taken within it, the median over rounds; peaks are those of a process of its own for each.

`regimes` fine-tunes the pocket backbone under five objectives, through the public verbs, where it is good at the
task (sums in words, demonstrated in a foreign style), ignorant of it (a cipher), and right on half of it (half of
the questions from each). It prints accuracy on held-out questions of the task, the change of the log-likelihood
of their reference answers in the backbone's own style (nats a token), points forgotten on the general suites, and
the mean gate over the demonstrations before and after. A killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

ROWS, LENGTH, VOCABULARY = 8, 1024, 32_768
SHAPE = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4}
OURS = ("nll", "deft", "cayley", "eaft")
CURVE, TRL, PLAIN = "nll with its curve", "trl nll", "plain softmax deft"
VARIANTS = (*OURS, CURVE, TRL, PLAIN)
BOUND = 1.15
NEVER = 10**9  # steps between points of the curve


def build_step(variant: str, folder: Path) -> Callable[[], None]:
    """A function that makes one whole optimizer step of `variant` on the same batch."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    from recast.train.sft.config import SftConfig
    from recast.train.sft.examples import Example, collate
    from recast.train.sft.scoring import prepare
    from recast.train.sft.trainer import sft_trainer
    from tests.fakes.models import make_tokenizer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            tie_word_embeddings=False,
            attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]  # every config takes it, none declares it
            bos_token_id=None,
            **SHAPE,
        )
    )
    draw = torch.Generator().manual_seed(1)
    examples = [
        Example(torch.randint(0, VOCABULARY, (LENGTH,), generator=draw).tolist(), 1) for _ in range(ROWS)
    ]
    batch = collate(examples, pad_id=0)
    if variant == TRL:
        from datasets import Dataset

        args = SFTConfig(
            str(folder), bf16=True, use_cpu=True, report_to="none", max_length=None, learning_rate=1e-4,
            dataset_kwargs={"skip_prepare_dataset": True}, per_device_train_batch_size=ROWS,
        )  # fmt: skip
        data = Dataset.from_dict(
            {"input_ids": [e.ids for e in examples], "labels": [e.labels for e in examples]}
        )
        trainer = SFTTrainer(model, args, train_dataset=data, processing_class=tokenizer)
    else:
        objective = variant if variant in OURS else "nll"
        trainer = sft_trainer(
            prepare(model, examples, bf16=True), tokenizer, examples, list(range(ROWS)),
            SftConfig(objective=objective, batch_size=ROWS, checkpoints=0, lr=1e-4), heldout=[],
            checkpoints=folder, curve=folder / "loss.jsonl", heldout_curve=folder / "heldout.jsonl", bf16=True,
            progress=None,
        )  # fmt: skip
        # a point of the curve has the concentration, so with one at every step plain NLL would pay for DEFT's
        trainer.args.logging_steps = 1 if variant == CURVE else NEVER
    optimizer, trained = trainer.create_optimizer(), trainer.model
    assert trained is not None
    trained.train()
    num_trained = (batch["labels"] != -100).sum()

    def plain() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = trained(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        p = logits[:, :-1].float().softmax(-1)
        own = p.gather(-1, batch["labels"][:, 1:, None]).squeeze(-1)
        c = p.detach().square().sum(-1)
        (((1 - own**c) / (c + 1e-6)).sum() / num_trained).backward()

    def step() -> None:
        if variant == PLAIN:
            plain()
        else:
            trainer.training_step(trained, dict(batch), num_trained)
        optimizer.step()
        optimizer.zero_grad()

    return step


def peak(variant: str) -> float:
    """Peak resident GiB of two steps (the second has the optimizer's state) in this process."""
    with tempfile.TemporaryDirectory() as folder:
        step = build_step(variant, Path(folder))
        step()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        step()
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def time_(rounds: int) -> dict[str, Any]:
    """CPU seconds of each variant's steps, in turn, and their ratio to NLL of this trainer."""
    taken: dict[str, list[float]] = {v: [] for v in VARIANTS}
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        steps = {v: build_step(v, Path(folder)) for v in VARIANTS}
        for number in range(rounds + 1):
            for variant in random.Random(number).sample(VARIANTS, len(VARIANTS)):
                began = time.process_time()
                steps[variant]()
                if number:  # the first warms up
                    taken[variant].append(time.process_time() - began)
            if number:
                rows = {v: _row(taken[v], taken["nll"]) for v in VARIANTS}
                print(f"after round {number}: {json.dumps(rows)}", file=sys.stderr, flush=True)
    return rows


def _row(taken: list[float], nll: list[float]) -> dict[str, float]:
    ratios = [t / n for t, n in zip(taken, nll, strict=True)]
    return {"cpu_s": round(statistics.median(taken), 3), "ratio": round(statistics.median(ratios), 3)}


def memory() -> dict[str, Any]:
    """Peak of a process of its own for each variant, and its ratio to NLL of this trainer."""
    peaks = {}
    for variant in VARIANTS:
        command = [sys.executable, __file__, "peak", variant]
        peaks[variant] = float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return {v: {"peak_gib": round(p, 3), "ratio": round(p / peaks["nll"], 3)} for v, p in peaks.items()}


SIGNS = "aeoubdgkls"
KNOWN = ("word1", "latex")  # the base answers the family, in a style of its own
# share of KNOWN among the questions; the others are of the cipher
REGIMES = {"strong": 1.0, "middle": 0.5, "weak": 0.0}
OBJECTIVES = ("nll", "p", "deft", "cayley", "eaft")
FIGURES = {"task": 1, "gold": 3, "forgotten": 1, "gate_first": 3, "gate_last": 3}  # and their digits


def cipher(num: int, split: str, seed: int) -> list[dict[str, str]]:
    """Words under a substitution of letters that the base has never seen. The splits have no word in common."""
    table = dict(zip(SIGNS, random.Random("table").sample(SIGNS, len(SIGNS)), strict=True))
    rng = random.Random(f"words/{split}/{seed}")
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < num:
        word = "".join(rng.choice(SIGNS) for _ in range(rng.randint(2, 4)))
        if (random.Random(word).random() < 0.2) != (split == "test"):
            continue
        answer = " ".join(table[c] for c in word)
        rows[word] = {
            "id": f"cipher-{word}",
            "question": f"Encode these letters: {' '.join(word)}.",
            "solution": f"The answer is {answer}.",
            "answer": answer,
            "task": "cipher",
        }
    return list(rows.values())


def drawn(regime: str, split: str, num: int, seed: int) -> list[dict[str, str]]:
    """Rows of a regime: demonstrations of the train split, or test questions with answers in the base's style."""
    from recast.pipelines.demo import files
    from recast.pipelines.demo.styles import STYLES, qa
    from recast.pipelines.demo.world import problems

    family, style = KNOWN
    write = STYLES[style] if split == "train" else qa
    num_known = round(REGIMES[regime] * num)
    known = islice(problems(family, split, num, seed), num_known)
    return [files.row(p, i, write(p)) for i, p in enumerate(known)] + cipher(num - num_known, split, seed)


def regimes(
    out: Path, rows: int, items: tuple[int, int], sft: dict[str, Any], seeds: list[int]
) -> dict[str, Any]:
    """Of each regime what the base does, and figures of each objective by seed; run folders make it resumable."""
    from recast.pipelines.config import Config
    from recast.pipelines.demo import files
    from recast.pipelines.run import runs

    runs.quiet_libraries()
    data = out / "data"
    general = files.write_general_suite(data / "general.jsonl", items[1], seed=7)
    config = Config.of({"sft": sft})

    def run(verb: str, **args: Any) -> dict[str, Any]:
        # without its memo an import makes a new version each time, and nothing trained on it would be found again
        return runs.execute(verb, args, store=out / "store", config=config, memo=True).result

    def measured(model: str, suite: Path) -> dict[str, float]:
        suites = run("eval", model=model, suite=[str(suite), str(general)], max_tokens=160)["suites"]
        task, families = suites[suite.stem], suites[general.stem]["tasks"].values()
        return {
            "task": 100 * task["right"] / task["num"],
            "gold": task["gold_loglik"],
            "general": 100 * statistics.mean(f["right"] / f["num"] for f in families),
        }

    found = {}
    for regime in REGIMES:
        suite = files.write_rows(data / f"{regime}-suite.jsonl", drawn(regime, "test", items[0], seed=7))
        base = measured("pocket", suite)
        by_objective: dict[str, list[dict[str, float]]] = {objective: [] for objective in OBJECTIVES}
        for seed in seeds:
            demonstrations = data / f"{regime}-{seed}.jsonl"
            files.write_rows(demonstrations, drawn(regime, "train", rows, seed))
            version = run("import", path=str(demonstrations), to=f"{regime}-{seed}")["version"]
            for objective in OBJECTIVES:
                model = run("sft", name=version, model="pocket", objective=objective, seed=seed)["out"]
                tuned = measured(model, suite)
                means = json.loads((Path(model) / "telemetry.json").read_text())
                figures = {
                    "task": tuned["task"],
                    "gold": tuned["gold"] - base["gold"],
                    "forgotten": base["general"] - tuned["general"],
                    "gate_first": means["base"]["means"]["gate"],
                    "gate_last": means["tuned"]["means"]["gate"],
                    "base_p": means["base"]["means"]["p"],
                }
                by_objective[objective].append(figures)
                print(regime, seed, objective, json.dumps(figures), file=sys.stderr, flush=True)
        base["mean_p"] = statistics.mean(f["base_p"] for f in by_objective["nll"])
        found[regime] = {"base": base, "objectives": by_objective}
    return found


def show(found: dict[str, Any]) -> bool:
    """Print the means over seeds, with the least and largest; return whether the bases differ as they should."""
    for regime, of in found.items():
        base = of["base"]
        print(f"{regime}: base {base['task']:.1f} % right, mean p of the demonstrations {base['mean_p']:.3f}")
        print(f"  {'':8}" + "".join(f"{name:>24}" for name in FIGURES))
        for objective, by_seed in of["objectives"].items():
            cells = []
            for name, digits in FIGURES.items():
                values = [figures[name] for figures in by_seed]
                low, high = min(values), max(values)
                spread = f" [{low:.{digits}f} {high:.{digits}f}]" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
            print(f"  {objective:8}" + "".join(f"{cell:>24}" for cell in cells))
    means = [of["base"]["mean_p"] for of in found.values()]
    held = all(above > below for above, below in pairwise(means))
    print(f"mean p falls from {' to '.join(found)}: {'ok' if held else 'MISSED'}")
    return held


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("time").add_argument("--rounds", type=int, default=5)
    verbs.add_parser("memory")
    verbs.add_parser("peak").add_argument("variant")  # one process of `memory`
    asked = verbs.add_parser("regimes")
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--rows", type=int, default=800)
    asked.add_argument(
        "--items",
        type=int,
        nargs=2,
        default=(120, 16),
        help="questions of the task, and of each general family",
    )
    asked.add_argument("--lr", type=float, default=5e-4)
    asked.add_argument("--epochs", type=int, default=3)
    asked.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    if args.verb == "regimes":
        sft = {"lr": args.lr, "epochs": args.epochs, "batch_size": 8, "checkpoints": 0}
        sys.exit(0 if show(regimes(args.out, args.rows, tuple(args.items), sft, args.seeds)) else 1)
    if args.verb == "peak":
        print(peak(args.variant))
        return
    rows = time_(args.rounds) if args.verb == "time" else memory()
    held = all(rows[v]["ratio"] <= BOUND for v in OURS)
    shape = {"rows": ROWS, "length": LENGTH, "vocabulary": VOCABULARY, **SHAPE}
    print(json.dumps({**shape, args.verb: rows, "bound": BOUND, "held": held}, indent=1))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
