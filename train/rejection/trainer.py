"""A transformers trainer whose rows are groups of candidates: the loss of a step, its curve, when it gives way.

Owns how `train.rejection.losses` meet the tokens of a batch and what is logged of them. Order, arguments, early
stopping and resumption are those of `train.sft.trainer`.

The weights of the terms that push away are a pure function of the logged steps (`eased`), so that a resumed run eases
as an uninterrupted one does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from recast.train.rejection import losses
from recast.train.rejection.groups import Encoded
from recast.train.sft.examples import collate
from recast.train.sft.objective_names import Objective
from recast.train.sft.objectives import apply
from recast.train.sft.scoring import autocast, on_device
from recast.train.sft.trainer import HELDOUT_METRIC, Progress, arguments, curve_writer, early_stopping, lora

if TYPE_CHECKING:
    from recast.train.rejection.config import RejectConfig

GAIN = "gain_accepted"
MEANS = (
    "accepted", "margin", "apart", "unlikelihood", "ambiguity", "nft", GAIN, "gain_refused", "ordered", "eased",
)  # fmt: skip
"""Of a logged step: the terms, the share of pairs that are as far apart as the margin asks, mean s - s_0 of accepted
and of refused candidates, the share of pairs in which the accepted one is the likelier, and what `eased` has left of
the weights."""
EASINGS = 3  # after so many, training stops


class Batch(NamedTuple):
    """Candidates of some groups, one after the other, as a model takes them."""

    groups: list[int]
    tensors: dict[str, Tensor]


class Measured(NamedTuple):
    """One candidate under the model."""

    logp: Tensor  # (T,) of its tokens, nats
    cost: Tensor  # (T,) of the objective
    entropy: Tensor  # (t,) of the tokens of its answer


def batch_of(encoded: Sequence[Encoded], groups: Sequence[int], pad_id: int) -> Batch:
    """The candidates of `groups`, padded to (N, T); `entropy_at` (N, T - 1) marks what predicts the answers' tokens."""
    said = [s for i in groups for s in encoded[i].said]
    tensors = collate([s.example for s in said], pad_id)
    answers = torch.zeros_like(tensors["labels"][:, 1:], dtype=torch.bool)
    for n, s in enumerate(said):
        begin, end = s.answer
        first = s.example.num_prompt - 1  # the position that predicts the completion's first token
        answers[n, first + begin : first + end] = True
    return Batch(list(groups), {**tensors, "entropy_at": answers})


def measured(
    model: Any, encoded: Sequence[Encoded], batch: Batch, objective: Objective
) -> list[list[Measured]]:
    """Every candidate of every group of `batch` under `model`, with gradients where they are on."""
    found, entropy = model(**batch.tensors, needs=objective.needs)
    cost = apply(objective, found).loss
    said = [s for i in batch.groups for s in encoded[i].said]
    lengths = [s.example.num_trained for s in said]
    answers = [end - begin for begin, end in (s.answer for s in said)]
    pieces = zip(found.logp.split(lengths), cost.split(lengths), entropy.split(answers), strict=True)
    each = [Measured(logp, of_token, of_answer) for logp, of_token, of_answer in pieces]
    return list(_grouped(each, [len(encoded[i].said) for i in batch.groups]))


