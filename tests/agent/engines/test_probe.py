"""A run is refused where the engine leaves the adapter out, has another one, or another backbone."""

from __future__ import annotations

from pathlib import Path

import pytest

from recast.agent.engines import probe
from recast.agent.engines.hf.engine import HFEngine
from recast.curate.errors import ModelError, RefusedError
from tests.fakes.models import make_adapter, make_model


def engine(model: Path, folder: Path, dtype: str = "float32") -> HFEngine:
    return HFEngine.load(model, folder, dtype, "cpu")


@pytest.fixture(scope="module")
def learnt(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_adapter(tiny_model, tmp_path_factory.mktemp("agents") / "learnt", seed=1)
    probe.record(engine(tiny_model, folder), folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_agent_that_was_learnt_passes(tiny_model: Path, learnt: Path, dtype: str) -> None:
    assert probe.check(engine(tiny_model, learnt, dtype), learnt) is None


def test_another_adapter_is_named(tiny_model: Path, learnt: Path, tmp_path: Path) -> None:
    other = make_adapter(tiny_model, tmp_path / "other", seed=2)
    with pytest.raises(RefusedError, match=r"another adapter than .*learnt: .* expected"):
        probe.check(engine(tiny_model, other), learnt)


def test_an_engine_that_leaves_the_adapter_out_is_refused(
    tiny_model: Path, learnt: Path, tmp_path: Path
) -> None:
    nothing = make_adapter(tiny_model, tmp_path / "nothing", seed=3, trained=False)
    with pytest.raises(RefusedError, match="exactly as without it"):
        probe.check(engine(tiny_model, nothing), learnt)


def test_an_agent_that_learnt_nothing_passes_and_is_called_the_bare_backbone(
    tiny_model: Path, tmp_path: Path
) -> None:
    nothing = make_adapter(tiny_model, tmp_path / "nothing", seed=3, trained=False)
    probe.record(engine(tiny_model, nothing), nothing)
    note = probe.check(engine(tiny_model, nothing), nothing)
    assert note is not None and "those of the bare backbone" in note


def test_another_backbone_is_refused(learnt: Path, tmp_path: Path) -> None:
    other = make_model("llama", tmp_path / "other", seed=5)
    with pytest.raises(RefusedError, match="backbone is not the one"):
        probe.check(engine(other, learnt), learnt)


def test_an_adapter_from_elsewhere_only_has_to_change_something(tiny_model: Path, tmp_path: Path) -> None:
    foreign = make_adapter(tiny_model, tmp_path / "foreign", seed=4)
    probe.check(engine(tiny_model, foreign), foreign)


def test_texts_that_the_model_is_too_short_for_are_left_out(tmp_path: Path) -> None:
    short = make_model("llama", tmp_path / "short", max_length=96)  # the rewriting prompt takes about 200
    folder = make_adapter(short, tmp_path / "agent", seed=1)
    probe.record(engine(short, folder), folder)
    assert len(probe._read(folder / probe.PROBE)["cases"]) == 3
    probe.check(engine(short, folder), folder)


def test_a_damaged_record_is_an_error_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    folder = make_adapter(tiny_model, tmp_path / "agent", seed=1)
    (folder / probe.PROBE).write_text("{")
    with pytest.raises(ModelError, match="no record"):
        probe.check(engine(tiny_model, folder), folder)
