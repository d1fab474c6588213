"""Suites of lm-eval, from task files on this machine: measured by the harness itself, read as results of ours.

A task file is YAML as the harness defines it, with a local data set (`dataset_path: json`, `data_files`). The harness
loads the model, through its chat template, and scores by its own rules; a question is right where the task's first
metric that is 0 or 1 a question says 1. There is no extraction of ours in it, and a format failure is a wrong answer.
Needs the extra `harness`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from recast.curate import yaml_file
from recast.curate.errors import DataError, MissingDependencyError
from recast.train.evaluation.results import ItemResult, Outcome
from recast.train.model.loading import default_device

SUFFIXES = (".yaml", ".yml")
WRITTEN = "generate_until"  # the harness's name for tasks to which the model writes an answer


def is_task(path: str | Path) -> bool:
    """Whether a suite is a task file of the harness."""
    return Path(path).suffix in SUFFIXES


def measure(
    tasks: Iterable[str | Path],
    model: str | Path,
    *,
    adapter: str | Path | None = None,
    dtype: str = "auto",
    device: str | None = None,
    batch_size: int = 16,
    max_length: int | None = None,
    max_tokens: int | None = None,
) -> list[ItemResult]:
    """Ask `model` (a folder or hub id, with a LoRA `adapter` on it) the questions of task files.

    `dtype` and `device` are those of `train.model.loading.load`. Prompts over `max_length` tokens (default: what the
    model takes) lose their beginning, as is the harness's way. `max_tokens` bounds written answers, whatever the tasks
    say. Raises MissingDependencyError without lm-eval, and DataError for a file that is no task or has no metric of 0
    or 1.
    """
    try:
        harness = importlib.import_module("lm_eval")
        manager_class = importlib.import_module("lm_eval.tasks").TaskManager
    except ImportError as error:
        raise MissingDependencyError(
            f"suites in YAML are task files of lm-eval, which cannot be imported ({error}). "
            "Install it: pip install 'recast-sft[harness]'."
        ) from error
    found: list[ItemResult] = []
    for path in map(Path, tasks):
        config = read_task(path)
        said = harness.simple_evaluate(
            model="hf",
            model_args={
                "pretrained": str(model),
                "dtype": dtype,
                "max_length": max_length,
                **({"peft": str(adapter)} if adapter else {}),
            },
            tasks=[config],
            # the defaults are thousands of files; a local task needs none
            task_manager=manager_class(include_path=str(path.parent), include_defaults=False),
            apply_chat_template=True,
            batch_size=batch_size,
            gen_kwargs=None if max_tokens is None else {"max_gen_toks": max_tokens},
            device=device or default_device(),
            log_samples=True,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
        found += item_results(path, said["samples"][config["task"]])
    return found


def writes_answers(task: str | Path) -> bool:
    """Whether the model writes answers to a task; False where it only scores given ones. Raises DataError.

    True where the file does not say, as is the harness's default.
    """
    return read_task(Path(task)).get("output_type", WRITTEN) == WRITTEN


def read_task(path: Path) -> dict[str, Any]:
    """The task's configuration, data files found beside it. Raises DataError."""
    try:
        config = yaml_file.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no task file {path}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as YAML: {' '.join(str(error).split())}. "
            "Python in task files (!function) is not run."
        ) from error
    if not isinstance(config, Mapping) or not isinstance(config.get("task"), str):
        raise DataError(f"{path} is no task of lm-eval: expected a mapping with `task: NAME`.")
    config = dict(config)
    files = (config.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(files, Mapping):
        local = {split: str(path.parent / name) for split, name in files.items()}
        config["dataset_kwargs"] = {**config["dataset_kwargs"], "data_files": local}
    return config


def item_results(path: Path, samples: Sequence[Mapping[str, Any]]) -> list[ItemResult]:
    """The harness's record of every question as ours. Raises DataError where no metric is 0 or 1 a question."""
    if not samples:
        raise DataError(f"{path} holds no questions.")
    metric = next((m for m in samples[0]["metrics"] if all(s.get(m) in (0, 1) for s in samples)), None)
    if metric is None:
        raise DataError(
            f"{path}: none of the metrics {samples[0]['metrics']} is 0 or 1 for every question. "
            "Use acc or exact_match, so that items can be compared."
        )
    return [
        ItemResult(
            suite=path.stem,
            item_id=str(sample["doc_id"]),
            task=path.stem,
            outcome=Outcome.RIGHT if sample[metric] else Outcome.WRONG,
            extracted=None,
            answer=str(sample["target"]),
            text=_said(sample),
            gold_loglik=None,
        )
        for sample in samples
    ]


def _said(sample: Mapping[str, Any]) -> str:
    """What the model answered; empty where it only scored choices."""
    first = sample["filtered_resps"][0]
    return first if isinstance(first, str) else ""
