"""What an export has written and refused: of a stretch of rows, and of the whole version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from recast.curate.export.destination import Place, destination
from recast.curate.export.formats import Objective, Turns
from recast.curate.export.sinks import Written

NAMED_ROWS = 5  # refused rows that a result names for each reason; the file names all


@dataclass(slots=True)
class Refused:
    """Rows of one reason."""

    has: str
    lacks: str
    count: int = 0
    rows: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Tally:
    """What became of a stretch of rows. Pairs are of training and validation."""

    rows: list[int] = field(default_factory=lambda: [0, 0])
    lines: list[int] = field(default_factory=lambda: [0, 0])
    decisions: dict[str, int] = field(default_factory=dict[str, int])
    refused: dict[str, Refused] = field(default_factory=dict[str, Refused])
    columns: list[str] = field(default_factory=list[str])
    data: tuple[list[Written], list[Written]] = field(default_factory=lambda: ([], []))
    others: list[Written] = field(default_factory=list[Written])
    """Files with rows that are no data: refused ones, an index."""

    @property
    def files(self) -> list[Written]:
        return [*self.data[0], *self.data[1], *self.others]

    def decided(self, decision: str, count: int = 1) -> None:
        self.decisions[decision] = self.decisions.get(decision, 0) + count

    def refuse(self, reason: str, has: str, lacks: str, rows: list[str], count: int = 1) -> None:
        tally = self.refused.setdefault(reason, Refused(has, lacks))
        tally.count += count
        tally.rows += rows[: NAMED_ROWS - len(tally.rows)]

    def add(self, more: Tally) -> None:
        """Take in what became of the rows after these."""
        for side in (0, 1):
            self.rows[side] += more.rows[side]
            self.lines[side] += more.lines[side]
            self.data[side].extend(more.data[side])
        for decision, count in more.decisions.items():
            self.decided(decision, count)
        for reason, each in more.refused.items():
            self.refuse(reason, each.has, each.lacks, each.rows, each.count)
        self.columns = self.columns or more.columns
        self.others += more.others

    def to_json(self) -> dict[str, Any]:
        files = {"data": [[f.to_json() for f in side] for side in self.data]}
        own = {name: getattr(self, name) for name in ("rows", "lines", "decisions", "columns")}
        refused = {reason: asdict(each) for reason, each in self.refused.items()}
        return {**own, "refused": refused, **files, "others": [f.to_json() for f in self.others]}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Tally:
        train, held = ([_written(file) for file in side] for side in told["data"])
        refused = {reason: Refused(**each) for reason, each in told["refused"].items()}
        own = {name: told[name] for name in ("rows", "lines", "decisions", "columns")}
        return cls(**own, refused=refused, data=(train, held), others=[_written(f) for f in told["others"]])


def _written(told: Mapping[str, Any]) -> Written:
    return Written(destination(told["path"]), told["lines"], told["bytes"], told["sha256"])


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Place  # the file, or the folder
    format: str
    objective: Objective
    turns: Turns
    ref: str
    version_id: str
    rows: int  # written, training and validation together
    validation_rows: int
    lines: int  # more than rows where a row is several examples
    columns: tuple[str, ...]
    files: tuple[Written, ...]
    data: tuple[Place, ...]  # those of them that hold the lines
    refused: Mapping[str, Refused]
    start: str
    notes: tuple[str, ...]

    @property
    def refused_rows(self) -> int:
        return sum(each.count for each in self.refused.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "format": self.format,
            "objective": self.objective,
            "turns": self.turns,
            "ref": self.ref,
            "version_id": self.version_id,
            "rows": self.rows,
            "validation_rows": self.validation_rows,
            "lines": self.lines,
            "columns": list(self.columns),
            "refused": {
                reason: {"count": r.count, "has": r.has, "lacks": r.lacks, "rows": r.rows}
                for reason, r in self.refused.items()
            },
            "files": [file.to_json() for file in self.files],
            "start": self.start,
            "notes": list(self.notes),
        }
