"""Task files of lm-eval: what the harness measures becomes results that can be compared."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from recast.curate.errors import DataError
from recast.train.evaluation.lm_eval import is_task, item_results, measure, read_task, writes_answers
from recast.train.evaluation.results import Outcome
from recast.train.model.loading import default_device

CHOICES = {
    "task": "capitals",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "capitals.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [{"metric": "acc"}],
}


def write_task(folder, config=CHOICES):
    rows = [{"question": f"What is {i} + 1?", "choices": [str(i), str(i + 1)], "answer": 1} for i in range(3)]
    (folder / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "sums.yaml").write_text(yaml.safe_dump(config))
    return folder / "sums.yaml"


def test_a_task_file_is_told_by_its_ending():
    assert is_task("a/task.yaml") and is_task("task.yml") and not is_task("suite.jsonl")


def test_data_files_are_found_beside_the_task(tmp_path):
    config = read_task(write_task(tmp_path))
    assert config["dataset_kwargs"]["data_files"] == {"test": str(tmp_path / "capitals.jsonl")}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[1]", "is no task of lm-eval"),
        ("task: {", "cannot be read as YAML"),
        ("task: t\ndoc_to_text: !function utils.f", r"Python in task files \(!function\) is not run"),
    ],
)
def test_what_is_no_task_is_said(tmp_path, text, error):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(DataError, match=error):
        read_task(tmp_path / "t.yaml")
    with pytest.raises(DataError, match="there is no task file"):
        read_task(tmp_path / "none.yaml")


def test_the_first_metric_of_right_or_wrong_decides(tmp_path):
    def sample(doc_id, **metrics):
        return {"doc_id": doc_id, "target": "5", "filtered_resps": ["5"], "metrics": list(metrics), **metrics}

    found = item_results(tmp_path / "t.yaml", [sample(0, bleu=0.3, acc=1.0), sample(1, bleu=1.0, acc=0.0)])
    assert [i.outcome for i in found] == [Outcome.RIGHT, Outcome.WRONG] and found[0].text == "5"
    with pytest.raises(DataError, match="is 0 or 1 for every question"):
        item_results(tmp_path / "t.yaml", [sample(0, bleu=0.3)])
    with pytest.raises(DataError, match="holds no questions"):
        item_results(tmp_path / "t.yaml", [])


class FakeHarness:
    """Remembers how it was called, and says that every question of a task of two was answered rightly."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def simple_evaluate(self, **given: Any) -> dict[str, Any]:
        self.asked.append(given)
        rows = [
            {"doc_id": i, "target": "1", "filtered_resps": ["1"], "metrics": ["acc"], "acc": 1.0}
            for i in range(2)
        ]
        return {"samples": {given["tasks"][0]["task"]: rows}}


@pytest.fixture
def fake_harness(monkeypatch):
    fake = FakeHarness()
    monkeypatch.setitem(sys.modules, "lm_eval", fake)
    manager = SimpleNamespace(TaskManager=lambda include_path, include_defaults: None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", manager)
    return fake


def written(folder):
    """A task to which the model writes answers."""
    (folder / "written.yaml").write_text("task: written\noutput_type: generate_until\n")
    return folder / "written.yaml"


def test_batch_size_and_longest_answer_reach_the_harness_where_they_are_given(recast, tmp_path, fake_harness):
    def asked(*options):
        said = recast("eval", "model", "--suite", task, "-o", "e.jsonl", *options)
        assert said.code == 0, said.err
        return fake_harness.asked[-1]["batch_size"], fake_harness.asked[-1]["gen_kwargs"]

    task = written(tmp_path)
    assert asked("--batch-size", 5, "--max-tokens", 7) == (5, {"max_gen_toks": 7})
    assert asked("--set", "engine.batch_size=6") == (6, None)
    assert asked() == (16, None)


def test_how_the_model_is_loaded_is_what_the_engine_is_told(recast, tmp_path, fake_harness):
    def asked(*options):
        said = recast("eval", "model", "--suite", written(tmp_path), "-o", "e.jsonl", *options)
        assert said.code == 0, said.err
        given = fake_harness.asked[-1]
        return given["device"], given["model_args"]["dtype"], given["model_args"]["max_length"]

    settings = ("engine.device=cuda:1", "engine.dtype=float32", "engine.max_length=64")
    assert asked(*(word for setting in settings for word in ("--set", setting))) == ("cuda:1", "float32", 64)
    assert asked() == (default_device(), "auto", None)


def test_whether_answers_are_written_is_what_the_task_says(tmp_path):
    assert writes_answers(written(tmp_path)) and not writes_answers(write_task(tmp_path))
    (tmp_path / "rest.yaml").write_text("task: rest\ninclude: base.yaml\n")
    assert writes_answers(tmp_path / "rest.yaml")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--samples", "4"), "found 0 questions without choices, 0 with, 1 tasks of lm-eval"),
        (("--kl-to", "other"), "--kl-to needs the questions of a suite in JSONL; found 0 questions"),
        (("--max-tokens", "9"), "--max-tokens bounds answers that the model writes"),
        (("--temperature", "0.5"), "--temperature is that of the answers that --samples draws"),
        (("--seed", "1"), "--seed is that of the answers that --samples and --kl-to draw"),
        (("--base-url", "http://localhost:1/v1"), "engine.base_url has no effect on the engine hf"),
    ],
)
def test_options_that_a_task_of_choices_has_no_use_for_are_refused(
    recast, tmp_path, fake_harness, options, error
):
    said = recast("eval", "model", "--suite", write_task(tmp_path), *options)
    assert said.code == 2 and error in said.err
    assert fake_harness.asked == []


def test_the_harness_writes_no_more_than_is_allowed(tmp_path, tiny_model):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    config = {name: value for name, value in CHOICES.items() if name != "doc_to_choice"}
    exact = [{"metric": "exact_match"}]
    task = write_task(tmp_path, config | {"output_type": "generate_until", "metric_list": exact})
    bounds: tuple[dict[str, Any], ...] = ({"max_tokens": 2}, {"max_tokens": 20, "batch_size": 2})
    short, long = (max(len(i.text) for i in measure([task], tiny_model, **given)) for given in bounds)
    assert 0 < short < long / 4


def test_the_harness_measures_a_local_task(recast, tmp_path, tiny_model):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    task = write_task(tmp_path)
    assert [i.item_id for i in measure([task], tiny_model)] == ["0", "1", "2"]
    said = recast("eval", tiny_model, "--suite", task, "-o", "e.jsonl", "--json")
    assert said.code == 0, said.err
    assert said.json["suites"]["sums"]["num"] == 3
    assert (
        recast("compare", "e.jsonl", "again=e.jsonl", "--json").json["changes"][0]["forgetting"]["value"] == 0
    )
    said = recast("eval", tiny_model, "--suite", task, "--engine", "vllm")
    assert said.code == 2 and "lm-eval loads models itself" in said.err
