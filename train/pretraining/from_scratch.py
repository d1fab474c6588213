"""A causal LM from nothing: tokenizer, Llama-architecture weights, packed pretraining, manifest.

Text and chats come in as `train.pretraining.corpus.Piece`s; `train.pretraining.pretrain` makes the steps. Weights are
trained in float32 with bf16 arithmetic and saved in bf16. Killed at any moment, the same call goes on from its last
checkpoint and, on a CPU, ends in the same weights. Of several processes (torchrun) all train and the first one
writes.

    out/model.safetensors ...   the model, with tokenizer and chat template
    out/metrics.jsonl           the curve
    out/manifest.json           written last; its presence means complete
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recast.curate.errors import UsageError
from recast.curate.files import write_json
from recast.curate.fingerprint import fingerprint
from recast.train.pretraining.corpus import Chat, Corpus, Piece

MANIFEST, METRICS, JOB = "manifest.json", "metrics.jsonl", "job.json"
TOKENIZER, CORPUS = "tokenizer", "corpus"
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TOKENIZER_PIECES = 200_000  # of the corpus that the tokenizer is trained on
# words with their space, single digits (numbers are then read place by place), runs of other signs
SPLIT = r" ?\p{L}+| ?\d| ?[^\s\p{L}\d]+|\s+(?!\S)|\s"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
HEAD_DIM = 64
SIZES: dict[str, dict[str, int]] = {
    "2m": {"hidden_size": 192, "num_hidden_layers": 4},
    "10m": {"hidden_size": 320, "num_hidden_layers": 6},
    "30m": {"hidden_size": 512, "num_hidden_layers": 8},
    "100m": {"hidden_size": 768, "num_hidden_layers": 12},
}


NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what comes out."""


class ScratchConfig(BaseModel):
    """The model that `recast pretrain` makes of text and chats; how it is trained is section `pretrain`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Literal["2m", "10m", "30m", "100m"] = "10m"
    """Preset of width and depth, named by its parameters without embeddings, roughly."""
    hidden_size: int | None = Field(default=None, ge=64)
    """Width, a multiple of 64 (the size of a head). None: the preset's."""
    num_hidden_layers: int | None = Field(default=None, ge=1)
    """Depth. None: the preset's."""
    vocabulary: int = Field(default=8192, ge=512)
    """Tokens of the tokenizer that is trained; without effect where one is given."""
    max_position: int = Field(default=2048, ge=64)
    """Longest sequence that the model is meant for."""
    prompt_weight: float = Field(default=0.1, ge=0, le=1)
    """What a prompt's token counts in the loss against 1 of a completion's or a text's."""

    @model_validator(mode="after")
    def _heads_fit(self) -> ScratchConfig:
        if self.hidden_size and self.hidden_size % HEAD_DIM:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of {HEAD_DIM}")
        return self


def train_tokenizer(pieces: Iterable[Piece], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with roles, an end of turn and a chat template; every string encodes."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((_text(piece) for piece in islice(pieces, TOKENIZER_PIECES)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        additional_special_tokens=list(SPECIAL[2:]),
        chat_template=TEMPLATE,
    )


def new_model(tokenizer: Any, config: ScratchConfig, seed: int) -> Any:
    """A Llama with random weights, embeddings tied to the head."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    preset = SIZES[config.size]
    hidden = config.hidden_size or preset["hidden_size"]
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=math.ceil(8 / 3 * hidden / HEAD_DIM) * HEAD_DIM,
            num_hidden_layers=config.num_hidden_layers or preset["num_hidden_layers"],
            num_attention_heads=hidden // HEAD_DIM,
            num_key_value_heads=hidden // HEAD_DIM,
            head_dim=HEAD_DIM,
            max_position_embeddings=config.max_position,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def pretrain_from_scratch(
    pieces: Callable[[], Iterable[Piece]],
    config: ScratchConfig,
    training: Any,
    out: Path,
    work: Path,
    *,
    tokenizer_path: str | None = None,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Make the model of `pieces` in `out` and return its manifest. `training` is a PretrainConfig.

    `pieces` opens the documents anew on each call. `work` holds the tokenised corpus and the checkpoint until
    the model is complete. A finished `out` of the same data and settings is returned as it is; one of other
    data or settings raises UsageError. Under torchrun every process makes the call, sees the same folders and gets the
    manifest; `progress` is told by the first.
    """
    import torch
    import transformers

    from recast.train.model.loading import load_tokenizer
    from recast.train.pretraining.pretrain import heldout_loss, pretrain, processes

    longest = max(training.rows)
    if longest > config.max_position:
        raise UsageError(
            f"pretrain.rows has rows of {longest} tokens, the model is for {config.max_position}; "
            "raise scratch.max_position."
        )
    identity = {
        "data": _digest(pieces()),
        "tokenizer": tokenizer_path,
        "model": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"save_every"}),
    }
    run = fingerprint(identity)[:16]
    together = processes()
    with together.main_process_first():
        if finished := _finished(out, work, run):
            return finished
        if together.is_main_process:
            write_json(work / JOB, {"fingerprint": run})
            tokenizer = (
                load_tokenizer(tokenizer_path)
                if tokenizer_path
                else train_tokenizer(pieces(), config.vocabulary)
            )
            tokenizer.save_pretrained(work / TOKENIZER)
            corpus = Corpus.build(pieces(), tokenizer, work / CORPUS, longest)
        else:
            tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(work / TOKENIZER)
            corpus = Corpus.open(work / CORPUS)
    model = new_model(tokenizer, config, training.seed).to(together.device)
    if model.device.type == "cpu":
        model.set_attn_implementation("eager")  # with a packed mask, faster than sdpa at these sizes
    last = pretrain(
        model,
        lambda seed: corpus.stream(seed, config.prompt_weight),
        training,
        work,
        pad=tokenizer.pad_token_id,
        progress=progress,
    )
    if not together.is_main_process:
        together.wait_for_everyone()
        return json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    held = [corpus.document(number, config.prompt_weight) for number in corpus.held_out()]
    measured = heldout_loss(model, held, longest, tokenizer.pad_token_id)
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    shutil.copyfile(work / METRICS, out / METRICS)
    manifest = {
        "fingerprint": run,
        **identity,
        "out": str(out),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "documents": len(corpus),
        "corpus_tokens": corpus.num_tokens,
        "num_too_long": corpus.num_too_long,
        "steps": training.steps,
        "tokens": last.get("tokens", 0),
        "seconds": last.get("seconds", 0.0),
        "loss": last.get("loss"),
        "heldout_loss": measured,
        "processes": together.num_processes,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {model.device.type}",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    write_json(out / MANIFEST, manifest)
    shutil.rmtree(work, ignore_errors=True)
    together.wait_for_everyone()
    return manifest


def _finished(out: Path, work: Path, run: str) -> dict[str, Any] | None:
    for path, state in ((out / MANIFEST, "finished"), (work / JOB, "unfinished")):
        if not path.exists():
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.get("fingerprint") != run:
            raise UsageError(
                f"{path.parent} holds the {state} run {found.get('fingerprint')} of other data or settings; this one "
                f"is {run}. Choose another folder, or remove that one."
            )
        if path.name == MANIFEST:
            return found
    return None


def _digest(pieces: Iterable[Piece]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        text = piece if isinstance(piece, str) else json.dumps([piece.messages, piece.completion])
        digest.update(len(text).to_bytes(8, "big") + text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _text(piece: Piece) -> str:
    if not isinstance(piece, Chat):
        return piece
    return "\n".join([*(str(turn.get("content") or "") for turn in piece.messages), piece.completion])
