"""Each check on its own: what it catches, what it lets pass, and the reason it gives. Every reason occurs here."""

from __future__ import annotations

import pytest

from recast.agent.prompts import templates
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import Case
from recast.curate.gate.checks.models.entailment import EntailmentCheck
from recast.curate.gate.checks.models.judge import JudgeCheck
from recast.curate.gate.checks.models.similarity import SimilarityCheck
from recast.curate.gate.checks.models.statements import StatementsCheck
from recast.curate.gate.checks.sums.arithmetic import ArithmeticCheck
from recast.curate.gate.checks.sums.numbers import NumbersCheck
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.checks.words.copying import CopyCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.names import NamesCheck
from recast.curate.gate.checks.words.repetition import RepetitionCheck
from recast.curate.language.identify import language
from recast.curate.records import CheckStatus

GERMAN = "Die Frau hat 12 Stifte und sie hat nicht mit dem Mann von der Schule geteilt, also 17."
ENGLISH = (
    "The girl has 12 pens and then was given 5 from each of the friends that she has, so she has 17 of them."
)
LONG = " ".join(f"word{i}" for i in range(300))


def case(completion: str, demonstration: str = "", finish_reason: str = "stop", **row) -> Case:
    return Case(completion, demonstration, row, finish_reason)


def reason(check, given: Case) -> str:
    outcome = check.run(given)
    assert (outcome.status is CheckStatus.PASS) == (outcome.reason == "")
    assert outcome.reason == "" or outcome.message.endswith("."), outcome
    return outcome.reason


@pytest.mark.parametrize(
    ("completion", "demonstration", "expected"),
    [
        ("", "x", "empty"),
        (" \n\t", "x", "empty"),
        ("a\x00b", "x", "empty"),
        ("A short one.", LONG, "too_short"),
        (LONG, "A short one.", "too_long"),
        ("x" * 60_000, "x" * 60_000, "too_long"),
        ("17. The answer is 17.", "12 + 5 = 17", ""),
        ("Ann has 12 pens and is given 5 more. Together these are 17 pens. The answer is 17.", "12+5=17", ""),
        ("<|im_start|>assistant 17", "17", "chat_marker"),
        ("17\nUser: and now?", "17", "chat_marker"),
        ("17 [/INST]", "17", "chat_marker"),
        ("Here is the rewritten solution: 17.", "17", "meta_talk"),
        ("As the reference solution says, 17.", "17", "meta_talk"),
        ("In my own words: 17.", "17", "meta_talk"),
        ("The writer has 17 books and wrote 3 of them.", "17", ""),
        ("The solution of the equation is 17.", "17", ""),
        ("I'm sorry, this is too hard.", "17", "refusal"),
        ("I cannot answer that.", "17", "refusal"),
        ("```python\nprint(17)", "17", "open_fence"),
        ("```python\nprint(17)\n```", "17", ""),
        ("Ответ 17", "17 is the answer", "script_changed"),
        ("Ответ 17", "Итак, ответ 17", ""),
        ("The angle α is 17°, naïvely", "17", ""),
        (GERMAN, ENGLISH, "language_changed"),
        ("She has 17 pens and she shares none with the friends that her school has for them.", ENGLISH, ""),
        ("Er hat 17 Stifte.", ENGLISH, ""),
        ("Keep every result and the final answer. 17", "17", "meta_talk"),
    ],
)
def test_format(completion, demonstration, expected):
    assert reason(FormatCheck(), case(completion, demonstration)) == expected


def test_a_phrase_that_the_demonstration_itself_uses_is_no_leak():
    text = "I am unable to see more than 17."
    assert reason(FormatCheck(), case(text, "I am unable to see more. 17")) == ""


def test_truncated():
    assert reason(FormatCheck(), case("12 + 5 =", "17", "length")) == "truncated"


@pytest.mark.parametrize(
    ("completion", "row", "expected"),
    [
        ("The answer is 17.", {"answer": "17"}, ""),
        ("The answer is 17.", {"answer": 17.0}, ""),
        ("The answer is 18.", {"answer": "17"}, "wrong_answer"),
        ("Nothing to say.", {"answer": "17"}, "no_answer"),
        ("The answer is 17. The answer is 18.", {"answer": "17"}, "ambiguous_answer"),
        ("The answer is 17.", {}, "no_reference_answer"),
        ("The answer is the colour blue.", {"answer": "blue"}, "answer_undecided"),
    ],
)
def test_answer(completion, row, expected):
    assert reason(AnswerCheck(), case(completion, "no answer", **row)) == expected


