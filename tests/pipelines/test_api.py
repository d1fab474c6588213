"""What `import recast` offers: light, documented, and the same as the command."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import recast
from recast.curate.errors import UsageError
from recast.curate.store import snapshot
from recast.pipelines import api
from recast.pipelines.run import runs
from tests.conftest import ROOT, demonstrations

PAGE = ROOT / "pipelines" / "API.md"
EXAMPLE = ROOT / "pipelines" / "examples" / "grpo_with_recast_reward.py"
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_page_runs_and_every_line_prints_what_stands_behind_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order, as one session. Three of its steps are TRL's, under the gate's reward."""
    session: dict[str, Any] = {"__name__": "page"}
    checked = 0
    for block in blocks():
        capsys.readouterr()
        exec(compile(block, str(PAGE), "exec"), session)
        said = [
            line for line in capsys.readouterr().out.splitlines() if not line.startswith("{'")
        ]  # TRL's log
        assert said == PRINTED.findall(block), block
        checked += len(said)
    assert checked == sum(block.count("print(") for block in blocks()) > 15


@pytest.mark.slow
def test_the_example_of_a_grpo_run_trains_three_steps_on_the_reward(here: Path) -> None:
    steps = runpy.run_path(str(EXAMPLE))["main"]("out")
    assert [step["step"] for step in steps] == [1, 2, 3]
    # the gate passes some and refuses some: a reward is 0, or 1 with at most 1 + 0.25 for alignment and diversity
    assert all(0 <= step["reward"] <= 2.25 for step in steps)
    assert steps[0]["grad_norm"] > 0


