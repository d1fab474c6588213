"""The default prompts and those of published methods, as message lists. Each has an id, which a version records.

What a user gives in their place is the business of `agent.prompts.prompts`. The rewriting prompt shows the
demonstration and asks for the same solution in the model's own words.
Scoring never sees it: alignment is measured under the plain QA prompt, the row's own messages
(arXiv 2602.11220, see `agent.reward.alignment`).
"""

from __future__ import annotations

from recast.curate.records import Messages

REWRITE_ID = "rewrite-1"
REPAIR_ID = "repair-1"
QUESTION_ID = "plain-1"
ANOTHER_ID = "another-1"
WRITE_QUESTION_ID = "write-question-1"
SDFT_ID = "sdft-guide-1"
RETELL_ID = "retell-1"
JUDGE_ID = "judge-1"

REWRITE_INSTRUCTION = (
    "Rewrite the solution in your own words, as you would answer the question yourself. "
    "Keep every result and the final answer."
)

INSTRUCTIONS = {
    REWRITE_ID: REWRITE_INSTRUCTION,
    REPAIR_ID: f"{REWRITE_INSTRUCTION} An earlier attempt failed:",
}
"""What a prompt that asks for a rewrite says besides the row's own texts and what a check said, by its id."""


def last_user_text(messages: Messages) -> str:
    """The last user turn; the empty string where there is none, or none of plain text."""
    found = (m.get("content") for m in reversed(messages) if m.get("role") == "user")
    content = next(found, None)
    return content if isinstance(content, str) else ""


def with_suffix(messages: Messages, suffix: str) -> Messages:
    """Return the conversation with `suffix` added to its last user turn."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=None)
    if last is None:
        return [*messages, {"role": "user", "content": suffix}]
    turn = {**messages[last], "content": f"{messages[last]['content']}\n\n{suffix}"}
    return [*messages[:last], turn, *messages[last + 1 :]]


def with_last_turn(messages: Messages, text: str) -> Messages:
    """Return the conversation with `text` as its last user turn."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=None)
    if last is None:
        return [*messages, {"role": "user", "content": text}]
    return [*messages[:last], {**messages[last], "content": text}, *messages[last + 1 :]]


def rewrite(messages: Messages, demonstration: str) -> Messages:
    """The rewriting prompt: the question, the expert's solution, and the request."""
    return with_suffix(messages, f"Solution:\n{demonstration}\n\n{INSTRUCTIONS[REWRITE_ID]}")


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
        f"Solution:\n{demonstration}\n\n{INSTRUCTIONS[REPAIR_ID]} {failure}",
    )


def another(messages: Messages, demonstration: str) -> Messages:
    """Ask for a new question of the kind of this one."""
    return with_suffix(
        messages,
        f"Solution:\n{demonstration}\n\nWrite one new question of the same kind as the one above, about other "
        "things and with other numbers, that has one right answer. Write the question only.",
    )


def guided(messages: Messages, demonstration: str) -> Messages:
    """SDFT's layout: the instruction, the reference response, and the request to use it as a guide."""
    return with_suffix(
        messages,
        f"Reference response:\n{demonstration}\n\nTake the reference response as a guide and give a response of "
        "your own to the instruction above.",
    )


def retell(messages: Messages, demonstration: str) -> Messages:
    """Mind the Gap's guided alignment: study the solution, then solve the problem again in one's own way."""
    return with_suffix(
        messages,
        f"Solution of a teacher:\n{demonstration}\n\nStudy this solution until you understand it. Then solve the "
        "problem again in your own way, step by step in your own words, copying nothing, and end with the answer.",
    )


def judge(messages: Messages, reference: str, response: str) -> Messages:
    """Ask whether a response is as good as the reference; the answer is YES or NO."""
    return with_suffix(
        messages,
        f"Reference response:\n{reference}\n\nOther response:\n{response}\n\nDoes the other response answer "
        "correctly, with the same result as the reference? Answer YES or NO.",
    )
