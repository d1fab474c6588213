"""Exports through each trainer's own loader, in an environment of its own, against our account of it.

    make trainers                                       # all of them; the first time installs what is missing
    python -m tests.bench.trainers llamafactory mlx     # these

For each trainer 200 varied rows (plain, with a system turn, of several turns, with calls, with thoughts) are exported
and read by the trainer's own code with the tokenizer of a tiny model; the tokens that it trains must be those that
`curate.export.check.masks` says, one by one, and the same for `--turns all` where it means that. The exit status is 1
where one differs. An environment shares this one's packages by a `.pth` file and holds the trainer alone, without what
it declares to need: `OUT` (default out/trainers) keeps it for the next time.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import os
import random
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES: dict[str, list[str]] = {
    "llamafactory": ["llamafactory==0.9.5", "trl==0.24.0", "omegaconf", "antlr4-python3-runtime==4.9.3"],
    "mlx": ["mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4"],
    "openrlhf": ["openrlhf==0.11.2", "pylatexenc", "sympy", "mpmath"],
    "axolotl": ["axolotl==0.19.0", "addict", "colorama", "python-dotenv", "s3fs", "fastcore"],
    "nemo-automodel": ["nemo-automodel==0.7.0", "torchdata", "pillow"],
    "unsloth": ["unsloth", "unsloth_zoo==2026.10.9"],
    "verl": [
        *("verl==0.9.1", "omegaconf", "antlr4-python3-runtime==4.9.3", "tensordict==0.10.0", "pyvers", "orjson"),
        *("cloudpickle", "codetiming", "hydra-core", "ray", "click", "msgpack", "jsonschema", "protobuf"),
        *("jsonschema-specifications", "referencing", "rpds-py"),
    ],
    "verifiers": ["verifiers==0.4.0"],
    "torchtune": [
        *("torchtune==0.6.1", "torchdata", "omegaconf", "antlr4-python3-runtime==4.9.3", "torchao==0.9.0"),
        *("blobfile", "tiktoken", "sentencepiece", "kagglehub", "pycryptodomex", "lxml", "regex"),
    ],
}  # fmt: skip
"""What an environment holds beside the packages of this one."""
WITH_ALL_THEY_NEED = ("verifiers",)  # no package of it is among ours
ROWS, SEED = 200, 0
Examples = Iterator[tuple[list[int], list[bool]]]


# read by the trainer's own code, in its environment: nothing of ours is imported here


def _llamafactory_rows(folder: Path, model: str, stage: str) -> Any:
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    sound = types.ModuleType("torchaudio")
    sound.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = sound
    import yaml
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    settings = yaml.safe_load((folder / "llamafactory.yaml").read_text())
    settings |= {"model_name_or_path": model, "output_dir": str(folder / "model"), "report_to": "none"}
    settings |= {"overwrite_cache": True, "preprocessing_num_workers": 1, "bf16": False, "use_cpu": True}
    model_args, data_args, training_args, _, _ = get_train_args(settings)
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    return get_dataset(template, model_args, data_args, training_args, stage=stage, **loaded)["train_dataset"]


def llamafactory(folder: Path, model: str, turns: str) -> Examples:
    for row in _llamafactory_rows(folder, model, "sft"):
        yield row["input_ids"], [label != -100 for label in row["labels"]]


def mlx(folder: Path, model: str, turns: str) -> Examples:
    from mlx_lm.tuner.datasets import CacheDataset, load_dataset
    from transformers import AutoTokenizer

    args = types.SimpleNamespace(data=str(folder), train=True, test=False, mask_prompt=True, hf_dataset=False)
    rows = CacheDataset(load_dataset(args, AutoTokenizer.from_pretrained(model))[0])
    for n in range(len(rows)):
        ids, start = rows[n]
        yield list(ids), [m >= start for m in range(len(ids))]


def openrlhf(folder: Path, model: str, turns: str) -> Examples:
    from datasets import load_dataset
    from openrlhf.datasets import SFTDataset
    from transformers import AutoTokenizer

    keys = (
        {"input_key": "messages", "output_key": None}
        if turns == "all"
        else {"input_key": "input", "output_key": "output"}
    )
    data = types.SimpleNamespace(apply_chat_template=True, tokenizer_chat_template=None, **keys)
    strategy = types.SimpleNamespace(args=types.SimpleNamespace(data=data))
    raw = load_dataset("json", data_files=str(folder / "train.jsonl"), split="train")
    rows = SFTDataset(
        raw, AutoTokenizer.from_pretrained(model), 2048, strategy, num_processors=1, multiturn=turns == "all"
    )
    for n in range(len(rows)):
        ids, _, mask = rows[n]
        predicting = mask[0].bool().tolist()
        yield ids[0].tolist(), [False, *predicting[:-1]]  # its mask stands at the position that predicts


def axolotl(folder: Path, model: str, turns: str) -> Examples:
    import yaml
    from axolotl.prompt_strategies.chat_template import StrategyLoader
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset
    from transformers import AutoTokenizer

    settings = yaml.safe_load((folder / "axolotl.yaml").read_text())
    tokenizer = AutoTokenizer.from_pretrained(model)
    strategy = StrategyLoader()(
        tokenizer, DictDefault(settings | {"sequence_len": 2048}), DictDefault(settings["datasets"][0])
    )
    for row in load_dataset("json", data_files=str(folder / "train.jsonl"), split="train"):
        done = strategy.tokenize_prompt(row)
        yield list(done["input_ids"]), [label != -100 for label in done["labels"]]


def nemo_automodel(folder: Path, model: str, turns: str) -> Examples:
    import yaml
    from nemo_automodel.components.datasets.llm.chat_dataset import ChatDataset
    from transformers import AutoTokenizer

    settings = yaml.safe_load((folder / "automodel.yaml").read_text())["dataset"]
    settings.pop("_target_")
    rows = ChatDataset(tokenizer=AutoTokenizer.from_pretrained(model), unshifted=True, **settings)
    for n in range(len(rows)):
        row = rows[n]
        yield list(row["input_ids"]), [bool(mask) for mask in row["loss_mask"]]


def unsloth(folder: Path, model: str, turns: str) -> Examples:
    os.environ["UNSLOTH_IS_PRESENT"] = "1"
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from unsloth_zoo.dataset_utils import train_on_responses_only

    tokenizer = AutoTokenizer.from_pretrained(model)
    mark = train_on_responses_only(
        None, tokenizer=tokenizer, return_function=True, last_response_only=turns == "last",
        instruction_part="<|im_start|>user\n", response_part="<|im_start|>assistant\n",
    )  # fmt: skip
    rows: Any = load_dataset("json", data_files=str(folder / "train.jsonl"), split="train")
    for row in rows:
        ids = tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=False)
        labels = mark({"input_ids": [ids]})["labels"]
        labels = labels.tolist() if hasattr(labels, "tolist") else labels
        yield list(ids), [label != -100 for label in labels[0]]


def verl(folder: Path, model: str, turns: str) -> Examples:
    from omegaconf import OmegaConf
    from transformers import AutoTokenizer
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    settings = OmegaConf.create({"messages_key": "messages", "truncation": "error", "pad_mode": "no_padding"})
    rows = MultiTurnSFTDataset(str(folder / "train.parquet"), AutoTokenizer.from_pretrained(model), settings)
    for n in range(len(rows)):
        row = rows[n]
        yield row["input_ids"].tolist(), row["loss_mask"].bool().tolist()


def llamafactory_dpo(folder: Path, model: str, turns: str) -> Examples:
    for row in _llamafactory_rows(folder, model, "rm"):
        for side in ("chosen", "rejected"):
            yield row[f"{side}_input_ids"], [label != -100 for label in row[f"{side}_labels"]]


def openrlhf_grpo(folder: Path, model: str, turns: str) -> Examples:
    from datasets import load_dataset
    from openrlhf.datasets import PromptDataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    data = types.SimpleNamespace(input_key="input", label_key="label", apply_chat_template=True)
    strategy = types.SimpleNamespace(args=types.SimpleNamespace(data=data), is_rank_0=lambda: False)
    raw: Any = load_dataset("json", data_files=str(folder / "train.jsonl"), split="train")
    rows = PromptDataset(raw, tokenizer, strategy)
    assert list(rows.labels) == [row["label"] for row in raw]
    for prompt in rows.prompts:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        yield ids, [False] * len(ids)


def verl_grpo(folder: Path, model: str, turns: str) -> Examples:
    from omegaconf import OmegaConf
    from transformers import AutoTokenizer
    from verl.utils.dataset.rl_dataset import RLHFDataset

    tokenizer = AutoTokenizer.from_pretrained(model)
    settings = {
        "prompt_key": "prompt",
        "max_prompt_length": 1024,
        "truncation": "error",
        "filter_overlong_prompts": True,
    }
    rows = RLHFDataset(
        str(folder / "train.parquet"),
        tokenizer,
        OmegaConf.create({**settings, "filter_overlong_prompts_workers": 1}),
    )
    for n in range(len(rows)):
        row = rows[n]
        assert row["reward_model"]["ground_truth"] and row["extra_info"]["row_id"]
        ids = tokenizer.apply_chat_template(
            list(row["raw_prompt"]), add_generation_prompt=True, return_dict=False
        )
        yield list(ids), [False] * len(ids)


def verifiers_grpo(folder: Path, model: str, turns: str) -> Examples:
    import asyncio
    import importlib.util

    from transformers import AutoTokenizer
    from verifiers.v1 import Taskset, TasksetConfig
    from verifiers.v1.utils.loaders import _plugin_class

    sys.path.insert(0, str(ROOT))  # the reward asks recast
    spec = importlib.util.spec_from_file_location("taskset", folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["taskset"] = module
    spec.loader.exec_module(module)
    tokenizer = AutoTokenizer.from_pretrained(model)
    for task in _plugin_class(module, Taskset, "taskset")(TasksetConfig()):
        score = lambda text, task=task: asyncio.run(task.correct(types.SimpleNamespace(last_reply=text)))  # noqa: E731
        assert (score(f"It is {task.data.answer}."), score("It is -999.")) == (1.0, 0.0)
        asks = task.data.prompt
        if not isinstance(asks, str):
            asks = [message.model_dump(include={"role", "content"}) for message in asks]
        talk = [{"role": "user", "content": asks}] if isinstance(asks, str) else asks
        system = [{"role": "system", "content": task.data.system_prompt}] if task.data.system_prompt else []
        ids = tokenizer.apply_chat_template([*system, *talk], add_generation_prompt=True, return_dict=False)
        yield list(ids), [False] * len(ids)


def torchtune(folder: Path, model: str, turns: str) -> Examples:
    import yaml
    from torchtune.datasets import chat_dataset
    from transformers import AutoTokenizer

    class Renderer:
        """What torchtune asks of its models' tokenizers: each message as tokens, masked as the message says."""

        max_seq_len = None

        def __call__(self, sample: Any, inference: bool = False) -> Any:
            ids: list[int] = []
            mask: list[bool] = []
            for message in sample.pop("messages"):
                for text, masked in (
                    (f"<|im_start|>{message.role}\n", True),
                    (message.text_content + "<|im_end|>", message.masked),
                    ("\n", True),
                ):
                    piece = tokenizer(text, add_special_tokens=False)["input_ids"]
                    ids += piece
                    mask += [masked] * len(piece)
            return {**sample, "tokens": ids, "mask": mask}

    tokenizer = AutoTokenizer.from_pretrained(model)
    settings = yaml.safe_load((folder / "torchtune.yaml").read_text())["dataset"]
    settings.pop("_component_")
    rows = chat_dataset(Renderer(), **settings)
    for n in range(len(rows)):
        row = rows[n]
        yield list(row["tokens"]), [label != -100 for label in row["labels"]]


