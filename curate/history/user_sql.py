"""The one place where SQL that a user wrote is run: it can read the tables it is given, and do nothing else.

    select("SELECT count(*) FROM t", lambda con: con.register("t", table) and {"t"})

Three walls. The parsed statement is walked before it runs: one SELECT, whose every part, table and function is on a
list of ours (the type of a statement says too little: `WITH a AS (COPY ...) SELECT` is a SELECT to DuckDB). The
engine is locked onto the files that its views read. And it works in a forked process that may write no file (Landlock,
where the kernel has it), with an address space and a deadline: one call of `repeat` or `levenshtein` heeds neither
DuckDB's memory limit nor its interrupt, a killed process heeds both.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import resource
import selectors
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from recast.curate import errors
from recast.curate.errors import RecastError, UsageError
from recast.curate.schema import literal

SECONDS = 60.0
"""How long one query may take unless its caller says otherwise."""
MEMORY_MB = 1536
"""What DuckDB may hold before it spills or gives up."""
BESIDES_MB = 2560
"""Address space beyond that: threads, the allocator's arenas, the pages of the result."""
SPILL_MB = 8192
MAX_RESULT_MB = 256
MAX_LENGTH = 100_000
"""Characters of a query; longer ones only ever tried the parser."""

_TOO_MUCH = (
    f"the query needs more memory than it may have ({MEMORY_MB:,} MB of rows, {MEMORY_MB + BESIDES_MB:,} MB in all). "
    "Select less, or build smaller values."
)

_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_REFS = {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"}
_MODIFIERS = {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
_ORDERS = {"ASCENDING", "DESCENDING", "ORDER_DEFAULT"}
_PARTS = _NODES | _REFS | _MODIFIERS | _ORDERS

TABLE_FUNCTIONS = {"unnest", "range", "generate_series", "json_each", "json_tree", "repeat_row"}
"""All table functions of a query: the others read files, the engine's own state, or SQL from a string."""

REFUSED_FUNCTIONS = {
    # read SQL, settings, variables or files' names, wait, or write
    "json_serialize_plan", "current_setting", "getvariable", "getenv", "current_query", "current_query_id",
    "current_connection_id", "current_transaction_id", "txid_current", "write_log", "nextval", "currval", "setval",
    "sleep_ms", "stats", "vector_type", "in_search_path", "which_secret", "get_block_size", "query", "query_table",
    # take states of aggregates as bytes
    "combine", "finalize", "to_aggregate_state",
}  # fmt: skip
REFUSED_PREFIXES = ("__internal", "pg_", "has_", "read_", "duckdb_", "inet_")
"""Scalar functions of DuckDB 2 reach no file. What tells of the process or changes the engine is refused; a test
holds the rest to what DuckDB itself calls free of side effects."""


def select(
    sql: str,
    prepare: Callable[[duckdb.DuckDBPyConnection], Set[str]],
    *,
    folders: Sequence[Path] = (),
    spill: Path | None = None,
    seconds: float = SECONDS,
) -> pa.Table:
    """Return what `sql` selects from the tables that `prepare` makes on a connection and names.

    `folders`: where the files of their views lie. `spill`: folder for what does not fit the memory. `seconds`: the
    time limit. Raises UsageError for what is not one SELECT over these tables, and for one that takes too much.
    """
    with contextlib.ExitStack() as held:
        folder = None
        if spill is not None:
            with contextlib.suppress(OSError):  # a store that may only be read: nothing is spilled
                spill.mkdir(exist_ok=True)
                folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir=spill, prefix="sql-")))
        received, result, heard, told = (
            held.enter_context(open(end, mode, buffering=0))
            for pipe in (os.pipe(), os.pipe())
            for end, mode in zip(pipe, ("rb", "wb"), strict=True)
        )
        child = os.fork()
        if child == 0:
            _child(lambda: _reader(sql, prepare, folders, folder), folder, result, told)
        result.close()
        told.close()
        try:
            rows = _received(received.fileno(), seconds)
            said = heard.read().decode("utf-8", "replace")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    if said:
        name, _, text = said.partition("\n")
        raise getattr(errors, name, RecastError)(text)
    try:
        return pa.ipc.open_stream(pa.py_buffer(rows)).read_all()
    except pa.ArrowInvalid as cut:
        raise UsageError(
            f"the query ended its process ({_ended(status)}), most likely for want of memory. {_TOO_MUCH}"
        ) from cut


