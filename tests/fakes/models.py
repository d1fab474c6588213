"""Tiny random causal LMs of many architectures with a real tokenizer, made on the spot.

Nothing can be downloaded where the tests run, so every test model is built here: a byte-level BPE
tokenizer trained on the texts given (digits split singly, ChatML-like template with generation markers)
and a two-layer Llama, Qwen2 or GPT-2 with head_dim 32 (vLLM on CPU refuses 16), or one of `OTHERS`.

    folder = make_model("llama", tmp_path / "m", texts=["2 + 2 = 4", ...])
    model = AutoModelForCausalLM.from_pretrained(folder)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

ARCHITECTURES = ("llama", "qwen2", "gpt2")
HEAD_DIM = 32
MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 64}
OTHERS: dict[str, dict[str, Any]] = {
    "gemma2": {"sliding_window": 16},  # a window in every other layer; capped logits
    "falcon": {"alibi": False},  # chooses its attention by itself
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16},  # no SDPA
    "deepseek_v3": {  # caches latents, from which keys and values are made
        **MOE,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "num_key_value_heads": 2,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 16,
        "v_head_dim": 16,
    },
    "qwen3_next": {  # linear attention in all layers but the last
        **MOE,
        "layer_types": ["linear_attention", "full_attention"],
        "num_experts": 4,
        "shared_expert_intermediate_size": 64,
        "linear_num_value_heads": 2,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": HEAD_DIM,
        "linear_value_head_dim": HEAD_DIM,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_ff_dim": 128},  # short convolutions
    "falcon_h1": {  # attention and Mamba in one layer
        "mamba_d_ssm": 64,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 16,
    },
    "mamba": {"state_size": 8},
}
"""Architectures whose past is of another kind, with what their configs need."""
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"

# Qwen2's rule, for all three: transformers loads the tokenizer of a Qwen2 folder by its own class, which
# brings this rule whatever the file says, and adds an unknown token where the file names none.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TOOL_TEMPLATE = (
    "{% if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}"
    "{% if message.reasoning_content %}{{ '<think>' + message.reasoning_content + '</think>' }}{% endif %}"
    "{{ message['content'] or '' }}"
    "{% for call in message.tool_calls or [] %}"
    "{{ '<call>' + call.function.name + ' ' }}"
    "{{ call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}"
    "{{ '</call>' }}"
    "{% endfor %}"
    "{{ '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""`CHAT_TEMPLATE` with tools, calls and thoughts, none of which depends on the turns around."""

TEXTS = (
    "Tom has 12 apples and buys 7 more. How many apples does Tom have now?",
    "Tom starts with 12 apples. 12 + 7 = 19. The answer is 19.",
    "Compute 48 / 2 and then add 3. 48 / 2 = 24. 24 + 3 = 27. The answer is 27.",
    r"\[ x_0 = 12 \] \[ x_1 = x_0 + 7 = 19 \] \boxed{19}",
    "Solution: Rewrite the solution in your own words, as you would answer the question yourself. "
    "Keep every result and the final answer.",
)


def make_tokenizer(texts: Iterable[str] = TEXTS, *, vocab_size: int = 384) -> Any:
    """Return a byte-level BPE tokenizer trained on `texts`: every string encodes, digits stay single."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(list(texts), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, unk_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


GEMMA_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def make_gemma_tokenizer(texts: Iterable[str] = TEXTS) -> Any:
    """`make_tokenizer` with Gemma's template, whose turns end in another token than eos_token."""
    tokenizer = make_tokenizer(texts)
    tokenizer.add_tokens(["<eos>", "<start_of_turn>", "<end_of_turn>"], special_tokens=True)
    tokenizer.eos_token = "<eos>"
    tokenizer.chat_template = GEMMA_TEMPLATE
    return tokenizer


def make_config(
    architecture: str, tokenizer: Any, *, hidden: int = 64, layers: int = 2, max_length: int = 1024
) -> Any:
    """Return the transformers config of a tiny model of `architecture` for `tokenizer`."""
    from transformers import AutoConfig, GPT2Config, LlamaConfig, Qwen2Config

    heads = hidden // HEAD_DIM
    common = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    if architecture == "gpt2":
        return GPT2Config(
            n_embd=hidden,
            n_layer=layers,
            n_head=heads,
            n_positions=max_length,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **common,
        )
    decoder = {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 1,
        "max_position_embeddings": max_length,
        "tie_word_embeddings": True,
    }
    if architecture == "llama":
        return LlamaConfig(head_dim=HEAD_DIM, **decoder, **common)
    if architecture == "qwen2":
        return Qwen2Config(**decoder, **common)
    if architecture in OTHERS:
        return AutoConfig.for_model(architecture, **{**decoder, **common, **OTHERS[architecture]})
    raise ValueError(f"architecture {architecture!r} is not one of {', '.join([*ARCHITECTURES, *OTHERS])}")


def make_model(
    architecture: str,
    folder: Path,
    *,
    texts: Iterable[str] = TEXTS,
    vocab_size: int = 384,
    hidden: int = 64,
    layers: int = 2,
    max_length: int = 1024,
    seed: int = 0,
    scale: float = 10.0,
) -> Path:
    """Save a random model of `architecture` and its tokenizer to `folder`; return `folder`.

    `scale` multiplies the initial standard deviation of 0.02, so that the random model's distributions
    are far from uniform and a wrong mask, position or shift moves its logits visibly.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = make_tokenizer(texts, vocab_size=vocab_size)
    config = make_config(architecture, tokenizer, hidden=hidden, layers=layers, max_length=max_length)
    config.initializer_range = 0.02 * scale
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def load(folder: Path, *, dtype: str = "float32") -> tuple[Any, Any]:
    """Return `(model in eval mode, tokenizer)` of a folder made by `make_model`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def make_adapter(model: Path, folder: Path, seed: int, *, trained: bool = True) -> Path:
    """A LoRA with random B, or with the B = 0 of one that has not been trained."""
    import torch
    from peft import LoraConfig, get_peft_model

    backbone, _ = load(model)
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=not trained)
    get_peft_model(backbone, config).save_pretrained(str(folder))
    return folder
