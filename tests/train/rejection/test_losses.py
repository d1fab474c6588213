"""The losses of rejective fine-tuning against forms worked out by hand and in 50 digits, at the extremes too."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch

from recast.train.rejection.losses import (
    SURE,
    ambiguity,
    apart,
    margin,
    nft,
    penalised,
    unlikelihood,
)
from recast.train.sft.scoring import full_entropy

TIGHT = 1e-6


def gradient(loss, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss(*inputs), inputs))


def by_differences(loss, at: torch.Tensor, step: float = 1e-6) -> torch.Tensor:
    """Central differences of a scalar loss of one vector, float64."""
    found = torch.empty_like(at)
    for i in range(len(at)):
        shift = torch.zeros_like(at)
        shift[i] = step
        found[i] = (loss(at + shift) - loss(at - shift)) / (2 * step)
    return found


def test_a_pair_that_is_far_enough_apart_costs_nothing():
    accepted, rejected = torch.tensor([0.5]), torch.tensor([0.2])
    assert margin(accepted, rejected, 0.3).item() == 0.0
    # 0.4 - (0.5 - 0.2) = 0.1
    assert margin(accepted, rejected, 0.4).item() == pytest.approx(0.1)


def test_the_margin_is_a_mean_over_all_pairs():
    # shortfalls of 0.2: (0, 0.1) -> 0.2-0=0.2 and 0.2-(-0.1)=0.3; (0.3, .) -> 0 and 0
    found = margin(torch.tensor([0.0, 0.3]), torch.tensor([0.0, 0.1]), 0.2)
    assert found.item() == pytest.approx((0.2 + 0.3 + 0.0 + 0.0) / 4)


def test_pairs_are_apart_where_the_margin_costs_nothing():
    # the pairs of the test above: two of four cost nothing
    assert apart(torch.tensor([0.0, 0.3]), torch.tensor([0.0, 0.1]), 0.2).item() == 0.5


def test_tokens_that_both_texts_have_count_for_nothing_so_the_others_must_move_by_as_much_more():
    # 72 tokens, 4 of which differ: at the margin of 0.2 those of the accepted one have gained 3.6 nats each
    short, there = (torch.zeros(72).index_fill(0, torch.arange(4), gained) for gained in (3.5, 3.7))
    same = torch.zeros(1)
    assert apart(short.mean()[None], same, 0.2).item() == 0.0
    assert apart(there.mean()[None], same, 0.2).item() == 1.0


def test_the_margin_pulls_both_ends_alike():
    accepted = torch.tensor([0.0], dtype=torch.float64, requires_grad=True)
    rejected = torch.tensor([0.1, 0.0], dtype=torch.float64, requires_grad=True)
    up, down = gradient(lambda a, r: margin(a, r, 0.2), accepted, rejected)
    assert up.tolist() == [-1.0]
    assert down.tolist() == [0.5, 0.5]


def test_only_plausible_tokens_that_no_accepted_text_has_are_penalised():
    logp = torch.log(torch.tensor([0.9, 0.9, 0.05, 0.11, 0.1]))
    # of the second on: 0.9 counts, 0.05 is implausible, 0.11 counts, 0.1 is not above the floor
    assert penalised(logp, (1, 2, 3, 4), 0.1).tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert penalised(logp, (3,), 0.1).tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("p", ["1e-30", "1e-8", "0.1", "0.5", "0.999", "0.9998"])
def test_unlikelihood_has_the_closed_form(p):
    mpmath.mp.dps = 50
    exact = mpmath.mpf(p)
    logp = torch.tensor([float(mpmath.log(exact))], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    found = unlikelihood(logp, one, bounded=False)
    assert found.item() == pytest.approx(float(-mpmath.log(1 - exact)), rel=TIGHT)
    # d/dlogp of -log(1 - e^logp) = p / (1 - p)
    assert gradient(lambda x: unlikelihood(x, one, bounded=False), logp)[0].item() == pytest.approx(
        float(exact / (1 - exact)), rel=TIGHT
    )


def test_a_token_of_which_the_model_is_certain_costs_a_number():
    logp = torch.tensor([0.0], requires_grad=True)
    found = unlikelihood(logp, torch.ones(1), bounded=False)
    # at the highest log-probability that is seen: -log(1 - e^-0.0001) = 9.21
    assert found.item() == pytest.approx(-math.log(-math.expm1(SURE)), rel=1e-4)
    assert torch.isfinite(gradient(lambda x: unlikelihood(x, torch.ones(1), bounded=False), logp)[0]).all()


def test_bounded_unlikelihood_is_the_probability_of_what_counts():
    logp = torch.log(torch.tensor([0.2, 0.6, 0.4], dtype=torch.float64))
    weight = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    assert unlikelihood(logp, weight).item() == pytest.approx(0.5)


@pytest.mark.parametrize("p", [0.01, 0.5, 0.999, 0.9999])
def test_bounded_unlikelihood_never_pulls_harder_than_likelihood_does(p):
    # logits of a token and of all the rest; on the token's own, -log p has the gradient p - 1 and p has p (1 - p)
    logits = torch.log(torch.tensor([p, 1 - p], dtype=torch.float64)).requires_grad_()

    def own(loss) -> float:
        return gradient(lambda z: loss(torch.log_softmax(z, 0)[:1]), logits)[0][0].item()

    one = torch.ones(1, dtype=torch.float64)
    assert own(lambda logp: -logp.sum()) == pytest.approx(p - 1, rel=TIGHT)
    assert own(lambda logp: unlikelihood(logp, one)) == pytest.approx(p * (1 - p), rel=TIGHT)
    # the other form has p, whatever likelihood still asks for
    assert own(lambda logp: unlikelihood(logp, one, bounded=False)) == pytest.approx(p, rel=1e-3)


def test_a_candidate_of_which_nothing_counts_costs_nothing():
    assert unlikelihood(torch.log(torch.tensor([0.5, 0.5])), torch.zeros(2)).item() == 0.0


def test_ambiguity_is_greatest_where_half_of_the_candidates_pass():
    # uniform over 8 tokens: entropy log 8, all there is
    entropy = torch.full((3,), math.log(8), dtype=torch.float64)
    assert ambiguity(entropy, 8, 0.5).item() == pytest.approx(1.0)
    assert ambiguity(entropy, 8, 0.25).item() == pytest.approx(0.75)
    assert ambiguity(entropy, 8, 0.0).item() == ambiguity(entropy, 8, 1.0).item() == 0.0
    assert ambiguity(entropy[:0], 8, 0.5).item() == 0.0


def test_entropy_and_its_gradient_have_the_closed_form():
    z = torch.tensor([0.3, -1.2, 4.0, 0.0], dtype=torch.float64, requires_grad=True)
    mpmath.mp.dps = 50
    e = [mpmath.exp(mpmath.mpf(x)) for x in z.tolist()]
    p = [x / sum(e) for x in e]
    h = -sum(x * mpmath.log(x) for x in p)
    assert full_entropy(z[None])[0].item() == pytest.approx(float(h), rel=TIGHT)
    # dH/dz_j = -p_j (log p_j + H)
    exact = [float(-x * (mpmath.log(x) + h)) for x in p]
    assert gradient(lambda x: full_entropy(x[None]).sum(), z)[0].tolist() == pytest.approx(exact, rel=TIGHT)


def test_entropy_of_a_certain_token_is_a_number():
    z = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    assert full_entropy(z).item() == 0.0
    assert torch.isfinite(gradient(lambda x: full_entropy(x).sum(), z)[0]).all()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.875])
def test_at_the_start_nft_has_the_gradient_of_group_advantages(share):
    start = torch.log(torch.tensor([0.2, 0.9], dtype=torch.float64))
    logp = start.clone().requires_grad_()
    # right: advantage 1 - q, wrong: -q; a cost falls where an advantage is positive
    right = gradient(lambda x: nft(x, start, True, share).sum(), logp)[0]
    wrong = gradient(lambda x: nft(x, start, False, share).sum(), logp)[0]
    assert right.tolist() == pytest.approx([-(1 - share)] * 2, rel=TIGHT)
    assert wrong.tolist() == pytest.approx([share] * 2, rel=TIGHT)


def test_nft_of_a_wrong_token_that_has_become_less_likely_has_the_closed_form():
    start, q = torch.log(torch.tensor([0.4], dtype=torch.float64)), 0.25
    logp = torch.log(torch.tensor([0.1], dtype=torch.float64)).requires_grad_()
    # r = 1/4: (1 - 1/16) / (3/4) = 1.25; cost -(3/4) log 1.25; d/dlogp = (3/4) q r / (1 - q r) = (3/4) (1/15)
    assert nft(logp, start, False, q).item() == pytest.approx(-0.75 * math.log(1.25), rel=TIGHT)
    assert gradient(lambda x: nft(x, start, False, q).sum(), logp)[0].item() == pytest.approx(0.05, rel=TIGHT)


def test_nft_of_a_wrong_token_that_has_become_likelier_has_no_pole():
    start, q = torch.log(torch.tensor([0.1], dtype=torch.float64)), 0.5
    logp = torch.log(torch.tensor([0.2], dtype=torch.float64)).requires_grad_()
    # r = 2, q r = 1: the ratio itself is 0; held at 1 its cost is 0 and its gradient (1 - q) q r / (1 - q) = 1
    assert nft(logp, start, False, q).item() == 0.0
    assert gradient(lambda x: nft(x, start, False, q).sum(), logp)[0].item() == pytest.approx(1.0, rel=TIGHT)


def test_a_row_where_all_or_none_are_right_keeps_a_finite_weight():
    start = torch.zeros(1) - 1
    for share in (0.0, 1.0):
        for right in (True, False):
            assert torch.isfinite(nft(start + 50, start, right, share)).all()


@pytest.mark.parametrize("bounded", [False, True])
def test_gradients_agree_with_differences(bounded):
    logp = torch.log(torch.tensor([0.3, 0.6, 0.9, 0.05], dtype=torch.float64)).requires_grad_()
    weight = penalised(logp, range(4), 0.1)
    found = gradient(lambda x: unlikelihood(x, weight, bounded), logp)[0]
    exact = by_differences(lambda x: unlikelihood(x, weight, bounded), logp.detach())
    assert torch.allclose(found, exact, rtol=1e-5, atol=1e-9)
