"""What `wording` and `roles` refuse, and what they leave alone: rows made up for the purpose."""

from __future__ import annotations

from typing import Any

import pytest

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.checks.words.quantities import QuantitiesCheck
from recast.curate.gate.checks.words.roles import RolesCheck
from recast.curate.gate.checks.words.vocabulary import VocabularyCheck
from recast.curate.gate.checks.words.wording import WordingCheck
from recast.curate.language.story.people import people

CRAYONS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Lea has 80 crayons. A box holds 8 crayons. How many boxes?"}],
    "demonstration": "If a box holds 8 crayons: 80 crayons / 8 crayons per box = 10 boxes. Lea fills 10 boxes.",
}
BOOKS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Tim has 44 books and Sam has 52 books. How many do they have together?"}
    ],
    "demonstration": "Tim has 44 books and Sam has 52 books. Together they have 44 + 52 = 96 books.",
}
FISH: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Ben gave Max 18 fish. Now Max has 49 fish. How many fish did Max have to begin with?",
        }
    ],
    "demonstration": "Max has 49 fish now. 49 - 18 = 31 fish. Max had 31 fish to begin with.",
}
BAKED: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Flo used 5 cups of flour and 2 of oil. How much more flour than oil did she use?",
        }
    ],
    "demonstration": "Flo used 5 - 2 = 3 cups more flour than oil.",
    "answer": "3",
}
WAGES: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Ann earns twice as much as Tom, who earns 9 dollars a day."}],
    "demonstration": "Tom earns 9 dollars every day. Ann earns twice as much as Tom, 2 * 9 = 18 dollars.",
}

KITTENS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Dora has 9 kittens. 4 are sold. How many has she now?"}],
    "demonstration": "9 - 4 = 5 kittens, so Dora has 5 kittens now.",
}
GAMES: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Kim has 70 games. How many must she give away to have 22 games left?"}
    ],
    "demonstration": "We subtract what she wants to have left: 70 - 22 = 48. Kim gives 48 games away.",
}
QUIZ: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Lee scored 92 in her third quiz and 94 on average. And before?"}
    ],
    "demonstration": "The sum of the scores in the first 2 quizzes is 190. Each of her scores was half of it, or 95.",
}
KEPT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Kim won 70 games and gave 22 away. How many has she still?"}],
    "demonstration": "70 - 22 = 48 games.",
    "answer": "48",
}
TREES: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "There are currently 30 trees. They will plant 12 trees today. How many will there be?",
        }
    ],
    "demonstration": "30 + 12 = 42. There will be 42 trees.",
}
LUNCH: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Each person orders a lunch for $8, and Abe pays. How much?"}],
    "demonstration": "Abe is paying for all three people: $8 per person * 3 people = $24.",
}

MILLS: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "There are two mills. The first mill makes twice as many sacks as the second mill. If the first "
            "mill makes 80 sacks, how many do both make?",
        }
    ],
    "demonstration": "The second mill makes 80 / 2 = 40 sacks. Together they make 80 + 40 = 120 sacks.",
}
LAMP: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Ms. Reed pays $30 for a lamp. She sells it to her neighbor for $12 more. "
            "How much should her neighbor pay for two?",
        }
    ],
    "demonstration": "She wants to get 30 + 12 = $42 for a lamp. Hence, her neighbor should pay 42 * 2 = $84.",
}
EGGS: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "A baker makes 12 cakes with 2 eggs each, and a cook makes 5 omelettes with 3 eggs each. "
            "How many eggs do they need?",
        }
    ],
    "demonstration": "The baker needs 12 * 2 = 24 eggs. The cook needs 5 * 3 = 15 eggs. They need 24 + 15 = 39 eggs.",
}
MAIL: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Joe had 6 letters. He answered 4 of them, and then another 14 letters came. How many now?",
        }
    ],
    "demonstration": "Joe still had 6 - 4 = 2 letters. Another 14 letters came, so the number of letters he has now is "
    "2 + 14 = 16.",
}
HENS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Lou owns 2 hens. Each day, 1 hen eats 3 ounces of corn. And both?"}
    ],
    "demonstration": "They eat 2 * 3 = 6 ounces.",
}
BUNS: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": "Eva puts 60 buns into bags of 12 and has some. How many bags does Eva need?",
        }
    ],
    "demonstration": "Eva puts 60 buns into bags of 12. Eva needs 60 / 12 = 5 bags.",
}


