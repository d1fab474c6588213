"""The store: a folder with a DuckDB catalog and immutable Parquet parts.

    store = Store("recast-home")
    v1 = store.commit(rows, "gsm8k", message="as published")
    store.open("gsm8k@v1").dataset()

A version costs what changed: only new and changed rows are written, with a change log against the first
parent. A commit writes and fsyncs its files first and then makes one short transaction, so a crash before it
leaves no version. Owns committing and opening; what rows look like is `schema`, reading them `snapshot`,
comparing them `diff`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from recast.curate.errors import IntegrityError, RecastError, RefusedError, UsageError
from recast.curate.fingerprint import canonical_json, fingerprint
from recast.curate.store import versions
from recast.curate.store.catalog import DEADLINE_S, Catalog, Change, one
from recast.curate.store.locks import TimeoutHolder, turn
from recast.curate.store.versions import Version

if TYPE_CHECKING:  # Arrow takes longer to import than `recast log` may take
    import pyarrow as pa

    from recast.curate.schema import Rows
    from recast.curate.store.parts import Part
    from recast.curate.store.snapshot import Snapshot
    from recast.curate.store.staging import Staged

DEFAULT_HOME = ".recast"
_REWRITING = ("rewrite", "repair", "fallback")
_QUEUE_S = 10.0
_ATTEMPTS = 200  # a committer that loses a race sees another one win, so this ends


class MovedError(RecastError):
    """Another process changed what this commit stands on; doing it again succeeds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the one who commits says of a version beside its rows: all of it part of the version's id."""

    message: str = ""
    author: str = ""
    run_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    candidates: tuple[Part, ...] = ()  # kept beside the version: chosen or not, with verdicts and scores


