"""New questions from rows, over a fake engine that knows sums; and the user turn of a real template."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import pytest

from recast.agent.engines.protocol import Sample
from recast.agent.engines.user_turn import UserTurn
from recast.agent.new_rows.augment import AugmentConfig, augment, solving_gate
from recast.agent.prompts.config import PromptsConfig
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.curate.errors import UsageError
from recast.curate.gate.gate import load_gate

GATE = solving_gate(load_gate("math"))


class Sums:
    """Writes and solves questions like `What is 3 + 4?`. `asks[row number]` is the question that it writes."""

    name, fingerprint, has_adapter = "fake", "0" * 16, False

    def __init__(self, asks=(), wrong_on=(), unsure_of=(), forgets=()):
        self.asks, self.wrong_on, self.unsure_of, self.forgets = list(asks), wrong_on, unsure_of, forgets
        self.solved = []

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        assert adapter is False
        return [[self._one(p[-1]["content"], j) for j in range(k)] for p in prompts]

    def _one(self, text, j):
        if "Write one new question" in text:
            said = self.asks.pop(0) if self.asks else "What is 90 + 1?"
        elif "Write the question that this solution answers" in text:
            a, b = re.findall(r"(\d+) \+ (\d+)", text)[0]
            said = "What is 1 + 1?" if a in self.forgets else f"What is {a} + {b}?"
        else:
            self.solved.append(text)
            a, b = (int(n) for n in re.findall(r"\d+", text)[:2])
            total = a + b + (1 if text in self.wrong_on else 0) + (j if text in self.unsure_of else 0)
            said = f"We add {a} + {b} = {total}. The answer is {total}."
        return Sample(said, list(range(len(said))), [-0.5] * len(said), "stop")


def rows(num=3):
    return [
        {
            "row_id": f"r{i}",
            "messages": [
                {"role": "system", "content": "Be exact."},
                {"role": "user", "content": f"What is {i} + 3?"},
            ],
            "completion": f"{i} + 3 = {i + 3}\n#### {i + 3}",
            "answer": str(i + 3),
            "task": "sum",
        }
        for i in range(num)
    ]


def run(engine, tmp_path, num=3, **changes):
    config = AugmentConfig(**changes)
    return augment(rows(num), engine, GATE, config, tmp_path, name="sums@v1")


def questions(result):
    return [json.loads(r["messages"])[-1]["content"] for r in result.rows().read_all().to_pylist()]


def test_a_kept_row_is_generated_answered_and_linked_to_the_row_it_came_from(tmp_path):
    result = run(Sums(["What is 20 + 5?"]), tmp_path, num=1)
    (row,) = result.rows().read_all().to_pylist()
    assert (row["decision"], row["answer"], row["source"]) == ("generated", "25", "sums@v1#r0")
    assert row["completion"] == row["demonstration"] == "We add 20 + 5 = 25. The answer is 25."
    assert json.loads(row["messages"]) == [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": "What is 20 + 5?"},
    ]
    assert json.loads(row["meta"])["from"] == {"version": "sums@v1", "row_id": "r0", "target": 0}
    assert row["nll_completion"] == 0.5 and row["gate_id"] == GATE.id and row["run_id"] == result.fingerprint


def test_what_is_dropped_says_why(tmp_path):
    asks = ["What is 20 + 5?", "What is 1 + 3?", "What is 40 + 4?", "What is 20 + 5?", "What is 30 + 2?"]
    # row 1's question is that of the source row 1; row 3's repeats row 0's
    engine = Sums(asks, unsure_of=["What is 40 + 4?"], wrong_on=["What is 5 + 3?"], forgets=["30"])
    result = run(engine, tmp_path, num=6, batch_rows=6)
    assert questions(result) == ["What is 20 + 5?"]
    assert result.reasons == {
        "duplicate": 2, "solutions_disagree": 1, "not_found_again": 1, "source_not_solved": 1,
    }  # fmt: skip
    assert result.num_proposals == 6 == result.num_kept + sum(result.reasons.values())


def test_new_questions_and_their_questions_are_asked_for_by_the_prompts_given(tmp_path):
    class Listens(Sums):
        heard: ClassVar[list[str]] = []

        def _one(self, text, j):
            self.heard.append(text)
            return super()._one(text, j)

    def listens() -> Any:
        return Listens(asks=["What is 20 + 5?"])

    asked = Prompts(
        PromptsConfig(
            another="{{ question }} / {{ demonstration }}: Write one new question, please.",
            question="{{ solution }}: Write the question that this solution answers, please.",
        )
    )
    config = AugmentConfig(solutions=2)
    plain, given = (
        augment(
            rows(1),
            listens(),
            GATE,
            config,
            tmp_path / name,
            name="v",
            prompts=prompts,
        )
        for name, prompts in (("plain", DEFAULT), ("given", asked))
    )
    assert "What is 0 + 3? / 0 + 3 = 3\n#### 3: Write one new question, please." in Listens.heard
    assert (
        "We add 20 + 5 = 25. The answer is 25.: Write the question that this solution answers, please."
        in Listens.heard
    )
    assert questions(given) == ["What is 20 + 5?"] and given.fingerprint != plain.fingerprint


def test_agreement_on_a_wrong_sum_is_refused_by_the_gate(tmp_path):
    result = run(Sums(["What is 20 + 5?"], wrong_on=["What is 20 + 5?"]), tmp_path, num=1)
    assert result.reasons == {"false_equality": 1}


def test_a_kind_that_the_backbone_cannot_solve_gives_no_rows_and_costs_no_questions(tmp_path):
    engine = Sums(wrong_on=[f"What is {i} + 3?" for i in range(3)])
    result = run(engine, tmp_path)
    assert result.reasons == {"source_not_solved": 3} and result.num_kept == 0
    assert len(engine.solved) == 6, "two samples for each source row, and nothing else"
    assert run(engine, tmp_path / "b", known_kind=False).num_kept == 1


def test_the_same_call_goes_on_and_ends_in_the_same_rows(tmp_path):
    asks = ["What is 20 + 5?", "What is 40 + 4?", "What is 30 + 2?"]
    whole = run(Sums(asks), tmp_path / "a", batch_rows=1)

    class Dies(Sums):
        def sample(self, prompts, *args, **kwargs):
            if "30 + 2" in prompts[0][-1]["content"]:
                raise KeyboardInterrupt
            return super().sample(prompts, *args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        run(Dies(asks), tmp_path / "b", batch_rows=1)
    left = len(list((tmp_path / "b" / "parts").glob("*.parquet")))
    assert left < 3
    again = run(Sums(asks[left:]), tmp_path / "b", batch_rows=1)
    assert sorted(questions(again)) == sorted(questions(whole))


def test_an_engine_that_cannot_begin_a_user_turn_says_so(tmp_path):
    with pytest.raises(UsageError, match="cannot begin a user turn"):
        run(Sums(), tmp_path, questions="continue")


def test_a_user_turn_is_begun_in_the_models_own_template(tiny_model):
    from recast.agent.engines.hf.engine import HFEngine

    engine = HFEngine.load(tiny_model, device="cpu")
    turn = UserTurn.of(engine)
    assert (turn.head, turn.tail) == ("<|im_start|>user\n", "<|im_end|>")
    assert engine.tokenizer.decode(turn.ids("Tom has")) == "<|im_start|>user\nTom has"
    ended, cut = (
        Sample(" 12 apples.\n\nSolution:", [1], [0.0], "stop"),
        Sample(" 12 ap", [1], [0.0], "length"),
    )
    assert turn.question("Tom has", ended) == "Tom has 12 apples.\n\nSolution:"
    assert turn.question("Tom has", ended, paragraphs=1) == "Tom has 12 apples."
    assert turn.question("Tom has", cut) is None
    whole_paragraph = Sample(" 12 apples.\n\nSol", [1], [0.0], "length")
    assert turn.question("Tom has", whole_paragraph, paragraphs=1) == "Tom has 12 apples."


def test_continued_questions_begin_like_their_source(tiny_model, tmp_path):
    from recast.agent.engines.hf.engine import HFEngine

    engine = HFEngine.load(tiny_model, device="cpu")
    config = AugmentConfig(
        questions="continue", known_kind=False, max_tokens=8, max_question_tokens=8, beginning=0.5
    )
    result = augment(rows(2), engine, GATE, config, tmp_path, name="sums@v1")
    assert result.num_proposals == 2 and result.num_kept == 0, "a random model writes nothing that agrees"
