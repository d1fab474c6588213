"""A table of files that a user may be handed: each is read, or ends in a sentence that names the cause.

None ends in a traceback, none is read without end, and none makes the import read outside its folder.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recast.curate.errors import DataError
from recast.curate.ingest import importer
from recast.curate.store.store import Store

Q = {"question": "q", "solution": "s"}
TALK = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
OWN = {"row_id": "1", "messages": [], "completion": "c", "demonstration": "c", "decision": "expert"}
LINE = json.dumps(Q).encode() + b"\n"


def outcome(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows, and every sentence that the import said."""
    try:
        found = importer.read(path)
        rows = list(found.rows())
    except DataError as wrong:
        return [], [str(wrong)]
    return rows, [bad.reason for bad in found.report.bad]


def lines(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def parquet(**columns: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


def with_one(value: pa.Array) -> Callable[[Path], None]:
    return parquet(question=["q"], solution=["s"], x=value)


REFUSED: dict[str, tuple[str, bytes | Callable[[Path], Any], str]] = {
    # text that is no UTF-8
    "utf-16 with a mark": ("f.jsonl", json.dumps(Q).encode("utf-16"), "f.jsonl is UTF-16; expected UTF-8"),
    "utf-16 big-endian": ("f.jsonl", b"\xfe\xff" + json.dumps(Q).encode("utf-16-be"), "is UTF-16"),
    "utf-16 without a mark": ("f.jsonl", json.dumps(Q).encode("utf-16-le"), "is UTF-16"),
    "utf-32": ("f.json", json.dumps([Q]).encode("utf-32"), "is UTF-32"),
    "utf-16 table": ("f.csv", "question,solution\nq,s\n".encode("utf-16"), "f.csv is UTF-16"),
    "latin-1": ("f.jsonl", b'{"question": "\xe9", "solution": "s"}\n', "not valid UTF-8 (byte 14"),
    "latin-1 table": ("f.csv", b"question,solution\n\xe9,s\n", "not valid UTF-8"),
    "zip under a wrong name": ("f.jsonl", b"PK\3\4" + b"\0" * 99, "not valid JSON"),
    # JSON
    "a key twice": ("f.jsonl", b'{"question": "q", "solution": "s", "solution": "t"}\n', "'solution' occurs twice"),
    "a key twice inside": ("f.jsonl", b'{"question": "q", "solution": "s", "x": {"a": 1, "a": 2}}', "'a' occurs twice"),
    "a key twice in a list": ("f.json", b'[{"question": "q", "solution": "s", "solution": "t"}]', "'solution' occurs"),
    "NaN as the text": ("f.jsonl", b'{"question": "q", "solution": NaN}\n', "('solution') is nan, expected text"),
    "Infinity as the prompt": ("f.jsonl", b'{"question": Infinity, "solution": "s"}\n', "('question') is inf"),
    "Infinity as the id": ("f.jsonl", b'{"id": -Infinity, "question": "q", "solution": "s"}\n', "the id is -inf"),
    "too many digits": ("f.jsonl", b'{"question": "q", "solution": ' + b"9" * 5000 + b"}\n", "not readable as JSON"),
    "deep": ("f.jsonl", b'{"question": "q", "solution": ' + b"[" * 10**5 + b"\n", "nested too deeply"),
    "deep objects": ("f.jsonl", LINE[:-2] + b', "x": ' + b'{"a":' * 250 + b"1" + b"}" * 251, "more than 200 deep"),
    "one string": ("f.json", b'"hello"', "a JSON str, expected an object"),
    "pretty and torn": ("f.jsonl", b'{\n  "question": "q",\n  "solution": \n', "row 1 of the objects: not valid JSON"),
    "pretty with a comma": ("f.json", json.dumps(Q, indent=1).encode() + b",\n", "row 2 of the objects: not valid"),
    "Python's text of a talk": ("f.csv", f'messages\n"{TALK}"\n'.encode(), "text that is no JSON"),
    "one object of everything": ("f.json", json.dumps({"data": [Q]}).encode(), "among the columns data"),
    # turns
    "an unknown role": ("f.jsonl", lines({"messages": [{"role": "bard", "content": "x"}, *TALK]}), "from 'bard'"),
    "a turn that is text": ("f.jsonl", lines({"messages": [TALK[0], "a"]}), "a turn is a str"),
    "a turn without a role": ("f.jsonl", lines({"messages": [{"content": "x"}, *TALK]}), "a turn has no role"),
    "a role that is a number": ("f.jsonl", lines({"messages": [{"role": 1, "content": "x"}]}), "a turn has no role"),
    "an assistant first": ("f.jsonl", lines({"messages": TALK[1:]}), "begins with the assistant"),
    "an image alone": (
        "f.jsonl",
        lines({"messages": [TALK[0], {"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]}]}),
        "no assistant turn with text",
    ),
    "a turn not learnt": ("f.jsonl", lines({"messages": [TALK[0], TALK[1] | {"train": False}]}), "no assistant turn"),
    "zeros and ones beside a text": (
        "f.jsonl", lines({"prompt": "q", "completion": "a", "label": 1}), "Say --map good=label where 1 is",
    ),
    "a judgement that is none": (
        "f.jsonl",
        lines(*({"prompt": f"q{n}", "completion": "a", "label": True} for n in range(200)),
              {"prompt": "q", "completion": "a", "label": "perhaps"}),
        "the judgement ('label') is a str, expected true or false",
    ),
    "an option that is not there": (
        "f.jsonl", lines({"question": "q", "choices": ["a", "b"], "answer": 5}), "the answer is 5, but the options",
    ),
    "two prompts of one preference": (
        "f.jsonl",
        lines({"chosen": TALK, "rejected": [{"role": "user", "content": "other"}, TALK[1]]}),
        "answer different prompts",
    ),
    "a preference without a prompt": ("f.jsonl", lines({"chosen": "a", "rejected": "b"}), "there is no prompt"),
    # our own format, written by hand
    "messages that are no JSON": (
        "f.parquet",
        parquet(row_id=["1"], messages=["oops"], completion=["c"], demonstration=["c"], decision=["expert"]),
        "'messages' is text that is no JSON",
    ),
    "meta that is a list": (
        "f.jsonl",
        lines({**OWN, "meta": [1]}),
        "'meta' is a list, expected an object",
    ),
    "a score that is text": (
        "f.jsonl",
        lines({**OWN, "nll_self": "low"}),
        "'nll_self' is a str, expected a number",
    ),
    "a seed of 70 bits": (
        "f.jsonl",
        lines({**OWN, "seed": 2**70}),
        "expected a whole number of at most 64 bits",
    ),
    "a target of 40 bits": ("f.jsonl", lines({**Q, "target": 2**40}), "'target' is 1099511627776"),
    "a decision that is none": ("f.jsonl", lines({**OWN, "decision": "hacked"}), "expected one of expert, rewrite"),
    "a target below 0": ("f.jsonl", lines({**OWN, "target": -1}), "'target' is -1, expected 0 or more"),
    "an export whose turns are none": (
        "f.jsonl", lines({**OWN, "version": "a@v1", "messages": ["x"]}), "does not end with the assistant's turn",
    ),
    "an export whose calls are no JSON": (
        "f.jsonl",
        lines({**OWN, "version": "a@v1", "messages": [{"role": "user", "content": "q", "tool_calls": "{x"}, TALK[1]]}),
        "'tool_calls' of a turn is text that is no JSON",
    ),
    # tables
    "a column twice": ("f.csv", b"question,solution,question\nq,s,r\n", "'question' occurs twice"),
    "a column twice in Parquet": (
        "f.parquet",
        lambda path: pq.write_table(
            pa.Table.from_arrays([pa.array(["q"]), pa.array(["s"]), pa.array(["t"])], [*Q, "solution"]),
            path,
        ),
        "'solution' occurs twice",
    ),
    "a quote never closed": ("f.csv", b'question,solution\n"q,s\n', "not valid CSV"),
    "a time beyond the calendar": (
        "f.parquet", with_one(pa.array([2**62], pa.timestamp("us"))), "'x' holds a timestamp[us] that Python",
    ),
    "a time zone that is none": (
        "f.parquet", with_one(pa.array([1], pa.timestamp("us", "Mars/Olympus"))), "'x' holds a timestamp[us, tz=Mars",
    ),
    "Parquet cut short": ("f.parquet", b"PAR1" + b"\0" * 50, "not a readable Parquet file"),
    "Parquet that is text": ("f.parquet", LINE, "not a readable Parquet file"),
    # bombs
    "gzip of newlines": ("f.jsonl.gz", gzip.compress(b"\n" * (80 << 20), 1), "its first 64 MiB are blank"),
    "gzip of newlines after a row": ("f.jsonl.gz", gzip.compress(LINE + b"\n" * (4 << 20)), "more than 1000000 blank"),
    "gzip of newlines in a table": (
        "f.csv.gz", gzip.compress(b"question,solution\nq,s\n" + b"\n" * (4 << 20)), "1000000 lines in a row",
    ),
    "gzip of short lines": ("f.jsonl.gz", gzip.compress(LINE + b"x\n" * 200_000, 1), "hardly any could; stopped there"),
    "gzip of one line": ("f.jsonl.gz", gzip.compress(LINE + b"x" * (66 << 20), 1), "a line longer than 64 MiB"),
    "a table of one line": ("f.csv.gz", gzip.compress(b"question,solution\nq," + b"x" * (66 << 20), 1), "than 64 MiB"),
    "gzip that is none": ("f.jsonl.gz", LINE, "damaged or cut short"),
    "more rows than bytes": (
        "f.parquet",
        lambda path: pq.write_table(
            pa.table({n: pa.DictionaryArray.from_arrays(
                                                        pa.repeat(pa.scalar(0, pa.int8()), 12_000_000), ["x"])
                      for n in ("question", "solution")}), path, row_group_size=12_000_000),
        "12000000 rows in",
    ),
    # what is no file
    "a kind of its own": ("f.exe", b"MZ", "unknown kind of file"),
    "nothing": ("f.jsonl", b"", "is empty"),
    "a pipe": ("f.jsonl", os.mkfifo, "is a pipe; expected a file"),
    "a socket": ("f.jsonl", lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "is a socket; expected"),
    "a device": ("f.jsonl", lambda path: path.symlink_to("/dev/zero"), "is a device; expected a file"),
    "a link to nothing": ("d/f.jsonl", lambda path: path.symlink_to("nowhere"), "which does not exist"),
    "a link to itself": ("d/f.jsonl", lambda path: path.symlink_to(path), "leads back to itself"),
    "a saved folder that names itself": (
        "d/state.json", json.dumps({"_data_files": [{"filename": "."}]}).encode(), "is a folder; expected a file",
    ),
    "a link out of the folder": ("d/f.jsonl", lambda path: path.symlink_to("../secret.jsonl"), "leads out of"),
    "a pipe in the folder": ("d/f.jsonl", os.mkfifo, "is a pipe; expected a file"),
    "an empty folder": ("d/f.txt", b"", "holds no file that can be read"),
    "a name too long": ("", lambda path: None, "cannot be read: File name too long"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_file_ends_in_its_sentence(tmp_path: Path, case: str) -> None:
    name, content, sentence = REFUSED[case]
    (tmp_path / "secret.jsonl").write_bytes(lines({"question": "secret", "solution": "secret"}))
    path = tmp_path / (name or "x" * 300)
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    rows, said = outcome(path.parent if name.startswith("d/") else path)
    assert any(sentence in text for text in said), said
    assert "secret" not in [row["completion"] for row in rows]


READ: dict[str, tuple[str, bytes | Callable[[Path], Any], Any]] = {
    "semicolons": ("f.csv", b"question;solution\nq;s, t\n", None),
    "semicolons after a mark": ("f.csv", b"\xef\xbb\xbfquestion;solution\r\nq;s\r\n", None),
    "tabs": ("f.csv", b"question\tsolution\nq\ts\n", None),
    "bars": ("f.csv", b"question|solution\nq|s\n", None),
    "pretty": ("f.jsonl", (json.dumps(Q, indent=2) + "\n" + json.dumps(Q | {"id": 2}, indent=2)).encode(), None),
    "a column without a name": ("f.jsonl", lines({"": "nothing", **Q}), None),
    "NaN beside": ("f.jsonl", b'{"question": "q", "solution": "s", "x": NaN}', {"$float": "NaN"}),
    "an overflow beside": ("f.jsonl", b'{"question": "q", "solution": "s", "x": 1e400}', {"$decimal": "1E+400"}),
    "a number of 40 digits": ("f.jsonl", lines({**Q, "x": 10**40}), 10**40),
    "a date": ("f.parquet", with_one(pa.array([datetime(2025, 8, 1, tzinfo=UTC).date()])), {"$date": "2025-08-01"}),
    "a duration": ("f.parquet", with_one(pa.array([timedelta(days=1)])), {"$seconds": "86400"}),
    "a decimal": ("f.parquet", with_one(pa.array([Decimal("1.10")])), {"$decimal": "1.10"}),
    "bytes": ("f.parquet", with_one(pa.array([b"\x89PNG"])), {"$base64": "iVBORw=="}),
    "NaN in Parquet": ("f.parquet", with_one(pa.array([float("nan")])), {"$float": "NaN"}),
    "an image": (
        "f.parquet", with_one(pa.array([{"bytes": b"\x89PNG", "path": "x.png"}])),
        {"bytes": {"$base64": "iVBORw=="}, "path": "x.png"},
    ),
    "nanoseconds": (
        "f.parquet", with_one(pa.array([1], pa.timestamp("ns"))), {"$datetime": "1970-01-01T00:00:00.000000001"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_a_strange_file_is_read(tmp_path: Path, case: str) -> None:
    name, content, beside = READ[case]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    rows, said = outcome(tmp_path / name)
    assert said == [] and rows[0]["messages"] == [{"role": "user", "content": "q"}]
    assert rows[0]["completion"].startswith("s")
    assert (rows[0]["meta"] or {}).get("x") == beside


@pytest.mark.parametrize(
    "role, known", [("human", "user"), ("User", "user"), ("model", "assistant"), ("GPT", "assistant")]
)
def test_roles_of_any_style_are_known(tmp_path: Path, role: str, known: str) -> None:
    turns = [{"role": role, "content": "x"}, *TALK]
    (tmp_path / "f.jsonl").write_bytes(lines({"messages": turns}))
    ((row,), said) = outcome(tmp_path / "f.jsonl")
    assert said == [] and row["messages"][0] == {"role": known, "content": "x"}


STATES: dict[str, tuple[Any, str]] = {
    "a file outside": ({"_data_files": [{"filename": "../secret.arrow"}]}, "leads out of"),
    "a file by its whole path": ({"_data_files": [{"filename": "/etc/passwd"}]}, "leads out of"),
    "a file that is a link": ({"_data_files": [{"filename": "link.arrow"}]}, "leads out of"),
    "no file": ({"_data_files": [{"filename": "none.arrow"}]}, "does not exist"),
    "no list": ({"_data_files": {"filename": "x"}}, "not a readable folder"),
    "no names": ({"_data_files": [{}]}, "not a readable folder"),
    "nothing of it": ([], "not a readable folder"),
    "no Arrow": ({"_data_files": [{"filename": "state.json"}]}, "not a readable folder"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_saved_folder_names_no_file_outside_itself(tmp_path: Path, case: str) -> None:
    state, sentence = STATES[case]
    datasets.Dataset.from_list([{"question": "secret", "solution": "secret"}]).save_to_disk(
        str(tmp_path / "other")
    )
    (tmp_path / "secret.arrow").write_bytes((tmp_path / "other" / "data-00000-of-00001.arrow").read_bytes())
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "link.arrow").symlink_to(tmp_path / "secret.arrow")
    (folder / "state.json").write_text(json.dumps(state))
    rows, said = outcome(folder)
    assert rows == [] and sentence in said[0]
    (folder / "state.json").unlink()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["../other"]}))
    rows, said = outcome(folder)
    assert rows == [] and "leads out of" in said[0]


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "blob").write_bytes(LINE)
    (tmp_path / "d" / "f.jsonl").symlink_to("blob")
    rows, said = outcome(tmp_path / "d")
    assert len(rows) == 1 and said == []


def test_a_snapshot_of_the_hubs_cache_reads_its_own_blobs_and_no_others(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "datasets--ann--sums"
    snapshot, blobs = repository / "snapshots" / "0a1b", repository / "blobs"
    for folder in (snapshot / "data", blobs, tmp_path / "hub" / "datasets--bob--other" / "blobs"):
        folder.mkdir(parents=True)
    (blobs / "c3d4").write_bytes(LINE)
    (snapshot / "data" / "train.jsonl").symlink_to("../../../blobs/c3d4")
    for folder in (snapshot, snapshot / "data"):
        rows, said = outcome(folder)
        assert len(rows) == 1 and said == []
    other = tmp_path / "hub" / "datasets--bob--other" / "blobs" / "e5f6"
    for target in (other, tmp_path / "secret.jsonl", repository / "refs.jsonl"):
        target.write_bytes(LINE)
        link = snapshot / "data" / "more.jsonl"
        link.symlink_to(target)
        rows, said = outcome(snapshot)
        assert rows == [] and "leads out of" in said[0]
        link.unlink()


def test_an_arrow_stream_with_wild_lengths_is_named(tmp_path: Path) -> None:
    datasets.Dataset.from_list([Q]).save_to_disk(str(tmp_path / "saved"))
    file = tmp_path / "saved" / "data-00000-of-00001.arrow"
    data = bytearray(file.read_bytes())
    data[4:8] = struct.pack("<i", 2**31 - 1)
    file.write_bytes(data)
    rows, said = outcome(tmp_path / "saved")
    assert rows == [] and "not a readable folder" in said[0]


def test_what_is_refused_commits_nothing(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(b'question,solution\nq,s\n"never closed,s\n')
    store = Store(tmp_path / "home")
    with pytest.raises(DataError, match="not valid CSV"):
        store.commit(importer.read(tmp_path / "f.csv"), "a")
    assert store.names() == []
