"""Active review against random order: labels that it takes to be 95 % sure of a share, and whether that is true.

    python -m tests.bench.active --data DATA [--runs 400] [--rows 5000] [--below 0.02] [--limit 1500]

Two benches of texts that a gate accepted and whose worth is known: demonstrations of GSM8K retold rightly or made wrong
(`recast gate perturb`, sums and words), under the math gate; and solutions of four models to GSM8K's test questions,
under the same gate without its reference answer, since with it no wrong one passes. They lie in a store with what the
gate refused beside them, so that their risk is what an active queue of `recast review` sees. In each run a version is
drawn from these texts in which a stated share is wrong; a reviewer who is always right decides in the order that the
review asks for until it is sure, or all is decided. Random order is the same interval without strata. `least` is the
share of random order's labels that any method needs which knows no more than the groups: labels grow as one over

    max over a, min over q of  sum_g a_g KL(p_g, q_g),      sum_g w_g q_g = the bound

(w: share of the rows in each group, p of them wrong, a: labels given to it; the rate at which the nearest version that
is too wrong can be told apart, Chernoff and Stein). Exit code 1 where active review takes more than half of the labels,
or the interval misses the truth in more than 7 % of the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from recast.curate.betting import Seen
from recast.curate.gate.gate import Gate, load_gate
from recast.curate.gate.perturbation.perturb import perturb
from recast.curate.records import Candidate
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store
from recast.pipelines.review import queues
from recast.pipelines.review.active import Active
from recast.pipelines.review.candidates import keeper
from recast.pipelines.review.decisions import Key
from recast.pipelines.review.rows import Rows

SHARES = (0.0, 0.0025, 0.005, 0.01)
BOUND, COVERS = 0.5, 0.93
OTHERS = 3  # candidates of a row beside the chosen one
EVERY = 20  # labels after which the interval is asked

Question = tuple[dict[str, Any], list[tuple[str, bool]]]
"""A row, and texts of it with whether they are right."""


@dataclass(frozen=True)
class Pool:
    """Accepted texts: each with its risk and whether it is wrong."""

    name: str
    risk: np.ndarray  # float64[texts]
    wrong: np.ndarray  # bool[texts]
    refused: int


def perturbed(data: Path, limit: int) -> Iterator[Question]:
    rows = (json.loads(line) for line in (data / "gsm8k" / "train.jsonl").read_text().splitlines()[:limit])
    asked = [
        {
            "row_id": f"q{n:05d}",
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["answer"],
            "answer": row["answer"].rpartition("####")[2].strip().replace(",", ""),
            "task": "gsm8k",
        }
        for n, row in enumerate(rows)
    ]
    texts: dict[str, list[tuple[str, bool]]] = {}
    for label in perturb(asked, words=True):
        if label.right is not None:
            texts.setdefault(label.row["row_id"], []).append((label.completion, label.right))
    for row in asked:
        if row["row_id"] in texts:
            yield row, texts[row["row_id"]]


def solved(data: Path, limit: int) -> Iterator[Question]:
    lines = (data / "gsm8k" / "example_model_solutions.jsonl").read_text(encoding="utf-8").splitlines()
    for n, line in enumerate(islice(lines, limit)):
        row = json.loads(line)
        asked = {
            "row_id": f"q{n:05d}",
            "messages": [{"role": "user", "content": row["question"]}],
            "demonstration": row["ground_truth"],
            "task": "gsm8k",
        }
        yield (
            asked,
            [(s["solution"], s["is_correct"]) for s in row.values() if isinstance(s, dict)],
        )


def pool(name: str, questions: Iterator[Question], gate: Gate, folder: Path) -> Pool:
    """Judge all texts and lay the accepted ones into a store, with the refused ones as candidates."""
    rows: list[dict[str, Any]] = []
    candidates: list[Candidate] = []
    wrong: list[bool] = []
    refused = 0
    for row, texts in questions:
        verdicts = [gate.verify(row, text) for text, _ in texts]
        refused += sum(not verdict.accepted for verdict in verdicts)
        for place, ((text, right), verdict) in enumerate(zip(texts, verdicts, strict=True)):
            if not verdict.accepted:
                continue
            row_id = f"{row['row_id']}/{place}"
            others = [n for n in range(len(texts)) if n != place]
            group = [place, *Random(row_id).sample(others, min(OTHERS, len(others)))]
            passed = sum(verdicts[n].accepted for n in group) / len(group)
            rows.append(
                {**row, "row_id": row_id, "completion": text, "decision": "rewrite", "pass_rate": passed}
            )
            candidates += [
                Candidate(row_id, 0, k, 0, texts[n][0], 0, "stop", 0, verdicts[n], None, {})
                for k, n in enumerate(group)
            ]
            wrong.append(not right)
    store = Store(folder)
    chosen = [(row["row_id"], 0, 0, 0) for row in rows]
    version = store.commit(rows, "pool", candidates=candidate_table(candidates, chosen))
    held = Rows(store, version)
    queue = queues.build(store, held.snapshot, held.numbers, "active", beside=keeper(store, version))
    at = {key: n for n, key in enumerate((row["row_id"], 0) for row in rows)}
    risk = np.zeros(len(rows))
    place = np.array([at[held.keys[number]] for number in queue.rows])
    risk[place] = queue.risks()
    found = Pool(name, risk, np.array(wrong), refused)
    for sign, values in queue.risk.items():
        alone = np.zeros(len(rows))
        alone[place] = values[queue.rows]
        print(f"  {name}: {sign:10} {_auc(alone, found.wrong):.0%}", flush=True)
    return found


def drawn(pool: Pool, share: float, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Places of the texts of a version of so many rows, drawn with replacement, the stated share of them wrong."""
    wrong = round(share * rows)
    parts = ((np.flatnonzero(pool.wrong), wrong), (np.flatnonzero(~pool.wrong), rows - wrong))
    return np.concatenate([rng.choice(places, count) for places, count in parts])


