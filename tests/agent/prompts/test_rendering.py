"""A template renders, or says what is wrong with it: within its time, its memory and its length."""

from __future__ import annotations

import pytest

from recast.agent.prompts import rendering
from recast.agent.prompts.rendering import TemplateFault, render, variables


def test_a_template_sees_the_texts_that_it_names_as_they_are():
    assert render("{{ question }}|{{ answer | upper }}", {"question": "a < b & {{ c }}", "answer": "x"}) == (
        "a < b & {{ c }}|X"
    )


def test_variables_are_those_that_it_does_not_set_itself():
    source = "{% set n = 2 %}{% for word in question.split() %}{{ word }}{{ n }}{% endfor %}{{ failure }}"
    assert variables(source) == {"question", "failure"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% for %}", "refused in line 1"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ question.__class__ }}", "unsafe"),
        ("{{ ().__class__.__base__ }}", "unsafe"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{{ 'a' * 10 ** 10 }}", "more than 512 MiB"),
        ("{{ '%999999999d' % 1 }}", "more than 512 MiB"),
        (
            "{% set n = namespace(x=question) %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "MiB",
        ),
        ("{% for i in range(50000) %}some words{% endfor %}", "writes more than 200,000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end"),
        ("a" * 50_001, "50,001 characters, where 50,000 are the most"),
    ],
)
def test_what_a_template_must_not_do_is_named(source, why):
    with pytest.raises(TemplateFault, match=why):
        render(source, {"question": "Why?"})


LOOPS = "".join(f"{{% for {name} in q %}}" for name in "abcd") + "{% endfor %}" * 4


@pytest.mark.parametrize("source", [LOOPS, "{{ 10 ** (10 ** 9) }}"])
def test_a_template_that_never_ends_is_ended_once_and_the_next_one_renders(source, monkeypatch):
    with pytest.raises(TemplateFault, match="more than 2 s of processor time"):
        render(source, {"q": "Why? " * 200})

    def never(self, asked):
        raise AssertionError("it was tried again")

    with monkeypatch.context() as patched:
        patched.setattr(rendering._Child, "ask", never)
        with pytest.raises(TemplateFault, match="more than 2 s"):
            render(source, {"q": "Why?"})
    assert render("{{ q }}", {"q": "still here"}) == "still here"


def test_the_child_cannot_open_what_its_template_would_need(tmp_path):
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(TemplateFault):
        render("{{ cycler.__init__.__globals__.os.popen('cat secret').read() }}", {})
