"""A section a trained model: what it learned from, its curves, and of `reject` what became of the candidates."""

from __future__ import annotations

from collections.abc import Sequence

from recast.pipelines.report.charts import curves
from recast.pipelines.report.charts.scales import Linear, fixed, padded, short, thousands, ticks, words
from recast.pipelines.report.data import Moved, ReportData, Training
from recast.pipelines.report.markup import Markup, described, tag
from recast.pipelines.report.sections import Section, numbers, scroll

HEADINGS = {
    "pretrain": ("pretraining", "From nothing, on text and chats."),
    "sft": ("fine-tuning", "Likelihood of the completions of a version; prompts carry no loss."),
    "reject": (
        "learning from what was refused",
        "Accepted candidates are made likelier, refused ones are pushed away from where they begin to differ.",
    ),
    "reward-model": (
        "the reward model",
        "One number a text, from pairs of an accepted and a refused candidate of a row.",
    ),
    "rl": (
        "learning from graded answers",
        "A LoRA on the model, merged in the end. Validation prompts are none of the training prompts.",
    ),
}
"""What a section is about, and its lead, by the verb that made the model."""
WIDTH, NAME_END, LEFT, RIGHT, TOP, BAND = 1080, 190, 210, 1030, 26, 30.0


def sections(data: ReportData) -> list[Section]:
    """One for each model, in order."""
    return [_section(number, training) for number, training in enumerate(data.trainings, 1)]


def _section(number: int, training: Training) -> Section:
    about, lead = HEADINGS[training.verb]
    panels = [p for c in training.curves if (p := curves.panel(c))]
    panels += [p for group in training.lines if (p := curves.lines(group))]
    facts = (tag("div", tag("dt", name), tag("dd", text)) for name, text in training.facts)
    parts = [
        tag("dl", *facts, class_="facts"),
        tag("div", *panels, class_="panels") if panels else None,
        _moved(training) if training.moved else None,
    ]
    return Section(
        f"training-{number}",
        training.name,
        f"{training.name}: {about}",
        Markup("".join(part for part in parts if part)),
        f"recast {training.verb}",
        lead=lead,
        hint="--trained NAME=DIR",
    )


def _moved(training: Training) -> Markup:
    """A line a kind of candidate, from how likely it was to how likely it is."""
    rows = training.moved
    values = [v for m in rows for v in (m.before, m.after)]
    across = Linear(*padded(values), LEFT, RIGHT)
    bottom = TOP + BAND * len(rows)
    parts = [tag("text", "nats a token →", x=RIGHT, y=TOP - 10, class_="axis end")]
    for value in ticks(across.low, across.high, 8):
        x = across(value)
        parts += [
            tag("line", x1=x, x2=x, y1=TOP - 4, y2=bottom, class_="grid"),
            tag("text", short(value), x=x, y=bottom + 16, class_="tick middle"),
        ]
    for turn, m in enumerate(rows):
        parts.append(_row(m, across, TOP + BAND * (turn + 0.5)))
    spoken = "; ".join(f"{words(m.kind)} {fixed(m.before, 2)} to {fixed(m.after, 2)}" for m in rows)
    drawing = tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {bottom + 26:.0f}",
        class_="chart moved",
        role="img",
        aria_label=described("Mean log-probability of candidates before and after", spoken),
    )
    return tag(
        "figure",
        tag("figcaption", tag("span", "What became of the candidates", class_="name")),
        scroll(drawing),
        _table(rows),
        class_="panel",
    )


def _row(m: Moved, across: Linear, y: float) -> Markup:
    tone = "tone-good" if m.kind in ("accepted", "expert") else "tone-bad"
    tip = (
        f"{words(m.kind)}: {thousands(m.candidates)} candidates"
        f"\n{fixed(m.before, 3)} → {fixed(m.after, 3)} nats a token\n{thousands(m.fell)} less likely than before"
    )
    start, end = across(m.before), across(m.after)
    return tag(
        "g",
        tag("text", words(m.kind), x=NAME_END, y=y + 4, class_="strong end"),
        tag("line", x1=start, x2=end, y1=y, y2=y, class_="way"),
        tag("circle", cx=start, cy=y, r=4.5, class_="was"),
        tag("circle", cx=end, cy=y, r=5.5, class_="now"),
        tag("rect", x=LEFT, y=y - BAND / 2, width=RIGHT - LEFT, height=BAND, class_="over", data_tip=tip),
        class_=tone,
    )


def _table(rows: Sequence[Moved]) -> Markup:
    head = ["candidates", "number", "before", "after", "less likely than before"]
    cells = [
        [words(m.kind), thousands(m.candidates), fixed(m.before, 3), fixed(m.after, 3), thousands(m.fell)]
        for m in rows
    ]
    return numbers(head, cells)
