"""Hostile input: what can be stored comes back as it was, what cannot is named with its reason; nothing breaks."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recast.curate.errors import DataError, UsageError
from recast.curate.history import word_diff
from recast.curate.history.diff import diff
from recast.curate.history.lineage import blame, why
from recast.curate.history.query import query
from recast.curate.ingest import importer, streams
from recast.curate.store.maintenance import verify
from recast.curate.store.store import Store

STRANGE = [
    "../../etc/passwd",
    "a'b\"c",
    "'; DROP TABLE versions; --",
    "x\x00y",
    "é\u202e\U0001f600",
    " ",
    "\n",
    "%_?*[a]{b}",
    "-1",
    "NULL",
    "0" * 3000,
]


def stored(tmp_path: Path, rows: list[Any]) -> tuple[Store, importer.Report]:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in rows))
    store, found = Store(tmp_path / "home"), importer.read(file)
    store.commit(found, "a")
    return store, found.report


def test_strange_ids_and_texts_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [{"id": text, "question": f"q {text}", "solution": f"s {text}"} for text in STRANGE]
    store, report = stored(tmp_path, rows)
    assert (report.rows, report.num_bad) == (len(STRANGE), 0)
    found = list(store.open("a").rows())
    assert [r["row_id"] for r in found] == STRANGE
    assert [r["completion"] for r in found] == [f"s {text}" for text in STRANGE]
    assert [r["messages"][0]["content"] for r in found] == [f"q {text}" for text in STRANGE]
    changed = [row | {"solution": row["solution"] + " more"} for row in rows]
    store.commit(importer.read(_written(tmp_path / "g.jsonl", changed)), "a")
    assert [(r.row_id, r.op) for r in diff(store, "a@v1", "a").rows()] == [
        (text, "change") for text in STRANGE
    ]
    for text in STRANGE:
        assert [e.version.number for e in blame(store, "a", text)] == [2, 1]
        assert f"Row {text} reads as the expert wrote it" in why(store, "a", text)
    quoted = STRANGE[2].replace("'", "''")
    assert query(store, f"SELECT completion FROM a WHERE row_id = '{quoted}'").to_pylist() == [
        {"completion": f"s {STRANGE[2]} more"}
    ]
    assert verify(store, deep=True).ok
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.jsonl", "g.jsonl", "home"]


def _written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "a b", "a;b", "a'b", 'a"b', "a\x00b", "", ".", "x" * 121, "a@v1"]
)
def test_names_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "home")
    rows = [{"row_id": "1", "messages": [], "completion": "c"}]
    with pytest.raises(UsageError, match=r"is not a reference; write NAME|versions never change"):
        store.commit(rows, name)
    store.commit(rows, "a")
    with pytest.raises(UsageError, match="is not a reference"):
        store.tag("a", f"t@{name}")
    with pytest.raises(UsageError, match="is not a reference"):
        store.branch("a", f"t/{name}")
    assert [v.ref for v in store.log("a")] == ["a@v1"]


@pytest.mark.parametrize(
    "given, kept, reason",
    [
        (17, "17", ""),
        (-3, "-3", ""),
        (17.0, "17", ""),
        (10**30, "1" + 30 * "0", ""),
        ("017", "017", ""),
        (1.5, None, "the id is 1.5, expected text or a whole number"),
        (1e300, None, "the id is 1e+300, expected text or a whole number"),
        (True, None, "the id is a bool, expected text or a whole number"),
        ("", None, "the id is empty, expected text or a whole number"),
        ([1], None, "the id is a list, expected text or a whole number"),
        ({"a": 1}, None, "the id is a dict, expected text or a whole number"),
    ],
)
def test_ids_of_every_kind(tmp_path: Path, given: Any, kept: str | None, reason: str) -> None:
    store, report = stored(
        tmp_path,
        [{"id": "z", "question": "q", "solution": "s"}, {"id": given, "question": "q", "solution": "s"}],
    )
    assert [r["row_id"] for r in store.open("a").rows()] == ["z", *([kept] if kept else [])]
    assert [bad.reason for bad in report.bad] == ([reason] if reason else [])


def test_ids_that_read_the_same_are_the_same(tmp_path: Path) -> None:
    rows = [{"id": 17, "question": "q", "solution": "s"}, {"id": "17", "question": "q", "solution": "t"}]
    with pytest.raises(DataError, match=r"line 2: the id '17' \(target 0\) was already on line 1"):
        stored(tmp_path, rows)


GOOD = {"id": "good", "question": "q", "solution": "s"}


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'{"question": "\xff", "solution": "s"}\n', "not valid UTF-8 (byte 14 of the line)"),
        (
            b'{"question": "\\ud800", "solution": "s"}\n',
            "holds half of a surrogate pair, which is no character",
        ),
        (b'{"id": "\\udfff", "question": "q", "solution": "s"}\n', "holds half of a surrogate pair"),
        (b'{"question": "q", "solution": "s", "x": "\\ud800"}\n', "holds half of a surrogate pair"),
        (b"\x00\x00\x00\n", "not valid JSON: Expecting value at column 1"),
        (
            b'{"question": "q", "solution": "s", "x": ' + b"[" * 300 + b"]" * 300 + b"}\n",
            "nested more than 200 deep",
        ),
        (
            b'{"question": "q", "solution": "s", "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}\n",
            "JSON nested too deeply",
        ),
        (
            b'{"question": "q", "solution": "s", "x": ' + b"9" * 5000 + b"}\n",
            "not readable as JSON: Exceeds the limit",
        ),
        (b'{"question": "q", "solution": NaN}\n', "the completion ('solution') is nan, expected text"),
        (b'{"question": "q", "solution": ["s"]}\n', "the completion ('solution') is a list, expected text"),
        (b'{"question": "q", "solution": " \\n"}\n', "the completion ('solution') is empty"),
        (b'"text"\n', "a JSON str, expected an object"),
    ],
)
def test_what_is_no_row_is_named_and_the_others_are_kept(tmp_path: Path, line: bytes, reason: str) -> None:
    store, report = stored(tmp_path, [GOOD, line, {**GOOD, "id": "last"}])
    assert [r["row_id"] for r in store.open("a").rows()] == ["good", "last"]
    (bad,) = report.bad
    assert (bad.file, bad.line) == ("f.jsonl", 2)
    assert reason in bad.reason
    bad.text.encode()  # can be printed


def test_deep_json_within_the_limit_comes_back(tmp_path: Path) -> None:
    deep: Any = 0
    for _ in range(190):
        deep = [deep]
    store, report = stored(tmp_path, [{**GOOD, "x": deep}])
    assert report.num_bad == 0
    assert next(store.open("a").rows())["meta"]["x"] == deep


def test_cells_of_ten_megabytes_are_stored_and_compared(tmp_path: Path) -> None:
    text = "word " * 2_000_000
    store, _ = stored(tmp_path, [{"id": "big", "question": "q" * 10_000_000, "solution": text}])
    store.commit(
        [{"row_id": "big", "messages": [], "completion": text[:5_000_000] + "x" + text[5_000_001:]}], "a"
    )
    (row,) = diff(store, "a@v1", "a").rows()
    ops = row.phrases()
    assert "".join(op.before for op in ops) == text
    assert [(op.before, op.after) for op in ops if op.kind != "equal"] == [("w", "x")]
    assert verify(store, deep=True).ok


def test_a_line_that_is_too_long_is_a_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recast.curate.ingest.files.LINE_BYTES", 1 << 20)
    long = json.dumps({**GOOD, "id": "long", "solution": "s" * (3 << 20)}).encode() + b"\n"
    store, report = stored(tmp_path, [GOOD, long, {**GOOD, "id": "last"}])
    assert [r["row_id"] for r in store.open("a").rows()] == ["good", "last"]
    assert [(bad.line, bad.reason) for bad in report.bad] == [(2, "a line longer than 1 MiB")]


def test_a_word_of_a_hundred_thousand_letters_is_one_token(tmp_path: Path) -> None:
    word = "a" * 100_000
    assert word_diff.tokens(f"{word} {word}b") == [word, " ", f"{word}b"]
    assert [(op.kind, len(op.before)) for op in word_diff.phrases(f"is {word} here", f"is {word}b here")] == [
        ("equal", 3), ("replace", 100_000), ("equal", 5),
    ]  # fmt: skip


def test_csv_with_nul_bytes_bad_bytes_and_ragged_rows(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    lines = [b"id,question,solution", b"1,a\x00b,s", b"2,\xff,s", b"3,q", b"4,q,s,more", b'5,"two\nlines",s']
    file.write_bytes(b"\n".join(lines) + b"\n")
    found = importer.read(file)
    assert [r["messages"][0]["content"] for r in found.rows()] == ["a\x00b", "two\nlines"]
    assert [(bad.line, bad.reason) for bad in found.report.bad] == [
        (3, "not valid UTF-8"), (4, "2 cells, expected 3"), (5, "4 cells, expected 3"),
    ]  # fmt: skip
    file.write_bytes(b'id,question,solution\n1,"never closed,s\n')
    with pytest.raises(DataError, match=r"f\.csv, line 2: not valid CSV"):
        importer.read(file)
    file.write_bytes(b"id,id,solution\n1,2,3\n")
    with pytest.raises(DataError, match="the column 'id' occurs twice in the header"):
        importer.read(file)
    with file.open("w", newline="") as text:
        csv.writer(text).writerows([["id", "question", "solution"], ["1", "q", "s" * 10_000_000]])
    assert len(next(importer.read(file).rows())["completion"]) == 10_000_000


def test_parquet_that_holds_no_text_is_named_by_row(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0")
    torn = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"\xffq"))
    pq.write_table(pa.table({"question": torn, "solution": ["x", "y"]}), tmp_path / "f.parquet")
    found = importer.read(tmp_path / "f.parquet")
    assert [r["completion"] for r in found.rows()] == ["y"]
    assert [(bad.line, bad.reason) for bad in found.report.bad] == [(1, "not valid UTF-8")]
    whole = (tmp_path / "f.parquet").read_bytes()
    (tmp_path / "f.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        importer.read(tmp_path / "f.parquet")


@pytest.mark.parametrize(
    "text, reason",
    [
        ('[{"question": "q", "solution": "s"}, oops]', "row 2 of the list: not valid JSON: Expecting value"),
        ('[{"question": "q", "solution": "s"}', "ends after row 1 of its list, without closing it"),
        ('[{"question": "q", "solution": "s"},]', "row 2 of the list: not valid JSON"),
        ('[{"question": "q", "solution": "s"}] more', "'m' follows the end of the list"),
        (
            '[{"question": "q"} {"question": "q"}]',
            "row 1 of the list: expected a comma or the end of the list",
        ),
        ('[{"question": "q\udcff", "solution": "s"}]', "not valid UTF-8 after row 0 of the list"),
        ('[{"x": ' + "[" * 10**5, "row 1 of the list: JSON nested too deeply"),
        ('[{"question": "never closed', "row 1 of the list: not valid JSON: Unterminated string"),
        ("[]", "is empty; expected one JSON object a line"),
    ],
)
def test_a_torn_list_names_the_row(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "f.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as wrong:
        list(importer.read(tmp_path / "f.json").batches())
    assert reason in str(wrong.value)


def test_a_list_is_read_in_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": n, "question": "é\u2028" * (n + 1), "solution": 'a"\\' * (n + 1), "x": [1.5, -2, 1e9]}
        for n in range(40)
    ]
    file = tmp_path / "f.json"
    file.write_text(f" [1, {json.dumps(rows)[1:-1]} , 22]\n")
    whole = list(importer.read(file).rows())
    for size in (1, 7, 100):
        monkeypatch.setattr("recast.curate.ingest.json_list.PIECE_CHARS", size)
        found = importer.read(file)
        assert list(found.rows()) == whole
        assert [(bad.line, bad.reason) for bad in found.report.bad] == [
            (1, "a JSON int, expected an object"), (42, "a JSON int, expected an object"),
        ]  # fmt: skip
    assert [r["row_id"] for r in whole] == [str(n) for n in range(40)]


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".csv"])
@pytest.mark.parametrize("pack", [".gz", ".zst"])
def test_a_file_that_expands_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, pack: str
) -> None:
    monkeypatch.setattr(streams, "EXPANDED_BYTES", 1 << 20)
    zeros = (b"[" if kind == ".json" else b"") + b" " * (16 << 20)
    data = gzip.compress(zeros) if pack == ".gz" else pa.compress(zeros, codec="zstd", asbytes=True)
    (tmp_path / f"bomb{kind}{pack}").write_bytes(data)
    with pytest.raises(
        DataError, match=r"bytes expand to more than \d+, over 200 times their size; refused as a"
    ):
        importer.read(tmp_path / f"bomb{kind}{pack}")


@pytest.mark.parametrize("pack", [".gz", ".zst"])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, pack: str) -> None:
    lines = b"".join(json.dumps({**GOOD, "id": n}).encode() + b"\n" for n in range(5000))
    data = gzip.compress(lines) if pack == ".gz" else pa.compress(lines, codec="zstd", asbytes=True)
    store = Store(tmp_path / "home")
    for broken in (data[:-9], data[:200] + b"x" * 99 + data[300:], b"no archive at all"):
        (tmp_path / f"f.jsonl{pack}").write_bytes(broken)
        with pytest.raises(DataError, match=r"f\.jsonl\.\w+: the compressed data is damaged or cut short"):
            store.commit(importer.read(tmp_path / f"f.jsonl{pack}"), "a")
    assert store.names() == []
