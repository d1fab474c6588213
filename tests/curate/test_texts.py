"""Words, n-grams and containment."""

from __future__ import annotations

from recast.curate.texts import bare_words, containment, grams, ngrams, words


def test_words_are_lower_case_with_signs_and_whole_numbers_and_without_annotations():
    assert words("So 1,250.5 kg <<2*3=6>>+ X_1!") == ("so", "1,250.5", "kg", "+", "x_1", "!")


def test_bare_words_have_no_signs():
    assert bare_words("So 1,250.5 kg, <<2=2>>!") == ("so", "1,250.5", "kg", "2", "2")


def test_grams_keep_order_and_repeats_and_ngrams_do_not():
    assert list(grams("a b a b".split(), 2)) == [("a", "b"), ("b", "a"), ("a", "b")]
    assert ngrams("a b a b", 2) == {"a b", "b a"}
    assert list(grams(["a"], 2)) == [] and ngrams("a", 2) == frozenset()


def test_containment_by_hand():
    # 3-grams of "a b c d": abc, bcd; of the source: abc, bcx
    assert containment("a b c d", "a b c x", 3) == 0.5
    assert containment("a b", "a b", 3) == 0.0
