"""Word lists, what is built from them, the language of a text, and what of a text is prose."""

from __future__ import annotations

import pytest

from recast.curate.language.english import IMPOSSIBLE, content_pairs
from recast.curate.language.identify import language
from recast.curate.language.prose import bare_letters, holds_code, prose, spaced_words
from recast.curate.language.vocabulary import Vocabulary, one_edit_apart, vocabulary


@pytest.fixture(scope="module")
def english() -> Vocabulary:
    known = vocabulary("English")
    assert known is not None
    return known


@pytest.mark.parametrize(
    "word",
    "the her clips they'll don't o'clock girl's girls' jellybeans undervalued uneaten leftover kilometre colour color "
    "multiplied endometrially antireflux etc kg".split(),
)
def test_words_of_english_and_what_is_built_of_them(english, word):
    assert word in english


@pytest.mark.parametrize(
    "word",
    "freind teh wich becuase recieve cipls aogthetler ther fet becuse ofthe zorblax snorf natalie numbr's "
    "alors voici deinde znamena".split(),
)
def test_misspellings_made_up_and_foreign_words_are_none_of_english(english, word):
    assert word not in english


def test_a_misspelling_is_one_letter_from_a_word(english):
    assert english.misspelt("freind") and english.misspelt("clps")
    assert not english.misspelt("zorblax")
    assert not english.misspelt("unknowable", frozenset({"unknowable"})), "a word is no misspelling of itself"


@pytest.mark.parametrize(
    ("one", "two", "apart"),
    [
        ("clips", "clip", True),  # left out
        ("clip", "chip", True),  # changed
        ("clip", "clipp", True),  # put in
        ("form", "from", True),  # swapped
        ("clip", "clip", False),
        ("clip", "chips", False),
        ("abcd", "badc", False),
        ("", "ab", False),
    ],
)
def test_one_edit_apart_is_symmetric(one, two, apart):
    assert one_edit_apart(one, two) is apart
    assert one_edit_apart(two, one) is apart


def test_german_words_are_put_together_and_french_ones_elided():
    german, french = vocabulary("German"), vocabulary("French")
    assert german is not None and french is not None
    assert "zusammen" in german and "kuchenstücke" in german and "zusammne" not in german
    assert "l'argent" in french and "qu'il" in french and "l'argnet" not in french


def test_a_language_without_a_list_has_none():
    assert vocabulary("Polish") is None and vocabulary(None) is None


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Je na stole více jablek, kolik jsou to kusů a který je na kraji?", "Czech"),
        ("Berapa jumlah apel yang ada di keranjang itu dan untuk siapa?", "Indonesian"),
        ("Сколько у него было яблок, и как это значит для всего?", "Russian"),
        ("Ergo numerus est hoc modo et non sunt qui cum eo", "Latin"),
        ("48 / 2 = 24 clips", None),
    ],
)
def test_languages_are_told_by_their_function_words(text, spoken):
    assert language(text) == spoken


def test_prose_leaves_out_formulas_links_code_and_annotations():
    text = "So $\\frac{48}{2}$ is `f(x)` <<48/2=24>>24, see https://a.example/b or a@b.example."
    assert spaced_words(prose(text)) == ["So", "is", "see", "or"]
    assert spaced_words(prose("\\text{clips sold} = \\boxed{24}")) == ["clips", "sold"]
    assert spaced_words(prose("def f(x):\n    # double it\n    return x\nThat is all.", code=True)) == [
        "That",
        "is",
        "all",
    ]


@pytest.mark.parametrize(
    "text", ["def f(x):\n    return 2 * x", "```\nx\n```", "ls -la | sort", "int x = 5;"]
)
def test_programs_are_recognised(text):
    assert holds_code(text)


@pytest.mark.parametrize(
    "text", ["Total = 5 + 3 = 8", "He returns home. (2 + 3) * 4 = 20", "Let x be 5 - y."]
)
def test_sums_in_words_are_no_programs(text):
    assert not holds_code(text)


def test_words_of_letters_are_the_same_with_and_without_other_scripts():
    text = "Ann's 3kg x_1 'tis O'Neil-Ray"
    assert bare_letters(text) == ["ann's", "kg", "x", "tis", "o'neil", "ray"]
    assert bare_letters(f"{text} é")[:-1] == bare_letters(text)


def test_content_words_stand_side_by_side_or_apart():
    assert content_pairs("He sold clips in May. April may come".split()) == [
        (("sold", "clips"), False),
        (("clips", "may"), True),  # the month
        (("april", "come"), True),  # the verb
    ]
    assert ("the", "of") in IMPOSSIBLE and ("the", "clips") not in IMPOSSIBLE
