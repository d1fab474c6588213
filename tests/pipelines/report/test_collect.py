"""A report filled from a real store, real evaluation files and a real metrics file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recast.curate.errors import DataError, UsageError
from recast.curate.records import Candidate, Check, CheckStatus, Cut, Verdict, VerdictStatus
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store
from recast.pipelines.report import build, collect
from recast.pipelines.report.data import SampleCut
from recast.pipelines.report.samples import payload
from recast.pipelines.report.sources.evaluations import arms
from recast.pipelines.report.sources.learning import learned
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

SUITES = ("craft", "sums", "facts")


def evaluation(model: str, right: dict[str, int], questions: int = 10, gold: float = -0.5) -> EvalResult:
    """`right[suite]` of `questions` answered, the first ones."""
    items = [
        ItemResult(suite, str(i), suite, Outcome.RIGHT if i < n else Outcome.WRONG, "1", "1", "is 1", gold)
        for suite, n in right.items()
        for i in range(questions)
    ]
    return EvalResult(model, tuple(items))


BASE = evaluation("base", {"craft": 1, "sums": 9, "facts": 7})
RAW = evaluation("raw", {"craft": 6, "sums": 5, "facts": 5}, gold=-1.5)
NEW = evaluation("new", {"craft": 9, "sums": 9, "facts": 6}, gold=-0.75)


def row(i: int, decision: str, reason: str = "", **scores: float) -> dict:
    expert = f"\\boxed{{{i}}}"
    return {
        "row_id": f"{i:032x}", "messages": [{"role": "user", "content": f"What is {i}?"}],
        "completion": expert if decision == "fallback" else f"It is {i}.", "demonstration": expert,
        "decision": decision, "reason": reason, "answer": str(i), "task": "craft", "gate_id": "a" * 16, **scores,
    }  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """craft@v1: 12 demonstrations; craft-rewrites@v1: 9 rewrites, 1 repair, 2 fallbacks, with candidates."""
    path = tmp_path_factory.mktemp("store")
    store = Store(path)
    expert = [
        {"row_id": f"{i:032x}", "messages": [{"role": "user", "content": f"What is {i}?"}],
         "completion": f"\\boxed{{{i}}}", "answer": str(i), "task": "craft"}
        for i in range(12)
    ]  # fmt: skip
    first = store.commit(expert, "craft", message="as written")
    decisions = ["rewrite"] * 9 + ["repair", "fallback", "fallback"]
    rewritten = [
        row(i, kind, "wrong_answer" if kind == "fallback" else "",
            nll_demonstration=1.0 + i, nll_completion=0.5, nll_self=0.25)
        for i, kind in enumerate(decisions)
    ]  # fmt: skip
    accepted = Verdict(VerdictStatus.ACCEPTED, "", (Check("final_answer", CheckStatus.PASS),))
    refused = Verdict(
        VerdictStatus.REJECTED, "wrong_answer",
        (Check("final_answer", CheckStatus.FAIL, "wrong_answer", "found 99"), Check("format", CheckStatus.PASS)),
    )  # fmt: skip
    candidates = [
        Candidate(f"{i:032x}", 0, k, 0, text, 5, "stop", 1, verdict, 0.5)
        for i, kind in enumerate(decisions)
        for k, (text, verdict) in enumerate(
            [(f"It is {i}.", refused if kind == "fallback" else accepted), ("It is 99.", refused)]
        )
    ]
    candidates[-1] = replace(candidates[-1], cut=Cut("Sure!\n", "\n\nRewrite it.", ("opening", "request")))
    winners = [(f"{i:032x}", 0, 0, 0) for i, kind in enumerate(decisions) if kind != "fallback"]
    store.commit(
        rewritten, "craft-rewrites", parent=first, law="rewrite", message="by the agent",
        candidates=candidate_table(candidates, winners),
    )  # fmt: skip
    return path


def test_rows_of_a_version_become_fates_likelihoods_and_samples(store):
    data = collect(store, ["craft@v1", "craft-rewrites@v1"])
    assert {(f.decision, f.reason): f.rows for f in data.fates} == {
        ("rewrite", ""): 9, ("repair", ""): 1, ("fallback", "wrong_answer"): 2,
    }  # fmt: skip
    values = {g.key: g.values for g in data.likelihoods}
    assert values["demonstration"] == tuple(1.0 + i for i in range(12))
    assert values["completion"] == (0.5,) * 10  # what fell back is no rewrite
    # 24 candidates: 10 accepted, 14 refused for their answer, and those 14 had a second check that passed
    assert [(g.check, g.passed, g.failed) for g in data.gate_counts] == [
        ("final_answer", 10, 14),
        ("format", 14, 0),
    ]
    assert len(data.samples) == 12 == data.rows_in_all
    kept = next(s for s in data.samples if s.decision == "fallback")
    assert kept.before == kept.after and len(kept.candidates) == 2
    assert kept.checks[0].message == "found 99"
    cut = [c.cut for s in data.samples for c in s.candidates if c.cut]
    assert cut == [SampleCut("Sure!\n", "\n\nRewrite it.", ("opening", "request"))]
    (shown,) = [c["cut"] for s in payload(data.samples) for c in s["candidates"] if c["cut"]]
    assert shown == ["Sure!\n", "\n\nRewrite it.", ["opening", "request"]]
    assert [v.ref for v in data.versions] == ["craft@v1", "craft-rewrites@v1"]
    assert data.title == "craft-rewrites@v1 against craft@v1"
    assert ("gate", "a" * 16) in data.facts


def test_few_samples_still_show_every_decision(store):
    samples = collect(store, ["craft-rewrites"], max_samples=5).samples
    assert len(samples) == 5
    assert {s.decision for s in samples} == {"rewrite", "repair", "fallback"}
    assert samples == collect(store, ["craft-rewrites"], max_samples=5).samples


def test_a_version_as_ingested_has_no_fates_and_no_samples(store):
    data = collect(store, ["craft"])
    assert data.fates == () and data.samples == ()


def test_an_unknown_version_is_a_usage_error(store):
    with pytest.raises(UsageError):
        collect(store, ["nothing"])


def test_arms_are_points_of_100_with_suites_weighing_alike():
    base, raw, new = arms({"base": BASE, "sft_demonstrations": RAW, "sft_rewrites": NEW}, target=["craft"])
    assert (base.downstream, base.general, base.forgetting) == pytest.approx((10, 80, 0))
    assert (raw.downstream, raw.general, raw.forgetting) == pytest.approx((60, 50, 30))
    assert (new.downstream, new.general, new.forgetting) == pytest.approx((90, 75, 5))
    assert (base.role, raw.role, new.role) == ("base", "reference", "target")
    assert raw.gold_loglik == -1.5
    assert new.suites == pytest.approx({"sums": 90, "facts": 60})
    # binomial: 1.96 * sqrt(.6 * .4 / 10) = 30.4 points
    assert raw.half_widths["downstream"] == pytest.approx(30.36, abs=0.01)
    assert raw.half_widths["forgetting"] > 0


def test_several_seeds_are_averaged_with_an_interval_over_seeds():
    twice = [NEW, evaluation("new", {"craft": 7, "sums": 9, "facts": 6})]
    _, arm = arms({"base": BASE, "sft_rewrites": twice}, target=["craft"])
    assert arm.downstream == pytest.approx(80) and arm.num_seeds == 2
    # two values 90 and 70: sd 14.14, over sqrt(2) is 10, times t(1) = 12.706
    assert arm.half_widths["downstream"] == pytest.approx(127.06, abs=0.01)


def test_arms_of_other_suites_are_refused():
    other = evaluation("other", {"craft": 1, "sums": 2})
    with pytest.raises(DataError, match="facts"):
        arms({"base": BASE, "a": other}, target=["craft"])


def test_unnamed_arms_take_their_roles_from_their_order():
    found = arms({"before": BASE, "a": RAW, "b": NEW}, target=["craft"])
    assert [arm.role for arm in found] == ["base", "reference", "target"]


def test_start_losses_come_from_the_sft_folders(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"start_loss": 1.12}))
    _, raw = arms(
        {"base": BASE, "sft_demonstrations": RAW}, target=["craft"], sfts={"sft_demonstrations": tmp_path}
    )
    assert raw.start_loss == 1.12


def test_metrics_become_curves_and_a_torn_last_line_is_forgiven(tmp_path):
    lines = [
        {"step": 0, "heldout": {"reward": 0.7, "pass_rate": 0.8, "nll": 0.9, "nll_self": 0.25}},
        {"step": 1, "reward": 0.5, "pass_rate": 0.75, "nll": float("nan")},
        {"step": 1, "reward": 0.6, "pass_rate": 0.75, "groups_all_pass": 0.5, "groups_all_fail": None},
    ]
    (tmp_path / "metrics.jsonl").write_text(
        "\n".join(json.dumps(line) for line in lines) + '\n{"step": 2, "rew'
    )
    (tmp_path / "manifest.json").write_text(json.dumps({"gate_id": "b" * 16}))
    found = learned(tmp_path)
    reward, _, nll = found.curves
    assert reward.train == ((1.0, 0.6),)  # done again after a resume
    assert reward.heldout == ((0.0, 0.7),)
    assert nll.train == () and nll.heldout == ((0.0, 0.9),)
    (fates,) = found.lines
    assert [(s.name, s.points) for s in fates.series] == [("all pass", ((1.0, 0.5),))]
    assert nll.levels == (("own samples", 0.25),)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(DataError, match="line 2"):
        learned(tmp_path)


def test_the_folder_of_a_model_that_graded_answers_taught_has_its_own_curves_and_alarms(tmp_path):
    (tmp_path / "signal.json").write_text("{}")
    lines = [
        {"step": 0, "heldout": {"reward": 0.1, "mean_tokens": 7.0}},
        {"step": 1, "reward": 0.2, "kl": 0.01, "entropy": 0.5, "kinds": {"0": 8, "1": 2}, "mean_tokens": 6.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "manifest.json").write_text(json.dumps({"alarms": {"kl": "too far"}}))
    found = learned(tmp_path)
    assert (found.taught, found.gate_id, found.alarms) == ("model", None, ("too far",))
    assert [c.key for c in found.curves] == ["reward", "kl", "mean_tokens", "entropy"]
    assert found.curves[0].heldout == ((0.0, 0.1),)


def test_runs_that_made_what_is_shown_become_stages(store, tmp_path):
    def run(folder: str, verb: str, seconds: float, result: dict, args: dict, **more: dict) -> None:
        path = store / "runs" / folder
        path.mkdir(parents=True)
        (path / "config.resolved.yaml").write_text(json.dumps({"verb": verb, "args": args, **more}))
        (path / "result.json").write_text(json.dumps({"verb": verb, "seconds": seconds, "result": result}))

    RAW.save(tmp_path / "raw.jsonl")
    shown = {"out": str(tmp_path / "raw.jsonl")}
    run(
        "eval-1", "eval", 3.0, shown, {"model": "my model", "suite": ["a.jsonl", "b.jsonl"], "max_tokens": 64}
    )
    run("eval-2", "eval", 9.0, {"out": str(tmp_path / "other.jsonl")}, {})
    run(
        "rewrite-1",
        "rewrite",
        61.0,
        {"version": "craft-rewrites@v1"},
        {"to": "craft-rewrites"},
        given={"name": "craft@v1", "to": "craft-rewrites", "model": "my model", "budget_minutes": None},
    )
    found = collect(
        store, ["craft-rewrites"], evals={"base": tmp_path / "raw.jsonl"}, target=["craft"]
    ).stages
    assert {s.name: (s.seconds, s.command) for s in found} == {
        "eval raw.jsonl": (3.0, "recast eval 'my model' --suite a.jsonl --suite b.jsonl --max-tokens 64"),
        "rewrite craft-rewrites@v1": (61.0, "recast rewrite craft@v1 --as craft-rewrites --model 'my model'"),
    }


def test_an_evaluation_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="recast eval"):
        arms({"base": tmp_path})


def test_another_gate_than_the_agents_is_a_warning(store, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"gate_id": "b" * 16}))
    (warning,) = collect(store, ["craft-rewrites"], learn_dir=tmp_path).warnings
    assert "a" * 16 in warning and "b" * 16 in warning


def test_alarms_of_learning_are_said_in_words(store, tmp_path):
    said = "diversity brings under 1 % of the shaping variance"
    known = {"gate_id": "a" * 16, "result": {"alarms": {"weak_diversity": said}}}
    (tmp_path / "manifest.json").write_text(json.dumps(known))
    assert f"Learning: {said}" in collect(store, ["craft-rewrites"], learn_dir=tmp_path).warnings


def test_everything_together_is_one_page(store, tmp_path):
    data = collect(
        store, ["craft", "craft-rewrites"], target=["craft"],
        evals={"base": BASE, "sft_demonstrations": RAW, "sft_rewrites": NEW},
    )  # fmt: skip
    page = build(data, tmp_path / "report.html").read_text()
    assert "90.0 %" in page and "wrong answer" in page and "learning" not in page.split("<main")[0]


def finished(folder: Path, manifest: dict, **files: list[dict]) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_every_trained_model_has_a_section_with_what_became_of_its_candidates(tmp_path):
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    rejected = finished(
        tmp_path / "rejected",
        {
            "config": {"method": "rejective"}, "data": "craft@v1", "num_accepted": 3, "num_refused": 4,
            "num_by_expert": 1, "eased": 0, "stopped": "steps", "seconds": 3.0, "drawn": None,
            "discrimination": {when: {"auroc": interval, "mass": interval} for when in ("before", "after")},
            "moved": [
                {"kind": "accepted", "candidates": 3, "before": -1.0, "after": -0.5, "fell": 0},
                {"kind": "wrong_answer", "candidates": 4, "before": -1.0, "after": -2.0, "fell": 4},
            ],
        },
        loss=[{"step": i, "loss": 1.0 / i, "ordered": 0.5, "gain_accepted": 0.1, "gain_refused": -0.2} for i in (1, 2)],
        heldout=[{"step": 2, "loss": 0.7, "ordered": 0.8}],
    )  # fmt: skip
    tuned = finished(
        tmp_path / "tuned",
        {
            "config": {"objective": "nll"}, "data": "craft@v1", "num_rows": 12, "steps": 2, "start_loss": 1.0,
            "final_loss": 0.5, "best_step": None, "seconds": 1.0,
        },
        loss=[{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}],
    )  # fmt: skip
    data = collect(trained={"tuned": tuned, "rejected": rejected})
    page = build(data, tmp_path / "page.html").read_text()
    first, second = (page.split(f'id="training-{n}"')[1].split("</section>")[0] for n in (1, 2))
    assert "tuned: fine-tuning" in first and "1.000 → 0.500 nats a token" in first
    assert "rejected: learning from what was refused" in second and "50.0 % [40.0, 60.0]" in second
    assert "wrong answer: 4 candidates" in second and "What became of the candidates" in second
    assert "Gained since the start" in second
    with pytest.raises(DataError, match="no finished model"):
        collect(trained={"none": tmp_path})
