"""Does the rewrite do to its demonstration what it must not do, or leave undone what it should?

Catches: edits that `recast edits` finds and counts (`curate.language.edits`), each by its name: an opening that is
added, units that are left out, the question asked again. Cannot catch what an edit has no name for. A matter of taste,
so that no preset holds it.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from recast.curate.gate.checks.case import Case, CheckConfig, shown
from recast.curate.language.edits.edits import edits
from recast.curate.language.edits.names import NAMES, is_name
from recast.curate.records import Check


class EditsCheck(CheckConfig):
    """The rewrite makes no edit that is banned, and every one that is wanted."""

    type: Literal["edits"] = "edits"
    banned: tuple[str, ...] = Field(default=())
    """Names of edits, as `recast edits` lists them."""
    wanted: tuple[str, ...] = Field(default=())
    """Names of edits that every rewrite must make."""

    name: ClassVar[str] = "edits"
    revision: ClassVar[int] = 3

    @field_validator("banned", "wanted")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if not is_name(name)]:
            raise ValueError(
                f"no edit is called {unknown[0]!r}; `recast edits` lists names: {', '.join(NAMES)}, or an edit by its "
                "words, as `replaced: total -> sum`"
            )
        return names

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.banned and not self.wanted:
            raise ValueError("it would have no effect; name edits that are `banned` or `wanted`")
        if both := set(self.banned) & set(self.wanted):
            raise ValueError(f"{min(both)!r} cannot be both banned and wanted")
        return self

    def run(self, case: Case) -> Check:
        found = {edit.name: edit for edit in edits(case.demonstration, case.completion, case.prompt)}
        for name in self.banned:
            if name in found:
                said = found[name].after or found[name].before
                where = f": {shown(said)!r}" if said else ""
                return self.failed(
                    "banned_edit", f"The rewrite {NAMES.get(name, name)}{where}, which is banned."
                )
        for name in self.wanted:
            if name not in found:
                return self.failed("wanted_edit", f"The rewrite lacks the edit {name!r}, which is wanted.")
        return self.passed()
