"""The checks of characters and words: each kind of wrong text beside right text that resembles it."""

from __future__ import annotations

import pytest

from recast.curate.gate.checks.case import Case, CheckConfig
from recast.curate.gate.checks.words.characters import CharactersCheck
from recast.curate.gate.checks.words.ending import EndingCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.names import NamesCheck
from recast.curate.gate.checks.words.topic import TopicCheck
from recast.curate.gate.checks.words.vocabulary import VocabularyCheck
from recast.curate.records import Check, CheckStatus

QUESTION = (
    "Mona baked 36 rolls on Friday and a third as many on Monday. How many rolls did she bake in both days?"
)
EXPERT = (
    "Mona baked 36/3 = <<36/3=12>>12 rolls on Monday.\n"
    "She baked 36+12 = <<36+12=48>>48 rolls in both days.\n#### 48"
)
TOLD = "On Monday Mona baked a third of 36 rolls, that is 36 / 3 = 12. Together with Friday's rolls this makes 48."


def outcome(check: CheckConfig, text: str, question: str = QUESTION, demonstration: str = EXPERT) -> Check:
    return check.run(Case(text, demonstration, {"messages": [{"role": "user", "content": question}]}))


def reason(check: CheckConfig, text: str, question: str = QUESTION, demonstration: str = EXPERT) -> str:
    made = outcome(check, text, question, demonstration)
    assert (made.status is CheckStatus.FAIL) == bool(made.reason)
    return made.reason


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mo\u200bna baked 48.", "invisible_character"),  # zero-width space
        ("Mo\u00adna baked 48.", "invisible_character"),  # soft hyphen
        ("\u202eMona baked 48.", "invisible_character"),  # right-to-left override
        ("Mona baked 48 \ue000.", "invisible_character"),  # private use
        ("Mona baked 48 \U000e0041.", "invisible_character"),  # tag letter
        ("Mona \u3164 baked 48.", "invisible_character"),  # Hangul filler
        ("Mona baked \ufffd48.", "invisible_character"),  # what is left of a broken byte
        ("\x1b[1mMona\x1b[0m baked 48.", "invisible_character"),
        ("Mona baked \x0848.", "invisible_character"),
        ("Mоna baked 48.", "mixed_script"),  # Cyrillic o
        ("She bakеd 48 and 48.", "mixed_script"),  # Cyrillic e
        ("а roll", "mixed_script"),  # Cyrillic a alone
        ("Mοna baked 48.", "mixed_script"),  # Greek omicron
        ("Sο Mona baked 48.", "mixed_script"),  # two letters, one of them an omicron
        ("Ιt is 48 that Mona baked.", "mixed_script"),
        ("Mona bαkεd 48.", "mixed_script"),
        ("Mona 𝐛𝐚𝐤𝐞𝐝 48.", "mixed_script"),
        ("Mona ｂａｋｅｄ 48.", "mixed_script"),
        ("Mona b\u0336a\u0336k\u0336e\u0336d\u0336 48.", "noise"),
        ("Mona bak\u0301\u0317\u0323ed 48.", "noise"),
        ("a" * 5000, "noise"),
        (f"{TOLD} {'na' * 20}", "noise"),
        (f"{TOLD}{chr(10) * 500}", "noise"),
        ("M o n a b a k e d 48.", "noise"),
        (f"{TOLD}{' ' * 90}48", "noise"),
        (f"{TOLD} {'🙂' * 40}", "noise"),
        (f"{TOLD} {'所以' * 30}", "mixed_script"),
        (f"{TOLD} 9f86d081884c7d659a2feaa0c55ad015", "noise"),
        (f"{TOLD} 0x{'1fb3' * 9}", "noise"),
        (f"{TOLD} QmFzZTY0IGlzIG5vIHByb3NlIDEyMzQ1Njc4", "noise"),
        (f"{TOLD} {'She baked 48 rolls. ' * 5}", "noise"),
    ],
)
def test_characters_that_nobody_types(text, why):
    assert reason(CharactersCheck(), text) == why


@pytest.mark.parametrize(
    "text",
    [
        TOLD,
        "With Δx = 3 and an α-decay of 5 μm at 20 °C, sinθ = ½ and 2πrh ≈ λmax × β₁ and v = αt.",
        "Zoë’s café – “naïve” résumé… costs 5 € or £4 (≈ 50 %), José.",
        "x̄ = 5 and p̂ = 0.5",
        "She is happy 👩‍👩‍👧 ❤️!",  # joiners and a selector within emoji
        "1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 = 14",
        "Name | Rolls\n-----------------------------|-----\nMona | 48",
        "1000000000000000000000000000000 is 10^30.",
        "The identifier computeTotalNumberOfRolls2 holds it.",
        "No no no no no, she said.",
        "Mona\n\n\nbaked 48.",
    ],
)
def test_characters_that_people_type(text):
    assert reason(CharactersCheck(), text) == ""


