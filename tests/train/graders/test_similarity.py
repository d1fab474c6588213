"""Metrics of `text_similarity`: values worked out by hand or by the library that defines them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.curate.errors import MissingDependencyError, UsageError
from recast.train.graders.kinds import similarity
from recast.train.graders.records import Models
from tests.train.graders.graders import SIMILARITY, grader, reward

CAT, MAT = "the cat sat on a mat today ok", "the cat sat on the mat today ok"


def alike(metric, said, wanted, models=None):
    return reward({**SIMILARITY, "evaluation_metric": metric}, {"answer": wanted}, said, models)


@pytest.mark.parametrize(
    ("metric", "worth"),
    [
        # words of CAT in MAT: 7 of 8 on both sides
        ("rouge_1", 7 / 8),
        # pairs: the-cat cat-sat sat-on mat-today today-ok, 5 of 7
        ("rouge_2", 5 / 7),
        # triples: the-cat-sat cat-sat-on mat-today-ok, 3 of 6
        ("rouge_3", 3 / 6),
        # fours: the-cat-sat-on, 1 of 5
        ("rouge_4", 1 / 5),
        ("rouge_5", 0.0),
        ("rouge_l", 7 / 8),
        # n-grams of 1 to 4: 7 + 5 + 3 + 1 of 8 + 7 + 6 + 5
        ("gleu", 16 / 26),
        # the fourth root of the product of the four precisions, no brevity penalty
        ("bleu", (7 / 8 * 5 / 7 * 3 / 6 * 1 / 5) ** 0.25),
    ],
)
def test_a_metric_has_the_value_of_its_definition(metric, worth):
    assert alike(metric, CAT, MAT) == pytest.approx(worth, abs=1e-9)


def test_fuzzy_match_is_the_weighted_ratio_of_rapidfuzz_of_what_the_guide_shows():
    from rapidfuzz import fuzz, utils

    said = "Fuzzy Wuzzy was a bear!"
    assert alike("fuzzy_match", said, "fuzzy wuzzy was  a bear") == pytest.approx(
        fuzz.WRatio(said, "fuzzy wuzzy was  a bear", processor=utils.default_process) / 100
    )
    assert alike("fuzzy_match", "FUZZY!", "fuzzy") == 1.0


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_5", "rouge_l"])
@pytest.mark.parametrize(
    ("said", "wanted"), [("", ""), ("", "a b"), ("a b", ""), (" \n", "a"), ("😀", "😀 x"), ("'", '"')]
)
def test_empty_and_odd_texts_have_a_value_between_nought_and_one(metric, said, wanted):
    grade = grader({**SIMILARITY, "evaluation_metric": metric}).grade({"answer": wanted}, said)
    assert grade.errors.flags == () and 0 <= grade.reward <= 1


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_l"])
def test_a_text_is_wholly_like_itself(metric):
    assert alike(metric, MAT, MAT) == pytest.approx(1.0)


WORDS = st.lists(st.sampled_from("a b c the cat, sat".split()), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_rouge_l_is_that_of_rouge_score(said, wanted):
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer(["rougeL"]).score(wanted, said)["rougeL"].fmeasure
    assert math.isclose(similarity.metric("rouge_l")(said, wanted), theirs, abs_tol=1e-12)


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "rouge_2", "rouge_l"])
def test_a_text_that_is_too_long_is_worth_nothing_and_flagged(metric):
    grade = grader({**SIMILARITY, "evaluation_metric": metric}).grade({"answer": "a"}, "a " * 40_000)
    assert (grade.value, grade.errors.flags) == (0.0, ("truncated_observation_error",))


def test_meteor_without_its_corpus_is_refused_by_name():
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        with pytest.raises(
            MissingDependencyError, match=r"meteor needs nltk's corpus wordnet.*nltk\.downloader wordnet"
        ):
            grader({**SIMILARITY, "evaluation_metric": "meteor"})
    else:
        assert alike("meteor", MAT, MAT) > 0.99


def test_a_library_that_is_not_here_is_named_with_what_installs_it(monkeypatch):
    import sys

    similarity.metric.cache_clear()
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingDependencyError, match=r"needs sacrebleu: pip install 'recast-sft\[graders\]'"):
        grader({**SIMILARITY, "evaluation_metric": "bleu"})


def test_cosine_asks_the_embedding_model_once_for_all_and_is_refused_without_one():
    value = {**SIMILARITY, "evaluation_metric": "cosine"}
    with pytest.raises(UsageError, match="no embedding model was given"):
        grader(value)
    asked = []

    def cosine(pairs):
        asked.append(list(pairs))
        return [{"near": 0.8, "far": -0.3, "over": 1.0000001}.get(said) for said, _ in pairs]

    grades = grader(value, Models(cosine=cosine)).grade_many(
        [{"answer": "a"}] * 4, ["near", "far", "over", "endless"]
    )
    assert [g.value for g in grades] == [0.8, 0.0, 1.0, 0.0]
    assert grades[3].errors.flags == ("truncated_observation_error",)
    assert len(asked) == 1
