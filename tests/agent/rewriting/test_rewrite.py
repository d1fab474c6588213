"""The rewriting job over a fake engine whose texts are a function of prompt and seed."""

from __future__ import annotations

import json
import math
import random
import resource
import time
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from recast.agent.batches.isolation import CANARY
from recast.agent.batches.job import Budget
from recast.agent.batches.parts import Plan
from recast.agent.batches.source import Source
from recast.agent.engines.protocol import PROMPT_TOO_LONG, Sample, Score
from recast.agent.rewriting.attempts import rewriting
from recast.agent.rewriting.choice import (
    aligned,
    doubted_from,
    failure_message,
    fallback_reason,
    farthest,
    hesitation,
    surer_half,
    varied,
)
from recast.agent.rewriting.outcome import RewriteResult
from recast.agent.rewriting.rewrite import RewriteConfig, rewrite
from recast.curate import schema
from recast.curate.errors import BudgetReached, IntegrityError, UsageError
from recast.curate.fingerprint import seed_of
from recast.curate.gate.gate import load_gate
from recast.curate.records import Candidate, Check, CheckStatus, Verdict, VerdictStatus
from recast.curate.schema import CANDIDATE_SCHEMA, VERSION_SCHEMA
from tests.fakes.engines import FakeEngine
from tests.fakes.gates import FakeGate
from tests.fakes.rows import rows
from tests.fakes.runs import digest, killed_again_and_again


def config(**changes) -> RewriteConfig:
    return RewriteConfig(**{"batch_rows": 3, "window_rows": 7, "embedding": "none", **changes})


def table(result: RewriteResult):
    return result.rows().read_all().to_pylist()


def test_every_row_comes_back_in_order_with_a_decision_and_a_reason(tmp_path):
    result = rewrite(rows(20), FakeEngine(), FakeGate(), config(), tmp_path)
    out = table(result)
    assert [r["row_id"] for r in out] == [f"r{i}" for i in range(20)]
    assert result.num_rows == 20 == sum(result.counts.values())
    for r in out:
        if r["decision"] == "rewrite":
            assert r["completion"].startswith("good")
            assert r["reason"] is None
        else:
            assert (r["decision"], r["reason"], r["completion"]) == ("fallback", "bad", r["demonstration"])
        assert r["gate_id"] == "1" * 16 and r["run_id"] == result.fingerprint and r["engine"] == "fake"
    assert result.rows().schema == VERSION_SCHEMA


def test_candidates_carry_the_seed_that_made_them_and_the_verdict(tmp_path):
    result = rewrite(rows(5), FakeEngine(), FakeGate(), config(candidates=3, seed=7), tmp_path)
    reader = result.candidates()
    assert reader.schema == CANDIDATE_SCHEMA
    candidates = reader.read_all().to_pylist()
    assert len(candidates) == 15 == result.num_candidates
    for c in candidates:
        assert c["seed"] == seed_of(7, c["row_id"], 0, c["k"], 0)
        assert c["text"].endswith(f" {c['seed'] % 1000}")
        assert c["status"] == ("accepted" if c["text"].startswith("good") else "rejected")
        assert (c["nll"] is not None) == (c["status"] == "accepted")
    chosen = {c["row_id"]: c for c in candidates if c["chosen"]}
    for r in table(result):
        if r["decision"] == "rewrite":
            assert chosen.pop(r["row_id"])["text"] == r["completion"]
    assert not chosen


def test_the_likeliest_accepted_candidate_is_kept(tmp_path):
    result = rewrite(
        rows(6), FakeEngine(words=("good",)), FakeGate(), config(candidates=8, tie_nats=0), tmp_path
    )
    by_row: dict[str, list] = {}
    for c in result.candidates().read_all().to_pylist():
        by_row.setdefault(c["row_id"], []).append(c["nll"])
    for r in table(result):
        assert r["nll_completion"] == min(by_row[r["row_id"]])


def test_rewrites_that_cost_more_than_their_demonstrations_raise_a_warning(tmp_path):
    """The fake scores a text by its length: `good 123` costs a letter's price less than `expert 12`, or more."""
    cheap = rewrite(rows(40), FakeEngine(("good",)), FakeGate(), config(), tmp_path / "cheap")
    gains = [r["nll_completion"] - r["nll_demonstration"] for r in table(cheap)]
    assert cheap.nll_gain == pytest.approx(np.mean(gains)) and cheap.counts["rewrite"] == 40
    assert cheap.word_drift == 1.0, "no word in common with its demonstration"
    assert list(cheap.warnings) == ["word_drift"]
    dear = rewrite(rows(40), FakeEngine(("good and long",)), FakeGate(), config(), tmp_path / "dear")
    assert dear.nll_gain is not None and dear.nll_gain > 0.05 and "less_likely" in dear.warnings
    few = rewrite(rows(9), FakeEngine(("good",)), FakeGate(), config(), tmp_path / "few")
    assert few.nll_gain is None and few.warnings == {}, "a mean of few rows says nothing"


