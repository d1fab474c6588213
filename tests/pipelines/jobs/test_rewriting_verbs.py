"""plan, rewrite, augment and rehearse on the command line: budgets, methods, what is refused, what is said."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from recast.agent.rewriting.methods import FIXED
from recast.agent.rewriting.rewrite import RewriteConfig
from recast.curate.errors import UsageError
from recast.curate.store.store import Store
from recast.pipelines.config import Config
from recast.pipelines.jobs.agent.rewrite import with_commands
from recast.pipelines.run.arguments import parameters
from recast.pipelines.verbs import VERBS
from recast.pipelines.wiring.rewriting import RewritingOptions, refuse_without_effect
from tests.conftest import command_of, demonstrations
from tests.fakes.server import Fake, serving

SETS = ("--set", "rewrite.candidates=2", "--set", "rewrite.max_tokens=8")


@pytest.fixture
def imported(recast, tmp_path, tiny_model):
    assert recast("import", demonstrations(tmp_path / "sums.jsonl"), "--as", "sums").code == 0
    return ("-m", tiny_model)


def test_a_prediction_stands_beside_what_came_of_it(recast, imported):
    planned = recast("plan", "sums", *imported, *SETS, "--rows", "4", "--json").json
    assert (planned["rows"], planned["sampled"]) == (8, 4)
    assert "--prompts default --prompts math" in planned["next"] and "--rows 4" in planned["next"]
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


def test_so_many_accepted_rows_make_a_version_or_it_says_what_it_lacks(recast, imported):
    sets = (*SETS, "--set", "gate=any.yaml", "--as", "few", "--accepted", "4", "--like", "length")
    Path("any.yaml").write_text("checks: [{type: repetition, min_distinct: 0}]\n")
    said = recast("rewrite", "sums", *imported, *sets, "--json")
    assert said.code == 0, said.out + said.err
    assert (said.json["rows"], said.json["short"]) == (4, {})
    version = Store(".recast").resolve("few")
    assert version.rows == 4 and version.meta["accepted"]["wanted"] == 4
    assert {row["decision"] for row in Store(".recast").open("few").rows()} == {"rewrite"}
    assert sum(kind["got"] for kind in said.json["kinds"]) == 4 and said.json["off"] <= 0.25
    shown = recast("rewrite", "sums", *imported, *sets)
    assert "4 of 4 accepted rows" in shown.out and "found finished" in shown.err
    row = next(iter(Store(".recast").open("few").rows()))["row_id"]
    assert recast("replay", "few", row, "--json").json["outcome"] == "same", "its round is found again"


def test_a_version_of_accepted_rows_that_cannot_be_filled_is_refused_or_named(recast, imported):
    accepted = ("rewrite", "sums", *imported, *SETS, "--as", "few", "--accepted")
    assert "of 8; a row gives one" in recast(*accepted, "9", "--json").json["error"]["message"]
    assert "no such column" in recast(*accepted, "4", "--like", "colour", "--json").json["error"]["message"]
    assert (
        "one after the other" in recast(*accepted, "4", "--workers", "2", "--json").json["error"]["message"]
    )
    none = recast(*accepted, "4", "--json")
    assert none.code == 4 and "none of" in none.json["error"]["message"], (
        "an untaught random model is never right"
    )
    alone = recast("rewrite", "sums", *imported, "--as", "x", "--like", "task", "--json")
    assert "no effect without --accepted" in alone.json["error"]["message"]


def test_rows_that_never_pass_come_with_the_command_to_run_next(recast, imported):
    said = recast("rewrite", "sums", *imported, *SETS, "--as", "again", "--json").json
    assert said["causes"] and sum(cause["rows"] for cause in said["causes"]) == said["counts"]["fallback"]
    shown = recast("rewrite", "sums", *imported, *SETS, "--as", "again").out
    assert said["causes"][0]["next"].startswith("recast ") and said["causes"][0]["next"] in shown


def test_the_command_to_run_next_repeats_the_options_of_the_call(recast, imported, tiny_model):
    from recast.agent.engines.tokens import load_tokenizer

    Path("my config.yaml").write_text("engine: {timeout_s: 30}\ngate: text\n")
    with serving(Fake(load_tokenizer(tiny_model), finish_reason="length")) as server:
        options = ("--engine", "http", "--base-url", server.url, "--method", "prompt", "--limit", "4")
        options += ("--seed", "0", "-c", "my config.yaml", *SETS)
        said = recast("rewrite", "sums", *imported, *options, "--as", "again", "--json").json
        (cause,) = said["causes"]
        words = shlex.split(cause["next"])
        assert words[:5] == ["recast", "rewrite", "sums@v1", "--as", "again"]
        given = " ".join(words)
        assert f"--engine http --base-url {server.url}" in given and "--method prompt" in given
        assert "--limit 4" in given and "--seed 0" in given and "--set engine.timeout_s=30" in given
        assert "--set gate=text" in given and given.count("rewrite.max_tokens") == 1
        server.asked.clear()
        assert recast(*words[1:], "--json").json["rows"] == 4
        assert {asked["max_tokens"] for asked in server.asked if asked["max_tokens"] > 1} == {16}


@pytest.mark.parametrize(
    "method, paper, key, expected",
    [
        (
            "prompt",
            False,
            "wrong_answer",
            "--method prompt --set rewrite.candidates=8",
        ),
        ("sdft", False, "truncated", "--method sdft --set rewrite.accept=own --set rewrite.max_tokens=1024"),
        ("sdft", False, "wrong_answer", "--set rewrite.candidates=8"),
        (None, True, "wrong_work", "--set rewrite.repairs=1"),
    ],
)
def test_what_a_method_does_not_take_is_tried_with_the_projects_own(method, paper, key, expected):
    config = Config.of({"rewrite": {"accept": "own"}} if method == "sdft" else {})
    given = {"name": "craft@v1", "to": "rw", "model": "my model", "paper": paper, "method": method}
    causes = [{"cause": key, "examples": ["row 1"]}, {"cause": "timeout", "examples": ["row 1"]}]
    again, why = with_commands(causes, Config().section("rewrite"), given, "rw@v2", config, Path(".recast"))
    assert again["next"] == f"recast rewrite craft@v1 --as rw --model 'my model' {expected}"
    assert why["next"] == "recast why rw@v2 'row 1'"


GIVEN = {
    "name": "craft@v1", "to": "rw", "model": "m", "agent": Path("a"), "seed": 0, "limit": 7, "targets": 2,
    "paper": True, "method": "prompt", "unsafe_exec": True, "budget_minutes": 1.5, "max_candidates": 9,
    "engine": "http", "base_url": "http://localhost:1/v1", "served_model": "s", "served_agent": "t", "batch_size": 4,
    "workers": 3, "ray": "auto", "memory": "6GiB", "accepted": 5, "like": "task,length", "tries": 4, "make_do": True,
}  # fmt: skip


@pytest.mark.parametrize("name", parameters(VERBS["rewrite"]))
def test_no_option_of_rewrite_drops_out_of_the_command_that_repeats_it(name):
    given = {"name": "craft@v1", "to": "rw", "model": "m"} | {name: GIVEN[name]}
    causes = [{"cause": "truncated", "examples": ["row 1"]}]
    (cause,) = with_commands(causes, RewriteConfig(), given, "rw@v2", Config(), Path("elsewhere"))
    words = shlex.split(cause["next"])
    command = command_of("rewrite")
    read = command.make_context("rewrite", words[2:], resilient_parsing=False).params
    assert read[name] == GIVEN[name]
    assert read["sets"] == ["rewrite.max_tokens=1024"] and read["store_path"] == Path("elsewhere")


def test_every_cause_comes_with_a_command_that_parses():
    from recast.agent.rewriting.triage import CAUSES

    given = {"name": "craft@v1", "to": "rw", "model": "m", "unsafe_exec": True}
    causes = [{"cause": cause, "examples": ["row 1"]} for cause in CAUSES]
    config = Config.of({"learn": {"steps": 3}, "rewrite": {"repairs": 2}})
    found = with_commands(causes, config.section("rewrite"), given, "rw@v2", config, Path(".recast"))
    said = {cause["cause"]: cause["next"] for cause in found}
    for command in said.values():
        _, verb, *words = shlex.split(command)
        command_of(verb).make_context(verb, words)
    assert said["demonstration_suspect"] == "recast show craft@v1 --row 'row 1'"
    assert said["check_missing"] == "recast doctor"
    assert said["copied"] == "recast learn craft@v1 --model m --unsafe-exec --set learn.steps=3"
    assert said["form"] == "recast rewrite craft@v1 --as rw --model m --unsafe-exec --set rewrite.repairs=3"


@pytest.mark.parametrize("method", ["sdft", "mind-the-gap", "self-rehearsal", "hinted", "prompt", "copy"])
def test_every_baseline_ends_in_a_version_that_names_it(recast, imported, method):
    sets = (
        SETS
        if method in ("prompt", "hinted")
        else ("--set", "rewrite.max_tokens=8")
        if method != "copy"
        else ()
    )
    said = recast("rewrite", "sums", *imported, *sets, "--method", method, "--as", "again", "--json").json
    version = Store(".recast").resolve(said["version"])
    assert version.rows == 8 and version.meta["method"] == method
    assert len(version.meta["chat_template"]) == 16
    assert sum(said["counts"].values()) == 8


def test_options_without_effect_and_options_that_exclude_each_other_are_refused(recast, imported):
    def refused(*args, verb=("rewrite", "sums", "--as", "x")):
        said = recast(*verb, *imported, *args, "--json")
        assert said.code == 2
        return said.json["error"]["message"]

    assert "two methods" in refused("--paper", "--method", "sdft")
    assert "rewrite.candidates would have no effect" in refused("--paper", "--set", "rewrite.candidates=3")
    assert "--targets would have no effect" in refused("--method", "sdft", "--targets", "2")
    assert "only with --method" in refused("--set", "rewrite.accept=gate")
    assert "rewrite.accept would have no effect" in refused(
        "--method", "prompt", "--set", "rewrite.accept=gate"
    )
    assert "nothing is aligned" in refused("--set", "rewrite.scoring=false", "--set", "rewrite.tie_nats=0.1")
    augmenting = ("augment", "sums", "--as", "x")
    assert "--questions continue" in refused("--set", "augment.beginning=0.5", verb=augmenting)
    rehearsing = ("rehearse", "x", "--prompts", "sums.jsonl")
    said = refused("--set", "rehearse.oversample=2", "--set", "rehearse.max_prompt_tokens=8", verb=rehearsing)
    assert "rehearse.max_prompt_tokens, rehearse.oversample would have no effect" in said


@pytest.mark.parametrize("key", ["alignment=nll", "tie_nats=0.1", "embedding=none", "clean=false"])
@pytest.mark.parametrize(
    "by", [("--paper",), *(("--method", name) for name, without in FIXED.items() if "candidates" in without)]
)
def test_what_a_published_method_does_not_have_is_refused(by, key):
    paper, method = by == ("--paper",), by[-1] if len(by) > 1 else None
    name = key.partition("=")[0]
    with pytest.raises(UsageError, match=rf"with {' '.join(by)}, rewrite\.{name} would have no effect"):
        refuse_without_effect(
            Config.load(sets=[f"rewrite.{key}"]).given["rewrite"],
            RewritingOptions(paper=paper, method=method),
        )


def test_prompts_are_compared_on_the_same_rows_and_the_answer_says_which_to_take(recast, imported):
    Path("brief.yaml").write_text("prompts: {system: Be brief.}\n")
    asked = (
        "plan",
        "sums",
        *imported,
        *SETS,
        "--rows",
        "6",
        "--prompts",
        "default",
        "--prompts",
        "brief.yaml",
    )
    said = recast(*asked, "--json").json
    default, brief = said["prompts"]
    assert (said["sampled"], default["name"], default["prompt_id"]) == (6, "default", "rewrite-1")
    assert brief["prompt_id"].startswith("rewrite-") and brief["prompt_tokens"] > default["prompt_tokens"]
    assert said["take"] is None and said["p_values"] == {"brief.yaml": 1.0}, (
        "a random model passes under neither"
    )
    shown = recast(*asked)
    assert (
        "cannot tell which to take: default leads (brief.yaml: p = 1" in shown.out
        and "found finished" in shown.err
    )
    made = {path: path.stat().st_mtime_ns for path in Path(".recast/plans").rglob("*.parquet")}
    Path("brief.yaml").write_text("system: Be verbose.\n")
    again = recast(*asked, "--json").json
    assert again["prompts"][1]["prompt_id"] not in ("rewrite-1", brief["prompt_id"]), "the file has changed"
    now = {path: path.stat().st_mtime_ns for path in Path(".recast/plans").rglob("*.parquet")}
    assert len(made) == 2 and len(now) == 3 and made.items() <= now.items(), (
        "the other prompt was not tried again"
    )


def test_what_a_comparison_of_prompts_would_pass_over_is_refused(recast, imported):
    def refused(*args):
        said = recast("plan", "sums", *imported, *args, "--json")
        assert said.code == 2
        return said.json["error"]["message"]

    assert "alone compares nothing" in refused("--prompts", "math")
    both = ("--prompts", "math", "--prompts", "text")
    assert "sdft has its own" in refused(*both, "--method", "sdft")
    assert "prompts.system would have no effect" in refused(*both, "--set", "prompts.system=Hi")
    assert "neither a file nor a preset" in refused("--prompts", "math", "--prompts", "maths")


def test_a_version_is_made_under_the_prompts_of_the_configuration_and_names_them(recast, imported):
    rewriting = ("rewrite", "sums", *imported, *SETS, "--as", "again")
    plain = recast(*rewriting, "--json").json
    said = recast(*rewriting, "--set", "prompts.preset=math", "--json").json
    assert plain["prompts"] == ["rewrite-1"] and said["prompts"] != plain["prompts"]
    assert said["run"] != plain["run"] if "run" in said else said["version_id"] != plain["version_id"]
    meta = Store(".recast").resolve(said["version"]).meta
    assert meta["prompts"] == said["prompts"] and meta["prompt_settings"] == {"preset": "math"}
    assert "prompt_settings" not in Store(".recast").resolve(plain["version"]).meta


def test_examples_are_drawn_from_a_version_as_it_stands(recast, imported):
    recast("rewrite", "sums", *imported, "--method", "copy", "--as", "copies")
    drawn = ("--set", "prompts.draw=1", "--set", "prompts.draw_from=copies")
    said = recast("rewrite", "sums", *imported, *SETS, *drawn, "--as", "again", "--json")
    assert said.code != 0 and "copies has accepted rewrites of 0 questions" in said.json["error"]["message"]


def test_prompts_have_no_effect_on_a_method_that_asks_by_its_own(recast, imported):
    given = ("--set", "prompts.preset=math", "--method", "sdft", "--set", "rewrite.max_tokens=8")
    said = recast("rewrite", "sums", *imported, *given, "--as", "x", "--json")
    assert said.code == 2 and "prompts.preset would have no effect" in said.json["error"]["message"]


def test_paper_samples_one_greedy_rewrite(recast, imported):
    said = recast(
        "rewrite", "sums", *imported, "--set", "rewrite.max_tokens=8", "--paper", "--as", "x", "--json"
    )
    assert said.code == 0, said.out
    assert said.json["num_candidates"] == 8


def test_the_summary_says_how_many_candidates_were_cut_and_by_which_rule(recast, imported, capsys):
    from rich.console import Console

    from recast.pipelines.jobs.agent.rewrite import show

    said = recast("rewrite", "sums", *imported, "--set", "rewrite.max_tokens=8", "--as", "x", "--json").json
    assert said["num_cut"] >= max(said["cut"].values(), default=0)
    show({**said, "num_cut": 13, "cut": {"request": 12, "opening": 3}}, Console(width=200))
    assert "  13 candidates were cut ahead of the gate: 12 request, 3 opening" in capsys.readouterr().out


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
    from recast.pipelines.demo.files import row, write_rows
    from recast.pipelines.demo.styles import qa
    from recast.pipelines.demo.world import problems

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
