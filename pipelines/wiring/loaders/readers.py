"""What each trainer's own code makes of the folder of an export: tokens, and which of them train.

    PYTHON readers.py NAME FOLDER MODEL TURNS LIMIT RECAST FILE

Run by the interpreter of the trainer's environment, where nothing of recast need be installed: a reader imports the
trainer's packages and calls them as the trainer does, and this file imports the standard library alone. FILE gets a
line with the loader's version, then `[ids, trained]` for each example, in the order of the rows.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import os
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANY_LENGTH = 1 << 20
Examples = Iterator[tuple[list[int], list[bool]]]


@dataclass(frozen=True)
class Folder:
    """What is read: `train.jsonl` or its like, with the files beside; `model` has the tokenizer."""

    path: Path
    model: str
    turns: str  # last or all
    limit: int  # tokens of a row
    recast: str  # folder that `import recast` finds, for rewards that ask it

    @property
    def rows(self) -> Path:
        return self.path / "train.jsonl"

    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.model)

    def loaded(self) -> Any:
        from datasets import load_dataset

        return load_dataset("json", data_files=str(self.rows), split="train")

    def settings(self, name: str) -> dict[str, Any]:
        import yaml

        return yaml.safe_load((self.path / name).read_text(encoding="utf-8"))


def trl(asked: Folder) -> Examples:
    """What `SFTTrainer` prepares when it is told what the start line says; a tiny model stands in for the real one."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = asked.tokenizer()
    shape = LlamaConfig(
        vocab_size=max(tokenizer.get_vocab().values()) + 1,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        args = SFTConfig(
            folder,
            max_length=asked.limit,
            shuffle_dataset=False,
            report_to="none",
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            assistant_only_loss=asked.turns == "all",
            completion_only_loss=asked.turns == "last" or None,
        )
        trainer = SFTTrainer(
            LlamaForCausalLM(shape), args, train_dataset=asked.loaded(), processing_class=tokenizer
        )
        rows: Any = trainer.train_dataset
        for row in rows:
            yield row["input_ids"], [label != -100 for label in row["labels"]]


def _llamafactory_rows(asked: Folder, stage: str) -> Any:
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    sound = types.ModuleType("torchaudio")  # which it imports for audio that no row has
    sound.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules.setdefault("torchaudio", sound)
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    settings = asked.settings("llamafactory.yaml")
    settings |= {"model_name_or_path": asked.model, "dataset_dir": str(asked.path), "cutoff_len": asked.limit}
    settings |= {"output_dir": str(asked.path / "model"), "report_to": "none", "eval_dataset": None}
    settings |= {"overwrite_cache": True, "preprocessing_num_workers": 1, "bf16": False, "use_cpu": True}
    model_args, data_args, training_args, _, _ = get_train_args(settings)
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    return get_dataset(template, model_args, data_args, training_args, stage=stage, **loaded)["train_dataset"]


def llamafactory(asked: Folder) -> Examples:
    for row in _llamafactory_rows(asked, "sft"):
        yield row["input_ids"], [label != -100 for label in row["labels"]]


def llamafactory_dpo(asked: Folder) -> Examples:
    for row in _llamafactory_rows(asked, "rm"):
        for side in ("chosen", "rejected"):
            yield row[f"{side}_input_ids"], [label != -100 for label in row[f"{side}_labels"]]


def mlx(asked: Folder) -> Examples:
    from mlx_lm.tuner.datasets import CacheDataset, load_dataset

    args = types.SimpleNamespace(
        data=str(asked.path), train=True, test=False, mask_prompt=True, hf_dataset=False
    )
    rows = CacheDataset(load_dataset(args, asked.tokenizer())[0])
    for n in range(len(rows)):
        ids, start = rows[n]
        yield list(ids), [m >= start for m in range(len(ids))]


def openrlhf(asked: Folder) -> Examples:
    from openrlhf.datasets import SFTDataset

    all_turns = asked.turns == "all"
    keys = {"input_key": "messages", "output_key": None} if all_turns else _keys("input", "output")
    data = types.SimpleNamespace(apply_chat_template=True, tokenizer_chat_template=None, **keys)
    strategy = types.SimpleNamespace(args=types.SimpleNamespace(data=data))
    rows = SFTDataset(
        asked.loaded(), asked.tokenizer(), asked.limit, strategy, num_processors=1, multiturn=all_turns
    )
    for n in range(len(rows)):
        ids, _, mask = rows[n]
        predicting = mask[0].bool().tolist()
        yield ids[0].tolist(), [False, *predicting[:-1]]  # its mask stands at the position that predicts


def _keys(asks: str, says: str) -> dict[str, Any]:
    return {"input_key": asks, "output_key": says}


def openrlhf_grpo(asked: Folder) -> Examples:
    from openrlhf.datasets import PromptDataset

    tokenizer = asked.tokenizer()
    data = types.SimpleNamespace(input_key="input", label_key="label", apply_chat_template=True)
    strategy = types.SimpleNamespace(args=types.SimpleNamespace(data=data), is_rank_0=lambda: False)
    raw = asked.loaded()
    rows = PromptDataset(raw, tokenizer, strategy)
    if list(rows.labels) != [row["label"] for row in raw]:
        raise ValueError("OpenRLHF reads other labels than the file has")
    for prompt in rows.prompts:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        yield ids, [False] * len(ids)


def axolotl(asked: Folder) -> Examples:
    from axolotl.prompt_strategies.chat_template import StrategyLoader
    from axolotl.utils.dict import DictDefault

    settings = asked.settings("axolotl.yaml")
    cfg = DictDefault(settings | {"sequence_len": asked.limit})
    strategy: Any = StrategyLoader()(asked.tokenizer(), cfg, DictDefault(settings["datasets"][0]))
    for row in asked.loaded():
        done = strategy.tokenize_prompt(row)
        yield list(done["input_ids"]), [label != -100 for label in done["labels"]]


def nemo_automodel(asked: Folder) -> Examples:
    from nemo_automodel.components.datasets.llm.chat_dataset import ChatDataset

    settings = asked.settings("automodel.yaml")["dataset"] | {"path_or_dataset_id": str(asked.rows)}
    settings.pop("_target_")
    rows = ChatDataset(tokenizer=asked.tokenizer(), unshifted=True, **settings)
    for n in range(len(rows)):
        row = rows[n]
        yield list(row["input_ids"]), [bool(mask) for mask in row["loss_mask"]]


def unsloth(asked: Folder) -> Examples:
    os.environ["UNSLOTH_IS_PRESENT"] = "1"  # unsloth itself wants a GPU
    from unsloth_zoo.dataset_utils import train_on_responses_only

    tokenizer = asked.tokenizer()
    mark: Any = train_on_responses_only(
        None, tokenizer=tokenizer, return_function=True, last_response_only=asked.turns == "last"
    )
    for row in asked.loaded():
        ids = tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=False)
        labels = mark({"input_ids": [ids]})["labels"]
        labels = labels.tolist() if hasattr(labels, "tolist") else labels
        yield list(ids), [label != -100 for label in labels[0]]


