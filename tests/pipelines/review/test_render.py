"""Rows as trees of elements: what is read, where marks stand, what hostile text comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.curate.records import Check, CheckStatus
from recast.pipelines.review import render
from recast.pipelines.review.paint import Mark, Node, Painted
from tests.fakes.review import BIDI, CODE, EVIL, LATEX, TABLE, TOOLS

TAGS = set(
    "p pre code span del ins mark table thead tbody tr th td div h3 strong em b i sup sub br details summary".split()
)


def walked(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield node
        if isinstance(node, list):
            yield from walked(node[2:])


def said(nodes: list[Node]) -> str:
    return "".join(node for node in walked(nodes) if isinstance(node, str))


def found(nodes: list[Node], tag: str, **attributes: str) -> list[str]:
    return [
        said(node[2:])
        for node in walked(nodes)
        if isinstance(node, list) and node[0] == tag and attributes.items() <= node[1].items()
    ]


def test_formulas_are_read() -> None:
    nodes = render.text(LATEX)
    assert found(nodes, "span", **{"class": "boxed"}) == ["2"]
    assert found(nodes, "span", **{"class": "above"}) == ["x2 - 1", "(x-1)(x+1)"]
    assert found(nodes, "p", **{"class": "display math"}) == [
        "\nf(x) = (x-1)(x+1)/x-1 = x + 1.\n".lstrip("\n")
    ]
    assert "x → 1" in said(nodes) and "≠" in said(nodes)
    assert "\\" not in said(nodes) and "$" not in said(nodes)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It costs $5 and $6.", "It costs $5 and $6."),
        (r"C:\new\table", r"C:\new\table"),
        ("2*3 and 4*5", "2*3 and 4*5"),
        (r"$\sqrt[3]{8} \le \text{two or } 3$", "3√8 ≤ two or  3"),
        (r"\boxed{\frac{1}{2}}", "1/2"),
        (r"$x_{12}^{-3}$", "x12-3"),
        (r"$\unknown{3}$", r"\unknown3"),
        (r"$\frac{1}{$", r"1/"),
        ("#### 17", "#### 17"),
        ("**bold** and `code`", "bold and code"),
    ],
)
def test_what_is_no_formula_stays_as_it_is(text: str, read: str) -> None:
    assert said(render.text(text)) == read


def test_tables_code_and_turns() -> None:
    table = render.text(TABLE)
    assert found(table, "th") == [" item ", " price ", " number "]
    assert found(table, "td") == [" pen ", " 2 ", " 3 ", " book ", " 7 ", " 1 "]
    code = render.text(CODE)
    assert found(code, "code")[0] == "def count(xs):\n    return sum(1 for x in xs if x > 0)\n"
    turns = render.turns(TOOLS)
    assert "calls weather" in found(turns, "b") and '"city": "Oslo"' in said(turns)
    assert found(turns, "summary") == ["4 earlier turns"]
    assert found(turns[1:], "p") == ["And in Fahrenheit?"]


def test_marks_of_a_diff_join_to_both_texts() -> None:
    before, after = render.panes("It is 12 now.", "It was 13 then.", "side", (), ("Expert", "Rewrite"))
    assert said(before["nodes"]) == "It is 12 now." and said(after["nodes"]) == "It was 13 then."
    assert found(before["nodes"], "del") and found(after["nodes"], "ins")
    (both,) = render.panes("one two three", "one too three", "inline", (), ("Expert", "Rewrite"))
    assert found(both["nodes"], "del") == ["two"] and found(both["nodes"], "ins") == ["too"]
    (same,) = render.panes("one", "one", "side", (), ("Expert", "Kept"))
    assert same["name"] == "Kept, which is expert's"


def test_format_signs_show_only_where_an_edit_is_about_them() -> None:
    before, after = render.panes("It is **4**.", "It is 4.", "side", (), ("Expert", "Rewrite"))
    assert said(before["nodes"]) == "It is **4**." and said(after["nodes"]) == "It is 4."
    _, after = render.panes("Four.", "So we find that it **is** four.", "side", (), ("Expert", "Rewrite"))
    assert "**" not in said(after["nodes"])


def test_a_checks_words_stand_at_their_place() -> None:
    text = "We add: 3 + 4 = 8 pens. Then 8 * 2 = 16."
    check = Check("arithmetic", CheckStatus.FAIL, "false_equality", "`3 + 4 = 8` is false.")
    (mark,) = render.places(text, [check])
    assert text[mark.start : mark.end] == "3 + 4 = 8" and mark.said == "arithmetic: `3 + 4 = 8` is false."
    cut = Check("ending", CheckStatus.FAIL, "goes_on", "It goes on after its answer: 'Then 8 *…'.")
    (mark,) = render.places(text, [cut])
    assert text[mark.start : mark.end] == "Then 8 *"
    listed = Check("names", CheckStatus.FAIL, "invented_name", "New names: pens.")
    assert [text[m.start : m.end] for m in render.places(text, [listed])] == ["pens"]
    assert render.places(text, [Check("arithmetic", CheckStatus.PASS)]) == []
    inside = Check(
        "answer", CheckStatus.FAIL, "wrong_answer", "The completion answers '8', the reference is '7'."
    )
    both = [text[m.start : m.end] for m in render.places(text, [inside, check])]
    assert both == ["3 + 4 = 8", "8"], "a sum, and the number where it stands alone"


def test_a_checks_place_survives_words_that_went_inside_it() -> None:
    check = Check("arithmetic", CheckStatus.FAIL, "false_equality", "`3 + 4 = 8` is false.")
    (both,) = render.panes("3 + 5 + 4 = 7", "3 + 4 = 8", "inline", (check,), ("Expert", "Rewrite"))
    assert "".join(found(both["nodes"], "mark")) == "3 + 4 = 8"


def test_signs_that_hide_are_shown_by_their_code_points() -> None:
    nodes = render.text(BIDI)
    assert found(nodes, "span", **{"class": "hidden-sign"}) == [
        "U+202E",
        "U+202C",
        "U+200B",
        "U+2066",
        "U+2069",
    ]
    assert not {"\u202e", "\u200b", "\u2066"} & set(said(nodes))


@pytest.mark.parametrize("text", [EVIL, LATEX, TABLE, CODE, BIDI])
@pytest.mark.parametrize("view", ["side", "inline", "raw"])
def test_only_listed_elements_are_made(text: str, view: Any) -> None:
    for pane in render.panes(EVIL, text, view, (), ("Expert", "Rewrite")):
        for node in walked(pane["nodes"]):
            if isinstance(node, list):
                assert node[0] in TAGS
                assert set(node[1]) <= {"class", "dir", "title", "data-tip", "data-language"}


@given(st.text("ab1 *_`|$\\{}^&~#-\n[]()frqtx", max_size=60), st.booleans())
def test_no_word_is_lost_and_nothing_raises(text: str, raw: bool) -> None:
    nodes = render.text(text, [Mark(1, 7, "ins"), Mark(3, 12, "check", "x")], raw=raw)
    if raw:
        assert said(nodes) == text
    for sign in "ab1":
        assert said(nodes).count(sign) <= text.count(sign) + text.count("\\")


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5))
def test_leaves_join_to_the_text_whatever_the_marks(text: str, spans: list[tuple[int, int]]) -> None:
    marks = [Mark(min(s), max(s), "ins") for s in spans]
    painted = Painted(text, marks)
    plain = said(painted.leaf(0, len(text)))
    assert plain == said(render.text(text, raw=True))