def reason(check: CheckConfig, text: str, row: dict[str, Any]) -> str:
    return check.run(Case(text, row["demonstration"], row)).reason


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("Tom earns 9 dollars every week.", WAGES, "other_wording"),
        ("Tom loses 9 dollars every day.", WAGES, "other_wording"),
        ("Tom earns 7 dollars every day.", WAGES, "other_wording"),
        ("Ann earns half as much as Tom.", WAGES, "other_wording"),
        (
            "2 * 9 = 18. Ann earns twice as much as Tom, 18 euros.",
            WAGES,
            "other_wording",
        ),  # the sum stands elsewhere
        (
            "He earns 7 dollars every day.",
            WAGES,
            "other_wording",
        ),  # one word before a number is enough
        ("44 + 52 = 96. Together they lost 96 books.", BOOKS, "other_wording"),
        ("44 + 52 = 96. Together they have 96 books.", BOOKS, ""),
        ("Tom gets 9 dollars every day.", WAGES, ""),
        ("Each day Tom earns 9 dollars.", WAGES, ""),
        ("Together both have 44 + 52 = 96 books.", BOOKS, ""),
        ("44 + 52 = 96. Together they want 96 books.", BOOKS, "other_wording"),
        (
            "44 + 52 = 96. 96 / 2 = 48. Together they have 48 books.",
            BOOKS,
            "other_wording",
        ),  # 96, it says itself
        ("Together they have 2 * 44 = 88 books.", BOOKS, ""),  # its own sum: `steps` judges it
        ("The average of the first 190 is her goal now.", QUIZ, ""),
        ("The sum of the scores in the first 190.", QUIZ, "other_wording"),
        ("The sum of the scores in the first 2 quizzes is 190.", QUIZ, ""),
        ("Across all 190.", {**QUIZ, "demonstration": "Across all 2 = 190"}, ""),  # too short
        (
            "Her score across all 190.",
            {**QUIZ, "demonstration": "Her score across all 2 tests = 190"},
            "other_wording",
        ),
        ("Each of her scores was 95.", QUIZ, ""),  # `95, or half of it`: what is left is whole
    ],
)
def test_a_word_in_another_place_than_its_own(text, row, said):
    assert reason(WordingCheck(), text, row) == said


