"""TRL's SFTTrainer as this project runs it: given token ids in a given order, an objective, curves, safe resume.

Owns how a step's loss is made of the objective's, the curves on disk, when training stops early, and which
checkpoint may be resumed from. It is built by `sft_trainer` because TRL and torch take seconds to import.
Hyper-parameters come from `train.sft.config.SftConfig`; rows and their order from `train.sft.examples` and
`train.sft.mixture`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import ModelError
from recast.curate.files import append_line
from recast.train.model.checkpoints import STATE, forget_after, last_checkpoint
from recast.train.model.lora import lora_config
from recast.train.sft.examples import Example
from recast.train.sft.objective_names import CONCENTRATION, Objective

if TYPE_CHECKING:
    from recast.train.sft.config import SftConfig, TuningConfig

Progress = Callable[[Mapping[str, Any]], None]

HELDOUT_METRIC = "eval_loss"


def sft_trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    order: Sequence[int],
    config: SftConfig,
    *,
    heldout: Sequence[Example],
    checkpoints: Path,
    curve: Path,
    heldout_curve: Path,
    bf16: bool,
    progress: Progress | None,
) -> Any:
    """Build the trainer that sees `examples` in `order`, `config.batch_size` a step, once through."""
    import transformers
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from recast.train.sft.objectives import apply
    from recast.train.sft.scoring import mean_nll
    from recast.train.sft.telemetry import MEANS, GateMeans

    objective = Objective.parse(config.objective)
    shown = ("loss",) if config.objective == "nll" else ("loss", "nll", "gate")

    class CompletionTrainer(SFTTrainer):
        means = GateMeans(objective)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            needs = objective.needs
            if (self.state.global_step + 1) % self.args.logging_steps == 0:
                needs |= {CONCENTRATION}  # nothing but the curve needs it at other objectives
            names = ("input_ids", "attention_mask", "labels")
            found = model(**{name: inputs[name] for name in names}, needs=needs)
            loss, gate = apply(objective, found)
            self.means.add(found, gate)
            # the number of trained tokens is that of all processes, and gradients are averaged over them
            return loss.sum() * self.accelerator.num_processes / num_items_in_batch

        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            pad_id, size = tokenizer.pad_token_id, self.args.per_device_train_batch_size
            found = mean_nll(self.model, heldout, pad_id=pad_id, batch_size=size, bf16=bf16)
            metrics = {HELDOUT_METRIC: found}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "loss" in logs:
                logs |= self.means.flush()
            super().log(logs, start_time)

        def _send_telemetry(self) -> None:
            """Nothing leaves the machine."""

    steps = math.ceil(len(order) / config.batch_size)
    if config.lora_rank is None and config.dropout:
        _drop_out(model, config.dropout)
    args = SFTConfig(
        **arguments(
            config,
            steps,
            checkpoints=checkpoints,
            bf16=bf16,
            on_cpu=model.device.type == "cpu",
            measured=bool(heldout),
            logging_steps=max(1, steps // 200),
        ),
        # Token ids and labels are given: nothing is tokenised, masked, cut or shuffled again.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        loss_type="nll",  # unused: `compute_loss` is ours
        router_aux_loss_coef=0.0,  # or TRL has mixtures of experts return their routing, in the saved config, too
    )
    data = Dataset.from_dict({"input_ids": [e.ids for e in examples], "labels": [e.labels for e in examples]})
    callbacks: list[transformers.TrainerCallback] = [
        curve_writer(curve, heldout_curve, steps, config.epochs, MEANS, shown, progress)
    ]
    if config.patience is not None:
        callbacks.append(early_stopping(config.patience))
    of_text = model.config.get_text_config()
    router_coef = getattr(of_text, "router_aux_loss_coef", None)
    trainer = CompletionTrainer(
        model=model,
        args=args,
        train_dataset=data.select(order),
        eval_dataset=data.select([0]) if heldout else None,  # stands for `heldout`, which `evaluate` reads
        processing_class=tokenizer,
        peft_config=lora(model, config),
        callbacks=callbacks,
    )
    if router_coef is not None:
        of_text.router_aux_loss_coef = router_coef  # the model's own, which TRL has overwritten
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, never to stdout
    return trainer


def arguments(
    config: TuningConfig,
    steps: int,
    *,
    checkpoints: Path,
    bf16: bool,
    on_cpu: bool,
    measured: bool,
    logging_steps: int,
) -> dict[str, Any]:
    """Arguments of a transformers trainer that takes rows in a given order, once through, in `steps` steps.

    Held-out rows are `measured` on the configuration's schedule; with its `patience` the best weights are kept.
    """
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)  # `train.sft.micro_batch`
    every = max(1, steps // config.evaluations)
    best: dict[str, Any] = {}
    if config.patience is not None:  # the best weights are those of a checkpoint
        best = {"metric_for_best_model": HELDOUT_METRIC, "greater_is_better": False}
        save = {"save_strategy": "steps", "save_steps": every}
    elif config.checkpoints:
        save = {"save_strategy": "steps", "save_steps": max(1, math.ceil(steps / (config.checkpoints + 1)))}
    else:
        save = {"save_strategy": "no"}
    return {
        "output_dir": str(checkpoints),
        "num_train_epochs": 1,  # the order holds all epochs
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": config.batch_size // micro,
        "learning_rate": config.lr,
        "lr_scheduler_type": config.schedule if config.schedule != "constant" else "constant_with_warmup",
        "warmup_steps": math.ceil(config.warmup * steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "bf16": bf16,
        "use_cpu": on_cpu,
        "gradient_checkpointing": config.gradient_checkpointing,
        "logging_strategy": "steps",
        "logging_steps": logging_steps,
        "eval_strategy": "steps" if measured else "no",
        "eval_steps": every,
        "save_total_limit": 1 if config.patience is None else 2,  # the best and the last
        "seed": config.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": not on_cpu,
        **save,
        **best,
    }


def train(trainer: Any, patience: int | None) -> dict[str, Any]:
    """Run or go on to the end; afterwards the trainer's model has the last weights, or the best with `patience`.

    Returns the trainer's state: `global_step` where it stopped, `best_global_step`, `best_metric`.
    """
    folder = Path(trainer.args.output_dir)
    checkpoint = last_checkpoint(folder)
    state = json.loads((checkpoint / STATE).read_text()) if checkpoint else None
    # killed after the decision to stop: another step would be one that an uninterrupted run never made
    if state is None or not is_over(state["log_history"], patience):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        state = {
            name: getattr(trainer.state, name)
            for name in ("global_step", "best_global_step", "best_metric", "best_model_checkpoint")
        }
    if patience is not None:
        _restore(trainer.model, folder / f"checkpoint-{state['best_global_step']}")
    return state


def is_over(history: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether the last `patience` held-out losses all failed to be a new best."""
    losses = [point[HELDOUT_METRIC] for point in history if HELDOUT_METRIC in point]
    return (
        patience is not None
        and len(losses) - 1 - min(range(len(losses)), key=losses.__getitem__, default=0) >= patience
    )