def loss_of(
    encoded: Encoded,
    said: Sequence[Measured],
    start: Sequence[Tensor],
    config: RejectConfig,
    vocabulary: int,
    scale: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one group and its figures (`MEANS`). `start` has the tokens' log-probabilities as training began.

    `scale` (0 to 1) is that of the terms beside the accepted candidates' own. Where nobody passed, margin and
    unlikelihood count half: the expert's text is no text of the model's, so refused ones lie closer to it.
    """
    right = [i for i, s in enumerate(encoded.said) if s.right]
    wrong = [i for i, s in enumerate(encoded.said) if not s.right]
    gain = [said[i].logp.mean() - start[i].mean() for i in range(len(said))]
    figures = {GAIN: _mean(gain, right).detach()}
    if wrong:
        likelier = [float(said[a].logp.mean() > said[r].logp.mean()) for a in right for r in wrong]
        figures |= {
            "gain_refused": _mean(gain, wrong).detach(),
            "ordered": gain[0].new_tensor(sum(likelier) / len(likelier)),
        }
    share = encoded.group.share
    if config.method == "nft":
        costs = [
            losses.nft(m.logp, s, e.right, share) for m, s, e in zip(said, start, encoded.said, strict=True)
        ]
        cost = torch.cat(costs).mean()
        return cost, figures | {"nft": cost.detach()}
    terms = {"accepted": torch.stack([said[i].cost.mean() for i in right]).mean()}
    total = terms["accepted"]
    away = scale * (0.5 if encoded.group.by_expert else 1.0)
    if wrong and config.margin_weight:
        gained, kept = (torch.stack([gain[i] for i in chosen]) for chosen in (right, wrong))
        terms["margin"] = losses.margin(gained, kept, config.margin)
        figures["apart"] = losses.apart(gained, kept, config.margin)
        total = total + away * config.margin_weight * terms["margin"]
    if wrong and config.unlikelihood_weight:
        pushed = [
            losses.unlikelihood(
                said[i].logp,
                losses.penalised(said[i].logp, encoded.said[i].wrong, config.floor),
                config.bounded,
            )
            for i in wrong
        ]
        terms["unlikelihood"] = torch.stack(pushed).mean()
        total = total + away * config.unlikelihood_weight * terms["unlikelihood"]
    if config.ambiguity_weight:
        entropies = torch.cat([said[i].entropy for i in right])
        terms["ambiguity"] = losses.ambiguity(entropies, vocabulary, share)
        total = total + scale * config.ambiguity_weight * terms["ambiguity"]
    return total, figures | {name: value.detach() for name, value in terms.items()}


def eased(history: Sequence[Mapping[str, Any]], fall_steps: int) -> int:
    """How often the logged steps `history` give reason to halve: `fall_steps` in a row below the start, each time."""
    times = below = 0
    for point in history:
        if GAIN in point:
            below = below + 1 if point[GAIN] < 0 else 0
            if below == fall_steps:
                times, below = times + 1, 0
    return times


def reject_trainer(
    model: Any,
    tokenizer: Any,
    encoded: Sequence[Encoded],
    start: Sequence[Sequence[Any]],
    order: Sequence[int],
    heldout: Sequence[int],
    config: RejectConfig,
    *,
    checkpoints: Path,
    curve: Path,
    heldout_curve: Path,
    bf16: bool,
    progress: Progress | None,
) -> Any:
    """Build the trainer that sees the groups `order` of `encoded` once through and measures `heldout`.

    `start` has, for each candidate of each group, the log-probabilities (T,) of its tokens as training begins, as
    numpy arrays.
    """
    from datasets import Dataset
    from peft import get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    objective = Objective.parse(config.objective)
    steps = math.ceil(len(order) / config.batch_size)
    vocabulary = model.config.get_text_config().vocab_size
    ramp = config.ramp * steps

    def group_loss(groups: Sequence[int], found: Sequence[Sequence[Measured]], scale: float) -> Iterator[Any]:
        for i, said in zip(groups, found, strict=True):
            begun = [torch.from_numpy(s).to(said[0].logp.device) for s in start[i]]
            yield loss_of(encoded[i], said, begun, config, vocabulary, scale)

    class RejectTrainer(Trainer):
        model_accepts_loss_kwargs = True  # the loss is divided by the groups of a step, not by its passes

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.means: dict[str, list[Tensor]] = defaultdict(list)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            left = 0.5 ** eased(self.state.log_history, config.fall_steps)
            scale = left * (min(1.0, (self.state.global_step + 1) / ramp) if ramp else 1.0)
            batch = Batch(inputs["groups"], inputs["tensors"])
            total = None
            for cost, figures in group_loss(batch.groups, measured(model, encoded, batch, objective), scale):
                total = cost if total is None else total + cost
                for name, value in figures.items():
                    self.means[name].append(value)
            self.means["eased"].append(torch.tensor(left))
            assert total is not None
            return total * self.accelerator.num_processes / num_items_in_batch

        def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> int:
            return sum(len(batch["groups"]) for batch in batch_samples) * self.accelerator.num_processes

        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            metrics = on_heldout(self.model)
            self.log(dict(metrics))
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            if "loss" in logs:
                logs |= {
                    name: torch.stack(values).float().mean().item() for name, values in self.means.items()
                }
                self.means.clear()
            super().log(logs, start_time)

    def on_heldout(model: Any) -> dict[str, float]:
        model.eval()
        sums: dict[str, list[float]] = defaultdict(list)
        size = max(1, (config.micro_batch_size or config.batch_size))
        for first in range(0, len(heldout), size):
            chosen = list(heldout[first : first + size])
            batch = batch_of(encoded, chosen, tokenizer.pad_token_id)
            batch = batch._replace(tensors=on_device(batch.tensors, model.device))
            with torch.no_grad(), autocast(model, bf16):
                found = measured(model, encoded, batch, objective)
            for cost, figures in group_loss(chosen, found, 1.0):
                sums[HELDOUT_METRIC].append(cost.item())
                for name, value in figures.items():
                    sums[f"eval_{name}"].append(value.item())
        model.train()
        return {name: sum(values) / len(values) for name, values in sums.items()}

    class GiveUp(TrainerCallback):
        """Ends a run whose accepted candidates keep falling, however little is pushed away."""

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if eased(state.log_history, config.fall_steps) >= EASINGS:
                control.should_training_stop = True

    args = TrainingArguments(
        **arguments(
            config,
            steps,
            checkpoints=checkpoints,
            bf16=bf16,
            on_cpu=model.device.type == "cpu",
            measured=bool(heldout),
            logging_steps=1,  # `eased` reads every step
        ),
        remove_unused_columns=False,
    )
    callbacks: list[TrainerCallback] = [
        curve_writer(curve, heldout_curve, steps, config.epochs, MEANS, ("loss", "ordered"), progress),
        GiveUp(),
    ]
    if config.patience is not None:
        callbacks.append(early_stopping(config.patience))
    adapter = lora(model, config)
    trainer = RejectTrainer(
        model=get_peft_model(model, adapter) if adapter else model,
        args=args,
        train_dataset=Dataset.from_dict({"group": list(order)}),
        eval_dataset=Dataset.from_dict({"group": [0]}) if heldout else None,  # stands for `heldout`
        data_collator=lambda rows: batch_of(
            encoded, [r["group"] for r in rows], tokenizer.pad_token_id
        )._asdict(),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, never to stdout
    return trainer


def _mean(values: Sequence[Tensor], chosen: Sequence[int]) -> Tensor:
    return torch.stack([values[i] for i in chosen]).mean()


def _grouped(values: Sequence[Measured], sizes: Sequence[int]) -> Iterator[list[Measured]]:
    first = 0
    for size in sizes:
        yield list(values[first : first + size])
        first += size
