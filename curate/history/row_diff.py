"""What a diff says: of all rows in counts, of one row in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from recast.curate.fingerprint import canonical_json
from recast.curate.history import signs, word_diff

READ = ("messages", "completion", "answer", "task", "demonstration", "decision", "reason", "meta")
"""Columns that people read; the others are scores and provenance."""

Edit = Literal["row", "answer", "words", "look-alikes", "format", "blanks", "float noise", "other columns"]
NOISE = 1e-9  # relative difference of numbers below which they are one number, computed otherwise


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a diff. Means are over rows of both versions that changed and have the measure on both sides."""

    added: int
    removed: int
    changed: int  # content differs
    rescored: int  # only scores differ
    unchanged: int
    columns: dict[str, int] = field(
        default_factory=dict
    )  # column -> rows of both versions in which it differs
    decisions: dict[str, int] = field(default_factory=dict)  # "expert -> rewrite" -> rows
    answers_changed: int = 0  # rows whose final answer differs
    gate_pass_to_fail: int = 0  # rows whose rewrite or repair became a fallback
    nll_change: float | None = None  # mean change of the completion's NLL, nats per token
    length_change: float | None = None  # mean change of the completion's length, characters

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One row that differs. `before` is None for an added row, `after` for a removed one."""

    row_id: str
    target: int
    op: str  # add, change, remove, rescore
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    was: str | None = None  # the id before, where the id is made of texts that changed

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns in which the two sides differ; empty for added and removed rows."""
        if self.before is None or self.after is None:
            return ()
        return tuple(c for c in self.before if _differ(self.before[c], self.after[c]))

    @property
    def answers(self) -> tuple[str | None, str | None]:
        """Final answer of each side: what its text states, else what is recorded with it."""
        return final_answer(self.before or {}), final_answer(self.after or {})

    @property
    def answer_changed(self) -> bool:
        """Whether the final answer differs. A row that has none on either side has not changed it."""
        return self.before is not None and self.after is not None and answers_differ(*self.answers)

    @property
    def nll(self) -> tuple[float | None, float | None]:
        """NLL of each side's completion, nats per token; of an expert's text, as the rewriting measured it."""
        before, after = self.before or {}, self.after or {}
        was = before.get("nll_completion")
        if was is None and before and before.get("completion") == after.get("demonstration"):
            was = after.get("nll_demonstration")
        return was, after.get("nll_completion")

    @property
    def edit(self) -> Edit:
        """What kind of edit the completion saw, the gravest that applies."""
        if self.before is None or self.after is None:
            return "row"
        was, now = _text(self.before, "completion"), _text(self.after, "completion")
        if was != now and signs.alike(was, now):
            return "look-alikes"
        if self.answer_changed:
            return "answer"
        if was == now:
            return "float noise" if self.noise and set(self.noise) == set(self.columns) else "other columns"
        if word_diff.only_blanks(was, now):
            return "blanks"
        return "format" if word_diff.only_format(was, now) else "words"

    @property
    def noise(self) -> tuple[str, ...]:
        """Columns that differ in what a float leaves behind only (0.3 and 0.30000000000000004), `meta` too."""
        return tuple(c for c in self.columns if same_but_noise((self.before or {})[c], (self.after or {})[c]))

    @property
    def look_alikes(self) -> dict[str, str]:
        """Column -> in what its two texts differ, where they look the same."""
        found = {name: self.texts(name) for name in self.columns if name in READ}
        if found.get("demonstration") == found.get("completion"):
            found.pop("demonstration", None)
        return {name: signs.told(*texts) for name, texts in found.items() if signs.alike(*texts)}

    def words(self, column: str = "completion") -> list[word_diff.Op]:
        """Word-level diff of a column as text; a missing side counts as empty."""
        return word_diff.diff(*self.texts(column))

    def phrases(self, column: str = "completion", *, fold: bool = True) -> list[word_diff.Op]:
        """The same as a person would mark it, with `fold` without edits of white space and format."""
        return word_diff.phrases(*self.texts(column), fold=fold)

    def texts(self, column: str = "completion") -> tuple[str, str]:
        """A column of both sides as text; a missing side counts as empty."""
        return _text(self.before, column), _text(self.after, column)


def touching(rows: Iterable[RowDiff], columns: Sequence[str]) -> Iterator[RowDiff]:
    """Those of `rows` that came or went, or in which one of `columns` differs."""
    wanted = set(columns)
    return (row for row in rows if row.op in ("add", "remove") or wanted & set(row.columns))


def _text(row: dict[str, Any] | None, column: str) -> str:
    value = (row or {}).get(column)
    if column == "messages" and isinstance(value, list):
        return "\n\n".join(f"{m.get('role')}: {m.get('content')}" for m in value)
    return "" if value is None else str(value)


def final_answer(row: Mapping[str, Any]) -> str | None:
    """The answer that the row's completion states, else the one recorded in its `answer` column."""
    from recast.curate.answers import extract

    stated = extract.find_answer(row.get("completion") or "", fallback=False)
    return stated.text if stated else row.get("answer")


def answers_differ(a: str | None, b: str | None) -> bool:
    """Whether two final answers are different, or cannot be shown to be the same."""
    from recast.curate.answers import extract

    if a is None or b is None:
        return a is not b
    return a != b and not _same_number(a, b) and extract.equivalent(a, b) is not True


def _differ(a: Any, b: Any) -> bool:
    """Whether two values are stored as different texts: 1, 1.0 and true are equal to Python only."""
    return a != b or (isinstance(a, Mapping | list) and canonical_json(a) != canonical_json(b))


def same_but_noise(a: Any, b: Any) -> bool:
    """Whether two values are the same but for what floats leave behind."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_but_noise(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_but_noise, a, b))
    if (isinstance(a, float) and isinstance(b, int | float)) or (isinstance(a, int) and isinstance(b, float)):
        return math.isclose(a, b, rel_tol=NOISE)
    return type(a) is type(b) and a == b


def _same_number(a: str, b: str) -> bool:
    """Whether both are plain numbers that differ at most in what a float leaves behind (0.41666666666666663)."""
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9)
    except ValueError:
        return False
