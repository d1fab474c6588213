"""SQL over a store: every version by its ref, and `versions`, `changes`, `candidates`, `verdicts`, `lineage` as tables.

    query(store, 'SELECT decision, count(*) FROM "gsm8k@v3" GROUP BY decision')

The database is in memory and sees nothing but the store's parts: no other file, no network, no writing.
"""

from __future__ import annotations

import re
from collections.abc import Set

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recast.curate.errors import UsageError
from recast.curate.gate import gate_files
from recast.curate.schema import CANDIDATE_SCHEMA, literal
from recast.curate.store import changes, versions
from recast.curate.store.catalog import MEMORY_LIMIT, memory
from recast.curate.store.parts import verified
from recast.curate.store.store import Store
from recast.curate.store.versions import Version

_NAMED = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')


def query(store: Store, sql: str) -> pa.Table:
    """Run one statement and return its result. Raises UsageError for what is no valid query."""
    with store.catalog.reading() as con:
        line = versions.select(con, "true")
        known = set(versions.names(con))
        wanted = _named(con, sql, known)
        pins = con.sql("SELECT version, model, pinned_at, author FROM consumed_by").to_arrow_table()
    con = duckdb.connect(
        ":memory:", config={"memory_limit": MEMORY_LIMIT, "autoinstall_known_extensions": "false"}
    )
    try:
        for name, version in wanted.items():
            _view(con, name, store.open(version).sql(con))
        _tables(con, store, line, pins, sql)
        seen = ", ".join(literal(str(store.root / folder)) for folder in ("parts", "gates"))
        con.execute(f"SET allowed_directories = [{seen}]")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        return con.sql(sql).to_arrow_table()
    except duckdb.Error as wrong:
        raise UsageError(
            f'{wrong}\nTables: {", ".join(sorted(known))} (or any "NAME@v3", "NAME@TAG", "NAME/BRANCH" in double '
            "quotes), versions, changes, candidates, verdicts, lineage."
        ) from wrong
    finally:
        con.close()


def holds(store: Store, version: Version, condition: str) -> NDArray[np.bool_]:
    """Whether `condition`, SQL over a row's columns and every other version, holds; for each row, in order.

    Raises UsageError for what is no condition. NULL is no.
    """
    quoted = '"' + version.ref.replace('"', '""') + '"'
    told = query(store, f"SELECT row_id, target, CAST((\n{condition}\n) AS BOOLEAN) AS holds FROM {quoted}")
    if told.column_names != ["row_id", "target", "holds"] or told.num_rows != version.rows:
        raise UsageError(f"{condition!r} is not one condition over the columns of a row.")
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
) -> None:
    """`versions`, and those of the others that the query speaks of (they cost reading)."""
    facts = [
        {
            **v.to_json(),
            "parents": list(v.parents),
            "meta": str(v.meta),
            "log": v.log,
            "candidates": list(v.candidates_parts),
        }
        for v in line
    ]
    con.register(
        "versions", pa.Table.from_pylist(facts) if facts else pa.table({"ref": pa.array([], pa.string())})
    )
    if "lineage" in sql:
        con.register("pins", pins)
        con.execute(
            "CREATE TEMP VIEW lineage AS "
            "SELECT ref AS child, 'parent' AS kind, p.unnest AS parent_id, "
            "(SELECT x.ref FROM versions x WHERE x.id = p.unnest) AS parent FROM versions, unnest(parents) p "
            "UNION ALL SELECT model, 'trained on', version, "
            "(SELECT x.ref FROM versions x WHERE x.id = version) FROM pins"
        )
    if "changes" in sql:
        _view(con, "changes", _per_version(store, [(v, [v.log]) for v in line], changes.nothing()))
    if "candidates" in sql:
        empty = pa.table({f.name: pa.array([], f.type) for f in CANDIDATE_SCHEMA})
        con.register("no_candidates", empty)
        held = [(v, list(v.candidates_parts)) for v in line if v.candidates_parts]
        _view(con, "candidates", _per_version(store, held, "FROM no_candidates"))
    if "verdicts" in sql:
        _view(con, "verdicts", _verdicts(store))


def _verdicts(store: Store) -> str:
    """What gates said about the rows of versions that were audited."""
    from recast.curate.gate.audit import VERDICT_SCHEMA

    pieces = []
    for found in gate_files.audits(store.root):
        file = gate_files.folder(store.root, found["gate_id"]) / f"{found['version_id']}.parquet"
        facts = ", ".join(f"{literal(found[name])} AS {name}" for name in ("version", "gate", "gate_id"))
        pieces.append(f"SELECT {facts}, * FROM read_parquet({literal(str(file))})")
    nothing = ", ".join(f"NULL AS {name}" for name in ("version", "gate", "gate_id", *VERDICT_SCHEMA.names))
    return " UNION ALL BY NAME ".join(pieces) or f"SELECT {nothing} WHERE false"


def _per_version(store: Store, held: list[tuple[Version, list[str]]], empty: str) -> str:
    pieces = []
    for version, parts in held:
        listed = ", ".join(literal(str(verified(store.root, part))) for part in parts)
        pieces.append(f"SELECT {literal(version.ref)} AS version, * FROM read_parquet([{listed}])")
    return " UNION ALL BY NAME ".join(pieces) or f"SELECT '' AS version, * FROM ({empty})"