def verl(asked: Folder) -> Examples:
    from omegaconf import OmegaConf
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    settings = {"messages_key": "messages", "truncation": "error", "pad_mode": "no_padding"}
    rows = MultiTurnSFTDataset(
        str(asked.path / "train.parquet"),
        asked.tokenizer(),
        OmegaConf.create({**settings, "max_length": asked.limit}),
    )
    for n in range(len(rows)):
        row = rows[n]
        yield row["input_ids"].tolist(), row["loss_mask"].bool().tolist()


def verl_grpo(asked: Folder) -> Examples:
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    tokenizer = asked.tokenizer()
    settings = {"prompt_key": "prompt", "max_prompt_length": asked.limit, "truncation": "error"}
    settings |= {"filter_overlong_prompts": True, "filter_overlong_prompts_workers": 1}
    rows = RLHFDataset(str(asked.path / "train.parquet"), tokenizer, OmegaConf.create(settings))
    for n in range(len(rows)):
        row = rows[n]
        if not (row["reward_model"]["ground_truth"] and row["extra_info"]["row_id"]):
            raise ValueError(f"verl finds no ground truth or no row id in row {n}")
        ids = tokenizer.apply_chat_template(
            list(row["raw_prompt"]), add_generation_prompt=True, return_dict=False
        )
        yield list(ids), [False] * len(ids)