def one_expression(text: str) -> str:
    """`text` as an SQL expression in parentheses. Raises UsageError for what is not exactly one expression."""
    wrapped = f"(\n{text}\n)"
    with duckdb.connect(":memory:") as con:
        node = _parsed(con, f"SELECT {wrapped}", "the condition")
    bare = {"where_clause": None, "having": None, "qualify": None, "sample": None}
    if (
        not text.strip()  # `()` is a value to DuckDB
        or node["type"] != "SELECT_NODE"
        or len(node["select_list"]) != 1
        or node["select_list"][0]["alias"]
        or node["from_table"]["type"] != "EMPTY"
        or node["modifiers"]
        or node["group_expressions"]
        or node["cte_map"]["map"]
        or any(node[name] != value for name, value in bare.items())
    ):
        raise UsageError(
            f"{text!r} is not one condition; expected one SQL expression that is true or false for a row, such as "
            "\"decision = 'rewrite'\"."
        )
    return wrapped


def check(con: duckdb.DuckDBPyConnection, sql: str, tables: Set[str]) -> None:
    """Raise UsageError unless `sql` is one SELECT that reads `tables`, its own CTEs, and nothing else."""
    _walk(_parsed(con, sql, "the query"), frozenset(name.lower() for name in tables))


def _parsed(con: duckdb.DuckDBPyConnection, sql: str, what: str) -> dict[str, Any]:
    if len(sql) > MAX_LENGTH:
        raise UsageError(f"{what} has {len(sql):,} characters; expected at most {MAX_LENGTH:,}.")
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as wrong:
        raise UsageError(f"{what} is no SQL: {wrong}") from wrong
    if len(statements) != 1:
        raise UsageError(f"{what} holds {len(statements)} statements; expected exactly one.")
    kind = statements[0].type.name
    if kind != "SELECT":
        raise UsageError(f"{what} is a statement of type {kind}; expected a SELECT. Queries only read.")
    told = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    try:
        tree = json.loads(told)
    except RecursionError as deep:
        raise UsageError(f"{what} is nested too deeply; take it apart with WITH.") from deep
    if tree["error"]:
        raise UsageError(f"{what} is no SELECT that can be checked: {tree.get('error_message')}")
    return tree["statements"][0]["node"]


def _walk(part: Any, visible: frozenset[str]) -> None:
    """Refuse whatever is not on the lists above. `visible`: names of tables at this place, in lower case."""
    if isinstance(part, list):
        for each in part:
            _walk(each, visible)
    if not isinstance(part, dict):
        return
    kind = part.get("type")
    if isinstance(kind, str) and "class" not in part and kind not in _PARTS:
        raise UsageError(
            f"the query holds a {kind.removesuffix('_NODE').replace('_', ' ')}; expected nothing but SELECT. "
            "Queries only read."
        )
    if kind == "BASE_TABLE":
        _known(part["qualified_name"]["path"], visible)
    elif kind == "SHOW_REF" and part["query"] is None:
        raise UsageError(
            "SHOW looks into the engine; expected a SELECT, or DESCRIBE with a table of the store."
        )
    elif kind == "TABLE_FUNCTION":
        _allowed_table_function(part["function"])
        _walk(part["function"]["arguments"], visible)
        return
    if "function_name" in part:
        _allowed_function(part)
    for name, value in part.items():
        if name == "cte_map":
            visible = _ctes(value["map"], visible)
    if kind == "RECURSIVE_CTE_NODE":
        own = frozenset([part["cte_name"].lower()])
        for name, value in part.items():
            _walk(value, visible | own if name == "right" else visible)
        return
    for name, value in part.items():
        if name != "cte_map":
            _walk(value, visible)


def _ctes(found: list[dict[str, Any]], visible: frozenset[str]) -> frozenset[str]:
    """What can be seen behind a WITH: each of its names from the next one on, itself only where it is recursive."""
    for entry in found:
        _walk({name: value for name, value in entry["value"].items() if name != "key"}, visible)
        visible |= {entry["key"].lower()}
    return visible


