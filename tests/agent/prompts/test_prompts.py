"""What the backbone is asked, and the ids that name it: those of before stay, and what decides one is in it."""

from __future__ import annotations

import textwrap

import pytest
import yaml
from pydantic import ValidationError

from recast.agent.prompts import templates
from recast.agent.prompts.config import ROLES, PromptsConfig
from recast.agent.prompts.presets import PRESETS
from recast.agent.prompts.prompts import DEFAULT, Prompts, Worked, judge, worked_of
from recast.curate.errors import DataError
from tests.conftest import ROOT

ROW = {
    "row_id": "r1",
    "messages": [{"role": "user", "content": "What is 12 + 5?"}],
    "demonstration": "12 + 5 = 17",
    "answer": "17",
    "task": "math",
}
AS_TODAY = f"{{{{ question }}}}\n\nSolution:\n{{{{ demonstration }}}}\n\n{templates.REWRITE_INSTRUCTION}"
EXAMPLE = {"question": "What is 1 + 1?", "demonstration": "1 + 1 = 2", "rewrite": "Two."}
LOOPS = "".join(f"{{% for {name} in question %}}" for name in "abcd")
ENDLESS = LOOPS + "{% endfor %}" * 4


def prompts(**settings) -> Prompts:
    return Prompts(PromptsConfig(**settings))


def pool(count: int) -> tuple[Worked, ...]:
    return tuple(Worked(f"question {i}", f"expert {i}", f"good {i}", f"r{i}") for i in range(count))


# ids


def test_what_the_defaults_ask_has_the_ids_that_it_always_had():
    ids = (DEFAULT.rewrite_id, DEFAULT.repair_id, DEFAULT.question_id, DEFAULT.another_id)
    assert ids == ("rewrite-1", "repair-1", "write-question-1", "another-1")
    assert DEFAULT.rewrite(ROW) == templates.rewrite(ROW["messages"], ROW["demonstration"])
    assert DEFAULT.repair(ROW, "Bad.") == templates.repair(ROW["messages"], ROW["demonstration"], "Bad.")
    assert DEFAULT.instruction("repair") == templates.INSTRUCTIONS["repair-1"]


@pytest.mark.parametrize(
    "settings",
    [
        {"system": "Be brief."},
        {"rewrite": AS_TODAY},
        {"examples": [EXAMPLE]},
        {"preset": "math"},
    ],
)
def test_what_decides_a_prompt_decides_its_id(settings):
    changed = prompts(**settings)
    assert changed.rewrite_id == prompts(**settings).rewrite_id
    assert changed.rewrite_id.startswith("rewrite-") and changed.rewrite_id != DEFAULT.rewrite_id
    assert changed.repair_id != DEFAULT.repair_id, "a repair is framed alike"
    assert (changed.question_id, changed.another_id) == (DEFAULT.question_id, DEFAULT.another_id)


def test_ids_are_those_of_an_earlier_process():
    assert prompts(system="Be brief.").rewrite_id == "rewrite-6eee0026072a"


def test_the_examples_that_are_drawn_from_are_part_of_the_id():
    drawn = PromptsConfig(draw=2, draw_from="mine@v1")
    ids = {Prompts(drawn, pool(n)).rewrite_id for n in (5, 6)}
    ids.add(Prompts(drawn.model_copy(update={"seed": 1}), pool(5)).rewrite_id)
    assert len(ids) == 3
    renamed = drawn.model_copy(update={"draw_from": "other@v7"})
    assert Prompts(renamed, pool(5)).rewrite_id in ids, "the same rows under another name ask alike"


# what is asked


def test_the_default_prompt_written_as_a_template_asks_the_same():
    assert prompts(rewrite=AS_TODAY).rewrite(ROW) == DEFAULT.rewrite(ROW)


def test_the_readmes_example_loads_and_its_template_is_the_default_one():
    """Otherwise a user who begins with it begins with something else than what is measured."""
    text = (ROOT / "agent" / "README.md").read_text()
    block = text[text.index("    prompts:\n") :].split("\n\n- ")[0]
    settings = yaml.safe_load(textwrap.dedent(block))["prompts"]
    assert Prompts(PromptsConfig(rewrite=settings["rewrite"])).rewrite(ROW) == DEFAULT.rewrite(ROW)
    assert len(Prompts(PromptsConfig(**settings), pool(4)).rewrite(ROW)) == 1 + 2 * 3 + 1


def test_a_template_is_the_whole_last_turn_of_the_user():
    row = {
        **ROW,
        "messages": [
            *ROW["messages"],
            {"role": "assistant", "content": "16"},
            {"role": "user", "content": "No."},
        ],
    }
    asked = prompts(rewrite="{{ task }}: {{ question }} {{ demonstration }}").rewrite(row)
    assert asked == [*row["messages"][:2], {"role": "user", "content": "math: No. 12 + 5 = 17"}]


def test_a_repair_is_the_rewriting_template_and_what_failed():
    asked = prompts(rewrite="{{ question }} {{ demonstration }}").repair(ROW, "It is cut off.")
    assert asked[-1]["content"] == "What is 12 + 5? 12 + 5 = 17\n\nAn earlier attempt failed: It is cut off."
    own = prompts(repair="{{ failure }} {{ question }} {{ demonstration }}")
    assert own.repair(ROW, "No.")[-1]["content"] == "No. What is 12 + 5? 12 + 5 = 17"
    assert own.rewrite_id == DEFAULT.rewrite_id


def test_a_system_turn_comes_first_and_keeps_the_rows_own():
    row = {**ROW, "messages": [{"role": "system", "content": "Own."}, *ROW["messages"]]}
    system, *rest = prompts(system="Say it for {{ task }}.").rewrite(row)
    assert system == {"role": "system", "content": "Say it for math.\n\nOwn."}
    assert rest == DEFAULT.rewrite(ROW)