def test_without_an_adapter_the_backbone_samples_and_scoring_never_uses_one(tmp_path):
    plain, tuned = FakeEngine(), FakeEngine(has_adapter=True)
    rewrite(rows(2), plain, FakeGate(), config(), tmp_path / "a")
    result = rewrite(rows(2), tuned, FakeGate(), config(), tmp_path / "b", agent_id="agent-1")
    assert {adapter for _, adapter in plain.calls} == {False}
    assert {adapter for _, adapter in tuned.calls} == {True}
    assert {r["agent_id"] for r in table(result)} == {"agent-1"}
    with pytest.raises(UsageError, match="agent_id"):
        rewrite(rows(2), tuned, FakeGate(), config(), tmp_path / "c")


def test_a_row_that_raises_falls_back_with_reason_error_and_the_others_go_on(tmp_path):
    result = rewrite(
        rows(9), FakeEngine(words=("good",), broken=["question 4 "]), FakeGate(), config(), tmp_path
    )
    assert result.counts == {"rewrite": 8, "repair": 0, "fallback": 1}
    assert result.reasons == {"error": 1}
    assert result.errors == {"r4": "RuntimeError: cannot render this prompt"}
    assert table(result)[4]["completion"] == "expert 4"


def test_a_whole_batch_of_bad_rows_does_not_stop_the_job(tmp_path):
    result = rewrite(rows(3), FakeEngine(broken=["question"]), FakeGate(), config(), tmp_path)
    assert result.reasons == {"error": 3}


def test_a_row_that_cannot_be_scored_is_an_error_of_its_own(tmp_path):
    question = rows(9)[5]["messages"][0]["content"]
    engine = FakeEngine(words=("good",), scoring_broken=[question])
    result = rewrite(rows(9), engine, FakeGate(), config(), tmp_path)
    assert list(result.errors) == ["r5"] and result.counts["rewrite"] == 8


def test_an_engine_that_fails_on_everything_stops_the_job(tmp_path):
    with pytest.raises(RuntimeError, match="device lost"):
        rewrite(rows(3), FakeEngine(down=True), FakeGate(), config(), tmp_path)
    assert not list((tmp_path / "parts").glob("*.parquet"))


def test_a_gate_that_raises_makes_the_candidate_unverifiable(tmp_path):
    result = rewrite(rows(2), FakeEngine(words=("raise",)), FakeGate(), config(), tmp_path)
    assert result.reasons == {"unverifiable": 2}
    assert {c["reason"] for c in result.candidates().read_all().to_pylist()} == {"error"}


def test_repair_tells_the_failing_check_and_is_recorded_as_repair(tmp_path):
    class Repairable(FakeEngine):
        def sample(self, prompts, k, sampling, *, seeds, adapter):
            self.calls.append(([p[-1]["content"] for p in prompts], adapter))
            failed = ["failed: The text is bad." in p[-1]["content"] for p in prompts]
            return [[Sample("good 1" if f else "bad 1", [1], [-1.0], "stop")] * k for f in failed]

    engine = Repairable()
    result = rewrite(rows(4), engine, FakeGate(), config(repairs=1, candidates=2), tmp_path)
    assert result.counts == {"rewrite": 0, "repair": 4, "fallback": 0}
    assert {c["attempt"] for c in result.candidates().read_all().to_pylist() if c["chosen"]} == {1}
    assert {r["pass_rate"] for r in table(result)} == {0.0}  # of the first attempt


def test_a_row_names_the_prompt_that_made_it_and_an_experts_text_none(tmp_path):
    class RepairsOdd(FakeEngine):
        """Row 0 is right at once, odd rows when told what failed, the others never."""

        def sample(self, prompts, k, sampling, *, seeds, adapter):
            return [[Sample(self.text(p[-1]["content"]), [1], [-1.0], "stop")] * k for p in prompts]

        def text(self, asked):
            number = int(asked.split()[1])
            right = number == 0 or (number % 2 and "An earlier attempt failed" in asked)
            return "good 1" if right else "bad 1"

    result = rewrite(rows(4), RepairsOdd(), FakeGate(), config(repairs=1, candidates=2), tmp_path)
    assert [r["template_id"] for r in table(result)] == ["rewrite-1", "repair-1", None, "repair-1"]
    for candidate in result.candidates().read_all().to_pylist():
        assert result.prompts[candidate["attempt"]] == ("repair-1" if candidate["attempt"] else "rewrite-1")


def test_own_samples_answer_the_plain_question_without_the_adapter(tmp_path):
    engine = FakeEngine(words=("good",), has_adapter=True)
    result = rewrite(rows(2), engine, FakeGate(), config(own_samples=2), tmp_path, agent_id="a")
    questions = [r["messages"][0]["content"] for r in rows(2)]
    assert [call for call in engine.calls if call[1] is False] == [(questions[::-1], False)]  # longest first
    assert all(r["nll_self"] is not None for r in table(result))