def test_a_copy_goes_on_as_its_source_does():
    copied = "The baker needs 24 eggs. The cook needs 15 eggs. {}"
    assert reason(WordingCheck(), copied.format("The cook needs with 2 eggs each."), EGGS) == "spliced"
    assert reason(WordingCheck(), copied.format("So they need 39 eggs."), EGGS) == ""
    # of another language no words are known that may stand so
    german = {
        "messages": [
            {"role": "user", "content": "Der Koch braucht 5 * 3 Eier für das Essen. Wie viele braucht er?"}
        ],
        "demonstration": "Das Essen ist für alle da. Der Koch braucht 5 * 3 = 15 Eier für das Essen, die er kauft.",
    }
    assert (
        reason(WordingCheck(), "Das Essen ist für alle da. Der Koch braucht das Essen, die er kauft.", german)
        == ""
    )


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("The first mill makes 40 sacks, and the second mill makes 80 sacks.", MILLS, "other_wording"),
        ("The second mill makes 40 sacks, and the first mill makes 80 sacks.", MILLS, ""),
        ("She wants to get $42 for a lamp. So, she will pay $84.", LAMP, "other_wording"),
        ("She wants to get $42 for a lamp. So, her neighbor will pay $84.", LAMP, ""),
        ("The baker needs 24 eggs. The baker needs 15 eggs. They need 39 eggs.", EGGS, "other_wording"),
        ("The baker needs 24 eggs. The cook needs 12 eggs. They need 39 eggs.", EGGS, "other_wording"),
        (
            "The baker needs 24 eggs. The cook needs 20 pots 15 eggs. They need 39 eggs.",
            EGGS,
            "other_wording",
        ),
        ("The baker needs 24 eggs. The cook needs 15 eggs. So they need 39 eggs.", EGGS, ""),
        (
            "First, the baker needs 24 eggs. The chef needs 15 eggs. They need 39 eggs.",
            EGGS,
            "",
        ),  # a new word
        ("Joe still had 2 letters. The next letter came, so he has 16.", MAIL, "other_wording"),
        ("Joe still had 2 letters. Then letters came, so he has 16.", MAIL, ""),  # left out
        ("Eva puts 60 buns into bags of 12. Eva puts 60 buns into 12 bags of 12.", BUNS, "other_wording"),
        ("Eva puts 60 buns into bags of 12. Eva divides 60 buns in bags of 12 by 12.", BUNS, ""),
        ("They both need 24 eggs.", EGGS, ""),  # no copy
        ("Lou owns 2 hens. Each day, she eats 3 ounces of corn.", HENS, "other_wording"),
        ("Lou owns 2 hens. Each day, the hen eats 3 ounces of corn.", HENS, ""),
    ],
)
def test_a_copy_exchanges_nothing(text, row, said):
    assert reason(WordingCheck(), text, row) == said


def test_a_copy_may_have_a_number_by_its_own_sum():
    text = "The baker needs 24 eggs. The cook needs 5 + 13 = 18 eggs. They need 39 eggs."
    assert reason(WordingCheck(), text, EGGS) == ""
    text = "The baker needs 24 eggs. The cook needs 18 eggs. They need 39 eggs."
    assert reason(WordingCheck(), text, EGGS) == "other_wording"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The mill makes 8 loads * 5 sacks per load 40 sacks.", "noise"),
        ("The mill makes 8 loads * 5 sacks per load = 40 sacks.", ""),
        ("The mill makes 8 loads of 5 sacks, 40 sacks.", ""),
        ("It is 50% * 8 = 4. It is 50% 4%.", "noise"),
        ("The mill makes 8 4 40 sacks.", "noise"),
        ("There are 5 8 pound sacks.", ""),
        ("The sacks were 4 loads were 4 loads in all.", "noise"),
    ],
)
def test_a_sum_keeps_its_sign(text, said):
    row = {
        "messages": [{"role": "user", "content": "The mill fills 8 loads with 5 sacks per load."}],
        "demonstration": "That is 8 * 5 = 40 sacks, and 50% of 8 loads were 4 loads, 4% of it all.",
    }
    assert reason(VocabularyCheck(), text, row) == said


