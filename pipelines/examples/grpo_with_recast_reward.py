"""A GRPO run of one's own, on TRL alone, with recast's gate and alignment as its reward.

    python pipelines/examples/grpo_with_recast_reward.py out/grpo

The policy is a LoRA on the pocket, the small backbone that ships with recast. It is shown a question with its expert's
solution and asked to retell it; the reward is 0 where the gate refuses what it wrote, else 1 and more the more the
text is like what the bare backbone would have written. Nothing here is particular to the pocket: put a model folder, a
version of your own and more steps in its place.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

import recast
from recast.agent.prompts import templates
from recast.pipelines.demo.files import write_demonstrations
from recast.pipelines.models.names import model_path

STEPS, PROMPTS, CANDIDATES = 3, 4, 4


def main(out: str = "out/grpo") -> list[dict]:
    """Train for STEPS steps; TRL's log, a mapping a step."""
    demos = write_demonstrations(Path(out) / "demos.jsonl", num=64, style="latex", seed=0)
    recast.import_(demos, to="craft")
    rows = recast.load("craft").map(
        lambda row: {"prompt": templates.rewrite(row["messages"], row["demonstration"])}
    )
    tokenizer = AutoTokenizer.from_pretrained(model_path("pocket"))
    backbone = AutoModelForCausalLM.from_pretrained(model_path("pocket"))
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(backbone, lora)
    reward = recast.reward(model, tokenizer, gate="math", group_size=CANDIDATES)
    settings = GRPOConfig(
        output_dir=out,
        max_steps=STEPS,
        learning_rate=1e-3,
        per_device_train_batch_size=PROMPTS * CANDIDATES,
        num_generations=CANDIDATES,
        max_completion_length=96,
        scale_rewards="none",  # dividing by the spread would blow small differences of alignment up
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        report_to="none",
    )
    trainer = GRPOTrainer(model, reward, args=settings, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "reward" in entry]


if __name__ == "__main__":
    for step in main(*sys.argv[1:]):
        print({name: step[name] for name in ("reward", "loss", "completions/mean_length")})
