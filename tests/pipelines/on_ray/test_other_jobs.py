"""What else a cluster does as one process does it: new rows, and the verdicts of a gate."""

from __future__ import annotations

import os

import pyarrow.parquet as pq
import pytest

from recast.curate.gate.gate import load_gate
from recast.curate.store.store import Store
from tests.fakes.exports import sums

pytest.importorskip("ray")
from recast.pipelines.on_ray.cluster import Cluster  # needs it
from recast.pipelines.on_ray.verdicts import judged


class Deadly:
    """A gate's model; the process in which it is asked about `poison` ends."""

    def __call__(self, row, text):
        if "poison" in text:
            os._exit(1)
        return 1.0


@pytest.fixture(scope="module")
def cluster():
    with Cluster("local", workers=2) as found:
        yield found


def row(n):
    return {
        "row_id": f"r{n}",
        "messages": "[]",
        "demonstration": f"{n} + {n} = {2 * n}.",
        "answer": str(2 * n),
    }


@pytest.mark.slow
def test_verdicts_come_in_the_order_of_the_chunks(cluster):
    gate = load_gate("math")
    chunks = [
        [(row(n), f"{n} + {n} = {n + n % 3}.", "stop") for n in range(i, i + 5)] for i in range(1, 36, 5)
    ]
    assert list(judged(gate, cluster, iter(chunks))) == list(gate.verify_chunks(chunks))


@pytest.mark.slow
def test_a_row_over_which_processes_die_is_unverifiable_and_its_chunk_loses_nothing_else(cluster, tmp_path):
    (tmp_path / "gate.yaml").write_text(
        "checks: [{type: format}, {type: judge, model: any, min_yes: 0.9, max_no: 0.5}]"
    )
    gate = load_gate(tmp_path / "gate.yaml", {"judge": Deadly()})
    texts = ["1 + 1 = 2.", "2 + 2 = 4.", "3 + 3 = poison.", "4 + 4 = 8."]
    (verdicts,) = judged(gate, cluster, iter([[(row(n), text, "stop") for n, text in enumerate(texts, 1)]]))
    assert [v.reason for v in verdicts] == ["", "", "check_error", ""]


@pytest.mark.slow
def test_the_verbs_make_on_a_cluster_what_they_make_here(recast, tmp_path):
    store = Store(".recast")
    store.commit(sums(8), "sums")
    verdicts = [
        pq.read_table(recast("gate", "run", "sums", "--fresh", *more, "--json").json["out"])
        for more in ((), ("--ray", "local", "--workers", "2"))
    ]
    assert verdicts[0] == verdicts[1] and verdicts[0].num_rows == 8

    (tmp_path / "asked.txt").write_text(
        "Tom has 3 apples. He buys 4 apples. How many apples does he have now?\n"
    )
    words = ("rehearse", "--prompts", str(tmp_path / "asked.txt"), "--set", "rehearse.max_tokens=16")
    for name, more in (("here", ()), ("there", ("--ray", "local", "--workers", "1"))):
        assert recast(words[0], name, *words[1:], *more, "--json").code == 0
    here, there = (store.open(name).table(["row_id", "completion", "reason"]) for name in ("here", "there"))
    assert here == there

    words = ("--questions", "continue", "--set", "augment.max_tokens=16", "--set", "augment.known_kind=false")
    here, there = (
        recast("augment", "sums", "--as", name, *words, *more, "--json").json
        for name, more in (("more", ()), ("again", ("--ray", "local", "--workers", "1")))
    )
    for figure in ("num_proposals", "num_candidates", "num_tokens", "reasons"):
        assert here[figure] == there[figure]
    assert here["num_tokens"] > 0
