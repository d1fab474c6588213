"""A row's influence is the product of two gradients, read off a small step of the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model

from recast.curate.errors import DataError
from recast.train.attribution import influence
from recast.train.attribution.influence import Change, influences
from recast.train.model.loading import load
from recast.train.model.lora import lora_config
from recast.train.sft.examples import tokenize
from recast.train.sft.scoring import prepare
from tests.fakes import models
from tests.fakes.finetuning import ROWS

HELDOUT, OTHERS = ROWS[:6], ROWS[6:16]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    return models.make_model("llama", folder, hidden=32, texts=[r["completion"] for r in ROWS], scale=1)


def with_lora(base: Path) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model, tokenizer = load(base)
    examples, _ = tokenize(ROWS, tokenizer, 512)
    model = prepare(model, examples, bf16=False)
    return get_peft_model(model, lora_config(model, 4, alpha=4)), tokenizer


def test_it_is_the_product_of_the_gradients_over_that_of_the_held_out_one_with_itself(base):
    model, tokenizer = with_lora(base)
    measuring = {"pad_id": tokenizer.pad_token_id, "batch_size": 4, "bf16": False}
    held, _ = tokenize(HELDOUT, tokenizer, 512)
    of_held = {id(w): g for w, g in influence._gradient(model, held, measuring)}
    length = sum(g.square().sum().item() for g in of_held.values())
    expected = []
    for row in OTHERS:
        (example,), _ = tokenize([row], tokenizer, 512)
        mine = influence._gradient(model, [example], measuring)
        product = sum((g * of_held[id(w)]).sum().item() for w, g in mine)
        expected.append(example.num_trained * product / length)
    changes = [Change(None, row) for row in OTHERS]
    found = influences(changes, {"held": HELDOUT}, base, rank=4).influence["held"]
    assert found == pytest.approx(expected, rel=0.1, abs=0.1 * max(map(abs, expected)))


def test_a_change_counts_with_what_it_is_less_what_it_was(base):
    one, two = OTHERS[:2]
    changes = [Change(None, one), Change(two, None), Change(two, one), Change(one, one)]
    (added, removed, changed, same) = influences(changes, {"held": HELDOUT}, base, rank=4).influence["held"]
    assert changed == pytest.approx(added + removed)
    assert same == 0


def test_the_held_out_text_itself_gains_what_it_gains(base):
    found = influences([Change(None, row) for row in HELDOUT], {"held": HELDOUT}, base, rank=4)
    tokens = sum(e.num_trained for e in tokenize(HELDOUT, load(base)[1], 512)[0])
    assert sum(found.influence["held"]) / tokens == pytest.approx(1, rel=1e-3)
    assert 0 < found.fell["held"] <= influence.DROP * (1 + influence.LINEAR)


def test_a_side_that_is_too_long_gives_no_figure(base):
    longer = {**OTHERS[0], "completion": "far too long " * 200}
    (found, other) = influences(
        [Change(OTHERS[0], longer), Change(None, OTHERS[1])], {"held": HELDOUT}, base, rank=4, max_length=128
    ).influence["held"]
    assert math.isnan(found) and not math.isnan(other)
    with pytest.raises(DataError, match="no changed row of at most 128 tokens"):
        influences([Change(None, longer)], {"held": HELDOUT}, base, rank=4, max_length=128)


def test_the_model_stands_where_it_stood_after_a_step(base):
    model, tokenizer = with_lora(base)
    held, _ = tokenize(HELDOUT, tokenizer, 512)
    before = {name: w.detach().clone() for name, w in model.named_parameters()}
    step, _ = influence._step(model, held, {"pad_id": tokenizer.pad_token_id, "batch_size": 4, "bf16": False})
    with pytest.raises(RuntimeError), influence._moved(step, 1):
        assert any(not torch.equal(before[n], w) for n, w in model.named_parameters())
        raise RuntimeError
    assert all(torch.equal(before[n], w) for n, w in model.named_parameters())
