"""The gate beside the engine: batches take turns, and what a text does to the gate stays with that text."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from recast.agent.batches.gating import GateJob, GateProcess, Inline, verdicts
from recast.agent.batches.pipeline import pipelined
from recast.curate.gate.gate import load_gate
from recast.curate.records import Verdict, VerdictStatus

ROOT = Path(__file__).parents[3]


class Touchy:
    """Accepts what it survives. At module level: it travels to another process."""

    id = "0" * 16

    def verify_many(self, rows, completions, finish_reasons=None):
        for text in completions:
            if text == "raise":
                raise ValueError("a check broke")
            if text == "die":
                os._exit(9)
            if text == "hang":
                time.sleep(60)
        return [Verdict(VerdictStatus.ACCEPTED) for _ in completions]


def job(*texts: str) -> GateJob:
    return GateJob([{"row_id": str(i)} for i in range(len(texts))], list(texts), ["stop"] * len(texts))


def said(found: list[Verdict]) -> list[str]:
    return [v.reason or str(v.status) for v in found]


def test_a_text_on_which_the_gate_raises_is_unverifiable_alone() -> None:
    assert said(verdicts(Touchy(), job("a", "raise", "b"))) == ["accepted", "error", "accepted"]


def test_a_text_that_kills_or_blocks_the_gates_process_is_unverifiable_alone(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT)  # the child imports the gate's class from these tests
    with GateProcess(Touchy(), request_s=4.0, text_s=0.5) as verifier:
        first = verifier.submit(job("a", "die", "raise"))
        assert said(first.result()) == ["accepted", "error", "error"]
        assert said(verifier.submit(job("hang")).result()) == ["timeout"]
        assert said(verifier.submit(job("a")).result()) == ["accepted"], "another child took over"


def test_the_process_says_what_the_gate_says() -> None:
    row = {"row_id": "r", "answer": "17", "demonstration": "12 + 5 = 17"}
    texts = ["12 and 5 make 17. The answer is 17.", "12 + 5 = 18. The answer is 18."]
    asked = GateJob([row, row], texts, ["stop", "stop"])
    gate = load_gate("math")
    with GateProcess(gate) as verifier:
        assert verifier.submit(asked).result() == verdicts(gate, asked) == Inline(gate).submit(asked).result()


class Unreachable(Touchy):
    def __reduce__(self):
        return (__import__, ("no_such_module_anywhere",))


def test_a_gate_that_the_child_cannot_import_is_an_error_and_no_verdict() -> None:
    with GateProcess(Unreachable()) as verifier, pytest.raises(RuntimeError, match="did not start"):
        verifier.submit(job("a")).result()


def test_the_child_ends_with_a_parent_that_is_killed() -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from recast.agent.batches.gating import GateProcess, GateJob
        from recast.curate.gate.gate import load_gate
        # no guard of __main__: the child must not run this script again
        verifier = GateProcess(load_gate("math"))
        verifier.submit(GateJob([{{}}], ["x"], ["stop"])).result()
        print(verifier._child.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        try:
            if Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return  # dead, and nobody to collect it
        except FileNotFoundError:
            return
        time.sleep(0.1)
    pytest.fail("the gate's process outlived its parent by 10 s")


def test_while_one_batch_waits_for_the_gate_the_next_one_works() -> None:
    order: list[str] = []

    def batch(name: str, asks: int):
        order.append(f"{name} starts")
        for n in range(asks):
            found = yield job(name)
            order.append(f"{name} hears {n} {found[0].status}")
        return name

    finished = list(pipelined([batch("a", 2), batch("b", 0), batch("c", 1)], Inline(Touchy()), depth=2))
    assert order[:3] == ["a starts", "b starts", "c starts"]
    assert order[3:] == ["a hears 0 accepted", "c hears 0 accepted", "a hears 1 accepted"]
    assert finished == ["b", "c", "a"]


def test_what_a_batch_raises_rises() -> None:
    def broken():
        yield job("a")
        raise RuntimeError("device lost")

    with pytest.raises(RuntimeError, match="device lost"):
        list(pipelined([broken(), broken()], Inline(Touchy())))