def test_a_price_of_the_row_makes_nothing_else_a_price():
    row = {
        "messages": [{"role": "user", "content": "30 kg are cooked, 1.5 for a meal, which sells for $20."}],
        "demonstration": "So he can make 30 / 1.5 = 20 meals.",
    }
    assert reason(QuantitiesCheck(), "So he can make $20 meals.", row) == "other_unit"
    assert reason(QuantitiesCheck(), "So he can make 20 meals.", row) == ""
    sold = {
        "messages": [
            {"role": "user", "content": "Of 4 boxes with 9 pens each, a pen is sold for $2. For how much?"}
        ],
        "demonstration": "There are 4 * 9 = 36 pens. They are sold for 36 * 2 = $72.",
    }
    assert reason(QuantitiesCheck(), "There are $36. They are sold for $72.", sold) == "other_unit"
    assert reason(QuantitiesCheck(), "There are 36. They are sold for $72.", sold) == ""
    priced = {**sold, "demonstration": "There are 4 * 9 = 36 pens. At $1 that is $36, and at $2 $72."}
    assert reason(QuantitiesCheck(), "At $1 that is $36.", priced) == ""


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("80 crayons / 8 crayons per box = 10 crayons per box.", CRAYONS, "other_unit"),
        ("80 crayons / 8 crayons per box = 10 crayons.", CRAYONS, "other_unit"),
        ("80 crayons / 8 crayons per box = 10 boxes.", CRAYONS, ""),
        ("80 crayons / 8 crayons per box = 10 boxes of crayons.", CRAYONS, ""),
        ("So the initial number of fish was 49.", FISH, "other_part"),
        ("So the initial number of fish was 49 - 18 = 31.", FISH, ""),
        (
            "To find the fish that Max has now, we subtract: 49 - 18 = 31.",
            FISH,
            "other_part",
        ),  # 49, says the question
        ("To find the fish that Max had to begin with, we subtract: 49 - 18 = 31.", FISH, ""),
        ("The total number of books Sam has is 44 + 52 = 96 books.", BOOKS, "one_for_all"),
        ("Tim and Sam have 44 + 52 = 96 books.", BOOKS, ""),
        ("Sam has 52 books.", BOOKS, ""),
        ("80 crayons / 10 boxes = 10 boxes.", CRAYONS, "other_unit"),  # crayons a box, if anything
        ("80 crayons / 8 boxes = 10 crayons.", CRAYONS, ""),
        ("Flo used 3 cups of flour.", BAKED, "other_part"),
        ("Flo used 3 more cups of flour.", BAKED, ""),
        ("5 cups - 2 cups = 3 cups. The answer is 3.", BAKED, ""),  # a sum compares
        ("9 - 4 = 5 more kittens.", KITTENS, "other_part"),
        ("9 - 4 = 5 kittens.", KITTENS, ""),
        (
            "From 70 games we subtract the games that she gives away (22). That is 70 - 22 = 48.",
            GAMES,
            "other_part",
        ),
        ("From 70 games we subtract the games that are left (22). That is 70 - 22 = 48.", GAMES, ""),
        ("30 + 12 = 42 trees were planted.", TREES, "other_part"),
        ("12 trees are planted, so there are 30 + 12 = 42 trees.", TREES, ""),
        ("Each person pays for three people, 8 * 3 = 24.", LUNCH, "other_part"),
        ("Each person pays $8, and there are three people: 8 * 3 = 24.", LUNCH, ""),
        ("Kim still has 70 games remaining. 70 - 22 = 48.", KEPT, "other_part"),
        ("Kim has 70 games. 70 - 22 = 48 remain.", KEPT, ""),
        ("80 crayons / 8 crayons = 10 crayons.", CRAYONS, "other_unit"),
        ("80 (crates) / 8 (crayons) = 10 (boxes).", CRAYONS, "other_unit"),
        ("80 (crayons) / 8 (crayons per box) = 10 (boxes).", CRAYONS, ""),
    ],
)
def test_a_number_plays_its_own_part(text, row, said):
    assert reason(RolesCheck(), text, row) == said


def test_an_aside_on_given_numbers_is_allowed_once():
    row = {
        "messages": [
            {"role": "user", "content": "A zoo has 12 lionesses, 6 lions and 14 cubs. How many are there?"}
        ],
        "demonstration": "12 + 6 + 14 = 32",
        "answer": "32",
    }
    assert reason(StepsCheck(), "There are 12 + 6 = 18 grown ones, and 12 + 6 + 14 = 32 in all.", row) == ""
    twice = "There are 12 + 6 = 18 grown ones, 14 - 6 = 8 more cubs, and 12 + 6 + 14 = 32 in all."
    assert reason(StepsCheck(), twice, row) == "stray_sum"


