"""The gate as a whole: what it decides, in which order, and what its id is made of."""

from __future__ import annotations

import pytest

from recast.curate.errors import UsageError
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.models.similarity import SimilarityCheck
from recast.curate.gate.checks.words.copying import CopyCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.gate import Gate, GateConfig, load_gate
from recast.curate.records import CheckStatus, VerdictStatus

DEMONSTRATION = "$x_0 = 12$ \\\\ $x_1 = x_0 + 5 = 17$ \\\\ $x_2 = 2 x_1 = 34$ \\\\ $\\boxed{34}$"
ROW = {
    "messages": [{"role": "user", "content": "Ann has 12 pens, buys 5 and doubles what she has. How many?"}],
    "demonstration": DEMONSTRATION,
    "answer": "34",
    "task": None,
}
GOOD = "Ann has 12 pens. 12 + 5 = 17. Doubling gives 2 * 17 = 34. The answer is 34."


def verdict(completion: str, row: dict | None = None, **kwargs):
    return load_gate("math").verify(row or ROW, completion, **kwargs)


def test_a_true_rewrite_is_accepted():
    said = verdict(GOOD)
    assert (said.status, said.reason) == (VerdictStatus.ACCEPTED, "")
    assert [c.name for c in said.checks] == [
        "format",
        "answer",
        "arithmetic",
        "steps",
        "names",
        "vocabulary",
        "topic",
        "copy",
        "repetition",
        "characters",
        "consistency",
        "ending",
        "operations",
        "symbols",
        "quantities",
        "polarity",
        "wording",
        "roles",
    ]
    assert all(c.status is CheckStatus.PASS for c in said.checks)


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("", "empty"),
        (GOOD.replace("is 34", "is 35"), "wrong_answer"),
        (GOOD.replace("12 + 5 = 17", "12 + 5 = 18, or 17"), "false_equality"),
        ("Doubling and adding gives 34 pens in the end. The answer is 34.", "missing_step"),
        ("First 17, then the double of it. Nothing else is to be said here.", "wrong_answer"),
        ("Seventeen, and the double of it.", "no_answer"),
        (DEMONSTRATION, "copy"),
        (GOOD + " " + GOOD + " " + GOOD, "repetition"),
    ],
)
def test_rejections_name_their_reason(completion, reason):
    said = verdict(completion)
    assert (said.status, said.reason) == (VerdictStatus.REJECTED, reason)


def test_truncated_text_is_rejected_although_it_states_the_answer():
    assert verdict(GOOD, finish_reason="length").reason == "truncated"


def test_undecided_is_unverifiable_and_a_failure_outranks_it():
    row = {**ROW, "answer": None, "demonstration": "no answer here"}
    said = verdict(GOOD, row)
    assert (said.status, said.reason) == (VerdictStatus.UNVERIFIABLE, "no_reference_answer")
    assert verdict(GOOD.replace("12 + 5 = 17", "12 + 5 = 18"), row).reason == "false_equality"


def test_the_reference_falls_back_to_the_answer_that_the_demonstration_marks():
    assert verdict(GOOD, {**ROW, "answer": None}).accepted
    assert verdict(GOOD.replace("is 34", "is 35"), {**ROW, "answer": None}).reason == "wrong_answer"


def test_a_program_as_demonstration_needs_the_answer_of_the_row():
    program = "def solution():\n    a = 12\n    b = a + 5\n    c = b * 2\n    return c"
    assert verdict(GOOD, {**ROW, "demonstration": program}).accepted
    assert verdict(GOOD, {**ROW, "demonstration": program, "answer": None}).reason == "no_reference_answer"
    assert (
        verdict("Take 34 pens. The answer is 34.", {**ROW, "demonstration": program}).reason == "missing_step"
    )


@pytest.mark.parametrize("task", [None, "sort", "colour"])
def test_text_and_list_answers_work_in_the_default_gate(task):
    gate = load_gate("auto")
    sort = {"messages": [], "demonstration": "sorted: 12 25 31 #", "answer": "12, 25, 31", "task": task}
    assert gate.verify(sort, "The smallest is 12, then 25, then 31. The answer is 12, 25, 31.").accepted
    assert gate.verify(sort, "The answer is 12, 31, 25.").reason == "wrong_answer"
    colour = {"messages": [], "demonstration": "sky(colour) := blue", "answer": "blue", "task": task}
    assert gate.verify(colour, "The sky is blue. The answer is blue.").accepted
    assert gate.verify(colour, "The sky is red. The answer is red.").reason == "wrong_answer"


