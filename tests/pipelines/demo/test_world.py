"""The pocket world: solvable as told, splits that cannot overlap, and no leak of the downstream family."""

import itertools
import random
import re

import pytest

from recast.pipelines.demo import styles, world
from recast.pipelines.demo.corpus import exchanges


def drawn(family: str, num: int = 60, split: str = "train") -> list[world.Problem]:
    return list(world.problems(family, split, num, seed=3))


@pytest.mark.parametrize("family", [*world.FAMILIES, world.DOWNSTREAM])
def test_no_question_is_in_both_splits(family: str) -> None:
    train = {p.question for p in drawn(family, 80)}
    test = {p.question for p in drawn(family, 40, "test")}
    assert not train & test
    assert all(world.split_of(q) == "train" for q in train) and all(world.split_of(q) == "test" for q in test)


@pytest.mark.parametrize("family", world.GENERATORS)
def test_steps_follow_from_each_other_and_end_in_the_answer(family: str) -> None:
    for p in drawn(family):
        worked = [s for s in p.steps if s.op]
        for s in worked:
            assert s.result == world.calculate(s.left, s.op, s.right) >= 0
        if p.start:
            assert p.steps[0].left == int(re.findall(r"has (\d+)", p.question)[0])
            assert all(a.result == b.left for a, b in itertools.pairwise(p.steps))
        if worked:
            assert str(worked[-1].result) == p.answer


def test_sorting_comparing_counting_and_parity_are_right() -> None:
    numbers = lambda text: [int(n) for n in re.findall(r"\d+", text)]  # noqa: E731
    for p in drawn("sorting"):
        assert numbers(p.answer) == sorted(numbers(p.question))
    for p in drawn("compare"):
        pick = max if "larger" in p.question else min
        assert int(p.answer) == pick(numbers(p.question))
    for p in drawn("count"):
        ((letter, row),) = re.findall(r"is (\w) in this row: (.*)\?", p.question)
        assert int(p.answer) == row.split().count(letter)
    for p in drawn("parity"):
        assert p.answer == ("even" if numbers(p.question)[0] % 2 == 0 else "odd")


def test_at_least_twelve_general_families_have_test_questions_in_plenty() -> None:
    assert len(world.FAMILIES) >= 12
    for family in world.FAMILIES:
        assert len(drawn(family, 40, "test")) == 40


def test_the_wording_of_a_downstream_step_does_not_tell_its_operation() -> None:
    shapes = {
        re.sub(r"\d+", "N", s.text.replace(verb, "VERB"))
        for p in drawn(world.DOWNSTREAM, 200)
        for s in p.steps
        for verb in world.VERBS
        if verb in s.text
    }
    assert {re.sub(r"^(She|He)|the \w+", "_", s) for s in shapes} == {"_ VERB _ by N"}
    assert len({world.VERBS[v] for v in world.VERBS}) == 3


def test_pretraining_never_sees_downstream_verbs_or_test_questions() -> None:
    asked = set()
    for messages, text in itertools.islice(exchanges("leak", [], ["plain"]), 4000):
        content = messages[-1]["content"]
        assert not any(verb in content or verb in text for verb in world.VERBS)
        asked.add(content.split("\n")[0])
    for family in world.FAMILIES:
        assert not asked & {p.question for p in drawn(family, 40, "test")}


def test_alien_styles_are_pretrained_on_chains_only_and_never_as_new_text() -> None:
    for messages, text in itertools.islice(exchanges("alien", [], ["plain"]), 4000):
        content = messages[-1]["content"]
        if any(mark in content for mark in ("\\boxed", "ans: ", "def solution")):
            assert " has " in content.split("\n")[0]
        if any(mark in text for mark in ("\\boxed", "ans: ", "def solution")):
            assert text in content, "an alien style may only be copied"


@pytest.mark.parametrize("style", styles.STYLES)
def test_the_answer_is_found_in_every_style_of_the_world(style: str) -> None:
    answers = pytest.importorskip("recast.curate.answers.extract")
    for p in drawn(world.DOWNSTREAM, 30):
        text = styles.STYLES[style](p)
        assert answers.equivalent(answers.final_answer(text), p.answer), text


@pytest.mark.parametrize("style", ["qa", *styles.FOREIGN])
@pytest.mark.parametrize("family", world.FAMILIES)
def test_words_and_lists_are_found_as_answers_too(style: str, family: str) -> None:
    answers = pytest.importorskip("recast.curate.answers.extract")
    for p in drawn(family, 5):
        text = styles.STYLES[style](p)
        assert answers.equivalent(answers.final_answer(text), p.answer), text


def test_the_world_is_the_same_in_every_process() -> None:
    first = next(world.problems("word2", "train", 1, seed=0))
    assert world.draw(random.Random("word2/train/0"), "word2", "train") == first
    assert len(world.FACTS) == 160
