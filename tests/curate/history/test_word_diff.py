"""Word diffs: tokens, exact re-joining, distance, and bounded work on hostile texts."""

from __future__ import annotations

import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from recast.curate.history import word_diff

# texts that share many tokens, and texts of any characters at all
WORDY = st.lists(
    st.sampled_from(["the", " ", "12", "\\frac", "{", "}", "num_x", "\n", "cat", "1,000.5"]), max_size=30
)
TEXT = st.one_of(WORDY.map("".join), st.text(max_size=60))


def test_latex_command_number_and_identifier_are_one_token_each() -> None:
    assert word_diff.tokens(r"\frac{12}{1,000.5}") == ["\\frac", "{", "12", "}", "{", "1,000.5", "}"]
    assert word_diff.tokens("num_books -= 3") == ["num_books", " ", "-=", " ", "3"]
    assert word_diff.tokens("don't stop") == ["don't", " ", "stop"]
    assert word_diff.tokens("<<48/2=24>>24") == ["<<", "48", "/", "2", "=", "24", ">>", "24"]
    assert word_diff.tokens("#### 72") == ["####", " ", "72"]
    assert word_diff.tokens("a\n\n  b") == ["a", "\n", "\n", "  ", "b"]


def test_a_number_is_replaced_whole() -> None:
    ops = word_diff.diff("sold 1,234 clips", "sold 1,235 clips")
    assert [(o.kind, o.before, o.after) for o in ops] == [
        ("equal", "sold ", "sold "),
        ("replace", "1,234", "1,235"),
        ("equal", " clips", " clips"),
    ]


def test_diff_of_equal_texts_is_one_equal_stretch_and_of_empty_ones_none() -> None:
    assert [o.kind for o in word_diff.diff("a b", "a b")] == ["equal"]
    assert word_diff.diff("", "") == []
    assert [o.kind for o in word_diff.diff("", "a")] == ["insert"]
    assert [o.kind for o in word_diff.diff("a", "")] == ["delete"]


@given(TEXT)
def test_tokens_rejoin_to_the_text(text: str) -> None:
    assert "".join(word_diff.tokens(text)) == text


@given(TEXT, TEXT)
def test_both_sides_of_a_diff_rejoin(a: str, b: str) -> None:
    ops = word_diff.diff(a, b)
    assert "".join(o.before for o in ops) == a
    assert "".join(o.after for o in ops) == b
    for op in ops:
        assert (op.kind == "equal") == (op.before == op.after)
    assert all(x.kind == "equal" or y.kind == "equal" for x, y in itertools.pairwise(ops))


@given(WORDY, WORDY)
@settings(max_examples=50)
def test_rejoining_holds_where_anchors_do_the_work(a: list[str], b: list[str]) -> None:
    left, right = "".join(a) * 3, "".join(b) * 3
    before = word_diff._AFFORDABLE
    word_diff._AFFORDABLE = 4  # almost nothing is affordable, so patience must carry the diff
    try:
        ops = word_diff.diff(left, right)
    finally:
        word_diff._AFFORDABLE = before
    assert "".join(o.before for o in ops) == left
    assert "".join(o.after for o in ops) == right


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_levenshtein_equals_the_textbook_recurrence(a: list[str], b: list[str]) -> None:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[:], i
        for j, y in enumerate(b, 1):
            row[j] = min(above[j - 1] + (x != y), above[j] + 1, row[j - 1] + 1)
    assert word_diff._levenshtein(a, b) == row[-1]


def test_distance_is_over_words_and_ignores_blanks() -> None:
    assert word_diff.distance("a  b\nc", "a b c") == 0.0
    assert word_diff.distance("a b c", "a x c") == 1 / 3  # one of three words
    assert word_diff.distance("a b", "") == 1.0
    assert word_diff.distance("", "") == 0.0


def test_blank_only_and_format_only_edits_are_recognised() -> None:
    assert word_diff.only_blanks("a  b", "a b") and not word_diff.only_blanks("a b", "a c")
    assert word_diff.only_format("**12** apples", "12 apples")
    assert word_diff.only_format(r"\(x = \boxed{4}\)", "x = 4")
    assert not word_diff.only_format("12 apples", "13 apples")


def test_what_carries_meaning_is_no_format() -> None:
    assert not word_diff.only_format("2*3", "23") and not word_diff.only_format("a ** b", "a b")
    assert not word_diff.only_format("$5 and $6", "5 and 6")
    assert not word_diff.only_format("x_1 or y_2", "x1 or y2")
    assert not word_diff.only_blanks("1 2", "12") and word_diff.only_blanks("2+2", "2 + 2")
    assert word_diff.only_format(r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}")
    assert word_diff.only_format("**a**, `b` and $x$", "a, b and x")


def test_phrases_are_what_a_person_would_mark() -> None:
    # "is" is shorter than the edits around it, so it belongs to them; "had 29 birds" is not
    ops = word_diff.phrases(
        "first it is a thing, had 29 birds, see", "second one is of all, had 29 birds, so"
    )
    assert [(o.kind, o.before, o.after) for o in ops] == [
        ("replace", "first it is a thing", "second one is of all"),
        ("equal", ", had 29 birds, ", ", had 29 birds, "),
        ("replace", "see", "so"),
    ]


def test_format_between_real_edits_is_folded() -> None:
    ops = word_diff.phrases("It is **4** apples long", "It is 4 apples wide")
    assert [(o.kind, o.before, o.after) for o in ops if o.kind != "equal"] == [
        ("fold", "**", ""),
        ("fold", "**", ""),
        ("replace", "long", "wide"),
    ]
    assert "fold" not in {o.kind for o in word_diff.phrases("**4**", "4", fold=False)}


@given(TEXT, TEXT, st.booleans())
def test_both_sides_of_phrases_rejoin(a: str, b: str, fold: bool) -> None:
    ops = word_diff.phrases(a, b, fold=fold)
    assert "".join(o.before for o in ops) == a
    assert "".join(o.after for o in ops) == b


def test_texts_of_a_hundred_thousand_words_are_compared_in_seconds() -> None:
    a = " ".join(f"w{n % 977}" for n in range(100_000))
    b = " ".join(f"w{n % 983}" for n in range(100_000))
    start = time.process_time()
    ops = word_diff.diff(a, b)
    assert "".join(o.after for o in ops) == b
    assert "".join(o.before for o in word_diff.phrases(a, b)) == a
    assert time.process_time() - start < 20
    assert word_diff.diff("x" * 100_000, "x" * 99_999 + "y")[0].kind == "replace"