def test_a_choice_letter_may_be_given_as_the_text_of_the_choice():
    row = {
        "messages": [{"role": "user", "content": "Which is a colour?\nA. stone\nB. blue\nC. seven"}],
        "demonstration": "It is the second.\nAnswer: B",
        "answer": "B",
        "task": "choice",
    }
    gate = load_gate("auto")
    assert gate.verify(row, "Stone and seven are none. The answer is blue.").accepted
    assert gate.verify(row, "The answer is (B) blue.").accepted
    assert gate.verify(row, "The answer is C.").reason == "wrong_answer"
    assert gate.verify(row, "The answer is stone.").reason == "wrong_answer"


def test_the_text_preset_needs_no_reference():
    row = {"messages": [], "demonstration": "Plants eat light.", "answer": None, "task": "text"}
    assert load_gate("auto").verify(row, "Light feeds the plants.").accepted


def test_verify_many_keeps_the_order_and_refuses_different_lengths():
    gate = load_gate("math")
    said = gate.verify_many([ROW, ROW], [GOOD, ""], ["stop", "stop"])
    assert [v.reason for v in said] == ["", "empty"]
    with pytest.raises(ValueError, match="zip"):
        gate.verify_many([ROW], [GOOD, GOOD])


def test_worker_processes_decide_alike_and_keep_the_order():
    gate = load_gate("math")
    completions = [GOOD, GOOD.replace("is 34", "is 35"), "", DEMONSTRATION] * 300
    rows = [ROW] * len(completions)
    assert gate.verify_many(rows, completions, workers=2) == gate.verify_many(rows, completions)


def test_a_check_that_breaks_has_not_decided():
    def broken(a: str, b: str) -> float:
        raise RuntimeError("the model is gone")

    config = GateConfig(checks=(FormatCheck(), SimilarityCheck()))
    said = load_gate(config, {"similarity": broken}).verify(ROW, GOOD)
    assert (said.status, said.reason) == (VerdictStatus.UNVERIFIABLE, "check_error")
    assert "the model is gone" in said.checks[1].message


def test_the_id_follows_checks_and_thresholds_and_not_the_name():
    one = Gate(GateConfig(name="a"))
    assert one.id == Gate(GateConfig(name="b")).id and len(one.id) == 16
    assert one.id != Gate(GateConfig(checks=(AnswerCheck(),))).id
    assert (
        Gate(GateConfig(checks=(CopyCheck(),))).id
        != Gate(GateConfig(checks=(CopyCheck(max_containment=0.5),))).id
    )
    assert len({load_gate(name).id for name in ("math", "strict", "choice", "text", "code", "auto")}) == 6


def test_a_gate_file_is_read_and_its_mistakes_are_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("checks:\n  - type: format\n    max_ratio: 2.5\n  - type: answer\n")
    gate = load_gate(path)
    assert gate.name == "mine"
    assert gate.config.checks == (FormatCheck(max_ratio=2.5), AnswerCheck())
    path.write_text("checks:\n  - type: format\n    max_rato: 2.5\n")
    with pytest.raises(UsageError, match="max_rato"):
        load_gate(path)
    with pytest.raises(UsageError, match=r"nosuch.*preset"):
        load_gate("nosuch")
    with pytest.raises(UsageError, match="at least one"):
        Gate(GateConfig(checks=()))


class Remembers:
    """A model that is asked for many rows at once, and counts how often it had to think."""

    def __init__(self, broken: bool = False) -> None:
        self.known: dict[tuple[str, str], float] = {}
        self.batches: list[int] = []
        self.broken = broken

    def prepare(self, asked):
        if self.broken:
            raise RuntimeError("no batch today")
        self.batches.append(len(asked))
        self.known.update(dict.fromkeys(asked, 0.9))

    def __call__(self, a, b):
        if (a, b) not in self.known:
            self.prepare([(a, b)])
        return self.known[a, b]


def test_a_model_is_asked_once_for_all_rows():
    model = Remembers()
    gate = Gate(GateConfig(checks=(SimilarityCheck(),)), {"similarity": model})
    texts = [f"There are {n} pens." for n in range(20)]
    assert all(said.accepted for said in gate.verify_many([ROW] * 20, texts))
    assert model.batches == [20]
    assert gate.verify(ROW, texts[0]).accepted and model.batches == [20]


def test_a_batch_that_breaks_is_an_error_of_the_check_and_not_of_the_run():
    gate = Gate(GateConfig(checks=(SimilarityCheck(),)), {"similarity": Remembers(broken=True)})
    (said,) = gate.verify_many([ROW], ["There are 34 pens."])
    assert (said.status, said.reason) == (VerdictStatus.UNVERIFIABLE, "check_error")
