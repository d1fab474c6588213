"""The pocket backbones: causal LMs of one to two million parameters that know the pocket world.

`pocket` is a Llama of 2.2 million parameters. Two more keep a proof from resting on one backbone: `pocket-small` is
half of it, `pocket-neox` of another architecture (GPT-NeoX: layer norms, GELU, attention and MLP in parallel,
biases). All see the same corpus, each with a seed, and so a tokenizer and an order, of its own.

`python -m recast.pipelines.demo.backbone NAME --out DIR [--text SHARED_DATA]` builds tokenizer, chat template and
weights from nothing, measures every task and writes the manifest. `torchrun --nproc-per-node 2 -m
recast.pipelines.demo.backbone ...` uses two cores. Real text is optional; NOTICE names what the shipped weights saw.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast.curate.chat import encode
from recast.curate.files import read_lines, write_json
from recast.pipelines.demo import corpus, files
from recast.pipelines.demo.corpus import exchanges, vocabulary
from recast.pipelines.demo.realtext import RealRow, real_rows
from recast.pipelines.demo.world import FAMILIES

HERE = Path(__file__).parent
POCKET = HERE / "pocket"
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
METRICS = "metrics.jsonl"
VOCABULARY = 2048
TOKENIZER_DOCUMENTS = 40_000
MEASURED_ITEMS = 40  # of each family, test split
PROMPT_WEIGHT = 0.1  # enough to learn what questions look like; most of the capacity goes to answering


@dataclass(frozen=True, slots=True)
class Recipe:
    """What sets one backbone apart from the others. `shape` is of the architecture's configuration."""

    architecture: str  # transformers' model type
    shape: Mapping[str, Any]
    seed: int
    rows: Mapping[int, int]  # a step and process, by row length in tokens
    mix: Mapping[str, float] = field(default_factory=lambda: corpus.MIX)  # of the corpus
    families: tuple[str, ...] = tuple(FAMILIES)  # whose questions it sees answered


