"""TRL's GRPOTrainer as this project runs it: its arguments, the order of prompts, the log-probabilities.

`agent.learning.session` owns the run around it. Arguments are a plain mapping made without TRL, so that what a GPU
would be given can be tested where there is none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recast.agent.engines.hf.kv_cache import attends_to_all
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.shared_prefix import completion_logprobs
from recast.curate.errors import UsageError
from recast.train.model.loading import runs_in_bf16
from recast.train.model.lora import lora_config
from recast.train.model.token_statistics import Head, head_of
from recast.train.model.trl_trainers import trl_trainers

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental in TRL 1.16

LOGITS = 2**28
"""Most logits of a micro-batch that are held at once where they are no matrix times the hidden states; beyond, TRL's
tiled output layer is used, and prompts are not shared."""


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
    if config.vllm == "colocate" and not cuda:
        # seen with vLLM 0.31: on a CPU it packs its weights when it loads, and drops what a step's would be copied into
        raise UsageError(
            "learn.vllm is colocate, and vLLM on a CPU takes no new weights after a step: leave learn.vllm off here."
        )
    rows = config.prompts_per_step * config.candidates // processes
    micro = config.micro_batch or usual_micro_batch(config, rows, cuda=cuda)
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
        # on a CPU only the passes that learn are cast: accelerate would cast sampling and scoring, too, and the probe
        # would be of another arithmetic than the jobs that use the agent
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


def usual_micro_batch(config: LearnConfig, rows: int, *, cuda: bool) -> int:
    """Candidates of a forward pass where memory sets no bound: one prompt's on a GPU, all `rows` at once on a CPU."""
    return config.candidates if cuda else rows


def in_bf16(config: LearnConfig, device: str) -> bool:
    """Whether the passes that learn run in bf16 by autocast.

    Of a backbone that is in bf16 anyway it casts the adapter's products, which takes as long on a CPU and an eighth
    of the memory less (SmolLM2, rank 64, 4 candidates a pass: 2.38 GiB against 2.71).
    """
    return runs_in_bf16(config.precision, device)


def shares_prompts(model_config: Any, head: Head | None, num_scored: int) -> bool:
    """Whether prompts are computed once for all their candidates, of which `num_scored` positions are scored."""
    few = num_scored * model_config.get_text_config().vocab_size < LOGITS
    return (head is not None or few) and attends_to_all(model_config)


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


def grpo_trainer(
    model: Any,
    tokenizer: Any,
    config: LearnConfig,
    out: Path,
    *,
    data: Any,
    reward: Callable[..., list[float | None]],
    draw: Callable[[list[Any], Any], dict[str, Any]] | None,
    on_advantages: Callable[[list[float]], None],
    callback: Any,
    eos_ids: Sequence[int],
    processes: int,
) -> Any:
    """The trainer of a run in `out`; `trainer.model` is `model` with a new LoRA in it.

    `data` is a data set in the order of its prompts, `draw` TRL's `rollout_func` (None: TRL draws by vLLM);
    `on_advantages` gets the advantages of this process's candidates, in their order, once a generation.
    """
    trl = trl_trainers(vllm=config.vllm != "off")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bf16 = in_bf16(config, device)
    if "tensorboard" in config.trackers:  # beside the checkpoints, which are removed in the end
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard"))
    given = arguments(
        config, out / "checkpoints", device=device, bf16=bf16, eos_ids=eos_ids, processes=processes
    )
    trainer = trainer_class()(
        model=model,
        reward_funcs=reward,
        args=trl.GRPOConfig(**given),
        train_dataset=data,
        processing_class=tokenizer,
        # no dropout: it would make the policy that is trained another one than the policy that sampled
        peft_config=lora_config(model, config.lora_rank, config.lora_alpha),
        rollout_func=draw,
        callbacks=[callback],
        on_advantages=on_advantages,
        eos_ids=eos_ids,
        bf16=bf16,
    )
    for shown in list(trainer.callback_handler.callbacks):
        if type(shown).__name__ in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(shown)
    return trainer


