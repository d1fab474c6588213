"""What the documents say is true of the code: verbs, command lines, links, names of modules. Nothing is run.

Documents are the Markdown files, the docstrings and comments of every module, and the comments of the examples.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import textwrap
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import typer.main

from recast.curate.errors import UsageError
from recast.pipelines import cli
from recast.pipelines.config import SECTIONS, Config, section_class
from recast.pipelines.verbs import GROUPS, VERBS, Verb

ROOT = Path(__file__).parents[1]
PACKAGES = ("curate", "agent", "train", "pipelines")
README_LINES, FIRST_COMMAND = 200, 30
MARKDOWN = [
    *sorted(ROOT.glob("*.md")),
    *sorted(p for folder in (*PACKAGES, "tests") for p in (ROOT / folder).rglob("*.md")),
]
MODULES = sorted(
    p for folder in (*PACKAGES, "tests") for p in (ROOT / folder).rglob("*.py") if "fixtures" not in p.parts
)
EXAMPLES = sorted((ROOT / "pipelines" / "examples").glob("*.yaml"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """What a file says to people: all of a Markdown file, docstrings and comments of Python, comments of YAML."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".py":
        return "\n\n".join([*docstrings(text), *comments(text)])
    return "\n".join(line.partition("#")[2] for line in text.splitlines() if "#" in line)


def docstrings(source: str) -> Iterator[str]:
    """Every string that stands alone: docstrings of modules, classes and functions, and those below a field."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            first, _, rest = node.value.value.partition("\n")
            yield f"{first.strip()}\n{textwrap.dedent(rest)}"


def comments(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


# command lines


class Command(NamedTuple):
    """A command line of a document, and whether it stands in a sentence, where arguments may be left out."""

    words: str
    spoken: bool = False


def commands(text: str) -> list[Command]:
    """Every `recast ...` line of a text: indented or fenced as code, with or without `$`, or between backticks."""
    joined = text.replace("\\\n", " ")
    fenced, shown, sentences = False, [], []
    for line in joined.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            shown += re.findall(r"^\s*(?:\$ )?(recast\s.+)$", line)
        else:
            sentences.append(line)
    found = [Command(words) for words in shown]
    found += [Command(words, spoken=True) for words in re.findall(r"`(recast\s[^`]+)`", "\n".join(sentences))]
    return [command._replace(words=" ".join(command.words.split())) for command in found]


def refusal(given: str, spoken: bool = False) -> str | None:
    """Why the command line of `recast` would refuse these words; None where it would begin to work."""
    try:
        words = [w for w in shlex.split(given, comments=True)[1:] if w not in ("...", "…")]
    except ValueError as error:
        return str(error)
    plain = [w for w in words if not w.startswith("-")]
    if not plain:
        return None if set(words) <= {"--help", "--version"} else f"`recast` has no option {words}"
    name = " ".join(plain[: 2 if plain[0] in GROUPS else 1])
    if name in GROUPS:
        return None
    if name not in VERBS:
        return f"there is no verb `{name}`"
    rest, parser = words[len(name.split()) :], command_of(VERBS[name])
    if spoken and all(word.startswith("-") for word in rest):
        known = {option for parameter in parser.params for option in parameter.opts} | {"--help", "-h"}
        return next((f"{name} has no option {word}" for word in rest if word not in known), None)
    try:
        context = parser.make_context(name, rest)
        Config.load((), context.params.get("sets") or ())
    except UsageError as error:
        return str(error)
    except Exception as error:  # of click, which typer brings along; `--help` leaves by one, too
        return None if "--help" in words else f"{type(error).__name__}: {error}"
    return None


@cache
def command_of(verb: Verb) -> Any:
    command: Any = typer.main.get_command(cli.build(verb.name))
    for word in verb.name.split():
        command = command.commands[word]
    return command


@pytest.mark.parametrize("path", [*MARKDOWN, *EXAMPLES], ids=named)
def test_every_command_line_of_a_document_parses(path):
    wrong = {command.words: why for command in commands(prose(path)) if (why := refusal(*command))}
    assert wrong == {}


def test_every_command_line_of_a_docstring_or_comment_parses():
    wrong = {
        f"{named(path)}: {command.words}": why
        for path in MODULES
        if path != Path(__file__)
        for command in commands(prose(path))
        if (why := refusal(*command))
    }
    assert wrong == {}


def test_command_lines_are_found_wherever_they_stand():
    text = (
        "Type `recast log` or\n`recast show\n  mine`.\n\n    $ recast diff a b \\\n        --words\n"
        "    recast: refused\n\n```\nrecast gc\n```\nrecast is a name."
    )
    assert sorted(commands(text)) == [
        ("recast diff a b --words", False),
        ("recast gc", False),
        ("recast log", True),
        ("recast show mine", True),
    ]


def test_a_command_line_that_would_be_refused_is_found():
    assert refusal("recast diff a b --words # a comment") is None
    assert refusal("recast gate run mine --help") is None
    assert refusal("recast gate") is None
    assert refusal("recast --version") is None
    assert refusal("recast rewrites mine") == "there is no verb `rewrites`"
    assert refusal("recast gate walk mine") == "there is no verb `gate walk`"
    assert "--word" in str(refusal("recast diff a b --word"))
    assert "valid integer" in str(refusal("recast log a --limit many"))
    assert refusal("recast import --dry-run", spoken=True) is None
    assert refusal("recast import --wet-run", spoken=True) == "import has no option --wet-run"
    assert "path" in str(refusal("recast import --as mine"))  # without a file
    assert "learn.step" in str(refusal("recast learn a --set learn.step=3"))
    assert refusal("recast sql 'SELECT") is not None  # a quotation that does not end


# verbs


def listed_verbs(document: str) -> list[str]:
    """The verbs of a document's list, which a row of its table names each."""
    return re.findall(r"^\| `([^`]+)` \| .+\|$", verbs_section(document), flags=re.MULTILINE)


