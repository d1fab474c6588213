"""Bad input: a clear error that names it, the right exit code, and nothing half written."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import time

import pytest

from recast.pipelines.run.runs import open_store
from tests.conftest import demonstrations


def nothing_stored(tmp_path):
    return open_store(tmp_path / ".recast").names() == []


def test_an_empty_file(recast, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    said = recast("import", "empty.jsonl", "--as", "x")
    assert said.code == 2
    assert "empty.jsonl is empty; expected" in said.err
    assert nothing_stored(tmp_path)


def test_a_missing_file(recast, tmp_path):
    said = recast("import", "none.jsonl", "--as", "x")
    assert said.code == 2
    assert "none.jsonl" in said.err
    assert nothing_stored(tmp_path)


def test_wrong_json_on_line_7_is_named_and_the_rest_is_kept(recast, tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 9)
    lines = file.read_text().splitlines()
    lines[6] = lines[6][:-5]
    file.write_text("\n".join(lines) + "\n")
    said = recast("import", file, "--as", "x")
    assert said.code == 3
    assert "d.jsonl, line 7: not valid JSON" in said.out
    assert "bad_rows/x@v1.jsonl" in said.out
    said = recast("import", file, "--as", "y", "--json")
    assert said.code == 3
    assert [bad["line"] for bad in said.json["bad_rows"]] == [7]
    assert said.json["rows"] == 8


def test_a_missing_answer_is_counted_and_kept(recast, tmp_path):
    rows = [
        {"question": "What is 1 + 1?", "solution": "1 + 1 makes two."},
        {"question": "What is 2 + 2?", "solution": "2 + 2 makes four."},
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = recast("import", "d.jsonl", "--as", "x")
    assert said.code == 0
    assert "2 rows have no answer" in said.out


def test_a_row_of_100_kb_is_a_row(recast, tmp_path):
    long = {"question": "What is long?", "solution": "word " * 20_000 + "The answer is 1.", "answer": "1"}
    (tmp_path / "d.jsonl").write_text(json.dumps(long) + "\n")
    assert recast("import", "d.jsonl", "--as", "x").code == 0
    shown = recast("show", "x", "--json").json["rows"][0]
    assert shown["completion"] == long["solution"]


def test_a_row_longer_than_the_model_falls_back_with_its_reason(recast, tmp_path, tiny_model):
    file = demonstrations(tmp_path / "d.jsonl", 3)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["solution"] = "word " * 2_000 + rows[1]["solution"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recast("import", file, "--as", "x")
    sets = ("--set", "rewrite.candidates=2", "--set", "rewrite.max_tokens=8")
    said = recast("rewrite", "x", "-m", tiny_model, "--as", "y", *sets, "--json")
    assert said.code in (0, 3), said.err
    assert said.json["rows"] == 3
    row = next(r for r in recast("show", "y", "--json").json["rows"] if r["row_id"] == "sum-1")
    assert row["decision"] == "fallback"
    assert row["reason"]
    assert row["completion"] == rows[1]["solution"]


def test_duplicate_ids_name_both_lines(recast, tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 5)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[1].replace("The answer", "So it")]) + "\n")
    said = recast("import", file, "--as", "x")
    assert said.code == 2
    assert "line 6" in said.err
    assert "line 2" in said.err
    assert "--dedup" in said.err
    assert nothing_stored(tmp_path)
    said = recast("import", file, "--as", "x", "--dedup", "--json")
    assert said.code == 0
    assert said.json["rows"] == 5


def test_an_unknown_column_mapping(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl", 2)
    said = recast("import", "d.jsonl", "--as", "x", "--map", "prompt=nope")
    assert said.code == 2
    assert "nope" in said.err
    assert nothing_stored(tmp_path)


@pytest.mark.parametrize("verb", ["rewrite", "sft", "eval"])
@pytest.mark.parametrize(
    ("missing", "names"),
    [
        (("chat_template.jinja",), "no chat template"),
        (("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"), "no tokenizer"),
        (("model.safetensors",), "no weights"),
        (("config.json",), "no config.json"),
    ],
)
def test_a_model_folder_that_lacks_something(recast, tmp_path, tiny_model, verb, missing, names):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    for name in missing:
        (broken / name).unlink()
    demonstrations(tmp_path / "d.jsonl", 2)
    recast("import", "d.jsonl", "--as", "x")
    call = {
        "rewrite": ("rewrite", "x", "-m", broken, "--as", "y"),
        "sft": ("sft", "x", "-m", broken, "-o", "tuned"),
        "eval": ("eval", broken, "--suite", "d.jsonl"),
    }[verb]
    said = recast(*call)
    assert said.code == 2, said.err
    assert names in said.err
    assert "broken" in said.err
    assert open_store(tmp_path / ".recast").names() == ["x"]
    assert not (tmp_path / "tuned").exists()


def test_an_agent_that_is_none(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 2)
    recast("import", "d.jsonl", "--as", "x")
    said = recast("rewrite", "x", "-m", tiny_model, "--agent", tiny_model, "--as", "y")
    assert said.code == 2
    assert "is no rewriting agent" in said.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--set", "sft.epoch=1"), "unknown config key sft.epoch. Did you mean sft.epochs?"),
        (("--set", "sft.epochs=none"), "config key sft.epochs"),
        (("-c", "none.yaml"), "no config file at none.yaml"),
    ],
)
def test_a_wrong_config_is_refused_before_anything_is_loaded(recast, tmp_path, args, message):
    said = recast("sft", "x", *args)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / ".recast").exists()


def test_a_full_disk_leaves_no_version_and_the_same_command_goes_on(tmp_path, recast_process):
    demonstrations(tmp_path / "d.jsonl", 20_000)

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

    process = recast_process("import", "d.jsonl", "--as", "x", preexec_fn=small_files)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert "the disk is full" in err
    assert "run the same command" in err
    assert nothing_stored(tmp_path)
    process = recast_process("import", "d.jsonl", "--as", "x")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert open_store(tmp_path / ".recast").resolve("x@v1").rows == 20_000


def test_ctrl_c_is_130_and_leaves_no_version(tmp_path, recast_process):
    demonstrations(tmp_path / "d.jsonl", 500_000)
    process = recast_process("import", "d.jsonl", "--as", "x")
    deadline = time.monotonic() + 60
    while not (tmp_path / ".recast").exists():  # it has begun to write
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert nothing_stored(tmp_path)
