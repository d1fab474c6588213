"""One GRPO run on TRL: the trainer, its rollouts through the project's engine, its records and checkpoints.

Owns what touches TRL and PEFT; `agent.learn` owns the configuration and the folder's identity. The policy is the
backbone with the adapter on, the reference and the scorer are the same weights with it off. Rollouts go
through `agent.engine_hf` (K samples share a prefill, cache written in place, a seed a sample) in place of
`generate`, which decodes a quarter as many tokens a second on a CPU.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback

from agent import prompts
from agent.alignment import AnchorCache
from agent.attention import cpu_attention
from agent.embedding import sentence_embedder
from agent.engine import Sampling
from agent.engine_hf import HFEngine
from agent.kv_cache import attends_to_all
from agent.learn import METRICS, LearnConfig, write_json
from agent.ledger import mean_or_none
from agent.scorer import ScoredGroup, Scorer, Weights
from agent.shared_prefix import completion_logprobs
from curate.fingerprint import prompt_hash, seed_of

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental in TRL 1.16

ANCHORS = "anchors.json"
ANCHORS_AHEAD = 256
"""Own samples drawn together."""
TRAINER_STATE = "trainer_state.json"
LOGITS = 2**28
"""Most logits of a micro-batch for which they are held at once; beyond, TRL's tiled output layer is used."""
LOGGED = {"loss": "loss", "grad_norm": "grad_norm", "kl": "kl", "entropy": "entropy", "learning_rate": "lr"}
"""What is taken over from TRL's own log, and under which name."""


