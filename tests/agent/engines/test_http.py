"""The HTTP engine against a server that fails in every way: what is asked again, what is not, what is kept."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from recast.agent.batches.isolation import CANARY
from recast.agent.engines.http.client import Client, Refusal, ServerError, Window, _retry_after
from recast.agent.engines.http.engine import HTTPEngine
from recast.agent.engines.http.request_cache import RequestCache
from recast.agent.engines.protocol import PROMPT_TOO_LONG, Engine, Sampling
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate import chat
from recast.curate.errors import IntegrityError, ModelError, UsageError
from recast.curate.gate.gate import load_gate
from tests.fakes.models import make_tokenizer
from tests.fakes.server import Fake, serving

PROMPTS = [[{"role": "user", "content": f"Compute {n} / 2."}] for n in range(4)]
SEEDS = [[1, 2]] * 4
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=16)


@pytest.fixture(scope="module")
def folder(tokenizer_alone: Path) -> Path:
    return tokenizer_alone


@pytest.fixture
def fake(folder: Path) -> Iterator[Fake]:
    from recast.agent.engines.tokens import load_tokenizer

    with serving(Fake(load_tokenizer(folder))) as server:
        yield server


def engine(fake: Fake, folder: Path, **options: Any) -> HTTPEngine:
    found = HTTPEngine.load(folder, fake.url, **{"retries": 3, "timeout_s": 0.5, **options})
    found.client.pause_s = 0.01
    return found


def test_it_is_an_engine(fake: Fake, folder: Path) -> None:
    assert isinstance(engine(fake, folder), Engine)


def test_what_is_sent_is_the_rendered_prompt_and_the_samples_own_seed(fake: Fake, folder: Path) -> None:
    http = engine(fake, folder)
    drawn = http.sample(PROMPTS[:1], 2, SAMPLING, seeds=[[7, 8]], adapter=False)
    assert [s.text for s in drawn[0]] == ["ok", "ok"] and drawn[0][0].finish_reason == "stop"
    assert drawn[0][0].logprobs == [-0.5] * len(drawn[0][0].token_ids)
    assert sorted(asked["seed"] for asked in fake.asked) == [7, 8]
    asked = fake.asked[0]
    assert asked["prompt"] == chat.prompt_ids(http.tokenizer, PROMPTS[0])
    expected = {"model": "tiny", "max_tokens": 16, "temperature": 0.7, "top_p": 0.9}
    # vLLM would take what is not said from the model's generation config
    expected |= {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0}
    assert {name: asked[name] for name in expected} == expected


def test_scores_are_those_of_the_completion_and_its_end(fake: Fake, folder: Path) -> None:
    http = engine(fake, folder)
    score = http.logprobs(PROMPTS[:1], ["24"], adapter=False)[0]
    start = len(chat.prompt_ids(http.tokenizer, PROMPTS[0]))
    # two digits and the end of turn, at positions start, start + 1, start + 2 of n/10 nats each
    assert score.num_tokens == 3 and score.nll == pytest.approx((start + 1) / 10)
    assert math.isnan(score.entropy) and math.isnan(score.excess)


def test_the_agent_is_another_name_of_the_same_server(fake: Fake, folder: Path) -> None:
    http = engine(fake, folder, served_agent="agent")
    http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=True)
    http.logprobs(PROMPTS[:1], ["24"], adapter=False)
    assert [asked["model"] for asked in fake.asked] == ["agent", "tiny"]
    with pytest.raises(ModelError, match="only the backbone was named"):
        engine(fake, folder).sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=True)


@pytest.mark.parametrize("fault", [408, 429, 500, 503, "hang", "cut", "junk"])
def test_what_fails_in_passing_is_asked_again(fake: Fake, folder: Path, fault: Any) -> None:
    fake.faults = [fault, fault]
    drawn = engine(fake, folder).sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert drawn[0][0].text == "ok"
    assert len(fake.asked) == 3


def test_the_pause_that_the_server_asks_for_is_kept(fake: Fake, folder: Path) -> None:
    fake.faults = [(429, {"Retry-After": "0.4"})]
    started = time.monotonic()
    engine(fake, folder).sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("99999", 300)])
def test_retry_after_is_seconds_within_reason(value: str, seconds: float) -> None:
    assert _retry_after(httpx.Response(429, headers={"Retry-After": value})) == seconds


def test_retry_after_is_a_date_to_come_or_gone() -> None:
    for ahead, least, most in ((250, 50, 250), (-30, 0, 0)):
        value = formatdate(time.time() + ahead, usegmt=True)
        found = _retry_after(httpx.Response(429, headers={"Retry-After": value}))
        assert found is not None and least <= found <= most


def test_a_retry_after_that_is_neither_is_ignored() -> None:
    assert _retry_after(httpx.Response(429, headers={"Retry-After": "soon"})) is None


def test_what_the_server_refuses_is_not_asked_again(fake: Fake, folder: Path) -> None:
    fake.always = 400
    with pytest.raises(Refusal, match=r"refused /completions \(status 400: told to fail with 400\)"):
        engine(fake, folder).sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert len(fake.asked) == 1


def test_a_server_that_stays_down_is_given_up_and_then_tried_once_a_request(fake: Fake, folder: Path) -> None:
    http = engine(fake, folder)
    fake.always = 500
    with pytest.raises(ServerError, match=r"tried 4 times; the last time: status 500: told to fail with 500"):
        http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    with pytest.raises(ServerError, match="tried once"):
        http.sample(PROMPTS, 2, SAMPLING, seeds=SEEDS, adapter=False)
    assert len(fake.asked) == 4 + 8
    fake.always, fake.faults = None, []
    http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    fake.faults = [500, 500]
    http.sample(PROMPTS[1:2], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert len(fake.asked) == 12 + 1 + 3, "after a success, patience is back"


def test_nothing_answered_is_asked_twice(fake: Fake, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "requests.sqlite"
    http = engine(fake, folder, cache=cache, retries=0)
    fake.faults = [500]
    with pytest.raises(ServerError):
        http.sample(PROMPTS, 2, SAMPLING, seeds=SEEDS, adapter=False)
    assert len(fake.asked) == 8
    http.sample(PROMPTS, 2, SAMPLING, seeds=SEEDS, adapter=False)
    assert len(fake.asked) == 9, "the one that failed alone"
    http.client.close()
    again = engine(fake, folder, cache=cache)
    again.sample(PROMPTS, 2, SAMPLING, seeds=SEEDS, adapter=False)
    assert (len(fake.asked), again.client.num_cached) == (9, 8)
    again.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[3]], adapter=False)
    assert len(fake.asked) == 10, "another seed is another request"


def test_answers_of_an_adapter_are_kept_by_its_identity_not_by_the_name_it_is_served_as(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    def drawn(agent_id: str) -> str:
        http = engine(
            fake, folder, served_agent="agent", agent_id=agent_id, cache=tmp_path / "requests.sqlite"
        )
        text = http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=True)[0][0].text
        http.client.close()
        return text

    fake.agent_says = "first"
    assert drawn("one") == "first"
    fake.agent_says = "second"
    assert drawn("two") == "second"
    assert (drawn("one"), drawn("two"), len(fake.asked)) == ("first", "second", 2)
    with pytest.raises(UsageError, match="pass agent_id"):
        engine(fake, folder, served_agent="agent", cache=tmp_path / "requests.sqlite")


def test_past_the_cache_nothing_is_read_or_kept(fake: Fake, folder: Path, tmp_path: Path) -> None:
    http = engine(fake, folder, cache=tmp_path / "requests.sqlite")
    for asked in (http.uncached, http, http.uncached):
        asked.logprobs(PROMPTS[:1], ["24"], adapter=False)
    assert (len(fake.asked), http.client.num_cached) == (3, 0)


def test_a_server_that_died_stops_the_job_though_it_once_answered_the_canary(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    http = engine(fake, folder, retries=0, cache=tmp_path / "requests.sqlite")
    http.sample([CANARY], 1, Sampling(max_tokens=1), seeds=[[0]], adapter=False)
    fake.always = 500
    settings = RewriteConfig(candidates=1, max_tokens=8, embedding="none")
    rows = [{"row_id": "r", "messages": PROMPTS[0], "completion": "24"}]
    with pytest.raises(ServerError):
        rewrite(rows, http, load_gate("math"), settings, tmp_path / "run")


def test_the_key_comes_from_the_environment_and_is_kept_nowhere(
    fake: Fake,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-4711")
    caplog.set_level(0)
    http = engine(fake, folder, api_key_env="MY_KEY", cache=tmp_path / "requests.sqlite")
    http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert fake.keys == {"Bearer secret-4711"}
    fake.always = 401
    with pytest.raises(Refusal, match="Set MY_KEY in the environment") as refused:
        http.sample(PROMPTS[1:2], 1, SAMPLING, seeds=[[1]], adapter=False)
    http.client.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"4711" not in kept and "4711" not in caplog.text + str(refused.value)
    assert "4711" not in repr(vars(http))


def test_a_server_without_prompt_scores_says_so(fake: Fake, folder: Path) -> None:
    fake.owned_by, fake.scores_prompts = "someone", False
    http = engine(fake, folder)
    with pytest.raises(
        ModelError, match=r"does not tell the log-probabilities of a prompt .* vLLM's server does"
    ):
        http.logprobs(PROMPTS[:1], ["24"], adapter=False)


def test_a_server_that_echoes_scores_alike(fake: Fake, folder: Path) -> None:
    expected = engine(fake, folder).logprobs(PROMPTS, ["24", "", "1", "2"], adapter=False)
    fake.owned_by = "someone"
    found = engine(fake, folder).logprobs(PROMPTS, ["24", "", "1", "2"], adapter=False)
    assert [(s.nll, s.num_tokens) for s in found] == [(s.nll, s.num_tokens) for s in expected]


def test_ids_of_a_server_that_tells_none_are_those_of_the_text(fake: Fake, folder: Path) -> None:
    fake.owned_by = "someone"
    http = engine(fake, folder)
    sample = http.sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)[0][0]
    assert sample.token_ids == chat.completion_ids(http.tokenizer, "ok")
    assert "stop_token_ids" not in fake.asked[0], "what is vLLM's own is sent to vLLM alone"


def test_other_reasons_to_end_are_passed_on(fake: Fake, folder: Path) -> None:
    fake.finish_reason = "content_filter"
    drawn = engine(fake, folder).sample(PROMPTS[:1], 1, SAMPLING, seeds=[[1]], adapter=False)
    assert drawn[0][0].finish_reason == "content_filter"


def test_a_prompt_that_is_too_long_is_never_sent(fake: Fake, folder: Path) -> None:
    http = engine(fake, folder)
    long = [{"role": "user", "content": "1 " * 300}]
    drawn = http.sample([long, PROMPTS[0]], 1, SAMPLING, seeds=[[1], [2]], adapter=False)
    assert drawn[0][0].finish_reason == PROMPT_TOO_LONG and drawn[1][0].text == "ok"
    assert math.isnan(http.logprobs([long], ["24"], adapter=False)[0].nll)
    assert len(fake.asked) == 1


def test_no_more_requests_are_in_flight_than_allowed(fake: Fake, folder: Path) -> None:
    fake.slow_s = 0.02
    engine(fake, folder, concurrency=3).sample(PROMPTS * 3, 2, SAMPLING, seeds=SEEDS * 3, adapter=False)
    assert fake.most_at_once == 3


def test_the_window_doubles_a_round_and_halves_once_a_push_back() -> None:
    async def story() -> list[float]:
        window = Window(100)
        sizes = [window.size]
        for busy in (False, True, False):
            entered = [await window.enter() for _ in range(4)]
            for epoch in entered:
                await window.leave(epoch, answered=not busy, pushed_back=busy)
            sizes.append(window.size)
        return sizes

    # 32; four answers add one each; four refusals of one round halve once; then 1/size an answer
    first, grown, halved, after = asyncio.run(story())
    assert (first, grown, halved) == (32, 36, 18)
    assert after == pytest.approx(18 + 4 / 18, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"served_model": "other"}, r"does not serve 'other'; it serves tiny, agent"),
        ({"served_agent": "other"}, r"does not serve 'other'"),
    ],
)
def test_a_name_that_is_not_served_is_refused(
    fake: Fake, folder: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        engine(fake, folder, **options)


def test_another_tokenizer_is_refused(fake: Fake, folder: Path) -> None:
    fake.tokenizer = make_tokenizer(["entirely other texts about whales " * 9])
    with pytest.raises(ModelError, match="splits text into other tokens"):
        engine(fake, folder)


def test_no_server_is_an_error_that_says_where(folder: Path) -> None:
    with pytest.raises(ServerError, match=r"the server at http://127\.0\.0\.1:9/v1 did not answer /models"):
        HTTPEngine.load(folder, "http://127.0.0.1:9/v1", retries=0)


@pytest.mark.parametrize(
    ("address", "message"),
    [("localhost:8000", "is no server's address"), ("http://me:pw@host/v1", "holds credentials")],
)
def test_addresses_that_cannot_be_used(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Client(address)
    assert "pw" not in str(error.value)


def test_a_file_that_is_no_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    path.write_text("not a database, but long enough to be read as one " * 20)
    with pytest.raises(IntegrityError, match="is no request cache"):
        RequestCache(path)
