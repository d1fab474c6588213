"""From files to rows of a version: what was found, how it is read, and what could not be.

    ingest = read("train.jsonl")
    ingest.mapping           # {"prompt": "question", "completion": "answer"}
    store.commit(ingest, "gsm8k")
    ingest.report.bad        # rows that could not be read, with line and reason

Files are streamed. Owns duplicates and the report; parsing files is `sources`, reading rows `formats`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from recast.curate.errors import DataError
from recast.curate.fingerprint import canonical_json
from recast.curate.ingest import files, formats
from recast.curate.ingest.formats import Applied
from recast.curate.ingest.values import RowError
from recast.curate.records import VerdictStatus
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA

_LOOK = 200  # rows that the schema is detected from
_BATCH_ROWS = 4096
_BATCH_CHARS = 16 << 20
_KEPT_BAD = 1000
_HOPELESS = 100_000  # bad rows from which on nine of ten must not be bad
_SHOWN = 500
_DEPTH = 200  # of JSON in a row: readers with less stack than we have must be able to decode it, too
_STRINGS = tuple(f.name for f in VERSION_SCHEMA if f.type == pa.string())


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    file: str
    line: int
    reason: str
    text: str  # its start

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "reason": self.reason, "text": self.text}


@dataclass(slots=True)
class Report:
    """What an import met. `bad` holds the first 1000 bad rows, `num_bad` counts all."""

    rows: int = 0
    num_bad: int = 0
    bad: list[BadRow] = field(default_factory=list)
    duplicates: int = 0  # dropped by dedup
    rejected: int = 0  # completions that the data set says are not to be learnt; `candidates` yields them
    answers: int = 0
    missing_answers: int = 0
    lengths: Counter[int] = field(default_factory=Counter)  # upper bound (a power of 2, characters) -> rows

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows, "bad": self.num_bad, "duplicates": self.duplicates,
            "rejected": self.rejected, "answers": self.answers, "missing_answers": self.missing_answers,
            "lengths": {str(k): v for k, v in sorted(self.lengths.items())},
            "bad_rows": [b.to_json() for b in self.bad],
        }  # fmt: skip


class _Seen:
    """Hashes met so far, 8 bytes each, in sorted runs that are merged as they grow."""

    def __init__(self) -> None:
        self.runs: list[np.ndarray] = []

    def repeats(self, hashes: list[int]) -> list[int]:
        """Positions in `hashes` of those met before, here or in an earlier call; remembers the rest."""
        new = np.array(hashes, np.int64)
        order = np.argsort(new, kind="stable")
        again = np.zeros(len(new), bool)
        again[order[1:]] = new[order[1:]] == new[order[:-1]]
        for run in self.runs:
            at = np.minimum(np.searchsorted(run, new), len(run) - 1)
            again |= run[at] == new
        self.runs.append(np.sort(new[~again]))
        while len(self.runs) > 1 and len(self.runs[-1]) * 2 >= len(self.runs[-2]):
            self.runs.append(np.sort(np.concatenate([self.runs.pop(), self.runs.pop()]), kind="stable"))
        self.runs = [run for run in self.runs if len(run)]
        return np.flatnonzero(again).tolist()


class Ingest:
    """A file (or folder) and how its rows are read. `batches()` streams it, from the beginning each time.

    Where `bad_file` is set, every bad row is written there as a JSON line. `progress` gets the megabytes on disk
    that were read, of how many.
    """

    def __init__(
        self, path: Path, format: str, mapping: dict[str, str], *, limit: int | None, dedup: bool, turn: int
    ) -> None:
        self.path, self.format, self.mapping = path, format, mapping
        self.limit, self.dedup, self.turn = limit, dedup, turn
        self.report = Report()
        self.bad_file: Path | None = None
        self.progress: Callable[..., None] | None = None
        self._bad_lines: IO[str] | None = None

    def sample(self, n: int = 3) -> list[dict[str, Any]]:
        """The first `n` rows as they would be committed, `messages` and `meta` decoded."""
        from recast.curate.schema import decode_row

        rows = []
        for raw in files.read(self.path):
            if len(rows) >= n:
                break
            if raw.row is not None:
                try:
                    found = self._read(raw.row)
                except (RowError, TypeError, ValueError, RecursionError):
                    continue
                rows += [decode_row(dict(found.row))] if found.good else []
        return rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of VERSION_SCHEMA. Raises DataError for duplicate keys (naming both lines) and where not one
        row can be read."""
        try:
            yield from self._batches(files.Meter())
        finally:
            if self._bad_lines is not None:
                self._bad_lines.close()
                self._bad_lines = None

    def _batches(self, meter: files.Meter) -> Iterator[pa.RecordBatch]:
        self.report = report = Report()
        seen = _Seen()
        rows: list[dict[str, Any]] = []
        places: list[files.Raw] = []
        size = num_read = 0

        def batch() -> pa.RecordBatch:
            again = seen.repeats([hash((row["row_id"], row["target"])) for row in rows])
            if not self.dedup:
                for n in again:
                    self._refuse_twice(rows[n], places[n])
            dropped = set(again) if self.dedup else set()
            kept = [row for n, row in enumerate(rows) if n not in dropped]
            report.duplicates += len(dropped)
            report.rows += len(kept)
            for row in kept:
                report.answers += row["answer"] is not None
                report.missing_answers += row["answer"] is None
                report.lengths[1 << max(len(row["completion"]) - 1, 0).bit_length()] += 1
            if self.progress is not None:
                read, total = round(meter.done / 1e6, 1), round(meter.total / 1e6, 1)
                self.progress(done=read, total=total, note=f"MB, {report.rows:,} rows")
            return _batch(kept)

        for raw in files.read(self.path, meter):
            if self.limit is not None and num_read >= self.limit:
                break
            found = self._applied(raw)
            if found is None:
                continue
            report.rejected += len(found.rejected) + (not found.good)
            if not found.good:
                continue
            row = found.row
            num_read += 1
            rows.append(row)
            places.append(files.Raw(raw.file, raw.line, None))
            size += len(row["messages"]) + 2 * len(row["completion"])
            if len(rows) >= _BATCH_ROWS or size >= _BATCH_CHARS:
                yield batch()
                rows, places, size = [], [], 0
        if rows:
            yield batch()
        if not report.rows:
            first = f" The first: {report.bad[0]}." if report.bad else ""
            worse = f", {report.rejected} rejected by the data set itself" if report.rejected else ""
            raise DataError(f"{self.path}: no row could be read ({report.num_bad} bad{worse}).{first}")

    @property
    def rejects(self) -> bool:
        """Whether the file says of completions that they are worse, as preferences do."""
        return self.format in (formats.PREFERENCE, formats.UNPAIRED)

    def candidates(self) -> Iterator[pa.RecordBatch]:
        """Yield the completions that the data set rejects, as batches of CANDIDATE_SCHEMA.

        Each stands beside the row that it loses against, or beside a row with its prompt; where there is none, `scores`
        holds the prompt and the meta of its own row, under its own id. Reads the file once more, and an unpaired one
        twice.
        """
        beside: dict[str, tuple[str, int]] = {}
        if self.format == formats.UNPAIRED:
            for found in self._all():
                if found.good:
                    row = found.row
                    beside.setdefault(_short_hash(row["messages"]), (row["row_id"], row["target"]))
        rows: list[dict[str, Any]] = []
        k = 0
        for found in self._all():
            row = found.row
            key, own = (row["row_id"], row["target"]), "{}"
            texts = found.rejected
            if not found.good:
                texts = (row["completion"],)
                key = beside.get(_short_hash(row["messages"]), key)
                said = {"messages": row["messages"], "meta": row["meta"]}
                told = {name: json.loads(text) for name, text in said.items() if text is not None}
                told |= {name: row[name] for name in ("row_id", "answer", "task") if row[name] is not None}
                own = canonical_json(told)
            for text in texts:
                rows.append(_candidate(*key, k, text, own))
                k += 1
            if len(rows) >= _BATCH_ROWS:
                yield pa.RecordBatch.from_pylist(rows, CANDIDATE_SCHEMA)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, CANDIDATE_SCHEMA)

    def _all(self) -> Iterator[Applied]:
        """Every row that can be read, up to the limit, without a report."""
        num_read = 0
        for raw in files.read(self.path):
            if self.limit is not None and num_read >= self.limit:
                return
            if raw.row is not None and not isinstance(found := self._checked(raw.row), str):
                num_read += found.good
                yield found

    def _refuse_twice(self, row: Mapping[str, Any], raw: files.Raw) -> None:
        """Raise DataError if an earlier row has the key of `row`; only hashes of keys are remembered, so look again."""
        for earlier in files.read(self.path):
            if (earlier.file, earlier.line) == (raw.file, raw.line):
                return
            found = self._checked(earlier.row or {})
            if isinstance(found, str) or not found.good:
                continue
            other = found.row
            if (other["row_id"], other["target"]) == (row["row_id"], row["target"]):
                raise self._twice(row, raw, earlier)

    def _twice(self, row: Mapping[str, Any], raw: files.Raw, earlier: files.Raw) -> DataError:
        first = f"line {earlier.line}" if earlier.file == raw.file else f"{earlier.file}, line {earlier.line}"
        if "id" not in self.mapping and self.format != "recast":  # the id is a hash of the row's texts
            return DataError(
                f"{raw.file}, line {raw.line}: the same prompt and completion as on {first}. Keep the first of each "
                "with --dedup, or tell them apart by a column that has an id, with --map id=COLUMN."
            )
        return DataError(
            f"{raw.file}, line {raw.line}: the id {row['row_id']!r} (target {row['target']}) was already on {first}. "
            "Ids must be distinct: correct the file, choose another id column with --map id=COLUMN, or keep the first "
            "of each with --dedup."
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts, `messages` and `meta` decoded."""
        from recast.curate.schema import decode_row

        for batch in self.batches():
            yield from map(decode_row, batch.to_pylist())

    def _read(self, row: Mapping[str, Any]) -> Applied:
        return formats.apply(row, self.mapping, self.format, self.turn)

    def _applied(self, raw: files.Raw) -> Applied | None:
        if raw.row is None:
            self._bad(raw, raw.reason, raw.text)
            return None
        found = self._checked(raw.row)
        if isinstance(found, str):
            self._bad(raw, found, _start(raw.row))
            return None
        found.row["source"] = found.row["source"] or f"{raw.file}:{raw.line}"
        return found

    def _checked(self, row: Mapping[str, Any]) -> Applied | str:
        """`row` as it can be stored, or why it cannot."""
        try:
            found = self._read(row)
            for name in _STRINGS:
                if (value := found.row[name]) is not None and not value.isascii():
                    value.encode()
            for text in found.rejected:
                text.encode()
            if _deep(found.row["messages"]) or _deep(found.row["meta"]):
                return f"JSON nested more than {_DEPTH} deep"
        except RowError as wrong:
            return str(wrong)
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which is no character"
        except (TypeError, ValueError, RecursionError) as wrong:
            return f"holds a value that JSON cannot ({wrong})"
        return found

    def _bad(self, raw: files.Raw, reason: str, text: str) -> None:
        bad = BadRow(raw.file, raw.line, reason, text.encode("utf-8", "replace").decode())
        self.report.num_bad += 1
        if len(self.report.bad) < _KEPT_BAD:
            self.report.bad.append(bad)
        if self.report.num_bad >= _HOPELESS and self.report.rows * 10 < self.report.num_bad:
            raise DataError(
                f"{self.path}: {self.report.num_bad} rows could not be read, and hardly any could; stopped there. "
                f"The first: {self.report.bad[0]}."
            )
        if self.bad_file is not None:
            if self._bad_lines is None:
                self.bad_file.parent.mkdir(parents=True, exist_ok=True)
                self._bad_lines = self.bad_file.open("w", encoding="utf-8")
            self._bad_lines.write(json.dumps(bad.to_json(), ensure_ascii=False) + "\n")


def read(
    path: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    limit: int | None = None,
    dedup: bool = False,
    turn: int = -1,
) -> Ingest:
    """Look at a file or folder and say how its rows would be read; nothing is read beyond the first rows.

    `mapping`: our field -> their column, laid over what is detected. `turn`: which assistant turn of a
    conversation is the completion (-1 the last). Raises DataError for an empty or unknown file, UsageError
    for a mapping that names no column.
    """
    path = Path(path)
    first: list[dict[str, Any]] = []
    reasons: list[files.Raw] = []
    for raw in files.read(path):
        if raw.row is None:
            reasons.append(raw)
        else:
            first.append(raw.row)
        if len(first) >= _LOOK or len(reasons) >= _LOOK:
            break
    if not first:
        if reasons:
            raise DataError(
                f"{path}: no row could be read. The first, line {reasons[0].line}: {reasons[0].reason}. Expected "
                "one JSON object a line, or one JSON list of objects."
            )
        raise DataError(f"{path} is empty; expected one JSON object a line, or a table with a header.")
    format_, found = formats.detect(first, path.name, mapping)
    return Ingest(path, format_, found, limit=limit, dedup=dedup, turn=turn)


def _deep(text: str | None) -> bool:
    if text is None or text.count("[") + text.count("{") <= _DEPTH:
        return False
    level, depth = [json.loads(text)], 0
    while level:
        depth += 1
        members = (value.values() if isinstance(value, dict) else value for value in level)
        level = [m for each in members for m in each if isinstance(m, dict | list)]
    return depth > _DEPTH


def _start(row: Any) -> str:
    """The start of a row that could not be read, for a person to recognise it by."""
    try:
        return json.dumps(row, ensure_ascii=False, default=str)[:_SHOWN]
    except (ValueError, RecursionError):  # nested too deeply to be written again
        return f"an object with {', '.join(map(repr, row))}"[:_SHOWN]


def _short_hash(messages: str) -> str:
    return hashlib.sha256(messages.encode()).hexdigest()[:24]


def _candidate(row_id: str, target: int, k: int, text: str, scores: str) -> dict[str, Any]:
    check = {"name": "data_set", "status": "fail", "reason": "rejected", "message": "", "score": None}
    return {
        "row_id": row_id, "target": target, "k": k, "attempt": 0, "text": text, "finish_reason": "stop",
        "status": str(VerdictStatus.REJECTED), "reason": "rejected", "checks": canonical_json([check]),
        "scores": scores, "chosen": False,
    }  # fmt: skip


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    arrays = [pa.array([row[f.name] for row in rows], f.type) for f in VERSION_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=VERSION_SCHEMA)