def test_worked_examples_are_earlier_exchanges_under_the_same_template():
    asked = prompts(examples=[EXAMPLE], rewrite="{{ question }} / {{ demonstration }}").rewrite(ROW)
    assert [(turn["role"], turn["content"]) for turn in asked] == [
        ("user", "What is 1 + 1? / 1 + 1 = 2"),
        ("assistant", "Two."),
        ("user", "What is 12 + 5? / 12 + 5 = 17"),
    ]


def test_a_row_is_told_its_language_where_it_is_clear():
    german = "Wie viele Äpfel hat sie insgesamt und wie viele sind es für die Kinder von der Schule nicht?"
    row = {**ROW, "messages": [{"role": "user", "content": german}]}
    source = "{{ language }}: {{ question }} {{ demonstration }}"
    assert prompts(rewrite=source).rewrite(row)[-1]["content"].startswith("German: ")
    assert prompts(rewrite=source).rewrite(ROW)[-1]["content"].startswith(": ")


def test_drawn_examples_are_of_other_rows_and_the_same_each_time():
    asked = Prompts(PromptsConfig(draw=2, draw_from="mine"), pool(4))
    shown = []
    for i in range(40):
        row = {
            "row_id": f"r{i % 4}",
            "messages": [{"role": "user", "content": f"question {i % 4}"}],
            "demonstration": "x",
        }
        first = asked.rewrite(row)
        assert first == asked.rewrite(row) and len(first) == 5
        assert f"good {i % 4}" not in [turn["content"] for turn in first]
        shown += [turn["content"] for turn in first if turn["role"] == "assistant"]
    assert set(shown) == {"good 0", "good 1", "good 2", "good 3"}


def test_an_edited_row_never_sees_its_own_earlier_rewrite():
    """By its id where its question was edited, by its question where it was imported anew."""
    asked = Prompts(PromptsConfig(draw=1, draw_from="mine"), pool(3))
    for row_id, question in [("r0", "question 1"), ("new", "question 0"), ("r2", "changed")]:
        row = {"row_id": row_id, "messages": [{"role": "user", "content": question}], "demonstration": "x"}
        own = {f"good {row_id[1:]}", f"good {question.split()[-1]}"}
        assert own.isdisjoint(turn["content"] for turn in asked.rewrite(row))


def test_of_a_version_only_rewrites_serve_one_a_question():
    def row(row_id, question, decision, target=0):
        asked = [{"role": "user", "content": question}]
        return {
            "row_id": row_id,
            "target": target,
            "messages": asked,
            "demonstration": "d",
            "completion": row_id,
            "decision": decision,
        }

    found = worked_of(
        [
            row("c", "one", "rewrite"),
            row("a", "one", "rewrite", 1),
            row("a", "one", "repair"),
            row("b", "two", "fallback"),
        ]
    )
    assert [(w.row_id, w.question) for w in found] == [("a", "one")]


def test_too_few_rewrites_to_draw_from_are_refused():
    with pytest.raises(DataError, match="accepted rewrites of 3 questions, where 4 are needed"):
        Prompts(PromptsConfig(draw=2, draw_from="mine"), pool(3))


def test_the_instruction_is_what_the_prompt_says_besides_the_row():
    asked = prompts(
        system="Reply with the text alone.",
        rewrite="{{ question }}\n\nText:\n{{ demonstration }}\n\nSay it again in other words.",
    )
    assert asked.instruction("rewrite") == "Say it again in other words.\n\nReply with the text alone."


def test_a_turn_that_is_no_text_cannot_be_put_into_a_template():
    row = {**ROW, "messages": [{"role": "user", "content": [{"type": "image"}]}]}
    with pytest.raises(DataError, match="no plain text"):
        prompts(preset="math").rewrite(row)


def test_a_judge_is_asked_by_its_template():
    source = "{{ question }} / {{ reference }} / {{ response }}: YES or NO?"
    (turn,) = judge(ROW["messages"], "17", "It is 18.", source)
    assert turn["content"] == "What is 12 + 5? / 17 / It is 18.: YES or NO?"
    assert judge(ROW["messages"], "17", "18") == templates.judge(ROW["messages"], "17", "18")


# settings


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_renders_for_a_plain_row(name):
    asked = prompts(preset=name)
    turns = asked.rewrite(ROW)
    assert turns[-1]["role"] == "user"
    assert all(text in turns[-1]["content"] for text in ("What is 12 + 5?", "12 + 5 = 17"))
    assert "Write in" not in str(turns), "of no language where none is clear"
    assert asked.repair(ROW, "It is cut off.")[-1]["content"].endswith("It is cut off.")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"rewrite": "{{ question }} {{ soluton }}"}, "names 'soluton'; it can name question"),
        ({"rewrite": "Say it in your own words."}, "does not show {{ demonstration }}"),
        ({"repair": "{{ question }} {{ demonstration }}"}, "does not show {{ failure }}"),
        ({"system": "{% for %}"}, "refused in line 1"),
        (
            {"judge": f"{{{{ question }}}} {{{{ reference }}}} {{{{ response }}}} {ENDLESS}"},
            "2 s of processor time",
        ),
        ({"draw": 2}, "also give draw_from"),
        ({"draw_from": "mine"}, "also give draw, how many"),
        ({"seed": 3}, "no effect"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_there_is_a_run(settings, why):
    with pytest.raises(ValidationError) as error:
        PromptsConfig(**settings)
    assert why in str(error.value)


def test_every_role_has_a_template_setting():
    assert set(ROLES) <= PromptsConfig.model_fields.keys()
    assert {text for preset in PRESETS.values() for text in preset.texts} <= set(ROLES)
