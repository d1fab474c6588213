"""Shared-prefix log-probabilities against one plain pass: values, entropies and gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recast.agent.engines.hf.attention import cpu_attention
from recast.agent.engines.hf.kv_cache import attends_to_all
from recast.agent.learning.shared_prefix import completion_logprobs
from recast.train.model.token_statistics import head_of
from tests.fakes.models import ARCHITECTURES, load, make_model

N, P, C = 12, 9, 7


def batch(vocab: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of 9, 8 and 7 tokens in turn, padded left; completions of 0 to 7 tokens, padded right."""
    ids = torch.randint(3, vocab, (N, P + C), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    for n in range(N):
        ids[n, :P] = ids[n % 3, :P]
        ids[n, : n % 3], mask[n, : n % 3] = 0, 0
        length = (n * 5) % (C + 1)
        ids[n, P + length :], mask[n, P + length :] = 0, 0
    return ids, mask


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_values_and_gradients_are_those_of_one_plain_pass(tmp_path: Path, architecture: str) -> None:
    model, tokenizer = load(make_model(architecture, tmp_path))
    assert attends_to_all(model.config)
    ids, mask = batch(len(tokenizer))
    weight = torch.randn(N, C, generator=torch.Generator().manual_seed(1))

    with cpu_attention(model):
        logprobs, entropies = completion_logprobs(model, ids, mask, C, head=head_of(model), temperature=0.7)
        (logprobs * weight).sum().backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()

    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    logits = model(ids, attention_mask=mask, position_ids=positions).logits[:, P - 1 : -1] / 0.7
    every = torch.log_softmax(logits, dim=-1)
    expected = every.gather(2, ids[:, P:, None])[..., 0] * mask[:, P:]
    (expected * weight).sum().backward()

    assert torch.allclose(logprobs, expected, atol=1e-4)
    assert entropies is not None
    assert torch.allclose(entropies, -(every.exp() * every).sum(dim=-1) * mask[:, P:], atol=1e-4)
    for name, parameter in model.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, rtol=1e-3, atol=1e-4), name


def test_a_sliding_window_is_left_to_the_plain_pass(tmp_path: Path) -> None:
    model, _ = load(make_model("llama", tmp_path))
    model.config.sliding_window = 4
    model.config.layer_types = ["sliding_attention"] * model.config.num_hidden_layers
    assert not attends_to_all(model.config)
