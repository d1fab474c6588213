"""What of the vLLM engine needs no vLLM: what is refused before anything is loaded, and how much room a LoRA gets.

What it samples and scores is in test_engines_agree.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from recast.agent.engines.factory import EngineConfig, open_engine
from recast.agent.engines.vllm_engine import VLLMEngine, _lora_options
from recast.curate.errors import MissingDependencyError, ModelError, UsageError


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    plain = {"r": 8, "target_modules": ["q_proj", "v_proj"], "modules_to_save": None, "use_dora": False}
    (folder / "adapter_config.json").write_text(json.dumps(plain | config))
    return folder


@pytest.mark.parametrize(
    ("config", "rank"),
    [({}, 8), ({"r": 9}, 16), ({"r": 2}, 8), ({"r": 8, "rank_pattern": {"q_proj": 40}}, 64)],
)
def test_the_smallest_rank_of_vllm_that_holds_the_adapter(tmp_path: Path, config: Any, rank: int) -> None:
    assert _lora_options(adapter(tmp_path / "a", **config))["max_lora_rank"] == rank


def test_only_the_adapters_own_modules_get_room(tmp_path: Path) -> None:
    full = ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj", "q_proj"]
    found = _lora_options(adapter(tmp_path / "a", target_modules=full))
    assert found["lora_target_modules"] == ["q_proj", "up_proj"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["score"]}, "modules_to_save"),
        ({"r": 600}, "rank 600"),
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head"),
        ({"target_modules": "all-linear"}, "all-linear"),
    ],
)
def test_an_adapter_that_vllm_cannot_run_is_refused(tmp_path: Path, config: Any, said: str) -> None:
    with pytest.raises(ModelError, match=f"vLLM does not run the adapter .*{said}.* Use the engine `hf`"):
        _lora_options(adapter(tmp_path / "a", **config))


def test_without_vllm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'recast-sft\[vllm\]'"):
        VLLMEngine.load(tiny_model)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"base_url": "http://h/v1"}, "engine.base_url has no effect on the engine hf, only on http"),
        ({"type": "vllm", "batch_size": 8}, "engine.batch_size has no effect on the engine vllm"),
        (
            {"type": "http", "base_url": "http://h/v1", "memory": 0.5},
            "engine.memory has no effect on the engine http",
        ),
        ({"type": "http"}, "needs the server's address"),
        ({"type": "http", "base_url": "http://h/v1", "served_agent": "a"}, "Give both --agent"),
    ],
)
def test_settings_without_effect_or_without_what_they_need_are_refused(
    tiny_model: Path, config: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        open_engine(EngineConfig(**config), tiny_model)
