"""Decisions as versions: what changes, what is told, what is refused; queues; and the verb around them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recast.curate.errors import RefusedError, UsageError
from recast.curate.gate.gate import load_gate
from recast.curate.history.diff import diff
from recast.curate.history.lineage import blame, why
from recast.curate.history.merge import ConflictsError, merge
from recast.curate.history.reviews import seen_of
from recast.curate.store.store import Store
from recast.pipelines.review.commit import commit
from recast.pipelines.review.decisions import Event, Header, Review
from recast.pipelines.review.log import log_path
from recast.pipelines.review.session import NeedsNote, Session
from tests.conftest import Said
from tests.fakes.review import small, sums, with_candidates

GATE = load_gate("math")
RIGHT = (
    "13 times 14 is 182: 13 * 14 = 182 pens. Without 13 of them 182 - 13 = 169 are left. The answer is 169."
)


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store with twelve rewritten sums; the fourth and the eleventh have a false one."""
    folder = tmp_path_factory.mktemp("twelve") / "home"
    with_candidates(Store(folder), list(sums(12)))
    return folder


@pytest.fixture
def store(twelve: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(twelve, tmp_path / "home"))


def decided(
    store: Store, ref: str = "craft-rewrites", reviewer: str = "ann", **rows: dict[str, Any]
) -> Review:
    version = store.resolve(ref)
    review = Review(Header(version.ref, version.id, reviewer))
    texts = {row["row_id"]: row["completion"] for row in store.open(version).rows()}
    for number, (name, said) in enumerate(rows.items()):
        row_id = name.replace("_", "-")
        review.apply(
            Event(
                f"{reviewer}-{number}",
                "decide",
                row_id,
                0,
                at="2026-11-29T12:00:00+00:00",
                seen=seen_of(texts[row_id]),
                **said,
            )
        )
    return review


def test_the_version_holds_what_was_decided_and_no_row_comes_or_goes(store: Store) -> None:
    review = decided(
        store,
        sum_000000={"action": "accept"},
        sum_000003={"action": "expert", "reasons": ("wrong_step",), "note": "3 * 14"},
        sum_000010={"action": "edit", "text": RIGHT, "reasons": ("wrong_step",)},
        sum_000004={"action": "suspect"},
        sum_000005={"action": "defer"},
    )
    done = commit(store, store.resolve("craft-rewrites"), review, GATE)
    assert done.version is not None and done.version.ref == "craft-rewrites@v2"
    assert (done.version.rows, done.version.changed, done.version.added, done.version.removed) == (
        12,
        4,
        0,
        0,
    )
    assert (done.version.author, done.version.parent) == ("ann", "craft-rewrites@v1")
    assert done.counts == {"accepted": 1, "expert": 1, "edited": 1, "suspect": 1} and done.deferred == 1
    assert done.version.meta["review"]["reviewers"] == ["ann"]
    rows = {row["row_id"]: row for row in store.open(done.version).rows()}
    assert rows["sum-000010"]["completion"] == RIGHT and rows["sum-000010"]["decision"] == "edited"
    assert rows["sum-000010"]["nll_completion"] is None, "nobody measured the new text"
    assert rows["sum-000010"]["gate_id"] == GATE.id and rows["sum-000010"]["agent_id"] is None
    back = rows["sum-000003"]
    assert (back["completion"], back["decision"], back["reason"]) == (
        back["demonstration"],
        "fallback",
        "wrong_step",
    )
    assert back["meta"]["review"] == {"decision": "expert", "reasons": ["wrong_step"], "note": "3 * 14"}
    assert rows["sum-000000"]["decision"] == "rewrite" and rows["sum-000000"]["meta"]["review"] == {
        "decision": "accepted"
    }
    assert "review" not in (rows["sum-000005"]["meta"] or {})


def test_why_and_blame_tell_of_the_review(store: Store) -> None:
    review = decided(
        store,
        sum_000000={"action": "accept", "note": "reads well"},
        sum_000003={"action": "expert", "reasons": ("wrong_step",)},
        sum_000010={"action": "edit", "text": "It is 169.", "note": "short is fine"},
    )
    commit(store, store.resolve("craft-rewrites"), review, GATE)
    told = why(store, "craft-rewrites", "sum-000000")
    assert "was rewritten by agent a1b2c3 in craft-rewrites@v1" in told, "the review did not write the text"
    assert "; ann accepted it in craft-rewrites@v2" in told and "noting 'reads well'" in told
    assert "has the expert's text back, as a reviewer chose in craft-rewrites@v2" in why(
        store, "craft-rewrites", "sum-000003"
    )
    edited = why(store, "craft-rewrites", "sum-000010")
    assert (
        "was edited by a person in craft-rewrites@v2" in edited
        and "though the gate does not accept it" in edited
    )
    newest = blame(store, "craft-rewrites", "sum-000010")[0].to_json()
    assert newest["review"] == {
        "decision": "edited",
        "note": "short is fine",
        "gate_overruled": True,
        "by": "ann",
    }
    assert "review" not in blame(store, "craft-rewrites", "sum-000001")[0].to_json()


