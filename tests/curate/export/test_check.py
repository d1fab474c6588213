"""What a trainer makes of an export: our account of it, and TRL's own trainers on the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from recast.curate.errors import UsageError
from recast.curate.export.check.masks import MASKS
from recast.curate.export.check.measure import measure
from recast.curate.export.export import export
from recast.curate.export.outcome import Exported
from recast.curate.records import Candidate, Verdict, VerdictStatus
from recast.curate.schema import candidate_table
from recast.curate.store.store import Store
from tests.fakes.exports import kinds_of_rows, sums
from tests.fakes.models import TOOL_TEMPLATE, make_tokenizer

NAMES = ("talks", "calls", "thinks")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A tokenizer whose template knows tools, calls and thoughts, and marks what the assistant says."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = TOOL_TEMPLATE
    return tokenizer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit([*sums(2), *(row for row in kinds_of_rows() if row["row_id"] in NAMES)], "a")
    return store


def trained_texts(lines: list[Any], name: str, tokenizer: Any, turns: Any) -> dict[str, list[str]]:
    """Row to the runs of text that train."""
    found = {}
    for line in lines:
        example = MASKS[name](line, tokenizer, turns)
        runs: list[list[int]] = []
        before = False
        for token, trained in zip(example.ids, example.trained, strict=True):
            if trained and not before:
                runs.append([])
            if trained:
                runs[-1].append(token)
            before = trained
        found[line["row_id"]] = [tokenizer.decode(run) for run in runs]
    return found


def lines_of(done: Exported) -> list[Any]:
    return [json.loads(line) for line in Path(done.data[0]).read_text().splitlines()]


END = "<|im_end|>"
LAST = {
    "r0": [f"The answer is 0.{END}"],
    "r1": [f"The answer is 2.{END}"],
    "talks": [f"9{END}"],
    "calls": [f"It is 5.{END}"],
    "thinks": [f"<think>Three more than two.</think>It is 5.{END}"],
}
"""What the assistant says last, with the token that ends its turn."""
CALL = '<call>add {"a": 2, "b": 3}</call>' + END
ALL = LAST | {"talks": [f"5{END}", f"9{END}"], "calls": [CALL, f"It is 5.{END}"]}


@pytest.mark.parametrize(
    "name", ["trl", "axolotl", "open-instruct", "mlx", "nemo-automodel", "openrlhf", "unsloth"]
)
def test_the_last_turn_trains_and_nothing_else(
    name: str, store: Store, tokenizer: Any, tmp_path: Path
) -> None:
    done = export(store, "a", name, tmp_path / name)
    found = trained_texts(lines_of(done), name, tokenizer, "last")
    refused = {row for each in done.refused.values() for row in each.rows}
    # some trainers take the line break after the turn along
    assert {row: [text.rstrip("\n") for text in texts] for row, texts in found.items()} == {
        row: texts for row, texts in LAST.items() if row not in refused
    }


@pytest.mark.parametrize(
    "name", ["trl", "axolotl", "open-instruct", "nemo-automodel", "prime-rl", "messages"]
)
def test_every_turn_trains_and_nothing_else(name: str, store: Store, tokenizer: Any, tmp_path: Path) -> None:
    done = export(store, "a", name, tmp_path / name, turns="all")
    found = trained_texts(lines_of(done), name, tokenizer, "all")
    assert not done.refused
    assert {row: [text.rstrip("\n") for text in texts] for row, texts in found.items()} == ALL


def test_a_check_counts_what_trains_what_is_cut_and_what_is_left_of_it(
    store: Store, tokenizer: Any, tmp_path: Path
) -> None:
    store.commit(sums(2), "b")
    done = export(store, "b", "trl", tmp_path / "out")
    checked = measure(done, tokenizer)
    # <|im_start|>assistant\n and before: masked
    said = len(tokenizer(LAST["r0"][0] + "\n")["input_ids"]) + len(
        tokenizer(LAST["r1"][0] + "\n")["input_ids"]
    )
    assert (checked.lines, checked.trained, checked.ends, checked.nothing_lines) == (2, said, 2, 0)
    assert "".join(text for text, trained in checked.example if trained) == LAST["r0"][0] + "\n"
    masked = checked.masked // 2
    short = measure(done, tokenizer, max_length=masked + 1)
    assert (short.cut, short.trained, short.ends) == (2, 2, 0)  # the first token of each answer, and no end
    none = measure(done, tokenizer, max_length=masked)
    assert (none.nothing_lines, none.nothing) == (2, ["r0", "r1"])
    for name, why in (("verl", "raises"), ("openrlhf", "drops")):
        gone = measure(export(store, "b", name, tmp_path / name), tokenizer, max_length=masked)
        assert (gone.dropped_lines, gone.trained) == (2, 0)
        assert list(gone.dropped) == [f"longer than {masked} tokens, on which the trainer {why}"]


def test_a_check_names_what_the_chat_template_leaves_out(store: Store, tmp_path: Path) -> None:
    checked = measure(export(store, "a", "trl", tmp_path / "out"), make_tokenizer())
    assert checked.lost == {
        "tool calls": ["calls"],
        "definitions of tools": ["calls"],
        "reasoning of the last turn": ["thinks"],
    }


def test_what_nobody_can_repeat_is_said(store: Store, tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match="no way to repeat what torchtune makes of a row for sft; for sft it can for messages",
    ):
        measure(export(store, "a", "torchtune", tmp_path / "out"), tokenizer)


# TRL's own trainers


def trainer_of(path: Path, tiny_model: Path, tokenizer: Any, tmp_path: Path, **settings: Any) -> Any:
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from tests.fakes.models import load

    model, _ = load(tiny_model)
    rows = datasets.load_dataset(str(path), split="train", cache_dir=str(tmp_path / "cache"))
    args = SFTConfig(
        output_dir=str(tmp_path / "sft"), max_steps=1, per_device_train_batch_size=8, report_to="none", use_cpu=True,
        bf16=False, save_strategy="no", max_length=1024, shuffle_dataset=False, **settings,
    )  # fmt: skip
    return SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


@pytest.mark.parametrize("turns, flag", [("last", "completion_only_loss"), ("all", "assistant_only_loss")])
def test_trl_trains_exactly_what_the_check_says(
    turns: Any, flag: str, store: Store, tokenizer: Any, tiny_model: Path, tmp_path: Path
) -> None:
    done = export(store, "a", "trl", tmp_path / "out", turns=turns)
    assert f"--{flag} true" in done.start and not done.refused
    trainer = trainer_of(tmp_path / "out", tiny_model, tokenizer, tmp_path, **{flag: True})
    prepared = {tuple(row["input_ids"]): row["labels"] for row in trainer.train_dataset}
    assert len(prepared) == 5
    for line in lines_of(done):
        example = MASKS["trl"](line, tokenizer, turns)
        labels = prepared[tuple(example.ids)]
        assert [label != -100 for label in labels] == example.trained, line["row_id"]
    assert trainer.train().training_loss > 0


def test_trl_prefers_and_rewards_on_exports(tokenizer: Any, tiny_model: Path, tmp_path: Path) -> None:
    from trl.rewards import accuracy_reward
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    from tests.fakes.models import load

    store = Store(tmp_path / "home")
    bad = [
        Candidate(f"r{n}", 0, 0, 0, f"It is {n}, I say.", 5, "stop", 0, Verdict(VerdictStatus.REJECTED))
        for n in range(4)
    ]
    store.commit(sums(4), "a", candidates=candidate_table(bad))
    common = {
        "max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none", "use_cpu": True, "bf16": False,
        "save_strategy": "no",
    }  # fmt: skip
    rewarded: list[float | None] = []

    def reward(completions: list[Any], solution: list[str], **columns: Any) -> list[float | None]:
        boxed = [[{"role": "assistant", "content": f"So it is {text}."}] for text in solution]
        rewarded.extend(accuracy_reward(boxed, solution))
        assert set(columns) >= {"row_id", "answer", "version"}
        return [0.0] * len(completions)

    makers: dict[str, Any] = {
        "dpo": lambda rows, m, out: DPOTrainer(
            model=m, args=DPOConfig(output_dir=out, **common), train_dataset=rows, processing_class=tokenizer
        ),
        "kto": lambda rows, m, out: KTOTrainer(
            model=m, args=KTOConfig(output_dir=out, **common), train_dataset=rows, processing_class=tokenizer
        ),
        "grpo": lambda rows, m, out: GRPOTrainer(
            model=m,
            args=GRPOConfig(output_dir=out, num_generations=2, max_completion_length=4, **common),
            train_dataset=rows,
            processing_class=tokenizer,
            reward_funcs=reward,
        ),
    }
    for objective, make in makers.items():
        export(store, "a", "trl", tmp_path / objective, objective=objective)  # pyright: ignore[reportArgumentType]
        rows = datasets.load_dataset(
            str(tmp_path / objective), split="train", cache_dir=str(tmp_path / "cache")
        )
        model, _ = load(tiny_model)
        done = make(rows, model, str(tmp_path / f"{objective}-model")).train()
        assert done.global_step == 1, objective
    assert rewarded and set(rewarded) == {1.0}


@pytest.mark.parametrize(
    "answer", ["72", "1/2", r"\frac{3}{4}", "-5", "3.50", "x^2+1", r"\boxed{7}", "12,000", "1000"]
)
def test_the_solution_is_credited_by_trls_accuracy_reward(answer: str) -> None:
    from trl.rewards import accuracy_reward

    from recast.curate.export.trainers.trl import boxed

    said = answer if r"\boxed" in answer else rf"\boxed{{{answer}}}"
    right = [{"role": "assistant", "content": f"The answer is {said}."}]
    wrong = [{"role": "assistant", "content": r"The answer is \boxed{41}."}]
    assert accuracy_reward([right, wrong], [boxed(answer) or ""] * 2) == [1.0, 0.0]
