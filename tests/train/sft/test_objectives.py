"""Objectives against closed forms in 60 digits, against autograd, against TRL, and without the logits."""

from __future__ import annotations

from typing import Any

import mpmath
import pytest
import torch

from recast.curate.errors import UsageError
from recast.train.model.loading import load
from recast.train.model.token_statistics import TOP
from recast.train.sft.examples import IGNORED
from recast.train.sft.objective_names import Objective
from recast.train.sft.objectives import (
    apply,
    exponent,
    linear_token_loss,
    token_loss,
    token_statistics,
)
from tests.fakes import models

OBJECTIVES = (
    "nll", "p", "dft", "general:0.1", "general:0.5", "general:10", "tsallis:0", "tsallis:0.5", "tsallis:1",
    "tsallis:1.1", "cayley", "deft", "eaft",
)  # fmt: skip
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
VOCABULARY = 41


def rows(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, V) and labels from flat to one-sided: p from 1e-30 to 1 less than a rounding error."""
    draw = torch.Generator().manual_seed(0)
    listed, labels = [], []
    for scale in (0.0, 0.1, 1.0, 5.0, 30.0):
        listed += [scale * torch.randn(VOCABULARY, generator=draw, dtype=torch.float64) for _ in range(2)]
        labels += [0, 7]
    for gap in (1e-3, 3.0, 12.0, 20.0, 30.0, 36.0, 60.0, 69.1, 300.0):
        for label in (3, 5):  # the favourite itself, and a token far below it
            z = 0.3 * torch.randn(VOCABULARY, generator=draw, dtype=torch.float64)
            z[3] = z.max() + gap
            listed.append(z)
            labels.append(label)
    far = 1e4 + torch.randn(VOCABULARY, generator=draw, dtype=torch.float64)
    listed += [far, -far, torch.zeros(VOCABULARY, dtype=torch.float64)]
    labels += [1, 2, 3]
    return torch.stack(listed).to(dtype), torch.tensor(labels)


def closed_form(logits: torch.Tensor, labels: torch.Tensor, text: str) -> list[tuple]:
    """(loss, gate, gradient over the logits) of every row, in 60 digits, from the formulas of the module's table."""
    mpmath.mp.dps = 60
    mpf = mpmath.mpf
    name, _, value = text.partition(":")
    probabilities = []
    for row in logits.tolist():
        e = [mpmath.exp(mpf(z) - mpf(max(row))) for z in row]
        probabilities.append([x / sum(e) for x in e])
    p_of = [q[y] for q, y in zip(probabilities, labels.tolist(), strict=True)]
    mean = sum(p_of) / len(p_of)
    out = []
    for q, p, y in zip(probabilities, p_of, labels.tolist(), strict=True):
        match name:
            case "nll":
                loss, gate = -mpmath.log(p), mpf(1)
            case "p":
                loss, gate = 1 - p, p
            case "dft":
                loss, gate = -p * mpmath.log(p), p
            case "general" | "tsallis":
                a = mpf(value) if name == "general" else 1 - mpf(value)
                loss, gate = ((1 - p**a) / a, p**a) if a else (-mpmath.log(p), mpf(1))
            case "deft":
                c = sum(x * x for x in q)
                loss, gate = (1 - p**c) / (c + mpf("1e-6")), p**c * c / (c + mpf("1e-6"))
            case "cayley":
                a = mean / 2 + (1 - mean / 2) * p / (2 - p)
                a = min(max(a, mpf("1e-3")), mpf(1))
                loss, gate = (1 - p**a) / (a + mpf("1e-8")), p**a * a / (a + mpf("1e-8"))
            case _:
                top = sorted(q, reverse=True)[:TOP]
                top = [x / sum(top) for x in top]
                gate = -sum(x * mpmath.log(x) for x in top) / 3
                loss = -gate * mpmath.log(p)
        out.append((loss, gate, [gate * (x - (v == y)) for v, x in enumerate(q)]))
    return out


def assert_close(found: torch.Tensor, expected: list, tolerance: float, least: float = 1e-36) -> None:
    """Relative to `tolerance`; below `least` float32 has no normal numbers."""
    for i, (f, e) in enumerate(zip(found.flatten().tolist(), expected, strict=True)):
        assert abs(mpmath.mpf(f) - e) <= tolerance * abs(e) + least, f"at {i}: {f}, not {float(e)}"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("text", OBJECTIVES)