def with_advantage(inputs: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The candidates of a micro-batch that have an advantage, and their share of it."""
    chosen = inputs["advantages"] != 0
    if bool(chosen.all()):
        return inputs, 1.0
    kept = {
        name: value[chosen] if isinstance(value, torch.Tensor) and value.shape[:1] == chosen.shape else value
        for name, value in inputs.items()
    }
    return kept, float(chosen.float().mean())


def by_prompt(batches: Sequence[dict[str, Any]], *, idle_last: bool) -> list[dict[str, Any]]:
    """Micro-batches of the same rows and sizes, with candidates of a prompt side by side.

    TRL deals candidates out at random, so that every micro-batch would read nearly all prompts. With `idle_last` those
    without an advantage come last, where whole micro-batches of them cost no pass.
    """
    whole = {
        name: torch.cat([batch[name] for batch in batches])
        if isinstance(value, torch.Tensor) and value.ndim
        else value
        for name, value in batches[0].items()
    }
    idle = (whole["advantages"] == 0).tolist() if idle_last else [False] * len(whole["advantages"])
    prompts = torch.where(whole["prompt_mask"].bool(), whole["prompt_ids"], -1).tolist()
    order = torch.tensor(sorted(range(len(prompts)), key=lambda i: (idle[i], prompts[i])))
    return [
        {
            name: value[rows.to(value.device)] if isinstance(value, torch.Tensor) and value.ndim else value
            for name, value in whole.items()
        }
        for rows in order.tensor_split(len(batches))
    ]


def trainer_class(base: type | None = None) -> Any:
    """A trainer of TRL with the log-probabilities of `agent.learning.shared_prefix` where they apply.

    `base` is `GRPOTrainer` (None) or `RLOOTrainer`; both ask for log-probabilities alike.
    """
    chosen: Any = base or trl_trainers().GRPOTrainer
    logging.getLogger("trl.trainer.grpo_trainer").addFilter(not_about_unrewarded)

    class SharedPrefixTrainer(chosen):
        def __init__(
            self,
            *,
            on_advantages: Callable[[list[float]], None],
            eos_ids: Sequence[int],
            bf16: bool = False,
            **given: Any,
        ) -> None:
            super().__init__(**given)
            self.on_advantages, self.in_bf16 = on_advantages, bf16
            self.eos_token_ids = list(eos_ids)  # TRL's own leave out what the template ends a turn with
            self.head = head_of(self.accelerator.unwrap_model(self.model).get_base_model())

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            found = super()._generate_and_score_completions(inputs)
            self.on_advantages(found["advantages"].tolist())
            return found

        def _prepare_inputs(self, generation_batch: Any) -> Any:
            before = self._buffered_inputs
            inputs = super()._prepare_inputs(generation_batch)
            made = self._buffered_inputs
            if made is before or made is None or len(made) == 1:
                return inputs
            self._buffered_inputs = by_prompt(made, idle_last=not self.beta)
            return self._buffered_inputs[self._step % len(made)]

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
            # without KL a candidate that has no advantage has no gradient; DDP wants a forward in every process
            if self.beta or self.accelerator.num_processes > 1 or not model.training:
                return super()._compute_loss(model, inputs)
            kept, share = with_advantage(inputs)
            if not share:
                return torch.stack([p.sum() for p in model.parameters() if p.requires_grad]).sum() * 0.0
            # all others take means over the candidates that they see, `dapo` over those of the whole step
            dapo = getattr(self, "loss_type", None) == "dapo"
            return super()._compute_loss(model, kept) * (1.0 if dapo else share)

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
            # the reference asks for a whole generation, in pieces of a micro-batch
            size = min(batch_size or len(input_ids), len(input_ids))
            shared = shares_prompts(backbone.config, self.head, size * logits_to_keep)
            cast = (
                torch.autocast("cpu", torch.bfloat16) if self.in_bf16 and self.args.use_cpu else nullcontext()
            )
            if not (plain and alone and shared):
                with cast:
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
            with cast, self.accelerator.autocast():
                parts = [
                    completion_logprobs(
                        backbone,
                        ids,
                        mask,
                        logits_to_keep,
                        head=self.head,
                        temperature=self.temperature,
                        entropies=compute_entropy,
                    )
                    for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True)
                ]
            entropies = [spread for _, spread in parts if spread is not None]
            return torch.cat([logp for logp, _ in parts]), torch.cat(entropies) if entropies else None, None

        def _send_telemetry(self) -> None:
            """Nothing leaves the machine."""

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """None: it is written at every checkpoint and read by nobody."""

    return SharedPrefixTrainer
