"""PPO, small and plain: a value head says what is to be expected, and an answer is measured against that.

    reward of token t     -beta (log pi_old - log pi_start), and the grade at the last token
    delta_t             = r_t + V(s_t+1) - V(s_t),  V after the end = 0,  gamma = 1
    A_t                 = delta_t + lambda A_t+1;   target of V: A_t + V(s_t)
    policy              max(-A ratio, -A clip(ratio, 1 - c, 1 + c)),  A whitened over the step
    value               1/2 max((V - target)^2, (V clipped to V_old +- v - target)^2)

V is a linear head on the last hidden state of the same backbone, float32, zero at first, with a learning rate of its
own. For the first `value_warmup` steps only the head learns. Losses are means over an answer's tokens, then over
answers, as in ReFT (arXiv 2401.08967); unlike there the end of turn is a token like any other, as it is drawn.

Legend: N answers, C padded answer tokens.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recast.curate.files import write_json
from recast.train.model.checkpoints import STATE, step_of
from recast.train.model.lora import lora_config
from recast.train.model.statistic_names import FULL_ENTROPY
from recast.train.model.token_statistics import TokenStatistics, head_of, linear_statistics, token_statistics
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.course import Course
from recast.train.reinforcement.prompts import Prompt
from recast.train.reinforcement.rollouts import Batch, Rollouts

VALUE_RATE = 10.0
"""Learning rate of the value head over that of the policy, where none is given."""
WEIGHTS, OPTIMIZER = "value.safetensors", "optimizer.pt"


def gae(reward_NC: Tensor, value_NC: Tensor, mask_NC: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """(advantages, targets of the value), each (N, C), 0 at padding, which is on the right; gamma is 1."""
    mask = mask_NC.to(value_NC.dtype)
    value = value_NC * mask
    advantage = torch.zeros_like(value)
    following_advantage = following_value = torch.zeros_like(value[:, 0])
    for t in range(value.shape[1] - 1, -1, -1):
        delta = (reward_NC[:, t] + following_value - value[:, t]) * mask[:, t]
        following_advantage = advantage[:, t] = delta + lam * following_advantage * mask[:, t]
        following_value = value[:, t]
    return advantage, advantage + value


def token_rewards(score_N: Tensor, kl_NC: Tensor, mask_NC: Tensor, beta: float) -> Tensor:
    """(N, C): -beta KL at every token, and the score of the answer at its last one."""
    found = -beta * kl_NC * mask_NC
    last = mask_NC.sum(dim=1).long() - 1
    return found.scatter_add(1, last.unsqueeze(1), score_N.to(found.dtype).unsqueeze(1))


def whitened(advantage_NC: Tensor, mask_NC: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the tokens of the step."""
    told = advantage_NC[mask_NC.bool()]
    return (advantage_NC - told.mean()) / (told.std(unbiased=False) + 1e-8) * mask_NC


def policy_loss(
    logp: Tensor, old: Tensor, advantage: Tensor, mask: Tensor, clip: float
) -> tuple[Tensor, Tensor]:
    """(loss of every answer (N,), share of its tokens whose ratio was clipped (N,))."""
    ratio = torch.exp(logp - old)
    plain, clipped = -advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)
    return per_answer(torch.max(plain, clipped), mask), per_answer((clipped > plain).float(), mask)


def value_loss(value: Tensor, old: Tensor, target: Tensor, mask: Tensor, clip: float | None) -> Tensor:
    """Loss of every answer (N,)."""
    squared = (value - target).square()
    if clip is not None:
        moved = old + (value - old).clamp(-clip, clip)
        squared = torch.max(squared, (moved - target).square())
    return 0.5 * per_answer(squared, mask)


