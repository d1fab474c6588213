"""GRPO and RLOO by TRL: its arguments, its trainers over this room's answers, and the loss of a hint.

`train.reinforcement.course` owns what is recorded. TRL draws nothing: it gets the answers of `rollouts` and their
rewards, makes advantages of them and moves the adapter.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from recast.train.model.loading import has_fast_bf16
from recast.train.model.lora import lora_config
from recast.train.model.trl_trainers import trl_trainers
from recast.train.reinforcement.config import GRPO, RlConfig
from recast.train.reinforcement.course import Course
from recast.train.reinforcement.machinery import Machinery
from recast.train.reinforcement.prompts import Prompt
from recast.train.reinforcement.rollouts import Batch, Rollouts

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental in TRL 1.16

LOGGED = {"loss": "loss", "grad_norm": "grad_norm", "kl": "kl", "entropy": "entropy", "learning_rate": "lr"}
"""What is taken over from TRL's own log, and under which name."""


def arguments(config: RlConfig, checkpoints: Path, *, device: str, bf16: bool, micro: int) -> dict[str, Any]:
    """Keyword arguments of TRL's GRPOConfig or RLOOConfig, `micro` answers a forward pass."""
    cuda = device == "cuda"
    passes = config.prompts_per_step * config.samples // micro
    found: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "max_steps": config.steps,
        "learning_rate": config.lr,
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "warmup_steps": config.warmup_steps,
        "weight_decay": 0.0,
        "max_grad_norm": config.max_grad_norm,
        "per_device_train_batch_size": micro,
        # one optimizer step a generation: answers are on-policy, and the probability ratio is 1
        "gradient_accumulation_steps": passes,
        "steps_per_generation": passes,
        "num_generations": config.samples,
        "max_completion_length": config.max_tokens,
        "temperature": config.temperature,
        "beta": config.beta,
        "use_cpu": not cuda,
        "bf16": bf16,
        "gradient_checkpointing": cuda,
        "disable_dropout": True,
        "router_aux_loss_coef": 0.0,  # mixtures of experts, too, learn from the reward alone
        "shuffle_dataset": False,  # `prompts.order` has shuffled
        "seed": config.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
    }
    if config.algorithm == GRPO:
        found |= {"loss_type": config.loss_type, "scale_rewards": config.scale_rewards}
    return found


def in_bf16(config: RlConfig, model: Any) -> bool:
    """Whether the passes that learn run in bf16 by autocast; a backbone in bf16 on a CPU needs none."""
    device = model.device.type
    if config.precision == "auto":
        return has_fast_bf16(device) and (device == "cuda" or model.dtype == torch.float32)
    return config.precision == "bf16"