def grouped_verbs(readme: str) -> list[str]:
    """The verbs of the README's overview, several in the last cell of a row."""
    cells = re.findall(r"^\| [^|`]+ \| (`.+) \|$", verbs_section(readme), flags=re.MULTILINE)
    return [verb for cell in cells for verb in re.findall(r"`([^`]+)`", cell)]


def verbs_section(document: str) -> str:
    return document.partition("\n## Verbs\n")[2].partition("\n## ")[0]


def test_the_readme_names_every_verb_and_no_other():
    assert sorted(grouped_verbs((ROOT / "README.md").read_text(encoding="utf-8"))) == sorted(VERBS)


def test_the_readme_of_what_a_person_runs_has_a_line_for_every_verb_and_for_no_other():
    assert sorted(listed_verbs((ROOT / "pipelines/README.md").read_text(encoding="utf-8"))) == sorted(VERBS)


def test_a_verb_counts_only_in_the_list():
    text = "| `log` | elsewhere |\n\n## Verbs\n\n| verb | what |\n|---|---|\n| `gate run` | x |\n\n## Map\n| `gc` | x |"
    assert listed_verbs(text) == ["gate run"]
    text = "| x | `log` |\n\n## Verbs\n\n| for | verbs |\n|---|---|\n| x | `gate run`, `why` |\n\n## Map\n| x | `gc` |"
    assert grouped_verbs(text) == ["gate run", "why"]


def test_the_readme_is_short_and_begins_with_something_to_type():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= README_LINES
    assert commands("\n".join(lines[:FIRST_COMMAND]))


# links


def broken_links(text: str, folder: Path) -> list[str]:
    """Links of a Markdown text in `folder` that lead to no file, or to no heading of it. Addresses are not tried."""
    broken = []
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (folder / name).resolve() if name else None
        if (path is not None and not path.exists()) or (
            anchor and anchor not in anchors(path.read_text(encoding="utf-8") if path else text)
        ):
            broken.append(target)
    return broken


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a Markdown text."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", MARKDOWN, ids=named)
def test_every_link_resolves(path):
    broken = broken_links(path.read_text(encoding="utf-8"), path.parent)
    assert broken == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# One, two\n\n## What it costs\n")
    text = (
        "# Here\n[a](there.md) [b](there.md#one-two) [c](#here) ![d](gone.png) [e](there.md#gone) [f](#gone)"
    )
    text += " [g](https://example.org/x)"
    assert broken_links(text, tmp_path) == ["gone.png", "there.md#gone", "#gone"]


# names of modules and files