def test_what_the_row_writes_itself_is_allowed():
    assert reason(CharactersCheck(), "zero\u200bwidth", demonstration="a\u200bb") == ""
    assert reason(CharactersCheck(), "Ответ: 48 кг.", demonstration="Всего 48 кг.") == ""
    assert reason(CharactersCheck(), "Отвеt: 48.", demonstration="Всего 48.") == "mixed_script"
    table = "ab|" * 15
    assert reason(CharactersCheck(), f"{table}\n48", demonstration=table) == ""
    assert reason(CharactersCheck(), f"{table}\n48") == "noise"
    assert reason(CharactersCheck(), "می\u200cخواهم", demonstration="من سیب دارم") == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mona baked 36 / 3 = 12 rolls on Monday, tohgether 48.", "unknown_word"),
        ("Mona bakde 48 rolls.", "unknown_word"),
        ("Mona baked 48 rulls.", "unknown_word"),
        ("Zorblax has 12 rolls. The answer is 48.", "unknown_word"),
        ("She baked a totl of 48.", "unknown_word"),
        ("She baked a total of48 rolls.", "unknown_word"),
        ("Alors on calcule donc 36 / 3 = 12 avec elle. The answer is 48.", "language_changed"),
        ("Also sind es 36 / 3 = 12 Brötchen für alle. The answer is 48.", "language_changed"),
        ("Deinde numerus invenitur: 36 + 12 = 48. The answer is 48.", "language_changed"),
        (f"{TOLD} snorf morv zeed plink flimp wibble grunk.", "language_changed"),
        (
            "Rolls Monday baked days third Friday rolls Mona, baked third days Mona Friday baked, 36 + 12 = 48.",
            "noise",
        ),
        ("Mona baked rolls the the Monday: 48.", "noise"),
        ("Mona baked 48 rolls rolls.", "noise"),
        ("Mona bak3d 48 r0lls.", "unknown_word"),
        ("MONA BAKDE 48 ROLLS IN BOTH DAYS.", "unknown_word"),
        ("Mona baked 48 rolls in the.", "noise"),
        ("She baked my of rolls: 48 in both days.", "noise"),
        ("Mona baked rolls Monday. Mona baked rolls Friday Monday. Baked 48 rolls days.", "words_dropped"),
        ("Monday. on rolls 12 baked Mona\ndays. both in rolls 48 baked She", "noise"),
        ("On Monday rolls He as bake 36 / 3 = 12.", "noise"),
        ("days both in on 36 / 3 = 12.\nmany as rolls bake 36 + 12 = 48.", "noise"),
        ("36 / 3 = 12. , Mona baked 48.", "noise"),
        ("So she have 48 rolls.", "noise"),
        ("In both days they bakes bread and they needs 48.", "noise"),
        ("There is 48 rolls.", "noise"),
        ("Mona baked a third of 36 in a oven.", "noise"),
        ("Mona baked an third of 36.", "noise"),
        ("Mona baked 12 rolls on le Monday and 48 in both days.", "language_changed"),
    ],
)
def test_words_that_are_none_or_do_not_make_sentences(text, why):
    assert reason(VocabularyCheck(), text) == why


@pytest.mark.parametrize(
    "text",
    [
        TOLD,
        "36 / 3 = 12\n36 + 12 = 48\nThe answer is 48.",
        "Monday: 36 / 3 = 12 rolls. Both days: 36 + 12 = 48 rolls.",
        "Monday's rolls: a third of 36, i.e. 12. Total: 48.",
        "$\\frac{36}{3} = 12$ and $36 + 12 = \\boxed{48}$ rolls, say approx. 4 dozen.",
        "She'd baked twelve mini-rolls, half-size, on Monday; that's 48 altogether, isn't it?",
        "Let x be Monday's rolls: 3x = 36, so x = 12kg of dough and (36 + x) = 48.",
        "By subtraction, 48 - 36 = 12, which underestimates nothing.",
        "In May she will bake 48.",
        "How many does she have, and what will he need? Let her and him have an hour, a unit and a one-day trip.",
        "There is 1 roll, and there was a total of 48 rolls. The Monas have 48 in all.",
        "Mona baked a third of 36 rolls, Jones et al. say.",
        "so she bakes 36 / 3 = 12.\nIn both days it is 36 + 12 = 48.",  # one line alone begins small
        "On Monday Mona read The Hobbit and baked 12 rolls.",
        "12 rolls on Monday, 48 in both days.",
        "It is very very simple: x2 = 12, H2O and 5kg, the 3rd of 4, R2D2, a1, step2.",
        "MONA BAKED 48 ROLLS.",
        "36 / 3 = 12 rolls are for her\nHer rolls are 48.",
        "Mona is no NASA engineer: GCD(36, 12) = 12.",
        "It had had to be checked, and it is 48. What it is is clear.",
    ],
)
def test_right_words_pass(text):
    made = outcome(VocabularyCheck(), text)
    assert (made.status, made.reason, made.message) == (CheckStatus.PASS, "", "")