def per_answer(of_token: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of each answer (N,)."""
    return (of_token * mask).sum(dim=1) / mask.sum(dim=1)


class Answers(NamedTuple):
    """The scored answers of a step as tensors: prompts padded on the left, answers on the right."""

    ids: Tensor  # (N, P + C)
    attended: Tensor  # (N, P + C)
    mask: Tensor  # (N, C) float
    score: Tensor  # (N,)

    def at(self, rows: Any) -> Answers:
        return Answers(*(part[rows] for part in self))


class Pass(NamedTuple):
    """One forward pass over answers, each (N, C), 0 at padding."""

    logp: Tensor
    value: Tensor
    entropy: Tensor | None


def answers(batch: Batch, pad_id: int, device: Any) -> Answers | None:
    """Of the answers that have a reward; None where none has."""
    chosen = [i for i, reward in enumerate(batch.rewards) if reward is not None]
    if not chosen:
        return None
    before = max(len(batch.prompt_ids[i]) for i in chosen)
    width = max(len(batch.drawn[i].token_ids) for i in chosen)
    ids = torch.full((len(chosen), before + width), pad_id)
    attended = torch.zeros_like(ids)
    for n, i in enumerate(chosen):
        row = [*batch.prompt_ids[i], *batch.drawn[i].token_ids]
        begin = before - len(batch.prompt_ids[i])
        ids[n, begin : begin + len(row)] = torch.tensor(row)
        attended[n, begin : begin + len(row)] = 1
    score = torch.tensor([batch.rewards[i] for i in chosen], dtype=torch.float32)
    found = Answers(ids, attended, attended[:, before:].float(), score)
    return Answers(*(part.to(device) for part in found))


class PPO:
    """The policy, its value head and their optimizer. `policy` is the model given with a new LoRA in it."""

    def __init__(self, model: Any, tokenizer: Any, config: RlConfig, *, micro: int, bf16: bool) -> None:
        from peft import get_peft_model
        from transformers import get_scheduler

        self.config, self.micro, self.bf16 = config, micro, bf16
        self.pad_id = tokenizer.pad_token_id
        self.head = head_of(model)
        torch.manual_seed(config.seed)  # of the adapter's first weights
        model.requires_grad_(False)
        self.policy: Any = get_peft_model(model, lora_config(model, config.lora_rank, config.lora_alpha))
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # the policy that learns is the one that drew
        self.learning = (
            model.device.type == "cuda"
        )  # layers are recomputed there, which is done in training mode
        if self.learning:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self.value = torch.nn.Linear(model.config.get_text_config().hidden_size, 1, device=model.device)
        torch.nn.init.zeros_(self.value.weight)
        torch.nn.init.zeros_(self.value.bias)
        self.weights = [p for p in self.policy.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.weights, "lr": config.lr},
                {"params": self.value.parameters(), "lr": config.value_lr or VALUE_RATE * config.lr},
            ],
            weight_decay=0.0,
        )
        updates = config.inner_epochs * config.mini_batches
        named = "constant_with_warmup" if config.schedule == "constant" else config.schedule
        self.scheduler = get_scheduler(
            named,
            self.optimizer,
            num_warmup_steps=config.warmup_steps * updates,
            num_training_steps=config.steps * updates,
        )

    def step(self, batch: Batch, number: int) -> dict[str, Any]:
        """Learn from the answers of step `number` (from 1); figures of it."""
        config = self.config
        told = answers(batch, self.pad_id, self.value.weight.device)
        if told is None:
            return {}
        with torch.no_grad():
            old = self.passed(told, entropy=True)
            kl = torch.zeros_like(old.logp)
            if config.beta:
                with self.policy.disable_adapter():
                    kl = old.logp - self.passed(told).logp
        rewards = token_rewards(told.score, kl, told.mask, config.beta)
        advantage, target = gae(rewards, old.value, told.mask, config.gae_lambda)
        advantage = whitened(advantage, told.mask)
        warming = number <= config.value_warmup
        sums: dict[str, list[float]] = {"policy_loss": [], "value_loss": [], "clip_frac": [], "grad_norm": []}
        for rows in self._mini_batches(len(told.score), number):
            figures = self._update(told, old, advantage, target, rows, warming)
            for name, value in figures.items():
                sums[name].append(value)
        tokens = told.mask.sum()
        valid = told.mask.bool()
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        assert old.entropy is not None
        return {
            "loss": means["policy_loss"] + config.value_weight * means["value_loss"],
            **means,
            "entropy": float((old.entropy * told.mask).sum() / tokens),
            **({"kl": float((kl * told.mask).sum() / tokens)} if config.beta else {}),
            "explained_variance": explained(old.value[valid], target[valid]),
            "lr": float(self.scheduler.get_last_lr()[0]),
        }

    def passed(self, told: Answers, *, entropy: bool = False, warming: bool = False) -> Pass:
        """Log-probabilities and values of all answers, in micro-batches; with gradients where they are on."""
        parts = [self._forward(piece, entropy, warming) for piece in self._pieces(told)]
        return Pass(
            torch.cat([p.logp for p in parts]),
            torch.cat([p.value for p in parts]),
            torch.cat([p.entropy for p in parts if p.entropy is not None]) if entropy else None,
        )

    def _update(
        self,
        told: Answers,
        old: Pass,
        advantage: Tensor,
        target: Tensor,
        rows: Tensor,
        warming: bool,
    ) -> dict[str, float]:
        """One optimizer step on the answers `rows`."""
        config = self.config
        found = {"policy_loss": 0.0, "value_loss": 0.0, "clip_frac": 0.0}
        for piece in rows.split(self.micro):
            now = self._forward(told.at(piece), False, warming)
            mask, share = told.mask[piece], len(piece) / len(rows)
            losses, clipped = policy_loss(now.logp, old.logp[piece], advantage[piece], mask, config.clip)
            squared = value_loss(now.value, old.value[piece], target[piece], mask, config.value_clip)
            loss = squared.mean() * (config.value_weight or 1.0 if warming else config.value_weight)
            if not warming:
                loss = loss + losses.mean()
            (loss * share).backward()
            for name, value in (("policy_loss", losses), ("value_loss", squared), ("clip_frac", clipped)):
                found[name] += float(value.detach().mean()) * share
        norm = torch.nn.utils.clip_grad_norm_([*self.weights, *self.value.parameters()], config.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {**found, "grad_norm": float(norm)}

    def _forward(self, told: Answers, entropy: bool, warming: bool) -> Pass:
        device = told.ids.device.type
        width = told.mask.shape[1]
        inputs = {
            "input_ids": told.ids,
            "attention_mask": told.attended,
            "position_ids": (told.attended.cumsum(dim=1) - 1).clamp(min=0),
            "use_cache": False,
        }
        before = told.ids.shape[1] - width
        valid, target = told.mask.bool(), told.ids[:, before:]
        needs = frozenset({FULL_ENTROPY}) if entropy else frozenset[str]()
        cast = torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext()
        self.policy.train(self.learning)
        with cast:
            hidden, of = self._measured(inputs, before, valid, target, needs)
        value = self.value((hidden.detach() if warming else hidden).float()).squeeze(-1)

        def placed(values: Tensor) -> Tensor:
            return torch.zeros_like(told.mask).masked_scatter(valid, values.float())

        return Pass(
            placed(of.logp), placed(value), None if of.full_entropy is None else placed(of.full_entropy)
        )

    def _measured(
        self, inputs: dict[str, Any], before: int, valid: Tensor, target: Tensor, needs: frozenset[str]
    ) -> tuple[Tensor, TokenStatistics]:
        """Hidden states (M, H) that predict the valid tokens, and statistics of these."""
        causal_lm, temperature = self.policy.get_base_model(), self.config.temperature
        if self.head is not None:
            hidden = causal_lm.base_model(**inputs).last_hidden_state[:, before - 1 : -1][valid]
            return hidden, linear_statistics(hidden, self.head, target[valid], needs, temperature=temperature)
        found = causal_lm(**inputs, output_hidden_states=True)
        logits = found.logits[:, before - 1 : -1][valid].float() / temperature
        hidden = found.hidden_states[-1][:, before - 1 : -1][valid]
        return hidden, token_statistics(logits, target[valid], needs)

    def _pieces(self, told: Answers) -> Iterator[Answers]:
        for rows in torch.arange(len(told.score)).split(self.micro):
            yield told.at(rows)

    def _mini_batches(self, count: int, number: int) -> Iterator[Tensor]:
        for epoch in range(self.config.inner_epochs):
            shuffled = np.random.default_rng([self.config.seed, number, epoch]).permutation(count)
            for rows in np.array_split(shuffled, min(self.config.mini_batches, count)):
                yield torch.from_numpy(rows)

    def save(self, folder: Path) -> None:
        """All that a resumed run needs; the state is written last, its presence means complete."""
        from safetensors.torch import save_file

        self.policy.save_pretrained(folder)
        save_file({name: w.contiguous() for name, w in self.value.state_dict().items()}, folder / WEIGHTS)
        moved = {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}
        torch.save(moved, folder / OPTIMIZER)
        write_json(folder / STATE, {"global_step": step_of(folder)})

    def restore(self, folder: Path) -> None:
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        device = str(self.value.weight.device)
        set_peft_model_state_dict(self.policy, load_file(folder / "adapter_model.safetensors", device))
        self.value.load_state_dict(load_file(folder / WEIGHTS, device))
        moved = torch.load(folder / OPTIMIZER, map_location=device, weights_only=True)
        self.optimizer.load_state_dict(moved["optimizer"])
        self.scheduler.load_state_dict(moved["scheduler"])


def explained(value: Tensor, target: Tensor) -> float:
    """1 - Var(target - value) / Var(target): 1 where the head knows all that comes, 0 where a constant does as well."""
    variance = float(target.var(unbiased=False))
    return 1 - float((target - value).var(unbiased=False)) / variance if variance > 1e-12 else 0.0


def run(
    learner: PPO,
    rollouts: Rollouts,
    course: Course,
    train: Sequence[Prompt],
    steps: Sequence[Sequence[int]],
    *,
    checkpoints: Path,
    start: int,
) -> None:
    """Make the steps after `start`, of which `steps` are the places in `train` of the prompts."""
    for number in range(start + 1, len(steps) + 1):
        began = time.perf_counter()
        batch = rollouts.of_step([train[i] for i in steps[number - 1]], number)
        figures = learner.step(batch, number)
        seconds = round(time.perf_counter() - began, 4)
        ended = course.after(number, {**batch.figures(), **figures, "seconds": seconds})
        if number % course.config.save_every == 0 or number == len(steps):
            learner.save(checkpoints / f"checkpoint-{number}")
            for old in sorted(checkpoints.glob("checkpoint-*"), key=step_of)[:-2]:
                shutil.rmtree(old)
        if ended:
            return