def accepted(k, nll, text=None, attempt=0):
    return Candidate(
        "r", 0, k, attempt, text or f"text {k}", 1, "stop", 0, Verdict(VerdictStatus.ACCEPTED), nll=nll
    )


def test_ties_are_within_the_tolerance_likeliest_first_and_hold_a_text_once():
    group = [accepted(0, 0.34), accepted(1, 0.30), accepted(2, 0.36), accepted(3, 0.30, "text 1")]
    assert [c.k for c in aligned(group, 0.05, "nll")] == [1, 0]
    assert [c.k for c in aligned(group, 0.10, "nll")] == [1, 0, 2]
    assert [c.k for c in aligned(group, 0, "nll")] == [1]
    assert aligned([], 0.05, "nll") == []
    with pytest.raises(ValueError, match="has no nll"):
        aligned([accepted(0, None)], 0.05, "nll")


def test_excess_is_a_sum_so_its_tolerance_grows_with_the_length_of_the_best():
    def scored(k, nll, excess, num_tokens):
        return replace(accepted(k, nll), scores={"excess": excess, "num_tokens": num_tokens})

    # the padded text is likelier per token and pays for every line of it
    own, padded, near = scored(0, 0.17, 2.0, 60), scored(1, 0.07, 6.0, 130), scored(2, 0.20, 4.9, 60)
    assert [c.k for c in aligned([own, padded, near], 0.05, "nll")] == [1]
    assert [c.k for c in aligned([own, padded, near], 0.05, "excess")] == [0, 2]  # within 60 x 0.05 = 3 nats
    assert [c.k for c in aligned([own, padded, near], 0.01, "excess")] == [0]
    with pytest.raises(ValueError, match="has no excess"):
        aligned([accepted(0, 0.3)], 0.05, "excess")


def test_what_is_likelier_than_own_samples_is_no_better_than_they_are():
    def scored(k, excess):
        return replace(accepted(k, 0.3), scores={"excess": excess, "num_tokens": 20})

    group = [scored(0, 0.9), scored(1, -30.0), scored(2, -2.0), scored(3, 1.1)]
    assert [c.k for c in aligned(group, 0.05, "excess")] == [1, 2, 0], (
        "at own level, and within 20 x 0.05 nats"
    )
    assert [c.k for c in aligned(group, 0.05, "excess", own=-math.inf)] == [1], "as jobs of before chose"


def test_of_equals_a_batch_keeps_what_its_other_rows_say_least():
    # the first row knows of none and takes its first text; once it has seen the others it gives way
    assert varied([["a b", "c d"], ["a b"], ["a b", "e f"]]) == [[1], [0], [1]]
    assert varied([["a b", "a b c"]]) == [[0]], "all is new to the first: the best aligned one"
    assert varied([[], ["a"]]) == [[], [0]]
    # two of a row: the second is compared with the first
    assert varied([["a b", "a b", "c d"]], num=2) == [[0, 2]]
    assert varied([["a", "b"]], num=3) == [[0, 1]]


def test_an_engine_without_entropies_cannot_be_asked_for_excess(tmp_path):
    with pytest.raises(UsageError, match="tells no entropies"):
        rewrite(rows(1), FakeEngine(), FakeGate(), config(alignment="excess"), tmp_path / "a")
    assert rewrite(rows(1), FakeEngine(), FakeGate(), config(), tmp_path / "b").alignment == "nll"


class Tells(FakeEngine):
    """Tells entropies: `padded` texts are likelier per token, and pay for every line of them."""

    def logprobs(self, prompts, completions, *, adapter):
        padded, own = Score(0.07, 130, 0.02, 6.5), Score(0.17, 60, 0.14, 2.0)
        return [padded if text.startswith("good padded") else own for text in completions]

    def score(self, prompts, completions, *, adapter, embed=False, temperature=1.0):
        states = np.ones((len(completions), 4), np.float32) if embed else None
        return self.logprobs(prompts, completions, adapter=adapter), states


@pytest.mark.parametrize(("alignment", "kept"), [("auto", "own"), ("excess", "own"), ("nll", "padded")])
def test_padding_is_kept_by_mean_nll_and_passed_over_by_excess(tmp_path, alignment, kept):
    engine = Tells(words=("good padded", "good own"))
    result = rewrite(rows(8), engine, FakeGate(), config(candidates=8, alignment=alignment), tmp_path)
    texts = [r["completion"] for r in table(result)]
    assert {text.split()[1] for text in texts} == {kept}
    assert result.alignment == ("excess" if alignment == "auto" else alignment)


def test_alignment_is_refused_where_nothing_is_measured_to_choose_by(tmp_path):
    with pytest.raises(UsageError, match=r"would have no effect: with rewrite.scoring=false"):
        rewrite(rows(1), Tells(), FakeGate(), config(alignment="nll", scoring=False), tmp_path / "a")
    unscored = rewrite(rows(1), Tells(), FakeGate(), config(scoring=False), tmp_path / "b")
    assert unscored.alignment == "none"


