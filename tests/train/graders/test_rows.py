"""Rows of reinforcement fine-tuning: read, written, and never on both sides."""

from __future__ import annotations

import json

import pytest

from recast.curate.errors import DataError
from recast.train.graders.format.rows import PromptRow, item_of, prompt_row, read, refuse_shared, write

ASK = [{"role": "user", "content": "What is 2 + 2?"}]


def rows_of(*asked):
    return [PromptRow([{"role": "user", "content": text}], {}, f"row {n}") for n, text in enumerate(asked, 1)]


def test_a_file_is_read_and_written_as_it_was(tmp_path):
    lines = [
        {
            "messages": [{"role": "developer", "content": "Be brief."}, *ASK],
            "answer": "4",
            "causes": ["a", "b"],
        },
        {"messages": ASK, "weight": 2.5, "deep": {"a": [1]}},
    ]
    file, again = tmp_path / "train.jsonl", tmp_path / "again.jsonl"
    file.write_text("\n\n".join(json.dumps(line) for line in lines))
    rows = read(file)
    assert [row.item for row in rows] == lines
    assert [row.where for row in rows] == ["train.jsonl, line 1", "train.jsonl, line 3"]
    write(again, rows)
    assert [json.loads(line) for line in again.read_text().splitlines()] == lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 holds a list; expected an object"),
        ("[" * 100_000, "line 2 is not JSON"),
        ('{"prompt": "Q"}', "line 2: `messages` is None"),
        ('{"messages": []}', r"line 2: `messages` is \[\]"),
        ('{"messages": "Q"}', "line 2: `messages` is 'Q'"),
        ('{"messages": ["Q"]}', r"`messages\[0\]` is 'Q'"),
        ('{"messages": [{"role": "human", "content": "Q"}]}', r"`messages\[0\]` is .*one of system"),
        ('{"messages": [{"role": "user"}]}', r"`messages\[0\].content` is None; expected text"),
        ('{"messages": [{"role": "user", "content": [{"type": "input_image"}]}]}', r"`messages\[0\].content` is \["),
        ('{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}',
         "line 2: the last turn is the assistant's; expected the user's"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_prompt_is_named(line, reason, tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text(f"{json.dumps({'messages': ASK})}\n{line}\n")
    with pytest.raises(DataError, match=reason):
        read(file)


def test_a_file_without_rows_or_text_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="holds no rows"):
        read(tmp_path / "empty.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read(tmp_path / "bytes.jsonl")
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "none.jsonl")


def test_a_row_of_a_version_is_an_item_with_its_columns_in_meta():
    row = {
        "messages": json.dumps(ASK),
        "answer": "4",
        "task": None,
        "meta": '{"causes": ["a"], "answer": "5"}',
    }
    assert item_of(row) == {
        "messages": ASK, "answer": "4", "causes": ["a"], "meta": {"causes": ["a"], "answer": "5"},
    }  # fmt: skip
    assert prompt_row(row, "craft-1").messages == ASK


def test_rows_without_a_prompt_in_common_pass():
    refuse_shared(rows_of("a", "b"), rows_of("c", "ab"))


def test_a_prompt_on_both_sides_is_refused_with_both_rows_named():
    with pytest.raises(DataError) as caught:
        refuse_shared(rows_of("What is 2 + 2?", "b"), rows_of("c", "  what IS\n2 + ２? "))
    assert "1 of 2 validation prompts are training prompts, too: row 1 and row 2." in str(caught.value)


def test_roles_count_and_columns_do_not():
    system = PromptRow([{"role": "system", "content": "a"}], {}, "s")
    refuse_shared([system], rows_of("a"))
    with pytest.raises(DataError, match="row 1 and v"):
        refuse_shared(rows_of("a"), [PromptRow([{"role": "user", "content": "A"}], {"answer": "other"}, "v")])


def test_many_shared_rows_are_counted_and_the_first_named():
    with pytest.raises(DataError, match=r"8 of 8 .*row 1 and row 1; .*; and 3 more\."):
        refuse_shared(rows_of(*"abcdefgh"), rows_of(*"abcdefgh"))
