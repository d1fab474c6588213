"""Task files of lm-eval: what the harness measures becomes results that can be compared."""

from __future__ import annotations

import json

import pytest
import yaml

from curate.errors import DataError
from train.harness import is_task, item_results, measure, read_task
from train.results import Outcome

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