def _known(path: list[str], visible: frozenset[str]) -> None:
    if len(path) != 1 or path[0].lower() not in visible:
        raise UsageError(
            f"the query reads {'.'.join(path)!r}, which is no table of this query; it can read no file and no "
            'table of the engine. Write versions as NAME, or "NAME@v3" in double quotes.'
        )


def _allowed_function(call: dict[str, Any]) -> None:
    name = call["function_name"].lower()
    path = call.get("qualified_name", {}).get("path", [name])
    if name in REFUSED_FUNCTIONS or name.startswith(REFUSED_PREFIXES) or len(path) != 1:
        raise UsageError(f"the query calls {'.'.join(path)}, which looks beyond its rows; leave it out.")


def _allowed_table_function(call: dict[str, Any]) -> None:
    name, path = call["function_name"].lower(), call["qualified_name"]["path"]
    if name not in TABLE_FUNCTIONS or len(path) != 1:
        raise UsageError(
            f"the query reads from {'.'.join(path)}(), which looks beyond the store; expected a version or table of "
            f"the store, or one of {', '.join(sorted(TABLE_FUNCTIONS))}."
        )


def _child(
    reader: Callable[[], pa.RecordBatchReader], folder: Path | None, result: io.FileIO, told: io.FileIO
) -> None:
    """Write the query's rows to `result`, or the error's class and text to `told`; never returns."""
    said = ""
    try:
        _walled(folder)
        batches = reader()
        with pa.ipc.new_stream(result, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except RecastError as error:
        said = f"{type(error).__name__}\n{error}"
    except (duckdb.OutOfMemoryException, MemoryError):
        said = f"UsageError\n{_TOO_MUCH}"
    except OSError as wrong:  # how a stream ends whose strings do not fit into one Arrow buffer of 2 GiB
        said = f"UsageError\n{_TOO_MUCH} ({wrong})"
    except (duckdb.Error, RecursionError, pa.ArrowException) as wrong:
        said = f"UsageError\n{wrong}"
    except BaseException as broken:  # a forked process has nobody above it to raise to
        said = f"RecastError\n{type(broken).__name__}: {broken}"
    finally:
        with contextlib.suppress(OSError):
            told.write(said[:8000].encode("utf-8", "replace"))
        os._exit(0)


def _reader(
    sql: str,
    prepare: Callable[[duckdb.DuckDBPyConnection], Set[str]],
    folders: Sequence[Path],
    folder: Path | None,
) -> pa.RecordBatchReader:
    con = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{MEMORY_MB}MB",
            "temp_directory": str(folder) if folder else "",
            "max_temp_directory_size": f"{SPILL_MB}MB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",  # a name would otherwise find variables of this very module
        },
    )
    check(con, sql, prepare(con))
    con.execute(f"SET allowed_directories = [{', '.join(literal(str(path)) for path in folders)}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con.sql(sql).to_arrow_reader(16_384)


def _walled(folder: Path | None) -> None:
    """Limit this process's memory, end it with its parent, and let it write nowhere but to `folder`."""
    with contextlib.suppress(
        OSError, ValueError
    ):  # /proc is Linux's; elsewhere DuckDB's own limit is what there is
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + (MEMORY_MB + BESIDES_MB << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    version = libc.syscall(444, None, 0, 1)  # landlock_create_ruleset: the version, or -1 without Landlock
    if version < 1:
        return
    writes = 1 << 1 | sum(
        1 << bit for bit in range(4, min(12 + version, 15))
    )  # write, remove, make, truncate
    rules = struct.pack("Q", writes)
    ruleset = libc.syscall(444, rules, len(rules), 0)
    if folder is not None:
        handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        libc.syscall(445, ruleset, 1, struct.pack("=Qi", writes, handle), 0)
        os.close(handle)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    libc.syscall(446, ruleset, 0)  # landlock_restrict_self: before the engine starts its threads
    os.close(ruleset)


def _received(pipe: int, seconds: float) -> bytearray:
    received = bytearray()
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(pipe, 1 << 20)
            if not chunk:
                return received
            received += chunk
            if len(received) > MAX_RESULT_MB << 20:
                raise UsageError(
                    f"the result of the query is larger than {MAX_RESULT_MB} MB; add a LIMIT or count instead. "
                    "`recast export` writes whole versions."
                )
    raise UsageError(
        f"the query took longer than {seconds:g} s and was ended. Select fewer rows, or join on something more "
        "selective."
    )


def _ended(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
