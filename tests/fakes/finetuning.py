"""Fine-tuning that takes seconds: rows to learn, rows to mix in, and settings."""

from __future__ import annotations

ROWS = [
    {
        "messages": [{"role": "user", "content": f"Tom has {i} apples and buys {j} more. How many?"}],
        "completion": f"Tom starts with {i} apples. {i} + {j} = {i + j}. The answer is {i + j}."
        + " Yes." * (j % 3),
    }
    for i in range(2, 8)
    for j in range(1, 5)
]
FAST = {"lr": 3e-3, "epochs": 2, "batch_size": 4, "precision": "fp32"}
OTHERS = [
    {
        "messages": [{"role": "user", "content": f"Is {i} odd or even?"}],
        "completion": f"{i} ends in {i % 10}. The answer is {'odd' if i % 2 else 'even'}.",
    }
    for i in range(10, 50)
]
