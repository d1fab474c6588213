"""Runs: a call's identity, its folder, what is found again and what is not."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from recast.curate.errors import RecastError, UsageError
from recast.pipelines.config import Config
from recast.pipelines.run import identity, runs
from recast.pipelines.verbs import VERBS
from tests.conftest import demonstrations


def imported(tmp_path, num=4, name="sums"):
    file = demonstrations(tmp_path / f"{name}.jsonl", num)
    return runs.execute("import", {"path": file, "as": name}, store=tmp_path / "store")


def test_long_option_names_and_parameter_names_mean_the_same(tmp_path):
    assert runs.bind(VERBS["import"], {"path": "x", "as": "n"}) == {"path": "x", "to": "n"}
    assert runs.bind(VERBS["import"], {"path": "x", "to": "n", "map": ["a=b"]})["columns"] == ["a=b"]


@pytest.mark.parametrize(
    ("verb", "args", "message"),
    [
        ("imprt", {}, "there is no verb 'imprt'. Did you mean import?"),
        (
            "import",
            {"path": "x", "as": "n", "dedupe": True},
            "import has no argument 'dedupe'. Did you mean dedup?",
        ),
        ("import", {"path": "x"}, "import needs to. For instance: recast import demos.jsonl --as craft"),
        ("show", {"name": "x", "limit": "many"}, "show: limit cannot be 'many'"),
    ],
)
def test_wrong_calls_say_what_would_be_right(tmp_path, verb, args, message):
    with pytest.raises(UsageError) as error:
        runs.execute(verb, args, store=tmp_path)
    assert str(error.value).startswith(message)


def test_a_finished_run_is_found_and_not_done_again(tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 4)
    first = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    again = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    assert (first.found, again.found) == (False, True)
    assert again.result == first.result
    assert [v.ref for v in runs.open_store(tmp_path / "s").log("a")] == ["a@v1"]


def test_without_memo_an_import_makes_the_next_version(tmp_path):
    imported(tmp_path)
    assert imported(tmp_path).result["version"] == "sums@v2"


def test_fresh_does_it_again(tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 4)
    runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    again = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True, fresh=True)
    assert not again.found
    assert again.result["version"] == "a@v2"


def test_a_run_whose_product_was_deleted_is_done_again(tmp_path):
    imported(tmp_path)
    args = {"name": "sums", "out": tmp_path / "x.jsonl"}
    runs.execute("export", args, store=tmp_path / "store", memo=True)
    (tmp_path / "x.jsonl").unlink()
    assert not runs.execute("export", args, store=tmp_path / "store", memo=True).found
    assert (tmp_path / "x.jsonl").exists()


def test_the_identity_of_a_run_is_content_not_names(tmp_path):
    asked = lambda **args: runs.identity_of(  # noqa: E731
        VERBS["export"], runs.complete(VERBS["export"], args, Config()), Config(), tmp_path / "store"
    )
    imported(tmp_path, 4)
    newest, numbered = asked(name="sums", out="x"), asked(name="sums@v1", out="x")
    assert newest == numbered
    assert asked(name="sums", out="y") != newest
    assert asked(name="sums", out="x", to="jsonl") == newest  # the default, said
    imported(tmp_path, 5)
    assert asked(name="sums", out="x") != newest


def test_only_the_sections_that_a_verb_reads_are_part_of_its_identity(tmp_path, tiny_model):
    imported(tmp_path)

    def asked(*sets):
        config = Config.load(sets=sets)
        args = runs.complete(VERBS["sft"], {"name": "sums", "model": str(tiny_model)}, config)
        return runs.identity_of(VERBS["sft"], args, config, tmp_path / "store")

    assert asked() == asked("rewrite.candidates=9") == asked("author=me")
    assert asked() != asked("sft.epochs=9")


def test_a_section_that_nobody_uses_is_no_part_of_an_identity(tmp_path, tiny_model):
    imported(tmp_path)

    def asked(*sets, verb="learn", **options):
        config = Config.load(sets=sets)
        args = runs.complete(VERBS[verb], {"name": "sums", "model": str(tiny_model), **options}, config)
        return runs.identity_of(VERBS[verb], args, config, tmp_path / "store")["config"]

    assert asked().keys() == {"learn", "gate"}, "as before there were warm starts and prompts"
    assert asked("warm_start.lr=1e-3")["warm_start"] == {"lr": 1e-3}
    assert asked("learn.steps=3", verb="plan") == asked(verb="plan"), (
        "what a rewrite costs has to do with no steps"
    )
    assert asked("learn.steps=3", verb="plan", learning=True) != asked(verb="plan", learning=True)


def test_the_identity_of_a_rewrite_holds_its_options_under_their_own_names_however_the_job_takes_them(
    tmp_path, tiny_model
):
    """The dict of commit 2c4fcc1, where the job had a parameter for each: runs of then are found by it."""
    version = imported(tmp_path).result["version_id"]
    given = {
        **{"name": "sums", "as": "again", "model": str(tiny_model), "engine": "http", "batch-size": 4},
        **{"served-model": "m", "base-url": "http://localhost:1/v1", "seed": 5, "limit": 3, "targets": 2},
        **{"paper": False, "unsafe_exec": True, "agent": None, "budget-minutes": 9.0, "served_agent": "a"},
    }
    verb, config = VERBS["rewrite"], Config.load(sets=["rewrite.candidates=9"])
    args = runs.complete(verb, runs.bind(verb, given), config)
    asked = runs.identity_of(verb, args, config, tmp_path / "store")
    assert asked == {
        "recast": runs.recast_version(),
        "verb": "rewrite",
        "args": {
            "batch_size": 4,
            "engine": "http",
            "limit": 3,
            "seed": 5,
            "served_agent": "a",
            "served_model": "m",
            "targets": 2,
            "to": "again",
            "unsafe_exec": True,
        },
        "inputs": {"model": [identity.model(str(tiny_model))], "name": [version]},
        "config": {
            "rewrite": config.identity("rewrite"),
            "engine": config.identity("engine"),
            "gate": asked["config"]["gate"],
        },
    }


def test_a_run_under_a_revised_rule_is_another_run_with_the_same_settings(tmp_path):
    imported(tmp_path)

    def asked(*sets):
        config = Config.load(sets=sets)
        return runs.identity_of(VERBS["curate"], {"name": "sums"}, config, tmp_path / "store")

    assert asked()["rules"] == {"curate.near_duplicate": 2}
    assert "rules" not in asked("curate.near_duplicate=null")
    assert "rules" not in asked()["config"]["curate"]


def test_a_copied_model_is_the_same_model_and_a_changed_one_is_not(tmp_path, tiny_model):
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny_model, copy)
    (copy / "README.md").write_text("not part of it")
    assert identity.model(str(copy)) == identity.model(str(tiny_model))
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert identity.model(str(copy)) != identity.model(str(tiny_model))


def test_a_run_folder_says_what_was_asked_and_what_happened(tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 4)
    outcome = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    assert outcome.run is not None, "`memo` keeps a folder for an import"
    folder = outcome.run.folder
    assert folder.parent == tmp_path / "s" / "runs"
    assert folder.name == f"import-{outcome.run.fingerprint[:12]}"
    assert "verb: import" in (folder / "config.resolved.yaml").read_text()
    events = [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert (events[0], events[-1]) == ("started", "finished") and set(events[1:-1]) <= {"progress"}
    assert json.loads((folder / "result.json").read_text())["result"]["version"] == "a@v1"


def test_a_run_killed_between_its_commit_and_its_result_commits_once(tmp_path):
    file = demonstrations(tmp_path / "d.jsonl", 4)
    file.write_text(file.read_text() + "not json\n")
    first = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    assert first.run is not None, "`memo` keeps a folder for an import"
    (first.run.folder / "result.json").unlink()
    again = runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    assert not again.found
    assert again.result == first.result
    assert again.result["failed_rows"] == 1
    assert [v.ref for v in runs.open_store(tmp_path / "s").log("a")] == ["a@v1"]


def test_a_failed_run_is_not_taken_for_finished(tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text("")
    for _ in range(2):
        with pytest.raises(RecastError):
            runs.execute("import", {"path": file, "as": "a"}, store=tmp_path / "s", memo=True)
    (folder,) = [p for p in (tmp_path / "s" / "runs").iterdir() if p.name.startswith("import-")]
    assert not (folder / "result.json").exists()
    assert [json.loads(x)["event"] for x in (folder / "events.jsonl").read_text().splitlines()] == [
        "started", "failed", "started", "failed",
    ]  # fmt: skip


def test_a_run_that_another_process_holds_is_refused_with_its_number(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with (
        runs.locked(folder),
        pytest.raises(UsageError, match=f"process {os.getpid()}"),
        runs.locked(folder, 0.3),
    ):
        pass
    with runs.locked(folder, 0.0):
        pass
