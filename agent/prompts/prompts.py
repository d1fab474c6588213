"""What the backbone is asked under one setting of the section `prompts`, and the ids that name it.

    prompts = Prompts(PromptsConfig(preset="math"))
    prompts.rewrite(row)      # system turn, worked examples, then the row's own turns with the request in the last one
    prompts.rewrite_id        # stands in versions, agents, runs

An id is the hash of the templates and of all that decides what they show; two settings with one id ask alike. What
the defaults ask has the ids that it always had (`agent.prompts.templates`). Scoring sees none of this: texts are scored
under the row's own turns.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from recast.agent.prompts import rendering, templates
from recast.agent.prompts.config import VARIABLES, PromptsConfig
from recast.agent.prompts.presets import PRESETS
from recast.curate.errors import DataError
from recast.curate.fingerprint import fingerprint, prompt_hash, seed_of
from recast.curate.language.identify import language
from recast.curate.records import Messages

REVISION = 1
"""Goes up where the same settings would show a row otherwise; part of every id."""
DIGITS = 12
DEFAULT_IDS = {
    "rewrite": templates.REWRITE_ID,
    "repair": templates.REPAIR_ID,
    "question": templates.WRITE_QUESTION_ID,
    "another": templates.ANOTHER_ID,
    "judge": templates.JUDGE_ID,
}
LABEL_WORDS = 3
"""Most words of a paragraph that only names the text after it."""
_FRAMED = ("rewrite", "repair")
"""Roles that have a system turn and worked examples."""
_AGAIN = "\n\nAn earlier attempt failed: {{ failure }}"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Worked:
    """A worked example: what is asked, the expert's text, and a good rewrite of it. `row_id` of one from a version."""

    question: str
    demonstration: str
    rewrite: str
    row_id: str | None = None


@dataclass(frozen=True)
class Prompts:
    """The prompts of a job. `pool` are the worked examples that `config.draw` draws from (`worked_of`)."""

    config: PromptsConfig = field(default_factory=PromptsConfig)
    pool: tuple[Worked, ...] = ()

    def __post_init__(self) -> None:
        # two of the pool may be the row's own, by its id and by its question
        if self.config.draw and len(self.pool) < (needed := self.config.draw + 2):
            raise DataError(
                f"prompts.draw is {self.config.draw}, and {self.config.draw_from} has accepted rewrites of "
                f"{len(self.pool)} questions, where {needed} are needed. Draw fewer, or from another version."
            )

    # ids

    @property
    def rewrite_id(self) -> str:
        return self._id("rewrite")

    @property
    def repair_id(self) -> str:
        return self._id("repair")

    @property
    def question_id(self) -> str:
        return self._id("question")

    @property
    def another_id(self) -> str:
        return self._id("another")

    def _id(self, role: str) -> str:
        decides: dict[str, Any] = {"template": self._source(role)}
        if role in _FRAMED:
            drawn = [self.config.draw, self.config.seed, self._pool_id] if self.config.draw else []
            fixed = [_plain(worked) for worked in self._fixed]
            # worked examples are asked for as the row itself is at first
            decides |= {
                "system": self._system,
                "fixed": fixed,
                "drawn": drawn,
                "first": self._source("rewrite"),
            }
        if not any(decides.values()):
            return DEFAULT_IDS[role]
        return f"{role}-{fingerprint([REVISION, DEFAULT_IDS[role], decides])[:DIGITS]}"

    @cached_property
    def _pool_id(self) -> str:
        return fingerprint([[worked.row_id, *_plain(worked)] for worked in self.pool])

    def shown(self) -> dict[str, Any]:
        """The settings, for a manifest: what an agent learnt under can be asked for again."""
        return self.config.model_dump(mode="json", exclude_defaults=True)

    # what is asked

    def rewrite(self, row: Row) -> Messages:
        """The rewriting prompt of a row (keys messages, demonstration; row_id, answer, task where it has them)."""
        return self._framed(row, self._turns("rewrite", row))

    def repair(self, row: Row, failure: str) -> Messages:
        """The rewriting prompt again, with the sentence of the check that the last attempt failed."""
        return self._framed(row, self._turns("repair", row, failure))

    def question(self, solution: str) -> Messages:
        """Ask for the question that a solution answers."""
        if (source := self._source("question")) is None:
            return templates.question(solution)
        told = {"solution": solution, "language": language(solution) or ""}
        return [{"role": "user", "content": _shown("question", source, told)}]

    def another(self, row: Row) -> Messages:
        """Ask for a new question of the kind of the row's."""
        return self._turns("another", row)

    def instruction(self, role: str) -> str:
        """What the prompt of a role says besides the row's own texts: what a model may say again."""
        source = self._source(role)
        if source is None and not self._system:
            return templates.INSTRUCTIONS[DEFAULT_IDS[role]]
        empty = dict.fromkeys((name for names in VARIABLES.values() for name in names), "")
        said = templates.INSTRUCTIONS[DEFAULT_IDS[role]] if source is None else _shown(role, source, empty)
        system = _shown("system", self._system, empty) if self._system else ""
        # what opens as the request does is cut (`agent.rewriting.cleaning`), and "Solution:" opens no request
        parts = [part.strip() for part in f"{said}\n\n{system}".split("\n\n")]
        return "\n\n".join(part for part in parts if len(part.split()) > LABEL_WORDS)

    # parts of it

    @cached_property
    def _system(self) -> str:
        given = self.config.system
        return PRESETS[self.config.preset].system if given is None else given

    @cached_property
    def _fixed(self) -> tuple[Worked, ...]:
        return tuple(Worked(**example.model_dump()) for example in self.config.examples)

    def _source(self, role: str) -> str | None:
        """The template of a role; None where the default is asked."""
        own = getattr(self.config, role) or PRESETS[self.config.preset].texts.get(role)
        if own is None and role == "repair" and (first := self._source("rewrite")):
            return first + _AGAIN
        return own

    def _turns(self, role: str, row: Row, failure: str = "") -> Messages:
        """The row's turns with what is asked in the last one of the user."""
        messages, demonstration = row["messages"], row["demonstration"]
        if (source := self._source(role)) is None:
            if role == "repair":
                return templates.repair(messages, demonstration, failure)
            return (templates.rewrite if role == "rewrite" else templates.another)(messages, demonstration)
        told = _told(row) | ({"failure": failure} if role == "repair" else {})
        return templates.with_last_turn(messages, _shown(role, source, told))

    def _framed(self, row: Row, turns: Messages) -> Messages:
        """`turns` behind the system turn and the worked examples; a system turn of the row's own keeps its text."""
        shown = [turn for worked in (*self._fixed, *self._drawn(row)) for turn in self._exchange(worked)]
        if not self._system and not shown:
            return turns
        own = [str(turn["content"]) for turn in turns if turn["role"] == "system"]
        said = [_shown("system", self._system, _told(row))] if self._system else []
        system = [{"role": "system", "content": "\n\n".join([*said, *own])}] if said or own else []
        return [*system, *shown, *(turn for turn in turns if turn["role"] != "system")]

    def _exchange(self, worked: Worked) -> Messages:
        asked = {
            "messages": [{"role": "user", "content": worked.question}],
            "demonstration": worked.demonstration,
        }
        return [*self._turns("rewrite", asked), {"role": "assistant", "content": worked.rewrite}]

    def _drawn(self, row: Row) -> list[Worked]:
        """Worked examples of other rows, the same ones for the same row."""
        if not self.config.draw:
            return []
        chance = random.Random(seed_of(self.config.seed, "worked", prompt_hash(row["messages"])))
        # two more than are drawn: one may have the row's id, and another one its question, where the row was edited
        order = chance.sample(range(len(self.pool)), min(len(self.pool), self.config.draw + 2))
        asked, row_id = templates.last_user_text(row["messages"]), row.get("row_id")
        others = (
            self.pool[i] for i in order if self.pool[i].question != asked and self.pool[i].row_id != row_id
        )
        return list(islice(others, self.config.draw))


