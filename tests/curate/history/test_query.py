"""User SQL reads the store and does nothing else, through every verb that takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from recast.curate.errors import UsageError
from recast.curate.history import user_sql
from recast.curate.history.diff import diff
from recast.curate.history.query import holds, query
from recast.curate.store.store import Store

SECRET = "sentinel-5f1c"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions of three rows; a part, an outside file and the folder's name are where the queries expect them."""
    store = Store(tmp_path / "home")
    rows = [{"row_id": name, "messages": [], "completion": name, "demonstration": name} for name in "abc"]
    store.commit(rows, "d", message="first")
    store.commit([{**rows[0], "completion": "other"}], "d", mode="patch", message="second")
    for name in ("outside.csv", "outside.json", "outside.txt"):
        (tmp_path / name).write_text(json.dumps({"a": SECRET}) + "\n")
    con = duckdb.connect()
    con.execute(f"COPY (SELECT '{SECRET}' AS a) TO '{tmp_path / 'outside.parquet'}'")
    con.close()
    return store


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file beneath `folder` but what the store's own opening touches, by its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "catalog.lock"
    }


ONE = "expected exactly one"
ONLY = "Queries only read"
TABLE = "no table of this query"
BEYOND = "looks beyond"
# PART: a part of the store, OUT: files beside it that exist (csv, json, txt, parquet), NEW: one that does not
HOSTILE = {
    "COPY d TO 'PART'": ONLY,
    "COPY (SELECT 1) TO 'PART' (FORMAT csv, use_tmp_file false)": ONLY,
    "COPY (SELECT 1) TO 'NEW'": ONLY,
    "/* SELECT 1 */ COPY (SELECT 1) TO 'NEW' -- SELECT": ONLY,
    "WITH x AS (COPY d TO 'PART' (use_tmp_file false)) SELECT 1": ONLY,
    "WITH x AS (COPY (SELECT 1) TO 'NEW') SELECT * FROM d": ONLY,
    "WITH x AS (INSERT INTO versions (ref) VALUES ('y') RETURNING *) SELECT * FROM x": ONLY,
    "WITH x AS (DELETE FROM versions RETURNING *) SELECT * FROM x": ONLY,
    "WITH x AS (UPDATE versions SET ref = 'y' RETURNING *) SELECT * FROM x": ONLY,
    "SELECT * FROM (WITH x AS (COPY d TO 'NEW') SELECT 1)": ONLY,
    "SELECT (WITH x AS (COPY d TO 'NEW') SELECT 1)": ONLY,
    "SELECT 1; COPY (SELECT 1) TO 'NEW'": ONE,
    "SELECT 1; SELECT 2": ONE,
    "": ONE,
    "-- nothing": ONE,
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'NEW'": ONLY,
    "EXPLAIN ANALYZE SELECT * FROM 'OUT.csv'": ONLY,
    "EXPORT DATABASE 'NEW'": ONLY,
    "IMPORT DATABASE 'NEW'": ONLY,
    "ATTACH 'NEW' AS other": ONLY,
    "ATTACH 'HOME/catalog.duckdb' AS other": ONLY,
    "DETACH temp": ONLY,
    "INSTALL httpfs": ONLY,
    "LOAD httpfs": ONLY,
    "CREATE TABLE x AS SELECT * FROM 'OUT.csv'": ONLY,
    "CREATE MACRO f() AS TABLE SELECT * FROM 'OUT.csv'": ONLY,
    "DROP VIEW d": ONLY,
    "PREPARE p AS COPY (SELECT 1) TO 'NEW'": ONLY,
    "EXECUTE p": ONLY,
    "CALL pragma_version()": ONLY,
    "CALL enable_logging()": ONLY,
    "PRAGMA database_list": ONLY,
    "PRAGMA enable_profiling": ONLY,
    "SET enable_external_access = true": ONLY,
    "SET VARIABLE x = (SELECT content FROM read_text('OUT.txt'))": ONLY,
    "RESET memory_limit": ONLY,
    "CHECKPOINT": ONLY,
    "VACUUM": ONLY,
    "USE temp": ONLY,
    "MERGE INTO versions USING d ON (true) WHEN MATCHED THEN DELETE": ONLY,
    "PIVOT d ON row_id": ONLY,
    "SELECT * FROM 'OUT.csv'": TABLE,
    "SELECT * FROM 'OUT.parquet'": TABLE,
    "FROM 'OUT.csv'": TABLE,
    "SELECT (SELECT a FROM 'OUT.csv')": TABLE,
    "SELECT * FROM d POSITIONAL JOIN 'OUT.csv'": TABLE,
    "SELECT * FROM d, LATERAL (FROM 'OUT.csv')": TABLE,
    "SELECT * FROM parquet_kv_metadata('PART')": BEYOND,
    "SELECT * FROM which_secret('s3://x', 's3')": BEYOND,
    "SELECT * FROM pragma_user_agent()": BEYOND,
    "DELETE FROM d RETURNING *": ONLY,
    "COMMENT ON TABLE d IS 'x'": ONLY,
    "PIVOT (FROM 'OUT.csv') ON a": ONLY,
    "SELECT * FROM 'PART'": TABLE,
    'WITH "OUT.csv" AS (SELECT * FROM "OUT.csv") SELECT * FROM "OUT.csv"': TABLE,
    'SELECT * FROM (WITH "OUT.csv" AS (SELECT 1) SELECT 1), "OUT.csv"': TABLE,
    'WITH RECURSIVE "OUT.csv" AS (SELECT a FROM "OUT.csv" UNION SELECT 1) SELECT 1 FROM "OUT.csv"': TABLE,
    "DESCRIBE 'OUT.csv'": TABLE,
    "SUMMARIZE 'OUT.csv'": TABLE,
    "SELECT * FROM information_schema.tables": TABLE,
    "SELECT * FROM sqlite_master": TABLE,
    "SELECT * FROM duckdb_settings": TABLE,
    "SELECT * FROM pg_catalog.pg_views": TABLE,
    "SELECT * FROM store": TABLE,
    "SELECT * FROM sql": TABLE,
    "SELECT * FROM read_csv('OUT.csv')": BEYOND,
    "SELECT * FROM read_csv_auto('OUT.csv')": BEYOND,
    "SELECT * FROM read_json('OUT.json')": BEYOND,
    "SELECT * FROM read_parquet('OUT.parquet')": BEYOND,
    "SELECT * FROM read_parquet('PART')": BEYOND,
    "SELECT * FROM parquet_scan(['PART', 'OUT.parquet'])": BEYOND,
    "SELECT * FROM parquet_metadata('PART')": BEYOND,
    "SELECT * FROM read_text('OUT.txt')": BEYOND,
    "SELECT * FROM read_blob('OUT.txt')": BEYOND,
    "SELECT * FROM read_duckdb('HOME/catalog.duckdb')": BEYOND,
    "SELECT * FROM sniff_csv('OUT.csv')": BEYOND,
    "SELECT * FROM glob('HOME/*')": BEYOND,
    "SELECT * FROM system.main.read_text('OUT.txt')": BEYOND,
    "SELECT count(*) FROM d WHERE row_id IN (SELECT content FROM read_text('OUT.txt'))": BEYOND,
    "SELECT * FROM d ORDER BY (SELECT size FROM read_text('OUT.txt'))": BEYOND,
    "SELECT list_transform([1], lambda x: (SELECT content FROM read_text('OUT.txt')))": BEYOND,
    "SELECT * FROM d LIMIT (SELECT size FROM read_blob('OUT.txt'))": BEYOND,
    "SELECT * FROM range((SELECT size FROM read_blob('OUT.txt')))": BEYOND,
    "VALUES ((SELECT content FROM read_text('OUT.txt')))": BEYOND,
    "SELECT 1 UNION ALL SELECT size FROM read_text('OUT.txt')": BEYOND,
    "SELECT * FROM query('SELECT * FROM ''OUT.csv''')": BEYOND,
    "SELECT * FROM query_table('OUT.csv')": BEYOND,
    "SELECT * FROM histogram('OUT.csv', 'a')": BEYOND,
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))": BEYOND,
    "SELECT json_serialize_plan('SELECT * FROM ''OUT.csv''')": BEYOND,
    "SELECT * FROM duckdb_settings()": BEYOND,
    "SELECT * FROM duckdb_views()": BEYOND,
    "SELECT * FROM duckdb_secrets()": BEYOND,
    "SELECT * FROM seq_scan('d')": BEYOND,
    "SELECT * FROM arrow_scan(1, 2, 3)": BEYOND,
    "SELECT * FROM test_all_types()": BEYOND,
    "SELECT current_setting('temp_directory')": BEYOND,
    "SELECT getvariable('x')": BEYOND,
    "SELECT getenv('HOME')": BEYOND,
    "SELECT write_log('x')": BEYOND,
    "SELECT pg_sleep(1000)": BEYOND,
    "SELECT nextval('x')": BEYOND,
    "SHOW TABLES": "looks into the engine",
    "SHOW ALL TABLES": "looks into the engine",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000: "expression depth",
    "SELECT * FROM " + "(SELECT * FROM " * 600 + "d" + ")" * 600: "nested too deeply",
    "SELECT '" + "x" * 100_001 + "'": "at most 100,000",
    "SELECT $1 FROM d": "parameter",
    "SELECT * FROM d AT (VERSION => 1)": "",
}