def test_the_farthest_is_measured_from_its_nearest_neighbour():
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert farthest(embeddings, []) == 0
    # (1 - cos)/2 from [1, 0]: 0, 0.5, 1
    assert farthest(embeddings, [np.array([1.0, 0.0])]) == 2
    # from {[1, 0], [-1, 0]} the nearest neighbours are at 0, 0.5, 0
    assert farthest(embeddings, [np.array([1.0, 0.0]), np.array([-1.0, 0.0])]) == 1


def test_a_tie_goes_to_the_text_unlike_those_already_chosen(tmp_path):
    texts = ["good aa", "good bb"]  # of one length: the fake engine finds them equally likely

    class Tied(FakeEngine):
        def sample(self, prompts, k, sampling, *, seeds, adapter):
            return [[Sample(t, [1], [-1.0], "stop") for t in texts] for _ in prompts]

    calls = []

    def embed(found):
        calls.append(found)
        return np.array([[1.0, 0.0] if t == "good aa" else [0.0, 1.0] for t in found])

    result = rewrite(rows(3), Tied(), FakeGate(), config(candidates=2, batch_rows=3), tmp_path, embed=embed)
    assert sorted(r["completion"] for r in table(result)) == ["good aa", "good aa", "good bb"]
    assert calls == [texts]  # one call a batch


def test_hesitation_is_the_mean_surprisal_of_the_eight_least_likely_tokens():
    assert hesitation([-0.5, -1.5]) == 1.0, "a shorter text: all of them"
    # ten tokens; the two likeliest, of 0.0 and 0.1 nats, do not count: (1 + 2 + ... + 8) / 8
    assert hesitation([-8.0, 0.0, *(-float(n) for n in range(1, 8)), -0.1]) == 4.5
    assert math.isnan(hesitation([])), "an engine that tells no log-probabilities"


def hesitant(number: float, accepted: bool = True) -> Candidate:
    status = VerdictStatus.ACCEPTED if accepted else VerdictStatus.REJECTED
    scores = {} if math.isnan(number) else {"hesitation": number}
    return Candidate("r", 0, 0, 0, "", 0, "stop", 0, Verdict(status, "", ()), scores=scores)


def test_more_is_doubted_of_what_is_accepted_where_more_is_refused():
    accepted = [hesitant(n) for n in range(8)]
    refused = [hesitant(99.0, accepted=False)] * 8
    # half is refused: floor(0.5 x 8 x 1/2) = 2 of the accepted ones, 7 and 6, are above the limit
    assert doubted_from([*accepted, *refused], 0.5) == 5
    assert doubted_from(accepted, 0.5) == math.inf, "nothing is refused, so nothing is doubted"
    assert doubted_from([*accepted, *refused], 0.0) == math.inf
    # floor(0.5 x 8 x 56/64) = 3
    assert doubted_from([*accepted, *refused * 7], 0.5) == 4
    copies = [replace(c, verdict=replace(c.verdict, reason="copy")) for c in refused]
    assert doubted_from([*accepted, *copies], 0.5) == math.inf, "a copy is no sign of anything wrong"


def test_none_is_doubted_of_equals_of_few_or_of_those_that_nothing_is_known_of():
    refused = [hesitant(0.0, accepted=False)] * 100
    assert doubted_from([*[hesitant(1.0)] * 8, *refused], 0.5) == 1.0, "none of equals is above it"
    assert doubted_from([hesitant(1.0), *refused], 0.5) == math.inf, "floor(0.5 x 1 x 100/101) = 0"
    assert doubted_from([*[hesitant(math.nan)] * 8, *refused], 0.5) == math.inf
    assert doubted_from([], 0.5) == math.inf


def test_a_row_is_chosen_from_the_surer_half_of_what_passed():
    def told(*numbers: float, text: str | None = None) -> list[Candidate]:
        return [replace(hesitant(n), text=text or str(n), k=k) for k, n in enumerate(numbers)]

    def left(candidates: list[Candidate], least: int = 1) -> list[int]:
        return [c.k for c in surer_half(candidates, least)]

    assert left(told(3.0, 1.0, 4.0, 2.0)) == [1, 3], "in the order in which they were drawn"
    assert left(told(3.0, 1.0, 2.0)) == [1, 2] and left(told(3.0, 1.0)) == [1] and left(told(3.0)) == [0]
    assert left(told(3.0, 1.0, 4.0, 2.0), 3) == [0, 1, 3], "three targets need three"
    assert left(told(1.0, 1.0, 1.0, 2.0, 3.0)) == [0, 1, 2, 3], "one text is counted once: 1, 2 and 3"
    assert left(told(math.nan, 1.0, 2.0)) == [0, 1], "nothing is known of the first"
    assert surer_half([]) == []