def early_stopping(patience: int) -> Any:
    """A callback that ends training where `is_over` says so."""
    from transformers import TrainerCallback

    class EarlyStopping(TrainerCallback):
        """Decides from the state's own history, so that a resumed run decides the same."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step >= state.max_steps:
                control.should_evaluate = control.should_save = True  # the last weights may be the best

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if is_over(state.log_history, patience):
                control.should_training_stop = True

    return EarlyStopping()


def _restore(model: Any, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into `model`."""
    from safetensors.torch import load_model

    if (checkpoint / "adapter_config.json").exists():
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(str(checkpoint), device="cpu"))
    elif (checkpoint / "model.safetensors").exists():
        load_model(model, checkpoint / "model.safetensors", strict=False)  # tied weights are stored once
    else:
        from transformers.trainer_utils import load_sharded_checkpoint

        load_sharded_checkpoint(model, str(checkpoint), strict=False)


def _drop_out(model: Any, share: float) -> None:
    """Set every dropout of the architecture. Raises ModelError where it has none."""
    import torch

    found = 0
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p, found = share, found + 1
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout, found = share, found + 1
    if not found:
        raise ModelError(
            f"{type(model).__name__} has no dropout to set to {share:g}. Leave sft.dropout at 0, or train a LoRA "
            "(sft.lora_rank), which brings its own."
        )


def lora(model: Any, config: TuningConfig) -> Any:
    """PEFT's configuration of the LoRA that is trained, None where all weights are."""
    if config.lora_rank is None:
        return None
    return lora_config(model, config.lora_rank, config.lora_alpha or config.lora_rank, config.dropout)


def curve_writer(
    path: Path,
    heldout: Path,
    steps: int,
    epochs: int,
    means: Sequence[str],
    shown: Sequence[str],
    progress: Progress | None,
) -> Any:
    """A callback that writes a line a logged step: loss, `means` and learning rate; held-out losses to `heldout`.

    `progress` gets those of them that are `shown`.
    """
    from transformers import TrainerCallback

    started = time.monotonic()

    class CurveWriter(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # a resumed run repeats the steps after its checkpoint: their points are dropped first
            for file in (path, heldout):
                forget_after(file, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            step = state.global_step
            place = {"step": step, "epoch": round(step / steps * epochs, 4)}
            if HELDOUT_METRIC in logs:
                measured = {
                    name.removeprefix("eval_"): v for name, v in logs.items() if name.startswith("eval_")
                }
                append_line(heldout, {**place, **measured})
            if "loss" not in logs:
                return
            measured = {name: logs[name] for name in ("loss", "grad_norm", *means) if name in logs}
            append_line(path, {**place, **measured, "lr": logs.get("learning_rate")})
            if progress:
                said = {name: measured[name] for name in shown if name in measured}
                progress({"step": step, "steps": steps, **said, "seconds": time.monotonic() - started})

    return CurveWriter()