def filled(sql: str, store: Store) -> str:
    part = next(path for path in sorted((store.root / "parts").rglob("*.parquet")))
    here = store.root.parent
    for word, path in {
        "PART": part, "OUT.": f"{here / 'outside'}.", "NEW": here / "new.csv", "HOME": store.root,
    }.items():  # fmt: skip
        sql = sql.replace(word, str(path))
    return sql


def refusals(store: Store, tries: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(query, expected words, what was said instead) of those that were not refused for their reason."""
    for sql, expected in tries.items():
        try:
            said = f"returned {query(store, filled(sql, store)).to_pylist()}"
        except UsageError as refused:
            said = str(refused)
            if expected in said and SECRET not in said:
                continue
        yield sql[:100], expected, said[:300]


def test_hostile_queries_are_refused_for_their_reason_and_change_nothing(store: Store) -> None:
    before = bytes_of(store.root.parent)
    assert list(refusals(store, HOSTILE)) == []
    assert bytes_of(store.root.parent) == before
    assert len(HOSTILE) >= 30


NO_CONDITION = {
    "true) UNION ALL (SELECT 1": "",
    "true), (SELECT 1": "not one condition",
    "true) FROM d WHERE (true": "not one condition",
    "true) ORDER BY (1": "not one condition",
    "true) LIMIT (1": "not one condition",
    "true) GROUP BY (1": "not one condition",
    "true) AS x, (true": "not one condition",
    "true); COPY (SELECT 1) TO 'NEW'; SELECT (true": ONE,
    "true --": None,
    "/* ": "no SQL",
    "": "not one condition",
    "row_id IN (SELECT a FROM 'OUT.csv')": TABLE,
    "row_id IN (SELECT content FROM read_text('OUT.txt'))": BEYOND,
    "EXISTS (FROM read_blob('OUT.txt'))": BEYOND,
    "(WITH x AS (COPY (SELECT 1) TO 'NEW') SELECT true)": ONLY,
    "(WITH x AS (COPY (SELECT 1) TO 'PART' (use_tmp_file false)) SELECT true)": ONLY,
    "getenv('HOME') <> ''": BEYOND,
    "row_id = (SELECT content FROM query('SELECT 1'))": BEYOND,
    "nonsense": "nonsense",
}


@pytest.mark.parametrize("text", NO_CONDITION)
def test_a_condition_is_one_expression_over_the_rows_and_nothing_else(store: Store, text: str) -> None:
    expected = NO_CONDITION[text]
    before = bytes_of(store.root.parent)
    tries = [
        lambda: holds(store, store.resolve("d"), filled(text, store)),
        lambda: list(diff(store, "d@v1", "d@v2").rows(where=filled(text, store))),
    ]
    for attempt in tries:
        if expected is None:  # a comment that would swallow what stands behind the condition is harmless
            assert len(attempt()) > 0
            continue
        with pytest.raises(UsageError) as refused:
            attempt()
        assert expected in str(refused.value) and SECRET not in str(refused.value)
    assert bytes_of(store.root.parent) == before


def test_the_verbs_refuse_it_too(store: Store, recast, monkeypatch) -> None:
    monkeypatch.setenv("RECAST_HOME", str(store.root))
    before = bytes_of(store.root.parent)
    sql = filled("WITH x AS (COPY d TO 'PART' (use_tmp_file false)) SELECT true", store)
    for words in (
        ("sql", sql),
        ("diff", "d@v1", "d@v2", "--where", f"({sql})"),
        ("curate", "d", "--only", f"({sql})", "--as", "e", "--dry-run"),
        ("show", filled("d'; COPY d TO 'PART'; --", store)),
        ("show", filled("PART", store)),
        ("show", "d", "--row", filled("' OR (SELECT content FROM read_text('OUT.txt')) <> '", store)),
    ):
        said = recast(*words)
        assert said.code == 2 or (words[0] == "show" and SECRET not in said.out), words
    assert {k: v for k, v in bytes_of(store.root.parent).items() if "/runs/" not in k} == before


GREEDY = {
    "SELECT length(repeat('x', 3000000000))": "memory",
    "SELECT len(range(1000000000))": "memory",
    "SELECT list(a.range) FROM range(1000000) a, range(100000) b": "",
    "SELECT count(*) FROM range(10000000) a, range(10000000) b": "longer than 2 s",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t": "longer than 2 s",
    "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t": "",
    "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))": "longer than 2 s",
    "SELECT reduce(range(100000000), lambda x, y: x + y)": "",
    "SELECT * FROM range(100000000000)": "",
    "SELECT repeat('x', 1000000) FROM range(1000000)": "",
}


@pytest.mark.parametrize("sql", GREEDY)
def test_a_query_that_takes_too_much_is_ended(store: Store, sql: str) -> None:
    with pytest.raises(UsageError) as refused:
        query(store, sql, seconds=2)
    said = str(refused.value)
    assert any(words in said for words in ("memory", "longer than 2 s", "larger than 256 MB"))
    assert GREEDY[sql] in said
    assert query(store, "SELECT count(*) AS n FROM d").to_pylist() == [{"n": 3}]
    assert not list((store.root / "tmp").glob("sql-*"))


def test_what_people_ask_still_works(store: Store) -> None:
    asked = {
        "FROM d SELECT count(*)": 3,
        'WITH x AS (SELECT * FROM "d@v1") SELECT count(*) FROM x JOIN d USING (row_id)': 3,
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT max(n) FROM t": 5,
        "SELECT count(*) FROM versions WHERE name = 'd'": 2,
        "SELECT count(*) FROM lineage": 1,
        "SELECT count(*) FROM changes": 4,
        "SELECT count(*) FROM candidates": 0,
        "SELECT sum(n) FROM (VALUES (1), (2)) v(n)": 3,
        "SELECT count(*) FROM (DESCRIBE d) WHERE column_name = 'row_id'": 1,
        "SELECT max(x) FROM (SELECT unnest(list_transform([1, 2], lambda x: x * 2)) AS x)": 4,
        "SELECT count(*) FROM (FROM d PIVOT (count(*) FOR decision IN ('expert')))": 3,
        "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY row_id) AS n FROM d)": 3,
        "SELECT levenshtein('abc', 'abd')": 1,
    }
    assert {sql: next(iter(query(store, sql).to_pylist()[0].values())) for sql in asked} == asked


def test_every_function_that_is_not_plain_is_refused_or_known_to_be_harmless() -> None:
    """What DuckDB itself calls volatile, or bound to more than its arguments: a new version of it shows here."""
    harmless = {
        "current_catalog", "current_database", "current_date", "current_localtime", "current_localtimestamp",
        "current_schema", "current_schemas", "error", "gen_random_uuid", "get_current_time", "get_current_timestamp",
        "now", "random", "setseed", "today", "transaction_timestamp", "uuid", "uuidv4", "uuidv7",
    }  # fmt: skip
    con = duckdb.connect()
    found = con.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' "
        "AND (has_side_effects OR stability <> 'CONSISTENT')"
    ).fetchall()
    unknown = {
        name
        for (name,) in found
        if name not in harmless | user_sql.REFUSED_FUNCTIONS
        and not name.startswith(user_sql.REFUSED_PREFIXES)
    }
    assert unknown == set()


def test_a_query_can_write_nowhere_even_unchecked(store: Store, monkeypatch) -> None:
    """The second wall: what slips past the walk meets a process that may not write."""
    monkeypatch.setattr(user_sql, "check", lambda *_: None)
    before = bytes_of(store.root.parent)
    for sql in ("WITH x AS (COPY d TO 'PART' (use_tmp_file false)) SELECT 1", "COPY d TO 'NEW'"):
        with pytest.raises(UsageError, match=r"(?i)permission|cannot"):
            query(store, filled(sql, store))
    assert bytes_of(store.root.parent) == before
