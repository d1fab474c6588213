"""The algebra of change logs: fold them, turn them round, compose them, apply them.

A change log is a Parquet part with one row for each key that differs between a version and its first
parent: what the row was (content hash, score hash, place, order) and what it became. A place is a part and
the position in it; `order` is the row's rank in its version. A log that gives the after-state of every live
row is also a *base*: with it, and the logs since, the live rows of any version are known without reading
further back. Functions return SQL text that an in-memory DuckDB runs; every relation here has LOG_SCHEMA.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from recast.curate.errors import IntegrityError
from recast.curate.schema import identifiers, literal
from recast.curate.store.catalog import one

LOG_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("target", pa.int32(), nullable=False),
        pa.field("op", pa.string()),  # add, change, remove, rescore; null: folded to no change
        pa.field("hash_before", pa.string()),
        pa.field("score_before", pa.int64()),
        pa.field("part_before", pa.string()),
        pa.field("pos_before", pa.int64()),
        pa.field("order_before", pa.int64()),
        pa.field("hash_after", pa.string()),
        pa.field("score_after", pa.int64()),
        pa.field("part_after", pa.string()),
        pa.field("pos_after", pa.int64()),
        pa.field("order_after", pa.int64()),
    ]
)
KEPT_SCHEMA = LOG_SCHEMA.append(pa.field("completion_before", pa.string()))
"""Of a log that holds the texts that were, null where they are to be read from their parts."""
STATE = ("hash", "score", "part", "pos", "order")
"""What is known of a row in one version. A row that does not exist has a null hash."""


def read(path: str) -> str:
    """The log at `path`, as it was written."""
    return f"SELECT {identifiers(LOG_SCHEMA.names)} FROM read_parquet({literal(path)})"


def texts(paths: Sequence[str]) -> str:
    """The completions that the logs at `paths` keep, as (part, pos, completion): a place once."""
    kept = [
        "SELECT NULL::VARCHAR AS part_before, NULL::BIGINT AS pos_before, NULL::VARCHAR AS completion_before"
    ]
    kept += [f"SELECT * FROM read_parquet({literal(path)})" for path in paths]
    return (
        "SELECT part_before AS part, pos_before AS pos, any_value(completion_before) AS completion FROM "
        f"({' UNION ALL BY NAME '.join(kept)}) WHERE completion_before IS NOT NULL GROUP BY ALL"
    )


def nothing() -> str:
    """The empty log."""
    columns = ", ".join(f"NULL::{_sql_type(f.type)} AS {f.name}" for f in LOG_SCHEMA)
    return f"SELECT * FROM (SELECT {columns}) WHERE false"


def fold(logs: Sequence[str]) -> str:
    """One log with the effect of `logs` (SQL, oldest first): before the first, after the last."""
    if not logs:
        return nothing()
    if len(logs) == 1:
        return logs[0]
    dated = " UNION ALL ".join(f"SELECT *, {age} AS age FROM ({log})" for age, log in enumerate(logs))
    return _from_states(
        f"SELECT row_id, target, arg_min({_pack('before')}, age) AS b, arg_max({_pack('after')}, age) AS a "
        f"FROM ({dated}) GROUP BY row_id, target"
    )


def reverse(log: str) -> str:
    """The log that takes the after-state back to the before-state."""
    return _from_states(f"SELECT row_id, target, {_pack('after')} AS b, {_pack('before')} AS a FROM ({log})")


def between(to_a: str, to_b: str) -> str:
    """From version A to version B, given the logs that lead to each from a common ancestor."""
    return _from_states(
        "SELECT coalesce(x.row_id, y.row_id) AS row_id, coalesce(x.target, y.target) AS target, "
        # a side that does not mention the key left it as the ancestor had it
        f"CASE WHEN x.row_id IS NULL THEN {_pack('before', 'y')} ELSE {_pack('after', 'x')} END AS b, "
        f"CASE WHEN y.row_id IS NULL THEN {_pack('before', 'x')} ELSE {_pack('after', 'y')} END AS a "
        f"FROM ({to_a}) x FULL JOIN ({to_b}) y ON x.row_id = y.row_id AND x.target = y.target"
    )


def live(base: str | None, logs: Sequence[str]) -> str:
    """Live rows as (row_id, target, hash, score, part, pos, order), from a base and the logs since."""
    columns = ", ".join(f'{c}_after AS "{c}"' for c in STATE)
    net = fold(logs)
    after = f"SELECT row_id, target, {columns} FROM ({net}) WHERE hash_after IS NOT NULL"
    if base is None:
        return after
    standing = f"SELECT row_id, target, {columns} FROM ({base}) WHERE hash_after IS NOT NULL"
    if not logs:
        return standing
    return (
        f"SELECT l.* FROM ({standing}) l ANTI JOIN ({net}) n ON l.row_id = n.row_id AND l.target = n.target "
        f"UNION ALL {after}"
    )


def unrelated(live_a: str, live_b: str) -> str:
    """From A to B where the two share no history: every live key of both is compared."""
    return _from_states(
        "SELECT coalesce(x.row_id, y.row_id) AS row_id, coalesce(x.target, y.target) AS target, "
        f"{_pack('', 'x')} AS b, {_pack('', 'y')} AS a "
        f"FROM ({live_a}) x FULL JOIN ({live_b}) y ON x.row_id = y.row_id AND x.target = y.target"
    )


def _pack(side: str, alias: str = "") -> str:
    prefix, suffix = (f"{alias}." if alias else ""), (f"_{side}" if side else "")
    return "struct_pack(" + ", ".join(f'"{c}" := {prefix}"{c}{suffix}"' for c in STATE) + ")"


def _from_states(states: str) -> str:
    """A log from (row_id, target, b, a), with b and a the state before and after."""
    columns = ", ".join(
        f'{s}."{c}" AS {c}_{side}' for s, side in (("b", "before"), ("a", "after")) for c in STATE
    )
    return (
        "SELECT row_id, target, CASE "
        "WHEN b.hash IS NULL AND a.hash IS NULL THEN NULL "
        "WHEN b.hash IS NULL THEN 'add' WHEN a.hash IS NULL THEN 'remove' "
        "WHEN b.hash <> a.hash THEN 'change' WHEN b.score <> a.score THEN 'rescore' END AS op, "
        f"{columns} FROM ({states})"
    )


def _sql_type(kind: pa.DataType) -> str:
    return {pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT"}[kind]


def counts(con: duckdb.DuckDBPyConnection, log: str) -> dict[str, int]:
    """Number of rows a log adds, changes, removes and rescores."""
    found = dict(con.execute(f"SELECT op, count(*) FROM ({log}) WHERE op IS NOT NULL GROUP BY op").fetchall())
    return {op: found.get(op, 0) for op in ("add", "change", "remove", "rescore")}


def check(con: duckdb.DuckDBPyConnection, log: str, parent: str | None) -> None:
    """The conservation law in SQL: parent rows + added = rows + removed, every key once.

    `parent` is the live relation of the first parent. The law on counts holds when each key is logged once,
    what is added was not there, and what is changed or removed was there and was as the log says it was.
    Raises IntegrityError naming the first key that breaks it.
    """
    twice = one(
        con,
        f"SELECT row_id, target, count(*) FROM ({log}) GROUP BY row_id, target HAVING count(*) > 1 LIMIT 1",
    )
    if twice:
        raise repeated(*twice)
    was = f"({parent})" if parent else f"(SELECT * FROM ({live(None, [nothing()])}))"
    broken = one(
        con,
        f"SELECT l.row_id, l.target, l.op, p.hash FROM ({log}) l LEFT JOIN {was} p "
        "ON l.row_id = p.row_id AND l.target = p.target WHERE CASE l.op "
        "WHEN 'add' THEN p.hash IS NOT NULL OR l.hash_before IS NOT NULL OR l.hash_after IS NULL "
        "WHEN 'remove' THEN p.hash IS DISTINCT FROM l.hash_before OR l.hash_before IS NULL OR l.hash_after IS NOT NULL "
        "WHEN 'change' THEN p.hash IS DISTINCT FROM l.hash_before OR l.hash_before IS NULL OR l.hash_after IS NULL "
        "WHEN 'rescore' THEN p.hash IS DISTINCT FROM l.hash_before OR l.hash_after IS DISTINCT FROM l.hash_before "
        "ELSE true END LIMIT 1",
    )
    if broken:
        raise IntegrityError(
            f"the conservation law does not hold: the change log says {broken[2]!r} of row {broken[0]!r} (target "
            f"{broken[1]}), whose hash in the parent is {broken[3]}. Parent rows + added must equal rows + removed, "
            "every key once; nothing was committed."
        )


def repeated(row_id: str, target: int, times: int) -> IntegrityError:
    """The error for a key that was given more than once."""
    return IntegrityError(
        f"row {row_id!r} (target {target}) occurs {times} times among the rows committed, but a key may occur once. "
        "Give the rows distinct ids (or targets), or drop the repetition; nothing was committed."
    )
