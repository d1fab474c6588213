"""The rewriting job over a server, killed at random moments: nothing is lost, doubled or paid for twice."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from recast.agent.engines.http.client import Client
from recast.agent.engines.http.engine import COMPLETIONS, HTTPEngine
from recast.agent.engines.http.request_cache import RequestCache
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from tests.fakes.gates import FakeGate
from tests.fakes.models import make_tokenizer
from tests.fakes.rows import rows
from tests.fakes.runs import digest, killed_again_and_again
from tests.fakes.server import Fake, serving

AGENT_ID = "a" * 16
SETTINGS = RewriteConfig(
    candidates=2, repairs=1, targets=2, max_tokens=8, batch_rows=8, window_rows=32, embedding="none"
)
NUM_ROWS, NUM_KILLS = 24, 10


class Drawing(Fake):
    """Draws by the seed: a good text or a bad one."""

    def says(self, asked: dict[str, Any]) -> str:
        seed = asked.get("seed", 0)
        return f"{'bad' if seed % 3 else 'good'} {seed % 1000}"


def key(fake: Fake, asked: dict[str, Any]) -> str:
    return RequestCache.key(fake.url, COMPLETIONS, asked, AGENT_ID if asked["model"] == "agent" else None)


def kept(file: Path) -> list[str]:
    """Keys of all answers in a cache."""
    RequestCache(file).close()
    with closing(sqlite3.connect(file)) as db:
        return [found for (found,) in db.execute("SELECT key FROM answers")]


def test_killed_at_random_moments_no_answer_that_was_kept_is_asked_for_again(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    with serving(Drawing(tokenizer)) as fake:

        def work(folder: Path) -> None:
            """One process's share; beforehand it notes, under its id, what has been answered already."""
            cache, asker = folder / "requests.sqlite", str(os.getpid())
            found = kept(cache)
            (tmp_path / f"kept-{asker}.json").write_text(json.dumps(found))
            engine = HTTPEngine(
                Client(fake.url, api_key=asker, cache=RequestCache(cache)),
                tokenizer,
                served_model="tiny",
                served_agent="agent",
                agent_id=AGENT_ID,
                eos_ids=[tokenizer.eos_token_id],
                max_length=1024,
            )
            rewrite(rows(NUM_ROWS), engine, FakeGate(), SETTINGS, folder / "run", agent_id=AGENT_ID)
            engine.client.close()

        work(tmp_path / "first")  # with the imports, which forked processes have behind them
        fake.asked.clear()
        started = time.monotonic()
        work(tmp_path / "whole")
        whole_s = time.monotonic() - started
        needed = {key(fake, asked) for asked in fake.asked}
        fake.asked.clear()
        fake.askers.clear()
        died = killed_again_and_again(work, tmp_path / "killed", NUM_KILLS, random.Random(2), 0.5 * whole_s)

    assert died == NUM_KILLS
    assert digest(tmp_path / "killed" / "run") == digest(tmp_path / "whole" / "run")
    assert sorted(kept(tmp_path / "killed" / "requests.sqlite")) == sorted(needed)
    sent = Counter(zip(fake.askers, (key(fake, asked) for asked in fake.asked), strict=True))
    assert set(sent.values()) == {1}
    askers = {asker for asker, _ in sent}
    known = {asker: set(json.loads((tmp_path / f"kept-{asker}.json").read_text())) for asker in askers}
    assert any(known.values()), "some process went on from where a killed one had come to"
    assert [one for asker, one in sent if one in known[asker]] == []
