"""Configuration: one YAML file of differences from the defaults, checked before anything runs.

Order: defaults < files, left to right < `--set a.b=c`. Each section belongs to the module whose work it
configures and is checked by that module's pydantic class; this module only composes them, and imports a
class only when its section is asked for or mentioned. An unknown key is an error that names the nearest
known one: a setting that has no effect must not look as if it had.

    config = Config.load(["config.yaml"], ["sft.lr=1e-4"])
    config.section("sft").lr
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from recast.curate import yaml_file
from recast.curate.errors import UsageError

SECTIONS: dict[str, str] = {
    "learn": "recast.agent.learning.config:LearnConfig",
    "warm_start": "recast.agent.learning.warm_start:WarmStartConfig",
    "rewrite": "recast.agent.rewriting.rewrite:RewriteConfig",
    "prompts": "recast.agent.prompts.config:PromptsConfig",
    "augment": "recast.agent.new_rows.config:AugmentConfig",
    "rehearse": "recast.agent.new_rows.config:RehearseConfig",
    "engine": "recast.agent.engines.factory:EngineConfig",
    "judge": "recast.agent.engines.factory:EngineConfig",
    "sft": "recast.train.sft.config:SftConfig",
    "reject": "recast.train.rejection.config:RejectConfig",
    "reward_model": "recast.train.reward_model.config:RewardModelConfig",
    "rl": "recast.train.reinforcement.config:RlConfig",
    "pretrain": "recast.train.pretraining.pretrain:PretrainConfig",
    "scratch": "recast.train.pretraining.from_scratch:ScratchConfig",
    "curate": "recast.curate.curation.filters:CurateConfig",
    "diversity": "recast.curate.curation.collapse:DiversityConfig",
}

MOST_SHOWN = 200
"""Characters of a wrong value that an error repeats: a template can be long."""

OWN_GATES = {"learn": "strict"}
"""Gates of sections where none is given: what a policy optimises against must have no empty text to find."""


class General(BaseModel):
    """What several verbs share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "pocket"
    """The frozen backbone: a model folder, a hub id, or `pocket`, which ships with recast."""
    gate: str = "auto"
    """The gate of acceptance and of the audit, a preset or a YAML file. Where it is given, the reward's too; else
    `learn` is rewarded by `strict`, under which another way than the demonstration's is refused."""
    author: str | None = None
    """Who commits. null: the login name."""
    memory: str | None = None
    """Most memory that a job's process may take, of a GPU's where there is one, as 6GiB: it decides how batches are cut
    into passes. null: to learn and to fine-tune a fifth of what is free on a CPU, or 4 GiB; on a GPU nearly all."""

    @field_validator("memory")
    @classmethod
    def _is_an_amount(cls, value: str | None) -> str | None:
        from recast.train.model.memory import parse

        if value is not None:
            parse(value)
        return value


@dataclass(frozen=True, slots=True)
class Config:
    """Validated settings. `given` holds what files and flags said, nothing else."""

    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, files: Sequence[str | Path] = (), sets: Sequence[str] = ()) -> Config:
        """Read `files` left to right, then the `a.b=c` of `sets`. Raises UsageError for anything unknown."""
        given: dict[str, Any] = {}
        for path in files:
            _merge(given, _read(Path(path)))
        for text in sets:
            _merge(given, parse_set(text))
        return cls.of(given)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Config:
        """Check every key of `given`, a nested mapping. Raises UsageError."""
        known = [*General.model_fields, *SECTIONS]
        for key, value in given.items():
            if key not in known:
                raise UsageError(_unknown(str(key), str(key), known))
            if key in SECTIONS and value is not None and not isinstance(value, Mapping):
                raise UsageError(
                    f"{key} is a section of the configuration, not {value!r}. Write {key}.KEY=VALUE."
                )
        config = cls({k: v for k, v in given.items() if v is not None or k in General.model_fields})
        _ = config.general
        for name in config.given:
            if name in SECTIONS:
                config.section(name)
        return config

    @property
    def general(self) -> General:
        return _checked(General, {k: v for k, v in self.given.items() if k in General.model_fields}, "")

    def gate_for(self, section: str) -> str:
        """The gate that a section's verb uses: what was given, else the section's own (`OWN_GATES`) or `auto`."""
        return OWN_GATES.get(section, self.general.gate) if "gate" not in self.given else self.general.gate

    def section(self, name: str, **overrides: Any) -> Any:
        """The section `name` as its frozen pydantic object. `overrides` that are None change nothing."""
        values = dict(self.given.get(name) or {}) | {k: v for k, v in overrides.items() if v is not None}
        return _checked(section_class(name), values, f"{name}.")

    def identity(self, name: str) -> dict[str, Any]:
        """What of a section decides what a run makes: all but what its module lists in `NOT_IDENTITY`, with reasons,
        and of what it lists in `LATER` all that has its default.

        Every module of a section has the table, empty or not: one that was lost in a move would change, in silence,
        which runs are found again.
        """
        module, section = sys.modules[section_class(name).__module__], self.section(name)
        # a setting that came later must not change which runs of before are found, as long as nobody uses it
        later = {
            key
            for key in getattr(module, "LATER", {})
            if getattr(section, key) == type(section)().__dict__[key]
        }
        return section.model_dump(mode="json", exclude=set(module.NOT_IDENTITY) | later)

    def rules(self, sections: Iterable[str]) -> dict[str, int]:
        """The revisions of settings of `sections` that are on and came to decide otherwise for the same value (`RULES`
        of their module): a run under the new rule is another run, whose settings are the same."""
        found: dict[str, int] = {}
        for name in sections:
            section = self.section(name)
            revised = getattr(sys.modules[type(section).__module__], "RULES", {})
            found |= {
                f"{name}.{key}": n for key, n in revised.items() if getattr(section, key, None) is not None
            }
        return found

    def settings(self, sections: Iterable[str] = tuple(SECTIONS)) -> dict[str, Any]:
        """What was given of the general settings and of `sections`, under the names that `--set` takes."""
        flat = {key: value for key, value in self.given.items() if key in General.model_fields}
        for name in sections:
            flat |= {f"{name}.{key}": value for key, value in (self.given.get(name) or {}).items()}
        return flat

    def over(self, other: Mapping[str, Any]) -> Config:
        """This configuration with `other`, nested or dotted, on top."""
        given: dict[str, Any] = {}
        _merge(given, self.given)
        for key, value in other.items():
            _merge(given, _nest(str(key).split("."), value))
        return Config.of(given)

    def resolved(self, sections: Iterable[str] = tuple(SECTIONS)) -> dict[str, Any]:
        """General settings and `sections`, defaults included, as plain JSON data."""
        general = self.general.model_dump(mode="json")
        return general | {name: self.section(name).model_dump(mode="json") for name in sections}


