"""A row is made again from what its run recorded: the same, or different with the reason, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recast.curate.store.store import Store
from tests.conftest import demonstrations
from tests.fakes.models import make_model

SETS = ("--set", "rewrite.candidates=2", "--set", "rewrite.max_tokens=8", "--set", "rewrite.batch_rows=3")


@pytest.fixture
def rewritten(recast, tmp_path, tiny_model):
    """`again`: 8 rows rewritten in batches of three by a model that has a folder of its own, with a repair each."""
    shutil.copytree(tiny_model, tmp_path / "model")
    assert recast("import", demonstrations(tmp_path / "sums.jsonl"), "--as", "sums").code == 0
    made = recast(
        "rewrite", "sums", "-m", "model", *SETS, "--set", "rewrite.repairs=1", "--as", "again", "--json"
    )
    assert made.json["num_candidates"] == 32
    return recast


def test_every_candidate_of_a_row_comes_out_byte_for_byte_in_its_batch(rewritten):
    said = rewritten("replay", "again", "sum-3", "--json").json
    assert said["outcome"] == "same"
    assert said["why"] == ["all 4 candidates came out byte for byte, in their batch of 3 rows"]
    assert [(c["attempt"], c["k"]) for c in said["candidates"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({c["kept"] for c in said["candidates"]}) > 1, "or anything would pass for the same"
    assert "Row sum-3 of again@v1 came out the same" in rewritten("replay", "again", "sum-3").out


def test_a_candidate_that_is_not_what_the_seed_gives_is_different(rewritten, tmp_path):
    """Another seed in the plan stands for whatever is not recorded."""
    (plan,) = (tmp_path / ".recast" / "runs").glob("rewrite-*/plan.json")
    told = json.loads(plan.read_text())
    told["identity"]["config"]["seed"] = 99
    plan.write_text(json.dumps(told))
    said = rewritten("replay", "again", "sum-3", "--json").json
    assert said["outcome"] == "different" and "nothing that is recorded differs" in said["why"][0]
    assert rewritten("replay", "again", "sum-3", "--exit-code").code == 1
    shown = rewritten("replay", "again", "sum-3")
    assert shown.code == 0 and "came out different" in shown.out and "candidate 0, seed" in shown.out


def test_another_model_in_the_same_folder_is_told(rewritten, tmp_path):
    shutil.rmtree(tmp_path / "model")
    make_model("llama", tmp_path / "model", seed=5)
    said = rewritten("replay", "again", "sum-3", "--json").json
    assert said["outcome"] == "different" and said["why"][0].startswith("the backbone is another: ")


def test_a_model_that_is_gone_is_named_with_code_6(rewritten, tmp_path):
    shutil.rmtree(tmp_path / "model")
    said = rewritten("replay", "again", "sum-3", "--json")
    assert said.code == 6 and said.json["outcome"] == "cannot" and "model" in said.json["why"][0]


def test_a_run_folder_that_is_gone_is_named(rewritten, tmp_path):
    shutil.rmtree(tmp_path / ".recast" / "runs")
    said = rewritten("replay", "again", "sum-3")
    assert said.code == 6 and "cannot be made again here" in said.out and "the run folder of job" in said.out


def test_a_row_of_a_later_version_is_made_again_where_it_was_made(rewritten, tmp_path):
    store = Store(Path(tmp_path) / ".recast")
    rows = list(store.open("again").rows())
    rows[0] |= {"completion": "by hand", "decision": "edited"}
    store.commit(rows, "again")
    said = rewritten("replay", "again@v2", "sum-3", "--json").json
    assert (said["outcome"], said["made_in"]) == ("same", "again@v1")
    edited = rewritten("replay", "again@v2", "sum-0", "--json").json
    assert (edited["outcome"], edited["why"]) == ("nothing", ["a person wrote it"])


def test_an_experts_row_was_not_sampled(rewritten):
    said = rewritten("replay", "sums", "sum-1")
    assert said.code == 0 and "was made by no model" in said.out
