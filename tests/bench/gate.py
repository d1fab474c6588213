"""Figures of the gate: `python -m tests.bench.gate [card|table|speed|code|duplicates] ...` (all without names).

Needs the real data sets beside the repository for `card`, `speed` and `code`. Prints each figure with its bound and
asserts nothing; processor seconds of one process unless it says otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from rich.console import Console

from recast.curate.answers import cas_worker
from recast.curate.answers.extract import equivalent
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.gate import Gate, GateConfig, load_gate
from recast.curate.gate.perturbation.perturb import perturb
from recast.curate.gate.perturbation.sums import retold
from recast.curate.gate.report_card import Rate, report_card
from recast.curate.parallel import default_workers
from recast.curate.records import CheckStatus
from recast.pipelines.wiring.report_cards import show_card

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
TABLE = ROOT / "tests" / "curate" / "answers" / "equivalence.tsv"


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


CERTAIN = ("answer_changed", "sign_flipped", "digits_swapped", "false_equality", "operand_altered")


def card(count: int = 2000) -> None:
    """The report card of the default math gate on GSM8K rows perturbed in sums and in words, and its bounds."""
    made = report_card(load_gate("math"), perturb(gsm8k(count), words=True), workers=default_workers())
    labels = f"perturbations of {count} rows of GSM8K"
    show_card("math", {"labels": labels, **made.to_json()}, Console(width=200, highlight=False))
    wrong = [made.kinds[kind].false_accepts for kind in CERTAIN]
    accepted = Rate(sum(rate.count for rate in wrong), sum(rate.total for rate in wrong))
    print(f"changed answers and false equalities accepted: {accepted} (bound 0.5 %)")
    print(f"right ones rejected: {made.ensemble.false_rejects} (bound 1 %)")


def table() -> None:
    """The equivalence table: the ensemble, and math-verify alone beside it."""
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    for name, judge in (("ensemble", equivalent), ("math-verify alone", cas_worker.verify)):
        start = time.perf_counter()
        counts = Counter((truth, judge(a, b)) for _, truth, a, b in rows)
        seconds = time.perf_counter() - start
        equal = sum(n for (truth, _), n in counts.items() if truth == "equal")
        print(f"{name} on {len(rows)} pairs, {len(rows) / seconds:.0f} pairs/s")
        print(f"  false accepts {Rate(counts['unequal', True], len(rows) - equal)}")
        print(f"  false rejects {Rate(counts['equal', False], equal)}")
        print(f"  undecided     {Rate(sum(n for (_, v), n in counts.items() if v is None), len(rows))}")
    cas_worker.close()


def speed() -> None:
    """Rows a second and process: the answer check alone and the whole math gate, GSM8K-like and MATH-like rows."""
    answer = Gate(GateConfig(checks=(AnswerCheck(),)))
    gate = load_gate("math")
    told = [(row, text) for row in gsm8k(3000) if (text := retold(row))]
    formulas = math_like(3000)
    cas_worker.verify("x + 1", "1 + x")  # starts its worker, which takes a second or two
    for name, pairs, bound in (("GSM8K-like", told, 3000), ("MATH-like", formulas, 300)):
        rows, texts = [row for row, _ in pairs], [text for _, text in pairs]
        rate, said = _rate(answer, rows, texts)
        print(f"answer check, {name}: {rate:.0f} rows/s (bound {bound} on 2 cores), {said}")
        rate, said = _rate(gate, rows, texts)
        print(f"math gate, {name}: {rate:.0f} rows/s, {said}")
    rows = [row for row, _ in told[:400]]
    texts = [text for _, text in told[:400]]
    groups = [
        (row, f"{text} That is all for case {k}.")
        for k in range(8)
        for row, text in zip(rows, texts, strict=True)
    ]
    rate, _ = _rate(gate, [row for row, _ in groups], [text for _, text in groups])
    print(f"math gate, GSM8K-like in groups of 8: {rate:.0f} rows/s")
    cas_worker.close()


def _rate(gate: Gate, rows: list[dict], texts: list[str]) -> tuple[float, dict[str, int]]:
    """Rows per second of processor time, that of computer algebra's worker processes included."""
    start = _seconds()
    verdicts = gate.verify_many(rows, texts)
    return len(rows) / (_seconds() - start), dict(Counter(v.reason or "accepted" for v in verdicts))