class Hesitating(FakeEngine):
    """Says "bad ..." to half of the questions; the good answers cost 0.1 nats a token, or 3 where asked `shaky`."""

    shaky = "question 4 "

    def sample(self, prompts, k, sampling, *, seeds, adapter):
        def said(content: str, j: int) -> Sample:
            number = int(content.split("question ")[1].split()[0])
            price = 3.0 if self.shaky in content else 0.1
            return Sample(f"{'good' if number % 2 == 0 else 'bad'} {j}", [0, 1], [-price, -price], "stop")

        return [[said(p[-1]["content"], j) for j in range(k)] for p in prompts]


def test_what_the_model_was_unsure_of_falls_back_and_says_so(tmp_path):
    settings = config(batch_rows=8, window_rows=8, doubt=0.5)
    result = rewrite(rows(8), Hesitating(), FakeGate(), settings, tmp_path / "a")
    # 16 of 32 candidates are accepted, so floor(0.5 x 16 x 1/2) = 4 are doubted: those of row 4
    assert result.counts == {"rewrite": 3, "repair": 0, "fallback": 5}
    assert result.reasons == {"bad": 4, "hesitant": 1} and result.num_accepted == 16
    out = table(result)[4]
    assert (out["decision"], out["reason"], out["completion"]) == ("fallback", "hesitant", "expert 4")
    assert {cause["cause"] for cause in result.causes} >= {"hesitant"}
    told = {json.loads(c["scores"])["hesitation"] for c in result.candidates().read_all().to_pylist()}
    assert told == {0.1, 3.0}
    trusting = rewrite(rows(8), Hesitating(), FakeGate(), config(doubt=0), tmp_path / "b")
    assert trusting.counts["rewrite"] == 4


@pytest.mark.parametrize("done", [0, 1])
def test_a_job_begun_before_there_was_doubt_goes_on_without_it(tmp_path, done):
    settings = config(doubt=0)
    before = rewrite(rows(9), Hesitating(), FakeGate(), settings, tmp_path)
    identity = json.loads((tmp_path / "plan.json").read_text())["identity"]
    assert "doubt" not in identity and "doubt" not in identity["config"]
    for part in sorted((tmp_path / "parts").iterdir())[done:]:
        part.unlink()
    again = rewrite(rows(9), Hesitating(), FakeGate(), config(doubt=0.5), tmp_path)
    assert again.fingerprint == before.fingerprint and table(again) == table(before)


def test_only_the_tokens_of_the_kept_text_say_how_sure_its_writer_was(tmp_path):
    class Chatty(FakeEngine):
        """Opens with 6 tokens of 9 nats, which are cut; then a token a character, of 1 nat."""

        def _sample(self, seed):
            said = super()._sample(seed).text
            whole = f"Sure!\n{said}"
            return Sample(whole, list(range(len(whole))), [-9.0] * 6 + [-1.0] * len(said), "stop")

    result = rewrite(rows(3), Chatty(words=("good",)), FakeGate(), config(), tmp_path)
    assert result.num_cut == result.num_candidates == 12
    told = [json.loads(c["scores"])["hesitation"] for c in result.candidates().read_all().to_pylist()]
    assert told == [1.0] * 12


def test_the_fallback_reason_is_the_commonest_and_unverifiable_counts_as_one():
    def candidate(status, reason, message=""):
        check = Check("c", CheckStatus.FAIL, reason, message)
        return Candidate("r", 0, 0, 0, "", 0, "stop", 0, Verdict(status, reason, (check,)))

    rejected, unclear = VerdictStatus.REJECTED, VerdictStatus.UNVERIFIABLE
    assert (
        fallback_reason([candidate(rejected, "a"), candidate(rejected, "b"), candidate(rejected, "b")]) == "b"
    )
    mixed = [candidate(rejected, "a"), candidate(unclear, "x"), candidate(unclear, "y")]
    assert fallback_reason(mixed) == "unverifiable"
    assert failure_message([candidate(rejected, "a", "One."), candidate(rejected, "b", "Two.")] * 2) == "One."


def test_batches_hold_rows_of_like_length_within_their_window():
    plan = Plan.of({}, 6, batch_rows=2, window_rows=4)
    # window 0 is rows 0..3 by falling length: 0, 2, 3, 1; window 1 is rows 4, 5 and begins with batch 2
    assert plan.batches(0, [5, 1, 3, 2]) == [(0, (0, 2)), (1, (3, 1))]
    assert plan.batches(1, [9, 8]) == [(2, (4, 5))]


def test_a_finished_part_stands_and_only_missing_ones_are_made(tmp_path):
    first = rewrite(rows(9), FakeEngine(), FakeGate(), config(), tmp_path)
    before = digest(tmp_path)
    (tmp_path / "parts" / "part-000001.parquet").unlink()
    engine = FakeEngine()
    again = rewrite(rows(9), engine, FakeGate(), config(), tmp_path)
    assert len(engine.calls) == 1
    assert digest(tmp_path) == before
    assert again.rows().read_all() == first.rows().read_all()


