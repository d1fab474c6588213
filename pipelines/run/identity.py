"""What a name given to a job stands for: the content that decides whether two runs are the same.

A version counts by its id, a file by its bytes, a model by its weights, tokenizer and template. Names,
times and places of files do not count: a copied model is the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.curate.errors import DataError
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import digest, identify
from recast.pipelines.models.names import model_path
from recast.pipelines.options import Names

if TYPE_CHECKING:
    from recast.pipelines.config import Config


def of(kind: Names | None, value: Any, store: Callable[[], Any]) -> str:
    """Identity of what `value` names. Raises UsageError, DataError or ModelError where it names nothing."""
    if kind is Names.VERSION:
        if not store().has(str(value)) and Path(str(value)).exists():
            return of(Names.FILE, value, store)  # `recast diff NAME FILE`
        return store().resolve(str(value)).id
    if kind is Names.MIXTURE:
        from recast.train.sft.mixture import Source

        source = Source.parse(str(value))
        return str(Source(store().resolve(source.ref).id, source.weight))
    if kind is Names.CONDITION:
        from recast.curate.history.query import named

        return fingerprint([str(value), named(store(), str(value))])
    if kind in (Names.MODEL, Names.ADAPTER):
        return model(str(value))
    if kind is Names.NAMED_FILE:
        name, path = named_file(str(value))
        return f"{name}={of(Names.FILE, path, store)}"
    if kind is Names.GATE:
        from recast.curate.gate.gate import load_gate

        return load_gate(str(value)).id
    if kind is Names.PROMPTS:
        from recast.pipelines.config import named_prompts

        return fingerprint(prompts(named_prompts(str(value)), store))
    if kind is Names.FILE:
        path = Path(value)
        if not path.exists():
            raise DataError(f"there is no file {path}.")
        return (
            fingerprint({str(p.relative_to(path)): digest(p) for p in _files(path)})
            if path.is_dir()
            else digest(path)
        )
    return str(value)


def prompts(config: Config, store: Callable[[], Any]) -> dict[str, Any]:
    """What of the section `prompts` decides what is asked, the version that examples are drawn from by its id."""
    given = config.identity("prompts")
    if "draw_from" in given:
        given["draw_from"] = store().resolve(given["draw_from"]).id
    return given


def named_file(value: str) -> tuple[str, str]:
    """`NAME=FILE` as name and file; the name of a bare file is empty, `=` in it or not."""
    name, equals, path = value.partition("=")
    return (name, path) if equals and not Path(value).exists() else ("", value)


def model(name: str) -> str:
    """Identity of a local model or adapter (16 hex digits); a hub id is its own identity."""
    return identify(model_path(name))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())
