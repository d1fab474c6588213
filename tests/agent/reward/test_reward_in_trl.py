"""The reward in a GRPO run that is nobody's but TRL's: one import, one copy of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.prompts import templates
from recast.agent.reward.alignment import AnchorCache
from recast.agent.reward.scorer import ScoredGroup, Scorer, Weights
from tests.fakes.gates import LetterGate
from tests.fakes.learning import ROWS
from tests.fakes.models import load, make_model


def test_the_reward_serves_as_a_reward_function_of_plain_trl(tmp_path: Path) -> None:
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from trl import GRPOConfig, GRPOTrainer

    plain, tokenizer = load(make_model("llama", tmp_path / "model"))
    model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    engine = HFEngine(model, tokenizer)
    anchors = AnchorCache(engine, tokenizer, own_samples=1, max_tokens=8)
    scorer = Scorer(engine, LetterGate(), anchors, Weights.of("anchored"))
    seen: list[ScoredGroup] = []
    rows = [
        {
            "prompt": templates.rewrite(row["messages"], row["demonstration"]),
            **{name: row[name] for name in ("messages", "demonstration", "answer")},
        }
        for row in ROWS[:4]
    ]
    args = GRPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=8,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
    )
    reward = scorer.reward_func(group_size=4, on_scored=seen.extend)
    trainer: Any = GRPOTrainer(
        model,
        reward_funcs=reward,
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    assert [len(group.texts) for group in seen] == [4, 4]
    logged = next(entry for entry in trainer.state.log_history if "reward" in entry)
    rewards = [r for g in seen if any(g.accepted) for r in g.rewards if r is not None]
    assert rewards and abs(logged["reward"] - sum(rewards) / len(rewards)) < 1e-5
