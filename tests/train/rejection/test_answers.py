"""Own answers as candidates: drawn by row, graded, the same after a kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import UsageError
from recast.pipelines.wiring.reinforcement import draw
from recast.train.graders.records import Grade, Sample
from recast.train.rejection import answers
from recast.train.rejection.answers import ANSWERS, own_answers
from recast.train.rejection.config import RejectConfig
from recast.train.rejection.groups import groups

CONFIG = RejectConfig(samples=4, max_tokens=6, none_passed="drop")


class Parity:
    """Answers of an even sum of bytes are right, of an odd one wrong; endless ones cannot be told."""

    name, id = "parity", "p" * 16

    def grade_many(self, items: Any, samples: Sequence[Sample], *, groups: Any = None) -> list[Grade]:
        values = [float(sum(s.text.encode()) % 2 == 0) for s in samples]
        return [
            Grade("parity", "toy", v, scored=s.finish_reason != "length" or v == 1.0)
            for v, s in zip(values, samples, strict=True)
        ]


def row(i: int) -> dict[str, Any]:
    return {
        "row_id": f"r{i}", "target": 0, "messages": [{"role": "user", "content": f"What is {i} + 2?"}],
        "completion": f"{i} + 2 = {i + 2}.", "decision": "expert",
    }  # fmt: skip


ROWS = [row(i) for i in range(7)]


def asked(model: Path, out: Path, **changed: Any) -> answers.Own:
    return own_answers(ROWS, model, Parity(), CONFIG.model_copy(update=changed), out, draw)


def test_answers_are_candidates_by_what_they_earned(tiny_model: Path, tmp_path: Path) -> None:
    own = asked(tiny_model, tmp_path)
    assert len(own.candidates) == 7 * 4 == own.figures["drawn"]
    for one in own.candidates:
        right = sum(one["text"].encode()) % 2 == 0
        undecided = not right and one["finish_reason"] == "length"
        assert one["status"] == ("accepted" if right else "unverifiable" if undecided else "rejected")
    kept = [json.loads(line) for line in (tmp_path / ANSWERS).read_text().splitlines()]
    assert [line["row_id"] for line in kept[1:]] == [r["row_id"] for r in ROWS]
    share = sum(c["status"] == "accepted" for c in own.candidates) / 28
    assert own.figures["accepted"] == pytest.approx(share)


def test_a_draw_that_was_cut_short_is_made_again_whole(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "TOGETHER", 12)  # three rows of four answers
    whole = asked(tiny_model, tmp_path / "whole")
    lines = (tmp_path / "whole" / ANSWERS).read_text().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    # a draw of three rows, two of the next, and a line that a kill cut
    (tmp_path / "cut" / ANSWERS).write_text("".join(lines[:6]) + lines[6][:20])
    drawn: list[int] = []

    def counted(model: Any, tokenizer: Any, prompts: Any, **how: Any) -> Any:
        drawn.append(len(prompts))
        return draw(model, tokenizer, prompts, **how)

    again = own_answers(ROWS, tiny_model, Parity(), CONFIG, tmp_path / "cut", counted)
    assert drawn == [3, 1]  # rows 4 to 6 together, as they would have been, and the seventh
    assert again == whole
    assert (tmp_path / "cut" / ANSWERS).read_text() == "".join(lines)


def test_a_folder_of_other_answers_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    asked(tiny_model, tmp_path)
    with pytest.raises(UsageError, match="another model, grader, rows or sampling"):
        asked(tiny_model, tmp_path, temperature=0.5)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "job.json").write_text("{}")
    with pytest.raises(UsageError, match="or of no own ones"):
        asked(tiny_model, tmp_path / "plain")


def test_a_row_that_no_answer_passed_learns_the_expert_or_is_left_out() -> None:
    wrong = {
        "row_id": "r0", "target": 0, "k": 0, "attempt": 0, "text": "7.", "finish_reason": "stop",
        "status": "rejected", "reason": "parity",
    }  # fmt: skip
    right = {**wrong, "row_id": "r1", "status": "accepted", "text": "3."}
    false = {**right, "k": 1, "status": "rejected", "text": "4."}
    rows = [{**r, "decision": "fallback"} for r in ROWS[:2]]
    found, _ = groups(rows, [wrong, right, false], RejectConfig())
    assert [(g.accepted, g.by_expert) for g in found] == [(("0 + 2 = 2.",), True), (("3.",), False)]
    found, left_out = groups(rows, [wrong, right, false], RejectConfig(none_passed="drop"))
    assert [g.row_id for g in found] == ["r1"] and left_out == {"none_passed": 1}


def test_settings_of_own_answers_are_refused_where_nothing_reads_them() -> None:
    with pytest.raises(UsageError, match=r"reject\.temperature has no effect"):
        RejectConfig(temperature=0.5).refuse_own("reject")
    RejectConfig(none_passed="drop").refuse_own("reject")  # of all candidates
    with pytest.raises(ValueError, match="not below"):
        RejectConfig(accept_from=0.5)