def test_an_edit_that_the_gate_refuses_needs_a_note(store: Store) -> None:
    wrong = {"action": "edit", "text": "13 * 14 = 183. The answer is 169."}
    with pytest.raises(
        RefusedError, match=r"does not accept 1 edits that have no note, such as that of row sum-000010"
    ):
        commit(store, store.resolve("craft-rewrites"), decided(store, sum_000010=wrong), GATE)
    assert not store.has("craft-rewrites@v2")
    noted = decided(store, sum_000010=wrong | {"note": "a typing error kept on purpose"})
    assert commit(store, store.resolve("craft-rewrites"), noted, GATE).overruled == ("sum-000010",)


def test_the_same_decisions_make_one_version(store: Store) -> None:
    review = decided(store, sum_000000={"action": "accept"})
    version = store.resolve("craft-rewrites")
    first = commit(store, version, review, GATE).version
    again = commit(store, version, review, GATE).version
    assert first is not None and again is not None and first.id == again.id
    assert store.resolve("craft-rewrites").number == 2


def test_a_branch_that_moved_on_refuses(store: Store) -> None:
    version = store.resolve("craft-rewrites")
    commit(store, version, decided(store, sum_000000={"action": "accept"}), GATE)
    other = decided(store, "craft-rewrites@v1", sum_000001={"action": "accept"})
    with pytest.raises(RefusedError):
        commit(store, version, other, GATE)


def test_decisions_about_a_text_that_changed_are_left_out(store: Store) -> None:
    review = decided(store, sum_000000={"action": "accept"}, sum_000001={"action": "accept"})
    row = next(r for r in store.open("craft-rewrites").rows() if r["row_id"] == "sum-000000")
    store.commit([row | {"completion": "another"}], "craft-rewrites", mode="patch")
    done = commit(store, store.resolve("craft-rewrites"), review, GATE)
    assert done.stale == ("sum-000000",) and done.counts == {"accepted": 1}


def test_nothing_decided_makes_no_version(store: Store) -> None:
    assert commit(store, store.resolve("craft-rewrites"), decided(store), GATE).version is None


def test_two_reviewers_on_branches_meet_where_they_agree(store: Store) -> None:
    for name in ("ann", "bob"):
        store.branch("craft-rewrites", name)
    both = {
        "sum_000000": {"action": "accept"},
        "sum_000003": {"action": "expert", "reasons": ("wrong_step",)},
    }
    for name, own in (
        ("ann", {"sum_000001": {"action": "accept"}}),
        ("bob", {"sum_000002": {"action": "suspect"}}),
    ):
        ref = f"craft-rewrites/{name}"
        commit(store, store.resolve(ref), decided(store, ref, name, **both, **own), GATE, to=ref)
    merge(store, "craft-rewrites", "craft-rewrites/ann")
    merged = merge(store, "craft-rewrites", "craft-rewrites/bob").version
    assert merged is not None
    metas = {
        row["row_id"]: (row["meta"] or {}).get("review", {}).get("decision")
        for row in store.open(merged).rows()
    }
    assert [metas[f"sum-{n:06d}"] for n in range(4)] == ["accepted", "accepted", "suspect", "expert"]


def test_two_reviewers_who_differ_are_a_conflict(store: Store) -> None:
    store.branch("craft-rewrites", "bob")
    commit(store, store.resolve("craft-rewrites"), decided(store, sum_000000={"action": "accept"}), GATE)
    ref = "craft-rewrites/bob"
    commit(
        store, store.resolve(ref), decided(store, ref, "bob", sum_000000={"action": "expert"}), GATE, to=ref
    )
    with pytest.raises(ConflictsError):
        merge(store, "craft-rewrites", ref)


# queues and session


def opened(store: Store, **more: Any) -> Session:
    return Session(store, store.resolve("craft-rewrites"), reviewer="ann", gate=GATE, **more)


def row_ids(session: Session) -> list[str]:
    return [session.row(place)["row_id"] for place in range(len(session.shown))]