DEFAULT = Prompts()


def judge(messages: Messages, reference: str, response: str, source: str | None = None) -> Messages:
    """Ask whether a response is as good as the reference, by a template or by default; the answer is YES or NO."""
    if source is None:
        return templates.judge(messages, reference, response)
    question = templates.last_user_text(messages)
    told = {"question": question, "reference": reference, "response": response}
    told["language"] = language(f"{question}\n{reference}") or ""
    return templates.with_last_turn(messages, _shown("judge", source, told))


def worked_of(rows: Sequence[Row]) -> tuple[Worked, ...]:
    """Worked examples from rows of a version (row_id, messages, demonstration, completion, decision): of those that
    were rewritten, the first one of every question, in the order of their ids."""
    found: dict[str, Worked] = {}
    for row in sorted(rows, key=lambda row: (row["row_id"], row.get("target", 0))):
        question = templates.last_user_text(row["messages"])
        if question and row["decision"] in ("rewrite", "repair"):
            found.setdefault(
                question, Worked(question, row["demonstration"], row["completion"], row["row_id"])
            )
    return tuple(found.values())


def _shown(role: str, source: str, told: Mapping[str, str]) -> str:
    """The text of a template. Raises DataError where it cannot be rendered for these texts."""
    try:
        return _rendered(source, tuple(told.items()))
    except rendering.TemplateFault as fault:
        raise DataError(f"the template prompts.{role} {fault}.") from fault


@lru_cache(maxsize=4096)
def _rendered(source: str, told: tuple[tuple[str, str], ...]) -> str:
    """A group of candidates, its seeds and its scores ask for the same text."""
    return rendering.render(source, dict(told))


def _told(row: Row) -> dict[str, str]:
    """What a template learns of a row. Raises DataError where its last user turn is not plain text."""
    question = templates.last_user_text(row["messages"])
    if not question and any(turn["role"] == "user" for turn in row["messages"]):
        raise DataError(
            "the last user turn holds no plain text, which templates of `prompts` need; ask by the default."
        )
    demonstration = row.get("demonstration") or ""
    return {
        "question": question,
        "demonstration": demonstration,
        "answer": row.get("answer") or "",
        "task": row.get("task") or "",
        "language": language(f"{question}\n{demonstration}") or "",
    }


def _plain(worked: Worked) -> list[str]:
    return [worked.question, worked.demonstration, worked.rewrite]
