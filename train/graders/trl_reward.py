"""A grader as a reward function of TRL's trainers (`GRPOTrainer`, `RLOOTrainer`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from recast.train.graders.format.rows import item_of
from recast.train.graders.grader import Grader
from recast.train.graders.records import Grade, Sample

NOT_COLUMNS = ("completion_ids", "trainer_state", "log_extra", "log_metric", "environments")
"""What a trainer hands over beside the columns of its data set."""


class RewardFunction:
    """`function(prompts, completions, **columns)`: a reward a completion, None where there is no score.

    The columns of the data set are `item`, with the prompt as `item.prompt` (and as `item.messages`, where it is a
    list of turns). None is no reward to TRL: the completion gets no advantage. `on_graded` gets every batch of
    grades, which also say what went wrong.
    """

    def __init__(
        self,
        grader: Grader,
        *,
        group_size: int | None = None,
        on_graded: Callable[[list[Grade]], None] | None = None,
    ) -> None:
        """`group_size`: the trainer's `num_generations`; None: completions in succession whose rows are equal."""
        self.grader = grader
        self.group_size = group_size
        self.on_graded = on_graded
        self.__name__ = re.sub(r"\W", "_", grader.name)  # what TRL calls its figures by

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        size = len(completions)
        own = {key: values for key, values in columns.items() if _is_column(key, values, size)}
        items = [item_of(_row(prompt, {k: v[i] for k, v in own.items()})) for i, prompt in enumerate(prompts)]
        groups = [i // self.group_size for i in range(size)] if self.group_size else None
        grades = self.grader.grade_many(items, [sample_of(each) for each in completions], groups=groups)
        if self.on_graded:
            self.on_graded(grades)
        return [grade.value for grade in grades]


def _is_column(key: str, values: Any, size: int) -> bool:
    return (
        key not in NOT_COLUMNS and isinstance(values, list | tuple) and len(cast("list[Any]", values)) == size
    )


def _row(prompt: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    talk = {"messages": prompt} if isinstance(prompt, list) else {}
    return {"prompt": prompt, **talk, **columns}


def sample_of(completion: Any) -> Sample:
    """A completion as TRL has it, text or a list of turns, of which the assistant's count."""
    if isinstance(completion, str):
        return Sample(completion)
    said = [turn for turn in cast("list[dict[str, Any]]", completion) if turn.get("role") == "assistant"]
    text = "\n".join(turn["content"] for turn in said if isinstance(turn.get("content"), str))
    return Sample(text, tools=[call for turn in said for call in turn.get("tool_calls") or ()])