def review(
    risk: np.ndarray, wrong: np.ndarray, below: float, seed: int, *, grouped: bool
) -> tuple[int, bool, bool]:
    """Labels until it is sure (or all are given), whether the interval then holds the truth, and whether it is sure."""
    keys: list[Key] = [(str(n), 0) for n in range(len(risk))]
    plan = Active(np.arange(len(risk)), risk, keys, seed=seed, grouped=grouped)
    said = wrong[plan.rows]
    for labels in (*range(0, len(said), EVERY), len(said)):
        seen = Seen(plan.groups, plan.weights, said[:labels])
        if seen.below(below):
            break
    low, high = seen.interval()
    return labels, bool(low - 1e-12 <= wrong.mean() <= high + 1e-12), high < below


def least(pool: Pool, share: float, rows: int, below: float) -> float:
    """The least share of random order's labels, by rates, means over versions drawn."""
    found, sizes = [], np.zeros(0)
    for run in range(20):
        places = drawn(pool, share, rows, np.random.default_rng(run))
        keys: list[Key] = [(str(n), 0) for n in range(rows)]
        plan = Active(np.arange(rows), pool.risk[places], keys, seed=run)
        sizes = np.bincount(plan.groups, minlength=len(plan.weights))
        found.append(np.bincount(plan.groups, weights=pool.wrong[places][plan.rows]) / sizes)
    whole = _distance(np.array(share), np.array(below))
    return float(whole / _rate(sizes / rows, np.mean(found, axis=0), below))


def _rate(sizes: np.ndarray, wrong: np.ndarray, below: float) -> float:
    """What a label tells, at most: by the best allocation of labels to groups, against the nearest shares that are not
    `below`. Exponentiated gradient ascent, since the rate is concave in the allocation."""
    given, best = sizes.copy(), 0.0
    for step in range(1, 2001):
        of_group = _distance(wrong, _nearest(sizes, wrong, given, below))
        best = max(best, float(given @ of_group))
        given = given * np.exp(of_group / max(of_group.max(), 1e-12) / np.sqrt(step))
        given /= given.sum()
    return best


def _nearest(sizes: np.ndarray, wrong: np.ndarray, given: np.ndarray, below: float) -> np.ndarray:
    """The shares that are hardest to tell from `wrong` and that are not `below` in all: given (q - p) / (q (1 - q)) is
    the same multiple of each group's size."""
    low, high = 0.0, 1e9
    for _ in range(100):
        push = sizes * (low + high) / 2
        lacks = given - push
        q = (np.sqrt(lacks**2 + 4 * push * given * wrong) - lacks) / (2 * push)
        low, high = (low, (low + high) / 2) if sizes @ q >= below else ((low + high) / 2, high)
    return q


def _distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback and Leibler's, of shares."""
    p, q = (np.clip(each, 1e-12, 1 - 1e-12) for each in (p, q))
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--rows", type=int, default=5000, help="of a version")
    parser.add_argument("--limit", type=int, default=1500, help="questions of each bench")
    parser.add_argument("--below", type=float, default=0.02)
    asked = parser.parse_args()
    math = load_gate("math")
    unknown = math.config.model_copy(
        update={"checks": tuple(c for c in math.config.checks if c.name != "answer")}
    )
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        pools = (
            pool("perturbations", perturbed(asked.data, asked.limit), math, Path(folder) / "a"),
            pool("solutions", solved(asked.data, asked.limit), Gate(unknown), Path(folder) / "b"),
        )
    for each in pools:
        riskier = _auc(each.risk, each.wrong)
        print(
            f"{each.name}: {(~each.wrong).sum()} right and {each.wrong.sum()} wrong texts are accepted, {each.refused} "
            f"are refused; the riskier one of a wrong and a right text is the wrong one in {riskier:.0%}"
        )
        print("  wrong  labels: random  active  ratio  least   inside: random  active   sure below")
        for share in SHARES:
            took: dict[str, list[int]] = {"random": [], "active": []}
            inside: dict[str, list[bool]] = {"random": [], "active": []}
            sure = []
            for run in range(asked.runs):
                rng = np.random.default_rng(run)
                places = drawn(each, share, asked.rows, rng)
                for name in took:
                    labels, holds, said = review(
                        each.risk[places], each.wrong[places], asked.below, run, grouped=name == "active"
                    )
                    took[name].append(labels)
                    inside[name].append(holds)
                    sure += [said] if name == "active" else []
            means = {name: statistics.fmean(labels) for name, labels in took.items()}
            covers = {name: statistics.fmean(holds) for name, holds in inside.items()}
            ratio = means["active"] / means["random"]
            failed |= ratio > BOUND or min(covers.values()) < COVERS
            print(
                f"  {share:5.2%}  {means['random']:14.0f} {means['active']:7.0f} {ratio:6.2f} "
                f"{least(each, share, asked.rows, asked.below):6.2f} "
                f"{covers['random']:15.1%} {covers['active']:7.1%} {statistics.fmean(sure):12.1%}",
                flush=True,
            )
    return int(failed)


def _auc(risk: np.ndarray, wrong: np.ndarray) -> float:
    """How often the riskier one of a wrong and a right text is the wrong one; ties count half."""
    order = np.argsort(np.argsort(risk, kind="stable"), kind="stable") + 1.0
    for value in np.unique(risk):
        same = risk == value
        order[same] = order[same].mean()
    count = int(wrong.sum())
    return float((order[wrong].sum() - count * (count + 1) / 2) / (count * (len(order) - count)))


if __name__ == "__main__":
    raise SystemExit(main())
