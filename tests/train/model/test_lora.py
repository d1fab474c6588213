"""One LoRA for learning and fine-tuning, on architectures whose layers PEFT has to be told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from recast.train.model.lora import lora_config
from recast.train.sft.config import SftConfig
from recast.train.sft.sft import sft
from tests.fakes.models import load, make_model

ROWS = [
    {
        "messages": [{"role": "user", "content": f"What is {i} + 2?"}],
        "completion": f"{i} + 2 = {i + 2}.",
    }
    for i in range(8)
]


@pytest.mark.parametrize("architecture", ["falcon_h1", "gpt2", "llama"])
def test_fine_tuning_with_a_lora_lowers_the_loss(architecture: str, tmp_path: Path) -> None:
    folder = make_model(architecture, tmp_path / "model", hidden=32, scale=1)
    config = SftConfig(
        lr=1e-2, epochs=4, batch_size=4, lora_rank=4, precision="fp32", checkpoints=0, telemetry_tokens=0
    )
    result = sft(ROWS, folder, config, tmp_path / "out")
    assert result.steps == 8 and result.final_loss < result.start_loss


def test_mamba_blocks_keep_the_matrix_whose_bare_weights_they_take(tmp_path: Path) -> None:
    from peft import get_peft_model

    model, _ = load(make_model("falcon_h1", tmp_path / "model"))
    adapted = get_peft_model(model, lora_config(model, 4, 8))
    names = {name.rpartition(".lora_A")[0].rpartition(".")[2] for name, _ in adapted.named_parameters()} - {
        ""
    }
    assert "in_proj" in names and "q_proj" in names and "out_proj" not in names