def test_the_likeliest_mistakes_come_first(store: Store) -> None:
    with opened(store) as session:
        first = row_ids(session)
    assert set(first[:2]) == {"sum-000003", "sum-000010"}, "their chosen texts failed a check"
    with opened(store) as session:
        assert "margin" in session.row(0)["signs"]


def test_another_language_comes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    rows = [row for row in sums(9) if int(row["row_id"][-2:]) != 3]
    french = (
        "Il y a donc des stylos dans les boîtes, et elle en donne trois pour les filles qui sont avec elle."
    )
    english = "There are pens in the boxes and she gives three of them to the girls that are with her."
    rows[5] |= {"completion": french, "demonstration": english}
    with_candidates(store, rows)
    with opened(store) as session:
        found = session.row(row_ids(session).index(rows[5]["row_id"]))
    assert "language" in found["signs"]


def test_what_its_writer_hesitated_at_comes_sooner(tmp_path: Path) -> None:
    rows = [row for row in sums(9) if int(row["row_id"][-2:]) != 3]  # without the one that fails a check
    shaky = rows[4]["row_id"]
    nats = {row["row_id"]: 0.1 * place for place, row in enumerate(rows)} | {shaky: 9.0}
    places = []
    for name, told in (("untold", None), ("told", nats)):
        store = Store(tmp_path / name)
        with_candidates(store, rows, hesitations=told)
        with opened(store) as session:
            order = row_ids(session)
            places.append(order.index(shaky))
            signs = {row_id: session.row(place)["signs"] for place, row_id in enumerate(order)}
    assert places[1] < places[0]
    # 8 rows; 7 of 7 others were drawn with less hesitation, and none with less than the first
    assert signs[shaky]["hesitation"] == 1.0 and "hesitation" not in signs[rows[0]["row_id"]]


def test_random_is_an_order_of_a_seed_and_gives_a_share(store: Store) -> None:
    with opened(store, queue_name="random", seed=1) as one:
        order = row_ids(one)
        for place, action in enumerate(("accept", "expert", "accept", "accept")):
            row = one.row(place)
            event = {
                "id": f"event-{place}",
                "kind": "decide",
                "row_id": row["row_id"],
                "seen": row["seen"],
                "action": action,
            }
            one.decide(event, place)
        estimate = one.progress()["estimate"]
    assert (estimate["rows"], estimate["refused"]) == (4, 1) and 0 < estimate["low"] < 0.25 < estimate[
        "high"
    ] < 1
    with opened(store, queue_name="random", seed=1) as again, opened_as_bob(store) as other:
        assert row_ids(again) == order
        assert again.next_open(-1) == 4
        assert row_ids(other) != order and sorted(row_ids(other)) == sorted(order)


def opened_as_bob(store: Store) -> Session:
    version = store.resolve("craft-rewrites")
    return Session(store, version, reviewer="bob", gate=GATE, queue_name="random", seed=2)


def test_conditions_and_changes_choose_rows(store: Store) -> None:
    with opened(store, where="pass_rate = 1 AND nll_completion < 0.5") as session:
        assert set(row_ids(session)) == {"sum-000003"}
    row = next(r for r in store.open("craft-rewrites").rows() if r["row_id"] == "sum-000007")
    store.commit([row | {"completion": "Seven. The answer is 7."}], "craft-rewrites", mode="patch")
    since = diff(store, store.resolve("craft-rewrites@v1"), store.resolve("craft-rewrites@v2"))
    with opened(store, queue_name="changed", against=since) as session:
        assert row_ids(session) == ["sum-000007"]
        before, after = session.row(0)["panes"]
        assert (before["name"], after["name"]) == ("craft-rewrites@v1", "Rewrite")
    with pytest.raises(UsageError, match="no row of craft-rewrites@v2 is in the queue `risk`"):
        opened(store, where="task = 'nothing'")
    with pytest.raises(UsageError):
        opened(store, where="(SELECT count(*) FROM read_csv('/etc/passwd')) > 0")


def test_filters_narrow_the_queue(store: Store) -> None:
    with opened(store) as session:
        assert session.narrow("MIA 000007")["total"] == 1
        assert session.narrow("sql: answer = '9'")["total"] == sum(row["answer"] == "9" for row in sums(12))
        row = session.row(0)
        session.decide({"id": "event-1", "kind": "decide", **key(row), "action": "defer"})
        assert session.narrow("is:deferred")["total"] == 1
        assert session.narrow("is:undecided")["total"] == 11
        for wrong in ("is:eaten", "nobody says this", "sql: 1; DROP TABLE x"):
            with pytest.raises(UsageError):
                session.narrow(wrong)
        assert session.narrow("")["total"] == 12
        assert session.row(session.find("sum-00000"))["row_id"].startswith("sum-00000")
        assert session.find("3") == 2


