"""Long fault runs, under `make torture` only."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pytest
import yaml

from recast.pipelines.run.runs import open_store
from tests.conftest import demonstrations

pytestmark = pytest.mark.torture
KILLS = 25


def write_plan(folder: Path, model: Path) -> Path:
    demonstrations(folder / "d.jsonl", 48)
    shutil.copytree(model, folder / "model")
    plan = {
        "config": {
            "model": "model",
            "rewrite": {"candidates": 2, "max_tokens": 24, "batch_rows": 4},
            "sft": {"epochs": 4, "batch_size": 4, "checkpoints": 6},
        },
        "stages": [
            {"name": "data", "verb": "import", "args": {"path": "d.jsonl", "as": "sums"}},
            {"name": "text", "verb": "rewrite", "args": {"name": "${data.version}", "as": "again"}},
            {"name": "raw", "verb": "sft", "args": {"name": "${data.version}", "out": "raw"}},
            {"name": "tuned", "verb": "sft", "args": {"name": "${text.version}", "out": "tuned"}},
            {
                "name": "asked",
                "verb": "eval",
                "args": {"model": "${raw.out}", "suite": "d.jsonl", "max_tokens": 8},
            },
        ],
    }
    path = folder / "stages.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path


def products(folder: Path) -> dict[str, object]:
    store = open_store(folder / ".recast")
    rows = {name: [{**r, "run_id": None} for r in store.open(name).rows()] for name in ("sums", "again")}
    weights = {name: (folder / name / "model.safetensors").read_bytes() for name in ("raw", "tuned")}
    return {"versions": [v.number for n in rows for v in store.log(n)], **rows, **weights}


def test_a_run_killed_again_and_again_ends_in_what_an_uninterrupted_one_makes(
    tmp_path, tiny_model, recast_process
):
    """kill -9 at random moments. One version each: nothing is committed twice, nothing is lost."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        write_plan(folder, tiny_model)
    process = recast_process("run", "stages.yaml", "-j", "2", "--json", cwd=whole)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    rng = random.Random(0)
    kills = 0
    while True:
        process = recast_process("run", "stages.yaml", "-j", "2", "--json", cwd=broken)
        # up to the time that the slowest stage needs: early kills hit imports and commits, late ones training
        patience = rng.uniform(1.0, 40.0) if kills < KILLS else 900.0
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert kills > 0
    assert set(json.loads(out)["stages"]) == {"data", "text", "raw", "tuned", "asked"}
    assert products(broken) == products(whole)
