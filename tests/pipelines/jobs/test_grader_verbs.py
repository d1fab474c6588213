"""`recast grader`: files that are no graders, one answer's worth, a grader's own errors, and eval's rewards."""

from __future__ import annotations

import json

import pytest
from openai.types.fine_tuning.alpha import GraderRunResponse

from recast.curate.gate import sandbox
from tests.conftest import ROOT, demonstrations
from tests.train.graders.graders import EXACT, LABEL, MULTI, NUMERIC, SCORE, SIMILARITY, STRING_CHECK

EXAMPLE = ROOT / "pipelines" / "examples" / "grader.json"
ITEM = json.dumps({"answer": "4", "messages": [{"role": "user", "content": "What is 2 + 2?"}]})


@pytest.fixture
def file(tmp_path):
    def write(value, name="grader.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


def test_a_grader_is_validated_and_says_what_it_reads_and_lacks(recast, file):
    graders = {"right": STRING_CHECK, "near": {**SIMILARITY, "evaluation_metric": "cosine"}}
    path = file({**MULTI, "graders": graders, "calculate_output": "right + near"})
    said = recast("grader", "validate", path, "--json")
    assert said.code == 0, said.err
    right, near = said.json["graders"]
    assert (right["key"], right["reads"], right["lacks"]) == (
        "right",
        ["sample.output_text", "item.answer"],
        "",
    )
    assert "no embedding model was given" in near["lacks"]
    shown = recast("grader", "validate", path).out
    assert "both, multi = right + near" in shown and "cannot run here" in shown


def test_a_malformed_grader_is_exit_code_2_with_the_path_of_the_mistake(recast, file):
    said = recast("grader", "validate", file({**STRING_CHECK, "operation": "is"}), "--json")
    assert said.code == 2
    assert (
        "$.operation is \"is\"; input should be 'eq', 'ne', 'like' or 'ilike'"
        in said.json["error"]["message"]
    )
    for text, reason in (("{", "is no JSON"), ('{"type": "x", "name": "y"}', '$.type is "x"')):
        said = recast("grader", "run", file(text), "--sample", "x")
        assert (said.code, reason in said.err) == (2, True)
    assert recast("grader", "report", "none.json", "--labels", "x").code == 2


def test_a_grader_is_written_as_a_published_one(recast, file, tmp_path):
    out = tmp_path / "published.json"
    said = recast("grader", "validate", file({**MULTI, "graders": [EXACT, SIMILARITY], "calculate_output": "exact"}),
                  "-o", out, "--json")  # fmt: skip
    assert said.code == 0, said.err
    written = json.loads(out.read_text())
    assert {key: one["type"] for key, one in written["graders"].items()} == {
        "exact": "python",
        "alike": "text_similarity",
    }
    refused = recast("grader", "validate", file(NUMERIC), "-o", out)
    assert (refused.code, "$ is a grader of the type numeric" in refused.err) == (2, True)


def test_one_answer_is_graded_and_the_json_is_the_published_response(recast, file):
    said = recast("grader", "run", file(MULTI), "--item", ITEM, "--sample", "4", "--json")
    assert said.code == 0, said.err
    response = GraderRunResponse.model_validate(said.json, strict=True)
    assert (response.reward, response.sub_rewards) == (1.0, {"right": 1.0, "alike": 1.0})
    assert recast("grader", "run", file(MULTI), "--item", ITEM, "--sample", "4").out.startswith(
        "both: 1 (right 1, alike 1)"
    )
    without = recast("grader", "run", file(STRING_CHECK), "--sample", "4")
    assert "right: no score" in without.out and "invalid_variable_error" in without.out


@pytest.mark.parametrize(
    ("item", "reason"), [("{", "--item is no JSON"), ("[1]", "--item is a list"), ("4", "--item is a int")]
)
def test_a_row_that_is_no_object_is_refused(recast, file, item, reason):
    said = recast("grader", "run", file(STRING_CHECK), "--item", item, "--sample", "4")
    assert (said.code, reason in said.err) == (2, True)


def test_a_grader_is_measured_on_labels(recast, file, tmp_path):
    labels = tmp_path / "labels.jsonl"
    rows = [("4", True), ("The answer is 4.", True), ("5", False), ("44", False)]
    labels.write_text(
        "".join(json.dumps({"answer": "4", "completion": c, "right": r}) + "\n" for c, r in rows)
    )
    path = file({**STRING_CHECK, "operation": "like"})
    found = recast("grader", "report", path, "--labels", labels, "--json").json
    assert (found["false_credit"]["count"], found["false_credit"]["total"]) == (1, 2)
    assert (found["missed_credit"]["count"], found["missed_credit"]["total"]) == (0, 2)
    shown = recast("grader", "report", path, "--labels", labels).out
    assert (
        "1/2 50.00%" in shown
        and "wrong answers that a policy may find" in shown
        and "labelled, row ?: wrong, reward 1" in shown
    )


def test_a_grader_is_measured_on_a_version_that_is_perturbed(recast, file, tmp_path):
    assert recast("import", demonstrations(tmp_path / "sums.jsonl", 12), "--as", "craft").code == 0
    found = recast("grader", "report", file(NUMERIC), "craft", "--json").json
    assert found["kinds"]["answer_changed"]["false_credit"]["count"] == 0
    assert found["kinds"]["retold"]["missed_credit"]["count"] == 0
    assert "perturbations of 12 rows of craft@v1" in found["labels"]


@pytest.mark.parametrize("args", [[], ["craft", "--labels", "x.jsonl"]])
def test_a_report_needs_a_version_or_labels(recast, file, args, tmp_path):
    (tmp_path / "x.jsonl").write_text("{}")
    said = recast("grader", "report", file(NUMERIC), *args)
    assert (said.code, "give one of the two" in said.err) == (2, True)


@pytest.mark.skipif(sandbox.missing_wall() is not None, reason="no sandbox here")
def test_the_example_grader_weighs_answer_and_working(recast):
    right, wrong = (
        recast("grader", "run", EXAMPLE, "--item", ITEM, "--sample", text, "--json").json
        for text in ("2 + 2 = 4. The answer is 4.", "2 + 2 = 5. The answer is 5.")
    )
    assert (right["reward"], right["scored"]) == (1.0, True)
    assert 0.08 <= wrong["reward"] < 0.1  # a wrong answer that can be read
    assert set(right["sub_rewards"]) == {"answer", "working", "short"}


def test_a_judge_answers_for_the_model_that_the_file_names(recast, file, tiny_model):
    for value in (SCORE, LABEL):
        said = recast(
            "grader", "run", file(value), "--item", ITEM, "--sample", "4", "--judge", tiny_model, "--json"
        )
        assert said.code == 0, said.err
        # a random model says nothing that could be read: a flag, and no score
        assert (said.json["reward"], said.json["scored"]) == (0.0, False)
        assert said.json["metadata"]["errors"]["model_grader_parse_error"] is True
        assert said.json["metadata"]["token_usage"] > 0
    missing = recast("grader", "run", file(SCORE), "--item", ITEM, "--sample", "4")
    assert missing.code == 2 and "Name one that can with --judge" in missing.err


def test_eval_gives_the_mean_reward_of_free_answers(recast, file, tiny_model, tmp_path):
    suite = tmp_path / "suite.jsonl"
    rows = [
        {"prompt": "2 + 2?", "answer": "4", "worst": "zzz"},
        {"prompt": "3 + 3?", "answer": "6"},
        {"prompt": "Which?", "answer": "A", "choices": ["yes", "no"]},
    ]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = file({**STRING_CHECK, "operation": "ne", "reference": "{{ item.worst }}"})
    asked = ("eval", tiny_model, "--suite", suite, "--max-tokens", 4)
    found = recast(*asked, "--grader", path, "--json")
    assert found.code == 0, found.err
    figures = found.json["suites"]["suite"]
    assert (figures["reward"], figures["num_graded"]) == (1.0, 1)  # the second row has no `worst`
    assert found.json["grader_errors"] == {"invalid_variable_error": 1}
    plain = recast(*asked, "--json").json["suites"]["suite"]
    assert (plain["reward"], plain["num_graded"]) == (None, 0)
    assert "reward" in recast(*asked, "--grader", path).out
    said = recast(*asked, "--judge", tiny_model)
    assert (said.code, "are for what --grader names" in said.err) == (2, True)


def test_what_export_writes_for_reinforcement_is_read_and_disjoint(recast, tmp_path):
    from recast.curate.errors import DataError
    from recast.train.graders.format.rows import read, refuse_shared

    assert recast("import", demonstrations(tmp_path / "sums.jsonl", 40), "--as", "craft").code == 0
    said = recast("export", "craft", "--to", "openai", "--as", "rft", "-o", "rft", "--validation", "0.3")
    assert said.code == 0, said.err
    train, validation = (read(tmp_path / "rft" / f"{side}.jsonl") for side in ("train", "validation"))
    assert len(train) + len(validation) == 40 and validation
    refuse_shared(train, validation)
    assert {row.item["answer"] for row in train + validation} == {str(n + 3) for n in range(40)}
    with pytest.raises(
        DataError, match=r"1 of 1 validation prompts .*: train\.jsonl, line 1 and train\.jsonl, line 1"
    ):
        refuse_shared(train, train[:1])
