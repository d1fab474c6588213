"""Files that a kill cannot break."""

from __future__ import annotations

import json

import pytest

from recast.curate.files import append_line, cut_lines, read_lines, whole, write_json, write_lines, write_text


def test_a_writer_that_fails_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "figures.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("the disk went away")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_is_read_while_a_file_is_written_is_the_old_one(tmp_path):
    path = tmp_path / "a" / "figures.json"
    write_text(path, "old")
    with whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_text_that_is_no_utf8_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_lines_are_drawn_one_at_a_time_and_all_of_them_or_none_are_written(tmp_path):
    path = tmp_path / "rows.jsonl"

    def rows(most):
        for n in range(5):
            if n == most:
                raise RuntimeError("no more")
            yield {"n": n, "sign": "×"}

    with pytest.raises(RuntimeError):
        write_lines(path, rows(3))
    assert list(tmp_path.iterdir()) == []
    write_lines(path, rows(None))
    assert read_lines(path) == list(rows(None)) and "×" in path.read_text(encoding="utf-8")


def test_json_is_written_with_signs_as_they_are_and_a_last_newline(tmp_path):
    write_json(tmp_path / "x.json", {"sign": "×"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"sign": "×"} and "×" in text and text.endswith("}\n")


def test_a_line_cut_by_a_kill_is_no_line(tmp_path):
    path = tmp_path / "curve.jsonl"
    assert read_lines(path) == []
    append_line(path, {"step": 1})
    append_line(path, {"step": 2})
    with path.open("a") as file:
        file.write('{"step": 3')
    assert read_lines(path) == [{"step": 1}, {"step": 2}]
    assert cut_lines(path, lambda line: line["step"] < 2) == [{"step": 1}]
    assert path.read_text() == '{"step": 1}\n'


def test_nothing_is_made_of_a_file_that_is_not_there(tmp_path):
    assert cut_lines(tmp_path / "none.jsonl", lambda line: True) == [] and list(tmp_path.iterdir()) == []
