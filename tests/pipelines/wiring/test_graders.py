"""What graders ask, for real: an engine as a judge, a sequence classifier as a reward model."""

from __future__ import annotations

from pathlib import Path

import pytest

import recast
from recast.agent.engines.protocol import Sample
from recast.curate.errors import ModelError
from recast.pipelines.config import Config
from recast.pipelines.wiring.graders import Judges, RewardModels
from recast.train.graders.records import Question
from tests.conftest import ROOT

ASK = [{"role": "user", "content": "2 + 2?"}]


class Engine:
    """Says how it was asked."""

    def __init__(self, reason="stop", text=None):
        self.reason, self.text = reason, text

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        assert k == 1 and not adapter
        said = f"{sampling.temperature} {sampling.top_p} {sampling.max_tokens}"
        return [
            [Sample(f"{said} {seed}" if self.text is None else self.text, [1, 2], [], self.reason)]
            for (seed,) in seeds
        ]


def judges(engine):
    made = Judges(Config().section("judge"), "judge")
    made._open["judge"] = engine
    return made


def test_questions_are_asked_with_their_own_settings_and_greedily_without():
    asked = [Question(ASK), Question(ASK, 8, 0.5, 0.9, 3), Question(ASK)]
    said = judges(Engine())("gpt-4.1", asked)
    assert [reply.text for reply in said] == ["0.0 1.0 1024 0", "0.5 0.9 8 3", "0.0 1.0 1024 0"]
    assert [reply.num_tokens for reply in said] == [2, 2, 2]


@pytest.mark.parametrize(
    ("reason", "text", "error"),
    [
        ("prompt_too_long", "", "longer than the model takes"),
        ("length", " ", "wrote nothing within its limit"),
        ("length", '{"result": 1}', ""),
        ("stop", "", ""),
    ],
)
def test_a_judge_that_could_not_answer_says_why(reason, text, error):
    (reply,) = judges(Engine(reason, text))("judge", [Question(ASK)])
    assert error in reply.error and bool(reply.error) is bool(error)


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "reward"
    AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def test_a_reward_model_gives_a_text_the_same_in_any_batch(reward_model):
    texts = ["4", "The answer is 4, and that is all there is to it.", "5"]
    models = RewardModels()
    together = models(str(reward_model), [(ASK, text) for text in texts])
    alone = [models(str(reward_model), [(ASK, text)])[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together)) == 3


def test_a_text_that_is_too_long_for_a_reward_model_has_no_reward(reward_model):
    assert RewardModels()(str(reward_model), [(ASK, "four " * 20_000), (ASK, "4")])[0] is None


def test_a_model_that_is_no_reward_model_is_refused(tiny_model, tmp_path):
    with pytest.raises(ModelError, match="has 2 labels; expected a reward model, which has one"):
        RewardModels()(str(tiny_model), [(ASK, "4")])
    with pytest.raises(ModelError, match="is no reward model"):
        RewardModels()(str(tmp_path / "none"), [(ASK, "4")])


def test_a_grader_from_python_rewards_as_trl_asks(reward_model, tmp_path):
    file = tmp_path / "grader.json"
    file.write_text(
        '{"type": "multi", "name": "both", "calculate_output": "right + 0 * liked", "graders": {'
        '"right": {"type": "exact", "name": "right", "reference": "{{ item.answer }}"},'
        f'"liked": {{"type": "reward_model", "name": "liked", "model": "{reward_model}"}}}}}}'
    )
    seen = []
    function = recast.grader(file, on_graded=seen.append)
    assert function(prompts=[ASK] * 2, completions=["4", "5"], answer=["4", "4"]) == [1.0, 0.0]
    assert seen[0][0].sub_rewards["liked"] != seen[0][1].sub_rewards["liked"]
    assert function.grader.grade({"answer": "4", "messages": ASK}, "4").reward == 1.0


def test_the_example_grader_loads():
    assert recast.grader(ROOT / "pipelines" / "examples" / "grader.json").__name__ == "answer_and_working"