DOTTED = re.compile(r"(?<![\w./$\{-])((?:recast\.)?(curate|agent|train|pipelines)((?:\.\w+)+))\b(\()?")
FILE = re.compile(r"(?<![\w./<$\{-])((?:curate|agent|train|pipelines|tests|recast)/[\w./-]*\w)(?![\w*{])")
SUFFIXES = ("py", "md", "yaml", "json", "jsonl", "parquet")


def gone(text: str, root: Path = ROOT) -> list[str]:
    """Names of modules, of what is in them and of files that a text gives and that are not there."""
    dotted = []
    for name, package, rest, called in DOTTED.findall(text):
        names = rest[1:].split(".")
        a_variable = called and len(names) == 1  # `agent.check(...)` of an example
        if not a_variable and not is_there(package, names, root):
            dotted.append(name)
    files = [name for name in FILE.findall(text) if not (root / name).exists()]
    return dotted + files


def is_there(package: str, names: list[str], root: Path) -> bool:
    """Whether `package.names` is a module, something that a module defines, a setting, or a file's name."""
    if names[-1] in SUFFIXES and len(names) == 1:
        return True
    if package in SECTIONS and names[0] in {"KEY", *section_class(package).model_fields}:
        return True
    place = root / package
    while names and (place / names[0]).is_dir():
        place, names = place / names[0], names[1:]
    if names and (place / f"{names[0]}.py").is_file():
        module, names = place / f"{names[0]}.py", names[1:]
    else:
        module = place / "__init__.py"
    return not names or names[0] in defined(module)


@cache
def defined(module: Path) -> set[str]:
    """What a module defines or imports at its top level; nothing where there is no such file."""
    if not module.is_file():
        return set()
    found: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return found


@pytest.mark.parametrize("path", [*MARKDOWN, *EXAMPLES], ids=named)
def test_no_document_names_a_module_or_file_that_is_gone(path):
    assert gone(prose(path)) == []


def test_no_docstring_or_comment_names_a_module_or_file_that_is_gone():
    found = {
        named(path): missing for path in MODULES if path != Path(__file__) and (missing := gone(prose(path)))
    }
    assert found == {}


def test_a_name_that_is_gone_is_found(tmp_path):
    (tmp_path / "curate" / "gate").mkdir(parents=True)
    (tmp_path / "curate" / "gate" / "__init__.py").write_text("")
    (tmp_path / "curate" / "gate" / "gate.py").write_text(
        "MATH: int = 1\nSTRICT = 2\n\n\ndef load_gate(): ...\n"
    )
    there = (
        "curate.gate, recast.curate.gate.gate, curate.gate.gate.load_gate, curate.gate.gate.MATH, curate/gate"
    )
    assert gone(there, tmp_path) == []
    assert (
        gone("own `train.py`, `${agent.out}`, agent.check(x), agents/mine, path/to/curate/x", tmp_path) == []
    )
    missing = ["curate.gates", "recast.curate.gate.checks", "curate.gate.gate.open_gate", "agent.reward"]
    assert gone(", ".join(missing), tmp_path) == missing
    assert gone("see curate/gate/checks.py.", tmp_path) == ["curate/gate/checks.py"]


# trees


def tree(readme: str) -> tuple[set[str], set[str]]:
    """The names in the tree with which a folder's README begins: its own rooms and modules, and those one deeper."""
    block = re.search(r"^    \w+/\n((?:      .*\n)+)", readme, flags=re.MULTILINE)
    lines = block[1].splitlines() if block else []
    own, deeper, room = set(), set(), ""
    for line in lines:
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        if indent == 6:
            own.add(name)
            room = name
        else:
            deeper.add(f"{room}{name}")
    return own, deeper


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tree_of_a_folder_has_a_line_for_every_room_and_module(package):
    folder = ROOT / package
    own, deeper = tree((folder / "README.md").read_text(encoding="utf-8"))
    rooms = {f"{p.name}/" for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"}
    modules = {p.stem for p in folder.glob("*.py") if p.name != "__init__.py"}
    assert own == rooms | modules
    assert [name for name in deeper if not (folder / name).is_dir()] == []


def test_the_tree_is_read_by_its_indent():
    text = "# x\n\n    x/\n      records    rows\n      gate/      decides\n        checks/  one each\n\n    other/\n"
    assert tree(text) == ({"records", "gate/"}, {"gate/checks/"})
    assert tree("no tree") == (set(), set())
