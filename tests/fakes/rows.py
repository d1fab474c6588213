"""Rows to rewrite."""

from __future__ import annotations

from typing import Any


def rows(n: int = 10) -> list[dict[str, Any]]:
    """`n` questions of different lengths, each with an expert's text and an answer."""
    return [
        {
            "row_id": f"r{i}",
            "messages": [{"role": "user", "content": f"question {i} " + "long " * (i % 4)}],
            "completion": f"expert {i}",
            "answer": str(i),
            "task": "t",
        }
        for i in range(n)
    ]


def question(text: str, demonstration: str) -> dict[str, Any]:
    """A row that asks `text`."""
    return {"messages": [{"role": "user", "content": text}], "demonstration": demonstration}