def test_loss_gate_and_gradient_are_the_closed_forms_to_both_ends(text, dtype):
    logits, labels = rows(dtype)
    logits.requires_grad_()
    loss, gate = token_loss(logits, labels, text)
    loss.sum().backward()
    expected = closed_form(logits.detach(), labels, text)
    assert loss.dtype == gate.dtype == dtype and not gate.requires_grad
    assert_close(loss, [e[0] for e in expected], TOLERANCE[dtype])
    assert_close(gate, [e[1] for e in expected], TOLERANCE[dtype])
    assert logits.grad is not None
    assert_close(logits.grad, [g for e in expected for g in e[2]], TOLERANCE[dtype])


def test_the_rows_reach_from_1e_minus_30_to_one():
    logits, labels = rows(torch.float64)
    logp = token_statistics(logits, labels).logp
    assert logp.min() < -69 and logp.max() > -1e-12  # exp(-69.1) = 1e-30
    # p = 1 to the last digit of float32: 1 - p is still told, which 1 - exp(logp) would give as 0
    sure = token_loss(torch.tensor([[0.0, 30.0, 0.0]]), torch.tensor([1]), "p").loss
    assert sure.item() == pytest.approx(2 * mpmath.exp(-30), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_read_exactly(dtype):
    draw = torch.Generator().manual_seed(1)
    logits = (4 * torch.randn(6, 50, generator=draw)).to(dtype).requires_grad_()
    labels = torch.arange(6)
    for text in OBJECTIVES:
        loss, gate = token_loss(logits, labels, text)
        wide = token_loss(logits.detach().double(), labels, text)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.detach().double(), wide.loss, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(gate.double(), wide.gate, rtol=1e-4, atol=1e-7)
        loss.sum().backward()
        assert logits.grad is not None and logits.grad.dtype == dtype and logits.grad.isfinite().all()


@pytest.mark.parametrize("text", ["nll", "p", "general:0.5", "tsallis:0.5"])
def test_the_gradients_are_those_of_finite_differences(text):
    """Objectives that hold nothing fixed, so that a finite difference is their gradient."""
    draw = torch.Generator().manual_seed(2)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64, requires_grad=True)

    labels = torch.tensor([[1, IGNORED], [4, 0]])
    hidden, weight, bias = rand(2, 2, 3), rand(5, 3), rand(5)
    assert torch.autograd.gradcheck(lambda z: token_loss(z, labels, text).loss, rand(2, 2, 5))
    assert torch.autograd.gradcheck(
        lambda h, w, b: linear_token_loss(h, w, labels, text, b).loss, (hidden, weight, bias)
    )


@pytest.mark.parametrize("text", ["nll", "cayley", "deft", "eaft"])
def test_from_hidden_states_over_several_tiles_as_from_logits(text):
    draw = torch.Generator().manual_seed(3)
    num, vocabulary, size = 1100, 2**15 + 5, 4  # more than one tile of 2^25, and columns after the last block
    hidden, weight = torch.randn(num, size, generator=draw), torch.randn(vocabulary, size, generator=draw)
    labels = torch.randint(0, vocabulary, (num,), generator=draw)
    labels[::7] = IGNORED
    pairs = []
    for head in (False, True):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        loss, gate = linear_token_loss(h, w, labels, text) if head else token_loss(h @ w.T, labels, text)
        loss.sum().backward()
        pairs.append((loss.detach(), gate, h.grad, w.grad))
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=1e-6)
    assert (pairs[1][0][::7] == 0).all() and (pairs[1][1][::7] == 0).all()


def test_nothing_kept_for_the_backward_pass_grows_with_vocabulary_times_length():
    num, vocabulary, size = 64, 4096, 8
    hidden, weight = (
        torch.randn(num, size, requires_grad=True),
        torch.randn(vocabulary, size, requires_grad=True),
    )
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        linear_token_loss(hidden, weight, torch.zeros(num, dtype=torch.long), "deft").loss.sum().backward()
    assert max(kept) == vocabulary * size < num * vocabulary