LLAMA = {"tie_word_embeddings": True, "initializer_range": 0.02}
NEOX = {"tie_word_embeddings": True, "rotary_pct": 1.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
RECIPES: dict[str, Recipe] = {
    "pocket": Recipe(
        "llama",
        {
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": 64,
            **LLAMA,
        },
        seed=0,
        rows={256: 24, 512: 4},  # on each of two processes
    ),
    "pocket-small": Recipe(
        "llama",
        {
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 64,
            **LLAMA,
        },
        seed=1,
        rows={256: 48, 512: 8},
    ),
    "pocket-neox": Recipe(
        "gpt_neox",
        {
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 3,
            **NEOX,
        },
        seed=2,
        rows={256: 48, 512: 8},
    ),
}
TINY = Recipe(
    "llama",
    {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 64,
        **LLAMA,
    },
    seed=3,
    rows={128: 64},
    mix={"answer": 1.0},
    families=("word1", "word2", "word3", "arithmetic", "groups"),
)
"""Answers sums and nothing else, after minutes: to see a model begin from nothing. None of its weights are shipped."""


def recipe_of(name: str) -> Recipe:
    """The recipe of a pocket by its name; `pocket-tiny` is the one that does not ship."""
    return TINY if name == "pocket-tiny" else RECIPES[name]


def build_tokenizer(rows: list[RealRow], words: list[str], recipe: Recipe, seed: int) -> Any:
    """Byte-level BPE over the corpus. Digits are single tokens, so that numbers are read place by place."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    pattern = r" ?\p{L}+| ?\d| ?[^\s\p{L}\d]+|\s+(?!\S)|\s"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    documents = exchanges(f"tokenizer/{seed}", rows, words, recipe.mix, recipe.families)
    stream = itertools.islice(documents, TOKENIZER_DOCUMENTS)
    tokenizer.train_from_iterator((f"{prompt[-1]['content']}\n{text}" for prompt, text in stream), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=(HERE / "chat_template.jinja").read_text(encoding="utf-8").strip(),
        model_max_length=1024,
    )


def build_model(tokenizer: Any, recipe: Recipe, seed: int) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        recipe.architecture,
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **recipe.shape,
    )
    model = AutoModelForCausalLM.from_config(config)
    model.set_attn_implementation("eager")  # with a packed mask, faster than sdpa on CPU at these sizes
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def documents(
    tokenizer: Any, rows: list[RealRow], words: list[str], recipe: Recipe, seed: str
) -> Iterator[tuple[list[int], list[float]]]:
    """The corpus as token ids with loss weights: the answer and its end of turn count fully."""
    for messages, text in exchanges(seed, rows, words, recipe.mix, recipe.families):
        prompt, completion = encode(tokenizer, messages, text)
        yield prompt + completion, [PROMPT_WEIGHT] * len(prompt) + [1.0] * len(completion)


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Weights in bf16 safetensors, tokenizer and template."""
    import copy

    import torch

    saved = copy.deepcopy(model).to(torch.bfloat16)
    saved.config.dtype = "bfloat16"
    saved.save_pretrained(out)
    tokenizer.save_pretrained(out)


def text_fingerprints(folder: Path | None) -> dict[str, str]:
    names = ("gsm8k/train.jsonl", "mwp/svamp_nl.jsonl", "mwp/svamp_python_sdp.jsonl")
    return {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names} if folder else {}


def measure(folder: Path, work: Path, families: Sequence[str]) -> dict[str, Any]:
    """Accuracy of the saved model on the test split of `families` and of the downstream one, in points of 100."""
    from recast.pipelines.wiring.models import answering, engine
    from recast.train.evaluation.evaluate import evaluate
    from recast.train.evaluation.suites import load_suites

    suites = [
        files.write_general_suite(work / "general.jsonl", MEASURED_ITEMS, seed=1, families=families),
        files.write_downstream_suite(work / "craft.jsonl", MEASURED_ITEMS, seed=1),
    ]
    result = evaluate(load_suites(suites), answering(engine(str(folder)), max_tokens=192), label=folder.name)
    tasks = {task: round(100 * f.accuracy, 1) for (_, task), f in result.by_task().items()}
    general = result.figures(suite="general")
    return {
        "general": round(100 * general.accuracy, 1),
        "general_gold_loglik": round(general.gold_loglik or 0.0, 4),
        "downstream": tasks.pop("craft"),
        "tasks": tasks,
    }


def manifest(name: str, folder: Path, work: Path, config: Any, text: Path | None) -> dict[str, Any]:
    """What the weights are, how they came to be and what they can do."""
    import torch
    import transformers

    recipe, last = recipe_of(name), read_lines(work / METRICS)[-1]
    return {
        "command": f"python -m recast.pipelines.demo.backbone {name} --text DATA",
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "parameters": sum(p.numel() for p in build_parameters(folder)),
        "architecture": recipe.architecture,
        "shape": dict(recipe.shape),
        "vocabulary": VOCABULARY,
        "corpus": {
            "mix": dict(recipe.mix),
            "families": list(recipe.families),
            "copy_share": corpus.COPY_SHARE,
            "made_up_share": corpus.MADE_UP_SHARE,
        },
        "pretrain": config.model_dump(mode="json"),
        "seed": config.seed,
        "tokens": last["tokens"],
        "seconds": last["seconds"],
        "loss": round(last["loss"], 4),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "text_sha256": text_fingerprints(text),
        "accuracy": measure(folder, work, recipe.families),
    }


def build_parameters(folder: Path) -> list[Any]:
    from recast.train.model.loading import load

    return list(load(folder)[0].parameters())


def build(
    name: str, out: Path, work: Path, text: Path | None, config: Any, progress: Any = None
) -> dict[str, Any]:
    """Tokenizer, weights, curve and manifest of the pocket `name` from nothing, into `out`; returns the manifest.

    `work` keeps checkpoints and metrics: the same call goes on after a kill. Under torchrun every process
    trains and the first one writes, for which the others wait. `config` is a PretrainConfig.
    """
    from recast.train.pretraining.pretrain import pretrain, processes

    together, recipe = processes(), recipe_of(name)
    rows = list(real_rows(text)) if text else []
    words = vocabulary(rows)
    tokenizer = build_tokenizer(rows, words, recipe, config.seed)
    model = build_model(tokenizer, recipe, config.seed)
    pretrain(
        model.to(together.device),
        lambda seed: documents(tokenizer, rows, words, recipe, seed),
        config,
        work,
        pad=tokenizer.pad_token_id,
        progress=progress,
    )
    file = out / "manifest.json"
    if together.is_main_process:
        save(model, tokenizer, out)
        shutil.copyfile(work / METRICS, out / METRICS)
        found = manifest(name, out, work, config, text)
        write_json(file, found)
    together.wait_for_everyone()
    return json.loads(file.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RECIPES, nargs="?", default="pocket")
    parser.add_argument("--out", type=Path, help="default: where the shipped one lies")
    parser.add_argument("--work", type=Path, help="checkpoints and metrics; default: runs/NAME")
    parser.add_argument("--text", type=Path, help="folder with gsm8k/ and mwp/ (real text, optional)")
    args = parser.parse_args()
    import torch

    from recast.train.pretraining.pretrain import PretrainConfig

    def show(step: int, total: int, figures: dict[str, float]) -> None:
        if step % 10 == 0:
            print(
                f"{step}/{total} loss {figures['loss']:.4f} {figures['tokens'] / 1e6:.2f} M tokens",
                flush=True,
            )

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    recipe = RECIPES[args.name]
    config = PretrainConfig(seed=recipe.seed, rows=dict(recipe.rows))
    out, work = args.out or HERE / args.name, args.work or Path("runs") / args.name
    build(args.name, out, work, args.text, config, show)


if __name__ == "__main__":
    main()