def test_progress_counts_the_rows_of_the_queue(store: Store) -> None:
    with opened(store) as session:
        for place, action in enumerate(("accept", "defer", "expert")):
            row = session.row(place)
            session.decide({"id": f"event-{place}", "kind": "decide", **key(row), "action": action})
        assert session.progress()["done"] == 2, "a deferred row is not done"
        assert session.undo("undo-0001")["done"] == 1
        first = session.row(0)["row_id"]
    with opened(store, where=f"row_id = '{first}' OR row_id = 'sum-000011'") as fewer:
        facts = fewer.progress()
        assert (facts["done"], facts["rows"]) == (1, 2)


def key(row: dict[str, Any]) -> dict[str, Any]:
    return {"row_id": row["row_id"], "target": row["target"], "seen": row["seen"]}


def test_an_edit_is_judged_as_it_is_typed(store: Store) -> None:
    with opened(store) as session:
        row = session.row(session.find("sum-000010"))
        wrong = session.draft({"id": "event-1", **key(row), "text": "13 * 14 = 183. The answer is 169."})
        assert wrong["checks"]["status"] == "rejected"
        assert "false" in str(wrong["checks"]["open"][0]["message"])
        with pytest.raises(NeedsNote):
            session.decide(
                {"id": "event-2", "kind": "decide", **key(row), "action": "edit", "text": "It is 183."}
            )
        assert session.draft({"id": "event-3", **key(row), "text": RIGHT})["checks"]["status"] == "accepted"
    with opened(store) as again:
        standing = again.row(again.find("sum-000010"))["standing"]
        assert (standing["draft"], standing["action"]) == (RIGHT, None), "typed, not decided, and not lost"


def test_candidates_and_history_stand_beside_a_row(store: Store) -> None:
    commit(store, store.resolve("craft-rewrites"), decided(store, sum_000001={"action": "accept"}), GATE)
    with opened(store) as session:
        more = session.more("sum-000001", 0)
    assert [c["reason"] for c in more["candidates"]] == ["wrong_answer"], "kept beside the version before"
    assert [event["version"] for event in more["history"]] == [
        "craft-rewrites@v2",
        "craft-rewrites@v1",
        "craft@v1",
    ]


def test_a_text_that_was_sampled_twice_is_shown_once(tmp_path: Path) -> None:
    from recast.curate.records import Candidate
    from recast.curate.schema import candidate_table

    (row,) = sums(1)
    other, same = "It is 91.", row["completion"]
    sampled = [
        Candidate("sum-000000", 0, k, 0, text, 20, "stop", k, GATE.verify(row, text), None, {})
        for k, text in enumerate((other, same, "It is 92.", other, same))
    ]
    store = Store(tmp_path)
    store.commit([row], "craft-rewrites", candidates=candidate_table(sampled, [("sum-000000", 0, 1, 0)]))
    with opened(store) as session:
        more = session.more("sum-000000", 0)
    assert [(c["text"], c["times"]) for c in more["candidates"]] == [(other, 2), ("It is 92.", 1)]


def test_what_a_page_may_not_write(store: Store) -> None:
    with opened(store) as session:
        row = session.row(0)
        for asked, said in (
            ({"kind": "conflict", **key(row)}, "cannot write 'conflict'"),
            ({"kind": "undo", "row_id": "x"}, "cannot write 'undo'"),
            (
                {"kind": "decide", **key(row), "row_id": "nobody", "action": "accept"},
                "there is no row 'nobody'",
            ),
            ({"kind": "decide", **key(row), "seen": "0" * 16, "action": "accept"}, "reads otherwise"),
            ({"kind": "note", **key(row), "note": "x" * 5000}, "at most 4,000"),
        ):
            with pytest.raises(UsageError, match=said):
                session.decide({"id": "event-1", **asked})
        assert session.log.review.rows == {}


def test_a_reviewer_is_no_path(store: Store) -> None:
    path = log_path(store, store.resolve("craft-rewrites"), "../../../etc/ann")
    assert path.parent.parent == store.root / "reviews" and "/" not in path.name and ".." not in path.name


# the verb