class Store:
    """A store of versioned rows. Cheap to make; touches nothing until used."""

    def __init__(self, path: str | Path | None = None, *, deadline_s: float = DEADLINE_S) -> None:
        """`path` defaults to RECAST_HOME, else `.recast`. `deadline_s`: how long to wait for the catalog."""
        self.root = Path(path or os.environ.get("RECAST_HOME") or DEFAULT_HOME)
        self.catalog = Catalog(self.root / "catalog.duckdb", deadline_s)

    # reading

    def resolve(self, ref: str) -> Version:
        """The version that `ref` names. Raises UsageError that lists what there is."""
        with self.catalog.reading() as con:
            return versions.resolve(con, ref)

    def open(self, ref: str | Version) -> Snapshot:
        """The rows of a version."""
        with self.catalog.reading() as con:
            version = ref if isinstance(ref, Version) else versions.resolve(con, ref)
            return self.snapshot(con, version)

    def with_candidates(self, version: Version) -> Snapshot:
        """`version`, or the nearest of its first parents that keeps candidates; `version` itself where none does."""
        return self.open(next((v for v in self.log(version.ref) if v.candidates_parts), version))

    def names(self) -> list[str]:
        """Every data set in the store; empty where there is no store yet."""
        if not self.catalog.exists():
            return []
        with self.catalog.reading() as con:
            return versions.names(con)

    def has(self, ref: str) -> bool:
        """Whether `ref` names a version."""
        try:
            self.resolve(ref)
        except UsageError:
            return False
        return True

    def log(self, name: str) -> list[Version]:
        """History of a data set, branch or version, newest first: every version of a name, or the first parents of
        a version or branch."""
        with self.catalog.reading() as con:
            return versions.log(con, name)

    def labels(self) -> list[versions.Label]:
        """Every branch and tag; empty where there is no store yet."""
        if not self.catalog.exists():
            return []
        with self.catalog.reading() as con:
            return versions.labels(con)

    def tag(
        self, ref: str, name: str, *, move: bool = False, author: str | None = None, note: str = ""
    ) -> Version:
        """Name a version `NAME@TAG`. `note` stands in the log: a risk that was accepted."""
        with self.catalog.writing() as change:
            version = versions.resolve(change.con, ref)
            versions.set_tag(change, version, name, move, author or default_author(), note)
        return version

    def taggings(self) -> dict[str, list[dict[str, Any]]]:
        """Every tag that was ever given, by version id, oldest first."""
        with self.catalog.reading() as con:
            return versions.taggings(con)

    def branch(self, ref: str, name: str) -> Version:
        """Start the branch `NAME/BRANCH` at a version."""
        with self.catalog.writing() as change:
            version = versions.resolve(change.con, ref)
            versions.set_branch(change, version, name)
        return version

    # writing

    def commit(
        self,
        rows: Rows,
        name: str,
        *,
        parent: str | Version | None = None,
        message: str = "",
        author: str | None = None,
        run_id: str | None = None,
        candidates: pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch] | None = None,
        expect_parent: str | None = None,
        meta: Mapping[str, Any] | None = None,
        mode: Literal["replace", "patch"] = "replace",
        remove: Iterable[tuple[str, int]] = (),
        law: Literal["rows", "rewrite"] = "rows",
    ) -> Version:
        """Seal the next version of `name` (`NAME` or `NAME/BRANCH`) and return it.

        `rows`: Arrow table, record-batch reader, iterable of record batches or of dicts, `datasets.Dataset`, or
        `ingest.Ingest` (with what its data set rejects, as candidates). Missing columns are filled (`target` 0,
        `decision` expert, `demonstration` the completion).
        `mode`: "replace", the rows are the whole version; "patch", they are laid over the parent and `remove` names
        the keys `(row_id, target)` that go.
        `parent`: defaults to the head of the branch; its rows are what is compared with.
        `expect_parent`: refuse (RefusedError) unless the head of the branch is this version.
        `law="rewrite"`: the rows come from a rewriting job, so rows in = rewrites + repairs + fallbacks.
        Raises IntegrityError where the conservation law does not hold; nothing is committed then.
        """
        data_set, branch = versions.parse_branch(name)
        remove = list(remove)
        if remove and mode != "patch":
            raise UsageError('`remove` has a meaning only with mode="patch"; leave the rows out instead.')
        self.catalog.begin()
        again = not hasattr(rows, "__next__") and not hasattr(rows, "read_next_batch")
        imported: Any = rows
        if candidates is None and getattr(rows, "rejects", False):
            candidates = imported.candidates()
        beside = self._write_candidates(candidates)
        facts = Facts(message, author or default_author(), run_id, meta or {}, tuple(beside))
        with contextlib.ExitStack() as queue:
            if parent is None:
                self._queue_for(queue, data_set, branch)
            return self._commit(
                rows, data_set, branch, facts, parent=parent, expect_parent=expect_parent, mode=mode, remove=remove,
                law=law, again=again,
            )  # fmt: skip

    def _queue_for(self, queue: contextlib.ExitStack, name: str, branch: str) -> None:
        """Wait a while for other committers to the branch: work done beside theirs would have to be done again."""
        path = self.root / "locks" / fingerprint([name, branch])[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(TimeoutHolder):
            queue.enter_context(turn(path, exclusive=True, deadline=time.monotonic() + _QUEUE_S))

    def _commit(
        self, rows: Rows, data_set: str, branch: str, facts: Facts, *, parent: str | Version | None,
        expect_parent: str | None, mode: str, remove: list[tuple[str, int]], law: str, again: bool,
    ) -> Version:  # fmt: skip
        from recast.curate import schema
        from recast.curate.store.staging import stage

        name = data_set if branch == versions.MAIN else f"{data_set}/{branch}"
        for _ in range(_ATTEMPTS):
            against = self._parent(data_set, branch, parent, expect_parent)
            staged = stage(self.root, schema.batches(rows), against, patch=mode == "patch", remove=remove)
            if law == "rewrite":
                _check_rewriting(staged, against, mode)
            try:
                return self._seal(
                    staged, data_set, branch, [against.version] if against is not None else [], facts,
                    implied=parent is None, expect_parent=expect_parent,
                )  # fmt: skip
            except MovedError as moved:
                if not again:
                    raise RefusedError(
                        f"{moved} The rows came from a stream that cannot be read twice; run the command again."
                    ) from moved
                time.sleep(0.05 * random.random())
        raise RefusedError(
            f"{name} kept moving while this commit was made; try again when fewer processes write."
        )

    def commit_log(
        self, log: pa.Table, name: str, parents: list[Version], *, message: str, author: str | None = None
    ) -> Version:
        """Seal a version from a change log against `parents[0]`, the head of `name`, whose rows all lie in parts
        already (merge, revert). Raises MovedError where the head is another by now."""

        from recast.curate.store.staging import stage_log

        data_set, branch = versions.parse_branch(name)
        staged = stage_log(self.root, log, self.open(parents[0]))
        facts = Facts(message, author or default_author())
        return self._seal(staged, data_set, branch, parents, facts, implied=True)

    def _seal(
        self, staged: Staged, name: str, branch: str, parents: list[Version], facts: Facts, *, implied: bool,
        expect_parent: str | None = None,
    ) -> Version:  # fmt: skip
        """The one short transaction of a commit. `implied`: nobody named the parent, so it must still be the head."""
        from recast.curate.store.parts import part_path

        with self.catalog.writing() as change:
            con = change.con
            head = versions.head(con, name, branch)
            if expect_parent is not None:
                self._expect(con, head, expect_parent, name, branch)
            if implied and (head.id if head else None) != (parents[0].id if parents else None):
                raise MovedError(
                    f"{name} moved to {head.ref if head else 'nothing'} while this commit was being written."
                )
            (number,) = one(
                con, "SELECT coalesce(max(number), 0) + 1 FROM versions WHERE name = ?", [name]
            ) or (1,)
            if other := one(
                con, "SELECT name FROM versions WHERE lower(name) = lower($1) AND name <> $1", [name]
            ):
                raise UsageError(
                    f"there is {other[0]!r} already, which differs from {name!r} in capitals only; files of "
                    "the two would be one on many disks. Choose another name."
                )
            row = {
                "name": name, "number": number, "branch": branch, "parents": [p.id for p in parents],
                "created_at": datetime.now(UTC).isoformat(), "author": facts.author, "message": facts.message,
                "run_id": facts.run_id, "meta": canonical_json(dict(facts.meta)), "rows": staged.rows,
                "added": staged.counts["add"], "changed": staged.counts["change"], "removed": staged.counts["remove"],
                "rescored": staged.counts["rescore"], "log": staged.log.id,
                "base": staged.base.id if staged.base else None, "candidates": [p.id for p in facts.candidates],
                "pending": 0 if staged.base else parents[0].pending + staged.log.rows,
                "depth": 0 if staged.base else parents[0].depth + 1, "next_order": staged.next_order,
            }  # fmt: skip
            identity = versions.identity(row)
            row = {"id": identity, **row}
            change.put("versions", row)
            files = [*staged.parts, staged.log, *([staged.base] if staged.base else []), *facts.candidates]
            for part in files:
                if not part_path(self.root, part.id).exists():  # `gc` deletes only under the lock held here
                    raise MovedError(f"`gc` removed part {part.id} before {name} could name it.")
            change.put("parts", *{part.id: asdict(part) for part in files}.values())
            self._conserve(change, identity, parents[0] if parents else None, staged)
            change.put("heads", {"name": name, "branch": branch, "version": identity})
            return versions.select(con, "v.id = ?", [identity])[0]

    def _conserve(self, change: Change, identity: str, parent: Version | None, staged: Staged) -> None:
        """Count live rows part by part and refuse the transaction where they do not add up."""
        con = change.con
        con.execute("CREATE TEMP TABLE delta (part VARCHAR, rows BIGINT)")
        if staged.live:
            con.executemany("INSERT INTO delta VALUES (?, ?)", staged.live)
        con.execute(
            "INSERT INTO live SELECT ?, part, sum(rows) FROM (SELECT part, rows FROM live WHERE version = ? "
            "UNION ALL SELECT part, rows FROM delta) GROUP BY part HAVING sum(rows) <> 0",
            [identity, parent.id if parent else ""],
        )
        con.execute("DROP TABLE delta")
        change.note("live", *({"version": identity, "part": part, "rows": n} for part, n in staged.live if n))
        broken = one(
            con,
            "SELECT v.rows, v.added, v.removed, coalesce(p.rows, 0), l.total, l.least FROM versions v "
            "LEFT JOIN versions p ON p.id = v.parents[1], "
            "(SELECT coalesce(sum(rows), 0) AS total, coalesce(min(rows), 0) AS least FROM live WHERE version = $1) l "
            "WHERE v.id = $1 AND NOT (coalesce(p.rows, 0) + v.added = v.rows + v.removed AND l.total = v.rows "
            "AND l.least >= 0)",
            [identity],
        )
        if broken:
            rows, added, removed, before, total, _ = broken
            raise IntegrityError(
                f"the conservation law does not hold: parent rows {before} + added {added} must equal rows {rows} + "
                f"removed {removed}, and the parts hold {total} live rows. Nothing was committed."
            )

    def _parent(
        self, name: str, branch: str, parent: str | Version | None, expect_parent: str | None
    ) -> Snapshot | None:
        if not self.catalog.exists():
            if isinstance(parent, str) or expect_parent:
                raise UsageError(
                    f"no store at {self.root}, so {parent or expect_parent!r} cannot be a parent."
                )
            return None
        with self.catalog.reading() as con:
            head = versions.head(con, name, branch)
            if expect_parent is not None:
                self._expect(con, head, expect_parent, name, branch)
            if parent is None:
                version = head
            else:
                version = parent if isinstance(parent, Version) else versions.resolve(con, parent)
            return self.snapshot(con, version) if version else None

    def _expect(
        self, con: duckdb.DuckDBPyConnection, head: Version | None, expect_parent: str, name: str, branch: str
    ) -> None:
        expected = versions.resolve(con, expect_parent)
        if head is None or head.id != expected.id:
            found = head.ref if head else "nothing"
            target = name if branch == versions.MAIN else f"{name}/{branch}"
            raise RefusedError(
                f"the head of {target} is {found}, not {expected.ref} as expected: somebody committed in between. Look "
                f"at `recast diff {expected.ref} {found}`, then commit on top of it with `--expect-parent {found}`."
            )

    def snapshot(self, con: duckdb.DuckDBPyConnection, version: Version) -> Snapshot:
        """The rows of `version`, by a catalog that is open already."""
        from recast.curate.store.snapshot import Snapshot

        line = versions.chain(con, version, to_base=True)
        base = line[-1].base
        if base is None:
            raise IntegrityError(
                f"{version.ref} has no base in its history; the catalog is damaged, run `recast verify`."
            )
        return Snapshot(self.root, version, base, [v.log for v in reversed(line[:-1])])

    def _write_candidates(self, candidates: Any) -> list[Part]:
        if candidates is None:
            return []
        from recast.curate import schema
        from recast.curate.store.parts import PartWriter

        with PartWriter(self.root, "candidates", schema.CANDIDATE_SCHEMA) as writer:
            for batch in schema.batches(candidates, schema.CANDIDATE_SCHEMA):
                writer.write(batch)
            return writer.close()


def _check_rewriting(staged: Staged, parent: Snapshot | None, mode: str) -> None:
    """Rows in = rewrites + repairs + fallbacks, and no row comes or goes; a row may come out with further targets."""
    other = {k: n for k, n in staged.decisions.items() if k not in _REWRITING}
    targets = _further_targets(staged, parent) if staged.counts["add"] and parent is not None else 0
    given = sum(staged.decisions.values()) - targets
    new, lost = staged.counts["add"] - targets, staged.counts["remove"]
    rows_in = parent.version.rows if parent is not None else 0
    if other or new or lost or (mode == "replace" and given != rows_in):
        fates = ", ".join(f"{n} {k}" for k, n in sorted(staged.decisions.items()))
        raise IntegrityError(
            f"the conservation law does not hold for this rewriting job: {rows_in} rows went in and {given} came out "
            f"({fates}), {new} of them new and {lost} lost. Each row must come out "
            "as a rewrite, a repair or a fallback; nothing was committed."
        )


def _further_targets(staged: Staged, parent: Snapshot) -> int:
    """Added keys that are a second or further target of a row of the parent."""
    from recast.curate.store import changes
    from recast.curate.store.catalog import memory
    from recast.curate.store.parts import verified

    log = changes.read(str(verified(parent.root, staged.log.id)))
    with memory(parent.root / "tmp") as con:
        found = one(
            con,
            f"SELECT count(*) FROM ({log}) a WHERE op = 'add' AND target > 0 AND row_id IN "
            f"(SELECT row_id FROM ({parent.live_sql()}) WHERE target = 0)",
        )
    return found[0] if found else 0


def default_author() -> str:
    """RECAST_AUTHOR, else the login name."""
    if author := os.environ.get("RECAST_AUTHOR"):
        return author
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
