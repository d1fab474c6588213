"""The exact lines and files of every format, from one plain row, one with an earlier turn, and one with calls."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recast.curate.errors import DataError
from recast.curate.export.export import export
from recast.curate.export.outcome import Exported
from recast.curate.export.registry import FORMATS
from recast.curate.export.rows import rows_of
from recast.curate.export.sinks import as_line, table_of
from recast.curate.export.slots import Plain, line_of, lines_of, plain, stored, table_of_plain, turns
from recast.curate.export.writing import Writing
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.schema import candidate_table, table
from recast.curate.store.store import Store
from recast.pipelines.jobs.versions.export import TO
from tests.fakes.exports import CALL, RESULT, TOOL, kinds_of_rows, sums

TALKS, CALLS, THINKS, *_ = kinds_of_rows()
ASKS = {"role": "user", "content": "0 + 0?"}
SAID = {"role": "assistant", "content": "The answer is 0."}
TALK = [*TALKS["messages"], {"role": "assistant", "content": "9"}]
CALLED = [*CALLS["messages"], {"role": "assistant", "content": "It is 5."}]
TEXT_CALL = json.loads(json.dumps(CALL))
TEXT_CALL["tool_calls"][0]["function"]["arguments"] = '{"a": 2, "b": 3}'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit([*sums(1), TALKS, CALLS, THINKS], "a")
    return store


@pytest.fixture
def to(store: Store, tmp_path: Path) -> Any:
    def write(name: str, **options: Any) -> tuple[Exported, list[dict[str, Any]]]:
        done = export(store, "a", name, tmp_path / "out", **options)
        found = []
        for path in map(Path, done.data):
            if path.suffix == ".parquet":
                found += pq.read_table(path).to_pylist()
            else:
                found += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return done, found

    return write


def facts(store: Store, row_id: str) -> dict[str, Any]:
    version = store.resolve("a")
    return {"row_id": row_id, "target": 0, "decision": "expert", "version": f"a@v1 {version.id[:16]}"}


def test_the_command_offers_every_format() -> None:
    assert get_args(TO) == tuple(FORMATS)


def test_trl(to: Any, store: Store) -> None:
    done, lines = to("trl")
    assert lines[0] == {
        "prompt": [ASKS], "completion": [SAID], "tools": None, "answer": "0", "task": "add", **facts(store, "r0"),
    }  # fmt: skip
    assert (lines[1]["prompt"], lines[1]["completion"]) == (TALK[:-1], TALK[-1:])
    assert lines[2]["prompt"] == [CALLED[0], CALL, RESULT] and json.loads(lines[2]["tools"]) == [TOOL]
    assert lines[3]["completion"] == [
        {"role": "assistant", "content": "It is 5.", "reasoning_content": "Three more than two."}
    ]
    assert done.start.endswith("--completion_only_loss true")


def test_trl_of_all_turns(to: Any, store: Store) -> None:
    done, lines = to("trl", turns="all")
    assert lines[1] == {"messages": TALK, "tools": None, "answer": "9", "task": None, **facts(store, "talks")}
    assert done.start.endswith("--assistant_only_loss true")


def test_trl_prompts_with_a_boxed_solution(to: Any, store: Store) -> None:
    _, lines = to("trl", objective="grpo")
    assert lines[0] == {
        "prompt": [ASKS], "solution": r"\boxed{0}", "answer": "0", "task": "add", **facts(store, "r0"),
    }  # fmt: skip
    assert [line["row_id"] for line in lines] == [
        "r0",
        "talks",
        "thinks",
    ]  # thoughts are of the answer, which is gone


def test_verl(to: Any, store: Store) -> None:
    done, lines = to("verl", turns="all")
    thinks = [
        {"role": "user", "content": "2 + 3?", "reasoning_content": None},
        {"role": "assistant", "content": "It is 5.", "reasoning_content": "Three more than two."},
    ]
    assert lines[2] == {"messages": thinks, **facts(store, "thinks")}
    assert done.refused["tool_calls"].rows == ["calls"] and "data.messages_key=messages" in done.start


def test_verl_prompts(to: Any, store: Store, tmp_path: Path) -> None:
    done, lines = to("verl", objective="grpo")
    assert lines[0] == {
        "data_source": "add",
        "prompt": [ASKS],
        "ability": "add",
        "reward_model": {"style": "rule", "ground_truth": "0"},
        "extra_info": {"index": 0, **facts(store, "r0")},
    }
    scope: dict[str, Any] = {}
    exec((tmp_path / "out" / "reward.py").read_text(), scope)
    assert scope["compute_score"]("add", "So it is 1/2.", "0.5") == 1.0
    assert scope["compute_score"]("add", "So it is 2.", "0.5") == 0.0
    assert f"reward.custom_reward_function.path={tmp_path / 'out' / 'reward.py'}" in done.start


def test_openrlhf(to: Any, store: Store) -> None:
    done, lines = to("openrlhf")
    assert lines[0] == {"input": [ASKS], "output": [SAID], **facts(store, "r0")}
    assert "--data.input_key input --data.output_key output --data.apply_chat_template" in done.start
    done, lines = to("openrlhf", turns="all")
    assert lines[1] == {"messages": TALK, **facts(store, "talks")}
    assert "--data.input_key messages --data.multiturn" in done.start
    assert done.refused["reasoning"].rows == ["thinks"]
    done, lines = to("openrlhf", objective="grpo")
    assert lines[0] == {"input": [ASKS], "label": "0", "datasource": "add", **facts(store, "r0")}


def test_axolotl(to: Any, store: Store, tmp_path: Path) -> None:
    _, lines = to("axolotl")
    assert lines[0] == {"messages": [ASKS, {**SAID, "training": True}], "tools": None, **facts(store, "r0")}
    assert [turn.get("training") for turn in lines[1]["messages"]] == [None, None, False, None, True]
    assert lines[2]["messages"][1] == {**TEXT_CALL, "training": False} and json.loads(lines[2]["tools"]) == [
        TOOL
    ]
    settings = yaml.safe_load((tmp_path / "out" / "axolotl.yaml").read_text())
    (data,) = settings["datasets"]
    assert (
        data["path"] == str(tmp_path / "out" / "train.jsonl") and data["message_field_training"] == "training"
    )
    assert settings["excess_length_strategy"] == "raise" and settings["train_on_inputs"] is False
    assert (settings["sequence_len"], settings["learning_rate"]) == (4096, 2e-5)
    _, lines = to("axolotl", turns="all")
    assert [turn.get("training") for turn in lines[1]["messages"]] == [None, None, True, None, True]


def test_llamafactory(to: Any, store: Store, tmp_path: Path) -> None:
    done, lines = to("llamafactory")
    assert lines == [
        {"messages": [ASKS, SAID], **facts(store, "r0")},
        {"messages": TALK, **facts(store, "talks")},
    ]
    assert set(done.refused) == {"tool_calls", "reasoning"}
    assert json.loads((tmp_path / "out" / "dataset_info.json").read_text()) == {
        "a_v1": {
            "file_name": "train.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {
                "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    }  # fmt: skip
    settings = yaml.safe_load((tmp_path / "out" / "llamafactory.yaml").read_text())
    assert settings["mask_history"] is True and "template" not in settings
    to("llamafactory", turns="all")
    assert yaml.safe_load((tmp_path / "out" / "llamafactory.yaml").read_text())["mask_history"] is False


def test_open_instruct(to: Any, store: Store) -> None:
    done, lines = to("open-instruct")
    assert lines[0] == {"messages": [ASKS, SAID], "tools": None, **facts(store, "r0")}
    assert "last_turn_tulu_tokenize_and_truncate_v1" in done.start and " 1.0 " in done.start
    done, _ = to("open-instruct", turns="all")
    assert " sft_tulu_tokenize_and_truncate_v1" in done.start
    _, lines = to("open-instruct", objective="grpo")
    assert lines[0] == {"messages": [ASKS], "ground_truth": "0", "dataset": "math", **facts(store, "r0")}


def test_mlx(to: Any, store: Store, tmp_path: Path) -> None:
    done, lines = to("mlx", validation=0.3)
    assert [path.name for path in done.data] == ["train.jsonl", "valid.jsonl"]
    assert {"messages": [ASKS, SAID], "tools": None, **facts(store, "r0")} in lines
    assert {"messages": CALLED, "tools": [TOOL], **facts(store, "calls")} in lines
    assert done.start.endswith("--mask-prompt")


def test_torchtune(to: Any, store: Store, tmp_path: Path) -> None:
    done, lines = to("torchtune", turns="all")
    assert lines[1] == {"messages": TALK, **facts(store, "talks")}
    block = yaml.safe_load((tmp_path / "out" / "torchtune.yaml").read_text())["dataset"]
    assert block["conversation_style"] == "openai" and block["data_files"] == str(
        tmp_path / "out" / "train.jsonl"
    )
    assert set(done.refused) == {"tool_calls", "reasoning"}


def test_nemo(to: Any, store: Store, tmp_path: Path) -> None:
    done, lines = to("nemo-rl")
    assert lines[2] == {"messages": CALLED, "tools": [TOOL], **facts(store, "calls")}
    assert yaml.safe_load((tmp_path / "out" / "nemo-rl.yaml").read_text())["sft"] == {
        "only_unmask_final": True
    }
    assert "++sft.only_unmask_final=true" in done.start
    _, lines = to("nemo-rl", objective="grpo")
    assert lines[0] == {"problem": "0 + 0?", "expected_answer": "0", **facts(store, "r0")}
    done, lines = to("nemo-automodel")
    assert lines[3]["messages"][1]["reasoning_content"] == "Three more than two."
    block = yaml.safe_load((tmp_path / "out" / "automodel.yaml").read_text())["dataset"]
    assert (block["mask_history"], block["mask_generation_prompt"]) == (True, True)


def test_prime_rl_and_a_taskset(to: Any, store: Store, tmp_path: Path) -> None:
    _, lines = to("prime-rl", turns="all")
    assert lines[2]["messages"][1] == TEXT_CALL and json.loads(lines[2]["tools"]) == [TOOL]
    assert f'name = "{tmp_path / "out"}"' in (tmp_path / "out" / "prime-rl.toml").read_text()
    done, lines = to("verifiers")
    assert lines[1] == {
        "id": "talks",
        "name": "a/talks",
        "prompt": TALK[1:-1],
        "system_prompt": "Be brief.",
        "answer": "9",
        "task": None,
        "decision": "expert",
        "version": facts(store, "")["version"],
    }
    compile((tmp_path / "out" / "__init__.py").read_text(), "taskset", "exec")
    assert "vf-eval a_v1_taskset" in done.start


def test_unsloth(to: Any, store: Store, tmp_path: Path) -> None:
    _, lines = to("unsloth")
    assert lines[0] == {"messages": [ASKS, SAID], **facts(store, "r0")}
    script = (tmp_path / "out" / "sft.py").read_text()
    compile(script, "sft.py", "exec")
    assert "train_on_responses_only(trainer, last_response_only=True)" in script


def test_openai(to: Any, store: Store, tmp_path: Path) -> None:
    _, lines = to("openai")
    assert lines[0] == {"messages": [ASKS, SAID]}
    assert [turn.get("weight") for turn in lines[1]["messages"]] == [None, None, 0, None, None]
    assert lines[2] == {"messages": [CALLED[0], {**TEXT_CALL, "weight": 0}, *CALLED[2:]], "tools": [TOOL]}
    index = (tmp_path / "out" / "train.index.jsonl").read_text().splitlines()
    assert [json.loads(line)["row_id"] for line in index] == ["r0", "talks", "calls"]
    _, lines = to("openai", turns="all")
    assert not any("weight" in turn for line in lines for turn in line["messages"])
    _, lines = to("openai", objective="rft")
    assert lines[0] == {"messages": [ASKS], "answer": "0", "task": "add", **facts(store, "r0")}


def test_plain_pairs_and_conversations(to: Any, store: Store) -> None:
    _, lines = to("messages", turns="all")
    assert lines[2] == {
        "messages": CALLED,
        "tools": [TOOL],
        "answer": "5",
        "task": None,
        **facts(store, "calls"),
    }
    _, lines = to("prompt-completion")
    assert (lines[1]["prompt"], lines[1]["completion"]) == (TALK[:-1], TALK[-1:])
    done, lines = to("prompt-completion-strings")
    assert lines == [
        {
            "prompt": "0 + 0?",
            "completion": "The answer is 0.",
            "answer": "0",
            "task": "add",
            **facts(store, "r0"),
        }
    ]
    assert set(done.refused) == {"earlier_turns", "tool_calls", "reasoning"}


def test_a_turn_that_is_marked_as_not_to_be_learnt_is_never_trained(store: Store, tmp_path: Path) -> None:
    marked = [TALK[1], {**TALK[2], "weight": 0}, TALK[3]]
    store.commit([{"row_id": "m", "messages": marked, "completion": "9"}, *sums(1)], "marked")
    done = export(store, "marked", "trl", tmp_path / "trl", turns="all")
    assert done.refused["marked_turns"].rows == ["m"]
    for name, member, value in (("axolotl", "training", False), ("openai", "weight", 0)):
        path = Path(export(store, "marked", name, tmp_path / name, turns="all").data[0])
        said = json.loads(path.read_text().splitlines()[0])["messages"]
        assert [turn.get(member) for turn in said] == [None, value, None, True if name == "axolotl" else None]


# preferences


def candidate(row_id: str, k: int, text: str, status: VerdictStatus, finish: str = "stop") -> Candidate:
    return Candidate(row_id, 0, k, 0, text, 5, finish, 0, Verdict(status))


@pytest.fixture
def pairs(tmp_path: Path) -> Store:
    """r0 has two refused candidates, one that could not be judged and one that was cut; r1 has none."""
    store = Store(tmp_path / "home")
    bad, unknown = VerdictStatus.REJECTED, VerdictStatus.UNVERIFIABLE
    found = [
        candidate("r0", 2, "It is 2.", bad),
        candidate("r0", 1, "It is 1.", bad),
        candidate("r0", 0, "It is none.", unknown),
        candidate("r0", 3, "It is an endless", bad, "length"),
        candidate("r0", 4, "The answer is 0.", bad),  # the completion itself
        candidate("r1", 0, "It is 2, surely.", VerdictStatus.ACCEPTED),
    ]
    store.commit(sums(2), "a", candidates=candidate_table(found))
    return store


def read(done: Exported) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(done.data[0]).read_text().splitlines()]


def test_the_first_refused_candidate_is_the_other_half_of_a_pair(pairs: Store, tmp_path: Path) -> None:
    bad = {"role": "assistant", "content": "It is 1."}
    expected = {
        "trl": {"prompt": [ASKS], "chosen": [SAID], "rejected": [bad]},
        "openrlhf": {"prompt": [ASKS], "chosen": [SAID], "rejected": [bad]},
        "llamafactory": {"messages": [ASKS], "chosen": SAID, "rejected": bad},
        "open-instruct": {"chosen": [ASKS, SAID], "rejected": [ASKS, bad]},
        "nemo-rl": {"prompt": [ASKS], "chosen": "The answer is 0.", "rejected": "It is 1."},
    }
    assert set(expected) | {"openai"} == {name for name, form in FORMATS.items() if "dpo" in form.shapes}
    for name, line in expected.items():
        done = export(pairs, "a", name, tmp_path / name, objective="dpo")
        assert read(done) == [{**line, **facts(pairs, "r0")}], name
        assert done.refused["no_rejected"].rows == ["r1"]
    done = export(pairs, "a", "openai", tmp_path / "openai", objective="dpo")
    assert read(done) == [
        {"input": {"messages": [ASKS]}, "preferred_output": [SAID], "non_preferred_output": [bad]}
    ]


def test_every_refused_candidate_is_a_bad_line_of_kto(pairs: Store, tmp_path: Path) -> None:
    done = export(pairs, "a", "trl", tmp_path / "trl", objective="kto")
    said = [(line["completion"][0]["content"], line["label"], line["row_id"]) for line in read(done)]
    assert said == [
        ("The answer is 0.", True, "r0"),
        ("It is 1.", False, "r0"),
        ("It is 2.", False, "r0"),
        ("The answer is 2.", True, "r1"),
    ]
    assert (done.rows, done.lines) == (2, 4) and done.notes[-1] == "2 lines are good and 2 bad."
    done = export(pairs, "a", "llamafactory", tmp_path / "lf", objective="kto")
    assert [line["label"] for line in read(done)] == [True, False, False, True]


def test_candidates_of_the_version_before_serve_what_was_made_of_it(pairs: Store, tmp_path: Path) -> None:
    pairs.commit([{**sums(1)[0], "completion": "It is 0.", "decision": "edited"}], "a")
    (line,) = read(export(pairs, "a", "trl", tmp_path / "trl", objective="dpo"))
    assert (line["chosen"][0]["content"], line["rejected"][0]["content"]) == ("It is 0.", "It is 1.")


# plain rows, which no one looks at


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.booleans(),
            st.integers(0, 2),
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_plain_rows_are_written_as_any_row_is(rows: list[tuple[str, str, bool, int, str | None]]) -> None:
    made = table([
        {
            "row_id": f"r{n}", "completion": says, "demonstration": says, "answer": answer,
            "messages": [
                *([{"role": "system", "content": says}] if system else []),
                *[{"role": "user", "content": asks}, {"role": "assistant", "content": says}] * earlier,
                {"role": "user", "content": asks},
            ],
        }
        for n, (asks, says, system, earlier, answer) in enumerate(rows)
    ])  # fmt: skip
    (batch,) = made.combine_chunks().to_batches()
    assert plain(batch, talks=True).all()
    assert plain(batch).tolist() == [earlier == 0 for *_, earlier, _ in rows]
    slots = {
        "messages": turns(last={"training": True}, earlier={"training": False}), "prompt": turns(said=False),
        "completion": turns(prompt=False),
        "answer": stored("answer"), "target": stored("target"), "task": stored("task"),
    }  # fmt: skip
    one_by_one = [line_of(slots, row) for row in rows_of(batch)]
    for line in one_by_one:
        *before, last = line["messages"]  # what `shaped` would do
        marked = [turn | ({"training": False} if turn["role"] == "assistant" else {}) for turn in before]
        line["messages"] = [*marked, last | {"training": True}]
    assert bytes(lines_of(slots, Plain(batch))).decode() == "".join(map(as_line, one_by_one))
    turn = pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())]))
    schema = pa.schema([
        pa.field("messages", turn), pa.field("prompt", turn), pa.field("completion", turn),
        pa.field("answer", pa.string()), pa.field("target", pa.int32()), pa.field("task", pa.string()),
    ])  # fmt: skip
    assert table_of_plain(slots, Plain(batch), schema).equals(table_of(one_by_one, schema))


def test_a_row_that_is_not_plain_is_not_taken_for_one() -> None:
    odd = [{**row, "row_id": str(n)} for n, row in enumerate(kinds_of_rows())]
    spaced = {"row_id": "s", "messages": '[{"role": "user", "content": "q"}]', "completion": "a"}
    named = {"row_id": "n", "messages": [{"role": "user", "content": "q", "name": "ann"}], "completion": "a"}
    quoted = {"row_id": "q", "messages": [{"role": "user", "content": '","role":"tool"'}], "completion": "a"}
    (batch,) = table([*odd, spaced, named, quoted]).combine_chunks().to_batches()
    assert plain(batch).tolist() == [False] * (len(odd) + 2) + [True]
    assert plain(batch, talks=True).tolist() == [True] + [False] * (len(odd) + 1) + [True]


def test_which_formats_take_rows_of_several_turns_as_text(tmp_path: Path) -> None:
    """All that refuse none of them; the lines are the same either way."""
    store = Store(tmp_path / "home")
    (talk,) = [row for row in kinds_of_rows() if row["row_id"] == "talks"]
    store.commit([talk | {"row_id": f"r{n}"} for n in range(3)], "a")
    taken: dict[str, bool] = {}

    class Watched(Writing):
        def write(self, batches: Any, pairs: Any) -> Any:
            taken[self.asked.folder.name] = self.talks
            return super().write(batches, pairs)

    asked = [("trl", "last"), ("trl", "all"), ("messages", "all"), ("messages", "last"), ("axolotl", "last")]
    for to, says in [*asked, ("llamafactory", "last")]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recast.curate.export.export.Writing", Watched)
            with contextlib.suppress(DataError):
                export(store, "a", to, tmp_path / f"{to}-{says}", turns=says)  # pyright: ignore[reportArgumentType]
    assert taken == {
        "trl-last": True, "trl-all": True, "messages-all": True, "axolotl-last": True, "llamafactory-last": True,
        "messages-last": False,
    }  # fmt: skip