def trainer(
    model: Any,
    tokenizer: Any,
    config: RlConfig,
    machinery: Machinery,
    rollouts: Rollouts,
    course: Course,
    train: Sequence[Prompt],
    steps: Sequence[Sequence[int]],
    *,
    checkpoints: Path,
    eos_ids: Sequence[int],
    micro: int,
) -> Any:
    """The trainer of a run; `trainer.model` is `model` with a new LoRA in it.

    `steps` are the places in `train` of the prompts of each step.
    """
    from datasets import Dataset
    from transformers import TrainerCallback

    trl = trl_trainers()
    device = model.device.type
    args = arguments(config, checkpoints, device=device, bf16=in_bf16(config, model), micro=micro)
    grpo = config.algorithm == GRPO
    base: Any = machinery.trainer(trl.GRPOTrainer if grpo else trl.RLOOTrainer)
    last: dict[str, Any] = {}  # of the step: its answers, and when it began

    def draw(asked: Sequence[Any], step: int) -> Batch:
        prompts = [train[i] for i in steps[step]]
        if [list(p.row.messages) for p in prompts] != list(asked[:: config.samples]):
            raise RuntimeError(f"TRL asks for other prompts than those of step {step + 1}")
        last["batch"] = rollouts.of_step(prompts, step + 1)
        return last["batch"]

    def graded(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return list(last["batch"].rewards)

    class ReinforcementTrainer(base):
        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            found = super()._generate_and_score_completions(inputs)
            lengths = last["batch"].hint_lengths
            return {**found, "hint_lengths": torch.tensor(lengths, device=found["advantages"].device)}

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
            lengths = inputs["hint_lengths"]
            loss = super()._compute_loss(model, inputs)
            if not config.hint_weight or not bool(lengths.any()):
                return loss
            ids, mask, width = hint_rows(inputs, self._tokenizer.pad_token_id)
            logp = self._get_per_token_logps_and_entropies(model, ids, mask, width)[0]
            # of the two trainers TRL's GRPO divides its own loss by the passes of a step
            passes = self.current_gradient_accumulation_steps if grpo else 1
            return loss - config.hint_weight / passes * logp.sum() / mask[:, -width:].sum()

        def _generate(self, prompts: list[Any]) -> Any:
            if grpo:
                return super()._generate(prompts)
            # TRL's RLOO knows no `rollout_func`
            batch = draw(prompts, self.state.global_step)
            said = [[{"role": "assistant", "content": d.text}] for d in batch.drawn]
            return batch.prompt_ids, [d.token_ids for d in batch.drawn], said

    class Recorder(TrainerCallback):
        """Hands what a step was to the course, and ends the run where that says so."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            last["began"] = time.perf_counter()

        def on_log(
            self,
            args: Any,
            state: Any,
            control: Any,
            logs: dict[str, Any] | None = None,
            **kwargs: Any,
        ) -> Any:
            if logs and "loss" in logs:
                taken = {
                    ours: logs[theirs] for theirs, ours in LOGGED.items() if logs.get(theirs) is not None
                }
                seconds = round(time.perf_counter() - last["began"], 4)
                figures = {**last["batch"].figures(), **taken, "seconds": seconds}
                control.should_training_stop |= course.after(state.global_step, figures)
            return control

    def rollout(asked: list[Any], owner: Any) -> dict[str, Any]:
        batch = draw(asked, owner.state.global_step)
        return {
            "prompt_ids": batch.prompt_ids,
            "completion_ids": [d.token_ids for d in batch.drawn],
            "logprobs": [d.logprobs for d in batch.drawn],
        }

    def chosen(columns: Mapping[str, list[int]]) -> dict[str, list[Any]]:
        return {"prompt": [list(train[i].row.messages) for i in columns["place"]]}

    places = [place for step in steps for place in step]
    torch.manual_seed(config.seed)  # of the adapter's first weights
    made = ReinforcementTrainer(
        model=model,
        reward_funcs=graded,
        args=(trl.GRPOConfig if grpo else trl.RLOOConfig)(**args),
        train_dataset=Dataset.from_dict({"place": places}).with_transform(chosen),
        processing_class=tokenizer,
        peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
        callbacks=[Recorder()],
        on_advantages=lambda values: None,
        eos_ids=eos_ids,
        **({"rollout_func": rollout} if grpo else {}),
    )
    for shown in list(made.callback_handler.callbacks):
        if type(shown).__name__ in ("PrinterCallback", "ProgressCallback"):
            made.remove_callback(shown)
    return made


def hint_rows(inputs: Mapping[str, torch.Tensor], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Ids and mask (N, P + H) of the hinted prompts of a micro-batch, each once, and H, the longest hint.

    Prompts are padded on the left and hints on the right, as TRL pads prompts and completions. In `inputs` a prompt
    ends with its hint of `hint_lengths[i]` tokens.
    """
    found: dict[tuple[int, ...], int] = {}
    rows = zip(inputs["prompt_ids"], inputs["prompt_mask"], inputs["hint_lengths"].tolist(), strict=True)
    for ids, mask, length in rows:
        if length:
            found.setdefault(tuple(ids[mask.bool()].tolist()), length)
    width = max(found.values())
    before = max(len(ids) - length for ids, length in found.items())
    shape = (len(found), before + width)
    ids_NT = torch.full(shape, pad_id, dtype=torch.long)
    mask_NT = torch.zeros(shape, dtype=torch.long)
    for n, (ids, length) in enumerate(found.items()):
        begin = before - (len(ids) - length)
        ids_NT[n, begin : begin + len(ids)] = torch.tensor(ids)
        mask_NT[n, begin : begin + len(ids)] = 1
    device = inputs["prompt_ids"].device
    return ids_NT.to(device), mask_NT.to(device), width
