"""How trainer, rollouts and log are wired, on a trainer that draws by itself as TRL does with vLLM."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recast.agent.learning import trl_trainer
from recast.agent.learning.learn import learn
from recast.curate.files import read_lines
from tests.agent.learning.test_learn import ROWS, TINY, LetterGate
from tests.fakes.models import load, make_model

DRAWN = {1: "no", 2: "yes"}  # LetterGate passes what holds an e


class DrawsByItself:
    """Two steps of TRL with vLLM: candidates of its own, the reward function, advantages, a log line a step."""

    def __init__(self, **given: Any) -> None:
        from peft import get_peft_model

        assert given["rollout_func"] is None and given["args"].use_vllm
        self.given = given
        self.model = get_peft_model(given["model"], given["peft_config"])
        self.callback_handler = SimpleNamespace(callbacks=given["callbacks"])

    def train(self, resume_from_checkpoint: str | None) -> None:
        size, k = TINY.prompts_per_step, TINY.candidates
        (callback,) = self.given["callbacks"]
        for step, text in DRAWN.items():
            callback.on_step_begin(None, None, None)
            rows = self.given["train_dataset"][(step - 1) * size : step * size]
            columns = {name: [v for v in values for _ in range(k)] for name, values in rows.items()}
            ends = [[self.given["eos_ids"][0]]] * (size * k)
            self.given["reward_funcs"](completions=[text] * (size * k), completion_ids=ends, **columns)
            self.given["on_advantages"]([0.0] * (size * k))
            callback.on_log(
                None, SimpleNamespace(global_step=step), SimpleNamespace(), logs={"loss": 0.5 * step}
            )


def test_every_step_has_figures_of_its_own_where_vllm_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trl_trainer, "trainer_class", lambda: DrawsByItself)
    config = TINY.model_copy(update={"steps": 2, "vllm": "server", "vllm_server": "http://127.0.0.1:1"})
    learn(ROWS, *load(make_model("llama", tmp_path / "model")), LetterGate(), config, tmp_path / "agent")
    steps = [line for line in read_lines(tmp_path / "agent" / "metrics.jsonl") if "heldout" not in line]
    assert [(line["step"], line["loss"], line["pass_rate"]) for line in steps] == [
        (1, 0.5, 0.0),
        (2, 1.0, 1.0),
    ]
    assert [line["groups_all_fail"] for line in steps] == [1.0, 0.0]
