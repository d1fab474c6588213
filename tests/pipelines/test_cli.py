"""The command line: help, JSON, exit codes, and that every verb is a job with an example."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from recast.pipelines import cli
from recast.pipelines.run import runs
from recast.pipelines.verbs import GROUPS, INJECTED, MEANT, PANELS, VERBS
from tests.conftest import command_of, demonstrations


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_has_an_example_that_parses(recast, verb):
    said = recast(*verb.split(), "--help")
    assert said.code == 0
    assert "Example:" in said.out
    assert VERBS[verb].example in " ".join(said.out.split())
    assert "--json" in said.out


@pytest.mark.parametrize("verb", VERBS.values(), ids=str)
def test_the_example_of_every_verb_is_accepted_by_its_parser(verb):
    own = verb.name.split()
    words = shlex.split(verb.example)
    assert words[: 1 + len(own)] == ["recast", *own]
    command_of(verb.name).make_context(verb.name, words[1 + len(own) :])


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda v: v.name)
def test_every_option_of_every_verb_is_explained(verb):
    assert [p.name for p in command_of(verb.name).params if not getattr(p, "help", None)] == []


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda v: v.name)
def test_parameters_that_are_handed_in_are_no_options(verb):
    names = {p.name for p in command_of(verb.name).params}
    assert names & set(INJECTED) == set()


def test_no_arguments_show_the_help(recast):
    assert "Usage: recast" in recast().out


def test_the_help_lists_every_verb_once_under_its_part(recast):
    parts: dict[str, list[str]] = {}
    for line in recast("--help").out.splitlines():
        if head := re.fullmatch(r"(\S.*):", line):
            parts[head[1]] = []
        elif entry := re.match(r"  (\S+) {2,}\S", line):
            parts[list(parts)[-1]].append(entry[1])
    assert parts.pop("Options") == ["--version"]
    expected: dict[str, list[str]] = {panel: [] for panel in PANELS.values()}
    for verb in VERBS.values():
        word = verb.name.split()[0]
        expected[verb.panel] += [word] if word not in expected[verb.panel] else []
    assert parts == expected


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_verbs_lists_them(recast, group):
    own = [verb for verb in VERBS.values() if verb.name.startswith(f"{group} ")]
    assert own
    # a group whose first word alone means one of its verbs has its list under --help
    for said in (recast(group, "--help"), *([] if group in MEANT else [recast(group)])):
        assert said.code == 0
        assert all(verb.name.split()[1] in said.out and verb.help[:30] in said.out for verb in own)
    assert GROUPS[group][0] in recast("--help").out
    said = recast(group, "nothing-like-it")
    assert (said.code, "nothing-like-it" in said.err) == (2, True)


def test_version_prints_and_exits(recast):
    assert recast("--version").out.startswith("recast ")
    assert recast("version", "--json").json["recast"] == runs.recast_version()


def test_a_verb_with_a_typo_is_named_with_the_nearest(recast):
    said = recast("improt")
    assert said.code == 2
    assert "import" in said.err


def test_data_go_to_stdout_and_words_to_stderr(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl")
    said = recast("import", "d.jsonl", "--as", "sums", "--json")
    assert said.code == 0
    assert said.json["version"] == "sums@v1"
    said = recast("show", "nope", "--json")
    assert said.code == 2
    assert said.json["error"]["type"] == "UsageError"
    assert said.json["error"]["exit_code"] == 2
    assert "nope" in said.err


def test_what_a_library_prints_does_not_reach_stdout(recast, tmp_path, monkeypatch):
    demonstrations(tmp_path / "d.jsonl")
    from recast.curate.ingest import importer

    read = importer.read
    monkeypatch.setattr(importer, "read", lambda *a, **k: (print("chatter"), read(*a, **k))[1])
    said = recast("import", "d.jsonl", "--as", "sums", "--json")
    assert "chatter" in said.err
    assert said.json["rows"] == 8


def test_the_journey_of_a_file(recast, tmp_path):
    file = demonstrations(tmp_path / "d.jsonl")
    assert "8 rows (8 added)" in recast("import", file, "--as", "sums").out
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[2]["solution"] = "2 + 3 = 5, so the answer is 5."
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "(1 changed)" in recast("import", file, "--as", "sums").out
    assert [v["ref"] for v in recast("log", "sums", "--json").json["versions"]] == ["sums@v2", "sums@v1"]
    said = recast("diff", "sums@v1", "sums", "--words")
    assert "1 changed" in said.out
    assert "2 + 3 = 5[-. The-]{+, so the+} answer is 5." in said.out
    assert recast("diff", "sums@v1", "sums", "--exit-code").code == 1
    assert recast("diff", "sums", "sums", "--exit-code").code == 0
    assert "sums@ready is sums@v1" in recast("tag", "sums@v1", "ready").out
    assert "sum-0" in recast("show", "sums", "-n", "1").out
    assert recast("export", "sums@ready", "--to", "trl", "-o", "out.jsonl").code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    assert [v["ref"] for v in recast("log", "--json").json["versions"]] == ["sums@v2"]
    assert "reads as the expert wrote it" in recast("why", "sums", "sum-0").out
    assert [e["version"] for e in recast("blame", "sums", "sum-2", "--json").json["events"]] == [
        "sums@v2",
        "sums@v1",
    ]
    assert recast("sql", "SELECT count(*) AS n FROM sums", "--json").json["rows"] == [{"n": 8}]
    assert recast("verify", "--deep", "--json").json["ok"]
    assert recast("gc", "--dry-run").code == 0


def test_the_store_is_a_flag_or_an_environment_variable(recast, tmp_path, monkeypatch):
    demonstrations(tmp_path / "d.jsonl")
    recast("import", "d.jsonl", "--as", "a", "--store", "one")
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "two"))
    recast("import", "d.jsonl", "--as", "b")
    assert (tmp_path / "one" / "catalog.duckdb").exists()
    assert (tmp_path / "two" / "catalog.duckdb").exists()
    assert not (tmp_path / ".recast").exists()


def test_colours_follow_no_color(recast, tmp_path, monkeypatch):
    demonstrations(tmp_path / "d.jsonl")
    recast("import", "d.jsonl", "--as", "a")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[3" not in recast("show", "a").out


def test_quiet_says_nothing_but_the_result(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl")
    said = recast("import", "d.jsonl", "--as", "a", "-q", "--json")
    assert said.err == ""


def test_init_writes_a_config_that_loads_and_is_not_overwritten(recast, tmp_path):
    assert recast("init").code == 0
    text = (tmp_path / "config.yaml").read_text()
    assert recast("init").code == 2
    assert (tmp_path / "config.yaml").read_text() == text
    demonstrations(tmp_path / "d.jsonl")
    assert recast("import", "d.jsonl", "--as", "a", "-c", "config.yaml").code == 0


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device", "parts/x"), True),
        (OSError(27, "File too large"), True),
        (RuntimeError("IO Error: Could not write file: No space left on device"), True),
        (OSError(2, "No such file"), False),
        (ValueError("no"), False),
    ],
)
def test_a_full_disk_is_recognised_however_it_is_said(error, full):
    wrapped = RuntimeError("commit failed")
    wrapped.__cause__ = error
    assert (cli.disk_full(wrapped) is not None) == full


def test_a_damaged_store_is_exit_code_5(recast, tmp_path):
    demonstrations(tmp_path / "d.jsonl")
    recast("import", "d.jsonl", "--as", "a")
    part = max((tmp_path / ".recast" / "parts").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-40])
    said = recast("verify")
    assert said.code == 5
    assert "a@v1" in said.out
    assert recast("show", "a").code == 5


def test_an_unexpected_error_exits_1_with_its_trace(recast, tmp_path, monkeypatch):
    from recast.curate.ingest import importer

    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(importer, "read", broken)
    said = recast("import", "x.jsonl", "--as", "a")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "unexpected ZeroDivisionError: boom" in said.err


def test_sft_eval_and_compare_speak_to_each_other(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 8)
    recast("import", "d.jsonl", "--as", "sums")
    sets = ("--set", "sft.epochs=1", "--set", "sft.batch_size=4", "--set", "sft.checkpoints=0")
    said = recast("sft", "sums", "-m", tiny_model, "-o", "tuned", *sets, "--json")
    assert said.code == 0, said.err
    assert said.json["start_loss"] > 0
    assert said.json["data"] == "sums@v1"
    again = recast("sft", "sums", "-m", tiny_model, "-o", "tuned", *sets)
    assert "found finished" in again.err
    (tmp_path / "tuned" / "stray").write_text("of the earlier run")
    assert recast("sft", "sums", "-m", tiny_model, "-o", "tuned", *sets, "--fresh").code == 0
    assert not (tmp_path / "tuned" / "stray").exists()
    measure = ("--suite", "d.jsonl", "--max-tokens", "8")
    assert recast("eval", tiny_model, *measure, "--label", "base", "-o", "base.jsonl").code == 0
    said = recast("eval", "tuned", *measure, "-o", "tuned.jsonl", "--json")
    assert said.json["suites"]["d"]["num"] == 8
    said = recast("compare", "base.jsonl", "tuned.jsonl", "--target", "sum", "--json")
    assert said.json["base"] == "base"
    assert [change["model"] for change in said.json["changes"]] == ["tuned"]
    assert (
        recast("report", "--eval", "base=base.jsonl", "--eval", "x=tuned.jsonl", "--target", "sum").code == 0
    )
    assert (tmp_path / "report.html").exists()
    assert json.loads((tmp_path / "tuned" / "dataset.lock").read_text())["version"] == "sums@v1"


def test_rewrite_commits_a_version_whose_every_row_has_a_decision(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 6)
    recast("import", "d.jsonl", "--as", "sums")
    sets = ("--set", "rewrite.candidates=2", "--set", "rewrite.max_tokens=8")
    said = recast("rewrite", "sums", "-m", tiny_model, "--as", "again", *sets, "--json")
    assert said.code == 0, said.err
    assert said.json["version"] == "again@v1"
    assert sum(said.json["counts"].values()) == said.json["rows"] == 6
    shown = recast("show", "again", "--json").json
    assert shown["version"]["parents"] == [recast("log", "sums", "--json").json["versions"][0]["id"]]
    assert sum(fate["rows"] for fate in shown["fates"]) == 6
    assert all(fate["reason"] for fate in shown["fates"] if fate["decision"] == "fallback")
    assert recast("diff", "sums", "again").code == 0


def test_learn_makes_an_agent_that_rewrite_takes(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 32)
    recast("import", "d.jsonl", "--as", "sums")
    settings = {
        "steps": 1,
        "prompts_per_step": 2,
        "candidates": 2,
        "max_tokens": 8,
        "lora_rank": 4,
        "heldout": 0.2,
    }
    sets = [word for key, value in settings.items() for word in ("--set", f"learn.{key}={value}")]
    said = recast("learn", "sums", "-m", tiny_model, "-o", "agent", *sets, "--json")
    assert said.code == 0, said.err
    assert said.json["steps"] == 1
    assert {"reward", "pass_rate", "nll"} <= set(said.json["before"])
    again = recast("learn", "sums", "-m", tiny_model, "-o", "agent", *sets)
    assert "found finished" in again.err
    sets = ("--set", "rewrite.candidates=1", "--set", "rewrite.max_tokens=8")
    said = recast("rewrite", "sums", "-m", tiny_model, "--agent", "agent", "--as", "again", *sets, "--json")
    assert said.code == 0, said.err
    row = recast("show", "again", "--json", "-n", "1").json
    assert row["version"]["meta"]["agent"] == "agent"
    learnt = json.loads((tmp_path / "agent" / "manifest.json").read_text())
    assert row["version"]["meta"]["agent_gate_id"] == learnt["gate_id"]
    assert "was learnt with" not in said.err
    said = recast(
        "rewrite", "sums", "-m", tiny_model, "--agent", "agent", "--as", "x", *sets, "--set", "gate=math"
    )
    assert said.code == 0 and f"was learnt with another gate ({learnt['gate_id']})" in said.err
    asked = (*sets, "--set", "prompts.system=Be brief.", "--json")
    said = recast("rewrite", "sums", "-m", tiny_model, "--agent", "agent", "--as", "y", *asked)
    (note,) = said.json["agent_notes"]
    assert "was learnt with another rewriting prompt (rewrite-1)" in note and note in said.err


@pytest.mark.parametrize(
    ("best_step", "said"), [(0, "the untrained adapter, which is kept"), (8, "use it: recast")]
)
def test_learn_says_whether_there_is_an_agent_to_use(capsys, best_step, said):
    from rich.console import Console

    from recast.pipelines.jobs.agent import learn

    at_best = {"out": "agent", "steps": 20, "rows": 100, "data": "sums@v1", "best_step": best_step}
    nothing = {"before": {}, "best": {}, "alarms": {}, "stopped": "steps"}
    learn.show(at_best | nothing, Console(width=200))
    shown = capsys.readouterr().out
    assert said in shown
    assert ("recast rewrite sums@v1 --agent agent" in shown) == (best_step > 0)


def test_fresh_never_removes_a_folder_that_no_run_has_made(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 4)
    recast("import", "d.jsonl", "--as", "sums")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    said = recast("sft", "sums", "-m", tiny_model, "-o", "mine", "--fresh")
    assert said.code == 2
    assert "which no run of recast has made" in said.err
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_several_choice_files_as_published_are_suites(recast, tmp_path, tiny_model, shared_data):
    for name in ("mmlu/val.jsonl", "pubmedqa/pqal_1000.jsonl"):
        lines = (shared_data / name).read_text(encoding="utf-8").splitlines()
        sample = [line for line in lines if len(line) < 1500][:12]
        (tmp_path / f"{name.partition('/')[0]}.jsonl").write_text("\n".join(sample), encoding="utf-8")
    said = recast("eval", tiny_model, "--suite", "mmlu.jsonl", "--suite", "pubmedqa.jsonl", "--json")
    assert said.code == 0, said.err
    for suite in said.json["suites"].values():
        assert suite["num"] == 12 and suite["format_failures"] == 0 and suite["gold_loglik"] < 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--samples", "4"), "found 0 questions without choices, 1 with, 0 tasks of lm-eval"),
        (
            ("--max-tokens", "9"),
            "--max-tokens bounds answers that the model writes, and choices are only scored",
        ),
        (("--temperature", "1.0"), "Add --samples K, or leave it out"),
        (("--seed", "0"), "Add one of them, or leave it out"),
    ],
)
def test_options_that_questions_with_choices_have_no_use_for_are_refused(recast, tmp_path, options, error):
    row = {"question": "Capital of Italy?", "choices": ["Rome", "Bern"], "answer": "A"}
    (tmp_path / "c.jsonl").write_text(json.dumps(row))
    said = recast("eval", "no/such/model", "--suite", "c.jsonl", *options)
    assert said.code == 2 and error in said.err  # before the model is looked for


def test_samples_and_drift_are_measured_and_compared_over_seeds(recast, tmp_path, tiny_model):
    demonstrations(tmp_path / "d.jsonl", 4)
    measure = ("--suite", "d.jsonl", "--max-tokens", "8", "--samples", "2", "--kl-to", tiny_model)
    said = recast("eval", tiny_model, *measure, "--label", "base", "-o", "base.jsonl", "--json")
    assert said.code == 0, said.err
    figures = said.json["suites"]["d"]
    assert figures["kl"] == 0 and list(figures["pass_at"]) == [
        "1",
        "2",
    ]  # from itself a model has not drifted
    shown = recast("eval", tiny_model, *measure, "--label", "base", "-o", "base.jsonl").out.splitlines()
    assert shown[0].split()[-4:] == ["sampled", "pass@2", "maj@2", "KL"]
    assert shown[1].split()[:2] == ["d", "4"] and shown[1].split()[-4] == "4"
    said = recast(
        "compare", "base.jsonl", "a=base.jsonl", "a=base.jsonl", "base.jsonl", "--target", "sum", "--json"
    )
    assert [(c["model"], c["num_runs"]) for c in said.json["changes"]] == [("a", 2), ("base", 1)]
    said = recast("compare", "base.jsonl", "a=base.jsonl", "--picture", "plane.svg")
    assert said.code == 2 and "--target" in said.err
    said = recast("compare", "nothing.jsonl", "a=base.jsonl")
    assert said.code == 2 and "there is no evaluation at nothing.jsonl" in said.err


def test_a_ring_of_causes_ends_and_a_store_that_cannot_be_used_is_named(recast, tmp_path):
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert cli.disk_full(first) is None and cli.no_access(first) is None
    (tmp_path / "file").write_text("")
    (tmp_path / "f.jsonl").write_text('{"question": "q", "solution": "s"}\n')
    said = recast("import", tmp_path / "f.jsonl", "--as", "x", "--store", tmp_path / "file" / "home")
    assert said.code == 2 and "cannot be used (Not a directory)" in said.err and "Traceback" not in said.err
