"""Stores to review: rows of every kind that a page must show, with candidates that a real gate judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from recast.curate.gate.gate import load_gate
from recast.curate.records import Candidate, Verdict
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store

EVIL = (
    '<img src=x onerror="window.hit=1"><script>window.hit=2</script><svg onload=window.hit=3>'
    '<a href="javascript:window.hit=4">x</a>{{7*7}}${alert(1)}</script><style>*{display:none}</style>'
)
BIDI = "The total is \u202e81\u202c and not\u200b 18; \u2066admin\u2069."
TOOLS = [
    {"role": "system", "content": "You may look things up."},
    {"role": "user", "content": "How warm is it in Oslo?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "Oslo", "unit": "C"}'}}],
    },
    {"role": "tool", "name": "weather", "content": '{"degrees": 4, "sky": "rain"}'},
    {"role": "user", "content": "And in Fahrenheit?"},
]
LATEX = (
    r"We are given $f(x) = \frac{x^2 - 1}{x - 1}$. For $x \neq 1$ this is"
    "\n\\[\nf(x) = \\frac{(x-1)(x+1)}{x-1} = x + 1.\n\\]\n"
    r"So $\lim_{x \to 1} f(x) = \boxed{2}$."
)
TABLE = (
    "| item | price | number |\n|---|---|---|\n| pen | 2 | 3 |\n| book | 7 | 1 |\n\n"
    "**Total:** 2 * 3 + 7 = 13 dollars. The answer is 13."
)
CODE = "Count them:\n\n```python\ndef count(xs):\n    return sum(1 for x in xs if x > 0)\n```\n\nThe answer is 3."


def asked(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def sums(num: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Sums in words, each with an expert's terse solution and a rewrite; every seventh rewrite has a false sum."""
    for i in range(first, first + num):
        a, b = 3 + i % 17, 4 + i % 11
        wrong = i % 7 == 3
        yield {
            "row_id": f"sum-{i:06d}",
            "messages": asked(
                f"Mia has {a} boxes with {b} pens each and gives {a} pens away. How many pens are left?"
            ),
            "demonstration": f"{a}*{b}={a * b}\n{a * b}-{a}={a * b - a}\n#### {a * b - a}",
            "completion": (
                f"Mia has {a} boxes with {b} pens in each, so she has {a} * {b} = {a * b + (2 if wrong else 0)} pens. "
                f"She gives {a} of them away, which leaves {a * b} - {a} = {a * b - a} pens. "
                f"The answer is {a * b - a}."
            ),
            "answer": str(a * b - a),
            "task": "sums",
            "decision": "rewrite",
            "agent_id": "a1b2c3",
            "nll_demonstration": 0.9 + (i % 13) / 20,
            "nll_completion": 0.3 + (i % 19) / 20,
            "nll_self": 0.28,
            "pass_rate": (1 + i % 4) / 4,
        }


def shown() -> list[dict[str, Any]]:
    """One row of every kind."""

    def row(
        name: str, messages: list[dict[str, Any]], demonstration: str, completion: str, **more: Any
    ) -> dict[str, Any]:
        return {
            "row_id": name, "messages": messages, "demonstration": demonstration, "completion": completion,
            "decision": "rewrite", "nll_demonstration": 1.31, "nll_completion": 0.52, "nll_self": 0.4, "pass_rate": 0.5,
        } | more  # fmt: skip

    limit = r"What is $\lim_{x \to 1} \frac{x^2-1}{x-1}$?"
    factored = r"$\frac{x^2-1}{x-1} = x+1$ for $x \neq 1$, so the limit is $\boxed{2}$."
    return [
        row("latex", asked(limit), factored, LATEX, answer="2", task="calculus"),
        row("table", asked("A pen is 2, a book 7. What are 3 pens and a book?"), "2*3+7=13", TABLE, answer="13"),
        row("code", asked("How many of [1, -2, 3, 4] are positive?"), "1, 3 and 4 are: 3.", CODE, answer="3"),
        row("tools", TOOLS, "4 * 9 / 5 + 32 = 39.2 F.", "It is 4 * 1.8 + 32 = 39.2 degrees Fahrenheit.", answer="39.2"),
        row("evil", asked(EVIL), EVIL, f"Sure! {EVIL}", task=EVIL, reason=EVIL, meta={EVIL: EVIL}, answer=EVIL),
        row("bidi", asked(BIDI), "The total is 18.", BIDI, answer="18"),
        row("long", asked("Say much."), "word " * 5, "x <b>y</b> * $ ` | \\( " * 45_000),
    ]  # fmt: skip


def with_candidates(
    store: Store,
    rows: list[dict[str, Any]],
    name: str = "craft",
    hesitations: Mapping[str, float] | None = None,
) -> None:
    """Commit the demonstrations of `rows` as `name`, and the rows as `NAME-rewrites`, with two candidates each.
    `hesitations`: nats by row id."""
    gate = load_gate("math")
    experts = [
        {k: row[k] for k in ("row_id", "messages", "answer", "task") if k in row}
        | {"completion": row["demonstration"]}
        for row in rows
    ]
    store.commit(experts, name, message="as published")
    short = [row for row in rows if len(row["completion"]) < 10_000]
    candidates: list[Candidate] = []
    for row in short:
        for k, text in enumerate((row["completion"], f"It is {row['answer']}1.")):
            verdict: Verdict = gate.verify(row, text)
            told = {"hesitation": hesitations[row["row_id"]]} if hesitations else {}
            candidates.append(Candidate(row["row_id"], 0, k, 0, text, 20, "stop", k, verdict, 0.5 + k, told))
    chosen = [(row["row_id"], 0, 0, 0) for row in short]
    store.commit(
        rows,
        f"{name}-rewrites",
        parent=name,
        message="rewritten",
        candidates=candidate_table(candidates, chosen),
    )


def many(store: Store, num: int) -> None:
    """Commit `num` sums as `many`, in batches."""
    from recast.curate.schema import table

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, num, 10_000):
            yield from table(sums(min(10_000, num - first), first)).to_batches()

    store.commit(batches(), "many", message="rewritten")


def small(path: Path, num: int = 12) -> Store:
    """A store with `craft` and `craft-rewrites`: one row of every kind, and `num` sums."""
    store = Store(path)
    with_candidates(store, [*sums(num), *shown()])
    return store
