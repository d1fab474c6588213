"""Suites, extraction and outcomes, with models that are functions."""

from __future__ import annotations

import json
import math

import pytest

from recast.curate.errors import DataError, UsageError
from recast.train.evaluation.evaluate import Model, drift, evaluate, grade, majority
from recast.train.evaluation.results import EvalResult, Figures, Outcome, pass_at, powers_of_two
from recast.train.evaluation.suites import Item, load_suites

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
    return evaluate(load_suites(SUITES), Model(generate, loglik), label="m", **kwargs)


def test_every_style_of_answer_counts_and_no_answer_is_a_format_failure():
    outcomes = [i.outcome for i in result().items]
    assert outcomes == [Outcome.RIGHT, Outcome.WRONG, Outcome.FORMAT, Outcome.RIGHT]
    sums = result().figures("sums")
    assert sums.gold_loglik == pytest.approx(-0.27)  # both reference texts have 27 characters
    assert sums == Figures(
        num=3, right=1, wrong=1, format_failures=1, undecided=0, gold_loglik=sums.gold_loglik
    )
    assert sums.accuracy == pytest.approx(1 / 3)


def test_figures_come_by_task_and_without_reference_texts_there_is_no_likelihood():
    by_task = result().by_task()
    assert list(by_task) == [("sums", "add"), ("sums", "sub"), ("facts", "facts")]
    assert by_task["sums", "add"].accuracy == 0.5
    assert by_task["sums", "sub"].gold_loglik is None
    assert evaluate(load_suites(SUITES), Model(generate)).figures("sums").gold_loglik is None
    with pytest.raises(DataError, match="it has sums/add, sums/sub, facts/facts"):
        result().figures("nothing")


def test_the_model_gets_short_prompts_first_and_results_keep_the_order_of_the_suites():
    asked = []

    def spy(prompts):
        asked.append([p[-1]["content"] for p in prompts])
        return generate(prompts)

    reordered = {"facts": SUITES["facts"], "sums": SUITES["sums"]}
    seen = []
    out = evaluate(load_suites(reordered), Model(spy), chunk=2, progress=seen.append)
    assert asked == [["2+3?", "4+4?"], ["9-2?", "A long question about a capital?"]]
    assert [i.suite for i in out.items] == ["facts", "sums", "sums", "sums"]
    assert seen == [{"done": 2, "total": 4}, {"done": 4, "total": 4}]


def test_a_reference_too_long_to_score_has_no_likelihood():
    unscored = Model(generate, lambda prompts, completions: [math.nan, -0.5][: len(completions)])
    out = evaluate(load_suites(SUITES), unscored)
    assert sorted(i.gold_loglik is None for i in out.items) == [False, True, True, True]
    assert out.figures("sums", "add").gold_loglik == -0.5


def test_results_survive_a_file(tmp_path):
    drawn = Model(generate, loglik, lambda prompts, k: [["The answer is 5.", ""] for _ in prompts])
    for found in (result(), evaluate(load_suites(SUITES), drawn, label="m", samples=2)):
        found.save(tmp_path / "eval" / "m.jsonl")
        assert EvalResult.load(tmp_path / "eval" / "m.jsonl") == found


def test_a_cut_file_of_results_is_refused(tmp_path):
    path = tmp_path / "m.jsonl"
    result().save(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="should hold 4 items and holds 3"):
        EvalResult.load(path)
    with pytest.raises(DataError, match="there is no evaluation at"):
        EvalResult.load(tmp_path / "none.jsonl")
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


CHOICES = ["Paris", "Rome", "Bern"]
# log p per token of every choice as an answer to any question: Rome is the likeliest
LIKELY = {"Paris": -1.0, "Rome": -0.5, "Bern": -2.0, "yes": -0.1, "no": -0.2, "maybe": -0.3}


def by_choice(prompts, completions):
    return [LIKELY[c] for c in completions]


@pytest.mark.parametrize("answer", ["B", "b", 1, "Rome"])
def test_the_right_choice_is_named_by_letter_place_or_text(answer):
    (item,) = load_suites({"s": [{"question": "Capital of Italy?", "choices": CHOICES, "answer": answer}]})
    assert item.answer == "Rome" and item.choices == ("Paris", "Rome", "Bern")


def test_the_likeliest_choice_is_the_answer_and_its_likelihood_the_gold_one():
    rows = [
        {"question": "Italy?", "choices": CHOICES, "answer": "B", "subject": "capitals"},
        {"question": "France?", "choices": CHOICES, "answer": "A", "subject": "capitals"},
    ]
    out = evaluate(load_suites({"s": rows}), Model(generate, by_choice))
    assert [i.outcome for i in out.items] == [Outcome.RIGHT, Outcome.WRONG]
    assert [i.extracted for i in out.items] == ["Rome", "Rome"]
    assert [i.gold_loglik for i in out.items] == [-0.5, -1.0]
    assert out.by_task()["s", "capitals"].accuracy == 0.5


def test_a_choice_too_long_to_score_leaves_the_question_undecided():
    row = {"question": "Italy?", "choices": CHOICES, "answer": "B"}
    out = evaluate(load_suites({"s": [row]}), Model(generate, lambda p, c: [math.nan, -0.5, -1.0]))
    assert out.items[0].outcome is Outcome.UNDECIDED and out.items[0].gold_loglik == -0.5


