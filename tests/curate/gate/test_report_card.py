"""Perturbations change what they say they change, and the report card counts what the gate did with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast.curate.errors import DataError, RefusedError, UsageError
from recast.curate.gate.calibration import calibrate
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.models.judge import JudgeCheck
from recast.curate.gate.checks.words.copying import CopyCheck
from recast.curate.gate.gate import Gate, GateConfig, load_gate
from recast.curate.gate.labels import Labelled, read
from recast.curate.gate.perturbation.perturb import WORDS, perturb
from recast.curate.gate.perturbation.sums import RIGHT, WRONG, retold
from recast.curate.gate.report_card import Rate, report_card
from recast.curate.intervals import wilson

ROW = {
    "row_id": "r1",
    "messages": [
        {"role": "user", "content": "Ann sold 48 clips in April and half as many in May. How many?"}
    ],
    "demonstration": (
        "In the month of May Ann sold 48/2 = <<48/2=24>>24 clips.\n"
        "In both of these months together she sold 48+24 = <<48+24=72>>72 clips.\n#### 72"
    ),
    "answer": None,
    "task": "gsm8k",
}


def made() -> dict[str, Labelled]:
    return {item.kind: item for item in perturb([ROW])}


def test_the_retelling_says_equation_then_sentence():
    assert retold(ROW) == (
        "48 / 2 = 24. In the month of May Ann sold 24 clips.\n"
        "48 + 24 = 72. In both of these months together she sold 72 clips.\nThe answer is 72."
    )
    assert retold({**ROW, "demonstration": "48/2 = <<48/2=24>>24"}) is None, "no answer"


def test_a_sum_begins_with_as_many_numbers_as_its_annotation_has():
    line = "Of the bike bought for 600 he lost 600-480 = <<600-480=120>>120.\n#### 120"
    assert retold({"demonstration": line}) == (
        "600 - 480 = 120. Of the bike bought for 600 he lost 120.\nThe answer is 120."
    )


def test_text_without_annotations_is_retold_sentence_by_sentence():
    demonstration = (
        "Tom has 12 red pens and 5 blue pens here. 12+5=17 pens are on the table now. The answer is 17."
    )
    assert retold({"demonstration": demonstration}) == (
        "To begin with, Tom has 12 red pens and 5 blue pens here.\n"
        "Next, 12 + 5 = 17 pens are on the table now.\nThe answer is 17."
    )
    assert retold({"demonstration": "It is the second of the four.", "answer": "B"}) is not None
    assert retold({"demonstration": "def f():\n    return 17", "answer": "17"}) is None, "a program"
    assert retold({"demonstration": "It is known."}) is None, "no answer"


@pytest.mark.parametrize(
    ("answer", "changed"), [("B", {"A", "C", "D"}), ("yes", {"no"}), ("17", None), ("\\frac{1}{2}", set())]
)
def test_answers_of_other_kinds_are_changed_to_others_of_their_kind(answer, changed):
    row = {"demonstration": "One looks at the table and finds what it says there.", "answer": answer}
    made = [item for item in perturb([row]) if item.kind == "answer_changed"]
    said = {item.completion.rpartition("The answer is ")[2].rstrip(".") for item in made}
    assert len(said) == (0 if changed == set() else 1)
    assert answer not in said and (changed is None or said <= changed)


def test_every_kind_is_labelled_and_changes_one_thing():
    kinds = made()
    assert {k for k, item in kinds.items() if item.right} <= set(RIGHT)
    assert {k for k, item in kinds.items() if item.right is False} <= set(WRONG)
    base = kinds["retold"].completion
    assert all(item.completion != base for kind, item in kinds.items() if kind != "retold")
    assert kinds["sign_flipped"].completion == base.replace("is 72", "is -72")
    assert kinds["digits_swapped"].completion == base.replace("is 72", "is 27")
    assert kinds["answer_changed"].completion.rpartition("\n")[0] == base.rpartition("\n")[0]
    assert "48 divided by 2 equals 24" in kinds["in_words"].completion
    assert "$48 \\div 2 = 24$" in kinds["latex"].completion and "\\boxed{72}" in kinds["latex"].completion
    assert kinds["step_dropped"].completion.startswith("48 + 24 = 72")


def test_copies_wrong_in_words_keep_their_answer_and_change_one_thing():
    kinds = {
        item.kind: item for item in perturb([ROW, {**ROW, "row_id": "r2"}], words=True) if "/" in item.kind
    }
    assert set(kinds) <= set(WORDS) and len(kinds) > 30, sorted(set(WORDS) - set(kinds))
    assert all(item.right is False for item in kinds.values())
    base = made()["retold"].completion
    assert all(item.completion != base for item in kinds.values())
    said = {kind: item.completion for kind, item in kinds.items()}
    assert said["meaning/operation_misnamed"].count("we ") == 2
    assert "Ann" not in said["meaning/person_new"].split("\n")[0]
    assert said["contradiction/answer_denied"] == f"{base} But this answer is wrong."
    assert said["no_reasoning/sums_alone"] == "48 / 2 = 24. 48 + 24 = 72.\nThe answer is 72."
    assert said["no_reasoning/sums_backwards"] == "48 + 24 = 72. 48 / 2 = 24.\nThe answer is 72."
    assert said["no_reasoning/results_listed"] == "24, 72.\nThe answer is 72."
    assert said["no_reasoning/vacuous_sums"] == "Here 23 + 1 = 24. Here 71 + 1 = 72.\nThe answer is 72."
    assert sum(not letter.isascii() for letter in said["unicode/look_alike"]) == 1
    assert said["unicode/zero_width"].replace("\u200b", "") == ROW["demonstration"]
    misspelt = said["language/misspelt"]
    assert sorted(misspelt) == sorted(base) and sum(a != b for a, b in zip(misspelt, base, strict=True)) == 2


@pytest.mark.parametrize("kind", WORDS)
def test_every_kind_in_words_is_defined_in_one_sentence(kind):
    said = (WORDS[kind].__doc__ or "").splitlines()[0]
    assert said.endswith(".") and said.count(". ") == 0 and len(said) < 100


def test_the_card_counts_groups_and_names_what_it_cannot_vouch_for():
    text = made()["retold"].completion
    labels = [
        *(Labelled(ROW, text, False, "meaning/passes") for _ in range(100)),
        *(Labelled(ROW, "The answer is 1.", False, "meaning/seen") for _ in range(100)),
        *(Labelled(ROW, "The answer is 1.", False, "seen") for _ in range(5)),
    ]
    card = report_card(load_gate("math"), labels)
    assert str(card.groups["meaning"].false_accepts).startswith("100/200") and set(card.groups) == {"meaning"}
    # 0 of 100: at most 3.7 %; 0 of 5: at most 43 %, which is too few to vouch for
    assert list(card.unvouched()) == ["meaning/passes", "seen"]
    assert list(card.to_json()["unvouched"]) == ["meaning/passes", "seen"]


def test_perturbations_depend_on_row_and_seed_only():
    assert list(perturb([ROW])) == list(perturb([ROW]))
    assert {k: i.completion for k, i in made().items()} != {
        i.kind: i.completion for i in perturb([ROW], seed=1)
    }


def test_the_default_gate_passes_the_right_ones_and_refuses_the_wrong_ones():
    card = report_card(load_gate("math"), perturb([ROW]))
    assert card.ensemble.false_accepts.count == 0, card.examples
    assert card.ensemble.false_rejects.count == 0, card.examples
    assert card.kinds["false_equality"].wrong == {"rejected": 1}
    assert card.reasons["step_dropped"] == {"missing_step": 1}
    assert card.tasks["gsm8k"].right["accepted"] >= 3
    assert card.checks["arithmetic"].wrong["rejected"] >= 2
    assert json.loads(json.dumps(card.to_json()))["gate_id"] == load_gate("math").id


def test_mistakes_are_kept_as_examples():
    wrong_label = Labelled(ROW, made()["retold"].completion, False, "mislabelled")
    card = report_card(load_gate("math"), [wrong_label])
    assert card.ensemble.false_accepts.count == 1
    assert card.examples[0]["kind"] == "mislabelled"


def test_wilson_by_hand():
    # 0 of 100: high = z^2 / (100 + z^2) = 3.8415 / 103.8415
    assert wilson(0, 100) == pytest.approx((0.0, 0.036994), abs=1e-5)
    assert wilson(5, 10) == pytest.approx((0.236593, 0.763407), abs=1e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    assert str(Rate(1, 4)).startswith("1/4 = 25.00%")


def test_a_card_made_by_worker_processes_is_the_same():
    labels = list(perturb([ROW])) * 60  # more than one chunk
    one, two = (report_card(load_gate("math"), labels, workers=n) for n in (1, 2))
    assert one.rows == len(labels) > 500
    for card in (one, two):
        card.seconds = 0.0
    assert one == two


def test_examples_are_a_few_of_every_kind():
    text = made()["retold"].completion
    card = report_card(
        load_gate("math"), [Labelled(ROW, text, False, kind) for kind in ("a", "b") for _ in range(9)]
    )
    assert [e["kind"] for e in card.examples] == ["a"] * 3 + ["b"] * 3


JUDGED = GateConfig(name="judged", checks=(AnswerCheck(), JudgeCheck(min_yes=0.5, max_no=0.5)))


def opinions(wrong: float = 0.4, right: float = 0.6, odd: int = 0) -> list[Labelled]:
    """800 right labels that a judge likes with `right`, 1,200 wrong ones with `wrong`, `odd` of them with 0.9."""
    return [
        Labelled(
            {"row_id": f"r{i}", "answer": "7", "demonstration": "3 + 4 = 7"},
            "The answer is 7.",
            i % 5 < 2,
            "opinion",
            {"judge": right if i % 5 < 2 else 0.9 if i < odd else wrong},
        )
        for i in range(2000)
    ]


def test_a_dial_goes_to_where_the_labels_part_and_is_measured_on_the_other_half():
    found = calibrate(Gate(JUDGED), lambda: opinions(wrong=0.55, right=0.7), 0.01)
    assert found.turned == {"judge": ("min_yes", 0.5, 0.7)}
    before, after = found.before.ensemble, found.after.ensemble
    assert before.false_accepts.share == 1.0 and after.false_accepts.count == 0
    assert after.false_rejects.count == 0
    assert 900 < found.after.rows < 1100, "half of the rows"
    assert Gate(found.config).id != Gate(JUDGED).id


def test_a_dial_is_opened_where_labels_that_it_refuses_say_that_it_may_be():
    found = calibrate(Gate(JUDGED), lambda: opinions(wrong=0.1, right=0.45), 0.01)
    assert found.turned == {"judge": ("min_yes", 0.5, 0.45)}
    assert found.after.ensemble.false_rejects.count == 0


def test_a_dial_that_no_wrong_label_needs_stays_where_it_is():
    copied = "Ann has 12 pens and buys 5 more of them in the shop. So she has 12 + 5 = 17 pens now. The answer is 17."
    row = {"row_id": "a", "demonstration": copied + " Well.", "answer": "17"}
    rows = [{**row, "row_id": str(i)} for i in range(1000)]
    labels = [Labelled(r, copied, True, "copied") for r in rows]
    labels += [Labelled(r, copied.replace("is 17", "is 18"), False, "wrong") for r in rows]
    gate = Gate(GateConfig(checks=(AnswerCheck(), CopyCheck())))
    assert report_card(gate, labels).ensemble.false_rejects.share == 1.0, "all copies"
    found = calibrate(gate, lambda: labels, 0.01)
    assert found.turned == {}, "the wrong ones are refused by their answer, so they say nothing about copies"


def test_calibration_refuses_what_labels_cannot_prove():
    with pytest.raises(RefusedError, match=r"prove no false-accept rate below 0\.\d+%"):
        calibrate(Gate(JUDGED), opinions, 0.001)
    with pytest.raises(RefusedError, match=r"no thresholds of judge bring .* at best"):
        calibrate(Gate(JUDGED), lambda: opinions(wrong=0.9, right=0.4), 0.01)
    with pytest.raises(UsageError, match="has no check with a threshold"):
        calibrate(Gate(GateConfig(checks=(AnswerCheck(),))), opinions)
    with pytest.raises(UsageError, match="0 wrong"):
        calibrate(Gate(JUDGED), lambda: [label for label in opinions() if label.right])


def test_the_default_gate_calibrated_on_perturbations_keeps_its_id_or_gets_another(shared_data):
    labels = list(perturb(gsm8k(shared_data, 120)))
    found = calibrate(load_gate("math"), lambda: labels, 0.03)
    assert (Gate(found.config).id == load_gate("math").id) == (not found.turned)
    assert found.after.ensemble.false_rejects.share <= found.before.ensemble.false_rejects.share + 0.01


def gsm8k(shared_data: Path, count: int) -> list[dict]:
    lines = (shared_data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    return [
        {
            "row_id": str(i),
            "messages": [{"role": "user", "content": r["question"]}],
            "demonstration": r["answer"],
        }
        for i, r in enumerate(map(json.loads, lines))
    ]


def test_real_rows_reach_the_bounds_of_the_bench(shared_data):
    card = report_card(load_gate("math"), perturb(gsm8k(shared_data, 150)))
    for kind in ("answer_changed", "sign_flipped", "digits_swapped", "false_equality", "operand_altered"):
        assert card.kinds[kind].false_accepts.count == 0, kind
    assert card.ensemble.false_rejects.share <= 0.01, card.examples


def test_labels_survive_their_file(tmp_path):
    labels = [*perturb([ROW]), Labelled({"answer": "7"}, "It is 7.", None, "mine", {"judge": 0.5})]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(label.to_json()) + "\n" for label in labels))
    again = list(read(path))
    assert [(a.completion, a.right, a.kind, a.scores) for a in again] == [
        (a.completion, a.right, a.kind, dict(a.scores)) for a in labels
    ]
    assert again[0].row["demonstration"] == ROW["demonstration"]
    assert again[0].row["messages"] == ROW["messages"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 holds a list"),
        ('{"right": true}', "line 2: `completion` is None"),
        ('{"completion": "x"}', "line 2: `right` is None"),
        ('{"completion": "x", "right": "yes"}', "line 2: `right` is 'yes'"),
        (
            '{"completion": "x", "right": true, "scores": {"taste": 1}}',
            "expected numbers for some of similarity",
        ),
    ],
)
def test_a_bad_line_of_labels_is_named(tmp_path, line, said):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"question": "3 + 4?", "completion": "7", "right": true}\n' + line + "\n")
    with pytest.raises(DataError) as error:
        list(read(path))
    assert said in str(error.value)


def test_labels_that_are_not_there_say_what_makes_some(tmp_path):
    with pytest.raises(DataError, match="recast gate perturb"):
        list(read(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no labels"):
        list(read(tmp_path / "empty.jsonl"))
