"""Settings of what the backbone is asked: the section `prompts` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from recast.agent.prompts import rendering

NOT_IDENTITY: dict[str, str] = {}
"""Every setting decides what is asked."""

ROLES = ("rewrite", "repair", "question", "another", "judge")
"""What the backbone is asked for, and the settings that hold its templates."""
VARIABLES = {
    "system": ("question", "demonstration", "answer", "task", "language"),
    "rewrite": ("question", "demonstration", "answer", "task", "language"),
    "repair": ("question", "demonstration", "answer", "task", "language", "failure"),
    "question": ("solution", "language"),
    "another": ("question", "demonstration", "answer", "task", "language"),
    "judge": ("question", "reference", "response", "language"),
}
"""What a template of each kind can name: texts of the row, empty where it has none."""
NEEDED = {
    "rewrite": ("demonstration",),
    "repair": ("demonstration", "failure"),
    "question": ("solution",),
    "another": ("question",),
    "judge": ("reference", "response"),
}
"""What it must name: a prompt that shows less asks for something else."""
TRIED_ON = (
    "A text of the row, some hundred characters long, that a template is tried on before anything else runs."
)


class ExampleConfig(BaseModel):
    """A worked example that every prompt shows as an earlier exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    demonstration: str
    rewrite: str


class PromptsConfig(BaseModel):
    """What the backbone is asked for: templates (Jinja) of the user's turn, a system turn, worked examples.

    Templates run in a sandbox with limits of time, memory and length (`agent.prompts.rendering`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["default", "math", "program", "choice", "text"] = "default"
    """What is not given below: `default` asks plainly; `math`, `program`, `choice` and `text` say in a system turn what
    a rewrite looks like. `recast plan --prompts` measures which one to take."""
    system: str | None = None
    """Template of a system turn ahead of the row's own, for `rewrite` and `repair`. null: the preset's; '': none."""
    rewrite: str | None = None
    """Template of the whole turn that asks for a rewrite. It shows `demonstration`, and may name `question` (the row's
    last user turn), `answer`, `task` and `language` (such as German; empty where it is not clear). null: the
    preset's."""
    repair: str | None = None
    """Template of the turn that asks again; it shows `failure`, what the failed check said, too. null: `rewrite` and
    that sentence after it."""
    question: str | None = None
    """Template that asks for the question which a `solution` answers (`augment.round_trip`). null: the preset's."""
    another: str | None = None
    """Template that asks for a new question of the row's kind (`augment.questions=ask`), from what `rewrite` may name.
    null: the preset's."""
    judge: str | None = None
    """Template that asks a judge for YES or NO about `response`, shown `question` and `reference`, where the gate has a
    check `judge`. It becomes part of the gate's id. null: the gate's own, else a plain one."""
    examples: tuple[ExampleConfig, ...] = ()
    """Worked examples, each with `question`, `demonstration` and `rewrite`, shown as earlier exchanges under the same
    template. Small models lose by them (agent/README.md); measure them with `recast plan --prompts`."""
    draw: int = Field(default=0, ge=0, le=16)
    """So many worked examples besides, drawn for each row from the accepted rewrites of `draw_from`, never the row's
    own."""
    draw_from: str | None = None
    """A version with accepted rewrites, of which worked examples are drawn."""
    seed: int = 0
    """Root of that draw; the same row always gets the same examples."""

    @field_validator("system", *ROLES)
    @classmethod
    def _is_a_template(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is None or ((name := info.field_name or "") == "system" and not source):
            return source
        used, known = rendering.variables(source), VARIABLES[name]
        if unknown := sorted(used - set(known)):
            raise ValueError(f"the template names {unknown[0]!r}; it can name {', '.join(known)}")
        if lacking := [word for word in NEEDED.get(name, ()) if word not in used]:
            raise ValueError(f"the template is the whole turn, and does not show {{{{ {lacking[0]} }}}}")
        rendering.render(
            source, dict.fromkeys(known, TRIED_ON)
        )  # what never ends is refused before there is a run
        return source

    @model_validator(mode="after")
    def _fits_together(self) -> PromptsConfig:
        if bool(self.draw) != bool(self.draw_from):
            lacking = (
                "draw, how many a row" if self.draw_from else "draw_from, the version that they come from"
            )
            raise ValueError(f"worked examples are drawn by two settings; also give {lacking}")
        if not self.draw and self.seed:
            raise ValueError("seed has no effect where no examples are drawn")
        return self


LATER = dict.fromkeys(PromptsConfig.model_fields, "runs of before this section asked what its defaults ask")
"""Settings that came later: with their defaults they do not change which run a command finds."""
