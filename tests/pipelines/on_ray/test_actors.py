"""The same batches on a Ray cluster: bytes of one process, dead actors, a row that kills."""

from __future__ import annotations

import os
import random
import threading
import time
from functools import partial

import pytest

from recast.agent.rewriting.rewrite import RewriteConfig, rewrite, steps, worker_of
from recast.curate.errors import ModelError
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.runs import digest

ray = pytest.importorskip("ray")
from recast.pipelines.on_ray.cluster import Cluster  # noqa: E402  # needs it

SMALL = RewriteConfig(candidates=2, batch_rows=4, window_rows=12, scoring=False)


class Deadly(FakeEngine):
    """Its process dies where a prompt holds `poison`."""

    def sample(self, prompts, *args, **kwargs):
        time.sleep(0.1)
        if any("poison" in str(prompt) for prompt in prompts):
            os._exit(1)
        return super().sample(prompts, *args, **kwargs)


def refusing():
    raise ModelError("no such model here")


def steps_of(config, method, engine):
    return steps(worker_of(engine, config, method)[0])


def rows(num, poisoned=()):
    return [
        {
            "row_id": f"r{i}",
            "messages": [{"role": "user", "content": "poison" if i in poisoned else f"What is {i} + 3?"}],
            "completion": f"{i} + 3 = {i + 3}.",
        }
        for i in range(num)
    ]


@pytest.fixture(scope="module")
def cluster():
    with Cluster("local", workers=2) as found:
        yield found


def on_cluster(cluster, given, run, **kwargs):
    engine = cluster.engine(Deadly)
    hands = lambda method: cluster.hands(FakeGate(), partial(steps_of, SMALL, method))  # noqa: E731
    return rewrite(given, engine, FakeGate(), SMALL, run, hands=hands, **kwargs)


@pytest.mark.slow
def test_actors_make_what_one_process_makes(tmp_path, cluster):
    seen = []
    result = on_cluster(cluster, rows(30), tmp_path / "ray", progress=seen.append)
    whole = rewrite(rows(30), FakeEngine(), FakeGate(), SMALL, tmp_path / "whole")
    assert digest(tmp_path / "ray") == digest(tmp_path / "whole")
    assert result.counts == whole.counts and seen[-1]["done"] == 30


@pytest.mark.slow
def test_a_row_that_kills_its_actor_becomes_an_error_and_its_batch_loses_nothing_else(tmp_path, cluster):
    result = on_cluster(cluster, rows(12, poisoned={5}), tmp_path / "ray")
    assert result.errors == {
        "r5": "ProcessDiedError: the process that worked on this row alone died, 2 times."
    }
    assert result.reasons["error"] == 1 and result.num_rows == 12
    # the others of its batch are what they are in a job in which that row fails of itself
    broken = FakeEngine(broken=("poison",))
    whole = rewrite(rows(12, poisoned={5}), broken, FakeGate(), SMALL, tmp_path / "whole")
    made, expected = (r.rows().read_all().drop_columns(["run_id"]) for r in (result, whole))
    assert made == expected


@pytest.mark.slow
def test_what_keeps_an_engine_from_opening_is_said_as_it_was(cluster):
    with pytest.raises(ModelError, match=r"^no such model here$"):
        cluster.engine(refusing)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.torture)])
def test_actors_that_are_killed_at_random_lose_and_double_nothing(tmp_path, cluster, rounds):
    rewrite(rows(60), FakeEngine(), FakeGate(), SMALL, tmp_path / "whole")
    rng = random.Random(0)
    for round_ in range(rounds):
        over, killed = threading.Event(), []
        engine = cluster.engine(Deadly)
        members = []

        def hands(method, members=members):
            made = cluster.hands(FakeGate(), partial(steps_of, SMALL, method))
            members.append(made)
            return made

        def kill(members=members, over=over, killed=killed):
            while not over.wait(rng.uniform(0.1, 0.5)) and len(killed) < 3:
                living = [m for m in members[0]._members if m.opening is None] if members else []
                if living:
                    victim = rng.choice(living)
                    killed.append(victim)
                    ray.kill(victim.handle)

        killer = threading.Thread(target=kill)
        killer.start()
        run = tmp_path / f"round-{round_}"
        result = rewrite(rows(60), engine, FakeGate(), SMALL, run, hands=hands)
        over.set()
        killer.join()
        assert killed and result.num_rows == 60 and not result.errors
        assert digest(run) == digest(tmp_path / "whole")
