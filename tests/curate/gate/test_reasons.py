"""Every reason that a check can give is given here by a text that deserves it, and by nothing but real checks."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from recast.curate.errors import MissingDependencyError
from recast.curate.gate.checks.answer import AnswerCheck
from recast.curate.gate.checks.case import CheckConfig
from recast.curate.gate.checks.code import CodeCheck
from recast.curate.gate.checks.models.entailment import EntailmentCheck
from recast.curate.gate.checks.models.judge import JudgeCheck
from recast.curate.gate.checks.models.similarity import SimilarityCheck
from recast.curate.gate.checks.models.statements import StatementsCheck
from recast.curate.gate.checks.sums.arithmetic import ArithmeticCheck
from recast.curate.gate.checks.sums.numbers import NumbersCheck
from recast.curate.gate.checks.sums.operations import OperationsCheck
from recast.curate.gate.checks.sums.steps import StepsCheck
from recast.curate.gate.checks.sums.symbols import SymbolsCheck
from recast.curate.gate.checks.words.characters import CharactersCheck
from recast.curate.gate.checks.words.consistency import ConsistencyCheck
from recast.curate.gate.checks.words.copying import CopyCheck
from recast.curate.gate.checks.words.edits import EditsCheck
from recast.curate.gate.checks.words.ending import EndingCheck
from recast.curate.gate.checks.words.format import FormatCheck
from recast.curate.gate.checks.words.names import NamesCheck
from recast.curate.gate.checks.words.polarity import PolarityCheck
from recast.curate.gate.checks.words.quantities import QuantitiesCheck
from recast.curate.gate.checks.words.repetition import RepetitionCheck
from recast.curate.gate.checks.words.roles import RolesCheck
from recast.curate.gate.checks.words.topic import TopicCheck
from recast.curate.gate.checks.words.vocabulary import VocabularyCheck
from recast.curate.gate.checks.words.wording import WordingCheck
from recast.curate.gate.gate import Gate, GateConfig
from recast.curate.gate.sandbox import Limits

CURATE = Path(__file__).parents[3] / "curate"
STEPS = "48/2 = <<48/2=24>>24\n48+24 = <<48+24=72>>72\n#### 72"
LONG = " ".join(f"word{i}" for i in range(200))
SAID = "The clips are all sold."
NAN = float("nan")


def asks(**answers: float | None) -> dict:
    """Models that always say the same."""
    return {name: lambda *_, said=said: said for name, said in answers.items()}


def asked(question: str) -> dict:
    """The messages of a row."""
    return {"messages": [{"role": "user", "content": question}]}


def nearest(cosine: float | None) -> dict:
    """A model that finds every sentence so near to the question."""
    return {"sentences": lambda texts, _: None if cosine is None else [cosine] * len(texts)}


def entails(*said: float) -> dict:
    """A model that says one thing after the other."""
    left = list(said)
    return {"entails": lambda *_: left.pop(0)}


def relates(said: tuple[float, float] | None) -> dict:
    """An NLI model that says the same of every pair."""
    return {"relations": lambda pairs: [said] * len(pairs)}


def breaks(*_: object) -> float:
    raise RuntimeError("the model is gone")


CODE = CodeCheck(limits=Limits(cpu_s=1, wall_s=5))
TESTS = {"tests": "assert f(1) == 2"}

# reason: check, completion, row, and what else the gate is given
CASES: dict[str, tuple[CheckConfig, str, dict, dict]] = {
    "empty": (FormatCheck(), " \n", {}, {}),
    "truncated": (FormatCheck(), "12 + 5 =", {}, {"finish_reason": "length"}),
    "too_long": (FormatCheck(), LONG, {"demonstration": "Short."}, {}),
    "too_short": (FormatCheck(), "Short.", {"demonstration": LONG}, {}),
    "chat_marker": (FormatCheck(), "<|im_start|>assistant 17", {}, {}),
    "markup": (FormatCheck(), "<b>17</b>", {}, {}),
    "meta_talk": (FormatCheck(), "Here is the rewritten solution: 17.", {}, {}),
    "refusal": (FormatCheck(), "I'm sorry, this is too hard.", {}, {}),
    "open_fence": (FormatCheck(), "```python\nprint(17)", {}, {}),
    "script_changed": (FormatCheck(), "Ответ 17", {"demonstration": "17 it is"}, {}),
    "language_changed": (
        FormatCheck(),
        "Wir haben jetzt auch noch 17 von den Stiften, weil sie nicht für alle und mit dem Rest sind.",
        {
            "demonstration": "So we have 17 of the pens that are left, and they were not for all of us with this."
        },
        {},
    ),
    "no_reference_answer": (AnswerCheck(), "The answer is 17.", {}, {}),
    "no_answer": (AnswerCheck(), "Nothing to say.", {"answer": "17"}, {}),
    "ambiguous_answer": (AnswerCheck(), "The answer is 17. The answer is 18.", {"answer": "17"}, {}),
    "answer_undecided": (AnswerCheck(), "The answer is the colour blue.", {"answer": "blue"}, {}),
    "wrong_answer": (AnswerCheck(), "The answer is 18.", {"answer": "17"}, {}),
    "false_equality": (ArithmeticCheck(), "12 + 5 = 18", {}, {}),
    "undecided_equality": (ArithmeticCheck(max_undecided=0.5), "y + 5 = 18 and z + 3 = 9", {}, {}),
    "missing_step": (StepsCheck(), "In the end there are 72.", {"demonstration": STEPS}, {}),
    "stray_sum": (
        StepsCheck(),
        "48 clips / 2 = 24 clips in May. 48 * 24 = 1152. Both months: 48 + 24 = 72 clips.",
        {"demonstration": STEPS},
        {},
    ),
    "no_reasoning": (StepsCheck(), "24 72", {"demonstration": STEPS}, {}),
    "no_step_read": (
        StepsCheck(),
        "Lea has 9 left in the end.",
        {"demonstration": "Of 12 pens Lea loses some, and has 9.", "answer": "9"},
        {},
    ),
    "invented_name": (NamesCheck(), "So then Natalie has 72.", {"demonstration": "Natalia has 72."}, {}),
    "invented_number": (NumbersCheck(), "There are 713 of them.", {"demonstration": "72"}, {}),
    "copy": (CopyCheck(), STEPS, {"demonstration": STEPS}, {}),
    "repetition": (RepetitionCheck(), "She has sold 24 clips.\n" * 9, {}, {}),
    "boilerplate": (
        RepetitionCheck(),
        "There are 24 clips. Let us think about it carefully. This is a nice puzzle indeed. One should always take "
        "great care here. Everybody loves to learn something new. It is good to be patient.",
        {"demonstration": "There are 24 clips."},
        {},
    ),
    "invisible_character": (CharactersCheck(), "17 cl\u200bips", {}, {}),
    "mixed_script": (CharactersCheck(), "17 сlips", {}, {}),  # a Cyrillic letter
    "noise": (CharactersCheck(), "ha" * 99, {}, {}),
    "unknown_word": (
        VocabularyCheck(),
        "There are 17 cilps.",
        {"demonstration": "There are 17 clips of hers."},
        {},
    ),
    "words_dropped": (
        VocabularyCheck(),
        "Natalia sold 24 clips friends. Natalia sold clips May, 48 clips friends.",
        {"demonstration": "In May Natalia sold 24 clips to the friends and 48 clips in May."},
        {},
    ),
    "off_topic": (
        TopicCheck(),
        "She sold 24 clips. Buy cheap watches at our shop now!",
        {"demonstration": "She sold 24 clips."},
        {},
    ),
    "no_words": (
        TopicCheck(),
        "48 / 2 = 24. The answer is 24.",
        {"demonstration": "Natalia sold half of 48, that is 48/2 = 24 clips."},
        {},
    ),
    "no_sentence_model": (TopicCheck(model="m"), "There are 24 red clips.", {}, {}),
    "unreadable_sentences": (TopicCheck(model="m"), "There are 24 red clips.", {}, {"models": nearest(None)}),
    "unlike_topic": (TopicCheck(model="m"), "There are 24 red clips.", {}, {"models": nearest(0.48)}),
    "answers_differ": (ConsistencyCheck(), "The answer is 999. #### 72\n#### 72", {}, {}),
    "answer_not_stated": (ConsistencyCheck(), "48 + 24 = 72. The answer could be 72.", {}, {}),
    "result_denied": (ConsistencyCheck(), "48 + 24 = 72. But that is wrong. The answer is 72.", {}, {}),
    "only_restated": (
        ConsistencyCheck(),
        "How many clips are there? There are 72. The answer is 72.",
        {"demonstration": STEPS},
        {},
    ),
    "goes_on": (EndingCheck(), "48 + 24 = 72. The answer is 72. Then 72 + 1 = 73.", {}, {}),
    "answer_repeated": (EndingCheck(), "48 + 24 = 72." + " The answer is 72." * 4, {}, {}),
    "cut_mid_sentence": (EndingCheck(), "48 + 24 = 72. The answer is 72. After that the", {}, {}),
    "operation_with_itself": (
        OperationsCheck(),
        "We divide the number of pens by the number of pens.",
        {},
        {},
    ),
    "unfit_plan": (
        OperationsCheck(),
        "We add 5 to the total. 48 + 24 = 72.",
        {"demonstration": "48 + 24 = 72."},
        {},
    ),
    "open_sum": (OperationsCheck(), "24 * 3 = 72, and the pay is 72 - 24 dollars.", {}, {}),
    "misnamed_operation": (OperationsCheck(), "Then we divide: 24 * 3 = 72.", {}, {}),
    "unbound_symbol": (SymbolsCheck(), "Let r = 2s + 5 and s = 3t.", {"demonstration": "2 + 3 = 5"}, {}),
    "other_unit": (QuantitiesCheck(), "They need 72 metres.", {"demonstration": "There are 72 clips."}, {}),
    "other_owner": (
        QuantitiesCheck(),
        "Bob has 35 clips.",
        {
            "messages": [{"role": "user", "content": "Ann has 35 clips. Bob has 20. How many are there?"}],
            "demonstration": "35 + 20 = 55",
        },
        {},
    ),
    "invented_quantity": (QuantitiesCheck(), "In the box were 37 goats.", {"demonstration": "2 + 3 = 5"}, {}),
    "opposite_statement": (
        PolarityCheck(),
        "The price fell by 12 dollars.",
        {"demonstration": "The price rose by 12 dollars."},
        {},
    ),
    "other_kind": (
        QuantitiesCheck(),
        "She sold 48 white clips.",
        {"demonstration": "She sold 48 yellow clips in April."},
        {},
    ),
    "circular": (
        StepsCheck(),
        "He reads for 12 days, 12 * 10 = 120 pages. So 120 / 10 = 12 days.",
        {**asked("He reads 10 of 120 pages a day. How many days?"), "demonstration": "120 / 10 = 12 days"},
        {},
    ),
    "prompt_told": (FormatCheck(), "Question: how many? There are 17.", {"demonstration": "17 it is"}, {}),
    "other_wording": (
        WordingCheck(),
        "She sells 5 pens a week.",
        {"demonstration": "She sells 5 pens a day."},
        {},
    ),
    "spliced": (
        WordingCheck(),
        "Each of the 5 pies costs Ann $2. So she needs for the pies.",
        {
            "demonstration": "Each of the 5 pies costs Ann $2. So she needs the money of 5 friends to pay for the pies."
        },
        {},
    ),
    "turned_around": (
        WordingCheck(),
        "We subtract the shirts left from the shirts sold.",
        {"demonstration": "To find it, subtract the shirts sold from the shirts left."},
        {},
    ),
    "other_part": (
        RolesCheck(),
        "So 25 lives are left.",
        {
            **asked("He has 73 lives left after losing some."),
            "demonstration": "98 - 73 = 25. He lost 25 lives.",
        },
        {},
    ),
    "one_for_all": (
        RolesCheck(),
        "So Sam has 44 + 52 = 96 books.",
        {
            **asked("Tim has 44 books. Sam has 52 books. How many books do they have together?"),
            "demonstration": "44 + 52 = 96 books together.",
        },
        {},
    ),
    "no_tests": (CODE, "def f(x):\n    return x", {}, {}),
    "no_code": (CODE, "```python\n\n```", TESTS, {}),
    "tests_failed": (CODE, "def f(x):\n    return x", TESTS, {}),
    "not_plain": (CODE, "class P:\n    pass\n\ndef f(x):\n    return P()", TESTS, {}),
    "code_limit": (CODE, "while True:\n    pass", TESTS, {}),
    "no_sandbox": (CODE, "def f(x):\n    return x", TESTS, {"no_walls": True}),
    "no_similarity_model": (SimilarityCheck(), "17", {}, {}),
    "unreadable_similarity": (SimilarityCheck(), "17", {}, {"models": asks(similarity=NAN)}),
    "dissimilar": (SimilarityCheck(), "17", {}, {"models": asks(similarity=0.1)}),
    "no_entailment_model": (EntailmentCheck(), "17", {}, {}),
    "unreadable_entailment": (EntailmentCheck(), "17", {}, {"models": asks(entails=NAN)}),
    "content_lost": (EntailmentCheck(), "17", {}, {"models": entails(0.1, 0.9)}),
    "content_added": (EntailmentCheck(), "17", {}, {"models": entails(0.9, 0.1)}),
    "no_relation_model": (StatementsCheck(), SAID, {}, {}),
    "unreadable_relation": (StatementsCheck(), SAID, {}, {"models": relates(None)}),
    "contradicted": (StatementsCheck(), SAID, {}, {"models": relates((0.1, 0.9))}),
    "unsupported": (StatementsCheck(), SAID, {}, {"models": relates((0.1, 0.2))}),
    "no_judge": (JudgeCheck(), "17", {}, {}),
    "unreadable_judge": (JudgeCheck(), "17", {}, {"models": asks(judge=None)}),
    "judged_no": (JudgeCheck(), "17", {}, {"models": asks(judge=0.1)}),
    "judge_undecided": (JudgeCheck(min_yes=0.9, max_no=0.2), "17", {}, {"models": asks(judge=0.5)}),
    "banned_edit": (
        EditsCheck(banned=("adds_opening",)),
        "Let's think. 5 + 3 = 8 pens.",
        {"demonstration": "5 + 3 = 8 pens."},
        {},
    ),
    "wanted_edit": (
        EditsCheck(wanted=("drops_annotations",)),
        "So 5 + 3 = <<5+3=8>>8 pens.",
        {"demonstration": "5 + 3 = <<5+3=8>>8 pens."},
        {},
    ),
    "check_error": (SimilarityCheck(), "17", {}, {"models": {"similarity": breaks}}),
}


@pytest.mark.parametrize("reason", CASES)
def test_a_text_that_deserves_the_reason_gets_it(reason, monkeypatch):
    check, completion, row, given = CASES[reason]
    if given.get("no_walls"):

        def refuses(*_: object, **__: object) -> None:
            raise MissingDependencyError("there is no network namespace here.")

        monkeypatch.setattr("recast.curate.gate.checks.code.judge", refuses)
    gate = Gate(GateConfig(checks=(check,)), given.get("models"))  # type: ignore[arg-type]
    row = {"messages": [{"role": "user", "content": "How many clips are there?"}], **row}
    verdict = gate.verify(row, completion, finish_reason=given.get("finish_reason", "stop"))
    assert verdict.reason == reason
    assert " " in verdict.checks[0].message, "a sentence that a person understands"


def test_every_reason_that_the_code_can_give_is_given_here():
    declared = {
        reason
        for path in [*CURATE.glob("gate/checks/**/*.py"), CURATE / "gate" / "gate.py"]
        for reason in reasons_of(path)
    }
    assert declared - set(CASES) == set(), "a reason without a text that deserves it"
    assert set(CASES) - declared == set(), "a reason that no check gives any more"


def reasons_of(path: Path) -> Iterator[str]:
    """The first arguments of all calls of `failed` and `undecided`; a loop variable stands for its table."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tables: dict[str, str] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.For)
            and isinstance(node.target, ast.Tuple)
            and isinstance(node.iter, ast.Name)
        ):
            tables[ast.unparse(node.target.elts[0])] = node.iter.id
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in ("failed", "undecided"):
            continue
        said = ast.unparse(node.args[0])
        if isinstance(node.args[0], ast.Constant):
            yield ast.literal_eval(said)
        else:
            assert said in tables, f"{path}:{node.lineno} hides its reason"
            module = importlib.import_module(
                "recast.curate." + ".".join(path.relative_to(CURATE).with_suffix("").parts)
            )
            yield from (row[0] for row in getattr(module, tables[said]))
