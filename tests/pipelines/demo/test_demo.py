"""The demo, small: every stage runs through the public verbs, and a second run finds all of it finished."""

import json
from functools import partial
from pathlib import Path

import pytest

from recast.curate.errors import UsageError
from recast.curate.store.store import Store
from recast.pipelines.demo import demo
from recast.pipelines.run.runs import EVENTS

ROWS = 32
SMALL = {
    "learn.steps": 2,
    "learn.prompts_per_step": 4,
    "learn.candidates": 4,
    "learn.eval_every": 2,
    "learn.heldout_rows": 4,
    "sft.epochs": 1,
}


def starts(out: Path) -> dict[str, int]:
    """How often the job of each run folder was begun."""
    events = {path.parent.name: path.read_text() for path in (out / "store" / "runs").glob(f"*/{EVENTS}")}
    return {
        name: sum(json.loads(line)["event"] == "started" for line in text.splitlines())
        for name, text in events.items()
    }


@pytest.mark.slow
def test_a_small_demo_runs_whole_and_is_found_again(tmp_path) -> None:
    out = tmp_path / "demo"
    small = partial(demo.run, out, rows=ROWS, items=(8, 1), overrides=SMALL, jobs=1)
    result = small()
    assert result["sft_rewrites"]["start_loss"] < 0.6 * result["sft_demonstrations"]["start_loss"]
    assert set(result["learning"]) == {"before", "after"}
    assert json.loads((out / "result.json").read_text()) == result
    assert (out / "report.html").stat().st_size > 50_000

    rows = Store(out / "store").open("craft-0-rewrites").table().to_pylist()
    assert len(rows) == ROWS
    assert all(row["reason"] for row in rows if row["decision"] == "fallback")
    assert all(row["completion"] == row["demonstration"] for row in rows if row["decision"] == "fallback")

    began = starts(out)
    again = small()
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in result.items() if k != "seconds"
    }
    assert starts(out) == began and set(began.values()) == {1}, "finished stages are found, not run again"


def test_an_unknown_style_is_refused_with_the_known_ones(tmp_path) -> None:
    with pytest.raises(UsageError, match="latex, terse, program"):
        demo.run(tmp_path, style="haiku")


def test_intervals_over_seeds_are_students() -> None:
    # values 1, 2, 3: standard deviation 1, t(0.975, 2) = 4.303, over the root of 3
    assert demo.interval([1.0, 2.0, 3.0]) == pytest.approx(4.303 / 3**0.5, abs=1e-4)
    assert demo.mean([1.0, 2.0, 4.5]) == 2.5