def test_the_verb_commits_a_file_of_decisions(tmp_path: Path, recast: Callable[..., Said]) -> None:
    store = small(tmp_path / "home", 4)
    version = store.resolve("craft-rewrites")
    row = next(r for r in store.open(version).rows() if r["row_id"] == "table")
    lines = [
        {"review": 1, "version": version.ref, "version_id": version.id, "reviewer": "eve"},
        {
            "id": "page-0001",
            "kind": "decide",
            "row_id": "table",
            "target": 0,
            "action": "accept",
            "seen": seen_of(row["completion"]),
        },
    ]
    file = tmp_path / "decisions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = recast(
        "review",
        "craft-rewrites",
        "--commit",
        "--decisions",
        file,
        "--store",
        store.root,
        "--json",
        "--gate",
        "math",
    )
    assert (
        done.code == 0
        and done.json["version"] == "craft-rewrites@v2"
        and done.json["counts"] == {"accepted": 1}
    )
    assert store.resolve("craft-rewrites").author == "eve"
    told = recast("blame", "craft-rewrites", "table", "--store", store.root)
    assert "review by eve: accepted" in told.out
    again = recast("review", "craft-rewrites@v2", "--commit", "--store", store.root)
    assert again.code == 2 and "has decided nothing about craft-rewrites@v2" in again.err


def test_the_verb_merges_and_conflicts_keep_a_commit_back(
    tmp_path: Path, recast: Callable[..., Said]
) -> None:
    store = small(tmp_path / "home", 4)
    version = store.resolve("craft-rewrites")
    for who, action in (("ann", "accept"), ("bob", "expert")):
        with Session(store, version, reviewer=who, gate=GATE) as session:
            row = session.row(session.find("table"))
            session.decide({"id": f"event-{who}", "kind": "decide", **key(row), "action": action})
    common = ("--store", store.root, "--reviewer", "ann")
    merged = recast("review", "craft-rewrites", "--merge", log_path(store, version, "bob"), *common)
    assert merged.code == 0 and "1 new conflict" in merged.out and "--queue conflicts" in merged.out
    refused = recast("review", "craft-rewrites", "--commit", *common)
    assert refused.code == 4 and "decided differently by two reviewers, such as table" in refused.err
    with Session(store, version, reviewer="ann", gate=GATE, queue_name="conflicts") as session:
        row = session.row(0)
        assert row["standing"]["theirs"]["by"] == "bob"
        session.decide({"id": "event-settled", "kind": "decide", **key(row), "action": "expert"})
    assert recast("review", "craft-rewrites", "--commit", *common).code == 0


def test_options_that_would_have_no_effect_are_refused(tmp_path: Path, recast: Callable[..., Said]) -> None:
    store = small(tmp_path / "home", 1)
    for words in (
        ("--decisions", "x.jsonl"),
        ("--as", "x"),
        ("--commit", "--port", "8000"),
        ("--queue", "changed"),
    ):
        refused = recast("review", "craft-rewrites", *words, "--store", store.root)
        assert refused.code == 2, words


def test_margins_rise_towards_the_texts_that_failed(tmp_path: Path) -> None:
    from recast.curate.records import Candidate, Check, CheckStatus, Verdict, VerdictStatus
    from recast.curate.schema import candidate_table

    store = Store(tmp_path / "home")
    rows = [
        row | {"pass_rate": 1.0, "nll_completion": 0.3, "nll_demonstration": 0.3}
        for row in sums(4)
        if "3" not in row["row_id"][-1]
    ]

    def candidate(row: dict[str, Any], k: int, score: float, fails: bool) -> Candidate:
        status = CheckStatus.FAIL if fails else CheckStatus.PASS
        verdict = Verdict(
            VerdictStatus.REJECTED if fails else VerdictStatus.ACCEPTED,
            "",
            (Check("copy", status, "", "", score),),
        )
        return Candidate(
            row["row_id"], 0, k, 0, row["completion"] if not k else "other", 9, "stop", 0, verdict
        )

    chosen = [(str(row["row_id"]), 0, 0, 0) for row in rows]
    # 0.1 and 0.5 and 0.3 passed, 0.6 failed: (score - 0.1) / (0.6 - 0.1)
    made = [candidate(row, 0, score, False) for row, score in zip(rows, (0.1, 0.5, 0.3), strict=True)]
    made.append(candidate(rows[0], 1, 0.6, True))
    store.commit(rows, "craft-rewrites", candidates=candidate_table(made, chosen))
    with opened(store) as session:
        assert session.queue.risk["margin"] == pytest.approx(np.array([0.0, 0.8, 0.4]), abs=1e-6)
        assert row_ids(session) == [rows[1]["row_id"], rows[2]["row_id"], rows[0]["row_id"]]