class Session:
    """A run in progress. Used as a context manager: the backbone gets its shape back at the end."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        gate: Any,
        config: LearnConfig,
        train: Sequence[dict[str, Any]],
        heldout: Sequence[dict[str, Any]],
        out: Path,
    ) -> None:
        self.tokenizer, self.gate, self.config, self.out = tokenizer, gate, config, out
        self.train, self.heldout = list(train), list(heldout)
        self.metrics = Metrics(out / METRICS)
        self.heldout_figures: dict[int, dict[str, Any]] = {}
        self.best_step = 0
        self.stopped = "steps"
        self.alarms: list[str] = []
        self.seconds_before = 0.0
        self.order = order(len(self.train), config)
        self._backbone = model
        self._last_scored: list[ScoredGroup] = []
        self._generation: dict[str, float] = {}
        self.engine = HFEngine(model, tokenizer, batch_size=config.engine_batch)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.engine.has_adapter:
            self.engine.model.unload()  # the LoRA layers were put into the caller's model
        # TRL hangs its fused forward on the instance; the class's own is back once that is gone
        self._backbone.__dict__.pop("forward", None)
        self._backbone.requires_grad_(True)

    def run(self, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Train from where the folder stands to the last step, measuring on schedule."""
        checkpoint = last_checkpoint(self.out / "checkpoints")
        start = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        self._read_back(start)
        config = self.config
        fingerprint = self.engine.fingerprint  # before the trainer wraps the weights
        trainer = self._trainer(progress)
        self.engine = HFEngine(trainer.model, self.tokenizer, batch_size=config.engine_batch)
        self.engine._fingerprint = fingerprint
        self.anchors.engine = self.scorer.engine = self.engine
        with cpu_attention(self._backbone):
            if start == 0:
                self.measure(0)
            if start < config.steps:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            else:
                self.measure(start)
        save_adapter(trainer.model, self.out / "last")

    def _trainer(self, progress: Callable[[Mapping[str, Any]], None] | None) -> Any:
        from trl import GRPOConfig, GRPOTrainer

        config = self.config
        self.anchors = AnchorCache(
            self.engine,
            self.tokenizer,
            own_samples=config.own_samples if config.mode == "anchored" else 0,
            max_tokens=config.max_tokens,
            seed=config.seed,
        )
        if (self.out / ANCHORS).exists():
            self.anchors.restore(json.loads((self.out / ANCHORS).read_text()))
        weights = Weights(config.mode, config.lambda_dist, config.diversity_weight, config.lambda_copy)
        embed = sentence_embedder(config.embedding) if config.embedding else None
        self.scorer = Scorer(self.engine, self.gate, self.anchors, weights, embed=embed)

        cuda = torch.cuda.is_available()
        rows = config.prompts_per_step * config.candidates
        micro = config.micro_batch or (config.candidates if cuda else rows)
        args = GRPOConfig(
            output_dir=str(self.out / "checkpoints"),
            max_steps=max(config.steps, 1),
            learning_rate=config.lr,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=config.warmup_steps,
            weight_decay=0.0,
            max_grad_norm=config.max_grad_norm,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=rows // micro,
            steps_per_generation=rows // micro,
            num_generations=config.candidates,
            max_completion_length=config.max_tokens,
            temperature=config.temperature,
            beta=config.beta,
            epsilon=config.epsilon,
            loss_type=config.loss_type,
            scale_rewards=config.scale_rewards,
            use_cpu=not cuda,
            bf16=cuda and torch.cuda.is_bf16_supported(),
            gradient_checkpointing=cuda,
            disable_dropout=True,
            shuffle_dataset=False,  # `order` has shuffled
            seed=config.seed,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="steps",
            save_steps=config.save_every,
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=cuda,
        )
        data = Dataset.from_dict({"row": self.order}).with_transform(self._examples)
        lora = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        trainer = _shared_prefix_trainer(GRPOTrainer)(
            model=self._backbone,
            reward_funcs=self.scorer.reward_func(
                self.train, group_size=config.candidates, on_scored=self._remember
            ),
            args=args,
            train_dataset=data,
            processing_class=self.tokenizer,
            peft_config=lora,
            rollout_func=self._rollout,
            callbacks=[Recorder(self, progress)],
        )
        trainer.create_model_card = lambda *args, **kwargs: (
            None
        )  # written at every checkpoint, read by nobody
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        return trainer

    def _examples(self, batch: Mapping[str, list[int]]) -> dict[str, list[Any]]:
        rows = [self.train[i] for i in batch["row"]]
        return {
            "row": batch["row"],
            "prompt": [prompts.rewrite(r["messages"], r["demonstration"]) for r in rows],
        }

    def _rollout(self, asked: list[Any], trainer: Any) -> dict[str, Any]:
        """TRL's hook: `asked` holds every prompt K times in a row; the same order comes back."""
        k = self.config.candidates
        groups = asked[::k]
        if any(asked[i] != groups[i // k] for i in range(len(asked))):
            raise ValueError(
                f"prompts do not come in groups of {k}; group rewards need whole groups a process"
            )
        step = trainer.state.global_step
        self._anchor_ahead(step)
        seeds = [[seed_of(self.config.seed, prompt_hash(p), step, j) for j in range(k)] for p in groups]
        sampling = Sampling(temperature=self.config.temperature, max_tokens=self.config.max_tokens)
        started = time.perf_counter()
        drawn = [s for g in self.engine.sample(groups, k, sampling, seeds=seeds, adapter=True) for s in g]
        self._generation = {
            "generate_seconds": time.perf_counter() - started,
            "num_tokens": float(sum(len(s.token_ids) for s in drawn)),
            "mean_tokens": sum(len(s.token_ids) for s in drawn) / len(drawn),
            "truncated_frac": sum(s.finish_reason == "length" for s in drawn) / len(drawn),
        }
        from curate import chat

        ids = [chat.prompt_ids(self.tokenizer, p) for p in groups]
        return {
            "prompt_ids": [ids[i // k] for i in range(len(asked))],
            "completion_ids": [s.token_ids for s in drawn],
            "logprobs": [s.logprobs for s in drawn],
            "finish_reason": [s.finish_reason for s in drawn],
        }

    def _anchor_ahead(self, step: int) -> None:
        """Measure the anchors of this step and the next ones together: small batches decode slowly."""
        size = self.config.prompts_per_step
        steps = max(1, ANCHORS_AHEAD // (size * self.config.own_samples))
        coming = [self.train[i] for i in self.order[step * size : (step + steps) * size]]
        if not all(self.anchors.knows(row) for row in coming[:size]):
            self.anchors.of(coming)

    def _remember(self, scored: list[ScoredGroup]) -> None:
        self._last_scored = scored

    def step_figures(self) -> dict[str, Any]:
        """What the last rollout and its reward were made of."""
        return {**self.scorer.figures(self._last_scored), **self._generation}

    def measure(self, step: int) -> dict[str, Any]:
        """Greedy rewrites of the held-out rows, gated and scored; keeps the adapter if it is the best so far."""
        if step in self.heldout_figures:
            return self.heldout_figures[step]
        asked = [prompts.rewrite(row["messages"], row["demonstration"]) for row in self.heldout]
        greedy = Sampling(temperature=0.0, max_tokens=self.config.max_tokens)
        drawn = self.engine.sample(asked, 1, greedy, seeds=[[0]] * len(asked), adapter=True)
        scored = self.scorer.score(
            self.heldout,
            [[g[0].text] for g in drawn],
            [[g[0].finish_reason] for g in drawn],
            score_rejected=True,
        )
        figures = self.scorer.figures(scored)
        levels = self.anchors.of(self.heldout)
        found = {
            **{
                name: figures[name]
                for name in ("reward", "pass_rate", "unverifiable_frac", "nll", "alignment")
            },
            "nll_accepted": mean_or_none([g.nll[0] for g in scored if g.accepted[0]]),
            "nll_demonstration": mean_or_none([a.nll_demonstration for a in levels]),
            "nll_self": mean_or_none([a.nll_self for a in levels]),
            "mean_tokens": mean_or_none([len(g[0].token_ids) for g in drawn]),
            "truncated_frac": mean_or_none([g[0].finish_reason == "length" for g in drawn]),
        }
        better = not self.heldout_figures or found["reward"] > self.heldout_figures[self.best_step]["reward"]
        self.heldout_figures[step] = found
        if better or not (self.out / "adapter").exists():
            save_adapter(self.engine.model, self.out / "adapter")
            self.best_step = step
        self.metrics.write({"step": step, "heldout": found})
        return found

    def keep_anchors(self) -> None:
        """Write the anchors measured so far, so that a resumed run measures none twice."""
        write_json(self.out / ANCHORS, self.anchors.state())

    def _read_back(self, step: int) -> None:
        """Take over what an interrupted run recorded up to `step`, and forget what came after."""
        for entry in self.metrics.cut(step):
            if "heldout" in entry:
                self.heldout_figures[entry["step"]] = entry["heldout"]
            else:
                self.seconds_before += entry.get("seconds", 0.0)
        if self.heldout_figures:
            # the first of the best, as `measure` keeps it
            self.best_step = max(
                sorted(self.heldout_figures), key=lambda s: self.heldout_figures[s]["reward"]
            )


def order(num_rows: int, config: LearnConfig) -> list[int]:
    """Row numbers for every prompt slot of the run: shuffled pass after shuffled pass, none cut short.

    TRL's own sampler drops the end of a pass that fills no whole step; here it runs on into the next one. No
    prompt comes twice in a step.
    """
    size, slots = config.prompts_per_step, config.steps * config.prompts_per_step
    found: list[int] = []
    epoch = 0
    while len(found) < slots:
        begun = found[len(found) - len(found) % size :]  # of the step that the last pass left unfinished
        fresh = np.random.default_rng([config.seed, epoch]).permutation(num_rows).tolist()
        head = [i for i in fresh if i not in begun][: size - len(begun)]
        taken = set(head)
        found += head + [i for i in fresh if i not in taken]
        epoch += 1
    return found[:slots]


def _shared_prefix_trainer(base: type) -> type:
    """TRL's trainer with the log-probabilities of `agent.shared_prefix` where they apply."""

    class SharedPrefixTrainer(base):  # type: ignore[misc, valid-type]
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
            small = (
                input_ids.shape[0] * logits_to_keep * backbone.config.get_text_config().vocab_size < LOGITS
            )
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

    return SharedPrefixTrainer


class Recorder(TrainerCallback):
    """Writes a line a step, measures on schedule, reports progress, stops early."""

    def __init__(self, session: Session, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        self.session, self.progress = session, progress
        self._step_began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._step_began = time.perf_counter()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        session, config = self.session, self.session.config
        if not logs or "loss" not in logs:
            return control
        step = state.global_step
        figures = session.step_figures()
        taken = {ours: logs[theirs] for theirs, ours in LOGGED.items() if logs.get(theirs) is not None}
        seconds = time.perf_counter() - self._step_began
        session.metrics.write({"step": step, **figures, **taken, "seconds": round(seconds, 4)})
        if self.progress:
            shown = {name: figures[name] for name in ("reward", "pass_rate", "nll")}
            self.progress(
                {"step": step, "total": config.steps, **{k: v for k, v in shown.items() if v is not None}}
            )
        if step % config.eval_every == 0 or step >= config.steps:
            session.measure(step)
            since = [s for s in session.heldout_figures if s > session.best_step]
            if config.patience is not None and len(since) >= config.patience:
                session.stopped = "heldout_reward_fell"
                control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.session.keep_anchors()


class Metrics:
    """A JSON-lines file that a kill can cut short anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def cut(self, step: int) -> list[dict[str, Any]]:
        """Drop an unfinished last line and every entry after `step`; return the others."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        partial.replace(self.path)
        return [json.loads(line) for line in kept]


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; the trainer writes `trainer_state.json` last, so one without is torn."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    complete = [p for p in found if _readable(p / TRAINER_STATE)]
    for torn in set(found) - set(complete):
        shutil.rmtree(torn)
    return complete[-1] if complete else None


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter as safetensors to `folder`, replacing what is there in one rename."""
    partial, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(partial)
    (partial / "README.md").unlink(missing_ok=True)  # PEFT's model card template
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _readable(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
