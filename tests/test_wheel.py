"""The wheel: `recast` and nothing beside it, whole, and at home among a user's own `train.py` and `agent/`."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("recast", "curate", "agent", "train", "pipelines")
DATA = (".json", ".jinja", ".safetensors", ".css", ".js")
"""Kinds of files that the code reads at run time."""
BUILD = (
    "import sys; from setuptools import build_meta; "
    "print(getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2]))"
)
SCRIPT = """
import recast
from pathlib import Path

assert not Path(recast.__file__).is_relative_to(CHECKOUT), recast.__file__
Path("demos.jsonl").write_text('{"question": "2 + 3?", "solution": "2 + 3 = 5. The answer is 5.", "answer": "5"}\\n')
print(recast.import_("demos.jsonl", to="sums")["version"], recast.open().names(), recast.__version__)
row = recast.load("sums")[0]
gate = recast.gate("math")
retold = "Adding 3 to 2 we get 2 + 3 = 5, which makes 5. The answer is 5."
print(gate.verify(row, retold).status, gate.verify(row, "The answer is 6.").reason)
print(recast.equivalent(r"\\frac{a^2-b^2}{a-b}", "a+b"))

# the gate beside generation, in a process of its own
from recast.agent.batches.gating import GateJob, GateProcess
with GateProcess(gate) as verifier:
    print(verifier.submit(GateJob([row], [retold], ["stop"])).result()[0].status)

from recast.pipelines.models.names import SHIPPED, model_path
for name in SHIPPED:
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in Path(model_path(name)).iterdir()}
"""


def of_git() -> list[Path]:
    """Files of the checkout as git would commit them, links as links."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("needs the checkout's git, which says what belongs to the project")
    paths = [Path(name) for name in found.stdout.split("\0") if name]
    return [path for path in paths if (ROOT / path).is_symlink() or (ROOT / path).exists()]


def build(kind: str, source: Path, out: Path) -> Path:
    """What the build back end makes of `source`: `wheel` or `sdist`."""
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(out)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout to build in: the build leaves folders of its own."""
    copy = tmp_path_factory.mktemp("checkout")
    for path in of_git():
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_symlink():
            target.symlink_to((ROOT / path).readlink())
        else:
            target.write_bytes((ROOT / path).read_bytes())
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("built") / "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, and everything else from where the tests run."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    # a line of a path file is searched after the environment's own, and path files there (the editable install) are not
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_the_four_folders_under_one_name_and_nothing_beside(wheel: Path) -> None:
    assert wheel.name.startswith("recast_sft-")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"recast"} and len(tops) == 2
    expected = set()
    for path in of_git():
        if path.parts[0] in FOLDERS and "examples" not in path.parts and path.suffix in (".py", *DATA):
            expected.add(str(path if path.parts[0] == "recast" else "recast" / path))
    inside = {name for name in names if name.startswith("recast/")}
    assert inside == expected  # documents, pictures, examples and results stay outside
    weights = "pipelines/demo/pocket/model.safetensors"
    assert zipfile.ZipFile(wheel).read(f"recast/{weights}") == (ROOT / weights).read_bytes()


def test_an_archive_of_the_sources_builds_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """`pip install` of a source archive, and `python -m build`, which makes its wheel from one: it holds no link."""
    import tarfile

    archive = build("sdist", checkout, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        assert not [member.name for member in packed.getmembers() if member.issym() or member.islnk()]
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build("wheel", unpacked, tmp_path / "wheel")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_a_script_beside_namesakes_uses_the_installed_package(python: Path, tmp_path: Path) -> None:
    for name in ("train.py", "curate.py", "pipelines.py", "agent/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'raise RuntimeError("{name} of the user was imported")\n')
    (tmp_path / "mine.py").write_text(f"CHECKOUT = {str(ROOT)!r}\n{SCRIPT}")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "RECAST_HOME")}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run(python, "mine.py").splitlines()
    assert said[0].startswith("sums@v1 ['sums'] 0.")
    assert said[1:] == ["accepted wrong_answer", "True", "accepted"]
    recast = python.with_name("recast")
    assert "recast demo" in run(recast, "demo", "--help") and "Versions" in run(recast, "--help")
    assert "sums@v1" in run(recast, "log", "sums")
    run(recast, "report", "sums", "-o", "page.html")  # its style and its scripts are files of the wheel
    assert (ROOT / "pipelines/report/assets/base.css").read_text().strip() in (
        tmp_path / "page.html"
    ).read_text()
    assert "sums@v1" in run(
        python, "-m", "recast.pipelines.cli", "log", "sums"
    )  # the folder is searched first
