"""Diffs: exact under any history, summaries with hand-worked numbers."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recast.curate.errors import IntegrityError, UsageError
from recast.curate.fingerprint import row_id
from recast.curate.history.diff import Diff, diff
from recast.curate.store.parts import part_path
from recast.curate.store.store import Store


def row(n: int, completion: str, **more: Any) -> dict[str, Any]:
    return {
        "row_id": f"r{n}",
        "messages": [{"role": "user", "content": "q"}],
        "completion": completion,
    } | more


def contents(store: Store, ref: str) -> dict[tuple[str, int], dict[str, Any]]:
    return {(r["row_id"], r["target"]): r for r in store.open(ref).rows()}


def applied(change: Diff, to: dict[tuple[str, int], dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    rows = dict(to)
    for r in change.rows():
        key = r.row_id, r.target
        if r.before is not None:
            was = rows.pop(key)
            assert {k: was[k] for k in r.before} == r.before
        if r.after is not None:
            rows[key] = {"row_id": r.row_id, "target": r.target, **r.after}
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_the_summary_counts_what_a_hand_would(store: Store) -> None:
    store.commit(
        [
            row(1, "same"),
            row(2, "The answer is 4.", answer="4", nll_completion=1.0),
            row(3, "It is 5. The answer is 5.", answer="5", nll_completion=1.0),
            row(4, "gone"),
            row(5, "scored"),
        ],
        "a",
    )
    store.commit(
        [
            row(1, "same"),
            row(2, "2+2=4. The answer is 4.", answer="4", nll_completion=0.25, decision="rewrite"),
            row(3, "The answer is 6.", answer="5", nll_completion=0.75, decision="rewrite"),
            row(5, "scored", nll_completion=0.5),
            row(6, "new"),
        ],
        "b",
        parent="a",
    )
    change = diff(store, "a", "b")
    assert change.counts == {"added": 1, "removed": 1, "changed": 2, "rescored": 1}
    summary = change.summary
    assert (summary.added, summary.removed, summary.changed, summary.rescored, summary.unchanged) == (
        1,
        1,
        2,
        1,
        1,
    )
    # demonstration defaults to the completion, so it differs where the completion does
    assert summary.columns == {"completion": 2, "demonstration": 2, "decision": 2, "nll_completion": 3}
    assert summary.decisions == {"expert -> rewrite": 2}
    assert summary.answers_changed == 1  # row 3: 5 -> 6
    assert summary.nll_change == pytest.approx((-0.75 - 0.25) / 2)  # row 5 had no nll before
    # characters: 16 -> 23 (+7), 25 -> 16 (-9), 6 -> 6
    assert summary.length_change == pytest.approx((7 - 9 + 0) / 3)


def test_rows_come_with_both_sides_and_can_be_chosen(store: Store) -> None:
    store.commit([row(n, f"old {n}") for n in range(4)], "a")
    store.commit(
        [row(0, "old 0"), row(1, "new 1"), row(2, "new 2", decision="rewrite"), row(9, "added")], "a"
    )
    change = diff(store, "a@v1", "a@v2")
    assert [(r.row_id, r.op) for r in change.rows()] == [
        ("r1", "change"), ("r2", "change"), ("r3", "remove"), ("r9", "add"),
    ]  # fmt: skip
    first, second, removed, added = change.rows()
    assert (first.before or {})["completion"] == "old 1" and (first.after or {})["completion"] == "new 1"
    assert (first.before or {})["messages"] == [{"role": "user", "content": "q"}]
    assert second.columns == ("completion", "demonstration", "decision")
    assert removed.after is None and added.before is None and added.columns == ()
    assert [o.kind for o in first.words()] == ["replace", "equal"]
    assert [o.after for o in added.words()] == ["added"]
    assert [r.row_id for r in change.rows(ops=["add", "remove"])] == ["r3", "r9"]
    assert [r.row_id for r in change.rows(where="after.decision = 'rewrite'")] == ["r2"]
    assert [r.row_id for r in change.rows(limit=1)] == ["r1"]
    assert list(next(change.rows(["task"])).before or {}) == ["task"]
    with pytest.raises(UsageError, match="is not a condition"):
        list(change.rows(where="nonsense >"))


def test_float_noise_is_not_a_changed_answer(store: Store) -> None:
    store.commit([row(1, "x", answer="0.4166666666666667"), row(2, "x", answer="3.2222")], "a")
    store.commit([row(1, "The answer is 0.41666666666666663", answer="0.4166666666666667"),
                  row(2, "The answer is 3.22", answer="3.2222")], "a")  # fmt: skip
    change = diff(store, "a@v1", "a")
    assert [r.answer_changed for r in change.rows()] == [False, True]
    assert change.summary.answers_changed == 1


def test_backwards_undoes_and_equal_versions_differ_in_nothing(store: Store) -> None:
    store.commit([row(n, "a") for n in range(5)], "a")
    store.commit([row(n, "b") for n in range(3, 8)], "a")
    forth, back = diff(store, "a@v1", "a@v2"), diff(store, "a@v2", "a@v1")
    assert forth.counts == {"added": 3, "removed": 3, "changed": 2, "rescored": 0}
    assert back.counts == {"added": 3, "removed": 3, "changed": 2, "rescored": 0}
    assert applied(back, contents(store, "a@v2")) == contents(store, "a@v1")
    assert diff(store, "a", "a").empty


def test_branches_are_compared_through_their_common_ancestor(store: Store) -> None:
    store.commit([row(n, "base") for n in range(6)], "a")
    store.branch("a", "x")
    store.commit([row(1, "left"), row(2, "both")], "a", mode="patch")
    store.commit([row(2, "both"), row(3, "right")], "a/x", mode="patch", remove=[("r4", 0)])
    change = diff(store, "a", "a/x")
    assert [(r.row_id, r.op) for r in change.rows()] == [("r1", "change"), ("r3", "change"), ("r4", "remove")]
    assert applied(change, contents(store, "a")) == contents(store, "a/x")


def test_data_sets_without_common_history_are_compared_by_key(store: Store) -> None:
    store.commit([row(1, "x"), row(2, "same")], "a")
    store.commit([row(2, "same"), row(1, "y"), row(3, "z")], "b")
    change = diff(store, "a", "b")
    assert change.counts == {"added": 1, "removed": 0, "changed": 1, "rescored": 0}
    assert applied(change, contents(store, "a")) == contents(store, "b")


def test_a_version_is_compared_with_a_file(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    lines = [
        {"id": f"r{n}", "question": "q", "answer": text}
        for n, text in [(1, "same"), (2, "new"), (4, "added")]
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    store.commit([row(1, "same"), row(2, "old"), row(3, "gone")], "a")
    parts = set((store.root / "parts").rglob("*.parquet"))
    change = diff(store, "a", str(file))
    assert (change.a.ref, change.b.ref) == ("a@v1", "new.jsonl")
    assert change.counts == {"added": 1, "removed": 1, "changed": 1, "rescored": 0}
    assert [(r.row_id, r.op) for r in change.rows()] == [("r2", "change"), ("r3", "remove"), ("r4", "add")]
    assert store.names() == ["a"]
    del change
    assert set((store.root / "parts").rglob("*.parquet")) == parts
    with pytest.raises(UsageError, match="no data set 'nowhere'"):
        diff(store, "a", "nowhere")


@pytest.mark.parametrize(
    "before, after, edit",
    [
        ("The answer is 4.", "The answer is 5.", "answer"),
        ("2 + 2 = 4", "2  +  2 = 4", "blanks"),
        ("so **4** apples", "so 4 apples", "format"),
        ("four apples", "4 apples", "words"),
        ("same", "same", "other columns"),
    ],
)
def test_edits_are_told_apart(store: Store, before: str, after: str, edit: str) -> None:
    store.commit([row(1, before)], "a")
    store.commit([row(1, after, task="t")], "a")
    (found,) = diff(store, "a@v1", "a").rows()
    assert found.edit == edit
    if edit == "answer":
        assert found.answers == ("4", "5")


def test_a_rewrite_that_became_a_fallback_is_counted(store: Store) -> None:
    store.commit([row(1, "x", decision="rewrite"), row(2, "y", decision="repair"), row(3, "z")], "a")
    store.commit([row(n, "e", decision="fallback") for n in (1, 2, 3)], "a")
    summary = diff(store, "a@v1", "a").summary
    assert summary.gate_pass_to_fail == 2
    assert summary.decisions["expert -> fallback"] == 1


def test_the_nll_of_an_expert_text_is_what_its_rewriting_measured(store: Store) -> None:
    store.commit([row(1, "expert"), row(2, "other")], "a")
    rewritten = {"demonstration": "expert", "nll_demonstration": 0.75, "nll_completion": 0.25}
    store.commit([row(1, "mine", **rewritten), row(2, "kept", **rewritten)], "b", parent="a")
    change = diff(store, "a", "b")
    # row 2 was no text that the rewriting read, so nothing is known of its NLL before
    assert change.summary.nll_change == pytest.approx(0.25 - 0.75)
    assert [r.nll for r in change.rows()] == [(0.75, 0.25), (None, 0.25)]


ROWS = st.dictionaries(
    st.tuples(st.integers(0, 7), st.integers(0, 1)),
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, 0.5, 1.0])),
    max_size=8,
)


@given(st.lists(st.tuples(st.sampled_from(["a", "a", "a/x", "b"]), ROWS), min_size=2, max_size=4))
@settings(max_examples=5, deadline=None)
def test_a_diff_applied_to_one_version_gives_the_other(commits: list[tuple[str, dict[Any, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.commit([], "a")
        store.branch("a", "x")
        refs = ["a@v1"]
        for name, rows in commits:
            given_rows = [
                {"row_id": str(k), "target": t, "messages": [], "completion": c, "nll_self": s}
                for (k, t), (c, s) in rows.items()
            ]
            refs.append(store.commit(given_rows, name).ref)
        held = {ref: contents(store, ref) for ref in refs}
        for a in refs[:-1]:
            assert applied(diff(store, a, refs[-1]), held[a]) == held[refs[-1]]
        assert applied(diff(store, refs[-1], refs[1]), held[refs[-1]]) == held[refs[1]]


# rows without ids


def asked(question: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [{"content": question, "role": "user"}]
    return {"row_id": row_id(messages, answer), "messages": messages, "completion": answer, **more}


def test_rows_without_ids_that_changed_are_changed_rows(store: Store) -> None:
    ask = "How many apples does Ann have after she buys {} more?"
    before = [
        asked("2+2?", "It is 5."),  # another answer to the same prompt
        asked(ask.format(2), "She has 3 + 2 = 5 apples."),  # another prompt with the same answer
        asked(
            "What is the capital of the Kingdom of Spain?", "The capital of Spain is Madrid."
        ),  # both, a little
        asked("Who wrote Emma?", "Jane Austen."),  # gone
        asked("same", "same"),
    ]
    after = [
        asked("2+2?", "It is 4."),
        asked(ask.format("two"), "She has 3 + 2 = 5 apples."),
        asked(
            "What is the capital of the Kingdom of Spain today?", "The capital of Spain is Madrid, of course."
        ),
        asked("Where is Kyoto?", "In Japan."),  # new
        asked("same", "same"),
    ]
    store.commit(before, "a")
    store.commit(after, "a")
    change = diff(store, "a@v1", "a")
    assert change.counts == {"added": 1, "removed": 1, "changed": 3, "rescored": 0}
    rows = list(change.rows())
    assert [(r.op, r.was, r.row_id) for r in rows if r.op == "change"] == [
        ("change", old["row_id"], new["row_id"]) for old, new in zip(before[:3], after[:3], strict=True)
    ]
    assert {(r.op, r.row_id) for r in rows if r.op != "change"} == {
        ("remove", before[3]["row_id"]), ("add", after[3]["row_id"]),
    }  # fmt: skip
    first = next(r for r in rows if r.was == before[0]["row_id"])
    assert (first.before or {})["completion"] == "It is 5." and first.columns == (
        "completion",
        "demonstration",
    )
    assert [r.was for r in change.rows(ops=["remove"])] == [None]
    summary = change.summary
    assert (summary.changed, summary.unchanged, summary.columns["messages"]) == (3, 1, 2)


def test_several_answers_to_one_prompt_are_paired_by_likeness(store: Store) -> None:
    old = ["First add three and four to get seven.", "Count the fingers of one hand and two more."]
    store.commit([asked("3+4?", text) for text in old], "a")
    new = ["Count the fingers of one hand, and two more.", "First add three and four, to get seven."]
    store.commit([asked("3+4?", text) for text in new], "a")
    found = {
        (r.before or {})["completion"]: (r.after or {})["completion"] for r in diff(store, "a@v1", "a").rows()
    }
    assert found == {old[0]: new[1], old[1]: new[0]}


def test_rows_with_ids_do_not_count_to_the_most_that_are_paired(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recast.curate.history.diff._PAIRED_ROWS", 1)
    store.commit([*(row(n, "old") for n in range(3)), asked("2+2?", "It is 5.")], "a")
    store.commit([*(row(n, "new") for n in range(3, 6)), asked("2+2?", "It is 4.")], "a")
    assert diff(store, "a@v1", "a").counts == {"added": 3, "removed": 3, "changed": 1, "rescored": 0}


def test_rows_with_ids_of_their_own_are_never_paired(store: Store) -> None:
    store.commit([row(1, "the same words"), asked("q", "a")], "a")
    store.commit([row(2, "the same words"), row(3, "a") | {"row_id": "0" * 32}], "a")
    assert diff(store, "a@v1", "a").counts == {"added": 2, "removed": 2, "changed": 0, "rescored": 0}


@pytest.mark.parametrize(
    "before, after, told",
    [
        (
            "caf\u00e9",
            "cafe\u0301",
            "composed otherwise (NFC, NFD): \u00e9 (U+00E9) is now e (U+0065) + U+0301",
        ),
        ("pay", "p\u0430y", "signs that look alike: a (U+0061) is now \u0430 (U+0430)"),
        ("a b", "a\u00a0b", "signs that look alike: U+0020 is now U+00A0"),
        ("ab", "a\u200bb", "signs that look alike: nothing is now U+200B"),
        (
            "12",
            "\uff11\uff12",
            "signs that look alike: 1 (U+0031) + 2 (U+0032) is now \uff11 (U+FF11) + \uff12 (U+FF12)",
        ),
        ("x\u00b2", "x2", None),
        ("cat", "cut", None),
    ],
)
def test_texts_that_only_look_the_same_are_told(
    store: Store, before: str, after: str, told: str | None
) -> None:
    store.commit([row(1, before)], "a")
    store.commit([row(1, after)], "a")
    (found,) = diff(store, "a@v1", "a").rows()
    assert found.look_alikes == ({"completion": told} if told else {})
    assert (found.edit == "look-alikes") == (told is not None)


@pytest.mark.parametrize(
    "before, after, noise",
    [
        ({"x": 0.3, "y": [1]}, {"x": 0.1 + 0.2, "y": [1]}, True),
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": 0.3}, {"x": 0.31}, False),
        ({"x": 0.3}, {"x": 0.1 + 0.2, "y": 1}, False),
        ({"x": 1}, {"x": 2}, False),
        ({"x": 1}, {"x": True}, False),
    ],
)
def test_what_floats_leave_behind_is_told_apart(
    store: Store, before: dict[str, Any], after: dict[str, Any], noise: bool
) -> None:
    store.commit([row(1, "a", meta=before)], "a")
    store.commit([row(1, "a", meta=after)], "a")
    (found,) = diff(store, "a@v1", "a").rows()
    assert found.columns == ("meta",) and found.noise == (("meta",) if noise else ())
    assert found.edit == ("float noise" if noise else "other columns")


def sides(change: Diff) -> dict[str, tuple[str | None, str | None]]:
    """Both texts of every row that differs."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for keys, before, after in change.batches(["completion"]):
        texts = (side.column("completion").to_pylist() for side in (before, after))
        found |= dict(zip(keys.column("row_id").to_pylist(), zip(*texts, strict=True), strict=True))
    return found