def test_another_job_in_the_same_folder_is_refused_by_what_differs(tmp_path):
    rewrite(rows(3), FakeEngine(), FakeGate(), config(), tmp_path)
    with pytest.raises(UsageError, match=r"different: config\)"):
        rewrite(rows(3), FakeEngine(), FakeGate(), config(seed=1), tmp_path)
    with pytest.raises(UsageError, match=r"different: rows\)"):
        rewrite(rows(4), FakeEngine(), FakeGate(), config(), tmp_path)


def test_a_damaged_part_is_named(tmp_path):
    rewrite(rows(3), FakeEngine(), FakeGate(), config(), tmp_path)
    part = tmp_path / "parts" / "part-000000.parquet"
    part.write_bytes(b"PAR1 torn")
    with pytest.raises(IntegrityError, match="part-000000"):
        rewrite(rows(3), FakeEngine(), FakeGate(), config(), tmp_path)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    whole = tmp_path / "whole"
    rewrite(rows(9), FakeEngine(), FakeGate(), config(), whole)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the plan fits, a part does not
    try:
        with pytest.raises(OSError):
            rewrite(rows(9), FakeEngine(), FakeGate(), config(), tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "full" / "parts").iterdir()) == []
    rewrite(rows(9), FakeEngine(), FakeGate(), config(), tmp_path / "full")
    assert digest(tmp_path / "full") == digest(whole)


def test_the_deadline_ends_between_batches_and_the_rest_goes_on(tmp_path):
    with pytest.raises(BudgetReached, match="after 0 of 9 rows"):
        rewrite(
            rows(9),
            FakeEngine(),
            FakeGate(),
            config(),
            tmp_path,
            budget=Budget(deadline=time.monotonic() - 1),
        )
    assert rewrite(rows(9), FakeEngine(), FakeGate(), config(), tmp_path).num_rows == 9


def test_an_engine_without_hidden_states_cannot_embed(tmp_path):
    with pytest.raises(UsageError, match="'fake' shows no hidden states"):
        rewrite(rows(1), FakeEngine(), FakeGate(), config(embedding="backbone"), tmp_path)


def test_greedy_candidates_would_all_be_the_same(tmp_path):
    with pytest.raises(UsageError, match="candidates to 1"):
        rewrite(rows(1), FakeEngine(), FakeGate(), config(temperature=0), tmp_path)


def test_several_targets_are_unlike_each_other_and_a_row_never_has_more_than_it_may(tmp_path):
    result = rewrite(
        rows(20), FakeEngine(), FakeGate(), config(candidates=6, targets=3, tie_nats=9), tmp_path
    )
    by_row: dict[str, list] = {}
    for r in table(result):
        by_row.setdefault(r["row_id"], []).append(r)
    assert len(by_row) == result.num_rows == 20
    assert result.num_targets == sum(map(len, by_row.values())) > 20
    for group in by_row.values():
        assert [r["target"] for r in group] == list(range(len(group))) and len(group) <= 3
        assert len({r["completion"] for r in group}) == len(group)
        assert {r["decision"] for r in group} in ({"rewrite"}, {"fallback"})
    candidates = result.candidates().read_all().to_pylist()
    assert len(candidates) == 20 * 6, "candidates of a row with several targets are kept once"
    assert sum(c["chosen"] for c in candidates) == result.counts["rewrite"]


def test_a_version_that_has_several_targets_already_has_no_room_for_more(tmp_path):
    given = [rows(1)[0], {**rows(1)[0], "target": 1}]
    with pytest.raises(UsageError, match="several targets"):
        rewrite(given, FakeEngine(), FakeGate(), config(targets=2), tmp_path)
    result = rewrite(given, FakeEngine(words=("good",)), FakeGate(), config(), tmp_path / "one")
    assert [r["target"] for r in table(result)] == [0, 1]


def test_a_budget_of_candidates_is_never_overdrawn_and_a_larger_one_goes_on(tmp_path):
    engine = FakeEngine()
    with pytest.raises(BudgetReached, match="after 6 of 9 rows"):
        # batches of 3 rows with 2 candidates each: two fit into 13
        rewrite(rows(9), engine, FakeGate(), config(candidates=2), tmp_path, budget=Budget(max_candidates=13))
    assert sum(len(prompts) for prompts, _ in engine.calls) * 2 == 12
    with pytest.raises(BudgetReached, match=r"after 6 of 9 rows.*with a larger --max-candidates goes on"):
        rewrite(rows(9), engine, FakeGate(), config(candidates=2), tmp_path, budget=Budget(max_candidates=13))
    result = rewrite(
        rows(9), engine, FakeGate(), config(candidates=2), tmp_path, budget=Budget(max_candidates=18)
    )
    assert (result.num_rows, result.num_candidates, result.num_found) == (9, 18, 6)