def test_words_dropped_beside_a_number_are_missed():
    expert = "He eats 32 pieces of the largest pizzas and 16 for the small pizza, so he eats 48 pieces."
    dropped = "eats 32 pieces largest pizzas.\neats 16 small pizza.\nThe answer is 48."
    assert reason(VocabularyCheck(), dropped, demonstration=expert) == "words_dropped"
    assert (
        reason(VocabularyCheck(), "Largest pizzas: 32\nSmall pizza: 16\nPieces: 48", demonstration=expert)
        == ""
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("36 / 3 = 12. Mona baked 12 ro", "cut_mid_sentence"),  # rolls
        ("36 / 3 = 12. On Mon", "cut_mid_sentence"),
        ("36 / 3 = 12. She", "cut_mid_sentence"),
        (
            "36 / 3 = 12. Then, Mo",
            "cut_mid_sentence",
        ),  # the beginning of a word of the row, and no word itself
        ("36 / 3 = 12. Mona baked 12 rolls", ""),
        ("Mona baked 12 roll", ""),  # a slip of the pen, and nothing is lost
        ("Mona baked for Mr. Yu", ""),
        ("Mona weighs 12 kg", ""),
    ],
)
def test_a_line_within_a_text_that_breaks_off_in_a_word(line, why):
    assert reason(EndingCheck(), f"{line}\nThe answer is 48.") == why


def test_a_line_that_is_the_beginning_of_the_demonstrations_line_breaks_off_too():
    expert = "36 / 3 = 12 rolls.\nMona and Sherry bake 12 + 36 = 48 rolls."
    text = "36 / 3 = 12 rolls.\n{}\nThe answer is 48."
    assert reason(EndingCheck(), text.format("Mona and Sh"), demonstration=expert) == "cut_mid_sentence"
    assert reason(EndingCheck(), text.format("Mona and Sherry"), demonstration=expert) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mona will baked 48 rolls.", "noise"),
        ("Mona will feed 48 and would need 12 rolls, which should proceed.", ""),
        ("36 + 12 = 48. 48 rolls/lii_190 rolls.", "noise"),
    ],
)
def test_a_modal_verb_before_the_past_and_a_placeholder(text, why):
    assert reason(VocabularyCheck(), text) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mona baked over the 12dge 48 rolls.", "unknown_word"),
        ("Mona baked a third, 12of 48.", "unknown_word"),
        ("Mona bak48 rolls.", "unknown_word"),
        ("Mona sold them for$20.", "noise"),
        ("Mona sold rolls far$20.", "noise"),
        ("SoMona baked 48 rolls.", "noise"),
        ("Mona baked 48rolls, the 3rds of 5lbs of dough, in 30mins at 10am, 2km away.", ""),
        ("Mona has 3xyz = 48, and 2/3rds of 48 are 32. It costs $20.", ""),
        ("McMona's YouTube says US$20.", ""),
    ],
)
def test_what_is_glued_to_a_number_a_price_or_a_name(text, why):
    assert reason(VocabularyCheck(), text) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Mona baked 48 rellopers.", "unknown_word"),  # only looks like English
        ("Mona baked 48 rollswork.", "unknown_word"),  # the first of two words is never a plural
        ("Mona rollsed 48 times.", "unknown_word"),
        ("Mona baked 48 rolls on a countertop, for a lunchbox and a jellybean feast.", ""),
    ],
)
def test_words_that_only_look_like_words(text, why):
    assert reason(VocabularyCheck(), text) == why
    assert why == "" or reason(VocabularyCheck(), "So 48.", demonstration=text) == ""


def test_a_rare_word_beside_a_word_of_the_row_is_a_slip():
    told = outcome(VocabularyCheck(), "Mona naked 48 roils.")
    assert told.reason == "unknown_word" and "'roils'" in told.message and "'rolls'" in told.message
    assert reason(VocabularyCheck(), "Mona bakes 48 rolls.") == ""


