"""Prompts as message lists. Each has an id; a version records the id of the prompt that made its rows.

The rewriting prompt shows the demonstration and asks for the same solution in the model's own words.
Scoring never sees it: alignment is measured under the plain QA prompt, the row's own messages
(arXiv 2602.11220, see `agent.alignment`).
"""

from __future__ import annotations

from curate.records import Messages

REWRITE_ID = "rewrite-1"
REPAIR_ID = "repair-1"

REWRITE_INSTRUCTION = (
    "Rewrite the solution in your own words, as you would answer the question yourself. "
    "Keep every result and the final answer."
)


def with_suffix(messages: Messages, suffix: str) -> Messages:
    """Return the conversation with `suffix` added to its last user turn."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=None)
    if last is None:
        return [*messages, {"role": "user", "content": suffix}]
    turn = {**messages[last], "content": f"{messages[last]['content']}\n\n{suffix}"}
    return [*messages[:last], turn, *messages[last + 1 :]]


def rewrite(messages: Messages, demonstration: str) -> Messages:
    """The rewriting prompt: the question, the expert's solution, and the request."""
    return with_suffix(messages, f"Solution:\n{demonstration}\n\n{REWRITE_INSTRUCTION}")


def question(completion: str) -> Messages:
    """Ask for the question that a solution answers."""
    return [
        {
            "role": "user",
            "content": f"Solution:\n{completion}\n\nWrite the question that this solution answers.",
        }
    ]


def repair(messages: Messages, demonstration: str, failure: str) -> Messages:
    """The rewriting prompt again, with the sentence of the check that the last attempt failed."""
    return with_suffix(
        messages,
        f"Solution:\n{demonstration}\n\n{REWRITE_INSTRUCTION} An earlier attempt failed: {failure}",
    )
