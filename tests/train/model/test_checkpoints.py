"""The newest whole checkpoint, and curves that a resumed run goes on with."""

from __future__ import annotations

from pathlib import Path

from recast.curate.files import append_line, read_lines
from recast.train.model.checkpoints import forget_after, last_checkpoint, step_of


def test_a_torn_checkpoint_is_passed_over_and_removed(tmp_path: Path) -> None:
    for step, text in ((2, "{}"), (4, "{}"), (10, '{"glo')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    (tmp_path / "checkpoint-12").mkdir()
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found == tmp_path / "checkpoint-4" and step_of(found) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]
    assert last_checkpoint(tmp_path / "none") is None


def test_the_newest_is_that_of_the_latest_step_not_of_the_last_name(tmp_path: Path) -> None:
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def test_a_curve_forgets_what_a_resumed_run_makes_again(tmp_path: Path) -> None:
    curve = tmp_path / "loss.jsonl"
    assert forget_after(curve, 4) == [] and not curve.exists()
    for step in (2, 4, 6):
        append_line(curve, {"step": step})
    with curve.open("a") as file:
        file.write('{"step": 8, "lo')
    assert forget_after(curve, 4) == [{"step": 2}, {"step": 4}]
    assert read_lines(curve) == [{"step": 2}, {"step": 4}]
