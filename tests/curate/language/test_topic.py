"""Words are compared by their stems, and common ones belong to no topic."""

import pytest

from recast.curate.language.common_words import is_common
from recast.curate.language.stems import stem
from recast.curate.language.topic import is_english, most_new, shared, telling

QUESTION = "Natalia sold clips to 48 of her friends in April."


@pytest.mark.parametrize(
    "forms",
    [
        "sell sells selling sold",
        "pay pays paying paid payment payments",
        "box boxes",
        "cookie cookies",
        "city cities",
        "child children child's",
        "stop stops stopped stopping",
        "slice slices slicing sliced",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("egg", "edge"), ("friend", "fries"), ("king", "kind"), ("bus", "but")]
)
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_words_of_solutions_are_common_in_every_form():
    assert all(map(is_common, ("therefore", "adding", "totals", "multiplied", "weeks", "dollars", "spends")))
    assert not any(map(is_common, ("casino", "teacher", "village", "clips")))


def test_a_word_is_new_where_no_source_has_its_stem():
    found = shared("Her friend is selling red clips in the market.", QUESTION, "They are red.")
    assert (sorted(found.known), sorted(found.new)) == (["clip", "friend", "red"], ["market"])


def test_the_bound_is_never_below_the_number_of_new_words():
    for text in (
        "She sells clips.",
        "Buy cheap watches at our shop!",
        "48 / 2 = 24",
        "\\frac{1}{2} of the clips",
    ):
        assert most_new(text, QUESTION) >= len(shared(text, QUESTION).new)
    assert most_new("Natalia sold clips", QUESTION) == 0


def test_commands_of_latex_are_no_words():
    assert shared("\\frac{48}{2} \\times \\text{clips}", QUESTION).new == frozenset()


def test_characters_are_words_where_no_spaces_part_them():
    found = shared("贴纸很好", "莉娜有24张贴纸。")
    assert (sorted(found.known), sorted(found.new)) == (sorted("贴纸"), sorted("很好"))


def test_english_is_known_by_its_function_words():
    assert is_english("How many clips did she sell in April?")
    assert not is_english("Wie viele Aufkleber hat Lena nach dem Kauf?")
    assert not is_english("莉娜有24张贴纸。她买了3包")


def test_sums_and_an_answer_tell_nothing():
    assert telling("First, 48 / 2 = 24. We get 48 + 24 = 72. The answer is 72.") == frozenset()
    assert telling("She gets 48 / 2 = 24.") == {"she"}