def rows_part(store: Store) -> Path:
    """The file that holds the rows of the store's first version."""
    with store.catalog.reading() as con:
        ((part,),) = con.execute("SELECT id FROM parts WHERE kind = 'rows'").fetchall()
    return part_path(store.root, part)


def test_the_log_of_a_small_change_keeps_the_texts_that_it_took_away(store: Store) -> None:
    rows = [row(n, f"old {n}") for n in range(100)]
    store.commit(rows, "a")
    first = rows_part(store)
    store.commit([*rows[:3], row(3, "new 3"), *rows[4:99], row(100, "added")], "a")
    first.unlink()
    said = {"r3": ("old 3", "new 3"), "r99": ("old 99", None), "r100": (None, "added")}
    assert sides(diff(store, "a@v1", "a@v2")) == said
    assert sides(diff(store, "a@v2", "a@v1")) == {key: texts[::-1] for key, texts in said.items()}
    with pytest.raises(IntegrityError, match="is missing"):  # what no log keeps is where it was
        list(diff(store, "a@v1", "a@v2").rows(["messages", "completion"]))


def test_a_part_that_is_lost_does_not_stop_the_next_version(store: Store) -> None:
    rows = [row(n, f"old {n}") for n in range(100)]
    store.commit(rows, "a")
    first = rows_part(store)
    kept = first.read_bytes()
    first.unlink()
    store.commit([row(3, "new 3")], "a", mode="patch")
    first.write_bytes(kept)
    assert sides(diff(store, "a@v1", "a@v2")) == {"r3": ("old 3", "new 3")}


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 44), st.sampled_from(["x", "y", "z", None]), max_size=3),
        min_size=2,
        max_size=5,
    )
)
def test_kept_texts_are_those_of_the_versions(history: list[dict[int, str | None]]) -> None:
    """Whatever small changes follow one another, a diff says what the two versions hold (40 rows: two are 5 %)."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "home")
        rows: dict[str, str] = {f"r{n}": "x" for n in range(40)}
        past = [rows]
        store.commit([row(n, "x") for n in range(40)], "a")
        for edit in history:
            rows = {k: v for k, v in (rows | {f"r{n}": t for n, t in edit.items()}).items() if v is not None}
            store.commit([row(int(k[1:]), v) for k, v in rows.items()], "a")
            past.append(rows)
        for i, old in enumerate(past):
            for j, new in enumerate(past):
                differ = {k: (old.get(k), new.get(k)) for k in old | new if old.get(k) != new.get(k)}
                assert sides(diff(store, f"a@v{i + 1}", f"a@v{j + 1}")) == differ
