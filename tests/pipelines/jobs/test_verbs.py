"""The verbs of the store as a person meets them: what is typed, what is read, and which exit code it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recast.pipelines.terminal.history_graph import drawn
from tests.conftest import Said

Recast = Callable[..., Said]


def write(path: Path, texts: dict[str, str]) -> Path:
    """Rows `{id: completion}` as question and solution."""
    rows = [{"id": name, "question": f"Of {name}?", "solution": text} for name, text in texts.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def forked(recast: Recast, tmp_path: Path) -> Recast:
    """`d` with a branch: both sides edit row a, ours row b, theirs row c."""
    base = {"a": "It has 4 legs.", "b": "b one", "c": "c one", "d": "d one"}
    recast("import", write(tmp_path / "base.jsonl", base), "--as", "d")
    assert recast("branch", "d", "x").out == "d/x starts at d@v1\n"
    ours = base | {"a": "It has four long legs.", "b": "b two"}
    theirs = base | {"a": "It had 4 legs.", "c": "c two"}
    assert recast("import", write(tmp_path / "ours.jsonl", ours), "--as", "d").code == 0
    assert recast("import", write(tmp_path / "theirs.jsonl", theirs), "--as", "d/x").code == 0
    return recast


def texts(recast: Recast, ref: str) -> dict[str, str]:
    return {
        row["row_id"]: row["completion"] for row in recast("show", ref, "-n", "99", "--json").json["rows"]
    }


# branch, merge, revert


def test_a_conflict_is_shown_written_down_and_settled_by_the_file(forked: Recast, tmp_path: Path) -> None:
    said = forked("merge", "d", "d/x")
    assert said.code == 4
    assert "1 row was changed on both sides of d@v2 and d@v3 ('a')" in said.out
    assert "It has [-4-]{+four long+} legs." in said.out
    assert "It [-has-]{+had+} 4 legs." in said.out
    assert "recast merge d d/x --conflicts d@v2+d@v3.conflicts.jsonl" in said.out
    file = tmp_path / "d@v2+d@v3.conflicts.jsonl"
    (row,) = map(json.loads, file.read_text().splitlines())
    assert (row["row_id"], row["take"], row["theirs"]["completion"]) == ("a", None, "It had 4 legs.")
    assert forked("log", "d", "--json").json["versions"][0]["ref"] == "d@v3"  # nothing was committed

    unsettled = forked("merge", "d", "d/x", "--conflicts", file.name)
    assert unsettled.code == 2
    assert 'line 1: take is None; write "ours" or "theirs"' in unsettled.err
    file.write_text(json.dumps(row | {"take": "theirs"}) + "\n")
    merged = forked("merge", "d", "d/x", "--conflicts", file.name, "--json").json
    assert (merged["version"], merged["base"], merged["taken"], merged["settled"]) == ("d@v4", "d@v1", 2, 1)
    assert texts(forked, "d") == {"a": "It had 4 legs.", "b": "b two", "c": "c two", "d": "d one"}
    assert forked("merge", "d", "d/x").out == "d holds all of d/x already\n"


def test_conflicts_are_json_too_and_what_was_chosen_is_kept(forked: Recast, tmp_path: Path) -> None:
    said = forked("merge", "d", "d/x", "--conflicts", "mine.jsonl", "--json")
    assert (said.code, said.json["num_conflicts"], said.json["conflicts_file"]) == (4, 1, "mine.jsonl")
    assert said.json["conflicts"][0]["base"]["completion"] == "It has 4 legs."
    chosen = json.dumps({"row_id": "other", "target": 0, "take": "ours"}) + "\n"
    (tmp_path / "mine.jsonl").write_text(chosen)  # settles another row, not this one
    assert forked("merge", "d", "d/x", "--conflicts", "mine.jsonl").code == 4
    lines = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text().splitlines()]
    assert [(line["row_id"], line["take"]) for line in lines] == [("a", None), ("other", "ours")]


def test_a_file_that_is_no_file_of_conflicts_is_left_alone(forked: Recast, tmp_path: Path) -> None:
    (tmp_path / "d@v2+d@v3.conflicts.jsonl").write_text("my thesis")
    said = forked("merge", "d", "d/x")
    assert said.code == 2
    assert "is there and is no file of conflicts" in said.err
    assert (tmp_path / "d@v2+d@v3.conflicts.jsonl").read_text() == "my thesis"


@pytest.mark.parametrize(
    "side, expected", [("--ours", "It has four long legs."), ("--theirs", "It had 4 legs.")]
)
def test_one_side_settles_all(forked: Recast, side: str, expected: str) -> None:
    assert forked("merge", "d", "d/x", side, "--message", "both").code == 0
    assert texts(forked, "d")["a"] == expected
    assert forked("log", "d", "--json").json["versions"][0]["message"] == "both"


def test_two_ways_to_settle_are_refused(forked: Recast) -> None:
    said = forked("merge", "d", "d/x", "--ours", "--theirs")
    assert said.code == 2
    assert "give one of them" in said.err


def test_a_revert_undoes_one_version(forked: Recast) -> None:
    assert forked("revert", "d@v2").out == "d@v4: 2 rows back to before d@v2\n"
    assert texts(forked, "d")["a"] == "It has 4 legs."
    assert "nothing of d@v2 is left in d to undo" in forked("revert", "d@v2").out
    said = forked("revert", "d@v1")
    assert said.code == 2
    assert "first version" in said.err


def test_a_revert_of_what_changed_again_is_a_conflict(forked: Recast, tmp_path: Path) -> None:
    forked("import", write(tmp_path / "more.jsonl", {"a": "later", "b": "b two"}), "--as", "d")
    said = forked("revert", "d@v2")
    assert said.code == 4
    assert "d@v4+d@v1.conflicts.jsonl" in said.out
    assert forked("revert", "d@v2", "--theirs", "--json").json["settled"] == 1
    assert texts(forked, "d") == {"a": "It has 4 legs.", "b": "b one"}


def test_branches_are_listed_and_a_typo_is_no_new_branch(forked: Recast, tmp_path: Path) -> None:
    assert forked("branch", "d", "--json").json["branches"] == [
        {"branch": "d", "version": "d@v2"},
        {"branch": "d/x", "version": "d@v3"},
    ]
    taken = forked("branch", "d", "x")
    assert taken.code == 4
    assert "the branch d/x exists and is at d@v3" in taken.err
    said = forked("import", tmp_path / "base.jsonl", "--as", "d/typo")
    assert said.code == 2
    assert "start it first: recast branch d typo" in said.err


def test_the_graph_of_a_merge(forked: Recast) -> None:
    forked("merge", "d", "d/x", "--ours")
    forked("tag", "d@v1", "first")
    lines = forked("log", "d", "--graph").out.splitlines()
    assert [line[:5].rstrip() + " " + line[5:].split("  ")[0] for line in lines if "@" in line] == [
        "● d@v4 (d)", "│ ● d@v3 (d/x)", "● │ d@v2", "● d@v1 (@first)",
    ]  # fmt: skip
    assert [line for line in lines if "@" not in line] == ["├─╮", "├─╯"]
    assert [v["ref"] for v in forked("log", "d", "--graph", "--json").json["versions"]][:2] == [
        "d@v4",
        "d@v3",
    ]


@pytest.mark.parametrize(
    "parents, expected",
    [
        ({}, []),
        ({"b": ["a"], "a": []}, ["●", "●"]),
        ({"b": [], "a": []}, ["●", "●"]),  # two histories
        ({"b": ["gone"]}, ["●"]),
        ({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": []}, ["●", "├─╮", "│ ●", "● │", "├─╯", "●"]),
        # three heads that grew from one version
        ({"d": ["a"], "c": ["a"], "b": ["a"], "a": []}, ["●", "│ ●", "│ │ ●", "├─╯ │", "├───╯", "●"]),
        # a criss-cross: each side merges the other
        (
            {"f": ["d", "e"], "e": ["c", "b"], "d": ["b", "c"], "c": ["a"], "b": ["a"], "a": []},
            ["●", "├─╮", "│ ●", "│ ├─╮", "● │ │", "├─│─┤", "│ ● │", "● │ │", "├─╯ │", "●"],
        ),
    ],
)
def test_histories_are_drawn(parents: dict[str, list[str]], expected: list[str]) -> None:
    lines = drawn(parents)
    assert [node for _, node in lines if node] == list(parents)
    if len(parents) < 6:
        assert [line for line, _ in lines] == expected


# pin, impact, blame, why


def test_impact_names_the_models_that_trained_on_a_row(forked: Recast, tmp_path: Path) -> None:
    assert "no pinned model trained on row a" in forked("impact", "a").out
    (tmp_path / "m").mkdir()
    assert forked("pin", "m", "d@v1").out == "m/dataset.lock: m was trained on d@v1\n"
    assert json.loads((tmp_path / "m" / "dataset.lock").read_text())["version"] == "d@v1"
    said = forked("impact", "a", "--json").json
    assert [(m["model"], m["version"], m["completion"]) for m in said["models"]] == [
        (str(tmp_path / "m"), "d@v1", "It has 4 legs.")
    ]
    missing = forked("pin", "nowhere", "d@v1")
    assert missing.code == 2
    assert "nowhere is no folder; expected the folder of the model" in missing.err


def test_history_names_the_version_that_wrote_a_text(forked: Recast) -> None:
    forked("merge", "d", "d/x", "--theirs")
    said = forked("why", "d", "a").out
    assert "d@v3 (by " in said and "; d@v4 (by " in said and "merged it in" in said
    events = forked("blame", "d", "a", "--json").json["events"]
    assert [(e["version"], e["completion"]) for e in events] == [
        ("d@v4", "It had 4 legs."), ("d@v3", "It had 4 legs."), ("d@v2", "It has four long legs."),
        ("d@v1", "It has 4 legs."),
    ]  # fmt: skip


# diff


@pytest.fixture
def edited(recast: Recast, tmp_path: Path) -> Recast:
    before = {
        "sum": "2 + 2 = 4. The answer is 4.", "bold": "It is **4**.", "blank": "a  b", "long": "one two three four",
        "gone": "gone", "same": "same",
    }  # fmt: skip
    after = {
        "sum": "2 + 2 = 5. The answer is 5.", "bold": "It is 4.", "blank": "a b", "long": r"one \frac{1,234}{x} four",
        "new": "new", "same": "same",
    }  # fmt: skip
    recast("import", write(tmp_path / "before.jsonl", before), "--as", "d")
    recast("import", write(tmp_path / "after.jsonl", after), "--as", "d")
    return recast


def test_the_summary_of_a_diff_is_integers(edited: Recast) -> None:
    summary = edited("diff", "d@v1", "d", "--json").json["summary"]
    assert (summary["added"], summary["removed"], summary["changed"], summary["unchanged"]) == (1, 1, 4, 1)
    assert summary["answers_changed"] == 1


def test_words_fold_format_and_sound_the_alarm(edited: Recast) -> None:
    said = edited("diff", "d@v1", "d", "--words", "-n", "9").out
    assert "! the final answer differs in 1 row" in said
    assert "2 + 2 = [-4-]{+5+}. The answer is [-4-]{+5+}." in said
    assert "! the final answer changed: 4 → 5" in said
    assert "only the format changed (--unfold)" in said and "only white space changed (--unfold)" in said
    assert "- one [-two three-] four" in said and r"+ one {+\frac{1,234}{x}+} four" in said
    assert "[-**-]" not in said
    assert "It is [-**4**-]{+4+}." in edited("diff", "d@v1", "d", "--words", "--unfold", "-n", "9").out


def test_rows_of_a_diff_are_chosen(edited: Recast) -> None:
    def ids(*options: str) -> list[str]:
        return [row["row_id"] for row in edited("diff", "d@v1", "d", *options, "--json").json["rows"]]

    assert ids() == ["sum", "bold", "blank", "long", "gone", "new"]
    assert ids("--answers") == ["sum"]
    assert ids("--where", "op = 'add'") == ["new"]
    assert ids("--columns", "answer") == ["gone", "new"]
    assert ids("--limit", "2") == ["sum", "bold"]
    row = edited("diff", "d@v1", "d", "--columns", "completion,task", "--json", "-n", "1").json["rows"][0]
    assert row["values"]["completion"] == ["2 + 2 = 4. The answer is 4.", "2 + 2 = 5. The answer is 5."]
    words = edited("diff", "d@v1", "d", "--words", "--json", "-n", "1").json["rows"][0]["words"]["completion"]
    assert "".join(w[1] for w in words) == row["before"] and "".join(w[2] for w in words) == row["after"]
    wrong = edited("diff", "d@v1", "d", "--columns", "colour")
    assert wrong.code == 2
    assert "there is no column 'colour'; a row has messages, completion" in wrong.err
    wrong = edited("diff", "d@v1", "d", "--where", "colour = 1")
    assert wrong.code == 2
    assert "is not a condition over row_id, target, op, before and after" in wrong.err


def test_a_diff_with_a_file_says_what_it_could_not_read(edited: Recast, tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("key,ask,say\nsame,Of same?,same\nsum,Of sum?,changed\nbroken\n")
    said = edited("diff", "d@v1", "other.csv", "--map", "id=key,prompt=ask,completion=say", "--json")
    assert said.code == 3
    assert (said.json["summary"]["changed"], said.json["summary"]["removed"]) == (1, 4)
    assert [(bad["line"], bad["reason"]) for bad in said.json["bad_rows"]] == [(4, "1 cells, expected 3")]
    said = edited("diff", "d@v1", "d", "--map", "id=key")
    assert said.code == 2
    assert "d is a version; --map, --turn and --dedup say how a file is read" in said.err


def test_a_diff_exits_as_git_does(edited: Recast) -> None:
    assert edited("diff", "d@v1", "d", "--exit-code").code == 1
    assert edited("diff", "d", "d", "--exit-code").code == 0
    assert edited("diff", "d@v1", "d").code == 0
    assert edited("diff", "d", "nowhere").code == 2


def test_signs_that_steer_a_terminal_are_shown_and_not_sent(recast: Recast, tmp_path: Path) -> None:
    evil = "\x1b[2J\x07gone\u202eback\x9b1m\x00"
    recast("import", write(tmp_path / "e.jsonl", {"e\x1b[1m": evil, "f": "f"}), "--as", "e")
    recast("import", write(tmp_path / "f.jsonl", {"e\x1b[1m": f"{evil} {evil}", "f": evil}), "--as", "e")
    for command in (
        ("show", "e", "-n", "9"), ("diff", "e@v1", "e"), ("diff", "e@v1", "e", "--words"), ("blame", "e", "f"),
        ("sql", "SELECT completion FROM e"), ("why", "e", "e"),
        ("import", tmp_path / "e.jsonl", "--as", "g", "--dry-run"),
    ):  # fmt: skip
        said = recast(*command)
        assert said.code == 0, said.err
        assert not {"\x1b", "\x07", "\x9b", "\x00", "\u202e"} & set(said.out + said.err), command
    assert "␛[2J␇gone<U+202E>back<U+009B>1m␀" in recast("show", "e", "-n", "9").out


# import


def test_an_import_shows_how_it_reads_before_it_commits(recast: Recast, tmp_path: Path) -> None:
    file = write(tmp_path / "d.jsonl", {name: f"text of {name}" for name in "abcd"})
    said = recast("import", file, "--as", "d", "--dry-run")
    assert said.code == 0
    assert "is read as question/solution" in said.out and "prompt      from question" in said.out
    assert "text of c" in said.out and "text of d" not in said.out  # three rows
    assert recast("log", "--json").json["versions"] == []
    said = recast("import", file, "--as", "d")
    assert "prompt      from question" in said.err and "d@v1: 4 rows (4 added)" in said.out
    plan = recast("import", file, "--as", "d", "--dry-run", "--json").json
    assert plan["mapping"] == {"id": "id", "prompt": "question", "completion": "solution"}
    assert [row["row_id"] for row in plan["sample"]] == ["a", "b", "c"]


def test_bad_rows_are_kept_for_a_person_to_mend(recast: Recast, tmp_path: Path) -> None:
    file = write(tmp_path / "d.jsonl", {"a": "a"})
    file.write_text(file.read_text() + "oops\n" * 1500)
    said = recast("import", file, "--as", "d", "--json")
    assert said.code == 3
    assert (said.json["failed_rows"], len(said.json["bad_rows"])) == (1500, 1000)
    kept = [json.loads(line) for line in Path(said.json["bad_rows_file"]).read_text().splitlines()]
    assert len(kept) == 1500
    assert kept[-1] == {
        "file": "d.jsonl", "line": 1501, "reason": "not valid JSON: Expecting value at column 1", "text": "oops",
    }  # fmt: skip


def test_a_parent_that_moved_is_refused_with_the_way_out(recast: Recast, tmp_path: Path) -> None:
    file = write(tmp_path / "d.jsonl", {"a": "a"})
    recast("import", file, "--as", "d")
    assert recast("import", write(file, {"a": "b"}), "--as", "d", "--expect-parent", "d@v1").code == 0
    said = recast("import", write(file, {"a": "c"}), "--as", "d", "--expect-parent", "d@v1")
    assert said.code == 4
    assert "the head of d is d@v2, not d@v1" in said.err and "--expect-parent d@v2" in said.err


def test_a_turn_is_chosen(recast: Recast, tmp_path: Path) -> None:
    turns = [("user", "hi"), ("assistant", "ho"), ("user", "2+2?"), ("assistant", "4")]
    chat = {"messages": [{"role": role, "content": text} for role, text in turns]}
    (tmp_path / "c.jsonl").write_text(json.dumps(chat))
    for turn, text in (("0", "ho"), ("-1", "4")):
        plan = recast("import", "c.jsonl", "--as", "c", "--turn", turn, "--dry-run", "--json").json
        assert plan["sample"][0]["completion"] == text
    said = recast("import", "c.jsonl", "--as", "c", "--turn", "5")
    assert said.code == 2
    assert "turn 5 asked for, but the assistant speaks 2 times" in said.err


@pytest.mark.parametrize(
    "name", ["../x", "a'; DROP TABLE versions; --", 'a"b', "a b", "-x", "x" * 200, "a/../b", ""]
)
def test_names_that_are_none_are_refused(recast: Recast, tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "d.jsonl", {"a": "a"})
    recast("import", file, "--as", "d")
    for command in (("import", file, "--as", name), ("tag", "d", f"t{name}"), ("branch", "d", f"b{name}")):
        if command[0] != "import" and name in ("", "-x"):
            continue  # `t` and `t-x` are names
        said = recast(*command)
        assert said.code == 2, (command, said.out)
        assert "is not a reference; write NAME" in said.err
    assert [p.name for p in tmp_path.iterdir() if p.name != ".recast"] == ["d.jsonl"]
    assert recast("log", "--json").json["versions"][0]["ref"] == "d@v1"


# strangers with real files


MAP = "id=item_id,prompt=question,completion=answer_cot,answer=answer_value"


def test_a_stranger_compares_two_solutions_of_one_problem_set(recast: Recast, shared_data: Path) -> None:
    first = recast(
        "import", shared_data / "mwp/svamp_python_sdp.jsonl", "--as", "mwp", "--map", MAP, "--json"
    ).json
    second = recast("import", shared_data / "mwp/svamp_nl.jsonl", "--as", "mwp", "--map", MAP, "--json").json
    # 3043 programs, 3076 texts, 3023 problems in both
    assert (first["version"], first["rows"], first["answers"]) == ("mwp@v1", 3043, 3043)
    assert (second["added"], second["changed"], second["removed"]) == (53, 3023, 20)
    said = recast("diff", "mwp@v1", "mwp@v2", "--words", "-n", "1").out
    assert "3,023 changed   53 added   20 removed" in said
    # 8 rows round otherwise (0.165 and 0.17); 6 say 6% for 6.0, which is undecided without the question
    assert "! the final answer differs in 14 rows (--answers shows only these)" in said
    assert "- [-def solution():" in said and "Therefore, the answer is <203>.+}" in said
    shown = recast("diff", "mwp@v1", "mwp@v2", "--answers", "-n", "99", "--json").json["rows"]
    assert len(shown) == 14 and all(row["answer_changed"] for row in shown)


@pytest.mark.parametrize(
    "file, options, rows, answers, duplicates",
    [
        ("pubmedqa/pqal_1000.jsonl", (), 1000, 1000, 0),
        ("gpteacher/codegen.jsonl", (), 4535, 0, 0),
        ("mmlu/dev.jsonl", ("--dedup",), 284, 284, 1),
        ("mmlu/val.jsonl", ("--dedup",), 1529, 1529, 2),
    ],
)
def test_files_that_people_have_import(
    recast: Recast,
    shared_data: Path,
    file: str,
    options: tuple[str, ...],
    rows: int,
    answers: int,
    duplicates: int,
) -> None:
    said = recast("import", shared_data / file, "--as", "x", *options, "--json")
    assert said.code == 0
    found = said.json
    assert (found["rows"], found["answers"], found["duplicates"]) == (rows, answers, duplicates)
    assert sum(found["lengths"].values()) == rows


def test_a_question_that_occurs_twice_is_named_with_the_way_out(recast: Recast, shared_data: Path) -> None:
    said = recast("import", shared_data / "mmlu/val.jsonl", "--as", "x")
    assert said.code == 2
    assert "line 135: the same prompt and completion as on line 65" in said.err and "--dedup" in said.err


def test_a_bomb_is_refused_and_leaves_nothing(recast: Recast, tmp_path: Path, monkeypatch: Any) -> None:
    from recast.curate.ingest import streams

    monkeypatch.setattr(streams, "EXPANDED_BYTES", 4 << 20)
    line = b'{"question": "q", "solution": "' + b"a" * (64 << 20) + b'"}\n'
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(line))
    said = recast("import", "bomb.jsonl.gz", "--as", "x")
    assert said.code == 2
    assert "refused as a decompression bomb. Decompress it yourself if it is real." in said.err
    assert not (tmp_path / ".recast" / "catalog.duckdb").exists()


def test_rebuild_brings_a_deleted_catalog_back_and_import_is_refused_until_then(
    recast: Recast, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "1+1?", "solution": "It is 2."}\n')
    assert recast("import", "a.jsonl", "--as", "sums").code == 0
    assert recast("tag", "sums", "ready").code == 0
    before = recast("log", "sums", "--json").json
    (tmp_path / ".recast" / "catalog.duckdb").unlink()
    for words in (("import", "a.jsonl", "--as", "other"), ("gc", "--grace", "0"), ("log",), ("log", "sums")):
        said = recast(*words)
        assert said.code == 5 and "recast rebuild" in said.err, words
    assert recast("verify").code == 5
    tried = recast("rebuild", "--dry-run")
    assert "would make the catalog again from the manifests (1 version, 2 refs, 0 pins)" in tried.out
    assert "the catalog is lost" in tried.out and recast("log").code == 5
    assert recast("rebuild", "--json").json["missing_parts"] == []
    assert recast("log", "sums", "--json").json == before
    assert recast("verify", "--deep").code == 0