def test_an_unmarked_answer_can_be_refused():
    given = case("So she has 17 pens", answer="17")
    assert reason(AnswerCheck(), given) == ""
    assert reason(AnswerCheck(require_marked=True), given) == "no_answer"


def test_a_pattern_of_ones_own_finds_the_answer():
    check = AnswerCheck(pattern=r"=> (\d+)")
    assert reason(check, case("=> 3 then => 17. The answer is 9.", answer="17")) == ""
    assert reason(check, case("The answer is 17.", answer="17")) == "no_answer"
    for wrong in ("=> \\d+", "("):
        with pytest.raises(ValueError, match="pattern"):
            AnswerCheck(pattern=wrong)


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("12 + 5 = 17", ""),
        ("Nothing is added.", ""),
        ("12 + 5 = 18", "false_equality"),
        ("12 + 5 = 18, no, 12 + 5 = 17", "false_equality"),
        ("y + 5 = 18", ""),
    ],
)
def test_arithmetic(completion, expected):
    assert reason(ArithmeticCheck(), case(completion)) == expected


def test_undecidable_equalities_can_be_refused():
    assert (
        reason(ArithmeticCheck(max_undecided=0.5), case("y + 5 = 18 and z + 3 = 9")) == "undecided_equality"
    )


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("First she sold 24 of them, then 48 more, together 72 clips.", ""),
        ("First she sold twenty-four, and then it was 72 in all together.", ""),
        ("48 / 2 = 24, 48 + 24 = 72", ""),
        ("In the end 72.", "missing_step"),
        ("First she sold 24.0 of them, and at last there were 72.00 of them", ""),
        ("First 25, then 72.", "missing_step"),
        ("Since 48 + 24 = 72 she sold 72.", "missing_step"),
        ("24 72", "no_reasoning"),
    ],
)
def test_steps(completion, expected):
    assert (
        reason(StepsCheck(), case(completion, "48/2 = <<48/2=24>>24\n48+24 = <<48+24=72>>72\n#### 72"))
        == expected
    )


def test_steps_that_one_sum_holds_are_told_where_its_other_side_says_what_they_come_to():
    demonstration = "2*9 = 18\n6*4 = 24\n18+24 = 42\n#### 42"
    assert reason(StepsCheck(), case("The tickets cost 2*9 + 6*4 = 18 + 24 = 42.", demonstration)) == ""
    assert reason(StepsCheck(), case("The tickets cost 18 + 24 = 42.", demonstration)) == "missing_step"


def test_steps_are_vacuous_without_computed_results():
    assert reason(StepsCheck(), case("anything", "The sky is blue.")) == ""


TWICE = "40 * 2 = <<40*2=80>>80 hens\n100 - 20 = <<100-20=80>>80 eggs\n80 + 80 = <<80+80=160>>160\n#### 160"


def test_two_steps_with_the_same_result_are_two_steps():
    both = "40 * 2 = 80 hens. 100 - 20 = 80 eggs. 80 + 80 = 160. The answer is 160."
    assert reason(StepsCheck(), case(both, TWICE)) == ""
    one = "40 * 2 = 80. There are 80 hens. 80 + 80 = 160. The answer is 160."
    assert reason(StepsCheck(), case(one, TWICE)) == "missing_step"
    told = "40 * 2 = 80, so 80 hens, and then 80 eggs are left. 80 + 80 = 160. The answer is 160."
    assert reason(StepsCheck(), case(told, TWICE)) == "", "said in prose"


def test_a_hundredfold_of_a_whole_result_does_not_stand_for_it():
    demonstration = "120 + 36 = <<120+36=156>>156\n156 * 100 = <<156*100=15600>>15600\n#### 15600"
    used = "So one has 156 * 100 = 15600 of them in all. The answer is 15600."
    assert reason(StepsCheck(), case(used, demonstration)) == "missing_step"
    assert reason(StepsCheck(), case(f"120 + 36 = 156. {used}", demonstration)) == ""