def test_free_and_several_choice_questions_share_a_suite_and_keep_its_order():
    rows = [{"prompt": "2+3?", "answer": "5"}, {"question": "Italy?", "choices": CHOICES, "answer": 1}]
    out = evaluate(load_suites({"s": rows}), Model(generate, by_choice))
    assert [i.answer for i in out.items] == ["5", "Rome"]
    assert [i.outcome for i in out.items] == [Outcome.RIGHT, Outcome.RIGHT]


def test_rows_of_pubmedqa_are_read_with_their_passages():
    row = {"id": "7", "QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "final_decision": "no"}
    (item,) = load_suites({"s": [row]})
    assert item.messages == [{"role": "user", "content": "One.\n\nTwo.\n\nDoes it?"}]
    assert (item.answer, item.choices) == ("no", ("yes", "no", "maybe"))


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"choices": CHOICES, "answer": "D"}, "the answer 'D' is none of the 3 choices"),
        ({"choices": CHOICES, "answer": 3}, "the answer 3 is none of the 3 choices"),
        ({"choices": ["Rome"], "answer": "A"}, "expected a list of at least two texts"),
        ({"choices": "Rome", "answer": "A"}, "expected a list of at least two texts"),
    ],
)
def test_choices_that_make_no_sense_are_named(row, error):
    with pytest.raises(DataError, match=f"suite s, row 0: .*{error}"):
        load_suites({"s": [{"question": "Italy?", **row}]})


def test_what_a_suite_needs_and_the_model_has_not_is_said():
    with pytest.raises(UsageError, match="need the model's log-likelihoods"):
        evaluate(load_suites({"s": [{"question": "q", "choices": CHOICES, "answer": 1}]}), Model(generate))
    with pytest.raises(UsageError, match="4 samples a question are asked for"):
        evaluate(load_suites(SUITES), Model(generate), samples=4)


def test_pass_at_k_by_hand():
    # 4 samples, 1 right: a draw of 2 misses it with chance C(3,2)/C(4,2) = 3/6
    assert pass_at(1, 4, 1) == 0.25 and pass_at(2, 4, 1) == 0.5 and pass_at(4, 4, 1) == 1.0
    assert pass_at(4, 4, 0) == 0.0 and pass_at(1, 4, 4) == 1.0
    assert powers_of_two(1) == [1] and powers_of_two(6) == [1, 2, 4, 6] and powers_of_two(8) == [1, 2, 4, 8]


def test_samples_give_pass_at_k_and_the_majority_answer():
    drawn = {
        "2+3?": ["The answer is 5.", "The answer is 6.", "\\boxed{5}", "no idea"],  # 5 twice: right
        "4+4?": ["The answer is 9.", "The answer is 9.0.", "The answer is 8.", "The answer is 7."],
    }
    rows = SUITES["sums"][:2]
    out = evaluate(
        load_suites({"s": rows}),
        Model(generate, None, lambda ps, k: [drawn[p[-1]["content"]] for p in ps]),
        samples=4,
    )
    assert out.items[0].samples == (Outcome.RIGHT, Outcome.WRONG, Outcome.RIGHT, Outcome.FORMAT)
    assert [i.majority for i in out.items] == [Outcome.RIGHT, Outcome.WRONG]  # 9 and 9.0 are one answer
    figures = out.figures("s")
    # c = 2 and 1 of 4: pass@1 = (1/2 + 1/4) / 2; pass@2 = (1 - C(2,2)/6 + 1 - C(3,2)/6) / 2
    assert figures.pass_at == pytest.approx({1: 0.375, 2: (5 / 6 + 0.5) / 2, 4: 1.0})
    assert figures.majority == 0.5 and figures.num_samples == 4


def test_samples_are_of_the_questions_without_choices_and_their_number_is_said():
    rows = [{"prompt": "2+3?", "answer": "5"}, {"question": "Italy?", "choices": CHOICES, "answer": 1}]
    drawn = Model(generate, by_choice, lambda prompts, k: [["The answer is 5.", "none"] for _ in prompts])
    figures = evaluate(load_suites({"s": rows}), drawn, samples=2).figures("s")
    assert (figures.num, figures.num_sampled, figures.num_samples) == (2, 1, 2)
    assert figures.pass_at == {1: 0.5, 2: 1.0}  # of the one question that has samples
    assert result().figures("sums").num_sampled == 0


def test_a_majority_of_no_answers_is_none():
    item = Item("s", "1", "t", [{"role": "user", "content": "q"}], "5")
    assert majority([grade(item, ""), grade(item, "")]) is Outcome.FORMAT
    assert majority([grade(item, ""), grade(item, "The answer is 5.")]) is Outcome.RIGHT


def test_drift_is_what_own_answers_lose_under_the_other_model():
    own = Model(generate, lambda p, c: [-0.25, -0.5, math.nan, -1.0], lambda ps, k: [["said"] for _ in ps])
    other = Model(generate, lambda p, c: [-1.0, -0.25, -1.0, -1.0])
    before = result()
    after = drift(before, load_suites(SUITES), own, other)
    assert [i.kl for i in after.items] == [0.75, -0.25, None, 0.0]
    assert after.figures("sums").kl == 0.25
    assert [i.outcome for i in after.items] == [i.outcome for i in before.items]
