"""Token objectives, measured: what a step costs, and what each does where the base is strong, middling or weak.

    python tests/bench/objectives.py time [--rounds 5]
    python tests/bench/objectives.py memory
    python tests/bench/objectives.py regimes --out out/regimes [--rows 300]

`time` and `memory` train a Llama of vocabulary 32,768 on 8 x 1,024 tokens, all but the first of a row trained,
and print what a step takes against NLL of the same trainer, none of them a step that writes to the curve; beside
it NLL with its curve, TRL's own NLL, and DEFT written with a plain softmax over all logits. The model is small,
so that the objective is much of the step. Times are CPU seconds of whole optimizer steps, the variants in turn
within a round, ratios taken within it, the median over rounds; peaks are those of a process of its own for each.

`regimes` fine-tunes the pocket backbone under five objectives on three tasks, through the public verbs, and
prints accuracy on the task and points forgotten on the general suites. A killed run goes on.
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

    from tests.models import make_tokenizer
    from train.examples import Example, collate
    from train.scoring import prepare
    from train.sft import SftConfig
    from train.trainer import sft_trainer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            tie_word_embeddings=False,
            attn_implementation="sdpa",
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
    trainer.create_optimizer()
    trainer.model.train()
    num_trained = (batch["labels"] != -100).sum()

    def plain() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = trainer.model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits
        p = logits[:, :-1].float().softmax(-1)
        own = p.gather(-1, batch["labels"][:, 1:, None]).squeeze(-1)
        c = p.detach().square().sum(-1)
        (((1 - own**c) / (c + 1e-6)).sum() / num_trained).backward()

    def step() -> None:
        if variant == PLAIN:
            plain()
        else:
            trainer.training_step(trainer.model, dict(batch), num_trained)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

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


SIGNS = "aeioubdfgklmnprs"
FROM_WORLD = {
    # a question of the family word3, which the base answers in its own style: here in a foreign one
    "strong": ("word3", "latex"),
    # the downstream family: the base knows sums, not what the verbs do
    "middle": ("craft", "latex"),
}
REGIMES = ("weak", *FROM_WORLD)
OBJECTIVES = ("nll", "p", "deft", "cayley", "eaft")


def cipher(num: int, split: str) -> list[dict[str, str]]:
    """The weak regime: words under a substitution of letters that the base has never seen."""
    table = dict(zip(SIGNS, random.Random("table").sample(SIGNS, len(SIGNS)), strict=True))
    rng = random.Random(f"words/{split}")
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < num:
        word = "".join(rng.choice(SIGNS) for _ in range(rng.randint(3, 5)))
        if (random.Random(word).random() < 0.2) != (split == "test"):
            continue
        said = " ".join(word)
        answer = " ".join(table[c] for c in word)
        rows[word] = {
            "id": f"cipher-{word}",
            "question": f"Encode these letters: {said}.",
            "solution": f"The answer is {answer}.",
            "answer": answer,
            "task": "cipher",
        }
    return list(rows.values())


def regime_files(regime: str, folder: Path, rows: int, items: int) -> tuple[Path, Path]:
    """(demonstrations, suite) of a regime."""
    from pipelines.demo import files
    from pipelines.demo.styles import STYLES, qa
    from pipelines.demo.world import problems

    demonstrations, suite = folder / f"{regime}.jsonl", folder / f"{regime}-suite.jsonl"
    if regime == "weak":
        return (
            files.write_rows(demonstrations, cipher(rows, "train")),
            files.write_rows(suite, cipher(items, "test")),
        )
    family, style = FROM_WORLD[regime]
    drawn = enumerate(problems(family, "train", rows, seed=0))
    asked = enumerate(problems(family, "test", items, seed=7))
    return (
        files.write_rows(demonstrations, (files.row(p, i, STYLES[style](p)) for i, p in drawn)),
        files.write_rows(suite, (files.row(p, i, qa(p)) for i, p in asked)),
    )


def regimes(out: Path, rows: int, items: tuple[int, int], lr: float, epochs: int) -> dict[str, Any]:
    """Accuracy on the task and points forgotten of each objective in each regime; run folders make it resumable."""
    from pipelines import runs
    from pipelines.config import Config
    from pipelines.demo import files

    runs.quiet_libraries()
    store, data = out / "store", out / "data"
    general = files.write_general_suite(data / "general.jsonl", items[1], seed=7)
    config = Config.of({"sft": {"lr": lr, "epochs": epochs, "batch_size": 16}})

    def run(verb: str, **args: Any) -> dict[str, Any]:
        return runs.execute(verb, args, store=store, config=config).result

    def points(model: str, suite: Path) -> tuple[float, float]:
        suites = run("eval", model=model, suite=[str(suite), str(general)], max_tokens=160)["suites"]
        tasks = suites["general"]["tasks"].values()
        accuracy = 100 * suites[suite.stem]["right"] / suites[suite.stem]["num"]
        return accuracy, 100 * statistics.mean(t["right"] / t["num"] for t in tasks)

    table = {}
    for regime in REGIMES:
        demonstrations, suite = regime_files(regime, data, rows, items[0])
        version = run("import", path=str(demonstrations), to=regime)["version"]
        accuracy, before = points("pocket", suite)
        table[regime] = {"base": {"task": round(accuracy, 1), "general": round(before, 1)}}
        for objective in OBJECTIVES:
            tuned = run("sft", name=version, model="pocket", objective=objective)
            accuracy, after = points(tuned["out"], suite)
            measured = json.loads((Path(tuned["out"]) / "telemetry.json").read_text())
            table[regime]["base"]["mean_p"] = round(measured["base"]["means"]["p"], 3)
            table[regime][objective] = {
                "task": round(accuracy, 1),
                "forgotten": round(before - after, 1),
                "mean_gate_at_first": round(measured["base"]["means"]["gate"], 3),
                "mean_gate_at_last": round(measured["tuned"]["means"]["gate"], 3),
            }
            print(regime, objective, json.dumps(table[regime][objective]), file=sys.stderr, flush=True)
    return table


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
    asked.add_argument("--rows", type=int, default=300)
    asked.add_argument(
        "--items",
        type=int,
        nargs=2,
        default=(120, 16),
        help="questions of the task, and of each general family",
    )
    asked.add_argument("--lr", type=float, default=3e-4)
    asked.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    if args.verb == "regimes":
        print(json.dumps(regimes(args.out, args.rows, tuple(args.items), args.lr, args.epochs), indent=1))
        return
    if args.verb == "peak":
        print(peak(args.variant))
        return
    rows = time_(args.rounds) if args.verb == "time" else memory()
    held = all(rows[v]["ratio"] <= BOUND for v in OURS)
    shape = {"rows": ROWS, "length": LENGTH, "vocabulary": VOCABULARY, **SHAPE}
    print(json.dumps({**shape, args.verb: rows, "bound": BOUND, "held": held}, indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