def test_the_answer_is_no_second_statement_of_a_step():
    # 12 hens at first and 12 at the end: the answer's 12 does not stand for the first step
    demonstration = "3 * 4 = <<3*4=12>>12\n12 - 6 = <<12-6=6>>6\n6 * 2 = <<6*2=12>>12\n#### 12"
    one = "12 - 6 = 6. So 6 are left. 6 * 2 = 12. So it is 12 again. The answer is 12."
    assert reason(StepsCheck(), case(one, demonstration)) == "missing_step"
    assert reason(StepsCheck(), case(f"3 * 4 = 12. {one}", demonstration)) == ""


def test_a_given_number_that_is_a_result_too_must_be_stated_as_one():
    # the question's 10 guests say nothing about the 10 that 5 * 2 come to
    messages = [{"role": "user", "content": "10 guests come in 5 cars, ..."}]
    demonstration = "5 * 2 = <<5*2=10>>10\n10 + 15 = <<10+15=25>>25\n#### 25"
    unstated = case("10 + 15 = 25. The answer is 25.", demonstration, messages=messages)
    assert reason(StepsCheck(), unstated) == "missing_step"
    stated = case("5 * 2 = 10. 10 + 15 = 25. The answer is 25.", demonstration, messages=messages)
    assert reason(StepsCheck(), stated) == ""


def test_a_result_may_be_a_percentage_a_fraction_or_rounded():
    assert reason(StepsCheck(), case("that is 20% of it if one divides", "10 / 50 = 0.2")) == ""
    assert reason(StepsCheck(), case("that is 1/5 of them if one divides", "10 / 50 = 0.2")) == ""
    assert reason(StepsCheck(), case("it is about 3.3 of them in the end", "10 / 3 = 3.333")) == ""
    assert (
        reason(StepsCheck(), case("it is about 3.4 of them in the end", "10 / 3 = 3.333")) == "missing_step"
    )
    assert reason(StepsCheck(), case("it was a half of them that day", "5 / 10 = 0.5")) == ""


def test_copy():
    text = " ".join(f"step {i} adds {i} to the sum" for i in range(12))
    assert reason(CopyCheck(), case(text, text)) == "copy"
    assert reason(CopyCheck(), case("12 + 5 = 17", "12 + 5 = <<12+5=17>>17")) == "copy"
    assert reason(CopyCheck(), case(text + " The answer is 3.", text)) == "copy"
    assert reason(CopyCheck(), case("12 + 5 = 17. The answer is 17.", "12 + 5 = 17")) == ""
    assert reason(CopyCheck(), case(LONG, text)) == ""
    padded = f"{' '.join(f'new{i}' for i in range(40))}. {text}"
    assert reason(CopyCheck(max_told=0.8), case(padded, text)) == "copy", (
        "all of it, with something before it"
    )
    assert reason(CopyCheck(), case(padded, text)) == ""
    short = " ".join(text.split()[:12])
    assert reason(CopyCheck(), case(f"{padded.removesuffix(text)} {short}", short)) == "", (
        "a short one may be"
    )


def test_repetition():
    line = "Then we add the next number to it.\n"
    sums = "".join(f"Then {i} + {i} = {2 * i} follows as the next one of them all.\n" for i in range(9))
    assert reason(RepetitionCheck(), case(line * 6)) == "repetition"
    assert reason(RepetitionCheck(), case(" ".join(["ha"] * 60))) == "repetition"
    assert reason(RepetitionCheck(), case((LONG[:400] + " ") * 2)) == "repetition"
    assert reason(RepetitionCheck(), case(sums)) == ""
    assert reason(RepetitionCheck(), case("1 + 1 = 2 " * 2)) == "", "too short to measure"
    again = "12 + 5 = 17. The answer is 17.\n#### 17"
    assert reason(RepetitionCheck(), case(again)) == "", "twice, in two forms"
    assert reason(RepetitionCheck(), case(f"{again}\nThe solution is 17.")) == "repetition"
    assert reason(RepetitionCheck(), case("Jo has 19 nuts, so she has 19 nuts.")) == "repetition"
    assert reason(RepetitionCheck(), case("Jo has 19 nuts. has 19 nuts. She eats 2.")) == "repetition"
    assert reason(RepetitionCheck(), case("Jo has 19 nuts.\n19 nuts.")) == "", "the answer alone"
    assert reason(RepetitionCheck(), case("Jo has 19 nuts, so she has 19 nuts left.")) == "", "something new"
    assert reason(RepetitionCheck(), case("Jo eats 1 nut for 7 days, so she eats 1*7 = 7 nuts.")) == "", (
        "a sum"
    )


