"""Every rule of a promotion: what is found, what is required, and whether nothing known counts as met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast.curate.curation.collapse import DiversityConfig
from recast.curate.errors import DataError, UsageError
from recast.curate.gate import gate_files
from recast.curate.history.lineage import pin
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store
from recast.pipelines.wiring.story.promotion import Finding, Rules, findings
from tests.fakes.evaluations import evaluated, evaluation, tuned

GATE = "ab" * 8
WORDS = "one two three four five six seven eight nine ten eleven twelve".split()


def text(i: int) -> str:
    return f"{WORDS[i]} and {WORDS[(i * 5 + 1) % 12]} are {WORDS[(i * 7 + 2) % 12]} of {WORDS[(i + 6) % 12]}"


@pytest.fixture
def store(tmp_path) -> Store:
    """`d-rewrites` of ten rows: six rewritten, four fallbacks; of 20 candidates 8 accepted."""
    store = Store(tmp_path / "store")
    asked = [{"role": "user", "content": "How many?"}]
    rows = [{"row_id": f"r{i}", "messages": asked, "completion": text(i)} for i in range(10)]
    store.commit(rows, "d")
    made = [
        {
            **row,
            "demonstration": row["completion"],
            "completion": row["completion"] + (", so" if i < 6 else ""),
            "decision": "rewrite" if i < 6 else "fallback",
            "reason": None if i < 6 else "copy",
            "gate_id": GATE,
        }
        for i, row in enumerate(rows)
    ]
    verdicts = [Verdict(VerdictStatus.ACCEPTED if n < 8 else VerdictStatus.REJECTED) for n in range(20)]
    candidates = [
        Candidate(f"r{n % 10}", 0, n // 10, 0, "x", 1, "stop", n, v) for n, v in enumerate(verdicts)
    ]
    store.commit(made, "d-rewrites", parent="d", law="rewrite", candidates=candidate_table(candidates))
    return store


def found(store: Store, **rules: object) -> list[Finding]:
    return findings(store, store.resolve("d-rewrites"), Rules.model_validate(rules), DiversityConfig())


def one(store: Store, **rules: object) -> Finding:
    (finding,) = found(store, **rules)
    return finding


def test_rows_are_counted(store):
    assert one(store, rows={"min": 10}) == Finding("rows", "10 rows", "at least 10 rows", True)
    assert [f.met for f in found(store, rows={"min": 11, "max": 9})] == [False, False]


def test_acceptance_is_of_rows_that_were_tried_and_of_candidates(store):
    rows, candidates = found(store, acceptance={"min_rows": 0.6, "min_candidates": 0.41})
    assert (rows.found, rows.met) == ("60.0% (6 of 10 rewritten)", True)
    assert (candidates.found, candidates.met) == ("40.0% (8 of 20 accepted)", False)


def test_a_version_that_nobody_rewrote_has_no_acceptance(store):
    asked = Rules.model_validate({"acceptance": {"min_rows": 0.1}})
    (finding,) = findings(store, store.resolve("d"), asked, DiversityConfig())
    assert not finding.met and "nothing was rewritten" in finding.found


def test_diversity_names_what_fell(store):
    assert one(store, diversity={"max_loss": 0.3}).met
    rows = [{**row, "completion": "always the same words"} for row in store.open("d-rewrites").rows()]
    store.commit(rows, "d-rewrites")
    finding = one(store, diversity={"max_loss": 0.3})
    assert not finding.met and "distinct_2 fell" in finding.found


def card(store: Store, accepted: int) -> None:
    rate = {
        "count": accepted,
        "total": 100,
        "share": accepted / 100,
        "interval": [0.0, accepted / 100 + 0.03],
    }
    content = {"ensemble": {"false_accepts": rate, "false_rejects": rate}, "measured_at": "2026-11-29"}
    gate_files.keep_card(store.root, GATE, "labels.jsonl", content)


def test_a_gate_without_a_report_card_is_not_believed(store):
    finding = one(store, gate={"max_false_accepts": 0.5})
    assert not finding.met and finding.found == "the gate has no report card"
    assert finding.next == "recast gate report d@v1"


def test_a_gate_is_held_to_the_upper_end_of_its_interval(store):
    card(store, 1)
    assert not one(store, gate={"max_false_accepts": 0.02}).met  # 1 %, at most 4 %
    assert one(store, gate={"max_false_accepts": 0.02, "bound": "value"}).met
    assert one(store, gate={"max_false_accepts": 0.04}).found == "1.00% [0.00%, 4.00%] on labels.jsonl"


def test_an_audit_must_be_there(store):
    finding = one(store, audit={"min_accepted": 0.9})
    assert not finding.met and finding.next == "recast gate run d-rewrites@v1"


def test_what_models_of_the_version_gained_and_forgot_is_found_in_the_store(store, tmp_path):
    base = tuned(tmp_path / "base", "nothing")
    model = tuned(tmp_path / "model", base)
    rules = {"target": ("task",), "min_gain": 10, "max_forgetting": 15, "bound": "value"}
    nothing = found(store, comparison=rules)
    assert [f.met for f in nothing] == [False, False] and "recast sft d-rewrites@v1" in nothing[0].next
    pin(store, model, "d-rewrites")
    evaluated(store.root, base, task=2, general=9)
    evaluated(store.root, model, task=8, general=8)
    gain, forgetting = _comparison(store, rules)
    # 2 of 10 became 8 of 10, and 9 of 10 became 8 of 10
    assert gain.found.startswith("+60.0 points") and gain.met
    assert forgetting.found.startswith("+10.0 points") and forgetting.met
    assert not _comparison(store, {**rules, "max_forgetting": 5})[1].met
    assert not _comparison(store, {**rules, "bound": "interval"})[
        1
    ].met  # one of ten: the upper end is far off


def _comparison(store: Store, rules: dict, file: Path | None = None, arm: str | None = None) -> list[Finding]:
    asked = Rules.model_validate({"comparison": rules})
    return findings(store, store.resolve("d-rewrites"), asked, DiversityConfig(), comparison=file, arm=arm)


def test_a_model_that_was_trained_on_something_else_since_does_not_count(store, tmp_path):
    base = tuned(tmp_path / "base", "nothing")
    model = tuned(tmp_path / "model", base)
    evaluated(store.root, base, task=2)
    evaluated(store.root, model, task=8)
    pin(store, model, "d-rewrites")
    pin(store, model, "d")
    (finding,) = _comparison(store, {"target": ("task",), "min_gain": 0})
    assert not finding.met and "no model of this version" in finding.found


def test_a_file_of_compare_is_read_by_arm(store, tmp_path):
    from recast.train.evaluation.compare import compare

    file = tmp_path / "compare.json"
    arms = {"a": evaluation("a", task=9), "b": evaluation("b", task=1)}
    file.write_text(json.dumps(compare(evaluation("base", task=5), arms, target=["task"]).to_dict()))
    rules = {"min_gain": 1, "bound": "value"}
    assert [_comparison(store, rules, file, arm)[0].met for arm in ("a", "b")] == [True, False]
    with pytest.raises(UsageError, match=r"has 2 arms; say which one with --arm: a, b"):
        _comparison(store, rules, file)
    (forgetting,) = _comparison(store, {"max_forgetting": 5}, file, "a")
    assert not forgetting.met and forgetting.found == "every suite is a target"
    file.write_text("[]")
    with pytest.raises(DataError, match=r"is not what `recast compare --out` writes"):
        _comparison(store, rules, file)


def reviewed(store: Store, *decisions: str) -> None:
    rows = list(store.open("d-rewrites").rows())
    for row, decision in zip(rows, decisions, strict=False):
        row["meta"] = {"review": {"decision": decision}}
    store.commit(rows, "d-rewrites")


def test_reviews_count_where_there_are_any(store):
    assert one(store, review={"max_wrong": 0.1}).met is None
    assert one(store, review={"max_wrong": 0.1, "needed": True}).met is False
    reviewed(store, "accepted", "accepted", "edited", "suspect", "accepted")
    finding = one(store, review={"max_wrong": 0.2, "bound": "value"})
    assert (
        finding.met and finding.found.startswith("20.0% [") and finding.found.endswith("of 5 reviewed rows")
    )
    assert not one(store, review={"max_wrong": 0.2}).met  # the upper end of one in five
    assert not one(store, review={"max_wrong": 0.2, "bound": "value", "min_rows": 6}).met


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("acceptance: {}", "it would have no effect"),
        ("acceptence: {min_rows: 1}", "may name rows, acceptance"),
        ("", "holds no rule"),
        ("rows: {min: 0}", "greater than or equal to 1"),
        ("[", "rules file"),
    ],
)
def test_a_file_that_is_no_rules_says_what_is_wrong(written, said, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(written)
    with pytest.raises(UsageError, match=said):
        Rules.load(path)


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(DataError, match=r"there is no file nowhere\.yaml"):
        Rules.load(Path("nowhere.yaml"))
