"""One job done by several processes: what they make together is what one makes alone."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from recast.agent.batches.job import Budget, Sharing
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate import files
from recast.curate.errors import BudgetReached, UsageError
from recast.curate.leases import Leases
from recast.curate.presence import Presence
from recast.pipelines.run.runs import locked
from tests.agent.rewriting.test_rewrite_hf import CoinGate, engine, rows
from tests.fakes import models
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.runs import digest, shared_and_killed

CONFIG = RewriteConfig(candidates=2, max_tokens=8, batch_rows=4, window_rows=16, repairs=1, targets=2)
SMALL = RewriteConfig(candidates=2, batch_rows=2, window_rows=6, scoring=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return models.make_model("llama", tmp_path_factory.mktemp("models") / "m", hidden=32)


def shared(run: Path, num_rows: int, source, gate, config, **kwargs):
    """One process's call, as a run makes it: the end under a lock."""
    with ExitStack() as held:
        me = held.enter_context(Presence(run / "workers", expiry_s=2.0))
        sharing = Sharing(held.enter_context(Leases(me)), lambda: held.enter_context(locked(run, 600.0)))
        return rewrite(rows(num_rows), source, gate, config, run / "job", sharing=sharing, **kwargs)


class Slow(FakeEngine):
    """Takes its time, so that nobody is done before the others begin."""

    def sample(self, *args, **kwargs):
        time.sleep(0.05)
        return super().sample(*args, **kwargs)


def test_two_share_the_batches_and_make_what_one_makes(tmp_path):
    whole = rewrite(rows(36), FakeEngine(), FakeGate(), SMALL, tmp_path / "whole")
    engines, found = [Slow(), Slow()], {}

    def work(n):
        found[n] = shared(tmp_path / "run", 36, engines[n], FakeGate(), SMALL)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digest(tmp_path / "run" / "job") == digest(tmp_path / "whole")
    asked = [sum(len(prompts) for prompts, _ in e.calls) for e in engines]
    assert sum(asked) == 36 and min(asked) >= 8, "no batch twice, and neither did nearly all"
    own = {"seconds", "num_found", "run_dir"}
    for result in found.values():
        said, alone = result.to_dict(), whole.to_dict()
        assert {k: v for k, v in said.items() if k not in own} == {
            k: v for k, v in alone.items() if k not in own
        }
        assert result.rows().read_all() == whole.rows().read_all()


def test_a_batch_that_another_process_died_over_is_made_again(tmp_path):
    """The other one has a lease and never comes back: it is of another machine, so only its age tells."""
    run = tmp_path / "run"
    with Presence(run / "workers", expiry_s=0.5) as dead:
        Leases(dead).claim(3)
        dead.path.write_text(dead.path.read_text().replace('"place": "', '"place": "not '))
        dead._left.set()  # its heart stands still
        began = time.monotonic()
        result = shared(run, 12, FakeEngine(), FakeGate(), SMALL)
        assert time.monotonic() - began >= 0.3, "it was waited for"
    assert result.num_rows == 12
    rewrite(rows(12), FakeEngine(), FakeGate(), SMALL, tmp_path / "whole")
    assert digest(run / "job") == digest(tmp_path / "whole")


def test_what_another_process_writes_meanwhile_stands_and_counts_once(tmp_path):
    """A stopped process comes back when its batch is made: the result is of the part that stands."""
    words = ("good",)
    other = rewrite(rows(4), FakeEngine(words), FakeGate(), SMALL, tmp_path / "other")

    class Overtaken(FakeEngine):
        def sample(self, *args, **kwargs):
            for part in (tmp_path / "other" / "parts").iterdir():
                (tmp_path / "run" / "job" / "parts" / part.name).write_bytes(part.read_bytes())
            return super().sample(*args, **kwargs)

    result = shared(tmp_path / "run", 4, Overtaken(("bad",)), FakeGate(), SMALL)
    assert result.counts == other.counts == {"rewrite": 4, "repair": 0, "fallback": 0}
    assert digest(tmp_path / "run" / "job") == digest(tmp_path / "other")


def test_one_whose_time_is_up_leaves_the_rest_to_the_others(tmp_path):
    past = Budget(deadline=time.monotonic() - 1)
    with pytest.raises(BudgetReached, match="the time budget is used up after 0 of 6 rows"):
        shared(tmp_path / "run", 6, FakeEngine(), FakeGate(), SMALL, budget=past)
    assert shared(tmp_path / "run", 6, FakeEngine(), FakeGate(), SMALL).num_rows == 6


def test_a_budget_of_candidates_cannot_be_shared(tmp_path):
    with pytest.raises(UsageError, match="Leave it or --workers out"):
        shared(
            tmp_path / "run", 6, FakeEngine(), FakeGate(), SMALL, budget=replace(Budget(), max_candidates=99)
        )


@pytest.mark.parametrize(
    "num_rows, num_kills", [(48, 6), pytest.param(400, 50, marks=[pytest.mark.torture, pytest.mark.slow])]
)
def test_four_that_are_killed_at_random_moments_end_in_the_bytes_of_one(
    folder, tmp_path, num_rows, num_kills
):
    import torch

    torch.set_num_threads(1)  # a forked process has the thread that forked and no other
    loaded = engine(folder)

    def work(run):
        shared(run, num_rows, loaded, CoinGate(), CONFIG, beside=False)

    started = time.monotonic()
    rewrite(rows(num_rows), loaded, CoinGate(), CONFIG, tmp_path / "whole", beside=False)
    whole_s = time.monotonic() - started
    run = tmp_path / "killed"
    run.mkdir()
    died = shared_and_killed(work, run, 4, num_kills, random.Random(1), whole_s / num_kills)
    assert died == num_kills
    made = {name: of for name, of in digest(run / "job").items() if not name.endswith(files.LEFTOVER)}
    assert made == digest(tmp_path / "whole")
