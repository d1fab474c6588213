"""An agent behind a server: proved by what the server says now, and refused where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from recast.agent.engines import probe
from recast.agent.engines.factory import EngineConfig
from recast.agent.engines.http.engine import HTTPEngine
from recast.agent.engines.protocol import Sampling
from recast.agent.engines.tokens import load_tokenizer
from recast.curate.errors import ModelError, RefusedError
from recast.curate.store.store import Store
from recast.pipelines.wiring import models
from tests.conftest import demonstrations
from tests.fakes.server import Fake, serving

PROMPTS = [[{"role": "user", "content": "Compute 48 / 2."}]]


@pytest.fixture(scope="module")
def folder(tokenizer_alone: Path) -> Path:
    return tokenizer_alone


@pytest.fixture
def fake(folder: Path):
    with serving(Fake(load_tokenizer(folder), agent_nats=1.0, agent_says="first")) as server:
        yield server


def opened(fake: Fake, folder: Path, agent: Path, store: Store) -> HTTPEngine:
    settings = EngineConfig(
        type="http", base_url=fake.url, served_model="tiny", served_agent="agent", retries=0
    )
    found = models.engine(str(folder), agent, settings, store=store)
    assert isinstance(found, HTTPEngine)
    return found


def learnt(fake: Fake, folder: Path, agent: Path, store: Store, weights: bytes) -> Path:
    """An agent whose record is what the server makes of it; no engine here reads its weights."""
    agent.mkdir(exist_ok=True)
    (agent / "adapter_config.json").write_text("{}")
    (agent / "adapter_model.safetensors").write_bytes(weights)
    (agent / probe.PROBE).unlink(missing_ok=True)
    probe.record(opened(fake, folder, agent, store), agent)
    return agent


def test_a_server_that_came_to_serve_something_else_is_refused_whatever_it_once_answered(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    agent = learnt(fake, folder, tmp_path / "agent", store, b"1")
    opened(fake, folder, agent, store).logprobs(PROMPTS, ["24"], adapter=True)
    fake.agent_nats = 0.0
    with pytest.raises(RefusedError, match="exactly as without it"):
        opened(fake, folder, agent, store)
    fake.agent_nats = 2.0
    with pytest.raises(RefusedError, match="runs another adapter"):
        opened(fake, folder, agent, store)


def test_candidates_of_an_agent_learnt_anew_are_its_own(fake: Fake, folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")

    def drawn() -> str:
        engine = opened(fake, folder, tmp_path / "agent", store)
        return engine.sample(PROMPTS, 1, Sampling(max_tokens=8), seeds=[[1]], adapter=True)[0][0].text

    learnt(fake, folder, tmp_path / "agent", store, b"1")
    assert drawn() == "first"
    fake.agent_says = "second"
    assert drawn() == "first", "the same agent is not paid for twice"
    learnt(fake, folder, tmp_path / "agent", store, b"2")
    assert drawn() == "second"


def test_of_a_server_that_cannot_score_an_agent_is_told_what_works_and_the_backbone_does(
    fake: Fake, folder: Path, tmp_path: Path, recast
) -> None:
    store = Store(tmp_path / "store")
    agent = learnt(fake, folder, tmp_path / "agent", store, b"1")
    fake.owned_by, fake.scores_prompts = "someone", False
    with pytest.raises(
        ModelError, match=r"an agent cannot be proved .* leave --agent and --served-agent out"
    ):
        opened(fake, folder, agent, store)
    assert recast("import", demonstrations(tmp_path / "sums.jsonl", 2), "--as", "sums").code == 0
    server = ("--engine", "http", "--base-url", fake.url, "--served-model", "tiny")
    said = recast("rewrite", "sums", "-m", folder, *server, "--set", "rewrite.scoring=false", "--as", "x")
    assert said.code == 0, said.err