def section_class(name: str) -> type[BaseModel]:
    """Import the class of section `name`."""
    module, _, attribute = SECTIONS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def named_prompts(name: str) -> Config:
    """The section `prompts` behind a preset's name, or a YAML file that holds it or its keys. Raises UsageError."""
    from recast.agent.prompts.presets import PRESETS

    if name in PRESETS:
        return Config.of({"prompts": {"preset": name}})
    if not Path(name).is_file():
        raise UsageError(
            f"{name!r} is neither a file nor a preset of prompts; there are {', '.join(PRESETS)}. A file holds the "
            "section `prompts` of a configuration, which `recast init` writes."
        )
    found = _read(Path(name))
    return Config.of({"prompts": found.get("prompts", found)})


def parse_set(text: str) -> dict[str, Any]:
    """`a.b=c` as a nested mapping; the value is read as YAML. Raises UsageError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set takes KEY=VALUE, for instance --set sft.lr=1e-4; found {text!r}.")
    try:
        parsed = yaml_file.load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {key}: {value!r} is not a YAML value ({_one_line(error)}).") from error
    return _nest(key.strip().split("."), parsed)


def written_set(key: str, value: Any) -> str:
    """`key=value` as `parse_set` reads it."""
    return f"{key}={_yaml(value)}"


def commented(sections: Iterable[str] = tuple(SECTIONS)) -> str:
    """A config file with every key, its default and its documentation."""
    lines = [
        "# Configuration of recast. Every key is optional: what stands here are the defaults, so keep the lines",
        "# you change and delete the rest. Order: defaults < files (-c) < --set section.key=value.",
        "",
        *_documented(General, indent=""),
    ]
    for name in sections:
        cls = section_class(name)
        lines += [f"# {_summary(cls)}", f"{name}:", *_documented(cls, indent="  ")]
    return "\n".join(lines).rstrip() + "\n"


def field_docs(cls: type[BaseModel]) -> dict[str, str]:
    """Field -> the text under it in the class body, a base's where the class has none, (or its `description`), as
    one line."""
    docs = {name: info.description for name, info in cls.model_fields.items() if info.description}
    for owner in cls.__mro__[: cls.__mro__.index(BaseModel)]:
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, following in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                docs.setdefault(node.target.id, following.value.value)
    return {name: " ".join(text.split()) for name, text in docs.items()}


def _documented(cls: type[BaseModel], indent: str) -> list[str]:
    docs, lines = field_docs(cls), []
    defaults = cls().model_dump(mode="json")
    for name in cls.model_fields:
        lines += textwrap.wrap(
            docs.get(name, ""), width=100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        lines.append(f"{indent}{name}: {_yaml(defaults[name])}")
    return [*lines, ""]


def _yaml(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000, allow_unicode=True)
    return dumped.removesuffix("...\n").strip()


def _summary(cls: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(cls) or cls.__name__).split("\n\n")[0].split())


def _checked(cls: type[BaseModel], values: Mapping[str, Any], prefix: str) -> Any:
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        raise UsageError("; ".join(_explain(cls, prefix, e) for e in error.errors())) from error


def _explain(cls: type[BaseModel], prefix: str, error: Any) -> str:
    name = prefix + ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown(name, str(error["loc"][-1]), list(cls.model_fields), prefix)
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"config key {name}: found {_short(repr(error['input']))}, but {message}."


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _unknown(name: str, key: str, known: Sequence[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"Did you mean {prefix}{near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
    return f"unknown config key {name}. {hint} `recast init` writes all keys with their meaning."


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml_file.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no config file at {path}. `recast init {path}` writes one.") from None
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {_one_line(error)}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"{path} holds a {type(content).__name__}; expected a mapping such as `sft: {{lr: 1e-4}}`."
        )
    return content


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _nest(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
