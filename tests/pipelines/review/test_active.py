"""Active review: which rows come, what their interval stands on, and decisions as labels of the gate."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.gate import GateConfig, load_gate
from recast.curate.gate.gate_files import cards, measured
from recast.curate.history.reviews import seen_of
from recast.curate.store.store import Store
from recast.pipelines.review import queues
from recast.pipelines.review.active import Active
from recast.pipelines.review.commit import commit
from recast.pipelines.review.decisions import Event, Header, Review
from recast.pipelines.review.labels import reviewed
from recast.pipelines.review.session import Session
from tests.conftest import Said
from tests.fakes.review import sums, with_candidates

GATE = load_gate("math")
KEYS = [(f"row-{n}", 0) for n in range(640)]


def plan(seed: int = 0) -> Active:
    return Active(np.arange(640), np.linspace(1, 0, 640), KEYS, seed=seed)


def say(review: Review, number: int, action: Any = "accept") -> None:
    key = KEYS[number]
    review.apply(Event(f"{len(review.rows)}/{number}/{action}", "decide", *key, seen="x", action=action))


def nobody() -> Review:
    return Review(Header("craft@v1", "1", "ann"))


def test_every_row_comes_once_and_the_riskiest_tend_to_come_sooner() -> None:
    rows = plan().rows
    assert sorted(rows) == list(range(640))
    # the ten of most risk have 2.6 times the weight of a usual row: their middle place is in the first half
    assert np.median(np.flatnonzero(rows < 10)) < 320
    assert np.array_equal(plan().rows, rows) and not np.array_equal(plan(1).rows, rows)
    assert sorted(Active(np.arange(2), np.zeros(2), KEYS).rows) == [0, 1]


def test_rows_of_like_risk_do_not_come_by_their_place() -> None:
    """All have the same risk: were the first ones of the version the risky group, they would come first."""
    means = [Active(np.arange(640), np.zeros(640), KEYS, seed=n).rows[:64].mean() for n in range(20)]
    assert 280 < np.mean(means) < 360, "the mean place is 320, give or take 13 over 20 draws"


def test_what_is_known_is_what_was_said_of_the_first_rows_of_the_order() -> None:
    active, review = plan(), nobody()
    say(review, active.rows[1])
    say(review, active.rows[2], "expert")
    assert active.looked(review) == 0, "nobody decided about the first row of the order"
    assert active.interval(review) == (0.0, 1.0)
    say(review, active.rows[0])
    assert active.looked(review) == 3 and active.interval(review)[0] > 0


@pytest.mark.parametrize("action", ["defer", "suspect"])
def test_a_row_of_which_nothing_is_known_counts_against_both_ends(action: str) -> None:
    active, review, decided = plan(), nobody(), nobody()
    for number in active.rows[:300]:
        say(review, number, action if number == active.rows[9] else "accept")
        say(decided, number)
    assert active.interval(review)[0] == 0.0 and active.interval(review)[1] > active.interval(decided)[1]
    say(review, active.rows[9])
    assert active.interval(review) == active.interval(decided)


def test_it_ends_when_it_is_sure_and_says_what_it_takes_before() -> None:
    active, review = plan(), nobody()
    told = active.told(review, 0.02)
    assert (told["sure"], told["low"], told["high"], told["looked"]) == (None, 0.0, 1.0, 0)
    for number in active.rows[:60]:
        say(review, number)
    left = active.told(review, 0.02)["left"]
    assert left is not None and 50 < left < 400
    for number in active.rows[60 : 60 + left]:
        say(review, number)
    assert active.told(review, 0.02)["sure"] == "below"
    wrong = nobody()
    for number in active.rows[:40]:
        say(wrong, number, "expert")
    told = active.told(wrong, 0.02)
    assert told["sure"] == "above" and told["low"] > 0.02 and told["left"] is None


# the queue and the labels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty rewritten sums; every seventh has a false one."""
    folder = tmp_path_factory.mktemp("eighty") / "home"
    with_candidates(Store(folder), list(sums(80)))
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(made, tmp_path / "home"))


def opened(store: Store, **more: Any) -> Session:
    return Session(
        store, store.resolve("craft-rewrites"), reviewer="ann", gate=GATE, queue_name="active", **more
    )


def decide(session: Session, place: int, action: str) -> dict[str, Any]:
    row = session.row(place)
    event = {"id": f"{row['row_id']}-{action}", "kind": "decide", "seen": row["seen"], "action": action}
    why = {"reasons": ("wrong_step",)} if action == "expert" else {}
    return session.decide({**event, **why, "row_id": row["row_id"], "target": 0}, place)


def is_false(session: Session, place: int) -> bool:
    return int(session.row(place)["row_id"][-6:]) % 7 == 3


def test_the_queue_ends_when_it_is_sure(store: Store) -> None:
    with opened(store, below=0.4) as session:
        place = session.next_open(-1)
        seen: list[int] = []
        while place is not None:
            seen.append(place)
            answer = decide(session, place, "expert" if is_false(session, place) else "accept")
            place = answer["open"]
        assert seen == list(range(len(seen))) and 8 < len(seen) < 80
        assert answer["active"]["sure"] == "below" and answer["active"]["looked"] == len(seen)
        assert 11 / 80 <= answer["active"]["high"] < 0.4, "eleven of the eighty are false"
        assert session.undo("undo-0001")["active"]["sure"] is None


