"""What an evaluation costs beside its engine: rows/s of `train.evaluation.evaluate` over those of the same calls alone.

    python tests/bench/evaluation.py [--model pocket] [--items 32] [--rounds 3]

Both ask the pocket world's questions greedily and score the reference answers; the raw engine gets them at once and in
file order. Rounds alternate, and the medians are compared. Exit status 1 where the bound is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # beside agent.py, which would be found as the package

from recast.pipelines.demo import files
from recast.pipelines.wiring.models import answering, engine
from recast.train.evaluation.evaluate import evaluate
from recast.train.evaluation.suites import load_suites

BOUND = 0.8
MAX_TOKENS = 192


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--items", type=int, default=32, help="questions of each general family")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = answering(engine(options.model), MAX_TOKENS)
    assert model.loglik is not None
    with tempfile.TemporaryDirectory() as folder:
        items = load_suites(
            [files.write_general_suite(Path(folder) / "general.jsonl", options.items, seed=0)]
        )
    prompts = [item.messages for item in items]
    references = [item.completion or "" for item in items]

    def raw() -> None:
        model.generate(prompts)
        model.loglik(prompts, references)  # type: ignore[misc]

    def measured() -> None:
        evaluate(items, model)

    raw()  # the first call pays for imports and compiled kernels
    rounds = [(seconds(raw), seconds(measured)) for _ in range(options.rounds)]
    alone, whole = (len(items) / statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = whole / alone
    print(f"{len(items)} questions, {options.rounds} rounds, medians")
    print(f"engine alone  {alone:8.1f} rows/s")
    print(f"recast eval   {whole:8.1f} rows/s")
    print(f"ratio         {ratio:8.2f}   bound {BOUND}   {'ok' if ratio >= BOUND else 'MISSED'}")
    return int(ratio < BOUND)


if __name__ == "__main__":
    sys.exit(main())
