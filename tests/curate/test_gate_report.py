"""Perturbations change what they say they change, and the report card counts what the gate did with them."""

from __future__ import annotations

import json

import pytest

from curate.gate import load_gate
from curate.perturbation import RIGHT, WRONG, Labelled, perturb, retold
from curate.reportcard import Rate, calibrate, report_card, wilson

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
    assert "false accepts" in card.to_text()


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


def test_calibration_takes_the_lowest_threshold_that_keeps_the_target():
    scores = [(0.9, True)] * 300 + [(0.5, True)] * 10 + [(0.4, False)] * 400 + [(0.6, False)]
    found = calibrate(scores, 0.02)
    # above 0.5 one of 401 wrong ones passes: upper end 1.4 %, so 0.5 is allowed; at 0.4 there is no right one
    assert found is not None and found.value == 0.5
    assert (found.false_accepts.count, found.false_rejects.count) == (1, 0)
    assert calibrate([(0.9, True), (0.1, False)], 0.01) is None, "one wrong label proves nothing"
    strict = calibrate([*scores, *[(0.6, False)] * 40], 0.02)
    assert strict is not None and strict.value == 0.9


def test_real_rows_reach_the_bounds_of_the_bench(shared_data):
    lines = (shared_data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:150]
    rows = [
        {
            "row_id": str(i),
            "messages": [{"role": "user", "content": r["question"]}],
            "demonstration": r["answer"],
        }
        for i, r in enumerate(map(json.loads, lines))
    ]
    card = report_card(load_gate("math"), perturb(rows))
    for kind in ("answer_changed", "sign_flipped", "digits_swapped", "false_equality", "operand_altered"):
        assert card.kinds[kind].false_accepts.count == 0, kind
    assert card.ensemble.false_rejects.share <= 0.01, card.examples
