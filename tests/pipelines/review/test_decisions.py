"""Decisions on disk: what a replay finds, what a kill cannot break, what two reviewers come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.curate.errors import DataError, UsageError
from recast.pipelines.review.decisions import Event, Header, Review, merge, splice
from recast.pipelines.review.log import Log, read

HEADER = Header("craft@v1", "ab" * 16, "ann")


def event(number: int, kind: Any = "decide", row: str = "r", **more: Any) -> Event:
    decided = {"action": "accept", "seen": "5e"} if kind == "decide" else {}
    return Event(
        f"id-{number:06d}",
        kind,
        row,
        0,
        **{"at": f"2026-11-29T12:{number % 60:02d}:00+00:00", **decided, **more},
    )


def review(*events: Event, reviewer: str = "ann") -> Review:
    made = Review(Header("craft@v1", "ab" * 16, reviewer))
    for each in events:
        made.apply(each)
    return made


def test_what_is_written_is_what_a_new_process_finds(tmp_path: Path) -> None:
    path = tmp_path / "reviews" / "ann.jsonl"
    with Log(path, HEADER) as log:
        log.append(event(1))
        log.append(
            event(
                2, row="s", action="edit", text="Línea\u2028 \u202e <b>", note="näher", reasons=("unclear",)
            )
        )
        log.append(event(3, "note", "r", note="good"))
    with Log(path, HEADER) as again:
        assert again.review.rows == read(path).rows
        assert again.review.standing(("s", 0)).text == "Línea\u2028 \u202e <b>"
        assert again.review.standing(("r", 0)).note == "good"
        assert again.review.counts() == {"accept": 1, "edit": 1}


def test_a_line_that_a_kill_cut_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ann.jsonl"
    with Log(path, HEADER) as log:
        log.append(event(1))
    whole = path.read_bytes()
    for cut in (1, 17, len(json.dumps(event(2).to_json()))):
        path.write_bytes(whole + json.dumps(event(2).to_json()).encode()[:cut])
        with Log(path, HEADER) as log:
            assert log.review.counts() == {"accept": 1}
            log.append(event(3, row="s"))
        assert [json.loads(line).get("id") for line in path.read_text().splitlines()] == [
            None,
            "id-000001",
            "id-000003",
        ]
        path.write_bytes(whole)


def test_an_event_that_comes_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "ann.jsonl"
    with Log(path, HEADER) as log:
        for _ in range(3):
            log.append(event(1))
    assert len(path.read_text().splitlines()) == 2


def test_two_processes_cannot_write_one_file(tmp_path: Path) -> None:
    with (
        Log(tmp_path / "ann.jsonl", HEADER),
        pytest.raises(UsageError, match="open in another `recast review`"),
    ):
        Log(tmp_path / "ann.jsonl", HEADER)


def test_decisions_about_another_version_are_refused(tmp_path: Path) -> None:
    Log(tmp_path / "ann.jsonl", HEADER).close()
    with pytest.raises(DataError, match=r"about craft@v1 .* not about craft@v2"):
        Log(tmp_path / "ann.jsonl", Header("craft@v2", "cd" * 16, "ann"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "line 2 holds a list"),
        ("{", "line 2 is not JSON"),
        ('{"id": "12345678", "kind": "eat", "row_id": "r"}', "line 2 is no event: `kind`"),
        (
            '{"id": "12345678", "kind": "decide", "row_id": "r", "seen": "5e"}',
            "it decides and has no `action`",
        ),
        (
            '{"id": "12345678", "kind": "decide", "row_id": "r", "action": "accept"}',
            "does not say about which text",
        ),
        (
            '{"id": "12345678", "kind": "decide", "row_id": "r", "seen": "5e", "action": "edit"}',
            "it edits and has no",
        ),
        ('{"id": "12345678", "kind": "note", "note": "x"}', "it names no row"),
        (
            '{"id": "12345678", "kind": "reasons", "row_id": "r", "reasons": ["ugly"]}',
            "there is no reason 'ugly'",
        ),
    ],
)
def test_what_is_no_event_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "ann.jsonl"
    Log(path, HEADER).close()
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError) as raised:
        read(path)
    assert said in str(raised.value)


def test_another_file_is_no_file_of_decisions(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"question": "?"}\n')
    with pytest.raises(DataError, match="line 1 is no file of decisions"):
        read(tmp_path / "x.jsonl")


def test_undo_goes_back_decision_by_decision() -> None:
    found = review(event(1, action="defer"), event(2, action="accept"), event(3, row="s", action="expert"))
    assert found.last is not None and found.last.row_id == "s"
    found.apply(event(4, "undo", "", undoes="id-000003"))
    assert found.standing(("s", 0)).action is None
    found.apply(event(5, "undo", "", undoes="id-000002"))
    assert found.standing(("r", 0)).action == "defer", "the decision before stands again"
    found.apply(event(6, "undo", "", undoes="id-000002"))
    assert found.standing(("r", 0)).action == "defer", "what is undone is undone once"


def test_undoing_an_edit_gives_its_text_back_as_a_draft() -> None:
    found = review(event(1, "draft", text="Two"), event(2, action="edit", text="Two and two"))
    assert found.standing(("r", 0)).draft is None
    found.apply(event(3, "undo", "", undoes="id-000002"))
    assert found.standing(("r", 0)).draft == "Two and two"


def test_undo_keeps_note_and_reasons() -> None:
    found = review(
        event(1, "note", note="why"), event(2, "reasons", reasons=("format",)), event(3, action="expert")
    )
    found.apply(event(4, "undo", "", undoes="id-000003"))
    assert (found.standing(("r", 0)).note, found.standing(("r", 0)).reasons) == ("why", ("format",))


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_drafts_replay_to_what_was_typed(texts: list[str]) -> None:
    found = review()
    for number, text in enumerate(texts):
        start, end, put = splice(found.standing(("r", 0)).draft or "", text)
        found.apply(event(number, "draft", text=put, start=start, end=end))
        assert found.standing(("r", 0)).draft == text


def test_speed_leaves_pauses_out() -> None:
    times = ["12:00:00", "12:00:10", "12:00:20", "14:00:20"]  # 10 s, 10 s, and a pause that counts 300 s
    found = review(*(event(n, row=f"r{n}", at=f"2026-11-29T{t}+00:00") for n, t in enumerate(times)))
    assert found.rows_an_hour() == pytest.approx(3600 * 3 / 320)


def test_two_reviewers_agree_add_and_conflict() -> None:
    ann = review(
        event(1, row="same"), event(2, row="differs", action="accept"), event(3, row="later", action="defer")
    )
    bob = review(
        event(11, row="same"),
        event(12, row="differs", action="expert", note="wrong sum", reasons=("wrong_step",)),
        event(13, row="later", action="suspect"),
        event(14, row="new", action="edit", text="Better."),
        event(15, row="open", action="defer"),
        reviewer="bob",
    )
    merged = merge(ann, bob)
    assert merged.to_json() == {"agreed": 1, "taken": 2, "conflicts": 1}
    for each in (*merged.taken, *merged.conflicts):
        ann.apply(each)
    assert (ann.standing(("new", 0)).text, ann.standing(("new", 0)).by) == ("Better.", "bob")
    assert ann.standing(("later", 0)).action == "suspect"
    queued = ann.standing(("differs", 0))
    assert not queued.settled and queued.theirs is not None
    assert (queued.theirs.action, queued.theirs.by, queued.theirs.note) == ("expert", "bob", "wrong sum")
    again = merge(ann, bob)
    assert (again.taken, again.conflicts) == ((), ()), "merging again finds nothing new"
    ann.apply(event(20, row="differs", action="expert"))
    assert ann.standing(("differs", 0)).settled, "deciding settles it"
    assert ann.last is not None and ann.last.id == "id-000020"


def test_the_same_edit_is_agreement_and_another_is_none() -> None:
    ann = review(event(1, action="edit", text="A."))
    assert merge(ann, review(event(2, action="edit", text="A."), reviewer="bob")).agreed == 1
    assert len(merge(ann, review(event(2, action="edit", text="B."), reviewer="bob")).conflicts) == 1


def test_decisions_about_different_versions_are_not_merged() -> None:
    other = Review(Header("craft@v2", "cd" * 16, "bob"))
    with pytest.raises(UsageError, match="about craft@v2"):
        merge(review(), other)
