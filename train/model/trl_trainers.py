"""TRL's trainers over answers, without vLLM: TRL imports all of it with them wherever it is installed.

Nobody who draws by an engine of this project uses it there, and it takes 0.2 GiB of a process and seconds of its start.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

GENERATION = "trl.generation.vllm_generation"
ASKING = ("trl.generation.vllm_client", GENERATION, "trl.generation")
"""Modules that import vLLM where TRL finds it installed, in the order of their imports."""


def trl_trainers(*, vllm: bool = False) -> Any:
    """The package `trl`, whose GRPOTrainer and RLOOTrainer are now imported with vLLM or, as far as they are new to
    this process, without it."""
    import trl
    from trl import import_utils

    if GENERATION not in sys.modules:
        answer = import_utils.is_vllm_available
        if not vllm:
            import_utils.is_vllm_available = lambda min_version=None: False
        try:
            importlib.import_module(GENERATION)
        finally:
            import_utils.is_vllm_available = answer
    elif vllm and not hasattr(sys.modules[GENERATION], "LLM"):
        # a reload fills the modules that the trainers' methods look names up in
        for name in ASKING:
            importlib.reload(sys.modules[name])
    return trl