def test_an_open_answer_may_bring_names_and_a_term():
    question, expert = (
        "Who thought that we cannot know things as they are?",
        "It was the philosopher Kant who taught that.",
    )
    text = "Schopenhauer follows Kant here. He calls the thing itself the noumenon of his philosophy."
    assert reason(VocabularyCheck(), text, question, expert) == "unknown_word"
    assert reason(VocabularyCheck(open=True), text, question, expert) == ""
    assert (
        reason(VocabularyCheck(open=True), text.replace("philosophy", "philosphy"), question, expert)
        == "unknown_word"
    )


SPANISH = (
    "Ana tiene 8 cajas con 3 lápices en cada una. ¿Cuántos lápices hay?",
    "En total hay 8 * 3 = 24 lápices.",
)
GERMAN = (
    "Lena kauft 3 Packungen mit je 8 Stiften. Wie viele Stifte sind es?",
    "Es sind 3 * 8 = 24 Stifte, die sie kauft.",
)
POLISH = (
    "Ile jabłek ma Ewa, jeśli na stole jest 8 i w koszu 3?",
    "Na stole jest 8, więc razem jest ich 8 + 3 = 11.",
)


def test_a_rewrite_in_the_language_of_its_row_passes():
    assert (
        reason(VocabularyCheck(), "Hay tres lápices en cada caja, por lo que son 8 * 3 = 24.", *SPANISH) == ""
    )
    assert (
        reason(VocabularyCheck(), "Eine Packung enthält 8 Stifte, drei also 3 * 8 = 24 Stifte.", *GERMAN)
        == ""
    )
    text = "Die Antwort ist 24 Stifte."
    assert reason(VocabularyCheck(), f"{text} The answer is 24.", *GERMAN) == "", (
        "the line that marks an answer is free"
    )


def test_another_language_or_a_misspelling_is_seen_in_any_language_with_a_list():
    english = "Then there were eight pencils left over for each of them."
    assert reason(VocabularyCheck(), f"Son 8 * 3 = 24 lápices. {english}", *SPANISH) == "language_changed"
    assert reason(VocabularyCheck(), f"Es sind 3 * 8 = 24 Stifte. {english}", *GERMAN) == "language_changed"


def test_a_language_without_a_list_is_judged_by_its_sentences_only():
    made = outcome(VocabularyCheck(), "Razem jest tam 8 + 3 = 11 jabłek.", *POLISH)
    assert made.status is CheckStatus.PASS and "no list of Polish words" in made.message
    assert (
        reason(VocabularyCheck(), "Razem jest 11. This is what they have and it was of the 3.", *POLISH)
        == "language_changed"
    )


def test_a_row_without_a_language_is_not_judged():
    made = outcome(VocabularyCheck(), "qwxz 5", "5 + 3", "8")
    assert made.status is CheckStatus.PASS and "not judged" in made.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<think>36 / 3 = 12</think> 48", "chat_marker"),
        ("<reasoning>12</reasoning> 48", "chat_marker"),
        ("<tool>calc(36/3)</tool> 48", "chat_marker"),
        ('<function=calc>{"x": 1}</function> 48', "chat_marker"),
        ("48<｜end▁of▁sentence｜>", "chat_marker"),
        ("48<|turn>user", "chat_marker"),
        ("<b>48</b>", "markup"),
        ("48 <!-- hidden -->", "markup"),
        ("48<br>", "markup"),
        ("See https://shop.example for 48.", "markup"),
        ('{"reasoning": "36 / 3 = 12", "answer": 48}', "markup"),
        ("48 &nbsp; rolls", "markup"),
        ("<They bake 48 rolls\n48 rolls are baked.", "markup"),
    ],
)
def test_markup_that_a_plain_answer_does_not_have(text, why):
    assert reason(FormatCheck(), text) == why


@pytest.mark.parametrize(
    "text",
    [
        "The subgroup <a> is of order 48.",
        "12 < 36 and 48 > 36",
        "<203>",
        "x<y and y>z",
        "{36, 12} has the sum 48.",
    ],
)
def test_mathematics_is_no_markup(text):
    assert reason(FormatCheck(), text) == ""


def test_a_row_that_speaks_of_pages_or_programs_may_have_markup():
    assert reason(FormatCheck(), "<b>48</b>", "Write 48 in bold HTML.", "Use a tag.") == ""
    assert reason(FormatCheck(), 'See <a href="b">b</a>.', "Where is it?", "At <i>c</i>.") == ""