LOADERS: dict[str, Callable[[Path, str, str], Examples]] = {
    "llamafactory": llamafactory,
    "mlx": mlx,
    "openrlhf": openrlhf,
    "axolotl": axolotl,
    "nemo-automodel": nemo_automodel,
    "unsloth": unsloth,
    "verl": verl,
    "llamafactory-dpo": llamafactory_dpo,
    "openrlhf-grpo": openrlhf_grpo,
    "verl-grpo": verl_grpo,
    "verifiers-grpo": verifiers_grpo,
    "torchtune": torchtune,
}


def load(name: str, folder: str, model: str, turns: str, out: str) -> None:
    """In the trainer's environment: one JSON line for each row that it makes, ids and whether each trains."""
    with open(out, "w", encoding="utf-8") as file:
        for ids, trained in LOADERS[name](Path(folder), model, turns):
            file.write(json.dumps([[int(token) for token in ids], [bool(each) for each in trained]]) + "\n")


# here


def environment(name: str, out: Path) -> Path:
    """The interpreter of the trainer's environment, made and filled where there is none."""
    folder = out / name
    stamp = folder / "installed.json"
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    if not (stamp.exists() and json.loads(stamp.read_text()) == PACKAGES[name]):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        shared = sysconfig.get_path("purelib")
        (packages / "shared.pth").write_text(shared + "\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        pip += [] if name in WITH_ALL_THEY_NEED else ["--no-deps"]
        subprocess.run([*pip, "--no-compile", "--upgrade", "--target", packages, *PACKAGES[name]], check=True)
        stamp.write_text(json.dumps(PACKAGES[name]))
    return folder / "bin" / "python"


def varied_rows() -> list[dict[str, Any]]:
    """`ROWS` rows of all kinds that a trainer may know, in texts of many shapes."""
    from tests.fakes.exports import kinds_of_rows

    rng = random.Random(SEED)
    words = [
        " 12",
        " apples",
        "\n\n",
        "The",
        " answer",
        " is",
        " x = 3",
        "é",
        " 日本",
        "  two",
        "{a}",
        '"q"',
        " <b>",
        ".",
    ]
    text = lambda: ("Tom" + "".join(rng.choices(words, k=rng.randint(1, 30)))).strip()  # noqa: E731
    kinds = [row for row in kinds_of_rows() if row["row_id"] in ("talks", "calls", "thinks")]
    rows: list[dict[str, Any]] = []
    for n in range(ROWS):
        row = {"messages": [{"role": "user", "content": text()}], "completion": text(), "answer": "1"}
        if n % 8 == 1:
            row["messages"] = [{"role": "system", "content": text()}, *row["messages"]]
        elif n % 8 in (2, 3, 4):
            odd = json.loads(json.dumps(kinds[n % 8 - 2]))
            for turn in odd["messages"]:
                if turn["role"] in ("user", "system") or (turn["role"] == "assistant" and turn["content"]):
                    turn["content"] = text()
            row = {**odd, "completion": text()}
        rows.append({**row, "row_id": f"v{n}"})
    return rows


def held_against(name: str, turns: str, model: Path, out: Path) -> tuple[int, int, int, list[str]]:
    """Rows written, refused, tokens that train, and what differs."""
    from transformers import AutoTokenizer

    from recast.curate.export.check.measure import examples_of, lines_of
    from recast.curate.export.export import export

    to, objective = parts(name)
    folder = out / f"{name}-{turns}"
    said: Any = None if objective != "sft" else turns
    done = export(varied(out / "store"), "varied", to, folder, objective=objective, turns=said)
    found = out / f"{name}-{turns}.jsonl"
    command = [environment(to, out / "environments"), __file__, "--load", name, folder, model, turns, found]
    offline = {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": "",
        "WANDB_DISABLED": "true",
    }
    ran = subprocess.run(
        [*map(str, command)], env=os.environ | offline, capture_output=True, text=True, cwd=out
    )
    if ran.returncode:
        return done.rows, done.refused_rows, 0, [f"its loader failed: {ran.stderr.strip()[-1500:]}"]
    theirs = [tuple(json.loads(line)) for line in found.read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(model)
    # torchtune asks its models' own tokenizers; the one that it is given here trains up to the end of a turn
    like = "unsloth" if to == "torchtune" else to
    ours = [
        (line.get("row_id"), (example.ids, example.trained))
        for line in lines_of(done)
        for example in examples_of(line, tokenizer, like, objective, done.turns)
    ]
    wrong = [] if len(theirs) == len(ours) else [f"it makes {len(theirs)} examples of {len(ours)}"]
    for (row, mine), its in zip(ours, theirs, strict=False):
        if mine != its:
            shown = [
                tokenizer.decode([token for token, learnt in zip(*pair, strict=True) if learnt])
                for pair in (its, mine)
            ]
            wrong.append(f"{row}: it trains {shown[0]!r}, we say {shown[1]!r}")
    return done.rows, done.refused_rows, sum(sum(trained) for _, trained in theirs), wrong


def parts(name: str) -> tuple[str, Any]:
    """Trainer and objective of a loader's name."""
    to, _, objective = name.rpartition("-")
    return (to, objective) if objective in ("dpo", "grpo") else (name, "sft")


def varied(home: Path) -> Any:
    """A store with `varied_rows`, each with a candidate that was refused."""
    from recast.curate.records import Candidate, Verdict, VerdictStatus
    from recast.curate.schema import candidate_table
    from recast.curate.store.store import Store

    store = Store(home)
    if not store.has("varied"):
        rows, bad = varied_rows(), Verdict(VerdictStatus.REJECTED)
        beside = [
            Candidate(row["row_id"], 0, 0, 0, f"Not {row['completion']}", 1, "stop", 0, bad) for row in rows
        ]
        store.commit(rows, "varied", candidates=candidate_table(beside))
    return store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="TRAINER")
    parser.add_argument("--without-marks", action="store_true", help="a template without generation markers")
    parser.add_argument("--out", type=Path, default=Path("out/trainers"))
    parser.add_argument("--load", nargs=5, metavar=("NAME", "FOLDER", "MODEL", "TURNS", "FILE"))
    given = parser.parse_args()
    if given.load:
        load(*given.load)
        return 0
    from recast.curate.export.registry import FORMATS
    from tests.fakes.models import TOOL_TEMPLATE, make_model

    out = given.out.absolute()
    model = make_model("llama", out / "model")
    template = TOOL_TEMPLATE
    if given.without_marks:
        template = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    (model / "chat_template.jinja").write_text(template)
    failed = 0
    varied(out / "store")
    for name in given.names or LOADERS:
        to, objective = parts(name)
        trains = FORMATS[to].shapes["sft"].trains if objective == "sft" else "last"
        for turns in ("last", "all") if trains == "both" else (trains,):
            rows, refused, tokens, wrong = held_against(name, turns, model, out)
            failed += bool(wrong)
            print(
                f"{name:15} {turns:5} {rows:4} rows ({refused} refused)  {tokens:6} tokens train  {len(wrong)} differ"
            )
            for said in wrong[:3]:
                print(f"    {said}")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
