"""Statistics of tokens from hidden states, tile by tile, against all logits at once; which heads are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recast.train.model import token_statistics as module
from recast.train.model.statistic_names import FULL_ENTROPY
from recast.train.model.token_statistics import Head, head_of, linear_statistics
from tests.fakes.models import load, make_config, make_model, make_tokenizer

N, V, H = 11, 37, 5


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.mark.parametrize("scale, cap, temperature", [(1.0, None, 1.0), (0.5, None, 0.7), (2.0, 3.0, 0.7)])
def test_values_and_gradients_over_tiles_are_those_of_all_logits_at_once(
    monkeypatch: pytest.MonkeyPatch, scale: float, cap: float | None, temperature: float
) -> None:
    monkeypatch.setattr(module, "TILE", 3 * V)  # three tokens a tile, two of them worked on at once
    monkeypatch.setattr(module, "CACHED", 2 * V)
    labels = torch.arange(N) * 3
    inputs = [2 * drawn(N, H), drawn(V, H), drawn(V)]
    ours, theirs = ([x.clone().requires_grad_() for x in inputs] for _ in range(2))
    hidden, weight, bias = ours
    of = linear_statistics(
        hidden, Head(weight, bias, scale, cap), labels, frozenset({FULL_ENTROPY}), temperature=temperature
    )
    (of.logp * drawn(N)).sum().backward()

    hidden, weight, bias = theirs
    logits = scale * (hidden @ weight.T + bias)
    logits = (logits if cap is None else cap * torch.tanh(logits / cap)) / temperature
    every = torch.log_softmax(logits, dim=-1)
    (every[torch.arange(N), labels] * drawn(N)).sum().backward()

    torch.testing.assert_close(of.logp, every[torch.arange(N), labels], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(of.full_entropy, -(every.exp() * every).sum(-1), rtol=1e-12, atol=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12)


def test_an_impossible_token_adds_nothing_to_the_entropy() -> None:
    # p = (1/2, 1/2, 0): log 2
    logits = torch.tensor([[1.0, 1.0, -torch.inf]])
    of = module.token_statistics(logits, torch.tensor([0]), frozenset({FULL_ENTROPY}))
    assert of.full_entropy is not None and of.full_entropy.item() == pytest.approx(0.6931472)


@pytest.mark.parametrize(
    "architecture, changed, scale, cap",
    [
        ("llama", {}, 1.0, None),
        ("gpt2", {}, 1.0, None),
        ("gemma2", {"final_logit_softcapping": 30.0}, 1.0, 30.0),
        ("cohere", {"logit_scale": 0.0625}, 0.0625, None),
        ("granite", {"logits_scaling": 8.0}, 0.125, None),
    ],
)
def test_scales_and_caps_of_a_head_are_found(
    architecture: str, changed: dict[str, Any], scale: float, cap: float | None
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer()
    if architecture in ("cohere", "granite"):
        plain = make_config("llama", tokenizer).to_dict()
        names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "pad_token_id")
        heads = {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "bos_token_id": None,
            "eos_token_id": None,
        }
        config = AutoConfig.for_model(architecture, **{n: plain[n] for n in names}, **heads, **changed)
    else:
        config = make_config(architecture, tokenizer)
        for name, value in changed.items():
            setattr(config, name, value)
    config.initializer_range = 0.2
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    head = head_of(model)
    assert head is not None and (head.scale, head.cap) == (scale, cap)


def test_a_head_that_does_more_than_it_says_is_not_taken_for_a_matrix(tmp_path: Path) -> None:
    model, _ = load(make_model("llama", tmp_path))
    plain = model.forward

    def shifted(*args: Any, **kwargs: Any) -> Any:
        output = plain(*args, **kwargs)
        output.logits = output.logits + torch.arange(output.logits.shape[-1])
        return output

    model.forward = shifted
    assert head_of(model) is None