@pytest.mark.parametrize("text", OBJECTIVES)
def test_what_is_not_trained_counts_for_nothing(text):
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(4), requires_grad=True)
    labels = torch.tensor([2, IGNORED, 3, IGNORED, 8])
    loss, gate = token_loss(logits, labels, text)
    loss.sum().backward()
    alone = token_loss(logits.detach()[labels != IGNORED], labels[labels != IGNORED], text)
    assert loss[[1, 3]].tolist() == gate[[1, 3]].tolist() == [0, 0]
    torch.testing.assert_close(loss[labels != IGNORED].detach(), alone.loss)  # Cayley's mean included
    assert logits.grad is not None and (logits.grad[[1, 3]] == 0).all()
    nothing = token_loss(logits, torch.full((5,), IGNORED), text)
    assert nothing.loss.tolist() == [0.0] * 5


def test_exponents_by_hand():
    # p = (1/2, 1/4, 1/4): C = 1/4 + 1/16 + 1/16 = 3/8
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]], dtype=torch.float64).log()
    of = token_statistics(logits, torch.tensor([0, 0]), frozenset(["concentration"]))
    assert exponent(Objective.parse("deft"), of) == pytest.approx([0.375, 0.66])
    # mean p 0.65, floor 0.325; p/(2-p) = 1/3 and 2/3; f + (1-f) x = 0.325 + 0.675/3 = 0.55, and 0.775
    assert exponent(Objective.parse("cayley"), of) == pytest.approx([0.55, 0.775])
    assert exponent(Objective.parse("tsallis:0.25"), of) == 0.75
    # a doubt spread over the whole vocabulary is NLL to DEFT, a certainty is 1 - p
    flat, sure = torch.zeros(1, 10_000), torch.tensor([[50.0] + [0.0] * 9_999])
    label = torch.tensor([1])
    assert token_loss(flat, label, "deft").gate.item() == pytest.approx(
        0.99, abs=1e-3
    )  # C = 1e-4 above the 1e-6
    assert token_loss(sure, label, "deft").gate.item() == pytest.approx(mpmath.exp(-50), rel=1e-4)


def test_the_largest_are_found_where_blocks_tie_and_beyond_the_last_block():
    draw = torch.Generator().manual_seed(5)
    z = torch.randint(0, 30, (8, 128 * 50 + 17), generator=draw).float()  # many ties
    z[0, -3:] = 99.0
    logits = z.double()
    entropy = token_statistics(logits, torch.zeros(8, dtype=torch.long), frozenset(["entropy"])).entropy
    top = logits.topk(TOP).values.softmax(-1)
    torch.testing.assert_close(entropy, -(top * top.log()).sum(-1))


def test_one_family_has_one_value_under_each_of_its_names():
    logits, labels = rows(torch.float64)
    of = token_statistics(logits, labels)

    def value(text: str) -> torch.Tensor:
        return apply(Objective.parse(text), of).loss

    assert torch.equal(value("tsallis:0"), value("p"))
    assert torch.equal(value("tsallis:1"), value("nll"))
    assert torch.equal(value("tsallis:0.5"), value("general:0.5"))
    assert torch.equal(value("general:1"), value("p"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cross", "there are nll, p, dft, general:ALPHA"),
        ("nll:2", "there is no objective"),
        ("general", "a number above 0, as in general:0.5"),
        ("general:0", "a number above 0"),
        ("tsallis:x", "a number, as in tsallis:0.5"),
    ],
)
def test_an_objective_that_is_none_is_refused_with_those_there_are(text, said):
    with pytest.raises(UsageError, match=said):
        Objective.parse(text)


def test_dft_has_the_gradients_of_trl(tmp_path):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    folder = models.make_model("llama", tmp_path / "m", hidden=32, scale=3)
    model, tokenizer = load(folder)
    ids = tokenizer(list(models.TEXTS[:3]))["input_ids"]
    data = {"input_ids": ids, "labels": [[IGNORED] * 4 + row[4:] for row in ids]}
    args = SFTConfig(
        str(tmp_path / "out"), loss_type="dft", bf16=False, use_cpu=True, report_to="none", max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    dataset: Any = Dataset.from_dict(data)  # its rows are dicts, which `datasets` does not declare
    trainer = SFTTrainer(model, args, train_dataset=dataset, processing_class=tokenizer)
    assert trainer.model is model
    batch = trainer.data_collator(list(dataset))
    trainer.compute_loss(model.train(), dict(batch)).backward()
    theirs = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    hidden = model.base_model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    labels = batch["labels"][:, 1:]
    loss = linear_token_loss(hidden[:, :-1], model.lm_head.weight, labels, "dft").loss
    (loss.sum() / (labels != IGNORED).sum()).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, theirs[name], rtol=1e-5, atol=1e-8, msg=name)
