"""Rows of every kind that an export has to know or refuse."""

from __future__ import annotations

from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 3}}}
    ],
}
RESULT = {"role": "tool", "content": "5", "tool_call_id": "c1"}


def sums(count: int) -> list[dict[str, Any]]:
    """Plain rows: a question, a text, an answer."""
    return [
        {
            "row_id": f"r{n}",
            "messages": [{"role": "user", "content": f"{n} + {n}?"}],
            "completion": f"The answer is {2 * n}.",
            "answer": str(2 * n),
            "task": "add",
        }
        for n in range(count)
    ]


def kinds_of_rows() -> list[dict[str, Any]]:
    """A row of each kind: several turns, tools, reasoning, a developer's turn, a picture."""
    asks = {"role": "user", "content": "2 + 3?"}
    return [
        {
            "row_id": "talks",
            "messages": [
                {"role": "system", "content": "Be brief."},
                asks,
                {"role": "assistant", "content": "5"},
                {"role": "user", "content": "And 4?"},
            ],
            "completion": "9",
            "answer": "9",
        },
        {
            "row_id": "calls",
            "messages": [asks, CALL, RESULT],
            "completion": "It is 5.",
            "answer": "5",
            "meta": {"tools": [TOOL]},
        },
        {
            "row_id": "thinks",
            "messages": [asks],
            "completion": "It is 5.",
            "answer": "5",
            "meta": {"completion_turn": {"reasoning_content": "Three more than two."}},
        },
        {
            "row_id": "told",
            "messages": [{"role": "developer", "content": "Be brief."}, asks],
            "completion": "5",
            "answer": "5",
        },
        {
            "row_id": "picture",
            "messages": [{"role": "user", "content": [{"type": "image", "url": "x.png"}]}],
            "completion": "A cat.",
            "answer": "cat",
        },
    ]
