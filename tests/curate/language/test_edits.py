"""What was done to a text: planted edits are found by their names, and nothing is found where nothing was done."""

from __future__ import annotations

import json
import re
from itertools import islice

import pytest

from recast.curate.language.edits.edits import edits
from recast.curate.language.edits.names import NAMES, is_name

QUESTION = "Ann has 8 sets of tables. Each set has 7 chairs. How many chairs does she have for the guests?"
BEFORE = (
    "To find the number of chairs, we multiply the sets by the chairs of each set.\n"
    "8 sets * 7 chairs = <<8*7=56>>56 chairs\n"
    "Then she lends 6 chairs to Bob, so 56 - 6 = <<56-6=50>>50 chairs are left.\n"
    "Therefore, Ann has 50 chairs for the guests.\n"
    "#### 50"
)
STEP = "8 sets * 7 chairs = <<8*7=56>>56 chairs\n"
PLAN = "To find the number of chairs, we multiply the sets by the chairs of each set.\n"
LENT = "Then she lends 6 chairs to Bob, so 56 - 6 = <<56-6=50>>50 chairs are left.\n"
FOUND = "Therefore, Ann has 50 chairs for the guests.\n"


def names(before: str, after: str, prompt: str = QUESTION) -> list[str]:
    return [edit.name for edit in edits(before, after, prompt)]