def test_a_budget_of_candidates_that_holds_no_batch_is_refused_with_one_that_does(tmp_path):
    engine, settings = (
        FakeEngine(),
        config(candidates=2, repairs=1),
    )  # 3 rows a batch, 4 candidates each at worst
    with pytest.raises(UsageError, match=r"--max-candidates 12 or more.*rewrite\.batch_rows=2"):
        rewrite(rows(9), engine, FakeGate(), settings, tmp_path, budget=Budget(max_candidates=11))
    assert not engine.calls
    with pytest.raises(UsageError, match=r"--max-candidates 4 or more\.$"):
        rewrite(rows(1), engine, FakeGate(), settings, tmp_path / "one", budget=Budget(max_candidates=3))
    with pytest.raises(BudgetReached, match="after 3 of 9 rows"):
        rewrite(rows(9), engine, FakeGate(), settings, tmp_path, budget=Budget(max_candidates=12))
    with pytest.raises(BudgetReached, match="after 3 of 9 rows"):
        rewrite(rows(9), engine, FakeGate(), settings, tmp_path, budget=Budget(max_candidates=11))


def test_a_prompt_that_leaves_no_room_falls_back_with_its_own_reason(tmp_path):
    class Small(FakeEngine):
        def sample(self, prompts, k, sampling, *, seeds, adapter):
            drawn = super().sample(prompts, k, sampling, seeds=seeds, adapter=adapter)
            return [
                [Sample("", [], [], PROMPT_TOO_LONG)] * k if "question 3 " in p[-1]["content"] else group
                for p, group in zip(prompts, drawn, strict=True)
            ]

    result = rewrite(rows(5), Small(words=("good",)), FakeGate(), config(repairs=1), tmp_path)
    assert result.reasons == {"prompt_too_long": 1} and result.num_errors == 0
    assert [cause["cause"] for cause in result.causes] == ["prompt_too_long"]
    assert table(result)[3]["pass_rate"] is None


def test_an_accepted_candidate_that_cannot_be_scored_falls_back_with_its_own_reason(tmp_path):
    class Short(FakeEngine):
        def logprobs(self, prompts, completions, *, adapter):
            return [Score(float("nan"), len(c), float("nan"), float("nan")) for c in completions]

    result = rewrite(rows(2), Short(words=("good",)), FakeGate(), config(), tmp_path)
    assert result.reasons == {"too_long_to_score": 2}


def test_figures_that_an_engine_cannot_tell_are_left_out(tmp_path):
    class Blunt(FakeEngine):
        def logprobs(self, prompts, completions, *, adapter):
            return [Score(len(c) / 100, len(c), math.nan, math.nan) for c in completions]

    result = rewrite(rows(4), Blunt(words=("good",)), FakeGate(), config(), tmp_path)
    found = result.candidates().read_all().to_pylist()
    assert {tuple(json.loads(c["scores"])) for c in found} == {("drift", "hesitation", "num_tokens")}
    assert result.nll_completion is not None


def test_without_scoring_the_first_accepted_candidate_is_kept(tmp_path):
    class Mute(FakeEngine):
        def logprobs(self, prompts, completions, *, adapter):
            raise AssertionError("asked to score")

    result = rewrite(rows(6), Mute(), FakeGate(), config(candidates=4, scoring=False), tmp_path)
    first: dict[str, str] = {}
    for c in result.candidates().read_all().to_pylist():
        if c["status"] == "accepted":
            first.setdefault(c["row_id"], c["text"])
    assert {r["row_id"]: r["completion"] for r in table(result) if r["decision"] == "rewrite"} == first
    assert result.nll_completion is None


def test_a_job_does_not_hang_on_how_its_rows_are_delivered(tmp_path):
    whole = schema.table(rows(20))
    cut = [whole.slice(i, n) for i, n in ((0, 1), (1, 12), (13, 7))]
    first = rewrite(whole, FakeEngine(), FakeGate(), config(), tmp_path / "a")
    second = rewrite(iter(cut), FakeEngine(), FakeGate(), config(), tmp_path / "b")
    assert first.fingerprint == second.fingerprint and digest(tmp_path / "a") == digest(tmp_path / "b")
    limited = rewrite(whole, FakeEngine(), FakeGate(), config(), tmp_path / "c", limit=8)
    assert limited.num_rows == 8 and limited.fingerprint != first.fingerprint


def test_the_gate_beside_the_engine_or_in_line_ends_in_the_same_bytes(tmp_path):
    engine = FakeEngine(words=("The answer is", "So it is"))
    for beside in (True, False):
        rewrite(rows(60), engine, load_gate("math"), config(repairs=1), tmp_path / str(beside), beside=beside)
    assert digest(tmp_path / "True") == digest(tmp_path / "False")