def test_a_theorem_and_a_german_noun_are_no_new_names():
    assert reason(NamesCheck(), "It follows by Pythagoras that Vieta's formula holds.") == ""
    assert reason(NamesCheck(), "Then Natalie has 48.") == "invented_name"
    assert reason(NamesCheck(), "Nun sind es also insgesamt 24 Stifte in den Schachteln.", *GERMAN) == ""


@pytest.mark.parametrize(
    ("demonstration", "text", "why"),
    [
        ("36 + 12 = 48 rolls for all of them", "Mona has 36 + 12 = 48 of the", "cut_mid_sentence"),
        ("36 + 12 = 48 rolls is what they are", "Mona has 48 and that is what they are", ""),
        ("36 + 12 = 48 rolls for all of them", "36 + 12 = 48 is what it is for", ""),
    ],
)
def test_a_word_that_ends_no_sentence_is_a_cut_even_where_the_demonstration_has_no_last_sign(
    demonstration, text, why
):
    assert reason(EndingCheck(), text, demonstration=demonstration) == why


@pytest.mark.parametrize(
    "broken",
    [
        "Bo needs 12cm + 9cm 21cm of thread.",  # a sum without its sign
        "So they have 32-16 2 pens.",
        "2 * 100 = 200. For 100 shirts 200 buttons are left.",
        "He eats 32 pieces because 32.",
        "Then5 buckets are full.",
        "It will be$342 in all.",
        "108 = 108. The tree is 108 feet.",
        "He gets more before get before get tired.",
        "It is 20 acres of land is 20 acres of land.",
        "He has to asks for 21 more.",
        "He is ask, and she is give 21cm more.",
        "He could will ask for 9cm more.",
        "So he needs 9cm of thread than 12cm.",
        "So he needs 21cm of thread and thread.",
        "He needs for the thread 21cm?",
    ],
)
def test_what_runs_together_is_no_sentence(broken):
    expert = "Bo has 12cm of thread. He has to ask for 9cm more. So he needs 12cm + 9cm = 21cm of thread."
    assert reason(VocabularyCheck(), broken, demonstration=expert) == "noise"


@pytest.mark.parametrize(
    "whole",
    [
        "Bo needs 12cm + 9cm = 21cm of thread.",
        "So they have 32-16 or 16 pens.",
        "He eats 32 pieces because 16 and 16 are 32.",
        "In 2 + 3 days, 5 in all, 4 come.",
        "2 * 100 = 200. For 100 shirts she needs 200 buttons.",
    ],
)
def test_what_stands_apart_is_left_alone(whole):
    expert = "Bo has 12cm of thread. He has to ask for 9cm more. So he needs 12cm + 9cm = 21cm of thread."
    assert reason(VocabularyCheck(), whole, demonstration=expert) != "noise"


def test_what_stands_elsewhere_is_talk_and_what_the_row_tells_is_not():
    assert reason(FormatCheck(), "We add 36 and 12 to the previous answer.") == "meta_talk"
    assert reason(FormatCheck(), "See the table above.") == "meta_talk"
    told = "On the previous page he read 12 lines."
    assert reason(FormatCheck(), told, told, told) == ""


def test_brackets_do_not_lend_their_words_to_a_sentence_about_something_else():
    puzzle = "A well-known puzzle (12 / 3 = 4; Mona has 12 rolls) of some higher difficulty."
    assert reason(TopicCheck(), puzzle) == "off_topic"


@pytest.mark.parametrize(
    "text",
    [
        "36 bread rolls 12 bread rolls are 48.",
        "Mona bakes 36 rolls, . Then 48.",
        "She bakes 36 rolls 1 times.",
    ],
)
def test_what_is_left_of_a_copied_sentence_is_no_sentence(text):
    assert reason(VocabularyCheck(), text) == "noise"


@pytest.mark.parametrize(
    "text", ["1. add 36 and 12\n2. this makes 48.", "Mona bakes 36 rolls. 12 more make 48."]
)
def test_a_list_may_begin_small_and_a_sentence_with_a_number(text):
    assert reason(VocabularyCheck(), text) == ""


def test_what_a_time_is_told_of_may_follow_it():
    asked = "A tank loses 3 liters an hour. How many in 20 hours?"
    told = "Every hour 3 liters go, so in 20 hours 60 liters go, 3 * 20 = 60."
    assert reason(VocabularyCheck(), told, asked, "3 * 20 = 60 liters are lost.") == ""


def test_an_annotation_is_closed():
    assert reason(CharactersCheck(), "36 + 12 = <<36+12=48 rolls.") == "noise"
    assert reason(CharactersCheck(), "36 + 12 = <<36+12=48>>48 rolls.") == ""
