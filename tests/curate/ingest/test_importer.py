"""Import: schemas that people have, real files, and hostile ones."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recast.curate import fingerprint, schema
from recast.curate.errors import DataError, UsageError
from recast.curate.export.export import export
from recast.curate.history.diff import diff
from recast.curate.ingest import importer, streams
from recast.curate.store.store import Store


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def one(tmp_path: Path, row: dict[str, Any], **options: Any) -> dict[str, Any]:
    (found,) = importer.read(written(tmp_path / "one.jsonl", [row]), **options).rows()
    return found


@pytest.mark.parametrize(
    "row, prompt, completion, answer",
    [
        ({"question": "2+2?", "answer": "2+2=4\n#### 4"}, "2+2?", "2+2=4\n#### 4", "4"),
        ({"question": "2+2?", "answer": "It is four."}, "2+2?", "It is four.", None),
        ({"id": "w1", "question": "q", "solution": "s", "answer": "42", "task": "add"}, "q", "s", "42"),
        ({"problem": "p", "solution": "s", "answer": "7"}, "p", "s", "7"),
        ({"prompt": "p", "completion": "c"}, "p", "c", None),
        ({"instruction": "i", "input": "data", "output": "o"}, "i\n\ndata", "o", None),
        ({"instruction": "i", "input": "", "output": "o"}, "i", "o", None),
        ({"instruction": "i", "response": "o"}, "i", "o", None),
        ({"input": "i", "output": "o"}, "i", "o", None),
        ({"item_id": "s1", "question": "q", "answer_cot": "c", "answer_value": "2.0"}, "q", "c", "2.0"),
        ({"question": "q", "choices": ["x", "y"], "answer": "B"}, "q\n\nA. x\nB. y", "B", "B"),
        ({"QUESTION": "q", "CONTEXTS": ["c1", "c2"], "LONG_ANSWER": "l", "final_decision": "no"},
         "c1\n\nc2\n\nq", "l", "no"),
        ({"problem": "p", "solution": "s", "answer": 42}, "p", "s", "42"),
    ],
)  # fmt: skip
def test_schemas_are_detected(
    tmp_path: Path, row: dict[str, Any], prompt: str, completion: str, answer: str | None
) -> None:
    found = one(tmp_path, row)
    assert found["messages"] == [{"role": "user", "content": prompt}]
    assert found["completion"] == found["demonstration"] == completion
    assert found["answer"] == answer
    assert found["decision"] == "expert"
    assert found["source"] == "one.jsonl:1"


def test_ids_are_kept_and_otherwise_made_of_prompt_and_text(tmp_path: Path) -> None:
    assert one(tmp_path, {"id": "w1", "question": "q", "answer": "a"})["row_id"] == "w1"
    assert one(tmp_path, {"id": 17, "question": "q", "answer": "a"})["row_id"] == "17"
    made = one(tmp_path, {"question": "né", "answer": 'a"b'})["row_id"]
    assert made == fingerprint.row_id([{"role": "user", "content": "né"}], 'a"b')


def test_columns_without_a_place_go_to_meta(tmp_path: Path) -> None:
    found = one(tmp_path, {"question": "q", "answer": "a", "level": 3, "tags": ["x"]})
    assert found["meta"] == {"level": 3, "tags": ["x"]}


def test_conversations_keep_their_turns(tmp_path: Path) -> None:
    chat = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4"},
        ]
    }
    last = one(tmp_path, chat)
    assert last["completion"] == "4" and last["messages"] == chat["messages"][:4]
    first = one(tmp_path, chat, turn=0)
    assert first["completion"] == "hello" and first["messages"] == chat["messages"][:2]
    assert first["meta"]["later_turns"] == chat["messages"][3:]


def test_sharegpt_roles_are_translated(tmp_path: Path) -> None:
    found = one(
        tmp_path, {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}
    )
    assert found["messages"] == [{"role": "user", "content": "hi"}] and found["completion"] == "ho"


def test_tool_calls_in_the_prompt_survive(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    turns = [{"role": "user", "content": "go"}, call, {"role": "tool", "content": "7", "tool_call_id": "1"}]
    found = one(
        tmp_path, {"messages": [*turns, {"role": "assistant", "content": "done"}], "tools": [{"name": "f"}]}
    )
    assert found["messages"] == turns and found["completion"] == "done"
    assert found["meta"]["tools"] == [{"name": "f"}]


def test_openai_rows_learn_from_the_last_turn_that_has_weight(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "yes", "weight": 1},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": "no", "weight": 0},
    ]
    tools = [{"type": "function", "function": {"name": "f"}}]
    found = one(tmp_path, {"messages": turns, "tools": tools, "parallel_tool_calls": False})
    assert found["completion"] == "yes" and found["messages"] == turns[:1]
    assert found["meta"] == {
        "completion_turn": {"weight": 1}, "later_turns": turns[2:], "tools": tools, "parallel_tool_calls": False,
    }  # fmt: skip


def test_a_row_that_only_calls_tools_is_named(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [{"id": "1"}]}]
    spoken = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "done"}]
    found = importer.read(written(tmp_path / "f.jsonl", [{"messages": spoken}, {"messages": turns}]))
    assert [r["completion"] for r in found.rows()] == ["done"]
    assert [bad.reason for bad in found.report.bad] == ["only calls of tools, so there is no text to learn"]


def test_turns_in_tables_are_read(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    tool = {"role": "tool", "content": "7", "tool_calls": None}
    ask, done = (
        {"role": r, "content": c, "tool_calls": None} for r, c in (("user", "go"), ("assistant", "7"))
    )
    pq.write_table(pa.table({"messages": [[ask, call, tool, done], [ask, done]]}), tmp_path / "f.parquet")
    rows = list(importer.read(tmp_path / "f.parquet").rows())
    assert [r["completion"] for r in rows] == ["7", "7"]
    assert rows[0]["messages"] == [
        {"role": "user", "content": "go"}, call, {"role": "tool", "content": "7"},
    ]  # fmt: skip
    with (tmp_path / "f.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["messages"], [json.dumps([ask, call, tool, done])]])
    assert next(importer.read(tmp_path / "f.csv").rows())["completion"] == "7"


def test_splits_of_a_saved_dataset_are_read_in_turn_and_descriptions_are_no_data(tmp_path: Path) -> None:
    rows = [{"id": n, "question": f"q{n}", "answer": "a"} for n in range(5)]
    train, test = datasets.Dataset.from_list(rows[:3]), datasets.Dataset.from_list(rows[3:])
    datasets.DatasetDict([("train", train), ("test", test)]).save_to_disk(str(tmp_path / "saved"))
    found = list(importer.read(tmp_path / "saved").rows())
    assert [(r["row_id"], r["source"]) for r in found] == [
        ("0", "saved/train:1"), ("1", "saved/train:2"), ("2", "saved/train:3"), ("3", "saved/test:1"),
        ("4", "saved/test:2"),
    ]  # fmt: skip
    (tmp_path / "hub" / "data").mkdir(parents=True)
    written(tmp_path / "hub" / "data" / "train.jsonl", rows)
    (tmp_path / "hub" / "dataset_infos.json").write_text('{"default": {}}')
    assert len(list(importer.read(tmp_path / "hub").rows())) == 5


@pytest.mark.parametrize(
    "name", ["f.jsonl", "f.jsonl.gz", "f.jsonl.zst", "f.json", "f.csv", "f.parquet", "saved"]
)
def test_progress_ends_where_the_file_does(tmp_path: Path, name: str) -> None:
    rows = [{"question": f"q{n}", "answer": "a" * 400} for n in range(9000)]
    lines = "".join(json.dumps(r) + "\n" for r in rows).encode()
    path = tmp_path / name
    if name == "saved":
        datasets.Dataset.from_list(rows).save_to_disk(str(path))
    elif name == "f.parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name == "f.csv":
        path.write_text("question,answer\n" + "".join(f"{r['question']},{r['answer']}\n" for r in rows))
    else:
        packed = {".gz": gzip.compress(lines), ".zst": pa.compress(lines, codec="zstd", asbytes=True)}
        path.write_bytes(packed.get(path.suffix, json.dumps(rows).encode() if name == "f.json" else lines))
    found, seen = importer.read(path), []
    found.progress = lambda **point: seen.append(point)
    list(found.batches())
    assert [point["done"] for point in seen] == sorted(point["done"] for point in seen)
    assert seen[-1]["done"] == seen[-1]["total"] and seen[-1]["note"] == "MB, 9,000 rows"


def test_trl_conversational_pairs_are_read(tmp_path: Path) -> None:
    pair = {
        "prompt": [{"role": "user", "content": "q"}],
        "completion": [{"role": "assistant", "content": "a"}],
    }
    found = one(tmp_path, pair)
    assert found["messages"] == pair["prompt"] and found["completion"] == "a"


def test_a_mapping_overrides_what_is_detected(tmp_path: Path) -> None:
    file = written(tmp_path / "f.jsonl", [{"key": "k", "ask": "q", "say": "s", "gold": "1"}])
    with pytest.raises(
        DataError, match=r"cannot tell what the prompt is among the columns key, ask, say, gold"
    ):
        importer.read(file)
    found = importer.read(file, mapping={"id": "key", "prompt": "ask", "completion": "say"})
    (row,) = found.rows()
    assert (row["row_id"], row["completion"], row["answer"]) == ("k", "s", "1")
    with pytest.raises(UsageError, match="has no column 'nope'"):
        importer.read(file, mapping={"prompt": "nope", "completion": "say"})
    with pytest.raises(UsageError, match="--map knows the fields"):
        importer.read(file, mapping={"colour": "ask"})


def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [{"id": f"i{n}", "question": f'q "{n}",\nline', "answer": f"é {n}"} for n in range(5)]
    lines = "".join(json.dumps(r) + "\n" for r in rows).encode()
    files = {
        "a.jsonl": lines,
        "b.json": json.dumps(rows).encode(),
        "c.jsonl.gz": gzip.compress(lines),
        "d.jsonl.zst": pa.compress(lines, codec="zstd", asbytes=True),
        "e.jsonl": b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "f.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "question", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "g.parquet")
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "h"))
    (tmp_path / "i").mkdir()
    written(tmp_path / "i" / "1.jsonl", rows[:2])
    written(tmp_path / "i" / "2.jsonl", rows[2:])
    expected = [(r["id"], r["question"], r["answer"]) for r in rows]
    for name in [*files, "f.csv", "g.parquet", "h", "i"]:
        found = [
            (r["row_id"], r["messages"][0]["content"], r["completion"])
            for r in importer.read(tmp_path / name).rows()
        ]
        assert found == expected, name


def test_bad_rows_are_reported_with_line_and_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    lines = [json.dumps({"question": f"q{n}", "answer": "a"}).encode() for n in range(6)] + [
        b'{"question": "q", "answer": ',
        b'{"question": "q\xff"}',
        b"[1, 2]",
        json.dumps({"question": "q"}).encode(),
        json.dumps({"question": "", "answer": "a"}).encode(),
        json.dumps({"question": "q", "answer": "\ud800"}).encode(),
        b"[" * 100_000,
        json.dumps({"question": {"x": 1}, "answer": "a"}).encode(),
        b'{"question": "q", "answer": "a", "x": NaN}',
    ]
    file.write_bytes(b"\n".join(lines))
    found = importer.read(file)
    rows = list(found.rows())
    assert len(rows) == 7 and rows[6]["meta"] == {"x": {"$float": "NaN"}}
    assert found.report.rows == 7 and found.report.num_bad == 8
    reasons = {bad.line: bad.reason for bad in found.report.bad}
    assert reasons[7] == "not valid JSON: Expecting value at column 28"
    assert reasons[8] == "not valid UTF-8 (byte 15 of the line)"
    assert reasons[9] == "a JSON list, expected an object"
    assert reasons[10] == "the completion ('answer') is missing, expected text"
    assert reasons[11] == "the prompt ('question') is empty"
    assert reasons[12] == "holds half of a surrogate pair, which is no character"
    assert reasons[13] == "JSON nested too deeply"
    assert reasons[14] == "the prompt ('question') is a dict, expected text or messages"
    assert str(found.report.bad[0]).startswith("f.jsonl, line 7: not valid JSON")


def test_a_missing_answer_is_allowed_and_counted(tmp_path: Path) -> None:
    rows = [{"problem": "a", "solution": "s", "answer": "1"}, {"problem": "b", "solution": "s"}]
    found = importer.read(written(tmp_path / "f.jsonl", rows))
    assert [r["answer"] for r in found.rows()] == ["1", None]
    assert (found.report.answers, found.report.missing_answers) == (1, 1)


def test_empty_and_hopeless_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.jsonl is empty"):
        importer.read(tmp_path / "empty.jsonl")
    (tmp_path / "bad.jsonl").write_bytes(b"nothing\nhere\n")
    with pytest.raises(DataError, match=r"no row could be read\. The first, line 1: not valid JSON"):
        importer.read(tmp_path / "bad.jsonl")
    (tmp_path / "x.exe").write_bytes(b"MZ")
    with pytest.raises(DataError, match="unknown kind of file"):
        importer.read(tmp_path / "x.exe")
    with pytest.raises(DataError, match="does not exist"):
        importer.read(tmp_path / "nowhere.jsonl")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"question": "q", "answer": "a"}\n' * 999)[:-20])
    with pytest.raises(DataError, match="damaged or cut short"):
        list(importer.read(tmp_path / "cut.jsonl.gz", dedup=True).batches())


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "1", "answer": "x"}, {"id": "b", "question": "2", "answer": "x"}]
    file = written(tmp_path / "f.jsonl", [*rows, {"id": "a", "question": "3", "answer": "x"}])
    with pytest.raises(DataError, match=r"f\.jsonl, line 3: the id 'a' \(target 0\) was already on line 1"):
        list(importer.read(file).batches())
    found = importer.read(file, dedup=True)
    assert [r["messages"][0]["content"] for r in found.rows()] == ["1", "2"]
    assert found.report.duplicates == 1


def test_a_row_of_a_hundred_kilobytes_and_one_of_ten_megabytes_pass(tmp_path: Path) -> None:
    file = written(tmp_path / "f.jsonl", [{"question": "q" * 100_000, "answer": "a" * 10_000_000}])
    store = Store(tmp_path / "home")
    store.commit(importer.read(file), "a")
    (row,) = store.open("a").rows()
    assert len(row["completion"]) == 10_000_000 and len(row["messages"][0]["content"]) == 100_000


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EXPANDED_BYTES", 1 << 20)
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b" " * (8 << 20)))
    with pytest.raises(DataError, match="decompression bomb"):
        importer.read(tmp_path / "bomb.jsonl.gz")


def test_a_stream_is_read_in_batches_and_limited(tmp_path: Path) -> None:
    file = written(tmp_path / "f.jsonl", [{"question": f"q{n}", "answer": "a"} for n in range(10_000)])
    batches = list(importer.read(file).batches())
    assert len(batches) > 1 and all(b.schema.equals(schema.VERSION_SCHEMA) for b in batches)
    assert sum(b.num_rows for b in batches) == 10_000
    assert len(list(importer.read(file, limit=7).rows())) == 7


def test_an_export_imports_again_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    row = {
        "row_id": "1",
        "messages": [{"role": "user", "content": "q"}],
        "completion": "c",
        "demonstration": "d",
    }
    store.commit([row | {"decision": "rewrite", "seed": 5, "meta": {"a": 1}, "nll_self": 0.5}], "a")
    exported = export(store, "a", "jsonl", tmp_path / "out.jsonl")
    found = importer.read(Path(exported.path))
    assert found.format == "recast"
    again = store.commit(found, "a")
    assert (again.added, again.changed, again.removed, again.rescored) == (0, 0, 0, 0)


# real files


@pytest.mark.parametrize(
    "file, rows, answers",
    [
        ("gsm8k/train.jsonl", 7473, 7473),
        ("gsm8k/test.jsonl", 1319, 1319),
        ("mwp/svamp_nl.jsonl", 3076, 3076),
        ("pubmedqa/pqal_1000.jsonl", 1000, 1000),
        ("gpteacher/codegen.jsonl", 4535, 0),
        ("humaneval/HumanEval.jsonl", 164, 0),
    ],
)
def test_real_files_import_whole(
    shared_data: Path, tmp_path: Path, file: str, rows: int, answers: int
) -> None:
    found = importer.read(shared_data / file)
    version = Store(tmp_path).commit(found, "a")
    assert (version.rows, found.report.num_bad, found.report.answers) == (rows, 0, answers)


def test_mmlu_repeats_questions_and_says_so(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"val\.jsonl, line 135: the same prompt and completion as on line 65"
    ):
        list(importer.read(shared_data / "mmlu/val.jsonl").batches())
    found = importer.read(shared_data / "mmlu/val.jsonl", dedup=True)
    version = Store(tmp_path).commit(found, "a")
    assert version.rows + found.report.duplicates == 1531
    row = next(found.rows())
    assert row["messages"][0]["content"].endswith("A. 4\nB. 8\nC. 12\nD. 6") and row["answer"] == "A"


def test_two_solutions_of_one_problem_set_are_two_versions(shared_data: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(importer.read(shared_data / "mwp/svamp_python_sdp.jsonl"), "mwp")
    version = store.commit(importer.read(shared_data / "mwp/svamp_nl.jsonl"), "mwp")
    # 3043 programs, 3076 texts, 3023 problems in both, all of them written anew
    assert (version.added, version.changed, version.removed) == (53, 3023, 20)
    summary = diff(store, "mwp@v1", "mwp@v2").summary
    assert summary.columns.keys() == {"completion", "demonstration", "source"}
    assert 0 < summary.answers_changed < 60
