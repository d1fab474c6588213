"""Templates of graders: `{{ item.answer }}`, `{{ sample.output_json.causes[0] }}`.

A template is text with expressions in double braces. An expression is a path into one of two namespaces: `item`, the
row, and `sample`, what the model wrote (`train.graders.records.Sample`). Parts follow a dot or stand in brackets, an
index as a number, a key in quotes. There is nothing else: no filters, no calls.

>>> template("The {{ item.colours[1] }} one").render({"item": {"colours": ["red", "blue"]}})
'The blue one'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from recast.train.graders.format.portable import member, written

NAMESPACES = ("item", "sample")
SAMPLE_FIELDS = ("output_text", "output_json", "output_tools", "choices")
"""What `sample` holds. The service also knows `output_audio`, which is not text and refused by name."""
MAX_EXPRESSIONS = 256
MAX_EXPRESSION_CHARS = 512
MAX_TEXT_CHARS = 1_000_000
"""Longest text that a template may become."""

_PART = re.compile(r"""\.([^\s.\[\]{}"'()|,]+)|\[(\d{1,9})\]|\[(?:"([^"]*)"|'([^']*)')\]""")


class TemplateError(ValueError):
    """A text that is no template. Says what was found and what was expected."""


class UnknownVariableError(LookupError):
    """A path that leads nowhere in this row or sample; what it names is null, too."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{{{{ {path} }}}} names nothing")
        self.path = path


class TooLongError(ValueError):
    """A template that became longer than MAX_TEXT_CHARS."""


@dataclass(frozen=True, slots=True)
class Path:
    """A namespace and the way into it."""

    namespace: str
    parts: tuple[str | int, ...]

    def look_up(self, spaces: Mapping[str, Any]) -> Any:
        """The value at the path. Raises UnknownVariableError."""
        value: Any = spaces.get(self.namespace)
        for part in self.parts:
            value = member(value, part)
            if value is None:
                raise UnknownVariableError(self)
        return value

    def __str__(self) -> str:
        return self.namespace + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.parts)


@dataclass(frozen=True, slots=True)
class Template:
    """Text and paths in the order in which they stand."""

    parts: tuple[str | Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(part for part in self.parts if isinstance(part, Path))

    def render(self, spaces: Mapping[str, Any]) -> str:
        """The text with every path replaced by what it names: text as it is, anything else as JSON.

        Raises UnknownVariableError and TooLongError.
        """
        said = [part if isinstance(part, str) else written(part.look_up(spaces)) for part in self.parts]
        if sum(map(len, said)) > MAX_TEXT_CHARS:
            raise TooLongError(f"a template became longer than {MAX_TEXT_CHARS:,} characters")
        return "".join(said)

    def value(self, spaces: Mapping[str, Any]) -> Any:
        """What the one path of the template names, of any type; the rendered text where there is text beside it."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Path):
            return self.parts[0].look_up(spaces)
        return self.render(spaces)


@lru_cache(maxsize=4096)
def template(text: str) -> Template:
    """Read a template. Raises TemplateError."""
    parts: list[str | Path] = []
    at = 0
    while (start := text.find("{{", at)) >= 0:
        end = text.find("}}", start + 2)
        if end < 0:
            raise TemplateError(f"the braces opened at character {start} are not closed")
        if start > at:
            parts.append(text[at:start])
        parts.append(_path(text[start + 2 : end].strip()))
        at = end + 2
        if sum(not isinstance(part, str) for part in parts) > MAX_EXPRESSIONS:
            raise TemplateError(f"more than {MAX_EXPRESSIONS} expressions in one template")
    if at < len(text):
        parts.append(text[at:])
    return Template(tuple(parts))


def _path(expression: str) -> Path:
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise TemplateError(f"an expression of {len(expression)} characters; at most {MAX_EXPRESSION_CHARS}")
    namespace = next((name for name in NAMESPACES if re.match(rf"{name}(?![\w-])", expression)), None)
    if namespace is None:
        raise TemplateError(
            f"{{{{ {_shown(expression)} }}}} is in no namespace; expected a path such as item.answer or "
            "sample.output_text"
        )
    parts: list[str | int] = []
    at = len(namespace)
    while at < len(expression):
        found = _PART.match(expression, at)
        if found is None:
            raise TemplateError(
                f"{{{{ {_shown(expression)} }}}} cannot be read from {_shown(expression[at:])!r} on; a path has parts "
                "after dots and indices in brackets, nothing else"
            )
        name, index, *quoted = found.groups()
        parts.append(int(index) if index else next(p for p in (name, *quoted) if p is not None))
        at = found.end()
    if not parts:
        raise TemplateError(f"{{{{ {namespace} }}}} names a whole namespace; name one of its fields")
    if namespace == "sample" and parts[0] not in SAMPLE_FIELDS:
        raise TemplateError(f"sample has no field {parts[0]!r}; it has {', '.join(SAMPLE_FIELDS)}")
    return Path(namespace, tuple(parts))


def _shown(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