PLANTED = {
    "adds_opening": "Let's think step by step.\n" + BEFORE,
    "adds_ending": BEFORE.replace("#### 50", "I hope that this helps you!\n#### 50"),
    "adds_sentence": BEFORE.replace(LENT, "This is easy, as we shall see below.\n" + LENT),
    "drops_plan": BEFORE.replace(PLAN, ""),
    "drops_step": BEFORE.replace(STEP, ""),
    "drops_conclusion": BEFORE.replace(FOUND, ""),
    "drops_answer_line": BEFORE.replace("\n#### 50", ""),
    "changes_answer_form": BEFORE.replace("#### 50", "The answer is 50."),
    "repeats_answer": BEFORE + "\nThe answer is 50.",
    "answers_first": "The answer is 50.\n" + BEFORE,
    "repeats_question": "How many chairs does she have for the guests?\n" + BEFORE,
    "restates_facts": "Each set has 7 chairs.\n" + BEFORE,
    "adds_step": BEFORE.replace(FOUND, "A pair of them costs 9 + 9 = 18 coins.\n" + FOUND),
    "merges_steps": BEFORE.replace(STEP + LENT, f"{STEP.strip()}, and {LENT.removeprefix('Then ')}"),
    "splits_step": BEFORE.replace("Bob, so 56", "Bob.\nSo 56"),
    "drops_sum": BEFORE.replace("so 56 - 6 = <<56-6=50>>50 chairs", "so 50 chairs"),
    "adds_number": BEFORE.replace("56 - 6 =", "59 - 6 ="),
    "changes_number_format": BEFORE.replace("8 sets", "8.0 sets"),
    "drops_units": re.sub(r"(\d) (?:sets|chairs)", r"\1", BEFORE),
    "changes_units": BEFORE.replace("56 chairs", "56 stools"),
    "changes_connective": BEFORE.replace("Therefore, Ann", "So Ann"),
    "changes_punctuation": BEFORE.replace("Then she", "then she"),
    "changes_layout": BEFORE.replace("\n", " "),
    "drops_annotations": re.sub("<<.*?>>", "", BEFORE),
    "adds_markdown": BEFORE.replace("Therefore,", "**Therefore**,"),
    "adds_latex": BEFORE.replace("8 sets * 7 chairs =", "$8 \\times 7$ ="),
    "repeats_itself": BEFORE.replace(LENT, LENT + LENT),
    "moves_step": BEFORE.replace(PLAN, "").replace(FOUND, FOUND + PLAN),
    "writes_anew": "Nobody knows.\nIt rains today in Rome.\nWhat a pity.",
    "replaced: lends -> gives": BEFORE.replace("lends", "gives"),
    "inserted: old": BEFORE.replace("Ann has 50 chairs", "Ann has 50 old chairs"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_edit_is_found_by_its_name(name):
    assert is_name(name)
    assert name in names(BEFORE, PLANTED[name])


def test_a_short_sentence_that_lost_its_noun_is_the_same_sentence():
    """`There are 3.` has one content word; it was no pair of `There are 3 bouquets.`, which has two."""
    before, after = (f"Bo buys flowers.\nThere are 3{what}.\n#### 3" for what in (" bouquets", ""))
    assert names(before, after) == ["drops_units"]
    assert names(after, before) == ["adds_units"]
    assert "drops_units" not in names(before, "Bo buys flowers.\nThen he left.\n#### 3")


REVERSED = {
    "drops_opening": "adds_opening", "drops_ending": "adds_ending", "drops_sentence": "adds_sentence",
    "adds_plan": "drops_plan", "adds_conclusion": "drops_conclusion", "adds_answer_line": "drops_answer_line",
    "drops_question": "repeats_question", "drops_facts": "restates_facts", "shows_sum": "drops_sum",
    "adds_units": "drops_units", "adds_annotations": "drops_annotations", "drops_markdown": "adds_markdown",
    "drops_latex": "adds_latex",
}  # fmt: skip


@pytest.mark.parametrize("name", REVERSED)
def test_the_same_edit_backwards_has_the_opposite_name(name):
    assert name in names(PLANTED[REVERSED[name]], BEFORE)


def test_every_name_is_the_name_of_an_edit_here():
    code = "def solution():\n    chairs = 8 * 7\n    return chairs"
    assert names(code, BEFORE)[0] == "drops_code"
    assert names(BEFORE, code)[0] == "adds_code"
    reworded = BEFORE.replace(
        "she lends 6 chairs to Bob, so", "Bob got 6 chairs lent out by her, which means"
    )
    assert "rewords_sentence" in names(BEFORE, reworded)
    told = {*PLANTED, *REVERSED, "drops_code", "adds_code", "rewords_sentence"}
    assert set(NAMES) - told == set()


def test_a_display_of_latex_is_read_line_by_line_and_is_no_program():
    display = r"x_0 = 7 \\ x_1 = x_0 \cdot 3 = 21 \\ \boxed{21}"
    found = names(
        display, "Rosa has 7 books. She has three times as many, so 7 * 3 = 21. The answer is 21.", ""
    )
    assert {"changes_answer_form", "drops_latex"} <= set(found) and "drops_code" not in found


def test_a_text_that_stayed_has_no_edit():
    assert names(BEFORE, BEFORE) == []


def test_one_edit_is_one_edit():
    assert names(BEFORE, PLANTED["adds_opening"]) == ["adds_opening"]
    assert names(BEFORE, PLANTED["drops_plan"]) == ["drops_plan"]
    assert names(BEFORE, PLANTED["changes_answer_form"]) == ["changes_answer_form"]
    assert names(BEFORE, PLANTED["replaced: lends -> gives"]) == ["replaced: lends -> gives"]


def test_a_conclusion_is_not_taken_for_a_fact_of_the_question():
    told = names(BEFORE.replace(FOUND, ""), BEFORE)
    assert told == ["adds_conclusion"]


def test_an_edit_says_where_it_is():
    (edit,) = edits(BEFORE, PLANTED["adds_opening"], QUESTION)
    assert (edit.before, edit.after) == ("", "Let's think step by step.")


@pytest.mark.parametrize(
    "text",
    ["", "\n", "?!", "1", "#### ", "answer:", "\\boxed{", "$$", "<<", "\u202e", "=" * 5000, "a. " * 3000],
)
def test_no_text_breaks_it(text):
    assert edits(text, BEFORE, QUESTION) and edits(BEFORE, text, QUESTION)
    assert edits(text, text + "x", text) == edits(text, text + "x", text)


def test_names_that_nobody_could_have_meant_are_no_names():
    assert not is_name("adds_openings") and not is_name("replaced: a") and not is_name("")


def test_what_is_planted_into_real_demonstrations_is_found(shared_data):
    """In GSM8K, where every planted edit is there by construction: a plural noun is taken from behind its number."""
    count = 0
    with (shared_data / "gsm8k" / "train.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, islice(file, 120)):
            question, before = row["question"], row["answer"]
            assert "adds_opening" in names(before, f"Let's think step by step.\n{before}", question)
            assert "changes_answer_form" in names(before, before.replace("#### ", "The answer is "), question)
            if question.rstrip().endswith("?"):
                assert "repeats_question" in names(before, f"{question}\n{before}", question)
            without = re.sub(
                r"(?<==\s|>>|\* |\+ )(\d+) (?:years|hours|days|dollars|pounds|miles)\b", r"\1", before
            )
            if without != before:
                count += 1
                assert "drops_units" in names(before, without, question)
    assert count > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The fence is 80 feet long.", "The fence is 80 long."),
        ("There are 4 + 1 = 5 students carrying chairs.", "There are 4 + 1 = 5 carrying chairs."),
        ("The tree shed 400 leaves.", "The tree shed 400."),
        ("He uses it 3 * 2 = 6 times a year.", "He uses it 3 * 2 = 6 a year."),
        ("In 4 years it is 12 months * 4 years = 48 months.", "In 4 years it is 12 months * 4 = 48 months."),
    ],
)
def test_a_unit_is_dropped_from_one_place_of_its_number_or_before_another_word(
    before: str, after: str
) -> None:
    assert names(before, after) == ["drops_units"]
    assert names(after, before) == ["adds_units"]


SHORT = "She has 24 apples and buys 6 more.\n24 apples + 6 apples = 30 apples\nTherefore, she has 30 apples.\n#### 30"


@pytest.mark.parametrize(
    ("after", "has", "lacks"),
    [
        # the number of a list is no sentence
        ("1. She has 24 apples and buys 6 more.\n2. She has 30 apples.\n#### 30", "adds_markdown", "adds_opening"),
        # a sentence goes on behind the question that it quotes
        ('The answer to the question "How many apples? She asks." is 30.', "changes_answer_form", "adds_conclusion"),
        # what is said of an answer is none
        (f"Your answer is correct.\n{SHORT}", "adds_opening", "answers_first"),
        # a sum is shown where its result stood, and added where it did not
        (SHORT.replace("buys 6 more.", "buys 6 more, so 24 + 6 = 30."), "adds_step", "shows_sum"),
        (SHORT.replace("she has 30", "she has 24 + 6 = 30"), "shows_sum", "adds_step"),
        # what is said again at the beginning was there before
        (f"She has 30 apples.\n{SHORT.replace('she has 30', 'she has 31')}", "moves_step", "adds_opening"),
        # a sentence of which little stays is another one, whatever words it shares
        (
            SHORT.replace("24 apples + 6 apples = 30 apples", "30 apples / 5 people = 6 apples, as Bob said so"),
            "rewords_sentence",
            "inserted: as @ said so",
        ),
    ],
)  # fmt: skip
def test_what_looks_like_another_edit_is_named_rightly(after: str, has: str, lacks: str) -> None:
    found = names(SHORT, after, "How many apples?")
    assert has in found and lacks not in found, found


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("Bob ate 26 pieces.", "In the old problem Bob ate 26 pieces.", False),
        ("First 16 minutes cost 4 dollars.", "The first 16 minutes cost 4 dollars.", False),
        ("In total Bob ate 26 pieces.", "Bob ate 26 pieces.", True),
        ("Bob ate 26 pieces.", "So Bob ate 26 pieces.", True),
    ],
)
def test_words_of_order_are_not_those_of_the_sentence_itself(before: str, after: str, changes: bool) -> None:
    assert ("changes_connective" in names(before, after)) is changes


def test_a_fact_of_the_question_is_no_part_of_the_sentence_beside_it() -> None:
    before = (
        "To find how many apples Jean had at first, we add what she gave and ate.\n3 + 4 = 7 apples\n#### 7"
    )
    prompt = "Jean had a bag of apples . She gave 3 away and ate 4 . How many apples did Jean have at first ?"
    found = names(before, f"Jean had a bag of apples.\n{before}", prompt)
    assert found == ["restates_facts"]