def test_no_aside_after_the_answer():
    row = {
        "messages": [
            {"role": "user", "content": "A team has 5 members, 3 come. Each scores 6. How many points?"}
        ],
        "demonstration": "3 * 6 = 18 points",
        "answer": "18",
    }
    assert reason(StepsCheck(), "All could score 5 * 6 = 30, they score 3 * 6 = 18.", row) == ""
    assert reason(StepsCheck(), "They score 3 * 6 = 18. That is 5 * 6 = 30 points.", row) == "stray_sum"
    assert reason(StepsCheck(), "They score 3 * 6 = 18. Then 18 / 1 = 18 points.", row) == "stray_sum"


def test_a_sum_of_constants_is_no_step():
    row = {
        "messages": [{"role": "user", "content": "20 shirts go into 5 equal loads. How many are in each?"}],
        "demonstration": "20 / 5 = 4 shirts",
        "answer": "4",
    }
    assert reason(StepsCheck(), "In each are 2 * 2 = 4 shirts.", row) == "missing_step"
    assert reason(StepsCheck(), "In each are 20 / 5 = 4 shirts.", row) == ""


def test_what_there_was_at_first_is_subtracted_from_nothing():
    row = {
        "messages": [{"role": "user", "content": "Leo has 17 caps and loses 7. How many are left?"}],
        "demonstration": "We subtract the lost caps from the initial number of caps: 17 - 7 = 10.",
    }
    turned = "We subtract the initial number of caps from all caps: 17 - 7 = 10."
    assert reason(WordingCheck(), turned, row) == "turned_around"
    assert reason(WordingCheck(), "We subtract 7 from the initial number of caps: 17 - 7 = 10.", row) == ""


def test_a_check_afterwards_is_no_circle():
    row = {
        "messages": [
            {"role": "user", "content": "He reads 10 of 120 pages a day. How many days does he read?"}
        ],
        "demonstration": "120 / 10 = 12 days",
        "answer": "12",
    }
    assert reason(StepsCheck(), "It takes 120 / 10 = 12 days. Indeed 12 * 10 = 120 pages.", row) == ""


def asked(question: str, demonstration: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}], "demonstration": demonstration}


FEWER = asked(
    "Wim collects 20 pens. Olga collects 8 fewer than Wim. How many together?", "20 - 8 = 12. 12 + 20 = 32."
)
TIMES = asked("Rosa has 9 pins. Noah has 3 times as many. How many together?", "9 * 3 = 27. 27 + 9 = 36.")
KNOWN = asked("Olga collects 12 pens, which is 8 fewer than Wim does.", "Wim collects 12 + 8 = 20 pens.")


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("Wim collects 20 - 8 = 12 pens.", FEWER, "other_part"),
        ("Olga collects 20 - 8 = 12 pens.", FEWER, ""),
        ("They collect 20 - 8 = 12 pens.", FEWER, "other_part"),
        ("They collect 12 + 20 = 32 pens.", FEWER, ""),
        ("Wim collects 20 pens, 8 more than Olga.", FEWER, ""),  # the same, seen from the other side
        ("Wim collects 8 fewer than Olga: 20 - 8 = 12.", FEWER, "other_part"),
        ("Olga collects 8 fewer than Olga: 20 - 8 = 12.", FEWER, "other_part"),
        ("Rosa has 9 * 3 = 27 pins.", TIMES, "other_part"),
        ("Rosa has 3 times as many as Noah: 9 * 3 = 27.", TIMES, "other_part"),
        ("Noah has 3 times as many as Rosa: 9 * 3 = 27.", TIMES, ""),
        ("Rosa and Noah have 27 + 9 = 36 pins.", TIMES, ""),
        ("Wim collects 12 + 8 = 20 pens.", KNOWN, ""),  # whom it compares with is what is sought
    ],
)
def test_what_a_comparison_makes_is_the_amount_of_who_is_compared(text, row, said):
    assert reason(RolesCheck(), text, row) == said