def test_boilerplate():
    prompt = [{"role": "user", "content": "Ann has 12 pens and buys five more. How many pens has she got?"}]
    padding = (
        "Let us think about this carefully. It is always important to be careful here. "
        "We will go through everything in order. That way nothing can go wrong at all. "
    )
    told = "Ann begins with 12 pens. She buys 5 more of them. So 12 + 5 = 17. The answer is 17."
    little = padding + "12 + 5 = 17. The answer is 17."
    assert reason(RepetitionCheck(), case(little, "12 pens", messages=prompt)) == "boilerplate"
    assert reason(RepetitionCheck(), case(padding + told, "12 pens", messages=prompt)) == "", (
        "half of it is content"
    )
    assert reason(RepetitionCheck(), case(padding + told, "", messages=prompt)) == "", (
        "nothing to compare with"
    )


@pytest.mark.parametrize("name", ["rewrite", "repair", "guided", "retell", "judge", "another"])
def test_a_leaked_prompt_is_refused(name):
    more = {"repair": ("It has 3 words.",), "judge": ("It is 17.",)}.get(name, ())
    (turn,) = getattr(templates, name)([{"role": "user", "content": "What is 12 + 5?"}], "12 + 5 = 17", *more)
    leaked = "12 + 5 = 17. The answer is 17.\n\n" + turn["content"].rpartition("\n\n")[2]
    given = case(leaked, "12 + 5 = 17", messages=[{"role": "user", "content": "What is 12 + 5?"}])
    assert reason(FormatCheck(), given) == "meta_talk"


def test_language():
    assert language(ENGLISH) == "English"
    assert language("12 + 5 = 17") is None
    assert (
        language("Il y a donc combien de stylos dans la boîte pour les filles qui sont avec elle ?")
        == "French"
    )
    assert (
        language("Ella tiene el libro y los lápices para la clase, por lo que hay una con su caja")
        == "Spanish"
    )


def asked(models: dict, completion: str = "b", demonstration: str = "a") -> Case:
    return Case(completion, demonstration, {}, "stop", models)


def test_numbers():
    prompt = [{"role": "user", "content": "Ann has 12 pens and buys five more at 20% off."}]
    for completion, expected in [
        ("12 + 5 = 17. The answer is 17.", ""),
        ("Of her 13 pens none is new.", "invented_number"),
        ("She pays 0.2 less for 5 of 12.", ""),
        ("There are 60 minutes in an hour.", ""),
        ("12 + 5 = 18.", "invented_number"),
    ]:
        assert reason(NumbersCheck(), case(completion, "12 and 5", messages=prompt)) == expected, completion
    assert reason(NumbersCheck(max_invented=1), case("13 pens", "12", messages=prompt)) == ""


def test_names():
    prompt = [{"role": "user", "content": "Natalia sold clips to the Smiths in April."}]
    for completion, expected in [
        ("In April Natalia sold clips to Mrs Smith on a Monday.", "invented_name"),
        ("In April Natalia sold clips to a Smith on a Monday.", ""),
        ("In the end Natalie sold them.", "invented_name"),
        ("Every clip is sold. There are none left.", ""),
        ("Zelda has 5 clips.", "invented_name"),
        ("It is done. Zelda bought 5.", "invented_name"),
        ("Everyone has 5 clips. Each gets one. Multiplying gives 5. Clips had 5.", ""),
        ("The clips of Mrs. Smiley are sold.", "invented_name"),
    ]:
        assert reason(NamesCheck(), case(completion, "sold", messages=prompt)) == expected, completion


def test_models_that_are_not_there_leave_their_checks_undecided():
    assert reason(SimilarityCheck(), case("a", "b")) == "no_similarity_model"
    assert reason(EntailmentCheck(), case("a", "b")) == "no_entailment_model"
    assert reason(JudgeCheck(), case("a", "b")) == "no_judge"


