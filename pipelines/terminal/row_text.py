"""A row before and after, word by word, as a person reads it on a terminal.

Texts that share most of their words are printed once, with what went and what came marked in place; others are
printed one under the other. Where there are no colours, the marks are git's: `[-gone-]` and `{+come+}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recast.pipelines.terminal.text import visible

if TYPE_CHECKING:
    from rich.text import Text

GONE, COME = "red", "green"
_CONTEXT = 120  # characters of unchanged text kept on each side of a change
_SHOWN = 6000  # characters of one text
_INLINE_FRAC = 0.5  # of the longer text that must be shared for both to be printed as one

Op = Sequence[str]  # kind, before, after, as `recast diff --json --words` gives them


def coloured(console: Any) -> bool:
    """Whether marks can be colours."""
    return console.is_terminal and not console.no_color


def printed(ops: Sequence[Op], console: Any, *, indent: str = "    ") -> None:
    """Print a word diff to a rich console."""
    for prefix, text in _pieces(ops, coloured(console)):
        indented(
            text, console, indent + prefix, style=GONE if prefix == "- " else COME if prefix == "+ " else ""
        )


def indented(text: Text, console: Any, indent: str, style: str = "") -> None:
    """Print `text` with `indent` before every line, wrapped where it goes to a terminal."""
    from rich.text import Text

    lines = (
        text.wrap(console, max(console.width - len(indent), 20)) if console.is_terminal else text.split("\n")
    )
    for line in lines or [Text()]:
        line.rstrip()
        console.print(Text().append(indent, style).append_text(line))


def _pieces(ops: Sequence[Op], colours: bool) -> Iterator[tuple[str, Text]]:
    """(what stands before its lines, text)."""
    from rich.text import Text

    longer = max(sum(_size(before) for _, before, _ in ops), sum(_size(after) for _, _, after in ops))
    shared = sum(_size(after) for kind, _, after in ops if kind in ("equal", "fold"))
    if shared >= _INLINE_FRAC * longer:
        both = Text()
        for place, (kind, before, after) in enumerate(ops):
            if kind in ("equal", "fold"):
                both.append(_elided(after, first=place == 0, last=place + 1 == len(ops)))
            else:
                _mark(both, before, GONE, "[-{}-]", colours)
                _mark(both, after, COME, "{{+{}+}}", colours)
        yield "", _cut(both)
        return
    for prefix, side, style, marks in (("- ", 1, GONE, "[-{}-]"), ("+ ", 2, COME, "{{+{}+}}")):
        text = Text()
        for op in ops:
            if op[0] in ("equal", "fold"):
                text.append(visible(op[side]), style="dim" if colours else "")
            elif colours or not shared:  # the sign before the line says enough
                text.append(visible(op[side]), style=style)
            else:
                _mark(text, op[side], style, marks, colours)
        if text.plain:
            yield prefix, _cut(text)


def _mark(text: Text, words: str, style: str, marks: str, colours: bool) -> None:
    if words:
        text.append(visible(words) if colours else marks.format(visible(words)), style=style)


def _elided(words: str, *, first: bool, last: bool) -> str:
    """Unchanged text without its middle; what stands before the first change or after the last has one end to keep."""
    start, end = 0 if first else _CONTEXT, 0 if last else _CONTEXT
    if first and last:
        return visible(words, 2 * _CONTEXT)
    if len(words) <= start + end + _CONTEXT:
        return visible(words)
    note = f"\u22ef {len(words) - start - end:,} characters \u22ef"
    return f"{visible(words[:start])} {note} {visible(words[len(words) - end :])}".strip(" ")


def _cut(text: Text) -> Text:
    if len(text) <= _SHOWN:
        return text
    more = len(text) - _SHOWN
    text = text[:_SHOWN]
    text.append(f"\u2026 and {more:,} more characters", style="dim")
    return text


def _size(text: str) -> int:
    return len(text) - sum(map(str.isspace, text))
