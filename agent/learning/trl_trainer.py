"""TRL's GRPOTrainer as this project runs it: its arguments, the order of prompts, the log-probabilities.

`agent.learning.session` owns the run around it. Arguments are a plain mapping made without TRL, so that what a GPU
would be given can be tested where there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recast.agent.engines.hf.kv_cache import attends_to_all
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.shared_prefix import completion_logprobs
from recast.curate.errors import UsageError

LOGITS = 2**28
"""Most logits of a micro-batch for which they are held at once; beyond, TRL's tiled output layer is used."""


def arguments(
    config: LearnConfig, out: Path, *, device: str, bf16: bool, eos_ids: Sequence[int], processes: int = 1
) -> dict[str, Any]:
    """Keyword arguments of TRL's GRPOConfig for a run on `device`, whose checkpoints go to `out`.

    Any of `eos_ids` ends a candidate. The prompts of a step are shared among `processes`. Raises UsageError where that
    would cut a group apart: group rewards need all candidates of a prompt in one process.
    """
    cuda = device == "cuda"
    if config.prompts_per_step % processes:
        raise UsageError(
            f"learn.prompts_per_step {config.prompts_per_step} cannot be shared among {processes} processes; set a "
            "multiple of their number."
        )
    rows = config.prompts_per_step * config.candidates // processes
    micro = config.micro_batch or (config.candidates if cuda else rows)
    if rows % micro:
        raise UsageError(
            f"learn.micro_batch {micro} does not divide the {rows} candidates of a process "
            f"({config.prompts_per_step} prompts x {config.candidates} / {processes} processes)."
        )
    found: dict[str, Any] = {
        "output_dir": str(out),
        "max_steps": config.steps,
        "learning_rate": config.lr,
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "warmup_steps": config.warmup_steps,
        "weight_decay": 0.0,
        "max_grad_norm": config.max_grad_norm,
        "per_device_train_batch_size": micro,
        # one optimizer step a generation: samples are on-policy, so no second set of log-probabilities is needed, and
        # the probability ratio is 1, which TRL's clipping leaves alone
        "gradient_accumulation_steps": rows // micro,
        "steps_per_generation": rows // micro,
        "num_generations": config.candidates,
        "max_completion_length": config.max_tokens,
        "temperature": config.temperature,
        "beta": config.beta,
        "loss_type": config.loss_type,
        "scale_rewards": config.scale_rewards,
        "use_cpu": not cuda,
        "bf16": cuda and bf16,
        "gradient_checkpointing": cuda,
        # the adapter leaves no parameter unused, and looking for one costs a pass over the graph
        "ddp_find_unused_parameters": False,
        "disable_dropout": True,
        "router_aux_loss_coef": 0.0,  # mixtures of experts, too, learn from the reward alone
        "shuffle_dataset": False,  # `order` has shuffled
        "seed": config.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "report_to": list(config.trackers) or "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
    }
    if config.vllm != "off":
        found |= {
            "use_vllm": True,
            "vllm_mode": config.vllm,
            "vllm_server_base_url": config.vllm_server,
            "vllm_gpu_memory_utilization": config.vllm_memory,
            "generation_kwargs": {"stop_token_ids": list(eos_ids)},
            # weights and cache leave the GPU while it trains
            "vllm_enable_sleep_mode": config.vllm == "colocate",
        }
    return found


def order(num_rows: int, config: LearnConfig) -> list[int]:
    """Row numbers for every prompt slot of the run: shuffled pass after shuffled pass, none cut short.

    TRL's own sampler drops the end of a pass that fills no whole step; here it runs on into the next one. No
    prompt comes twice in a step.
    """
    size, slots = config.prompts_per_step, config.steps * config.prompts_per_step
    found: list[int] = []
    epoch = 0
    while len(found) < slots:
        begun = set(found[len(found) - len(found) % size :])  # of the step that the last pass left unfinished
        fresh = np.random.default_rng([config.seed, epoch]).permutation(num_rows).tolist()
        head = [i for i in fresh if i not in begun][: (size - len(begun)) % size]
        taken = set(head)
        found += head + [i for i in fresh if i not in taken]
        epoch += 1
    return found[:slots]


def not_about_unrewarded(record: logging.LogRecord) -> bool:
    """Drop TRL's warning that no reward was given: it prints the whole row, and here it is an intended outcome."""
    return "All reward functions returned None" not in record.getMessage()


def trainer_class() -> type:
    """TRL's trainer with the log-probabilities of `agent.learning.shared_prefix` where they apply."""
    from trl import GRPOTrainer

    logging.getLogger("trl.trainer.grpo_trainer").addFilter(not_about_unrewarded)

    class SharedPrefixTrainer(GRPOTrainer):
        on_advantages: Callable[[list[float]], None] | None = None
        """Called with the advantages of this process's candidates, in their order."""

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            found = super()._generate_and_score_completions(inputs)
            if self.on_advantages is not None:
                self.on_advantages(found["advantages"].tolist())
            return found

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            compute_aux_loss: bool = False,
            **multimodal: Any,
        ) -> Any:
            backbone = self.accelerator.unwrap_model(model)
            plain = not compute_aux_loss and all(value is None for value in multimodal.values())
            # checkpointing recomputes layers and cannot fill a cache; several processes sync gradients a forward
            alone = self.accelerator.num_processes == 1 and not self.args.gradient_checkpointing
            vocab = backbone.config.get_text_config().vocab_size
            small = input_ids.shape[0] * logits_to_keep * vocab < LOGITS
            if not (plain and alone and small and attends_to_all(backbone.config)):
                return super()._get_per_token_logps_and_entropies(
                    model,
                    input_ids,
                    attention_mask,
                    logits_to_keep,
                    batch_size=batch_size,
                    compute_entropy=compute_entropy,
                    compute_aux_loss=compute_aux_loss,
                    **multimodal,
                )
            with self.accelerator.autocast():
                logprobs, entropies = completion_logprobs(
                    model, input_ids, attention_mask, logits_to_keep, temperature=self.temperature
                )
            return logprobs, entropies if compute_entropy else None, None

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """None: it is written at every checkpoint and read by nobody."""

    return SharedPrefixTrainer