def test_the_page_has_words_for_every_sign() -> None:
    view = (resources.files("recast.pipelines.review") / "assets" / "view.js").read_text(encoding="utf-8")
    (listed,) = re.findall(r"const SIGNS = \{(.*?)\n\};", view, re.DOTALL)
    assert set(re.findall(r"^  (\w+): \[", listed, re.MULTILINE)) == set(queues.WEIGHTS) | set(queues.ACTIVE)


def test_a_review_goes_on_where_it_was(store: Store) -> None:
    with opened(store) as session:
        for place in range(3):
            decide(session, session.next_open(place - 1) or 0, "accept")
        rows = [session.row(place)["row_id"] for place in range(4)]
        told = session.progress()["active"]
    with opened(store) as session:
        assert session.next_open(-1) == 3 and session.progress()["active"] == told
        assert [session.row(place)["row_id"] for place in range(4)] == rows
        assert session.narrow("is:accepted")["total"] == 3


def test_decisions_are_labels_of_the_gate(store: Store) -> None:
    with opened(store) as session:
        for place in range(24):
            decide(session, place, "expert" if is_false(session, place) else "accept")
        log = session.log.path
        decided = {key: row.action for key, row in session.log.review.rows.items()}
        wrong = [key for key, action in decided.items() if action == "expert"]
    assert wrong, "a seventh of the rows is false"
    for seen in (reviewed(store, str(log)), reviewed(store, committed(store, log))):
        assert {(label.row["row_id"], 0): label.right for label in seen.labels()} == {
            key: action == "accept" for key, action in decided.items()
        }
        found = seen.found(GATE)
        assert (found["rows"], found["wrong"]) == (24, 0), "the gate refuses each text that people refused"
        assert found["accepted"] == 24 - len(wrong) and found["queues"] == {"active": found["accepted"]}
        low, high = found["by_order"]["interval"]
        assert found["by_order"]["looked"] == 24 and low == 0 < high < 1
        lax = seen.found(load_gate(GateConfig(name="form", checks=(FormatCheck(),))))
        assert lax["wrong"] == len(wrong), "this one looks at the form alone"
        assert lax["reasons"] == {"wrong_step": len(wrong)}


def test_rows_that_came_at_random_stand_for_all_without_an_order(store: Store) -> None:
    version = store.resolve("craft-rewrites")
    with Session(store, version, reviewer="ann", gate=GATE, queue_name="random", seed=3) as session:
        for place, action in enumerate(("accept", "expert", "suspect", "defer", "edit")):
            said = {"text": "3 * 4 = 12. The answer is 9.", "note": "it is"} if action == "edit" else {}
            row = session.row(place)
            event = {"id": f"event-{place}", "kind": "decide", "seen": row["seen"], "action": action}
            session.decide({**event, **said, "row_id": row["row_id"], "target": 0}, place)
        estimate = session.progress()["estimate"]
        log = session.log.path
    # of five rows one is put off and of one nothing is known; two of the other three are refused
    assert (estimate["rows"], estimate["refused"]) == (3, 2)
    for seen in (reviewed(store, str(log)), reviewed(store, committed(store, log))):
        found = seen.found(GATE)
        assert found["queues"].keys() == {"random"} and found["by_order"] is None
        assert found["rows"] == 3


def committed(store: Store, log: Path) -> str:
    from recast.pipelines.review.log import read

    made = commit(store, store.resolve("craft-rewrites"), read(log), GATE)
    assert made.version is not None
    return made.version.ref


def test_the_card_says_what_people_found(recast: Callable[..., Said], store: Store) -> None:
    with opened(store) as session:
        for place in range(10):
            decide(session, place, "expert" if is_false(session, place) else "accept")
        log = session.log.path
    card = ("gate", "report", "--gate", "math", "--store", store.root, "--reviewed")
    said = recast(*card, log)
    assert said.code == 0 and "as people judged: 0 of" in said.out and "by the first 10" in said.out
    assert "by group of kinds" not in said.out, "there is one group, which is all of them"
    ref = committed(store, log)
    assert recast(*card, ref, "--json").json["cards"][0]["people"]["queues"].keys() == {"active"}
    assert "of the reviewed rows that it accepts" in measured(store.root, GATE.id)
    assert not cards(store.root, GATE.id, people=False), "they say nothing of the wrong texts that pass"
    refused = recast(*card, "craft")
    assert refused.code == 2 and "no version that `recast review --commit` made" in refused.err
    aimless = recast("review", "craft-rewrites", "--below", "0.05", "--store", store.root)
    assert aimless.code == 2 and "--queue active knows enough" in aimless.err
    seeded = recast("review", "craft-rewrites", "--queue", "active", "--seed", "3", "--store", store.root)
    assert seeded.code == 2 and "--queue random draws" in seeded.err
    none = recast("gate", "calibrate", "--store", store.root)
    assert none.code == 2 and "--reviewed VERSION; give one of them" in none.err


def test_an_edited_text_is_a_right_label_and_what_it_replaced_a_wrong_one(store: Store) -> None:
    version = store.resolve("craft-rewrites")
    review = Review(Header(version.ref, version.id, "ann"))
    row = next(iter(store.open(version).rows()))
    event = Event(
        "1", "decide", row["row_id"], 0, seen=seen_of(row["completion"]), action="edit", text="Mended."
    )
    review.apply(event)
    made = commit(store, version, replace_note(review), GATE)
    assert made.version is not None
    assert [(label.completion, label.right) for label in reviewed(store, made.version.ref).labels()] == [
        (row["completion"], False),
        ("Mended.", True),
    ]


def replace_note(review: Review) -> Review:
    """The gate does not accept the text, and a note says why it stands."""
    (row,) = review.rows.values()
    review.apply(Event("2", "note", row.row_id, 0, note="it is mended"))
    return review
