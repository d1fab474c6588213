"""An agent is used as it was learnt, or a person is told; on another backbone it is not used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recast.agent.engines import probe
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.learning.manifest import Learnt
from recast.agent.prompts import templates
from recast.curate.chat import template_id
from recast.curate.errors import ModelError, RefusedError
from tests.fakes.models import make_adapter, make_model

GATE = "a" * 16


def engine(model: Path, folder: Path, dtype: str = "float32") -> HFEngine:
    return HFEngine.load(model, folder, dtype, "cpu")


@pytest.fixture
def learnt(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder of a finished agent, as `agent.learning.learn` leaves it."""
    folder = make_adapter(tiny_model, tmp_path / "agent" / "adapter", seed=1)
    found = engine(tiny_model, folder)
    probe.record(found, folder)
    manifest = {
        "backbone": found.fingerprint,
        "template_id": template_id(found.tokenizer),
        "prompt_id": templates.REWRITE_ID,
        "gate_id": GATE,
        "adapters": {"best": {"folder": "adapter"}},
    }
    (tmp_path / "agent" / "manifest.json").write_text(json.dumps(manifest))
    return folder


def agent(folder: Path) -> Learnt:
    found = Learnt.of(folder)
    assert found is not None
    return found


def test_used_as_it_was_learnt_there_is_nothing_to_say(tiny_model: Path, learnt: Path) -> None:
    assert agent(learnt).check(engine(tiny_model, learnt), GATE) == []


def test_each_thing_that_differs_is_named(tiny_model: Path, learnt: Path) -> None:
    used = engine(tiny_model, learnt)
    used.tokenizer.chat_template += "{# #}"
    gate, prompt, template = replace(agent(learnt), prompt_id="b" * 16).check(used, "c" * 16)
    assert f"another gate ({GATE}) than it is used with ({'c' * 16})" in gate
    assert "another rewriting prompt" in prompt and "another chat template" in template


def test_other_weights_in_the_same_dtype_are_refused(learnt: Path, tmp_path: Path) -> None:
    other = make_model("llama", tmp_path / "other", seed=5)
    with pytest.raises(RefusedError, match="backbone of other weights"):
        agent(learnt).check(engine(other, learnt), GATE)


def test_the_same_weights_in_another_dtype_are_left_to_the_probe(tiny_model: Path, learnt: Path) -> None:
    assert agent(learnt).check(engine(tiny_model, learnt, "bfloat16"), GATE) == []


def test_an_adapter_from_elsewhere_has_no_manifest(tiny_model: Path, learnt: Path, tmp_path: Path) -> None:
    assert Learnt.of(make_adapter(tiny_model, tmp_path / "foreign", seed=2)) is None
    assert Learnt.of(make_adapter(tiny_model, learnt.parent / "beside", seed=2)) is None


def test_a_damaged_manifest_is_an_error_of_its_own(learnt: Path) -> None:
    (learnt.parent / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match="no manifest"):
        Learnt.of(learnt)
