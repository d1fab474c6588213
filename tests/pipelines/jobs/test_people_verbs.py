"""The verbs that tell a version's story as a person meets them: what is typed, what is read, which exit code it is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from recast.curate.files import write_lines
from recast.curate.store.store import Store
from recast.pipelines.config import Config
from tests.conftest import Said, command_of, demonstrations
from tests.fakes.evaluations import tuned

Recast = Callable[..., Said]


@pytest.fixture
def rewritten(recast: Recast, tmp_path: Path) -> Recast:
    """`sums` of 8 rows, and `sums-rewrites`: two rows with an opening, the others as they were."""
    assert recast("import", demonstrations(tmp_path / "sums.jsonl"), "--as", "sums").code == 0
    store = Store(tmp_path / ".recast")
    rows = list(store.open("sums").rows())
    for row in rows[:2]:
        row |= {"completion": f"Let's think. {row['completion']}", "decision": "rewrite"}
    for row in rows[2:]:
        row |= {"decision": "fallback", "reason": "copy"}
    store.commit(rows, "sums-rewrites", parent="sums", law="rewrite")
    return recast


# edits


def test_edits_are_listed_with_counts_and_examples(rewritten: Recast) -> None:
    said = rewritten("edits", "sums-rewrites")
    assert said.code == 0
    assert "sums-rewrites@v1 against demonstrations: 2 of 8 rows read otherwise" in said.out
    (listed,) = (line for line in said.out.splitlines() if line.startswith("adds_opening "))
    assert listed.split()[:3] == ["adds_opening", "2", "100%"]
    assert "+ Let's think." in said.out


def test_edits_as_json_name_the_rows(rewritten: Recast) -> None:
    said = rewritten("edits", "sums-rewrites", "--only", "adds_opening", "--json").json
    assert [cluster["name"] for cluster in said["clusters"]] == ["adds_opening"]
    assert [example["row_id"] for example in said["clusters"][0]["examples"]] == ["sum-0", "sum-1"]


def test_an_edit_that_nobody_knows_is_refused_with_those_there_are(rewritten: Recast) -> None:
    said = rewritten("edits", "sums-rewrites", "--only", "adds_openings")
    assert said.code == 2
    assert "no edit is called 'adds_openings'" in said.err and "adds_opening," in said.err


# promote


def test_a_version_that_meets_its_rules_gets_the_tag(rewritten: Recast, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rows: {min: 8}\nacceptance: {min_rows: 0.25}\n")
    looked = rewritten("promote", "sums-rewrites", "good", "--require", rules, "--dry-run")
    assert looked.code == 0 and "may be called sums-rewrites@good; nothing was tagged" in looked.out
    assert rewritten("show", "sums-rewrites@good").code == 2
    said = rewritten("promote", "sums-rewrites", "good", "--require", rules, "--json")
    assert said.code == 0 and said.json["tagged"]
    assert [finding["met"] for finding in said.json["findings"]] == [True, True]
    assert rewritten("show", "sums-rewrites@good", "--json").json["version"]["ref"] == "sums-rewrites@v1"


def test_a_version_that_does_not_is_refused_rule_by_rule_with_code_4(
    rewritten: Recast, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rows: {min: 8}\nacceptance: {min_rows: 0.5}\n")
    said = rewritten("promote", "sums-rewrites", "good", "--require", rules)
    assert said.code == 4
    assert "25.0% (2 of 8 rewritten)" in said.out and "at least 50.0%" in said.out
    assert "sums-rewrites@v1 is not sums-rewrites@good: 1 of 2 rules are not met" in said.out
    assert rewritten("show", "sums-rewrites@good").code == 2


def test_a_guarded_tag_asks_for_diversity_by_itself(rewritten: Recast, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rows: {min: 1}\n")
    said = rewritten("promote", "sums-rewrites", "ready", "--require", rules, "--json").json
    assert [finding["rule"] for finding in said["findings"]] == ["rows", "diversity"]


def test_an_option_of_promote_without_effect_is_refused(rewritten: Recast, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rows: {min: 1}\n")
    for options in (("--arm", "a"), ("--comparison", rules)):
        assert rewritten("promote", "sums-rewrites", "x", "--require", rules, *options).code == 2


# recall


def test_a_row_is_recalled_with_its_models_and_the_commands_that_make_them_anew(
    rewritten: Recast, tmp_path: Path
) -> None:
    store = tmp_path / ".recast"
    base = tuned(tmp_path / "base", "nothing")
    made_here, elsewhere = tuned(tmp_path / "here", base), tuned(tmp_path / "there", base)
    for model, ref in ((made_here, "sums"), (elsewhere, "sums-rewrites")):
        assert rewritten("pin", model, ref).code == 0
    run = store / "runs" / "sft-0123"
    run.mkdir(parents=True)
    result = {"verb": "sft", "seconds": 1.0, "result": {"out": str(made_here)}}
    (run / "result.json").write_text(json.dumps(result))
    asked = {
        "config": {"sft": {"epochs": 7, "lr": Config().section("sft").lr}},
        "given": {
            "name": ["sums:2", "sums-rewrites:0.5"],
            "model": str(base),
            "out": str(made_here),
            "lora": 4,
        },
    }
    (run / "config.resolved.yaml").write_text(yaml.safe_dump(asked))

    said = rewritten("recall", "sum-3", "--from", "sums", "--json").json

    assert (said["version"], said["before"], said["targets"]) == ("sums@v2", "sums@v1", [0])
    assert [other["next"] for other in said["elsewhere"]] == ["recast recall sum-3 --from sums-rewrites"]
    here, there = said["models"]
    assert here["next"] == (
        f"recast sft sums@v2:2 sums-rewrites:0.5 --model {base} --lora 4 --out {made_here}-recalled "
        "--set sft.epochs=7"
    )
    assert here["note"] == ""
    assert there["next"] == f"recast sft sums-rewrites --model {base} --out {elsewhere}-recalled"
    assert "take the row from sums-rewrites first" in there["note"] and "run folder is gone" in there["note"]
    for model in said["models"]:
        verb, *words = shlex.split(model["next"])[1:]
        command_of(verb).make_context(verb, words)
    shown = rewritten("recall", "sum-4", "--from", "sums", "--dry-run")
    assert "sums@v2 (--dry-run): without row sum-4" in shown.out
    assert rewritten("show", "sums", "--json", "-n", "1").json["version"]["ref"] == "sums@v2"


def test_a_row_that_is_not_there_is_not_recalled(rewritten: Recast) -> None:
    said = rewritten("recall", "nothing", "--from", "sums")
    assert said.code == 2 and "no row of sums@v1 has an id that begins with 'nothing'" in said.err


# attribute


def test_groups_of_changed_rows_are_ranked_against_a_held_out_suite(
    rewritten: Recast, tmp_path: Path, tiny_model: Path
) -> None:
    store = Store(tmp_path / ".recast")
    rows = list(store.open("sums").rows())
    for row in rows[:6]:
        row |= {"completion": "No idea.", "decision": "edited"}
    rows[6]["completion"] = "Let's think. " + rows[6]["completion"]
    store.commit(rows, "sums")
    suite = tmp_path / "suite.jsonl"
    write_lines(suite, [{"prompt": "2 + 2?", "answer": "4", "solution": "2 + 2 = 4. #### 4"}])
    asked = ("attribute", "sums@v1", "sums@v2", "-m", tiny_model, "--suite", suite)
    answered = rewritten(*asked, "--out", tmp_path / "attribution.json", "--json")
    assert answered.code == 0, answered.out + answered.err
    said = answered.json
    (of_suite,) = said["suites"]
    assert {(g["group"], g["rows"], g["measured"]) for g in of_suite["groups"]} == {
        ("edited", 6, 6),
        ("expert", 1, 1),
    }
    assert next(g for g in of_suite["groups"] if g["group"] == "expert")["says"] == "cannot tell", (
        "one row tells nothing"
    )
    assert json.loads((tmp_path / "attribution.json").read_text())["suites"] == said["suites"]
    by_edit = rewritten(*asked, "--by", "edit", "--rows", "5")
    assert by_edit.code == 0 and "adds_opening" in by_edit.out


def test_the_worst_groups_are_left_out_of_a_training(
    rewritten: Recast, tmp_path: Path, tiny_model: Path
) -> None:
    store = Store(tmp_path / ".recast")
    rows = list(store.open("sums").rows())
    rows[6]["completion"] = "Let's think. " + rows[6]["completion"]
    edited = [row | {"completion": "No idea.", "decision": "edited"} for row in rows[:6]]
    store.commit([*edited, *rows[6:-1]], "sums")
    suite = tmp_path / "suite.jsonl"
    write_lines(suite, [{"prompt": f"2 + {n}?", "answer": str(2 + n)} for n in range(4)])
    asked = (
        "attribute",
        "sums@v1",
        "sums@v2",
        "-m",
        tiny_model,
        "--suite",
        suite,
        "--by",
        "op",
        "--by",
        "decision",
    )
    training = ("--retrain", "2", "--seeds", "2", "--set", "sft.epochs=1", "--set", "sft.telemetry_tokens=0")
    said = rewritten(*asked, *training, "--json")
    assert said.code == 0, said.out + said.err
    (of_suite,) = said.json["suites"]
    worst = [group["group"] for group in of_suite["groups"][:2]]
    assert sorted(group["group"] for group in of_suite["without"]) == sorted(worst)
    counted = {"change, edited": 6, "change, expert": 1, "remove, expert": 1}
    assert all(
        group["rows"] == counted[group["group"]] and group["seeds"] == 2 for group in of_suite["without"]
    )
    assert "nats an answer that it gains" in rewritten(*asked, *training).out
    aimless = rewritten(*asked, "--seeds", "2")
    assert aimless.code == 2 and "add --retrain GROUPS" in aimless.err


def test_rows_are_grouped_by_what_they_have(rewritten: Recast, tmp_path: Path, tiny_model: Path) -> None:
    suite = tmp_path / "suite.jsonl"
    write_lines(suite, [{"prompt": "2 + 2?", "answer": "4"}])
    asked = ("-m", tiny_model, "--suite", suite)
    said = rewritten("attribute", "sums", "sums-rewrites", *asked, "--by", "colour")
    assert said.code == 2 and "--by colour: rows are grouped by op, decision," in said.err
    said = rewritten("attribute", "sums", "sums", *asked)
    assert said.code == 2 and "hold the same texts" in said.err
