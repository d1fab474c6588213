"""An export measured: tokens that train, rows that are dropped or cut, and one row to look at.

    checked = measure(exported, tokenizer)
    checked.nothing                      # rows of which nothing would be trained

It reads the files that were written, not the version, so it proves the files.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow.parquet as pq

from recast.curate.chat import end_of_turn
from recast.curate.errors import UsageError
from recast.curate.export.check.masks import MASKS
from recast.curate.export.check.rendering import Example, NotRead, ids_of, spans, split_turns, tools_of
from recast.curate.export.destination import Place, opened
from recast.curate.export.formats import Line, Objective, Turns
from recast.curate.export.outcome import Exported
from recast.curate.export.rows import REASONING
from recast.curate.export.trainers import axolotl
from recast.curate.records import Messages

NAMED_ROWS = 5

Overlong = Literal["cut", "drop", "raise", "share"]
LIMITS: dict[str, tuple[int | None, Overlong]] = {
    "trl": (1024, "cut"),
    "verl": (1024, "raise"),
    "openrlhf": (2048, "drop"),
    "axolotl": (axolotl.SEQUENCE_LEN, "raise"),
    "llamafactory": (2048, "share"),
    "open-instruct": (None, "cut"),
    "mlx": (2048, "cut"),
    "nemo-rl": (None, "drop"),
    "nemo-automodel": (None, "cut"),
    "prime-rl": (None, "cut"),
    "unsloth": (1024, "cut"),
}
"""How many tokens a row may have by default (None: the user's recipe says), and what becomes of a longer one."""


@dataclass(slots=True)
class Checked:
    """What a trainer makes of an export. Counts are of lines; tokens are those that reach the loss, and the others."""

    trainer: str
    max_length: int | None
    lines: int = 0
    trained: int = 0
    masked: int = 0
    cut: int = 0
    ends: int = 0  # lines whose last trained turn ends in the token that ends a turn
    dropped: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    dropped_lines: int = 0
    nothing: list[str] = field(default_factory=list[str])  # rows that train nothing, the first few
    nothing_lines: int = 0
    lost: dict[str, list[str]] = field(
        default_factory=dict[str, list[str]]
    )  # what the chat template leaves out
    example: list[tuple[str, bool]] = field(
        default_factory=list[tuple[str, bool]]
    )  # pieces of a row; does each train?

    def to_json(self) -> dict[str, Any]:
        return {
            "trainer": self.trainer,
            "how": "re-implementation",
            "max_length": self.max_length,
            "lines": self.lines,
            "tokens_trained": self.trained,
            "tokens_masked": self.masked,
            "cut": self.cut,
            "dropped": self.dropped_lines,
            "dropped_rows": self.dropped,
            "end_of_turn_trained": self.ends,
            "trains_nothing": self.nothing_lines,
            "trains_nothing_rows": self.nothing,
            "template_leaves_out": self.lost,
            "example": [{"text": text, "trained": trained} for text, trained in self.example],
        }


def require_measurable(to: str, objective: Objective) -> None:
    """Raise UsageError for a format whose rendering nobody can repeat."""
    if (objective == "sft" and to not in MASKS) or (to, objective) == ("openai", "dpo"):
        raise UsageError(
            f"--check knows no way to repeat what {to} makes of a row for {objective}; for sft it can for "
            f"{', '.join(MASKS)}."
        )


def measure(done: Exported, tokenizer: Any, *, max_length: int | None = None) -> Checked:
    """Read the written files as the trainer would and count. `max_length` in tokens; None is the trainer's default.

    Raises UsageError for a format whose rendering nobody can repeat.
    """
    require_measurable(done.format, done.objective)
    default, overlong = LIMITS.get(done.format, (None, "cut"))
    checked = Checked(done.format, max_length or default)
    stop = end_of_turn(tokenizer)
    for line in lines_of(done):
        row = row_of(line)
        try:
            examples = list(examples_of(line, tokenizer, done.format, done.objective, done.turns))
        except NotRead as why:
            checked.lines += 1
            drop(checked, str(why), row)
            continue
        for example in examples:
            count(checked, example, row, overlong, stop)
            if done.objective == "sft":
                _look_for_losses(checked, line, tokenizer, example, row)
            if not checked.example and True in example.trained:
                checked.example = _pieces(tokenizer, example)
    return checked


def lines_of(done: Exported) -> Iterator[Line]:
    """The lines of the training and validation files."""
    for path in done.data:
        yield from _table_lines(path) if path.suffix == ".parquet" else _json_lines(path)


def row_of(line: Line) -> str:
    """The id of the row that a line was made of."""
    return str(line.get("row_id") or (line.get("extra_info") or {}).get("row_id") or line.get("id"))


def _json_lines(path: Place) -> Iterator[Line]:
    with opened(path) as file, io.TextIOWrapper(file, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _table_lines(path: Place) -> Iterator[Line]:
    with opened(path) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(4096):
            for line in batch.to_pylist():
                yield {name: _turns(value) for name, value in line.items()}


def _turns(value: Any) -> Any:
    if isinstance(value, list):
        return [{k: v for k, v in turn.items() if v is not None} for turn in value]
    return value


def examples_of(line: Line, tokenizer: Any, to: str, objective: Objective, turns: Turns) -> Iterator[Example]:
    """What the trainer `to` makes of a line: one example, two of a pair. Raises NotRead.

    Of a prompt without an answer nothing trains yet: the model's own words will.
    """
    if objective == "sft":
        yield MASKS[to](line, tokenizer, turns)
    elif objective == "dpo":
        for prompt, said in _sides(line):
            yield spans(tokenizer, [*prompt, *said], tools_of(line), [len(prompt)])
    elif objective == "kto":
        talk = line["messages"] if "messages" in line else [*line["prompt"], *line["completion"]]
        yield spans(tokenizer, talk, tools_of(line), [len(talk) - 1])
    else:
        ids = ids_of(tokenizer, _question(line), tools_of(line), asks=True)
        yield Example(ids, [False] * len(ids))


def _sides(line: Line) -> Iterator[tuple[Messages, Messages]]:
    """Prompt and answer, for the chosen and for the rejected one."""
    for name in ("chosen", "rejected"):
        said = line[name]
        if isinstance(said, str):
            said = [{"role": "assistant", "content": said}]
        said = [said] if isinstance(said, dict) else said
        prompt = line.get("prompt", line.get("messages"))
        yield (said[:-1], said[-1:]) if prompt is None else (prompt, said)


def _question(line: Line) -> Messages:
    found = next(line[name] for name in ("messages", "prompt", "input", "problem") if line.get(name))
    turns = [{"role": "user", "content": found}] if isinstance(found, str) else list(found)
    system = line.get("system_prompt")
    return [{"role": "system", "content": system}, *turns] if system else turns


def count(checked: Checked, example: Example, row: str, overlong: Overlong, stop: int) -> None:
    checked.lines += 1
    ids, trained = example.ids, example.trained
    limit = checked.max_length
    if limit is not None and len(ids) > limit:
        if overlong == "raise" or (overlong == "drop" and example.prompt >= limit - 2):
            does = "raises" if overlong == "raise" else "drops"
            drop(checked, f"longer than {limit} tokens, on which the trainer {does}", row)
            return
        checked.cut += 1
        start = _from_prompt(example, limit) if overlong == "share" else 0
        ids, trained = ids[start : start + limit], trained[start : start + limit]
    learnt = sum(trained)
    checked.trained += learnt
    checked.masked += len(ids) - learnt
    if learnt:
        last = len(trained) - 1 - trained[::-1].index(True)
        checked.ends += stop in (ids[n] for n in range(max(0, last - 2), last + 1) if trained[n])
    else:
        checked.nothing_lines += 1
        if len(checked.nothing) < NAMED_ROWS:
            checked.nothing.append(row)


def _look_for_losses(checked: Checked, line: Line, tokenizer: Any, example: Example, row: str) -> None:
    """Note what the line has and the rendered row has not: a template may know neither tools nor thoughts."""
    turns = _turns_of(line)
    tools = tools_of(line) or []
    if not tools and all(len(turn) == 2 for turn in turns):
        return
    shown = tokenizer.decode(example.ids)
    said = {"reasoning of the last turn": [turns[-1].get(name) for name in REASONING]}
    calls = [call for turn in turns for call in turn.get("tool_calls") or []]
    said["tool calls"] = [call.get("function", {}).get("name") for call in calls]
    said["definitions of tools"] = [tool.get("function", tool).get("name") for tool in tools]
    for what, texts in said.items():
        if any(isinstance(text, str) and text.strip() not in shown for text in texts):
            named = checked.lost.setdefault(what, [])
            if len(named) < NAMED_ROWS:
                named.append(row)


def _turns_of(line: Line) -> Messages:
    found = line["messages"] if "messages" in line else [*split_turns(line)[0], *split_turns(line)[1]]
    return found if isinstance(found[0], dict) else []


def drop(checked: Checked, why: str, row: str) -> None:
    checked.dropped_lines += 1
    named = checked.dropped.setdefault(why, [])
    if len(named) < NAMED_ROWS:
        named.append(row)


def _from_prompt(example: Example, limit: int) -> int:
    """How much of the beginning goes where both sides are cut so that the longer gives more."""
    source, target = example.prompt, len(example.ids) - example.prompt
    if target * 2 < limit:
        most = limit
    elif source * 2 < limit:
        most = limit - source
    else:
        most = int(limit * target / (source + target))
    return max(0, source - max(limit - min(most, target), 0))


def _pieces(tokenizer: Any, example: Example) -> list[tuple[str, bool]]:
    """The row's text in runs of tokens of one kind."""
    pieces: list[tuple[list[int], bool]] = []
    for token, trained in zip(example.ids, example.trained, strict=True):
        if pieces and pieces[-1][1] == trained:
            pieces[-1][0].append(token)
        else:
            pieces.append(([token], trained))
    return [(tokenizer.decode(ids), trained) for ids, trained in pieces]
