"""Prompts by name: the section `prompts` as this project would fill it in for one kind of task.

`default` is the plain request of `agent.prompts.templates`, without a system turn. The others say what a rewrite looks
like, each for one kind of row. None shows worked examples: with them hardly a rewrite of either model passed
(agent/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Preset:
    """Template sources by role (`agent.prompts.config.PromptsConfig`), and the system turn."""

    system: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


_LANGUAGE = '{% if language and language != "English" %} Write in {{ language }}.{% endif %}'

PRESETS: dict[str, Preset] = {
    DEFAULT: Preset(),
    # no figure as a sample, which small models repeat as their answer, and no call to solve, which they do, wrongly
    "math": Preset(
        system="You rewrite solutions in your own words. Reply with the rewritten solution alone, in a few short "
        "sentences, with every calculation written out and the answer in the last sentence." + _LANGUAGE,
    ),
    "program": Preset(
        system="You turn programs into solutions in words. Reply with the solution alone, in a few short sentences, "
        "with every calculation written out and the answer in the last sentence." + _LANGUAGE,
        texts={
            "rewrite": "{{ question }}\n\nProgram:\n{{ demonstration }}\n\n"
            "Say in your own words what the program does, with its numbers and its result."
        },
    ),
    "choice": Preset(
        system="You rewrite answers to multiple-choice questions. Reply with the rewritten answer alone: the reason in "
        "a few short sentences, and the letter in the last one." + _LANGUAGE,
    ),
    "text": Preset(
        system="You rewrite answers in your own words. Reply with the rewritten answer alone. Keep every fact, name "
        "and number, add none, and keep about the same length." + _LANGUAGE,
    ),
}