CHANGE = asked(
    "Zoe buys 4 nuts for 2 dollars each and pays with 15 dollars. How much does she get back?",
    "4 * 2 = 8. 15 - 8 = 7.",
)
SAVED = asked(
    "Mia saves 7 dollars a week for 8 weeks and then spends 6 dollars. How much is left?",
    "7 * 8 = 56. 56 - 6 = 50.",
)


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("She pays with 15 - 8 = 7 dollars.", CHANGE, "other_part"),
        ("She pays with 15 dollars: 15 - 8 = 7.", CHANGE, ""),
        ("She pays with 15 dollars, which is 15 - 8 = 7 dollars.", CHANGE, "other_part"),
        ("4 nuts at 2 dollars each, which is 4 * 2 = 8 dollars.", CHANGE, ""),
        ("Half of 8 dollars, which is 8 / 2 = 4 dollars.", CHANGE, ""),
        ("She has 8 dollars, which is 8 / 2 = 4 dollars.", CHANGE, "other_part"),
        ("She buys 4 * 2 = 8 nuts.", CHANGE, "other_unit"),
        ("She buys nuts for 4 * 2 = 8 dollars.", CHANGE, ""),
        ("Mia saves 7 dollars a week, which is 7 * 8 = 56 dollars.", SAVED, ""),
        ("Mia saves 7 * 8 = 56 dollars a week.", SAVED, "other_unit"),
        ("Mia spends 6 dollars a week: 56 - 6 = 50.", SAVED, "other_unit"),
        ("Mia spends 56 - 6 = 50 dollars.", SAVED, "other_part"),
        ("Mia spends 6 dollars, and has 56 - 6 = 50 dollars left.", SAVED, ""),
    ],
)
def test_what_is_done_keeps_its_number_and_how_often_it_is_done(text, row, said):
    assert reason(RolesCheck(), text, row) == said


HALLS = asked("A school is made of 9 halls each having 30 seats. How many seats?", "num_seats = 9 * 30")
GIFT = asked(
    "Bob took half of his 42 pens and gave them to Ann, who had 8.", "Bob gave Ann 42 / 2 = 21. 21 + 8 = 29."
)
COINS = asked("Ann had 21 coins and got 49 more. How many coins?", "21 + 49 = 70 coins")


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("There are 9 * 30 = 270 halls.", HALLS, "other_unit"),
        ("There are 9 * 30 = 270 seats.", HALLS, ""),
        ("She gave Bob 42 / 2 = <<42/2=21>>21 pens.", GIFT, "other_part"),
        ("He gave Ann 42 / 2 = <<42/2=21>>21 pens.", GIFT, ""),
        ("The total number of coins is 21, and 21 + 49 = 70.", COINS, "other_part"),
        ("The total number of coins is 21 + 49 = 70.", COINS, ""),
        ("The total number of coins is 21.0 + 49.0 = 70.0.", COINS, ""),
        ("The total number of coins is 70.", COINS, ""),
    ],
)
def test_what_a_group_holds_who_gave_and_what_is_the_total(text, row, said):
    assert reason(RolesCheck(), text, row) == said


def test_a_comparison_within_a_deed_is_no_number_of_it():
    row = asked("Bo works 10 hours on Monday. On Tuesday he works 2 hours less.", "10 - 2 = 8 hours")
    assert reason(RolesCheck(), "On Tuesday he works 10 - 2 = 8 hours.", row) == ""