def verifiers_grpo(asked: Folder) -> Examples:
    import asyncio
    import importlib.util

    from verifiers.v1 import Taskset, TasksetConfig
    from verifiers.v1.utils.loaders import _plugin_class

    sys.path.append(asked.recast)  # the reward asks it
    spec = importlib.util.spec_from_file_location("taskset", asked.path / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["taskset"] = module
    spec.loader.exec_module(module)
    tokenizer = asked.tokenizer()
    for task in _plugin_class(module, Taskset, "taskset")(TasksetConfig()):
        said = (f"The answer is {text}." for text in (task.data.answer, f"7{task.data.answer}"))
        rewards = [asyncio.run(task.correct(types.SimpleNamespace(last_reply=text))) for text in said]
        if rewards != [1.0, 0.0]:
            raise ValueError(
                f"the answer of {task.data.name} is worth {rewards[0]}, with a 7 before {rewards[1]}; expected 1 and 0"
            )
        asks = task.data.prompt
        if not isinstance(asks, str):
            asks = [message.model_dump(include={"role", "content"}) for message in asks]
        talk = [{"role": "user", "content": asks}] if isinstance(asks, str) else asks
        system = [{"role": "system", "content": task.data.system_prompt}] if task.data.system_prompt else []
        ids = tokenizer.apply_chat_template([*system, *talk], add_generation_prompt=True, return_dict=False)
        yield list(ids), [False] * len(ids)


def torchtune(asked: Folder) -> Examples:
    """torchtune renders by its own models' tokenizers; the one that it is given here knows ChatML."""
    from torchtune.datasets import chat_dataset

    tokenizer = asked.tokenizer()

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

    settings = asked.settings("torchtune.yaml")["dataset"] | {"data_files": str(asked.rows)}
    settings.pop("_component_")
    renderer: Any = Renderer()
    rows: Any = chat_dataset(renderer, **settings)
    for n in range(len(rows)):
        row = rows[n]
        yield list(row["tokens"]), [label != -100 for label in row["labels"]]


@dataclass(frozen=True)
class Reader:
    """One trainer's own loader."""

    read: Callable[[Folder], Examples]
    module: str
    """Which the trainer's environment can import."""
    package: str
    """Whose version is told."""


_LLAMAFACTORY = ("llamafactory", "llamafactory")
_OPENRLHF = ("openrlhf", "openrlhf")
_VERL = ("verl", "verl")
READERS: dict[str, Reader] = {
    "trl": Reader(trl, "trl", "trl"),
    "llamafactory": Reader(llamafactory, *_LLAMAFACTORY),
    "mlx": Reader(mlx, "mlx_lm", "mlx-lm"),
    "openrlhf": Reader(openrlhf, *_OPENRLHF),
    "axolotl": Reader(axolotl, "axolotl", "axolotl"),
    "nemo-automodel": Reader(nemo_automodel, "nemo_automodel", "nemo-automodel"),
    "unsloth": Reader(unsloth, "unsloth_zoo", "unsloth_zoo"),
    "verl": Reader(verl, *_VERL),
    "torchtune": Reader(torchtune, "torchtune", "torchtune"),
    "llamafactory-dpo": Reader(llamafactory_dpo, *_LLAMAFACTORY),
    "openrlhf-grpo": Reader(openrlhf_grpo, *_OPENRLHF),
    "verl-grpo": Reader(verl_grpo, *_VERL),
    "verifiers-grpo": Reader(verifiers_grpo, "verifiers", "verifiers"),
}
"""By format, and by format and objective where that is not SFT."""


def main(name: str, folder: str, model: str, turns: str, limit: str, recast: str, out: str) -> None:
    reader = READERS[name]
    try:
        version = importlib.metadata.version(reader.package)
    except importlib.metadata.PackageNotFoundError:
        version = "from its sources"
    with open(out, "w", encoding="utf-8") as file:
        file.write(json.dumps(f"{reader.package} {version}") + "\n")
        for ids, trained in reader.read(Folder(Path(folder), model, turns, int(limit), recast)):
            file.write(json.dumps([[int(token) for token in ids], [bool(each) for each in trained]]) + "\n")


if __name__ == "__main__":
    del sys.path[0]  # this folder: its modules are recast's
    main(*sys.argv[1:])
