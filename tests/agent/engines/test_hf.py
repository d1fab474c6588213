"""The HF engine against transformers itself: same greedy text, same log-probabilities, draws that stand alone."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from recast.agent.engines import tokens
from recast.agent.engines.hf import decode as decoding
from recast.agent.engines.hf import scoring
from recast.agent.engines.hf.batching import cut
from recast.agent.engines.hf.decode import decode, draw, uniforms
from recast.agent.engines.hf.engine import HFEngine, row_bytes, standing
from recast.agent.engines.hf.kv_cache import attends_to_all
from recast.agent.engines.protocol import Engine, MixesContexts, Mixing, Sampling
from recast.curate import chat
from recast.curate.errors import ModelError, UsageError
from recast.train.model.lora import lora_config
from tests.fakes.models import (
    ARCHITECTURES,
    OTHERS,
    load,
    make_config,
    make_gemma_tokenizer,
    make_model,
    make_tokenizer,
)

PROMPTS = [[{"role": "user", "content": "Compute 48 / 2. " * n}] for n in (1, 4, 2, 7)]
COMPLETIONS = ["48 / 2 = 24. The answer is 24.", "", "Tom has 1234 apples. " * 6, "24"]
GREEDY = Sampling(temperature=0.0, max_tokens=20)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: make_model(name, root / name, max_length=256) for name in ARCHITECTURES}


def engine(folder: Path, **options: int) -> HFEngine:
    model, tokenizer = load(folder)
    return HFEngine(model, tokenizer, **options)


def plain(hf: HFEngine, head: list[int], tail: list[int]) -> torch.Tensor:
    """Log-probabilities of the vocabulary (T, V) at every token of `tail` after `head`, by one pass without a cache."""
    with torch.no_grad():
        logits = hf.model(torch.tensor([head + tail]), use_cache=False).logits[0, len(head) - 1 : -1]
    return torch.log_softmax(logits.double(), dim=-1)


def with_adapter(model: Any) -> Any:
    """A LoRA whose B is not zero, so that it changes what the model says."""
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    return adapted.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_text_is_that_of_generate(folders: dict[str, Path], architecture: str) -> None:
    hf = engine(folders[architecture])
    drawn = hf.sample(PROMPTS, 2, GREEDY, seeds=[[1, 2]] * 4, adapter=False)
    for prompt, group in zip(PROMPTS, drawn, strict=True):
        ids = torch.tensor([chat.prompt_ids(hf.tokenizer, prompt)])
        expected = hf.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False
        )[0, ids.shape[1] :].tolist()
        assert [s.token_ids for s in group] == [expected, expected]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_equal_a_plain_float32_pass_over_each_row_alone(
    folders: dict[str, Path], architecture: str
) -> None:
    hf = engine(folders[architecture])
    prompts, completions = PROMPTS * 2, COMPLETIONS + COMPLETIONS[::-1]
    for prompt, completion, score in zip(
        prompts, completions, hf.logprobs(prompts, completions, adapter=False), strict=True
    ):
        head, tail = chat.encode(hf.tokenizer, prompt, completion)
        logp = plain(hf, head, tail)
        surprisal = -logp[range(len(tail)), tail]
        entropy = -(logp.exp() * logp).sum(dim=-1)
        assert score.num_tokens == len(tail)
        assert score.nll == pytest.approx(surprisal.mean().item(), abs=1e-4)
        assert score.entropy == pytest.approx(entropy.mean().item(), abs=1e-4)
        assert score.excess == pytest.approx((surprisal - entropy).sum().item(), abs=1e-3)


def test_excess_at_a_temperature_is_that_of_the_distribution_drawn_from_there(
    folders: dict[str, Path],
) -> None:
    hf = engine(folders["llama"])
    warm, _ = hf.score(PROMPTS, COMPLETIONS, adapter=False, temperature=0.5)
    plain_scores = hf.logprobs(PROMPTS, COMPLETIONS, adapter=False)
    for prompt, completion, at_half, at_one in zip(PROMPTS, COMPLETIONS, warm, plain_scores, strict=True):
        head, tail = chat.encode(hf.tokenizer, prompt, completion)
        logp = (plain(hf, head, tail) / 0.5).log_softmax(dim=-1)
        surprisal, entropy = -logp[range(len(tail)), tail], -(logp.exp() * logp).sum(dim=-1)
        assert at_half.excess == pytest.approx((surprisal - entropy).sum().item(), abs=1e-3)
        assert (at_half.nll, at_half.entropy) == (at_one.nll, at_one.entropy), "the model's own"


def test_excess_of_two_tokens_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])  # p = 1/4, 3/4; at temperature 1/2 p = 1/10, 9/10
    both, rows = torch.tensor([0, 1]), torch.tensor([0, 0])
    logp, entropy, at_one = scoring.token_scores(logits, both, rows)
    assert logp.tolist() == pytest.approx([-1.386294, -0.287682], abs=1e-5)
    assert entropy.tolist() == pytest.approx([0.562335] * 2, abs=1e-5)
    assert at_one.tolist() == pytest.approx([0.823959, -0.274653], abs=1e-5)
    # H = 0.325083: -log 0.1 - H and -log 0.9 - H
    at_half = scoring.token_scores(logits, both, rows, 0.5)[2]
    assert at_half.tolist() == pytest.approx([1.977502, -0.219722], abs=1e-5)
    drawn_at_half = torch.tensor([0.1, 0.9], dtype=torch.float64)
    assert (drawn_at_half * at_half).sum().item() == pytest.approx(0.0, abs=1e-6), "own samples have none"
    assert (drawn_at_half * at_one).sum().item() == pytest.approx(-0.164792, abs=1e-5), (
        "by the untempered model every token more would pay"
    )


@pytest.mark.parametrize("architecture", [name for name in OTHERS if name != "mamba"])
def test_whatever_the_kind_of_past_samples_and_scores_are_those_of_plain_passes(
    tmp_path: Path, architecture: str
) -> None:
    hf = HFEngine.load(make_model(architecture, tmp_path / "m", max_length=256), device="cpu")
    drawn = hf.sample(PROMPTS, 2, GREEDY, seeds=[[1, 2]] * 4, adapter=False)
    for prompt, group in zip(PROMPTS, drawn, strict=True):
        for sample in group:
            expected = plain(hf, chat.prompt_ids(hf.tokenizer, prompt), sample.token_ids)
            picked = expected[range(len(sample.token_ids)), sample.token_ids]
            assert picked == pytest.approx(expected.amax(dim=-1), abs=1e-3)
            assert sample.logprobs == pytest.approx(picked.tolist(), abs=1e-3)
    prompts, completions = PROMPTS * 2, COMPLETIONS + COMPLETIONS[::-1]
    scores, states = hf.score(prompts, completions, adapter=False, embed=True)
    assert states is not None and states.shape == (8, hf.model.config.hidden_size)
    for prompt, completion, score in zip(prompts, completions, scores, strict=True):
        head, tail = chat.encode(hf.tokenizer, prompt, completion)
        assert score.nll == pytest.approx(
            -plain(hf, head, tail)[range(len(tail)), tail].mean().item(), abs=1e-4
        )


def test_a_model_with_a_past_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="MambaForCausalLM, which keeps its past in a way of its own"):
        HFEngine.load(make_model("mamba", tmp_path / "m"))


@pytest.mark.parametrize("architecture", ["deepseek_v3", "falcon_h1"])
def test_learning_adapts_every_kind_of_layer_and_the_backbone_stays_the_same(
    tmp_path: Path, architecture: str
) -> None:
    from peft import get_peft_model

    hf = engine(make_model(architecture, tmp_path / "m"))
    adapted = get_peft_model(hf.model, lora_config(hf.model, 4, 8))
    assert HFEngine(adapted, hf.tokenizer).fingerprint == engine(tmp_path / "m").fingerprint


def test_a_sliding_window_is_scored_as_by_a_plain_pass(tmp_path: Path) -> None:
    # such a cache cannot be copied row by row: every chunk is one batch
    folder = make_model("qwen2", tmp_path / "m", max_length=256)
    config = json.loads((folder / "config.json").read_text())
    config |= {"use_sliding_window": True, "sliding_window": 12, "layer_types": ["sliding_attention"] * 2}
    (folder / "config.json").write_text(json.dumps(config))
    hf = engine(folder, batch_size=4)
    assert not attends_to_all(hf.model.config)
    prompts, completions = PROMPTS * 2, COMPLETIONS + COMPLETIONS[::-1]
    scores = hf.logprobs(prompts, completions, adapter=False)
    for prompt, completion, score in zip(prompts, completions, scores, strict=True):
        head, tail = chat.encode(hf.tokenizer, prompt, completion)
        surprisal = -plain(hf, head, tail)[range(len(tail)), tail]
        assert score.nll == pytest.approx(surprisal.mean().item(), abs=1e-4)


def test_batches_hold_so_many_rows_and_padded_positions() -> None:
    lengths = [[0] * n for n in (2, 2, 5, 3, 9, 1)]
    # 3 rows at most, 10 positions: [2, 2] and not 5 with them (15); [5, 3]; 9 alone is as it is; then 1
    assert list(cut(range(6), lengths, 3, 10)) == [[0, 1], [2, 3], [4], [5]]
    assert list(cut([4, 5], lengths, 3, 4)) == [[4], [5]]


def test_sampled_logprobs_are_the_models_own_whatever_the_temperature(folders: dict[str, Path]) -> None:
    hf = engine(folders["llama"])
    sample = hf.sample(PROMPTS[:1], 1, Sampling(temperature=1.7, max_tokens=8), seeds=[[3]], adapter=False)[
        0
    ][0]
    head = chat.prompt_ids(hf.tokenizer, PROMPTS[0])
    expected = plain(hf, head, sample.token_ids)[range(8), sample.token_ids]
    assert sample.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_a_rows_draws_depend_on_its_own_seed_alone(folders: dict[str, Path], top_p: float) -> None:
    sampling = Sampling(temperature=1.0, top_p=top_p, max_tokens=12)
    hf = engine(folders["qwen2"])
    together = hf.sample(PROMPTS, 3, sampling, seeds=[[i, i + 10, i + 20] for i in range(4)], adapter=False)
    hf.batch_size = 1
    alone = hf.sample(PROMPTS[2:3], 1, sampling, seeds=[[12]], adapter=False)
    assert together[2][1].token_ids == alone[0][0].token_ids
    assert together[2][1].logprobs == pytest.approx(alone[0][0].logprobs, abs=1e-4)
    texts = Counter(s.text for group in together for s in group)
    assert len(texts) > 8, "other seeds draw other texts"


def test_rows_that_end_leave_the_batch_and_the_others_go_on_unchanged(folders: dict[str, Path]) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=64)
    hf = engine(folders["llama"])
    seeds = [[8 * i + j for j in range(8)] for i in range(4)]
    free = hf.sample(PROMPTS, 8, sampling, seeds=seeds, adapter=False)
    ends = list(range(60, 75))  # about one token in 25: most rows end early, at different steps
    hf.model.generation_config.eos_token_id = ends
    cut = hf.sample(PROMPTS, 8, sampling, seeds=seeds, adapter=False)
    lengths = set()
    for long, short in zip((s for g in free for s in g), (s for g in cut for s in g), strict=True):
        stop = next((t for t, token in enumerate(long.token_ids) if token in ends), None)
        expected = long.token_ids if stop is None else long.token_ids[: stop + 1]
        assert short.token_ids == expected
        assert short.finish_reason == (
            "stop" if stop is not None or long.finish_reason == "stop" else "length"
        )
        assert len(short.logprobs) == len(short.token_ids)
        lengths.add(len(expected))
    assert len(lengths) > 8


def test_the_end_of_turn_is_in_the_tokens_and_not_in_the_text(folders: dict[str, Path]) -> None:
    hf = engine(folders["gpt2"])
    first = hf.sample(PROMPTS[:1], 1, GREEDY, seeds=[[0]], adapter=False)[0][0]
    hf.model.generation_config.eos_token_id = first.token_ids[3]
    stop_at = first.token_ids.index(first.token_ids[3])
    sample = hf.sample(PROMPTS[:1], 1, GREEDY, seeds=[[0]], adapter=False)[0][0]
    assert (sample.token_ids, sample.finish_reason) == (first.token_ids[: stop_at + 1], "stop")
    assert sample.text == hf.tokenizer.decode(first.token_ids[:stop_at])


def test_what_the_template_ends_a_turn_with_ends_a_completion_though_eos_is_another(
    folders: dict[str, Path],
) -> None:
    model, _ = load(folders["llama"])
    tokenizer = make_gemma_tokenizer()
    model.resize_token_embeddings(len(tokenizer))
    model.generation_config.eos_token_id = None
    hf = HFEngine(model, tokenizer)
    end = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert hf.eos_ids == sorted([end, tokenizer.eos_token_id])
    head, tail = chat.encode(tokenizer, PROMPTS[0], COMPLETIONS[0])
    assert tokens.texts(tokenizer, [tail], hf.eos_ids) == [COMPLETIONS[0]]
    expected = -plain(hf, head, tail)[range(len(tail)), tail].mean().item()
    (score,) = hf.logprobs(PROMPTS[:1], COMPLETIONS[:1], adapter=False)
    assert (score.nll, tail[-1]) == (pytest.approx(expected, abs=1e-4), end)


def test_what_does_not_fit_the_model_is_said_and_harms_no_other_row(folders: dict[str, Path]) -> None:
    hf = engine(folders["gpt2"])  # learned positions: beyond 256 there is nothing
    long = [{"role": "user", "content": "1 " * 300}]
    nearly = [{"role": "user", "content": "1 " * 110}]
    drawn = hf.sample([PROMPTS[0], long, nearly], 1, GREEDY, seeds=[[0]] * 3, adapter=False)
    alone = engine(folders["gpt2"]).sample(PROMPTS[:1], 1, GREEDY, seeds=[[0]], adapter=False)
    assert drawn[0][0].token_ids == alone[0][0].token_ids
    assert (drawn[1][0].token_ids, drawn[1][0].finish_reason) == ([], "prompt_too_long")
    assert len(drawn[2][0].token_ids) == min(20, 256 - len(chat.prompt_ids(hf.tokenizer, nearly)))
    scores = hf.logprobs([long, PROMPTS[0]], ["24", "24"], adapter=False)
    assert math.isnan(scores[0].nll) and scores[0].num_tokens == 3
    assert math.isfinite(scores[1].nll)


def test_the_adapter_is_on_when_asked_and_off_otherwise(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = engine(folders["llama"])
    model, tokenizer = load(folders["llama"])
    adapted = with_adapter(model)
    adapted.save_pretrained(tmp_path / "adapter")
    hf = HFEngine.load(folders["llama"], adapter=tmp_path / "adapter", dtype="float32", device="cpu")
    before = plain.logprobs(PROMPTS, COMPLETIONS, adapter=False)
    assert hf.logprobs(PROMPTS, COMPLETIONS, adapter=False) == before
    assert abs(hf.logprobs(PROMPTS, COMPLETIONS, adapter=True)[0].nll - before[0].nll) > 1e-3
    assert hf.fingerprint == plain.fingerprint
    greedy = hf.sample(PROMPTS[:1], 1, GREEDY, seeds=[[0]], adapter=True)[0][0]
    ids = torch.tensor([chat.prompt_ids(tokenizer, PROMPTS[0])])
    expected = adapted.generate(input_ids=ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :].tolist()
    assert greedy.token_ids == expected
    with pytest.raises(ModelError, match="has none"):
        plain.sample(PROMPTS, 1, GREEDY, seeds=[[0]] * 4, adapter=True)


def test_the_fingerprint_tells_weights_and_dtypes_apart(folders: dict[str, Path], tmp_path: Path) -> None:
    other = make_model("llama", tmp_path / "other", seed=1, max_length=256)
    half = HFEngine.load(folders["llama"], dtype="bfloat16", device="cpu")
    prints = {engine(folders["llama"]).fingerprint, engine(other).fingerprint, half.fingerprint}
    assert len(prints) == 3 and all(len(p) == 16 for p in prints)


def test_bfloat16_scores_stay_near_float32(folders: dict[str, Path]) -> None:
    exact = engine(folders["llama"]).logprobs(PROMPTS, COMPLETIONS, adapter=False)
    half = HFEngine.load(folders["llama"], dtype="bfloat16", device="cpu")
    for a, b in zip(exact, half.logprobs(PROMPTS, COMPLETIONS, adapter=False), strict=True):
        assert b.nll == pytest.approx(a.nll, abs=0.2)


def test_training_mode_and_attention_are_as_before_afterwards(folders: dict[str, Path]) -> None:
    hf = engine(folders["llama"])
    hf.model.train()
    hf.sample(PROMPTS[:1], 1, GREEDY, seeds=[[0]], adapter=False)
    assert hf.model.training and hf.model.config._attn_implementation == "sdpa"


def test_embeddings_are_the_mean_last_state_over_the_completion(folders: dict[str, Path]) -> None:
    hf = engine(folders["llama"])
    _, states = hf.score(PROMPTS[:2], COMPLETIONS[:2], adapter=False, embed=True)
    head, tail = chat.encode(hf.tokenizer, PROMPTS[0], COMPLETIONS[0])
    with torch.no_grad():
        hidden = hf.model(torch.tensor([head + tail]), output_hidden_states=True).hidden_states[-1][0]
    assert states is not None
    assert states[0] == pytest.approx(hidden[len(head) - 1 : -1].mean(dim=0).numpy(), abs=1e-4)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_decoding_with_a_copy_of_the_prompt_a_row_gives_the_same(
    folders: dict[str, Path], implementation: str
) -> None:
    # what a GPU or another attention uses, against the shared prefix of a CPU
    hf = engine(folders["llama"])
    hf.model.generation_config.eos_token_id = list(range(60, 90))  # rows leave at different steps
    prompts = [chat.prompt_ids(hf.tokenizer, p) for p in PROMPTS]
    seeds, sampling = [[8 * i + j for j in range(8)] for i in range(4)], Sampling(max_tokens=48)
    shared = hf.sample_ids(prompts, 8, sampling, seeds=seeds, adapter=False)
    hf.model.config._attn_implementation_internal = implementation
    with torch.no_grad():
        copied = decode(hf.model, prompts, seeds, sampling, eos_ids=hf.eos_ids, pad_id=0, max_length=256)
    assert [[s.token_ids for s in g] for g in shared] == [[d.token_ids for d in g] for g in copied]


def test_draws_follow_the_distribution_token_by_token() -> None:
    # 0.5, 0.3, 0.2: the first half of the uniforms falls on token 0, the next 30 % on 1, the rest on 2
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log().expand(100, 3)
    u = (torch.arange(100) + 0.5) / 100
    tokens, logprobs = draw(logits, Sampling(), u)
    assert tokens.tolist() == [0] * 50 + [1] * 30 + [2] * 20
    assert logprobs[60].item() == pytest.approx(math.log(0.3), abs=1e-6)


def test_top_p_keeps_the_fewest_tokens_that_reach_it_and_renormalises() -> None:
    # of 0.2, 0.5, 0.3 the best two reach 0.75: token 1 on 62.5 % and token 2 on 37.5 % of the uniforms
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().expand(80, 3)
    tokens, logprobs = draw(logits, Sampling(top_p=0.75), (torch.arange(80) + 0.5) / 80)
    assert Counter(tokens.tolist()) == {1: 50, 2: 30}
    assert logprobs[0].item() == pytest.approx(math.log(0.5), abs=1e-6)


def test_top_p_over_a_wide_vocabulary_agrees_with_a_full_sort() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 1000, generator=generator) * 0.5  # flat: 64 tokens hold far less than 0.9
    logits[:32] *= 20  # peaked
    u = torch.rand(64, generator=generator)
    tokens, _ = draw(logits, Sampling(top_p=0.9), u)
    best, place = torch.softmax(logits, dim=-1).sort(dim=-1, descending=True)
    kept = best * (best.cumsum(-1) - best < 0.9)
    at = torch.searchsorted(kept.cumsum(-1), u[:, None] * kept.sum(-1, keepdim=True), right=True)
    assert tokens.tolist() == place.gather(1, at)[:, 0].tolist()


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    logits = torch.tensor([[0.0, -math.inf, 0.0, -math.inf]]).expand(3, 4)
    tokens, _ = draw(logits, Sampling(), torch.tensor([0.0, 0.5, 1.0 - 2**-24]))
    assert tokens.tolist() == [0, 2, 2]


def test_uniforms_of_a_seed_do_not_depend_on_their_number() -> None:
    assert uniforms([5, 6], 4)[1].tolist() == uniforms([6], 9)[0, :4].tolist()


def test_it_is_an_engine(folders: dict[str, Path]) -> None:
    assert isinstance(hf := engine(folders["llama"]), Engine) and isinstance(hf, MixesContexts)


def test_a_tokenizer_without_template_is_refused(folders: dict[str, Path]) -> None:
    model, tokenizer = load(folders["llama"])
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="chat template"):
        HFEngine(model, tokenizer)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        HFEngine.load(tmp_path)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_rows_are_drawn_in_blocks_as_all_at_once(monkeypatch: pytest.MonkeyPatch, top_p: float) -> None:
    logits = torch.randn(7, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    u = torch.rand(7, generator=torch.Generator().manual_seed(1))
    whole = draw(logits, Sampling(0.7, top_p), u)
    monkeypatch.setattr(decoding, "CPU_BLOCK", 2 * 300)
    assert all(torch.equal(a, b) for a, b in zip(whole, draw(logits, Sampling(0.7, top_p), u), strict=True))


def test_scores_of_a_tile_of_positions_are_those_of_all_at_once(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hf = engine(folders["llama"])
    whole, _ = hf.score(PROMPTS, COMPLETIONS, adapter=False)
    monkeypatch.setattr(scoring, "TILE", 3 * hf.model.config.vocab_size)
    tiled, _ = hf.score(PROMPTS, COMPLETIONS, adapter=False)
    for a, b in zip(whole, tiled, strict=True):
        assert (b.nll, b.entropy, b.excess) == pytest.approx((a.nll, a.entropy, a.excess), rel=1e-5, abs=1e-5)


def test_a_memory_that_is_given_bounds_the_rows_decoded_together(folders: dict[str, Path]) -> None:
    model, tokenizer = load(folders["llama"])
    of_four = standing(model) + 4 * row_bytes(model, 2, 30, 20)
    assert HFEngine(model, tokenizer, batch_size=64)._rows(2, 30, 20) == 64, "none is given"
    assert HFEngine(model, tokenizer, batch_size=64, memory=of_four)._rows(2, 30, 20) == 4
    assert HFEngine(model, tokenizer, batch_size=3, memory=of_four)._rows(2, 30, 20) == 3
    with pytest.raises(UsageError, match=r"8 samples of a prompt of 30 tokens.*Give more"):
        HFEngine(model, tokenizer, memory=of_four)._rows(8, 30, 20)


def test_a_row_keeps_its_share_of_the_prompt_and_its_own_tokens() -> None:
    # 2 layers, one key head of 32 in float32: 512 bytes a token; a prompt of 8 twice among 4 rows, 20 tokens and a
    # fourth to spare, and four times the logits of 384 tokens
    config = make_config("llama", make_tokenizer())
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    assert row_bytes(model, 4, 8, 20) == 2 * 2 * 32 * 4 * (2 * 2 + 25) + 4 * 4 * 384


def test_a_mixture_is_the_geometric_mean_that_the_first_contexts_entropy_weighs() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([[0.1, 0.4, 0.5], [0.2, 0.3, 0.5]])
    p, q = p.clamp_min(1e-12), q.clamp_min(1e-12)
    share = math.log(2) / math.log(3)  # of two tokens alike, of three
    found = decoding.mixed(p.log(), q.log(), 1.0, torch.tensor([False, False])).softmax(-1)
    ratio = (0.4 / 0.1) ** share
    assert found[0, :2] == pytest.approx([1 / (1 + ratio), ratio / (1 + ratio)], abs=1e-3)
    assert found[1] == pytest.approx([1.0, 0.0, 0.0], abs=1e-3), "where the first is sure, it speaks"
    alone = decoding.mixed(p.log(), q.log(), 0.0, torch.tensor([True, False])).softmax(-1)
    assert alone[0] == pytest.approx([0.1, 0.4, 0.5], abs=1e-4) and alone[1, 0] == pytest.approx(
        1.0, abs=1e-4
    )


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_two_contexts_are_decoded_as_two_passes_a_token_would(folders: dict[str, Path], name: str) -> None:
    hf = engine(folders[name], batch_size=4)  # one pair of prompts a batch
    pairs = list(zip(PROMPTS, reversed(PROMPTS), strict=True))
    mixing = Mixing(0.7, re.compile("never said"))
    greedy = Sampling(temperature=0.0, max_tokens=6)
    found = hf.sample_mixed(pairs, 2, greedy, mixing=mixing, seeds=[[0, 1]] * 4, adapter=False)
    for pair, group in zip(pairs, found, strict=True):
        heads, drawn = tokens.prompt_ids(hf.tokenizer, pair), list[int]()
        for token in group[0].token_ids:
            p, q = (plain(hf, head, [*drawn, 0])[-1] for head in heads)
            share = min(1.0, 0.7 * float(-(p.exp() * p).sum()) / math.log(len(p)))
            mixture = torch.log_softmax((1 - share) * p + share * q, dim=-1)
            assert token == int(mixture.argmax()) or float(mixture.max() - mixture[token]) < 1e-4
            assert group[0].logprobs[len(drawn)] == pytest.approx(float(mixture[token]), abs=1e-3)
            drawn.append(token)
        assert group[0] == group[1]


def test_a_mixture_of_nothing_is_the_first_context_and_after_the_mark_the_second_speaks(
    folders: dict[str, Path],
) -> None:
    hf = engine(folders["llama"])
    pairs, seeds = list(zip(PROMPTS, reversed(PROMPTS), strict=True)), [[3, 4]] * 4
    sampling = Sampling(temperature=0.8, max_tokens=24)

    def drawn(strength: float, until: str) -> list[list[str]]:
        mixing = Mixing(strength, re.compile(until))
        found = hf.sample_mixed(pairs, 2, sampling, mixing=mixing, seeds=seeds, adapter=False)
        return [[s.text for s in group] for group in found]

    first = hf.sample(PROMPTS, 2, sampling, seeds=seeds, adapter=False)
    assert drawn(0.0, "never said") == [[s.text for s in group] for group in first]
    # the mark of no letter stands in every text: from the second token on the second context alone
    told = hf.sample_mixed(
        pairs, 1, GREEDY, mixing=Mixing(0.0, re.compile("")), seeds=[[0]] * 4, adapter=False
    )
    for (_, second), (sample,) in zip(pairs, told, strict=True):
        (head,) = tokens.prompt_ids(hf.tokenizer, [second])
        rest = plain(hf, head, sample.token_ids)[1:]
        best = rest.max(dim=-1).values - rest[range(len(rest)), sample.token_ids[1:]]
        assert float(best.max()) < 1e-4


def test_a_pair_of_which_one_prompt_leaves_no_room_is_refused(folders: dict[str, Path]) -> None:
    hf = engine(folders["llama"], max_length=60)
    long = [{"role": "user", "content": "Compute 48 / 2. " * 30}]
    found = hf.sample_mixed(
        [(PROMPTS[0], long), (PROMPTS[0], PROMPTS[0])],
        1,
        GREEDY,
        mixing=Mixing(1.0, re.compile("#")),
        seeds=[[0]] * 2,
        adapter=False,
    )
    assert [group[0].finish_reason == "prompt_too_long" for group in found] == [True, False]
