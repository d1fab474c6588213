"""Templates: what they name, and what is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.train.graders.format.template import (
    MAX_TEXT_CHARS,
    TemplateError,
    TooLongError,
    UnknownVariableError,
    template,
)
from recast.train.graders.records import Sample

ITEM = {
    "answer": "17", "n": 3, "share": 0.5, "yes": True, "none": None, "colours": ["red", "blue"],
    "of": {"deep": [{"id": "x-1"}]}, "reference-answer": "dash", "with space": "space", "0": "zero",
    "text": "{{ item.answer }}",
}  # fmt: skip


def rendered(text, sample="said"):
    return template(text).render({"item": ITEM, "sample": Sample(sample).namespace})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {braces} }} {", "plain {braces} }} {"),
        ("{{ item.answer }}", "17"),
        ("{{item.answer}}", "17"),
        ("{{\n item.answer\t}}", "17"),
        ("<{{ item.answer }}|{{ sample.output_text }}>", "<17|said>"),
        ("{{ item.colours[1] }}", "blue"),
        ("{{ item.colours.1 }}", "blue"),
        ("{{ item.of.deep[0].id }}", "x-1"),
        ("{{ item['with space'] }}", "space"),
        ('{{ item["of"]["deep"][0]["id"] }}', "x-1"),
        ("{{ item.reference-answer }}", "dash"),
        ("{{ item.0 }}", "zero"),
        ("{{ item.n }} {{ item.share }} {{ item.yes }}", "3 0.5 true"),
        ("{{ item.colours }}", '["red", "blue"]'),
        ("{{ sample.choices[0].message.content }}", "said"),
        ("{{ item.text }}", "{{ item.answer }}"),  # what a row says is no template
        ("", ""),
    ],
)
def test_a_path_is_replaced_by_what_it_names(text, expected):
    assert rendered(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.missing }}", "{{ item.none }}", "{{ item.colours[2] }}", "{{ item.colours.red }}",
        "{{ item.answer.x }}", "{{ item.of.deep[0].id[0] }}", "{{ sample.output_json.a }}",
        "{{ sample.output_tools[0] }}", "{{ item.n.real }}",
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_an_unknown_variable(text):
    with pytest.raises(UnknownVariableError):
        rendered(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ item.answer", "the braces opened at character 0 are not closed"),
        ("x {{", "opened at character 2"),
        ("{{ answer }}", "is in no namespace"),
        ("{{ items.answer }}", "is in no namespace"),
        ("{{ }}", "is in no namespace"),
        ("{{ item }}", "names a whole namespace"),
        ("{{ sample }}", "names a whole namespace"),
        ("{{ sample.text }}", "sample has no field 'text'"),
        ("{{ sample.output_audio.id }}", "sample has no field 'output_audio'"),
        ("{{ item.answer | upper }}", "cannot be read from"),
        ("{{ item.answer() }}", r"cannot be read from '\(\)'"),
        ("{{ item..answer }}", "cannot be read from"),
        ("{{ item.answer. }}", "cannot be read from"),
        ("{{ item[-1] }}", "cannot be read from"),
        ("{{ item[x] }}", "cannot be read from"),
        ("{{ item.a + item.b }}", "cannot be read from"),
        ("{{ {{ item.answer }} }}", "is in no namespace"),
        ("{{ item." + "a" * 600 + " }}", "an expression of 605 characters"),
        ("{{ item.a }}" * 300, "more than 256 expressions"),
    ],
)
def test_what_is_no_template_is_said(text, reason):
    with pytest.raises(TemplateError, match=reason):
        template(text)


def test_a_template_that_is_one_path_has_its_value_of_any_type():
    spaces = {"item": ITEM, "sample": Sample('{"causes": ["flu"]}').namespace}
    assert template("{{ item.colours }}").value(spaces) == ["red", "blue"]
    assert template("{{ sample.output_json.causes }}").value(spaces) == ["flu"]
    assert template("a {{ item.n }}").value(spaces) == "a 3"


def test_a_template_cannot_become_endless():
    long = {"item": {"a": "x" * (MAX_TEXT_CHARS // 10)}, "sample": {}}
    with pytest.raises(TooLongError):
        template("{{ item.a }}" * 11).render(long)


@pytest.mark.parametrize(
    "text", ["NaN", '{"a": NaN}', "[Infinity]", "[" * 100_000, "1" * 5000, "", "{", "null"]
)
def test_what_is_no_json_or_names_nothing_gives_a_sample_no_output_json(text):
    assert "output_json" not in Sample(text).namespace


def test_a_sample_names_its_tools_and_how_it_ended():
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    space = Sample("", "length", [call]).namespace
    assert template("{{ sample.output_tools[0].function.name }}").render({"sample": space}) == "f"
    assert template("{{ sample.choices[0].finish_reason }}").render({"sample": space}) == "length"
    assert space["choices"][0]["message"]["tool_calls"] == [call]


@given(st.text(alphabet="{}item sample.output_text[]0'\"x", max_size=80))
def test_any_text_is_a_template_or_a_template_error(text):
    with contextlib.suppress(TemplateError):
        template(text)
