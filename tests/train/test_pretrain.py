"""Pretraining: packing loses nothing it keeps, attention stays in a document, a killed run goes on."""

import itertools

import pytest

torch = pytest.importorskip("torch")
from train.pretrain import PretrainConfig, learning_rate, pack, pretrain, tensors, weighted_loss  # noqa: E402


def llama(seed: int = 0):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        head_dim=32,
        attn_implementation="eager",
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def counting(seed: str):
    """Documents that count upwards from a start that depends on the seed."""
    start = sum(map(ord, seed)) % 7
    for n in itertools.count():
        size = 3 + (start + n) % 5
        ids = [2 + (start + n + i) % 20 for i in range(size)]
        yield ids, [0.0] + [1.0] * (size - 1)


def test_packing_uses_the_shortest_row_that_fits_and_never_overfills() -> None:
    docs = iter(
        [([1] * 5, [1.0] * 5), ([2] * 3, [1.0] * 3), ([3] * 9, [1.0] * 9), *[([4] * 20, [1.0] * 20)] * 2]
    )
    packed = pack(docs, {8: 1, 16: 1}, patience=2)
    # 5 and 3 fill the row of 8 exactly; 9 needs the row of 16; 20 fits nowhere, twice, and that ends it
    assert [[len(d[0]) for d in row] for row in packed[8]] == [[5, 3]]
    assert [[len(d[0]) for d in row] for row in packed[16]] == [[9]]


def test_targets_are_shifted_and_never_cross_a_document() -> None:
    batch = tensors([[([5, 6, 7], [0.0, 0.5, 1.0]), ([8, 9], [0.0, 1.0])]], 6, pad=0)
    assert batch["targets"].tolist() == [[6, 7, 0, 9, 0, 0]]
    assert batch["weights"].tolist() == [[0.5, 1.0, 0.0, 1.0, 0.0, 0.0]]
    assert batch["positions"].tolist() == [[0, 1, 2, 0, 1, 0]]


def test_a_packed_document_has_the_loss_it_has_alone() -> None:
    model = llama().eval()
    a, b = ([5, 6, 7, 8], [0.0, 1.0, 1.0, 1.0]), ([9, 3, 4], [0.0, 1.0, 1.0])
    together, _ = weighted_loss(model, tensors([[a, b]], 8, pad=0))
    apart = sum(weighted_loss(model, tensors([[d]], len(d[0]), pad=0))[0] for d in (a, b))
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    config = PretrainConfig(steps=100, warmup=10, decay_frac=0.2)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(50, config) == 1.0
    assert learning_rate(90, config) == pytest.approx(0.5)  # 10 of the last 20 steps are left


def test_training_learns_and_a_killed_run_ends_in_the_same_weights(tmp_path) -> None:
    config = PretrainConfig(
        steps=12, rows={16: 4}, lr=2e-2, lr_embedding=2e-2, warmup=2, save_every=4, compile=False
    )
    whole = llama()
    first = []
    pretrain(
        whole, counting, config, tmp_path / "whole", pad=0, progress=lambda s, t, f: first.append(f["loss"])
    )
    assert first[-1] < 0.7 * first[0]

    class Killed(Exception):
        pass

    def die(step: int, total: int, figures: dict) -> None:
        if step == 7:  # after the checkpoint of step 4, before that of step 8
            raise Killed

    with pytest.raises(Killed):
        pretrain(llama(), counting, config, tmp_path / "cut", pad=0, progress=die)
    resumed = llama(seed=5)  # other initial weights: they must all come from the checkpoint
    pretrain(resumed, counting, config, tmp_path / "cut", pad=0)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
