"""What a job may be given, read from its signature: the one declaration behind options, stages and Python.

A parameter is an option of the command line, an argument of a stages file and a keyword in Python. One whose
annotation is a dataclass stands for its fields: each is an option of that field's name, and the job receives
the record. So what several verbs take is declared once, and nothing outside this module sees a difference.

    parameters(VERBS["plan"])                          {"name": ..., "model": ..., "engine": ..., "batch_size": ...}
    bind(verb, {"batch-size": 8, ...})                 {"batch_size": 8, ...}
    gathered(verb, {"engine": "http", ...})            {"engine": EngineOptions(engine="http"), ...}
    command_line("rewrite", {"name": "craft", ...})    recast rewrite craft --as again --engine http
"""

from __future__ import annotations

import dataclasses
import inspect
import shlex
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.models import ArgumentInfo

from recast.curate.errors import UsageError
from recast.pipelines.options import Names, usual_store
from recast.pipelines.verbs import INJECTED, VERBS, Verb

if TYPE_CHECKING:
    from recast.pipelines.config import Config


def find(verb: str) -> Verb:
    """The verb of that name. Raises UsageError."""
    if verb not in VERBS:
        hint = _nearest(verb, VERBS, f"There are: {', '.join(VERBS)}.")
        raise UsageError(f"there is no verb {verb!r}. {hint}")
    return VERBS[verb]


def parameters(verb: Verb) -> dict[str, inspect.Parameter]:
    """What the job of `verb` may be given, by name, annotations resolved: without what is handed in, and with the
    fields of a dataclass in its place."""
    flat: dict[str, inspect.Parameter] = {}
    for name, parameter in _own(verb).items():
        if not dataclasses.is_dataclass(parameter.annotation):
            flat[name] = parameter
            continue
        hints = typing.get_type_hints(parameter.annotation, include_extras=True)
        for field in dataclasses.fields(parameter.annotation):
            default = parameter.empty if field.default is dataclasses.MISSING else field.default
            flat[field.name] = inspect.Parameter(
                field.name, parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
            )
    return flat


def _own(verb: Verb) -> dict[str, inspect.Parameter]:
    """The parameters of the job as it declares them, without those that are handed in.

    Only their annotations are resolved: a handed-in store may have a type that is imported for the type checker
    alone, so that `--help` loads no database.
    """
    job = verb.job
    own = {name: p for name, p in inspect.signature(job).parameters.items() if name not in INJECTED}
    declared = types.SimpleNamespace(__annotations__={name: p.annotation for name, p in own.items()})
    hints = typing.get_type_hints(declared, vars(sys.modules[job.__module__]), include_extras=True)
    return {name: p.replace(annotation=hints[name]) for name, p in own.items()}


def gathered(verb: Verb, args: Mapping[str, Any]) -> dict[str, Any]:
    """`args` by the names of `parameters` as the keyword arguments that the job itself takes."""
    left = dict(args)
    records: dict[str, Any] = {}
    for name, parameter in _own(verb).items():
        if dataclasses.is_dataclass(kind := parameter.annotation):
            assert isinstance(kind, type)
            records[name] = kind(
                **{f.name: left.pop(f.name) for f in dataclasses.fields(kind) if f.name in left}
            )
    return left | records


def names_of(parameter: inspect.Parameter) -> Names | None:
    """What the value of a parameter names: a version, a model, a file, an output, or nothing."""
    return next((m for m in _markers(parameter) if isinstance(m, Names)), None)


def _markers(parameter: inspect.Parameter) -> tuple[Any, ...]:
    return getattr(parameter.annotation, "__metadata__", ())


def _flags(parameter: inspect.Parameter) -> list[str]:
    """The long names of an option, such as `--as`; none of a positional argument."""
    declared = [
        word
        for marker in _markers(parameter)
        for word in (getattr(marker, "default", None), *(getattr(marker, "param_decls", None) or ()))
    ]
    return [word.split("/")[0] for word in declared if isinstance(word, str) and word.startswith("--")]


def bind(verb: Verb, args: Mapping[str, Any]) -> dict[str, Any]:
    """`args` with the long option names (`as`) turned into parameter names (`to`). Raises UsageError."""
    own = parameters(verb)
    known: dict[str, str] = {name: name for name in own}
    for name, parameter in own.items():
        for flag in _flags(parameter):
            known[flag[2:]] = known[flag[2:].replace("-", "_")] = name
    bound: dict[str, Any] = {}
    for key, value in args.items():
        if key not in known:
            hint = _nearest(key, known, f"It takes: {', '.join(own)}.")
            raise UsageError(f"{verb.name} has no argument {key!r}. {hint}")
        bound[known[key]] = value
    missing = [n for n, p in own.items() if p.default is p.empty and n not in bound]
    if missing:
        raise UsageError(f"{verb.name} needs {', '.join(missing)}. For instance: {verb.example}")
    return bound


def _nearest(word: str, known: Mapping[str, Any], otherwise: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]}?" if near else otherwise


def complete(verb: Verb, args: dict[str, Any], config: Config | None) -> dict[str, Any]:
    """`args` in the types of the signature, with the configured model, gate or memory where the job takes one.

    Raises UsageError for a value of the wrong type. A list may be given as its only element.
    """
    own = parameters(verb)
    for name, kind in (("model", Names.MODEL), ("gate", Names.GATE), ("memory", Names.BUDGET)):
        if name in own and names_of(own[name]) is kind and args.get(name) is None:
            from recast.pipelines.config import Config

            args = {**args, name: getattr((config or Config()).general, name)}
    return {name: _coerced(verb, own[name], value) for name, value in args.items()}


def _coerced(verb: Verb, parameter: inspect.Parameter, value: Any) -> Any:
    if value is None:
        return None
    kind = parameter.annotation
    kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    members = [k for k in (typing.get_args(kind) if _is_union(kind) else (kind,)) if k is not type(None)]
    if type(value) in members and type(value) in (str, int, float, bool):
        return value
    from pydantic import (
        TypeAdapter,
        ValidationError,
    )  # not needed for what a command line has converted already

    if any(typing.get_origin(k) is list for k in members) and not isinstance(value, list | tuple):
        value = [value]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise UsageError(f"{verb.name}: {parameter.name} cannot be {value!r}: {said}.") from error


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def command_line(
    verb: str,
    given: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    *,
    store: Path | None = None,
) -> str:
    """The command that asks for `verb` with `given`, by parameter name, as a shell takes it.

    Every parameter that has another value than its default is said, by what its own marker calls it: no option can
    be forgotten here. `settings` (as `Config.settings` lists them) follow as `--set`, but for those that an option
    says; `store` where it is not the one that a command uses by itself. Raises UsageError for an unknown verb.
    """
    from recast.pipelines.config import written_set

    entry = find(verb)
    own = parameters(entry)
    positional, options = [], []
    for name, parameter in own.items():
        value = given.get(name)
        if value is None or value is False or value == parameter.default:
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(marker, ArgumentInfo) for marker in _markers(parameter)):
            positional += map(str, values)
            continue
        (flag, *_) = _flags(parameter) or [f"--{name.replace('_', '-')}"]
        for each in values:
            options += [flag] if each is True else [flag, str(each)]
    for key, value in (settings or {}).items():
        if key not in own or given.get(key) is None:
            options += ["--set", written_set(key, value)]
    if store is not None and store.absolute() != usual_store().absolute():
        options += ["--store", str(store)]
    return shlex.join(["recast", *entry.name.split(), *positional, *options])
