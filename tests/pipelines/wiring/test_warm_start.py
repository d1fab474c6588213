"""The warm start: what is drawn, what is learnt of it, what learning begins with, and how it resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recast.agent.engines.hf.engine import HFEngine
from recast.agent.learning.learn import learn, parted_rows
from recast.agent.learning.warm_start import WarmStart, WarmStartConfig
from recast.agent.prompts.prompts import DEFAULT
from recast.curate.errors import DataError, UsageError
from recast.curate.files import read_lines
from recast.curate.records import Verdict, VerdictStatus
from recast.pipelines.wiring.learning.warm_start import Begun, warm_start
from tests.fakes.gates import LetterGate
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import load

SMALL = WarmStartConfig(
    rows=6, candidates=2, temperatures=(0.5, 1.0), presets=("math",), lr=1e-2, batch_size=4, epochs=8
)


class Nobody:
    """Accepts nothing."""

    id = "0" * 16

    def verify_many(self, rows: Any, completions: Any, finish_reasons: Any = None) -> list[Verdict]:
        return [Verdict(VerdictStatus.REJECTED, "wrong_answer") for _ in completions]


def begun(model: Path, gate: Any = None) -> Begun:
    accepts: Any = gate or LetterGate()
    return Begun(str(model), accepts, DEFAULT, TINY, None)


def started(model: Path, out: Path, seen: list[Mapping[str, Any]] | None = None) -> WarmStart:
    return warm_start(ROWS, begun(model), SMALL, out, (seen if seen is not None else []).append)


def test_accepted_texts_of_training_rows_are_learnt_under_the_prompt_of_learning(
    tiny_model: Path, tmp_path: Path
) -> None:
    seen: list[Mapping[str, Any]] = []
    found = started(tiny_model, tmp_path, seen)
    texts = read_lines(tmp_path / "warm" / "texts.jsonl")
    assert len(texts) == found.texts > 0 and all("e" in text["completion"] for text in texts)
    model, tokenizer = load(tiny_model)
    parts = parted_rows(ROWS, model, tokenizer, TINY, DEFAULT)
    by_id = {row["row_id"]: row for row in parts.train}
    assert {text["row_id"] for text in texts} <= by_id.keys(), "held-out rows stay unseen"
    assert all(text["messages"] == DEFAULT.rewrite(by_id[text["row_id"]]) for text in texts)
    most = max(sum(t["row_id"] == row_id for t in texts) for row_id in by_id)
    assert most <= SMALL.texts
    assert found.rounds[0].prompt_id == "rewrite-1" and found.rounds[0].rows == 6
    assert all(a.rows >= b.rows for a, b in zip(found.rounds, found.rounds[1:], strict=False))
    assert found.loss_after < found.loss_before
    assert seen[-1]["say"][0].startswith(f"warm start: {found.texts} texts of {found.rows} rows")
    assert sorted(p.name for p in (tmp_path / "warm").iterdir()) == [
        "adapter",
        "job.json",
        "manifest.json",
        "texts.jsonl",
    ]


def test_learning_begins_with_its_adapter_and_is_another_run_for_it(tiny_model: Path, tmp_path: Path) -> None:
    found = started(tiny_model, tmp_path / "out")
    config = TINY.model_copy(update={"steps": 1})
    result = learn(ROWS, *load(tiny_model), LetterGate(), config, tmp_path / "out", warm=found)
    plain = learn(ROWS, *load(tiny_model), LetterGate(), config, tmp_path / "plain")
    assert result.warm_start == found.to_dict()
    assert (result.before["nll"], result.before["mean_tokens"]) != (
        plain.before["nll"],
        plain.before["mean_tokens"],
    )
    job, without = (json.loads((tmp_path / name / "job.json").read_text()) for name in ("out", "plain"))
    assert job == {**without, "warm_start": found.id}, "a run without one has the identity that it always had"
    with pytest.raises(UsageError, match="warm_start"):
        learn(ROWS, *load(tiny_model), LetterGate(), config, tmp_path / "out")


def test_the_adapter_is_the_one_that_was_tuned(tiny_model: Path, tmp_path: Path) -> None:
    found = started(tiny_model, tmp_path)
    engine = HFEngine.load(tiny_model, adapter=found.adapter, dtype="float32", device="cpu")
    texts = read_lines(tmp_path / "warm" / "texts.jsonl")
    prompts, said = [t["messages"] for t in texts], [t["completion"] for t in texts]
    on, off = (sum(s.nll for s in engine.logprobs(prompts, said, adapter=a)) for a in (True, False))
    assert on < off


def test_a_finished_one_is_found_and_another_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    first = started(tiny_model, tmp_path)
    seen: list[Mapping[str, Any]] = []
    assert started(tiny_model, tmp_path, seen) == first
    assert [point["phase"] for point in seen] == ["warm start"], "nothing is drawn again"
    with pytest.raises(UsageError, match="of other data, model or config"):
        warm_start(ROWS, begun(tiny_model), SMALL.model_copy(update={"lr": 1e-3}), tmp_path)


def test_where_nothing_passes_it_says_so_and_leaves_the_folder_free(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rewrite of 6 rows passed the gate"):
        warm_start(ROWS, begun(tiny_model, Nobody()), SMALL, tmp_path)
    assert not (tmp_path / "warm").exists()


def test_a_folder_of_learning_without_one_is_left_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    with pytest.raises(UsageError, match="without a warm start"):
        started(tiny_model, tmp_path)
