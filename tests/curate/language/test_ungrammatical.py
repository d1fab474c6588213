"""What no English sentence has, and what only looks like it."""

import pytest

from recast.curate.language.prose import bare_letters
from recast.curate.language.ungrammatical import ungrammatical


def found(text: str, source: str = "") -> list[str]:
    return list(ungrammatical(text, bare_letters(text), source))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Half of the half of the pens are red.", "Half of the half of the"),
        ("There were two rowers, so each rowers, so each rows 5 times.", "rowers, so each rowers, so each"),
        ("They sell 4 cups 4 cups a day.", "4 cups 4 cups"),
        (
            "We know that 3x is the price of it, we know that 3x is the price of it.",
            "We know that 3x is the price of it, we know that 3x is the price of it",
        ),
        ("It holds 2 liters, then 2 liters, then 2 liters weigh 2 kg.", "then 2 liters, then 2 liters"),
        (
            "They use 3 pounds of ham for the pies 3 pounds of ham for the rolls.",
            "3 pounds of ham for the pies 3 pounds of ham for the",
        ),
        ("The cost of Long Night and Night is $30.", "Night and Night"),
        (
            "In the third week, she saves $10 in the third week.",
            "In the third week, she saves $10 in the third week",
        ),
        ("He is buy 16 pounds.", "He is buy"),
        ("There will be 6 bars that be 60 bars.", "bars that be"),
        ("She would sold 5 pens.", "would sold"),
        ("She didn't paid for it.", "didn't paid"),
        ("They could will drink 12.", "could will"),
        ("He should buying 4 more.", "He should buying"),
        ("He buys 10 pounds of ham than beef.", "He buys 10 pounds of ham than"),
        ("To buy 5 kg she will she pay?", "To buy 5 kg she will she pay?"),
    ],
)
def test_what_no_sentence_has(text, phrase):
    said = found(text)
    assert phrase.lower() in [each.lower() for each in said]


@pytest.mark.parametrize(
    "text",
    [
        "She sells more and more pens, again and again, for hours and hours.",
        "He has 5 red pens, 5 red pens more than Ann, and 5 blue pens.",
        "The red, the blue, the red and the blue pens cost $2, $2, $2 and $2.",
        "They use 3 pounds of ham for the pies and 3 pounds of ham for the rolls.",
        "3 pounds of ham for the pies + 3 pounds of ham for the rolls are 6 pounds of ham for the day.",
        "5 + 5 + 5 = 15 and 2 apples + 2 apples = 4 apples.",
        "To find the sum of the pens, the sum of the rows is multiplied by 2.",
        "In the third week, she saves $10 more than in the second week.",
        "What she has to do is buy 3. The coins she has make 50 cents.",
        "Each can sold for $2. The can will hold 3 liters.",
        "Let that be x. It must be what the will gave her.",
        "He could bring, sing, and should spring. It will be raining.",
        "It is twice as much than that, other than Tom's, rather than less, taller than Ann.",
        "How many are left? Is that all? Right? If so, what is it?",
        "She had had 3, and that that is so is clear.",
        "Ann and Anna sell 4 pens and 4 pencils.",
        "He did what he made of it, and does not have any.",
    ],
)
def test_what_sentences_have(text):
    assert found(text) == []


def test_what_the_source_says_itself_may_be_said():
    said = "He buys 10 pounds of ham than beef."
    assert found(said, source=f"How much? {said}") == []
    again = "In the third week, she saves 5 * 2 = 10 dollars in the third week."
    assert found("In the third week, she saves $10 in the third week.", source=again) == []


def test_a_text_of_one_line_is_no_trouble():
    text = f"It has more than that. {'so many words and ' * 4000}"
    assert found(text)[0].startswith("so many words and so many words")
