"""Prompts by name: the section `prompts` as this project would fill it in for one kind of task.

`default` is the plain request of `agent.prompts.templates`, without a system turn or examples. The others say what a
rewrite looks like, each for one kind of row, and show it on rows that stand in no data set. What they bring on two
models: agent/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Worked:
    """A worked example: what is asked, the expert's text, and a good rewrite of it. `row_id` of one from a version."""

    question: str
    demonstration: str
    rewrite: str
    row_id: str | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """Template sources by role (`agent.prompts.config.PromptsConfig`), the system turn, worked examples."""

    system: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Worked, ...] = ()


_LANGUAGE = '{% if language and language != "English" %} Write in {{ language }}.{% endif %}'

_SUMS = (
    Worked(
        "A baker fills 6 trays with 12 rolls each and sells 50 rolls before noon. How many rolls are left?",
        "6 * 12 = <<6*12=72>>72 rolls were baked.\n72 - 50 = <<72-50=22>>22 rolls are left.\n#### 22",
        "There are 6 trays of 12 rolls, so the baker makes 6 * 12 = 72 rolls. After 50 of them are sold, 72 - 50 = 22 "
        "rolls are left. The answer is 22.",
    ),
    Worked(
        "Nadia has 35 stamps . her uncle gives her 19 more and she shares all of them equally among 3 albums . how "
        "many stamps go into each album ?",
        "First we add the stamps that Nadia got to those that she had: 35 + 19 = 54 stamps. Then we divide the total "
        "by the number of albums: 54 / 3 = 18. Therefore, the answer is <18>.",
        "With the 19 new stamps, Nadia has 35 + 19 = 54 stamps. Spread over 3 albums, that makes 54 / 3 = 18 stamps in "
        "each. The answer is 18.",
    ),
)
_PROGRAMS = (
    Worked(
        "A baker fills 6 trays with 12 rolls each and sells 50 rolls before noon. How many rolls are left?",
        "def solution():\n    trays = 6\n    rolls_per_tray = 12\n    sold = 50\n    baked = trays * rolls_per_tray\n"
        "    result = baked - sold\n    return result",
        "The 6 trays hold 12 rolls each, so 6 * 12 = 72 rolls were baked. Of those 50 were sold, and 72 - 50 = 22 are "
        "left. The answer is 22.",
    ),
    Worked(
        "Tickets cost 8 dollars. How much do 5 friends pay together if each of them also buys a drink for 3 dollars?",
        "def solution():\n    ticket = 8\n    drink = 3\n    friends = 5\n    each = ticket + drink\n"
        "    return friends * each",
        "Every friend pays 8 + 3 = 11 dollars for a ticket and a drink. For 5 friends that makes 5 * 11 = 55 dollars. "
        "The answer is 55.",
    ),
)
_CHOICES = (
    Worked(
        "Which of these is a mammal?\nA. trout\nB. bat\nC. wren\nD. newt",
        "Bats have fur and nurse their young, which makes them mammals. The answer is B.",
        "A mammal has fur and feeds its young with milk. Of the four animals only the bat does, since trout are fish, "
        "wrens are birds and newts are amphibians. The answer is B.",
    ),
)

PRESETS: dict[str, Preset] = {
    DEFAULT: Preset(),
    # no figure as a sample, which small models repeat as their answer, and no call to solve, which they do, wrongly
    "math": Preset(
        system="You rewrite solutions in your own words. Reply with the rewritten solution alone, in a few short "
        "sentences, with every calculation written out and the answer in the last sentence." + _LANGUAGE,
        examples=_SUMS,
    ),
    "program": Preset(
        system="You turn programs into solutions in words. Reply with the solution alone, in a few short sentences, "
        "with every calculation written out and the answer in the last sentence." + _LANGUAGE,
        texts={
            "rewrite": "{{ question }}\n\nProgram:\n{{ demonstration }}\n\n"
            "Say in your own words what the program does, with its numbers and its result."
        },
        examples=_PROGRAMS,
    ),
    "choice": Preset(
        system="You rewrite answers to multiple-choice questions. Reply with the rewritten answer alone: the reason in "
        "a few short sentences, and the letter in the last one." + _LANGUAGE,
        examples=_CHOICES,
    ),
    "text": Preset(
        system="You rewrite answers in your own words. Reply with the rewritten answer alone. Keep every fact, name "
        "and number, add none, and keep about the same length." + _LANGUAGE,
    ),
}
