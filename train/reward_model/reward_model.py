"""A Bradley-Terry reward model by TRL's RewardTrainer, from the candidates beside a version.

    loss = -log sigma(r(accepted) - r(refused) - margin) + center (r(accepted) + r(refused))^2

The texts are tokenised by `curate.chat.encode`, as everything here is, and the reward is read at the last token, the
end of the turn. With a LoRA the score layer is trained whole beside it. Where a grader is given, the margin of a pair
is the difference of its grades, so that what is much better must be told apart by more.

    out/model.safetensors ...   a sequence classifier of one label, LoRA merged: `reward_model` in a grader file, and
                                what TRL takes as a reward function
    out/loss.jsonl, heldout.jsonl   the curves
    out/pairs.parquet           every pair with its rewards and lengths, and whether it was held out
    out/manifest.json           RewardModelResult; written last, its presence means complete

A run killed at any moment and started again goes on from its last checkpoint and, on a CPU, ends in the same weights.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recast.curate.chat import encode, template_id
from recast.curate.errors import DataError, ModelError
from recast.curate.files import whole, write_json
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify
from recast.train.model.loading import default_device, load_tokenizer, runs_in_bf16
from recast.train.model.run_folder import MANIFEST, begin
from recast.train.rejection.groups import Group, groups, held_by_row
from recast.train.reward_model.config import LATER, NOT_IDENTITY, RewardModelConfig
from recast.train.reward_model.measures import measures
from recast.train.sft.examples import mappings, order
from recast.train.sft.mixture import stream
from recast.train.sft.trainer import Progress, arguments, curve_writer, early_stopping, train

CURVE, HELDOUT, PAIRS = "loss.jsonl", "heldout.jsonl", "pairs.parquet"
MEANS = ("accuracy", "margin", "mean_reward", "max_reward", "min_reward")
Grade = Callable[[Sequence[Mapping[str, Any]], Sequence[str]], list[float | None]]
"""What a grader says of texts, each the answer to a row; None where it says nothing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An accepted and a refused text of a row as token ids, and by how much the first is to lead."""

    row_id: str
    accepted: list[int]
    refused: list[int]
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class RewardModelResult:
    """What a finished run says about itself; the same as its manifest."""

    out: str
    fingerprint: str
    data: str | None  # version ref of the rows
    model: str
    model_fingerprint: str
    template_id: str
    config: dict[str, Any]
    num_rows: int  # that have a pair
    num_pairs: int
    num_heldout: int  # pairs not trained
    num_too_long: int  # pairs left out
    num_ungraded: int  # pairs without a margin, as the grader said nothing of one of their texts
    steps: int
    trained: dict[str, Any]  # `train.reward_model.measures` of the pairs trained on
    heldout: dict[str, Any] | None  # and of the others
    dtype: str
    precision: str
    seconds: float  # of the process that finished the run
    drawn: dict[str, Any] | None = None  # figures of own answers: `train.rejection.answers`


def reward_model(
    rows: Any,
    candidates: Iterable[Mapping[str, Any]],
    model_path: str | Path,
    config: RewardModelConfig,
    out: str | Path,
    progress: Progress | None = None,
    *,
    grade: Grade | None = None,
    data_ref: str | None = None,
    drawn: Mapping[str, Any] | None = None,
) -> RewardModelResult:
    """Make a reward model of the language model at `model_path` and save it to `out`.

    `rows` are of any of the kinds that `train.sft.examples.mappings` takes, `candidates` the columns of a version's
    candidates, `drawn` figures of own answers where they are those. A finished `out` of the same data, model and
    config is returned as it is; an unfinished one goes on; one of another run raises UsageError. Raises DataError where
    no pair can be trained, ModelError where the model cannot be loaded.
    """
    started = time.monotonic()
    out = Path(out)
    tokenizer = load_tokenizer(model_path)
    kept = list(mappings(rows))
    found, _ = groups(kept, candidates, config)
    pairs, num_too_long, num_ungraded = _pairs(
        found, {(r["row_id"], r["target"]): r for r in kept}, tokenizer, config, grade
    )
    device = default_device()
    bf16 = runs_in_bf16(config.precision, device)
    facts = {"model_fingerprint": identify(model_path), "template_id": template_id(tokenizer)}
    run = fingerprint(
        {
            **facts,
            "data": fingerprint([[p.row_id, p.accepted, p.refused, p.margin] for p in pairs]),
            # what decides which pairs there are is in the data
            "config": config.model_dump(mode="json", exclude={*NOT_IDENTITY, *LATER}),
            "precision": "bf16" if bf16 else "fp32",
        }
    )[:16]
    if finished := begin(out, run):
        shutil.rmtree(out / "checkpoints", ignore_errors=True)  # a kill may have come before this
        return RewardModelResult(**finished)
    ids = [p.row_id for p in pairs]
    held = held_by_row(ids, config.heldout)
    training = [i for i, h in enumerate(held) if not h]
    model, dtype = _classifier(model_path, tokenizer, device, config.seed)
    trainer = _trainer(model, tokenizer, pairs, training, held, config, out, bf16=bf16, progress=progress)
    state = train(trainer, config.patience)
    tuned = trainer.model
    if config.lora_rank is not None:
        tuned.save_pretrained(out / "adapter")
        tuned = tuned.merge_and_unload()
    rewards = _rewards(tuned, tokenizer, pairs, config.micro_batch_size or config.batch_size)
    _write_pairs(out / PAIRS, pairs, held, rewards)
    tuned.to(dtype).save_pretrained(out)
    tokenizer.save_pretrained(out)
    result = RewardModelResult(
        out=str(out),
        fingerprint=run,
        data=data_ref,
        model=str(model_path),
        **facts,
        config=config.model_dump(mode="json"),
        num_rows=len(set(ids)),
        num_pairs=len(pairs),
        num_heldout=sum(held),
        num_too_long=num_too_long,
        num_ungraded=num_ungraded,
        steps=state["global_step"],
        trained=_measured(pairs, rewards, [not h for h in held]),
        heldout=_measured(pairs, rewards, held) if any(held) else None,
        dtype=str(dtype).removeprefix("torch."),
        precision="bf16" if bf16 else "fp32",
        seconds=round(time.monotonic() - started, 2),
        drawn=dict(drawn) if drawn else None,
    )
    write_json(out / MANIFEST, asdict(result))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return result


def _pairs(
    found: Sequence[Group],
    rows: Mapping[tuple[str, int], Mapping[str, Any]],
    tokenizer: Any,
    config: RewardModelConfig,
    grade: Grade | None,
) -> tuple[list[Pair], int, int]:
    """Every accepted beside every refused text of each row; how many are too long; how many have no margin."""
    pairs: list[Pair] = []
    texts: list[tuple[Mapping[str, Any], str, str]] = []
    too_long = 0
    for group in found:
        for accepted in group.accepted:
            for refused in group.refused:
                a, r = (
                    [t for part in encode(tokenizer, group.messages, text) for t in part]
                    for text in (accepted, refused.text)
                )
                if max(len(a), len(r)) > config.max_length:
                    too_long += 1
                    continue
                pairs.append(Pair(group.row_id, a, r))
                texts.append((rows[group.row_id, group.target], accepted, refused.text))
    if not pairs:
        raise DataError(
            f"all {too_long} pairs are longer than max_length={config.max_length} tokens; raise it, or filter the "
            "version."
        )
    if grade is None:
        return pairs, too_long, 0
    of_rows = [row for row, _, _ in texts]
    better, worse = grade(of_rows, [a for _, a, _ in texts]), grade(of_rows, [r for _, _, r in texts])
    gaps = [None if b is None or w is None else b - w for b, w in zip(better, worse, strict=True)]
    graded = [Pair(p.row_id, p.accepted, p.refused, gap or 0.0) for p, gap in zip(pairs, gaps, strict=True)]
    return graded, too_long, sum(gap is None for gap in gaps)


def _classifier(path: str | Path, tokenizer: Any, device: str, seed: int) -> tuple[Any, Any]:
    """The backbone under a new score layer, float32, and the dtype of its weights on disk."""
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(seed)  # of the score layer's first weights
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            str(path),
            num_labels=1,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=Path(path).is_dir(),
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot make a reward model of {path}: {error}") from error
    model.config.pad_token_id = tokenizer.pad_token_id  # where it finds the last token of a row
    dtype = model.dtype
    return model.float().to(device), dtype


def _trainer(
    model: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    training: Sequence[int],
    held: Sequence[bool],
    config: RewardModelConfig,
    out: Path,
    *,
    bf16: bool,
    progress: Progress | None,
) -> Any:
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import RewardConfig, RewardTrainer

    passes = stream([len(training)], [None], epochs=config.epochs, seed=config.seed)
    lengths = [len(pairs[i].accepted) + len(pairs[i].refused) for i in training]
    positions = order(lengths, passes.tolist(), batch_size=config.batch_size, seed=config.seed)
    steps = math.ceil(len(positions) / config.batch_size)

    def dataset(chosen: Iterable[int]) -> Dataset:
        return Dataset.from_list(
            [
                {"chosen_ids": (p := pairs[i]).accepted, "rejected_ids": p.refused, "margin": p.margin}
                for i in chosen
            ]
        )

    args = RewardConfig(
        **arguments(
            config,
            steps,
            checkpoints=out / "checkpoints",
            bf16=bf16,
            on_cpu=model.device.type == "cpu",
            measured=any(held),
            logging_steps=max(1, steps // 200),
        ),
        center_rewards_coefficient=config.center or None,
        max_length=None,  # those that are too long were left out: cut, they would end in the middle
        disable_dropout=True,
    )
    trainer = RewardTrainer(
        model=model,
        args=args,
        train_dataset=dataset(training[i] for i in positions),
        eval_dataset=dataset(i for i, h in enumerate(held) if h) if any(held) else None,
        processing_class=tokenizer,
        peft_config=_lora(model, config),
        callbacks=[
            curve_writer(
                out / CURVE, out / HELDOUT, steps, config.epochs, MEANS, ("loss", "accuracy"), progress
            ),
            *([early_stopping(config.patience)] if config.patience is not None else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # words go to `progress`, never to stdout
    return trainer


def _lora(model: Any, config: RewardModelConfig) -> Any:
    """The LoRA of everything else here, and the score layer whole: it is new."""
    from recast.train.sft.trainer import lora

    found = lora(model, config)
    if found is not None:
        found.task_type, found.modules_to_save = "SEQ_CLS", ["score"]
        found.exclude_modules = ["score"]
    return found


def _rewards(model: Any, tokenizer: Any, pairs: Sequence[Pair], batch_size: int) -> np.ndarray:
    """Rewards (N, 2) of the accepted and the refused texts."""
    import torch

    model.eval()
    flat = [ids for p in pairs for ids in (p.accepted, p.refused)]
    by_length = sorted(range(len(flat)), key=lambda i: len(flat[i]))
    found = np.zeros(len(flat))
    for first in range(0, len(flat), batch_size):
        chosen = by_length[first : first + batch_size]
        batch = tokenizer.pad({"input_ids": [flat[i] for i in chosen]}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            found[chosen] = model(**batch).logits[:, 0].float().cpu().numpy()
    return found.reshape(-1, 2)


def _measured(pairs: Sequence[Pair], rewards: np.ndarray, chosen: Sequence[bool]) -> dict[str, Any]:
    at = [i for i, c in enumerate(chosen) if c]
    longer = np.array([len(pairs[i].accepted) - len(pairs[i].refused) for i in at], dtype=float)
    return measures([pairs[i].row_id for i in at], rewards[at, 0], rewards[at, 1], longer)


def _write_pairs(path: Path, pairs: Sequence[Pair], held: Sequence[bool], rewards: np.ndarray) -> None:
    table = {
        "row_id": [p.row_id for p in pairs],
        "accepted": rewards[:, 0],
        "refused": rewards[:, 1],
        "margin": [p.margin for p in pairs],
        "accepted_tokens": [len(p.accepted) for p in pairs],
        "refused_tokens": [len(p.refused) for p in pairs],
        "heldout": list(held),
    }
    with whole(path) as temporary:
        pq.write_table(pa.table(table), temporary, compression="zstd")
