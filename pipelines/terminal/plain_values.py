"""Values of the command line that no library is needed for.

typer converts every value with pydantic, whose import takes longer than all else that `recast log` does. A text is what
it is, and so is a path to what is not there or can be read; typer converts, and refuses, what is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer.core


class PlainValues:
    """For a command or a group: its parameters, `--help` among them, take plain values as they come."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if "get_runtime_param" not in vars(parameter):
                plain = _Plain(parameter.get_runtime_param)
                parameter.get_runtime_param = lambda plain=plain: plain
        return parameters


class Command(PlainValues, typer.core.TyperCommand):
    """A command of typer that does so."""


@dataclass(frozen=True, slots=True)
class _Plain:
    """Stands for typer's own conversion of a parameter, which is made only where it is needed."""

    otherwise: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        about = param.type_descriptor
        if isinstance(value, str) and not many and about.parameter_info.parser is None:
            if about.annotation is str:
                return value
            if about.annotation is int and (number := _number(value, param.min, param.max)) is not None:
                return number
            if about.annotation is Path and not _demands(about.parameter_info, value):
                return Path(value)
        return self.otherwise().coerce(value, param=param, ctx=ctx)


def _number(value: str, least: float | None, most: float | None) -> int | None:
    if not (value.isascii() and value.isdecimal()) or len(value) > 18:
        return None
    number = int(value)
    return number if (least is None or number >= least) and (most is None or number <= most) else None


def _demands(info: Any, value: str) -> bool:
    """Whether typer has to look at what the path leads to."""
    asked = info.exists or info.writable or info.resolve_path or info.allow_dash or info.path_type is not None
    anything = info.file_okay and info.dir_okay
    return asked or not anything or (os.path.exists(value) and not os.access(value, os.R_OK))