CAKES = asked(
    "A baker made 90 cakes. He sold 83 of them. How many are left?",
    "The baker made 90 cakes and sold 83: 90 - 83 = 7 cakes. 7 cakes are left.",
)
BOTH = asked(
    "Sally grew 6 carrots. Fred grew 4 carrots. How many did they grow in all?",
    "Sally grew 6 carrots and Fred grew 4: 6 + 4 = 10 carrots. Sally and Fred grew 10 carrots together.",
)
DAYS = asked(
    "Dan collects 12 stones on Saturday and 4 on Monday. How many stones are that?", "12 + 4 = 16 stones."
)
FRUIT = asked(
    "Ellen used 0.2 cups of berries and 0.1 cups of milk. How many cups did she use?",
    "0.2 + 0.1 = 0.3 cups.",
)


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("So he made 90 - 83 = 7 cakes.", CAKES, "other_part"),
        ("The baker sold 7 cakes.", CAKES, "other_part"),
        ("He sold 83 of the 90 cakes, so 90 - 83 = 7 cakes are left.", CAKES, ""),
        ("He can sell 7 cakes more.", CAKES, ""),
        ("So, Sally grew 6 + 4 = 10 carrots.", BOTH, "one_for_all"),
        ("Sally and Fred grew 6 carrots.", BOTH, "other_part"),
        ("Sally and Fred grew 6 + 4 = 10 carrots.", BOTH, ""),
        ("They grew 6 + 4 = 10 carrots.", BOTH, ""),
        ("Dan collects 12 + 4 = 16 stones on Saturday.", DAYS, "other_part"),
        ("Dan collects 12 + 4 = 16 stones on Saturday and Monday.", DAYS, ""),
        ("Dan collects 12 stones on Saturday and 4 on Monday, 12 + 4 = 16 stones.", DAYS, ""),
        ("She used 0.3 cups of berries.", FRUIT, "other_part"),
        ("She used 0.2 cups of berries, 0.3 cups of berries and milk.", FRUIT, ""),
    ],
)
def test_a_deed_a_doer_and_a_place_keep_their_number(text, row, said):
    assert reason(RolesCheck(), text, row) == said


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("If 7 cakes are left, there are 90 - 83 = 7 cakes.", CAKES, "other_part"),
        ("If he sold 83 cakes, then 90 - 83 = 7 cakes are left.", CAKES, ""),
        ("90 - 83 = 7. If 7 cakes are left, 83 + 7 = 90 were made.", CAKES, ""),
        ("He has 90 cakes, each holding 83 cakes.", CAKES, "other_part"),
        ("He has 90 boxes, each holding 83 cakes.", CAKES, ""),
    ],
)
def test_nothing_is_supposed_that_is_worked_out_then_and_nothing_holds_itself(text, row, said):
    assert reason(RolesCheck(), text, row) == said


PRICES = asked("Hugo buys 6 pins for 6 dollars each. What does he pay?", "The 6 pins cost 6 * 6 = 36.")
TIME = asked("Ann runs 2 hours a day for 5 days. How long does she run?", "2 * 60 = 120. 120 * 5 = 600.")
LEFT = asked("Ann has 21 books and loses 9. How many are left?", "21 - 9 = 12.")


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("The pins cost 6 * 6 = 36 cents.", PRICES, "other_unit"),
        ("The pins cost 6 * 6 = 36 dollars.", PRICES, ""),
        ("She runs 2 * 60 = 120 minutes a day.", TIME, ""),  # worked out by the 60 minutes of an hour
        ("She has 21 - 9 = 12 feet of books.", LEFT, "other_unit"),
        ("She has 21 - 9 = 12 books.", LEFT, ""),
    ],
)
def test_a_unit_that_the_row_has_no_word_of_needs_a_conversion(text, row, said):
    assert reason(QuantitiesCheck(), text, row) == said


def test_a_name_that_ends_like_an_adverb_is_a_person_where_it_stands_within_a_sentence():
    assert people("Sally has 3 pens. How many are Sally's in all?", "Now Sally has 3 pens.") == {"sally"}
    assert people("Finally he buys 3 pens. How many?", "Finally he buys 3.") == frozenset()


STARS = asked(
    "Sheila has 45 stars for 9 bottles. How many stars are in each bottle?", "45 / 9 = 5 stars per bottle."
)


@pytest.mark.parametrize(
    ("text", "row", "said"),
    [
        ("She puts 45 stars in each bottle.", STARS, "other_unit"),
        ("She puts 5 stars in each bottle.", STARS, ""),
        ("She shares 45 stars, 5 stars in each bottle.", STARS, ""),
    ],
)
def test_all_of_them_are_not_in_each(text, row, said):
    assert reason(RolesCheck(), text, row) == said
