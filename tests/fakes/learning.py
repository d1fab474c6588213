"""A learning run that takes seconds: sums to rewrite, and settings for a handful of steps."""

from __future__ import annotations

from recast.agent.learning.config import LearnConfig

ROWS = [
    {
        "row_id": str(i),
        "messages": [{"role": "user", "content": f"Compute {i} + 2"}],
        "demonstration": f"{i} + 2 = {i + 2}. The answer is {i + 2}.",
        "answer": str(i + 2),
        "task": None,
    }
    for i in range(30)
]
TINY = LearnConfig(
    steps=4,
    prompts_per_step=4,
    candidates=4,
    lr=1e-2,
    lora_rank=8,
    max_tokens=12,
    eval_every=2,
    save_every=2,
    heldout=0.2,
)
