"""plan, rewrite, augment and rehearse on the command line: budgets, methods, what is refused, what is said."""

from __future__ import annotations

import pytest

from curate.store import Store
from tests.conftest import demonstrations

SETS = ("--set", "rewrite.candidates=2", "--set", "rewrite.max_tokens=8")


@pytest.fixture
def imported(recast, tmp_path, tiny_model):
    assert recast("import", demonstrations(tmp_path / "sums.jsonl"), "--as", "sums").code == 0
    return ("-m", tiny_model)


def test_a_prediction_stands_beside_what_came_of_it(recast, imported):
    planned = recast("plan", "sums", *imported, *SETS, "--rows", "4", "--json").json
    assert (planned["rows"], planned["sampled"]) == (8, 4)
    said = recast("rewrite", "sums", *imported, *SETS, "--as", "again", "--json").json
    assert {line["figure"] for line in said["predicted"]} == {"seconds", "tokens", "accepted_rows", "bytes"}
    assert said["predicted"][1]["actual"] == said["num_tokens"]
    assert (
        recast("rewrite", "sums", *imported, *SETS, "--seed", "5", "--as", "x", "--json").json["predicted"]
        is None
    )


def test_a_budget_ends_with_code_7_and_a_larger_one_goes_on_in_the_same_run(recast, imported):
    sets = (*SETS, "--set", "rewrite.batch_rows=2", "--set", "rewrite.window_rows=2")
    stopped = recast("rewrite", "sums", *imported, *sets, "--as", "again", "--max-candidates", "9", "--json")
    assert stopped.code == 7 and "after 4 of 8 rows" in stopped.json["error"]["message"]
    assert recast("rewrite", "sums", *imported, *sets, "--as", "again", "--budget-minutes", "0").code == 7
    said = recast("rewrite", "sums", *imported, *sets, "--as", "again", "--json").json
    assert (said["rows"], said["num_found"], said["num_candidates"]) == (8, 4, 16)


def test_rows_that_never_pass_come_with_the_command_to_run_next(recast, imported):
    said = recast("rewrite", "sums", *imported, *SETS, "--as", "again", "--json").json
    assert said["causes"] and sum(cause["rows"] for cause in said["causes"]) == said["counts"]["fallback"]
    shown = recast("rewrite", "sums", *imported, *SETS, "--as", "again").out
    assert said["causes"][0]["next"].startswith("recast ") and said["causes"][0]["next"] in shown


@pytest.mark.parametrize("method", ["sdft", "mind-the-gap", "self-rehearsal", "prompt", "copy"])
def test_every_baseline_ends_in_a_version_that_names_it(recast, imported, method):
    sets = SETS if method == "prompt" else ("--set", "rewrite.max_tokens=8") if method != "copy" else ()
    said = recast("rewrite", "sums", *imported, *sets, "--method", method, "--as", "again", "--json").json
    version = Store(".recast").resolve(said["version"])
    assert version.rows == 8 and version.meta["method"] == method
    assert len(version.meta["chat_template"]) == 16
    assert sum(said["counts"].values()) == 8


def test_options_without_effect_and_options_that_exclude_each_other_are_refused(recast, imported):
    def refused(*args):
        said = recast("rewrite", "sums", *imported, "--as", "x", *args, "--json")
        assert said.code == 2
        return said.json["error"]["message"]

    assert "two methods" in refused("--paper", "--method", "sdft")
    assert "rewrite.candidates would have no effect" in refused("--paper", "--set", "rewrite.candidates=3")
    assert "--targets would have no effect" in refused("--method", "sdft", "--targets", "2")
    assert "only with --method" in refused("--set", "rewrite.accept=gate")


def test_paper_samples_one_greedy_rewrite(recast, imported):
    said = recast(
        "rewrite", "sums", *imported, "--set", "rewrite.max_tokens=8", "--paper", "--as", "x", "--json"
    )
    assert said.code == 0, said.out
    assert said.json["num_candidates"] == 8


def test_rehearsal_of_prompts_from_a_file(recast, imported, tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        '{"prompt": "Say hello."}\n{"messages": [{"role": "user", "content": "Name a color."}]}\n'
    )
    said = recast(
        "rehearse", "general", "--prompts", path, *imported, "--set", "rehearse.max_tokens=8", "--json"
    )
    assert said.code == 0 and said.json["num_proposals"] == 2
    path.write_text('{"prompt": "Say hello."}\n{"nothing": 1}\n')
    bad = recast("rehearse", "general", "--prompts", path, *imported, "--json")
    assert bad.code == 2 and "line 2 holds no prompt" in bad.json["error"]["message"]
    assert "--prompts FILE or --self N" in recast("rehearse", "general", *imported).err


def test_rehearsal_of_the_backbones_own_prompts(recast, imported):
    sets = ("--set", "rehearse.max_tokens=8", "--set", "rehearse.max_prompt_tokens=8")
    said = recast("rehearse", "general", "--self", "4", *imported, *sets, "--json").json
    assert said["num_proposals"] == 6 and said["num_kept"] <= 4
    assert sum(said["reasons"].values()) + said["num_kept"] == 6


def test_augmenting_commits_rows_linked_to_their_sources(recast, tmp_path):
    # the backbone that comes with recast solves word problems, and continues a question that is begun
    from pipelines.demo.files import row, write_rows
    from pipelines.demo.styles import qa
    from pipelines.demo.world import problems

    drawn = problems("word2", "train", 6, seed=1)
    write_rows(tmp_path / "words.jsonl", (row(p, i, qa(p)) for i, p in enumerate(drawn)))
    assert recast("import", tmp_path / "words.jsonl", "--as", "words").code == 0
    sets = (
        "--questions",
        "continue",
        "--set",
        "augment.max_tokens=96",
        "--set",
        "augment.max_question_tokens=96",
    )
    said = recast("augment", "words", "--as", "more", *sets, "--json").json
    assert 1 <= said["num_kept"] <= 6
    made = list(Store(".recast").open("more").rows())
    assert {r["decision"] for r in made} == {"generated"}
    assert all(r["meta"]["from"]["version"] == "words@v1" for r in made)
    assert "prompt plain-1" in recast("blame", "more", made[0]["row_id"]).out
    said = recast("why", "more", made[0]["row_id"]).out
    assert f"from words@v1#{made[0]['meta']['from']['row_id']}" in said