def _seconds() -> float:
    """Processor seconds of this process and of its living children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    ticks = 0
    for pid in children:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def math_like(count: int) -> list[tuple[dict, str]]:
    """Rows with LaTeX answers in the mixture of competition problems, each another; every third answer is wrong."""
    random = Random(0)

    def number(low: int = 2, high: int = 99) -> int:
        return random.randint(low, high)

    # share, an answer, and the same written otherwise
    kinds = (
        (40, lambda: (n := number(2, 9999), f"{n}", f"{n}")[1:]),
        (12, lambda: (a := number(), b := number(), rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{3 * a}}}{{{3 * b}}}")[2:]),
        (8, lambda: (a := number(), b := number(), rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{b}}} \cdot {a}")[2:]),
        (8, lambda: (a := number(), b := number(), rf"{a}x^2+{b}x", rf"x({a}x+{b})")[2:]),
        (7, lambda: (a := number(), b := number(), f"({a}, {b})", rf"\left({a},{b}\right)")[2:]),
        (6, lambda: (a := number(), rf"[{a}, \infty)", rf"\left[{a},\infty\right)")[1:]),
        (5, lambda: (a := number(), b := number(), rf"{{{a}, {b}}}", rf"\{{{b}, {a}\}}")[2:]),
        (5, lambda: (a := number(), rf"{a}^\circ", f"{a}")[1:]),
        (5, lambda: (a := number(), rf"\frac{{{a}\pi}}{{7}}", rf"\frac{{{a}}}{{7}}\pi")[1:]),
        (4, lambda: (a := number(), rf"{a}\%", rf"{a}\%")[1:]),
    )  # fmt: skip
    pairs = []
    for i in range(count):
        made = random.choices([kind for _, kind in kinds], [share for share, _ in kinds])[0]
        said, reference = made()
        other = made()[0] if i % 3 == 0 else said
        body = rf"Let $x$ be what is asked for. Then ${number()} x = {number()}$ by the theorem, and one is done."
        row = {
            "row_id": str(i),
            "messages": [{"role": "user", "content": r"Find all $x$ such that $f(x) = \frac{1}{x}$."}],
            "demonstration": rf"One finds that the value is $\boxed{{{reference}}}$.",
            "answer": reference,
            "task": "math",
        }
        pairs.append((row, rf"{body} Therefore the answer is $\boxed{{{other}}}$."))
    return pairs


def code() -> None:
    """HumanEval in the sandbox: canonical solutions, and bodies that return a constant."""
    problems = lines("humaneval", "HumanEval.jsonl")
    check = CodeCheck()
    for name, body in (("canonical", None), ("constant", "    return 1234567\n")):
        cases = [
            Case(
                f"```python\n{body or p['canonical_solution']}\n```", "",
                {"tests": p["test"], "entry_point": p["entry_point"], "code_prompt": p["prompt"]},
            )
            for p in problems
        ]  # fmt: skip
        start, used = time.perf_counter(), os.times()
        with ThreadPoolExecutor(2) as pool:
            passed = sum(found.status is CheckStatus.PASS for found in pool.map(check.run, cases))
        now = os.times()
        cpu = sum(now[2:4]) - sum(used[2:4])
        print(
            f"{name}: {passed} of {len(problems)} pass, {time.perf_counter() - start:.1f} s, {cpu:.1f} s of processor"
        )


def duplicates(count: int = 1_000_000) -> None:
    """Near duplicates among a million short rows, half of them disturbed copies."""
    import resource

    from recast.curate.curation.dedup import near_duplicates

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
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, "
        f"{sum(f is not None for f in found)} duplicates"
    )


BENCHES = {"card": card, "table": table, "speed": speed, "code": code, "duplicates": duplicates}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        print(f"== {name}")
        BENCHES[name]()