def test_similarity():
    assert reason(SimilarityCheck(), asked({"similarity": lambda a, b: 0.9})) == ""
    assert reason(SimilarityCheck(), asked({"similarity": lambda a, b: 0.1})) == "dissimilar"
    for unreadable in (None, float("nan")):
        assert (
            reason(SimilarityCheck(), asked({"similarity": lambda a, b, u=unreadable: u}))
            == "unreadable_similarity"
        )


def test_entailment_goes_both_ways():
    # the completion "b" no longer implies "a": content lost; "a" does not imply "b": content added
    assert reason(EntailmentCheck(), asked({"entails": lambda p, h: 0.9})) == ""
    assert reason(EntailmentCheck(), asked({"entails": lambda p, h: float(p == "a")})) == "content_lost"
    assert reason(EntailmentCheck(), asked({"entails": lambda p, h: float(p == "b")})) == "content_added"
    for unreadable in (None, float("nan")):
        assert (
            reason(EntailmentCheck(), asked({"entails": lambda p, h, u=unreadable: u}))
            == "unreadable_entailment"
        )


def test_statements_are_asked_about_in_one_call_with_the_source_and_the_sum_before_them():
    asked_of: list[list[tuple[str, str]]] = []

    def relations(pairs):
        asked_of.append(pairs)
        return [(0.9, 0.0)] * len(pairs)

    given = Case(
        "There were 12 pens. 12 + 5 = 17. Now she owns 17 pens.",
        "12 + 5 = 17",
        {"messages": [{"role": "user", "content": "How many?"}]},
        models={"relations": relations},
    )
    assert reason(StatementsCheck(), given) == ""
    source = "How many?\n12 + 5 = 17"
    assert asked_of == [
        [
            (source, "There were 12 pens."),
            (source, "Now she owns 17 pens."),
            ("12 + 5 = 17.", "Now she owns 17 pens."),
        ]
    ]


def test_a_statement_follows_from_source_or_sum_and_is_contradicted_by_the_source_alone():
    text = "There were 12 pens. 12 + 5 = 17. Now she owns 17 pens."

    def said(*relations):
        return Case(text, "d", {}, models={"relations": lambda pairs: list(relations)})

    sure, unsure, against = (0.9, 0.0), (0.1, 0.3), (0.05, 0.9)
    assert reason(StatementsCheck(), said(sure, unsure, sure)) == ""
    assert reason(StatementsCheck(), said(sure, against, sure)) == "", "the sum says so"
    assert reason(StatementsCheck(), said(sure, unsure, unsure)) == "unsupported"
    assert reason(StatementsCheck(), said(sure, unsure, against)) == "unsupported", (
        "a sum contradicts nothing"
    )
    assert reason(StatementsCheck(), said(unsure, against, unsure)) == "contradicted"
    assert reason(StatementsCheck(), said(sure, None, sure)) == "unreadable_relation"


def test_an_unreadable_judge_is_neither_yes_nor_no():
    assert reason(JudgeCheck(), asked({"judge": lambda row, text: 0.8})) == ""
    assert reason(JudgeCheck(), asked({"judge": lambda row, text: 0.2})) == "judged_no"
    assert (
        reason(JudgeCheck(min_yes=0.7, max_no=0.3), asked({"judge": lambda row, text: 0.5}))
        == "judge_undecided"
    )
    assert reason(JudgeCheck(), asked({"judge": lambda row, text: None})) == "unreadable_judge"
    assert reason(JudgeCheck(), asked({"judge": lambda row, text: float("nan")})) == "unreadable_judge"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9 / 3 = <<9/3=3>>3 omelets.", ""),
        ("9 / 3 = <<3*3=9>>3 omelets.", "false_equality"),
        ("It costs $<<10/3=3.3333>>3.33 each.", ""),  # written with fewer digits
        ("The fee is <<350000*5/100=17500.0>>17 500.", ""),  # thousands apart
    ],
)
def test_a_calculator_note_says_what_the_text_says(text, reason):
    assert ArithmeticCheck().run(Case(text, "", {})).reason == reason
