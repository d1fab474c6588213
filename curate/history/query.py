"""SQL over a store: every version by its ref, and `versions`, `changes`, `candidates`, `verdicts`, `lineage` as tables.

    query(store, 'SELECT decision, count(*) FROM "gsm8k@v3" GROUP BY decision')

What a query may do is `curate.history.user_sql`'s: it sees nothing but the store's parts and writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recast.curate.errors import UsageError
from recast.curate.gate import gate_files
from recast.curate.history.user_sql import SECONDS, one_expression, select
from recast.curate.schema import literal
from recast.curate.store import changes, versions
from recast.curate.store.catalog import memory
from recast.curate.store.parts import verified
from recast.curate.store.snapshot import candidates_sql
from recast.curate.store.store import Store
from recast.curate.store.versions import Version

_VERSION = {
    **dict.fromkeys("ref id name branch parent author message created_at run_id meta log".split(), "VARCHAR"),
    **dict.fromkeys("number rows added changed removed rescored".split(), "BIGINT"),
    "parents": ["VARCHAR"],
    "candidates": ["VARCHAR"],
}
"""The columns of the table `versions`."""

_NAMED = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')


def query(store: Store, sql: str, *, seconds: float = SECONDS) -> pa.Table:
    """Run one SELECT and return its result. Raises UsageError for what is none, or takes longer than `seconds`."""
    with store.catalog.reading() as con:
        line = versions.select(con, "true")
        known = set(versions.names(con))
        wanted = _named(con, sql, known)
        pins = con.sql("SELECT version, model, pinned_at, author FROM consumed_by").to_arrow_table()

    def prepare(con: duckdb.DuckDBPyConnection) -> set[str]:
        for name, version in wanted.items():
            _view(con, name, store.open(version).sql(con))
        return {*wanted, *_tables(con, store, line, pins, sql)}

    try:
        folders = [store.root / folder for folder in ("parts", "gates")]
        return select(sql, prepare, folders=folders, spill=store.root / "tmp", seconds=seconds)
    except UsageError as wrong:
        raise UsageError(
            f'{wrong}\nTables: {", ".join(sorted(known))} (or any "NAME@v3", "NAME@TAG", "NAME/BRANCH" in double '
            "quotes), versions, changes, candidates, verdicts, lineage."
        ) from wrong


def holds(store: Store, version: Version, condition: str) -> NDArray[np.bool_]:
    """Whether `condition`, SQL over a row's columns and every other version, holds; for each row, in order.

    Raises UsageError for what is no condition. NULL is no.
    """
    quoted = '"' + version.ref.replace('"', '""') + '"'
    told = query(
        store, f"SELECT row_id, target, CAST({one_expression(condition)} AS BOOLEAN) AS holds FROM {quoted}"
    )
    if told.num_rows != version.rows:
        raise UsageError(
            f"{condition!r} gives {told.num_rows} values for {version.rows} rows; expected one for each."
        )
    keys = told.filter(told["holds"]).select(["row_id", "target"])
    live = store.open(version).live().select(["row_id", "target", "order"])
    with memory(store.root / "tmp") as con:
        con.register("live", live)
        con.register("chosen", keys)
        found = con.sql(
            "SELECT (c.row_id IS NOT NULL) AS holds FROM live LEFT JOIN chosen c "
            'USING (row_id, target) ORDER BY live."order"'
        ).to_arrow_table()
    return found["holds"].to_numpy()


def named(store: Store, sql: str) -> dict[str, str]:
    """The versions that a query names, each with its id: what its result hangs on besides its words."""
    with store.catalog.reading() as con:
        return {word: v.id for word, v in _named(con, sql, set(versions.names(con))).items()}


def _named(con: duckdb.DuckDBPyConnection, sql: str, known: Set[str]) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for match in _NAMED.finditer(sql):
        word = (match[1] or match[2]).replace('""', '"')
        if re.split("[@/]", word)[0] in known:
            found[word] = versions.resolve(con, word)
    return found


def _view(con: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    con.execute(f"CREATE TEMP VIEW {quoted} AS {sql}")


def _tables(
    con: duckdb.DuckDBPyConnection, store: Store, line: list[Version], pins: pa.Table, sql: str
) -> set[str]:
    """Make `versions`, and those of the others that the query speaks of (they cost reading); return their names."""
    named = {"versions"} | {
        name for name in ("lineage", "changes", "candidates", "verdicts") if name in sql.lower()
    }
    facts = [
        {**v.to_json(), "meta": str(v.meta), "log": v.log, "candidates": list(v.candidates_parts)}
        for v in line
    ]
    # as JSON: building an Arrow table from Python values imports pandas, which takes longer than most queries
    con.execute(
        "CREATE TEMP TABLE versions AS SELECT v.* FROM (SELECT unnest(from_json(?, ?)) AS v)",
        [json.dumps(facts), json.dumps([_VERSION])],
    )
    if "lineage" in named:
        con.register("pins", pins)
        con.execute(
            "CREATE TEMP VIEW lineage AS "
            "SELECT ref AS child, 'parent' AS kind, p.unnest AS parent_id, "
            "(SELECT x.ref FROM versions x WHERE x.id = p.unnest) AS parent FROM versions, unnest(parents) p "
            "UNION ALL SELECT model, 'trained on', version, "
            "(SELECT x.ref FROM versions x WHERE x.id = version) FROM pins"
        )
    if "changes" in named:
        logs = [(v.ref, changes.read(str(verified(store.root, v.log)))) for v in line]
        _view(con, "changes", _per_version(logs, changes.nothing()))
    if "candidates" in named:
        held = [(v.ref, candidates_sql(store.root, v.candidates_parts)) for v in line if v.candidates_parts]
        _view(con, "candidates", _per_version(held, candidates_sql(store.root, [])))
    if "verdicts" in named:
        _view(con, "verdicts", _verdicts(store))
    return named


def _verdicts(store: Store) -> str:
    """What gates said about the rows of versions that were audited."""
    from recast.curate.gate.audit import VERDICT_SCHEMA

    pieces = []
    for found in gate_files.audits(store.root):
        file = gate_files.verdicts(store.root, found)
        facts = ", ".join(f"{literal(found[name])} AS {name}" for name in ("version", "gate", "gate_id"))
        pieces.append(f"SELECT {facts}, * FROM read_parquet({literal(str(file))})")
    nothing = ", ".join(f"NULL AS {name}" for name in ("version", "gate", "gate_id", *VERDICT_SCHEMA.names))
    return " UNION ALL BY NAME ".join(pieces) or f"SELECT {nothing} WHERE false"


def _per_version(pieces: list[tuple[str, str]], empty: str) -> str:
    """The rows of each (ref, SQL) with their ref as `version`."""
    labelled = [f"SELECT {literal(ref)} AS version, * FROM ({sql})" for ref, sql in pieces]
    return " UNION ALL BY NAME ".join(labelled) or f"SELECT '' AS version, * FROM ({empty})"
