"""What a text says of its own statements: denials, retractions, and answers that are not settled."""

import pytest

from recast.curate.language.stance import (
    denial,
    denied_numbers,
    may_waver,
    not_the_answer,
    retraction,
    unsettled,
)


@pytest.mark.parametrize(
    "text",
    [
        "48 / 2 = 24, which is not correct.",
        "That is wrong.",
        "But this isn't true.",
        "The last result cannot be right.",
        "All of this is nonsense.",
        "It is not true that 2 + 2 = 4.",
        "None of this is true.",
        "That can't be.",
        "These numbers are completely wrong.",
        "However, that was a mistake.",
    ],
)
def test_a_denial_is_heard(text: str) -> None:
    assert denial(text) and may_waver(text)


@pytest.mark.parametrize(
    "text",
    [
        "Tom got 5 questions wrong, so 20 - 5 = 15 are right.",
        "He makes a mistake in 3 of 10 letters.",
        "It is wrong to add the prices here.",
        "This is not the final answer yet.",
        "That can't be seen at once.",
        "That is not her present age, so we add 5.",
        "The true value is 17.",
        "This is correct.",
        "She is not at home for 3 days.",
    ],
)
def test_the_story_and_the_reasoning_deny_nothing(text: str) -> None:
    assert denial(text) == ""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("So there are not 24 of them.", ["24"]),
        ("She did not sell 24 clips.", ["24"]),
        ("72 clips is clearly false.", ["72"]),
        ("The 24 are wrong.", ["24"]),
        ("It is not 24 but 25.", []),
        ("She is not tall, and 24 are left.", []),
    ],
)
def test_numbers_that_are_denied(text: str, numbers: list[str]) -> None:
    assert denied_numbers(text) == numbers


def test_a_number_that_is_not_the_answer():
    assert not_the_answer("72 is not the final answer.")
    assert not not_the_answer("72 is not the final answer yet.")
    assert not not_the_answer("72 is the answer, not 24.")


@pytest.mark.parametrize(
    ("text", "taken_back"),
    [
        ("No wait, it is 36.", True),
        ("On second thought, it is 36.", True),
        ("I made a mistake above.", True),
        ("Let me redo this.", True),
        ("I guess that makes 72.", True),
        ("The answer should have been 80.", True),
        ("Don't trust this.", True),
        ("He had to wait 5 minutes.", False),
        ("She took the car back.", False),
        ("Let me add these numbers.", False),
    ],
)
def test_what_is_taken_back(text: str, taken_back: bool) -> None:
    assert bool(retraction(text)) is taken_back


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("The answer is not 72.", "denied"),
        ("I do not believe that the answer is 72.", "denied"),
        ("If the answer is 72, then pigs fly.", "supposed"),
        ("Suppose the final answer is 72.", "supposed"),
        ("The answer might be 72.", "hedged"),
        ("The answer is probably 72.", "hedged"),
        ("I'm not sure, but the answer is 72.", "hedged"),
        ("The answer is 71 or 72.", "listed"),
        ("The answer is either 71 or 72.", "listed"),
        ("Is the answer 72?", "asked"),
        ("The answer is 72.", ""),
        ("If she sells 24 more, the answer is 72.", ""),
        ("The answer can be found by adding: 48 + 24 = 72.", ""),
        ("The answer is not 5 but 6.", ""),
        ("What is the answer?", ""),
    ],
)
def test_an_answer_that_is_not_settled(sentence: str, kind: str) -> None:
    assert unsettled(sentence) == kind