def test_every_name_is_offered_documented_and_light() -> None:
    code = (
        "import sys, recast\n"
        "heavy = {'torch', 'duckdb', 'pyarrow', 'numpy', 'pydantic', 'typer'} & set(sys.modules)\n"
        "print(sorted(heavy), set(recast.__all__) <= set(dir(recast)), '__version__' in dir(recast))\n"
        "undocumented = [n for n in recast.__all__ if not getattr(recast, n).__doc__]\n"
        "print(undocumented, recast.__version__, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines() == ["[] True True", f"[] {runs.recast_version()} False"]


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    assert not hasattr(recast, "lern") and not hasattr(api, "lern")


def test_what_pyright_sees_is_what_there_is() -> None:
    shown = inspect.getsource(recast).partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    assert set(re.findall(r"^        (\w+),$", shown, re.MULTILINE)) == set(recast.__all__)
    assert set(api.VERBS) < set(recast.__all__)
    assert all(callable(getattr(recast, name)) for name in recast.__all__)


@pytest.mark.parametrize("name", api.VERBS)
def test_a_verb_has_the_arguments_of_its_job_and_a_word_about_each(name: str) -> None:
    function = getattr(recast, name)
    entry = runs.find(api.VERBS[name])
    own = runs.parameters(entry)
    signature = inspect.signature(function)
    shared = list(signature.parameters)[len(own) :]
    assert list(signature.parameters) == [*own, *shared]
    assert {n: signature.parameters[n].default for n in own} == {n: p.default for n, p in own.items()}
    wanted = set(inspect.signature(entry.job).parameters) & {"store", "config", "progress"}
    assert set(shared) == wanted | ({"fresh"} if entry.has_run else set())
    told = function.__doc__
    for argument in signature.parameters:
        assert re.search(rf"^    {argument}: \w", told, re.MULTILINE), argument


def test_a_verb_does_what_the_command_does(here: Path, request: pytest.FixtureRequest) -> None:
    recast_command: Callable[..., Any] = request.getfixturevalue("recast")  # the name is the package's here
    file = demonstrations(here / "demos.jsonl")
    said = recast_command("import", file, "--as", "one", "--json").json
    made = recast.import_(file, to="two")
    same = {key: value for key, value in made.items() if "version" not in key}
    assert same == {key: value for key, value in said.items() if "version" not in key}
    assert recast.open().names() == ["one", "two"]
    assert (
        recast.diff("one", "two", limit=2)
        == recast_command("diff", "one", "two", "--limit", 2, "--json").json
    )


def test_paths_stores_settings_and_progress_are_taken_as_python_has_them(here: Path) -> None:
    file = demonstrations(here / "demos.jsonl")
    store = recast.open(here / "elsewhere")
    points: list[Any] = []
    made = recast.import_(Path(file), to="a", store=store, config={"author": "me"}, progress=points.append)
    assert store.log("a")[0].author == "me" and made["rows"] == 8
    assert points and all(isinstance(point, dict) for point in points)
    assert recast.diff("a", file, store=here / "elsewhere")["differ"] == 0
    assert len(recast.load("a", path=store)) == len(recast.load("a", path=here / "elsewhere")) == 8
    assert not (here / ".recast").exists()


def test_wrong_calls_say_what_there_is(here: Path) -> None:
    recast.import_(demonstrations(here / "demos.jsonl"), to="a")
    with pytest.raises(UsageError, match=r"learn has no argument 'modle'\. Did you mean model\?"):
        recast.learn("a", modle="pocket")
    with pytest.raises(UsageError, match="import has no argument 'fresh'"):
        recast.import_("demos.jsonl", to="a", fresh=True)
    with pytest.raises(UsageError, match=r"Did you mean sft\.lr"):
        recast.sft("a", config={"sft.lrr": 1})
    with pytest.raises(TypeError, match="multiple values for argument 'name'"):
        recast.learn("a", name="b")
    with pytest.raises(TypeError, match="too many positional arguments"):
        recast.learn("a", "pocket")
    with pytest.raises(UsageError, match="formats are rows, messages, prompt_completion"):
        recast.load("a", format="parquet")  # pyright: ignore[reportArgumentType]


def test_a_version_loads_in_three_formats_with_its_id(here: Path) -> None:
    recast.import_(demonstrations(here / "demos.jsonl", 3), to="a")
    version = recast.open().resolve("a")
    rows, chats, pairs = (recast.load("a", format=f) for f in get_args(snapshot.Format))
    question = {"role": "user", "content": "What is 1 + 3?"}
    said = {"role": "assistant", "content": "1 + 3 = 4. The answer is 4."}
    assert rows[1]["messages"] == [question] and rows[1]["completion"] == said["content"]
    rest = {"answer": "4", "task": "sum", "row_id": "sum-1"}
    assert chats[1] == {"messages": [question, said], **rest}
    assert pairs[1] == {"prompt": [question], "completion": [said], **rest}
    assert pairs.column_names == ["prompt", "completion", "answer", "task", "row_id"]
    for data in (rows, chats, pairs):
        assert data.cache_files, "not memory-mapped"
        for made in (
            data,
            data.map(lambda row: {"n": 1}),
            data.select([0]),
            data.train_test_split(1)["test"],
        ):
            assert (made.info.config_name, made.info.dataset_name) == (version.id, "a")
            assert made.info.description.startswith(f"a@v1 ({version.id})")


def test_the_conversation_of_a_row_with_tool_calls_keeps_them(here: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    messages = [{"role": "user", "content": "go"}, call, {"role": "tool", "content": "7"}]
    recast.open().commit([{"row_id": "r", "messages": messages, "completion": "It is 7."}], "a")
    turns = recast.load("a", format="messages")[0]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "assistant"]
    assert turns[1]["tool_calls"] == json.dumps(call["tool_calls"], separators=(",", ":"))
    assert turns[3] == {"role": "assistant", "content": "It is 7.", "tool_calls": None}


def test_gc_keeps_what_a_version_was_loaded_as(here: Path) -> None:
    from recast.curate.store import maintenance

    recast.import_(demonstrations(here / "demos.jsonl"), to="a")
    loaded = [Path(recast.load("a", format=f).cache_files[0]["filename"]) for f in get_args(snapshot.Format)]
    assert maintenance.gc(recast.open(), grace_s=0).files == () and all(file.exists() for file in loaded)


def test_a_gate_file_says_which_model_it_asks(here: Path) -> None:
    Path("judged.yaml").write_text("checks: [{type: judge, model: no/such/place/at/all}]\n")
    row = {"messages": [{"role": "user", "content": "2 + 2?"}], "demonstration": "4", "answer": "4"}
    verdict = recast.gate("judged.yaml").verify(row, "It is 4.", finish_reason="stop")
    # the model is asked, and there is none: undecided is never acceptance
    assert (verdict.status, verdict.reason) == ("unverifiable", "check_error")
    assert "no/such/place" in verdict.checks[0].message
    Path("unnamed.yaml").write_text("checks: [{type: judge}]\n")
    with pytest.raises(UsageError, match="names no model"):
        recast.gate("unnamed.yaml")
    assert recast.gate(config={"gate": "strict"}).id == recast.gate("strict").id != recast.gate().id


def test_the_reward_measures_with_what_does_not_change(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    with pytest.raises(UsageError, match="training would change what the reward is measured with"):
        recast.reward(model, tokenizer)
    with pytest.raises(UsageError, match="own_samples has no effect in mode typical"):
        recast.reward(str(tiny_model), own_samples=4)
    row = {
        "messages": [{"role": "user", "content": "What is 12 + 5?"}],
        "demonstration": "12 plus 5 is the number 17. The answer is 17.",
        "answer": "17",
    }
    texts = ["12 + 5 = 17. The answer is 17.", "12 + 5 = 18. The answer is 18.", "cut off"]
    ends = tokenizer.eos_token_id
    seen: list[Any] = []
    reward = recast.reward(tiny_model, gate=recast.gate("math"), on_scored=seen.extend)
    found = reward(
        prompts=[row["messages"]] * 3,
        completions=texts,
        completion_ids=[[1, ends], [1, ends], [1, 1]],
        **{name: [value] * 3 for name, value in row.items()},
    )
    assert [v.reason for v in seen[0].verdicts][1:] == ["wrong_answer", "truncated"]
    assert found[0] is not None and found[0] > 0.9
    assert found[1:] == [0.0, 0.0]
