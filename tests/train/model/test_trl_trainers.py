"""Which of TRL's modules import vLLM, with a vLLM that only says that it was imported; a process of its own each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {
    "vllm/__init__.py": "LLM = RequestOutput = SamplingParams = object",
    "vllm/sampling_params.py": "StructuredOutputsParams = object",
    "vllm/utils/__init__.py": "",
    "vllm/utils/network_utils.py": "get_ip = None",
    "vllm/distributed/__init__.py": "",
    "vllm/distributed/weight_transfer/__init__.py": "",
    "vllm/distributed/weight_transfer/nccl_engine.py": "NCCLTrainerSendWeightsArgs = NCCLWeightTransferEngine = object",
    "vllm-0.24.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: vllm\nVersion: 0.24.0\n",
    "vllm-0.24.0.dist-info/top_level.txt": "vllm\n",
}  # fmt: skip


@pytest.fixture
def installed(tmp_path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def said(installed: Path, code: str) -> str:
    paths = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    script = f"import sys\nfrom recast.train.model.trl_trainers import trl_trainers\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_trl_as_it_comes_imports_vllm(installed):
    # else the next test could not fail
    assert said(installed, "from trl import GRPOTrainer\nprint('vllm' in sys.modules)") == "True"


def test_its_trainers_come_without_vllm_until_it_is_asked_for(installed):
    code = """
trl = trl_trainers()
trl.GRPOTrainer, trl.RLOOTrainer
print('vllm' in sys.modules)
trl_trainers(vllm=True)
names = sys.modules[trl.GRPOTrainer.__module__].VLLMGeneration.__init__.__globals__
print('LLM' in names, names['is_vllm_available'](), 'get_ip' in names['VLLMClient'].__init__.__globals__)
"""
    assert said(installed, code).splitlines() == ["False", "True True True"]
