"""Figures of the gate: `python tests/bench/bench_gate.py [card|table|speed|code|duplicates] ...` (all without names).

Needs the real data sets beside the repository for `card`, `speed` and `code`. Prints; asserts nothing.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

from curate import mathworker
from curate.answers import equivalent, final_answer
from curate.gate import load_gate
from curate.perturbation import perturb
from curate.reportcard import Rate, report_card
from curate.sandbox import RunStatus, run_many

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
TABLE = ROOT / "tests" / "curate" / "equivalence.tsv"


def lines(*parts: str) -> list[dict]:
    return [json.loads(line) for line in DATA.joinpath(*parts).read_text(encoding="utf-8").splitlines()]


def gsm8k(count: int) -> list[dict]:
    rows = lines("gsm8k", "train.jsonl")
    Random(0).shuffle(rows)
    return [
        {
            "row_id": str(i),
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["answer"],
            "task": "gsm8k",
        }
        for i, row in enumerate(rows[:count])
    ]


def card(count: int = 2000) -> None:
    """The report card of the default math gate on perturbed GSM8K rows."""
    print(report_card(load_gate("math"), perturb(gsm8k(count))).to_text())


def table() -> None:
    """The equivalence table: the ensemble, and math-verify alone beside it."""
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    for name, judge in (("ensemble", equivalent), ("math-verify alone", mathworker.verify)):
        start = time.perf_counter()
        counts = Counter((truth, judge(a, b)) for _, truth, a, b in rows)
        seconds = time.perf_counter() - start
        equal = sum(n for (truth, _), n in counts.items() if truth == "equal")
        print(f"{name} on {len(rows)} pairs, {len(rows) / seconds:.0f} pairs/s")
        print(f"  false accepts {Rate(counts['unequal', True], len(rows) - equal)}")
        print(f"  false rejects {Rate(counts['equal', False], equal)}")
        print(f"  undecided     {Rate(sum(n for (_, v), n in counts.items() if v is None), len(rows))}")
    mathworker.close()


def speed() -> None:
    """Rows a second and process: the answer check alone, and the whole math gate on unlike rows."""
    rows = gsm8k(3000)
    start = time.process_time()
    right = sum(
        equivalent(final_answer(r["demonstration"]) or "", r["demonstration"].split("####")[1]) is True
        for r in rows
    )
    print(
        f"answer check: {len(rows) / (time.process_time() - start):.0f} rows/s, {right} of {len(rows)} right"
    )
    completions = [
        re.sub(r"<<[^<>]*>>", "", r["demonstration"]).replace("####", "The answer is") + "." for r in rows
    ]
    gate = load_gate("math")
    start = time.process_time()
    gate.verify_many(rows, completions)
    print(
        f"math gate, each row with its own demonstration: {len(rows) / (time.process_time() - start):.0f} rows/s"
    )
    start = time.process_time()
    for k in range(8):
        gate.verify_many(rows[:400], [c + f" That is all for case {k}." for c in completions[:400]])
    print(f"math gate, groups of 8: {8 * 400 / (time.process_time() - start):.0f} rows/s")


def code() -> None:
    """HumanEval in the sandbox: canonical solutions, and bodies that return a constant."""
    problems = lines("humaneval", "HumanEval.jsonl")
    for name, body in (("canonical", None), ("constant", "    return 1234567\n")):
        programs = [
            f"{p['prompt']}{body or p['canonical_solution']}\n{p['test']}\ncheck({p['entry_point']})"
            for p in problems
        ]
        start = time.perf_counter()
        passed = sum(result.status is RunStatus.OK for result in run_many(programs))
        print(f"{name}: {passed} of {len(problems)} pass, {time.perf_counter() - start:.1f} s")


def duplicates(count: int = 1_000_000) -> None:
    """Near duplicates among a million short rows, half of them disturbed copies."""
    import resource

    from curate.duplicates import near_duplicates

    random = Random(0)
    vocabulary = [f"word{i}" for i in range(20_000)]
    texts: list[str] = []
    while len(texts) < count:
        words = random.choices(vocabulary, k=random.randint(10, 30))
        texts.append(" ".join(words))
        texts.append(
            " ".join([*words, "more"]) if len(texts) % 4 else " ".join(random.choices(vocabulary, k=20))
        )
    start, used = time.perf_counter(), time.process_time()
    found = near_duplicates(texts)
    print(
        f"{len(texts)} rows: {time.perf_counter() - start:.0f} s ({time.process_time() - used:.0f} s of processor), "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, {sum(f is not None for f in found)} duplicates"
    )


BENCHES = {"card": card, "table": table, "speed": speed, "code": code, "duplicates": duplicates}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        print(f"== {name}")
        BENCHES[name]()
