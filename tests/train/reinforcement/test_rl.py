"""Reinforcement through real trainer steps on a model of some 30 thousand parameters."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recast.curate.errors import DataError, RefusedError, UsageError
from recast.curate.files import read_lines
from recast.pipelines.wiring.reinforcement import machinery
from recast.train.model.loading import load
from recast.train.reinforcement.config import RlConfig
from recast.train.reinforcement.rl import preflight, rl
from tests.fakes.runs import digest, killed_at_step
from tests.train.reinforcement.toys import TINY, Arms, Constant, rows, run

SHORT = {"steps": 2, "save_every": 2}


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_three_arms_are_told_apart(tmp_path: Path, tiny_model: Path, algorithm: str) -> None:
    settings: dict[str, Any] = {
        "steps": 30, "prompts_per_step": 4, "samples": 8, "max_tokens": 1, "lr": 0.03, "eval_every": 30,
        "save_every": 100, "beta": 0.0,
    }  # fmt: skip
    result = run(tiny_model, tmp_path / "out", algorithm=algorithm, **settings)
    lines = [line for line in read_lines(tmp_path / "out" / "metrics.jsonl") if "reward" in line]
    assert lines[0]["reward"] < 0.8, "at first the arms are drawn alike"
    assert sum(line["reward"] for line in lines[-5:]) / 5 >= 0.95
    assert result.best["reward"] >= 0.95


def test_a_run_leaves_a_model_with_its_curve_and_best_adapters(tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    result = run(tiny_model, out, hint="cosine", beta=0.01)
    load(out)
    assert {p.name for p in (out / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    lines = read_lines(out / "metrics.jsonl")
    assert [line["step"] for line in lines if "heldout" in line] == [0, 2, 4]
    step = next(line for line in lines if line["step"] == 1)
    assert {
        "reward",
        "kl",
        "entropy",
        "mean_tokens",
        "kinds",
        "unscored",
        "grader_errors",
        "seconds",
    } <= step.keys()
    assert sum(step["kinds"].values()) == 8
    assert len(result.kept) == 3 and result.best_step in result.kept
    assert not (out / "checkpoints").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["grader_id"] == "a" * 16
    assert run(tiny_model, out, hint="cosine", beta=0.01) == result, "the same call finds what is finished"
    with pytest.raises(UsageError, match="Choose another output folder"):
        run(tiny_model, out, hint="cosine", beta=0.02)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_a_killed_run_ends_in_the_same_weights(tmp_path: Path, tiny_model: Path, algorithm: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    hint = "none" if algorithm == "ppo" else "cosine"
    run(tiny_model, whole, algorithm=algorithm, hint=hint)
    killed_at_step(
        textwrap.dedent(f"""
            from pathlib import Path
            from recast.pipelines.wiring.reinforcement import machinery
            from recast.train.reinforcement.config import RlConfig
            from recast.train.reinforcement.rl import rl
            from tests.train.reinforcement.toys import TINY, Arms, rows
            config = RlConfig(**TINY, algorithm={algorithm!r}, hint={hint!r})
            rl(rows(), {str(tiny_model)!r}, Arms(), config, Path({str(killed)!r}), machinery(),
               lambda point: print(point["step"], flush=True))
        """),
        3,
    )
    assert (killed / "checkpoints").exists() and not (killed / "manifest.json").exists()
    run(tiny_model, killed, algorithm=algorithm, hint=hint)
    for name in ("adapter", "last"):
        assert digest(killed / name) == digest(whole / name)

    def curve(folder: Path) -> list[Any]:
        lines = read_lines(folder / "metrics.jsonl")
        return [{k: v for k, v in line.items() if "seconds" not in k} for line in lines if "reward" in line]

    assert curve(killed) == curve(whole)


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_a_run_that_ended_as_its_last_step_was_done_saves_that_step(
    tmp_path: Path, tiny_model: Path, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recast.train.reinforcement import rl as room

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(tiny_model, whole, algorithm=algorithm, **SHORT)

    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, "save_adapter", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_model, cut, algorithm=algorithm, **SHORT)
    run(tiny_model, cut, algorithm=algorithm, **SHORT)
    for name in ("adapter", "last"):
        assert digest(cut / name) == digest(whole / name)


@pytest.mark.parametrize(
    ("reward", "words", "advice"),
    [
        (0.0, "no answer earned anything", "--hint cosine"),
        (1.0, "every answer earned 1", "harder rows"),
        (None, "could say nothing of 100%", "recast grader run"),
    ],
)
def test_a_run_without_a_signal_is_refused_with_what_helps(
    tmp_path: Path, tiny_model: Path, reward: float | None, words: str, advice: str
) -> None:
    with pytest.raises(RefusedError, match=words) as refused:
        run(tiny_model, tmp_path / "out", Constant(reward), **SHORT)
    assert advice in str(refused.value)
    assert list((tmp_path / "out").iterdir()) == [], (
        "nothing was begun, so that other settings can be tried here"
    )


def test_preflight_trains_nothing(tiny_model: Path) -> None:
    found, data = preflight(rows(), tiny_model, Arms(), RlConfig(**TINY), machinery())
    assert not found.problems and 0 < found.spread <= 1 and found.lowest == 0.0 and found.highest == 1.0
    assert found.answers == found.prompts * 4 == len(data.train) * 4


def test_a_prompt_on_both_sides_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match="row 0 and row 0"):
        preflight(rows(), tiny_model, Arms(), RlConfig(**TINY), machinery(), validation=rows(1))


def test_settings_that_nothing_reads_are_refused() -> None:
    for settings, words in (
        ({"gae_lambda": 0.5}, "no effect with grpo"),
        ({"algorithm": "rloo", "loss_type": "grpo"}, "no effect with rloo"),
        ({"hint_low": 0.1}, "no effect without hints"),
        ({"samples": 1}, "set 2 or more"),
    ):
        with pytest.raises(UsageError, match=words):
            RlConfig(**settings).check()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_a_step_is_that_of_trl_as_it_comes(
    tmp_path: Path, tiny_model: Path, algorithm: str, beta: float
) -> None:
    def plain(base: Any) -> Any:
        class Plain(base):
            def __init__(self, *, on_advantages: Any, eos_ids: Any, **given: Any) -> None:
                super().__init__(**given)
                self.eos_token_ids = list(eos_ids)

        return Plain

    config = RlConfig(
        **{**TINY, "steps": 2, "algorithm": algorithm, "beta": beta, "hint": "cosine", "micro_batch": 2}
    )
    ours = machinery()
    for name, tools in (("ours", ours), ("trl", replace(ours, trainer=plain))):
        rl(rows(), tiny_model, Arms(), config, tmp_path / name, tools)
    first, second = (
        [line for line in read_lines(tmp_path / name / "metrics.jsonl") if "reward" in line]
        for name in ("ours", "trl")
    )
    for a, b in zip(first, second, strict=True):
        assert a["reward"] == b["reward"]
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3) and a["grad_norm"] > 0
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3, abs=1e-6)
        if beta:
            assert a["kl"] == pytest.approx(b["kl"], rel=1e-2, abs=1e-6)
