"""Suites, extraction and outcomes, with models that are functions."""

from __future__ import annotations

import json
import math

import pytest

from curate.errors import DataError
from train.evaluate import EvalResult, Figures, Outcome, evaluate, load_suites

SUITES = {
    "sums": [
        {"prompt": "2+3?", "answer": "5", "task": "add", "completion": "2 + 3 = 5. The answer is 5."},
        {"prompt": "4+4?", "answer": "8", "task": "add", "completion": "4 + 4 = 8. The answer is 8."},
        {"prompt": "9-2?", "answer": "7", "task": "sub"},
    ],
    "facts": [
        {
            "id": "f1",
            "messages": [{"role": "user", "content": "A long question about a capital?"}],
            "answer": "Rome",
        }
    ],
}
SAID = {
    "2+3?": r"So \boxed{5}",  # another style, the same answer
    "4+4?": "The answer is 9.",
    "9-2?": "",
    "A long question about a capital?": "The answer is Rome.",
}


def generate(prompts):
    return [SAID[p[-1]["content"]] for p in prompts]


def loglik(prompts, completions):
    return [-len(c) / 100 for c in completions]


def result(**kwargs) -> EvalResult:
    return evaluate(SUITES, generate, loglik, model="m", **kwargs)


def test_every_style_of_answer_counts_and_no_answer_is_a_format_failure():
    outcomes = [i.outcome for i in result().items]
    assert outcomes == [Outcome.RIGHT, Outcome.WRONG, Outcome.FORMAT, Outcome.RIGHT]
    assert result().figures("sums") == Figures(
        num=3, right=1, wrong=1, format_failures=1, undecided=0, gold_loglik=pytest.approx(-0.27)
    )  # both reference texts have 27 characters
    assert result().figures("sums").accuracy == pytest.approx(1 / 3)


def test_figures_come_by_task_and_without_reference_texts_there_is_no_likelihood():
    by_task = result().by_task()
    assert list(by_task) == [("sums", "add"), ("sums", "sub"), ("facts", "facts")]
    assert by_task["sums", "add"].accuracy == 0.5
    assert by_task["sums", "sub"].gold_loglik is None
    assert evaluate(SUITES, generate).figures("sums").gold_loglik is None
    with pytest.raises(DataError, match="it has sums/add, sums/sub, facts/facts"):
        result().figures("nothing")


def test_the_model_gets_short_prompts_first_and_results_keep_the_order_of_the_suites():
    asked = []

    def spy(prompts):
        asked.append([p[-1]["content"] for p in prompts])
        return generate(prompts)

    reordered = {"facts": SUITES["facts"], "sums": SUITES["sums"]}
    seen = []
    out = evaluate(reordered, spy, chunk=2, progress=seen.append)
    assert asked == [["2+3?", "4+4?"], ["9-2?", "A long question about a capital?"]]
    assert [i.suite for i in out.items] == ["facts", "sums", "sums", "sums"]
    assert seen == [{"done": 2, "total": 4}, {"done": 4, "total": 4}]


def test_a_reference_too_long_to_score_has_no_likelihood():
    out = evaluate(SUITES, generate, lambda prompts, completions: [math.nan, -0.5][: len(completions)])
    assert sorted(i.gold_loglik is None for i in out.items) == [False, True, True, True]
    assert out.figures("sums", "add").gold_loglik == -0.5


def test_results_survive_a_file(tmp_path):
    result().save(tmp_path / "eval" / "m.jsonl")
    assert EvalResult.load(tmp_path / "eval" / "m.jsonl") == result()


def test_a_cut_file_of_results_is_refused(tmp_path):
    path = tmp_path / "m.jsonl"
    result().save(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="should hold 4 items and holds 3"):
        EvalResult.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match="not a file of evaluation results"):
        EvalResult.load(path)


def test_plain_figures_for_json():
    plain = json.loads(json.dumps(result().to_dict()))
    assert plain["suites"]["sums"]["tasks"]["add"]["accuracy"] == 0.5
    assert plain["suites"]["sums"]["format_failures"] == 1


def test_a_suite_file_of_the_pocket_world_is_read(tmp_path):
    row = {
        "id": "w1",
        "question": "2+3?",
        "solution": "2 + 3 = 5. The answer is 5.",
        "answer": 5,
        "task": "arith",
    }
    (tmp_path / "world.jsonl").write_text(json.dumps(row) + "\n\n")
    (item,) = load_suites([tmp_path / "world.jsonl"])
    assert (item.suite, item.item_id, item.task, item.answer) == ("world", "w1", "arith", "5")
    assert item.messages == [{"role": "user", "content": "2+3?"}] and item.completion == row["solution"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "holds no questions"),
        ('{"prompt": "q", "answer": "1"}\n{"prompt": ', "line 2: not JSON"),
        ('{"prompt": "q"}', "line 1: no `answer` to compare with"),
        ('{"answer": "1"}', "line 1: no question"),
        ('["q", "1"]', "line 1: expected an object"),
        (
            '{"id": 1, "prompt": "q", "answer": "1"}\n{"id": 1, "prompt": "r", "answer": "2"}',
            "id '1' was used before",
        ),
    ],
)
def test_a_bad_suite_is_named_with_its_line(tmp_path, text, error):
    path = tmp_path / "suite.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=error):
        load_suites([path])


def test_missing_and_clashing_suites_are_named(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        load_suites([tmp_path / "none.jsonl"])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "s.jsonl").write_text('{"prompt": "q", "answer": "1"}')
    with pytest.raises(DataError, match="share a name"):
        load_suites([tmp_path / "a" / "s.jsonl", tmp_path / "b" / "s.jsonl"])
