"""`recast export` as a command: its result, exit codes, the check, and what would be sent to the hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from recast.curate.store.store import Store
from tests.fakes.exports import kinds_of_rows, sums


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store = Store(tmp_path / ".recast")
    store.commit(sums(6), "plain")
    store.commit([*sums(2), *kinds_of_rows()], "mixed")
    return tmp_path


def test_the_result_has_files_rows_reasons_and_the_line_that_starts_the_trainer(
    recast: Any, home: Path
) -> None:
    said = recast("export", "plain", "--to", "llamafactory", "-o", "out", "--json")
    assert said.code == 0
    result = said.json
    assert (result["version"], result["format"], result["rows"], result["refused"]) == (
        "plain@v1", "llamafactory", 6, {},
    )  # fmt: skip
    assert result["start"] == "llamafactory-cli train out/llamafactory.yaml model_name_or_path=MODEL"
    assert [file["path"] for file in result["files"]] == [
        "out/train.jsonl", "out/dataset_info.json", "out/llamafactory.yaml",
    ]  # fmt: skip
    shown = recast("export", "plain", "--to", "llamafactory", "-o", "out")
    assert shown.out.splitlines()[0] == "out: 6 rows of plain@v1 as llamafactory sft"
    assert shown.out.splitlines()[-1] == result["start"]


def test_refused_rows_are_exit_code_3_and_rows_without_a_pair_are_not(recast: Any, home: Path) -> None:
    said = recast("export", "mixed", "--to", "torchtune", "-o", "out", "--turns", "all")
    assert said.code == 3
    assert (
        "1 refused as tool_calls: row calls has tool calls or their results; torchtune does not" in said.out
    )
    said = recast("export", "plain", "--to", "trl", "--as", "dpo", "-o", "pairs")
    assert said.code == 2 and "plain@v1 keeps no candidates" in said.err


def test_a_check_with_a_model_says_what_trains_and_fails_where_nothing_does(recast: Any, home: Path) -> None:
    said = recast("export", "plain", "--to", "trl", "-o", "out", "--check", "pocket", "--json")
    check = said.json["check"]
    assert said.code == 0 and check["end_of_turn_trained"] == check["lines"] == 6 and check["cut"] == 0
    assert "".join(p["text"] for p in check["example"] if p["trained"]) == "The answer is 0.<|end|>"
    said = recast("export", "plain", "--to", "trl", "-o", "out", "--check", "pocket", "--max-length", "4")
    assert said.code == 4 and "6 lines train nothing: r0, r1, r2, r3, r4" in said.out
    said = recast("export", "plain", "--to", "trl", "--as", "grpo", "-o", "prompts", "--check", "pocket")
    assert said.code == 0
    said = recast("export", "plain", "--to", "trl", "-o", "out", "--max-length", "4")
    assert said.code == 2 and "--max-length is for --check MODEL" in said.err
    said = recast("export", "plain", "--to", "jsonl", "-o", "never", "--check", "pocket")
    assert (
        said.code == 2
        and "no way to repeat what jsonl makes of a row" in said.err
        and not (home / "never").exists()
    )


@pytest.mark.slow
def test_a_check_asks_the_trainers_own_loader_and_compares_all_trainers(recast: Any, home: Path) -> None:
    Store(home / ".recast").commit([*sums(4), kinds_of_rows()[0], *kinds_of_rows()[2:3]], "talks")
    said = recast("export", "talks", "--to", "trl", "-o", "out", "--check", "pocket", "--compare", "--json")
    check = said.json["check"]
    own = check["own_loader"]
    assert own["loader"].startswith("trl 1.") and (own["lines"], own["differ"]) == (6, [])
    assert own["tokens_trained"] == check["tokens_trained"]
    compared = {each["trainer"]: each for each in check["compared"]}
    assert compared["trl"]["differ"] == 0 and compared["trl"]["tokens_trained"] == check["tokens_trained"]
    assert (compared["mlx"]["turns"], compared["verl"]["turns"]) == ("last", "all")
    # verl trains the earlier turn, too: of the six rows, one has such a turn
    assert compared["verl"]["differ"] >= 1
    assert compared["llamafactory"]["refused"] == {"reasoning": 1} and compared["llamafactory"]["lines"] == 5
    shown = recast("export", "talks", "--to", "trl", "-o", "out", "--check", "pocket", "--compare").out
    assert (
        "its own loader (trl 1." in shown and "the same, one by one" in shown and "rows unlike trl" in shown
    )
    said = recast("export", "talks", "--to", "mlx", "-o", "mlx", "--check", "pocket", "--json")
    assert said.json["check"]["own_loader"] == {
        "loader": None,
        "why_not": "MLX-LM is not installed here; with --python PATH its own loader reads the rows, too",
    }
    assert "compared" not in said.json["check"]
    said = recast("export", "talks", "--to", "trl", "-o", "out", "--compare")
    assert said.code == 2 and "--compare is for --check MODEL and SFT" in said.err


def test_shards_are_asked_for_by_rows(recast: Any, home: Path) -> None:
    said = recast("export", "plain", "--to", "trl", "-o", "out", "--shard-rows", "4", "--json")
    assert [file["path"] for file in said.json["files"]] == ["out/train-00000.jsonl", "out/train-00001.jsonl"]
    said = recast("export", "plain", "--to", "jsonl", "-o", "memory://verb/rows", "--json")
    assert said.json["files"][0]["path"] == "memory://verb/rows/plain-v1.jsonl"


def test_a_dry_run_of_a_push_lists_files_sizes_and_hashes(recast: Any, home: Path) -> None:
    said = recast(
        "export",
        "mixed",
        "--to",
        "hf",
        "-o",
        "rows",
        "--push",
        "me/rows",
        "--dry-run",
        "--licence",
        "mit",
        "--json",
    )
    push = said.json["push"]
    assert push["to"] == "me/rows" and "commit" not in push
    assert [file["path"] for file in push["files"]] == ["data/train-00000.parquet", "README.md"]
    for file in push["files"]:
        content = (home / "rows" / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    card = (home / "rows" / "README.md").read_text()
    assert (
        card.startswith("---\nlicense: mit\n")
        and "entropy of openings" in card
        and "| not_text | 1 |" in card
    )
    assert recast("export", "plain", "--to", "trl", "-o", "x", "--push", "me/rows").code == 2
    assert recast("export", "plain", "--to", "hf", "-o", "x", "--dry-run").code == 2


def test_the_old_names_write_files_as_before(recast: Any, home: Path) -> None:
    for to, name in (
        ("jsonl", "a.jsonl"),
        ("parquet", "a.parquet"),
        ("trl", "t.jsonl"),
        ("trl", "t.parquet"),
    ):
        assert recast("export", "plain", "--to", to, "-o", name).code == 0
        assert (home / name).is_file()
    assert len((home / "t.jsonl").read_text().splitlines()) == 6
    assert json.loads((home / "a.jsonl").read_text().splitlines()[0])["completion"] == "The answer is 0."