def test_a_job_holds_a_window_of_its_rows_and_no_more(tmp_path):
    whole = schema.table(rows(100))
    pulled = 0

    def batches():
        nonlocal pulled
        pulled = 0
        for start in range(0, 100, 5):
            pulled += 5
            yield whole.slice(start, 5).to_batches()[0]

    ahead = []

    class Watching(FakeEngine):
        def sample(self, prompts, *args, **kwargs):
            ahead.append(pulled - sum(len(p) for p, _ in self.calls))
            return super().sample(prompts, *args, **kwargs)

    result = rewrite(Source(batches), Watching(), FakeGate(), config(window_rows=10), tmp_path)
    assert max(ahead) <= 10 + 5, (
        "rows read that were not yet worked: a window, and what came with its last row"
    )
    assert [r["row_id"] for r in table(result)] == [f"r{i}" for i in range(100)]


def test_progress_counts_rows_up_to_the_total(tmp_path):
    seen = []
    rewrite(rows(9), FakeEngine(), FakeGate(), config(), tmp_path, progress=seen.append)
    assert [s["done"] for s in seen] == sorted(s["done"] for s in seen) and seen[-1]["done"] == 9
    assert all(s["total"] == 9 and s["rewrite"] + s["repair"] + s["fallback"] == s["done"] for s in seen)


def test_the_canary_is_a_plain_prompt():
    assert CANARY[-1]["role"] == "user"


NUM_KILLS = 10


class Slow(FakeEngine):
    """Takes its time, so that a kill can hit anything."""

    def sample(self, *args, **kwargs):
        time.sleep(0.002)
        return super().sample(*args, **kwargs)


@pytest.mark.parametrize(
    "num_rows, num_kills", [(2000, NUM_KILLS), pytest.param(2000, 100, marks=pytest.mark.torture)]
)
def test_killed_at_random_moments_the_bytes_equal_those_of_an_uninterrupted_run(
    tmp_path, num_rows, num_kills
):
    settings = config(candidates=2, repairs=1, targets=2, batch_rows=64, window_rows=512)

    def work(folder):
        rewrite(rows(num_rows), Slow(words=("good", "bad", "bad")), FakeGate(), settings, folder)

    started = time.monotonic()
    work(tmp_path / "whole")
    whole_s = time.monotonic() - started
    died = killed_again_and_again(work, tmp_path / "killed", num_kills, random.Random(0), 0.5 * whole_s)
    assert died == num_kills
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def test_a_part_is_readable_by_anything(tmp_path):
    rewrite(rows(3), FakeEngine(), FakeGate(), config(), tmp_path)
    part = pq.read_table(tmp_path / "parts" / "part-000000.parquet")
    assert part.num_rows == 3
    assert part["position"].to_pylist() == [2, 1, 0]  # longest first
    assert json.loads((tmp_path / "plan.json").read_text())["num_rows"] == 3


class Warm(Tells):
    """Tells at which temperatures it was asked."""

    def score(self, prompts, completions, *, adapter, embed=False, temperature=1.0):
        self.asked = {*getattr(self, "asked", ()), temperature}
        return super().score(prompts, completions, adapter=adapter, embed=embed)


def test_excess_is_measured_at_the_temperature_of_sampling(tmp_path):
    engine = Warm()
    result = rewrite(rows(4), engine, FakeGate(), config(temperature=0.5, embedding="auto"), tmp_path / "a")
    assert engine.asked == {0.5} and result.embedding == "phrases"
    greedy = Warm()
    rewrite(rows(4), greedy, FakeGate(), config(temperature=0.0, candidates=1), tmp_path / "b")
    assert not hasattr(greedy, "asked"), "greedy samples have no temperature: as the model is, by `logprobs`"


@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_job_begun_under_the_first_rule_of_choice_goes_on_under_it(tmp_path, done):
    """Its plan says nothing of a choice: excess at temperature 1, compared by states."""
    settings = config(temperature=0.5, embedding="auto")
    first = replace(
        rewriting(settings.candidates, settings.sampling, repairs=0, adapter=False, clean=True), choice=1
    )
    before = rewrite(rows(9), Warm(), FakeGate(), settings, tmp_path / "a", method=first)
    assert before.embedding == "backbone"
    assert "choice" not in json.loads((tmp_path / "a" / "plan.json").read_text())["identity"]
    for part in sorted((tmp_path / "a" / "parts").iterdir())[done:]:
        part.unlink()
    engine = Warm()
    again = rewrite(rows(9), engine, FakeGate(), settings, tmp_path / "a")
    assert again.fingerprint == before.fingerprint and table(again) == table(before)
    assert getattr(engine, "asked", {1.0}) == {1.0}
    new = rewrite(rows(9), Warm(), FakeGate(), settings, tmp_path / "b")
    assert new.fingerprint != before.fingerprint
    assert json.loads((tmp_path / "b" / "plan.json").read_text())["identity"]["choice"] == 2
