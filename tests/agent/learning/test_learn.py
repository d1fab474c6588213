"""Learning on real TRL steps: three architectures, resume after kill -9, refusals, the split."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from recast.agent.engines import probe
from recast.agent.engines.hf.engine import HFEngine
from recast.agent.learning import trl_trainer
from recast.agent.learning.config import LearnConfig
from recast.agent.learning.learn import _job, learn
from recast.agent.learning.session import Session
from recast.agent.prompts.config import PromptsConfig
from recast.agent.prompts.prompts import DEFAULT, Prompts
from recast.agent.reward.alignment import AnchorCache
from recast.curate.errors import DataError, MissingDependencyError, UsageError
from recast.curate.records import Verdict, VerdictStatus
from tests.conftest import ROOT
from tests.fakes.gates import LetterGate
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import ARCHITECTURES, load, make_model


def metrics(
    out: Path, *, without: Sequence[str] = ("seconds", "generate_seconds", "redraw_seconds")
) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in without} for line in lines]


def test_an_agent_learns_under_the_prompts_given_and_leaves_them_in_its_manifest(tmp_path: Path) -> None:
    model, tokenizer = load(make_model("llama", tmp_path / "model"))
    asked, out = Prompts(PromptsConfig(system="one two")), tmp_path / "agent"
    config = TINY.model_copy(update={"steps": 1})
    result = learn(ROWS, model, tokenizer, LetterGate(), config, out, prompts=asked)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["prompt_id"] == result.prompt_id == asked.rewrite_id != "rewrite-1"
    assert Prompts(PromptsConfig(**manifest["prompts"])).rewrite_id == asked.rewrite_id
    probed = json.loads((out / "adapter" / "probe.json").read_text())
    assert probed["prompt_id"] == asked.rewrite_id
    assert (
        sum(case["messages"][0] == {"role": "system", "content": "one two"} for case in probed["cases"]) == 3
    )
    with pytest.raises(UsageError, match="prompt_id"):
        learn(ROWS, model, tokenizer, LetterGate(), config, out)


@pytest.mark.parametrize("revision", [None, 2])
def test_a_run_that_began_before_the_reward_had_a_revision_goes_on_as_it_began(
    tmp_path: Path, revision: int | None
) -> None:
    folder, out = make_model("llama", tmp_path / "model"), tmp_path / "agent"
    config = TINY.model_copy(update={"steps": 1, "temperature": 0.5})
    job = _job(*load(folder), LetterGate(), ROWS, config, DEFAULT, None)
    before = {name: value for name, value in job.items() if name != "reward"}
    out.mkdir()
    (out / "job.json").write_text(json.dumps(job if revision else before))
    learn(ROWS, *load(folder), LetterGate(), config, out)
    assert json.loads((out / "manifest.json").read_text())["reward"] == (revision or 1)
    engine = HFEngine.load(folder, dtype="float32", device="cpu")

    def measured_at(temperature: float) -> bool:
        path = out / "anchors.jsonl"
        cache = AnchorCache(engine, engine.tokenizer, own_samples=0, temperature=temperature, path=path)
        return any(cache.knows(row) for row in ROWS)

    assert (measured_at(1.0), measured_at(0.5)) == ((False, True) if revision else (True, False))
    (out / "job.json").write_text(json.dumps({**job, "reward": 3}))
    with pytest.raises(UsageError, match="different: reward"):
        learn(ROWS, *load(folder), LetterGate(), config, out)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_agent_is_learnt_and_left_as_safetensors_with_a_manifest(
    tmp_path: Path, architecture: str
) -> None:
    from recast.agent.engines.protocol import Sampling

    folder, out = make_model(architecture, tmp_path / "model"), tmp_path / "agent"
    model, tokenizer = load(folder)
    seen: list[Mapping[str, Any]] = []
    source = {"version": "sums@v1", "version_id": "0123"}
    result = learn(ROWS, model, tokenizer, LetterGate(), TINY, out, source=source, progress=seen.append)

    assert [point["step"] for point in seen if "reward" in point] == [1, 2, 3, 4]
    assert [point["step"] for point in seen if "phase" in point] == [0, 2, 4], (
        "held-out rows take a while, too"
    )
    assert {point["total"] for point in seen} == {4} and result.steps == 4
    assert not any("lora" in name for name, _ in model.named_parameters()), "the backbone comes back plain"
    lines = metrics(out)
    assert [line["step"] for line in lines if "heldout" in line] == [0, 2, 4]
    step = next(line for line in lines if line["step"] == 1)
    shares = step["share_alignment"] + step["share_diversity"] + step["share_copy"]
    assert shares == pytest.approx(1.0) or shares == 0.0
    assert {
        "reward",
        "pass_rate",
        "nll",
        "diversity",
        "pair_distance",
        "kl",
        "loss",
        "mean_tokens",
    } <= step.keys()
    assert step["advantage_all_fail"] == 0.0

    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["backbone"] == HFEngine(model, tokenizer).fingerprint == result.backbone
    assert (manifest["gate_id"], manifest["prompt_id"]) == ("e" * 16, "rewrite-1")
    assert manifest["source"] == source
    assert manifest["adapters"]["best"]["step"] == result.best_step
    assert result.best["reward"] == max(line["heldout"]["reward"] for line in lines if "heldout" in line)

    engine = HFEngine.load(folder, adapter=out / "last", dtype="float32", device="cpu")
    prompt, greedy = [ROWS[0]["messages"]], Sampling(temperature=0.0, max_tokens=4)
    assert engine.sample(prompt, 1, greedy, seeds=[[0]], adapter=True)[0][0].token_ids
    scores = [engine.logprobs(prompt, ["The answer"], adapter=on)[0].nll for on in (True, False)]
    assert abs(scores[0] - scores[1]) > 1e-4
    assert {p.name for p in (out / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "probe.json",
    }


def test_the_same_call_again_returns_the_finished_result(tmp_path: Path) -> None:
    folder, out = make_model("llama", tmp_path / "model"), tmp_path / "agent"
    config = TINY.model_copy(update={"steps": 1})
    first = learn(ROWS, *load(folder), LetterGate(), config, out)
    written = (out / "metrics.jsonl").read_bytes()
    assert learn(ROWS, *load(folder), LetterGate(), config, out) == first
    assert (out / "metrics.jsonl").read_bytes() == written
    with pytest.raises(UsageError, match="config"):
        learn(ROWS, *load(folder), LetterGate(), config.model_copy(update={"lr": 1.0}), out)


RESUMED = TINY.model_copy(update={"steps": 6})


def learn_until_killed(folder: Path, out: Path, step: int, config: LearnConfig) -> None:
    def progress(point: Mapping[str, Any]) -> None:
        if point["step"] == step and "reward" in point:
            os.kill(os.getpid(), signal.SIGKILL)

    learn(ROWS, *load(folder), LetterGate(), config, out, progress=progress)


@pytest.mark.parametrize("redraws", [0, 1])
def test_after_kill_9_the_same_call_ends_in_the_same_adapter(tmp_path: Path, redraws: int) -> None:
    folder = make_model("llama", tmp_path / "model")
    whole, out = tmp_path / "whole", tmp_path / "killed"
    config = RESUMED.model_copy(update={"redraws": redraws})
    first = learn(ROWS, *load(folder), LetterGate(), config, whole)
    assert first.signal and first.signal["candidates"] == 16
    for step in (3, 5):  # once between checkpoints of steps 2 and 4, once after the second
        child = multiprocessing.get_context("fork").Process(
            target=learn_until_killed, args=(folder, out, step, config)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert not (out / "manifest.json").exists()
        with (out / "metrics.jsonl").open("a") as file:
            file.write('{"step": 99, "rew')  # a line cut by the kill
    assert learn(ROWS, *load(folder), LetterGate(), config, out).signal == first.signal
    for name in ("last", "adapter"):
        weights = [(run / name / "adapter_model.safetensors").read_bytes() for run in (whole, out)]
        assert weights[0] == weights[1], name
    assert metrics(out) == metrics(whole)


def test_a_run_killed_after_its_last_checkpoint_keeps_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model("llama", tmp_path / "model")
    config = TINY.model_copy(update={"steps": 2})
    whole, out = tmp_path / "whole", tmp_path / "killed"
    learn(ROWS, *load(folder), LetterGate(), config, whole)
    saved = Session._save

    def dies(session: Session, name: str) -> None:
        if name == "last":
            raise KeyboardInterrupt
        saved(session, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Session, "_save", dies)
        learn(ROWS, *load(folder), LetterGate(), config, out)
    assert list((out / "checkpoints").iterdir())
    learn(ROWS, *load(folder), LetterGate(), config, out)
    weights = [(run / "last" / "adapter_model.safetensors").read_bytes() for run in (whole, out)]
    assert weights[0] == weights[1]


def test_rewards_rise_when_the_gate_can_be_learnt(tmp_path: Path) -> None:
    folder, out = make_model("llama", tmp_path / "model"), tmp_path / "agent"
    config = TINY.model_copy(update={"steps": 12, "candidates": 8, "beta": 0.0, "eval_every": 12, "lr": 2e-2})
    learn(ROWS, *load(folder), LetterGate(), config, out)
    rates = [line["pass_rate"] for line in metrics(out) if "pass_rate" in line]
    assert sum(rates[-3:]) / 3 > sum(rates[:3]) / 3 + 0.1


def test_too_long_rows_and_rows_without_demonstration_are_skipped_and_counted(tmp_path: Path) -> None:
    model, tokenizer = load(make_model("gpt2", tmp_path / "model", max_length=256))
    long = {**ROWS[0], "row_id": "long", "demonstration": "1 " * 200}
    bare = {**ROWS[0], "row_id": "bare", "demonstration": ""}
    config = TINY.model_copy(update={"steps": 1})
    result = learn([*ROWS, long, bare], model, tokenizer, LetterGate(), config, tmp_path / "agent")
    assert result.skipped == {"too_long": 1, "no_demonstration": 1}


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    model, tokenizer = load(make_model("llama", tmp_path / "model"))
    with pytest.raises(DataError, match="prompts_per_step"):
        learn(ROWS[:3], model, tokenizer, LetterGate(), TINY, tmp_path / "agent")
    assert not (tmp_path / "agent").exists()


def test_every_prompt_is_used_before_any_comes_again_and_none_twice_in_a_step() -> None:
    from recast.agent.learning.trl_trainer import order

    config = TINY.model_copy(update={"steps": 9})
    slots = order(10, config)
    assert len(slots) == 36
    assert sorted(slots[:10]) == list(range(10))
    for step in range(9):
        assert len(set(slots[4 * step : 4 * step + 4])) == 4


def test_it_stops_when_the_held_out_reward_has_fallen_for_long(tmp_path: Path) -> None:
    class OnlyAtFirst(LetterGate):
        """Accepts everything in the first held-out measurement, nothing later."""

        calls = 0

        def verify_many(self, rows: Any, completions: Any, finish_reasons: Any = None) -> list[Verdict]:
            self.calls += 1
            status = VerdictStatus.ACCEPTED if self.calls == 1 else VerdictStatus.REJECTED
            return [Verdict(status) for _ in completions]

    config = TINY.model_copy(update={"steps": 6, "eval_every": 1, "patience": 2, "candidates": 2})
    folder = make_model("llama", tmp_path / "model")
    result = learn(ROWS, *load(folder), OnlyAtFirst(), config, tmp_path / "agent")
    assert (result.stopped, result.steps, result.best_step) == ("heldout_reward_fell", 2, 0)


def measured(*rewards: float, nll: Sequence[float] = ()) -> dict[int, dict[str, Any]]:
    """Held-out figures at steps 0, 10, 20, ..."""
    levels = nll or [0.5] * len(rewards)
    return {10 * i: {"reward": r, "nll": n} for i, (r, n) in enumerate(zip(rewards, levels, strict=True))}


def test_the_best_adapter_is_the_first_of_the_highest_reward_and_of_equal_ones_the_most_likely() -> None:
    from recast.agent.learning.heldout import best_step

    assert best_step(measured(1.0, 1.3, 1.3, 1.2)) == 10
    assert best_step(measured(1.0, 1.3, 1.3, nll=[0.5, 0.4, 0.3])) == 20


def test_the_untrained_adapter_is_the_best_only_where_all_learned_ones_have_less_reward() -> None:
    from recast.agent.learning.heldout import best_step

    assert best_step(measured(1.3, 1.3, 1.3)) == 10, "greedy rewrites that stayed as they were say nothing"
    assert best_step(measured(1.3, 1.3, 1.2, nll=[0.1, 0.2, 0.2])) == 10
    assert best_step(measured(1.3, 1.2, 1.2)) == 0


@pytest.mark.parametrize(
    ("rewards", "fallen"),
    [
        ((1.0, 1.3, 1.2, 1.2), True),
        ((1.0, 1.3, 1.2), False),  # not yet for long
        ((1.0, 1.3, 1.2, 1.3), False),  # back at its best
        ((1.3, 1.3, 1.3, 1.3), False),  # saturated is not fallen
    ],
)
def test_a_reward_has_fallen_when_it_lies_below_its_best_for_long(
    rewards: tuple[float, ...], fallen: bool
) -> None:
    from recast.agent.learning.heldout import has_fallen

    assert has_fallen(measured(*rewards), patience=2) is fallen
    assert not has_fallen(measured(*rewards), patience=None)


def test_a_run_whose_rewrites_begin_to_repeat_themselves_is_ended_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recast.agent.learning.rollouts import Rollouts

    figures = Rollouts.advantages

    def repeating(self: Rollouts, values: Sequence[float]) -> None:
        """Finds more repetition with every step."""
        figures(self, values)
        seen.append(0.02 * len(seen))
        self.figures["repetition"] = seen[-1]

    seen: list[float] = []
    monkeypatch.setattr(Rollouts, "advantages", repeating)
    folder, out = make_model("llama", tmp_path / "model"), tmp_path / "agent"
    config = TINY.model_copy(update={"steps": 12, "eval_every": 12, "candidates": 2, "beta": 0.0})
    result = learn(ROWS, *load(folder), LetterGate(), config, out)
    # there are two windows from step 10 on: 0.04 on average at first, 0.14 then
    assert (result.stopped, result.steps) == ("alarm_repetition", 10)
    assert "repeated 4-grams rose" in result.alarms["repetition"]


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install trackio"):
        learn(ROWS, None, None, LetterGate(), LearnConfig(trackers=("trackio",)), tmp_path / "agent")


def test_the_prompts_of_a_step_are_shared_among_processes_in_whole_groups() -> None:
    from recast.agent.learning.trl_trainer import arguments

    config = LearnConfig(prompts_per_step=64, candidates=8)
    given = arguments(config, Path("out"), device="cuda", bf16=True, eos_ids=[2], processes=4)
    per_device, steps = given["per_device_train_batch_size"], given["gradient_accumulation_steps"]
    assert per_device * steps * 4 == 64 * 8 and per_device % 8 == 0
    assert given["steps_per_generation"] == steps
    with pytest.raises(UsageError, match="a multiple"):
        arguments(config, Path("out"), device="cuda", bf16=True, eos_ids=[2], processes=3)


TWO = """
import json, os, sys
from pathlib import Path
from tests.fakes.gates import LetterGate
from tests.fakes.learning import ROWS, TINY
from tests.fakes.models import load
from recast.agent.learning.learn import learn
folder, out = map(Path, sys.argv[1:])
result = learn(ROWS, *load(folder), LetterGate(), TINY.model_copy(update={"steps": 2}), out)
(out / f"result-{os.environ['RANK']}.json").write_text(json.dumps(result.to_dict()))
"""


@pytest.mark.slow
def test_two_processes_learn_one_adapter_from_the_candidates_of_both(tmp_path: Path) -> None:
    folder, out = make_model("llama", tmp_path / "model"), tmp_path / "agent"
    script = tmp_path / "two.py"
    script.write_text(TWO)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, str(script), str(folder), str(out)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300)
    results = [json.loads((out / f"result-{rank}.json").read_text()) for rank in (0, 1)]
    for name in ("before", "after", "best_step", "stopped"):
        assert results[0][name] == results[1][name], name
    lines = metrics(out)
    assert [line["step"] for line in lines] == [0, 1, 2, 2], "one process writes"
    alone = tmp_path / "alone"
    learn(ROWS, *load(folder), LetterGate(), TINY.model_copy(update={"steps": 1}), alone)
    same = ("reward", "pass_rate", "nll", "groups_mixed", "unique_frac")
    first, whole = (next(line for line in m if line["step"] == 1) for m in (lines, metrics(alone)))
    assert {name: first[name] for name in same} == pytest.approx(
        {name: whole[name] for name in same}, abs=1e-4
    )


def test_a_gpu_is_given_checkpointing_bf16_and_one_prompt_a_micro_batch() -> None:
    from recast.agent.learning.trl_trainer import arguments

    config = LearnConfig(prompts_per_step=64, candidates=8)
    gpu = arguments(config, Path("out"), device="cuda", bf16=True, eos_ids=[2])
    assert (gpu["per_device_train_batch_size"], gpu["gradient_accumulation_steps"]) == (8, 64)
    assert gpu["gradient_checkpointing"] and gpu["bf16"] and not gpu["use_cpu"]
    cpu = arguments(config, Path("out"), device="cpu", bf16=False, eos_ids=[2])
    assert (cpu["per_device_train_batch_size"], cpu["gradient_accumulation_steps"]) == (512, 1)
    assert cpu["use_cpu"] and not cpu["bf16"] and not cpu["gradient_checkpointing"]
    assert cpu["report_to"] == "none" and "use_vllm" not in cpu


@pytest.mark.parametrize("vllm", ["colocate", "server"])
def test_vllm_is_passed_on_to_trl(vllm: str) -> None:
    from trl import GRPOConfig

    from recast.agent.learning.trl_trainer import arguments

    address = "http://127.0.0.1:8000" if vllm == "server" else None
    options = {"vllm": vllm, "vllm_server": address, "trackers": ("tensorboard",)}
    config = LearnConfig.model_validate(options)
    given = arguments(config, Path("out"), device="cuda", bf16=True, eos_ids=[2, 7])
    assert (given["use_vllm"], given["vllm_mode"], given["report_to"]) == (True, vllm, ["tensorboard"])
    assert (given["vllm_gpu_memory_utilization"], given["vllm_enable_sleep_mode"]) == (
        0.3,
        vllm == "colocate",
    )
    assert given["generation_kwargs"] == {"stop_token_ids": [2, 7]}
    assert given["vllm_server_base_url"] == address
    assert set(given) <= set(GRPOConfig.__dataclass_fields__)


def test_vllm_beside_the_training_is_refused_on_a_cpu_where_it_takes_no_new_weights() -> None:
    from recast.agent.learning.trl_trainer import arguments

    config = LearnConfig(vllm="colocate")
    with pytest.raises(UsageError, match=r"takes no new weights after a step: leave learn\.vllm off"):
        arguments(config, Path("out"), device="cpu", bf16=False, eos_ids=[2])


@pytest.mark.parametrize(
    "options",
    [
        {"unknown": 1},
        {"candidates": 1},
        {"prompts_per_step": 8, "micro_batch": 7},
        {"lr": 0},
        {"vllm": "server"},
    ],
)
def test_configurations_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LearnConfig(**options)


@pytest.mark.parametrize(
    ("name", "value", "where", "effective"),
    [
        ("own_samples", 3, {"mode": "typical"}, {"mode": "anchored"}),
        ("lambda_copy", 0.0, {"mode": "paper"}, {"mode": "typical"}),
        ("vllm_server", "http://127.0.0.1:8000", {"vllm": "colocate"}, {"vllm": "server"}),
        ("vllm_memory", 0.5, {"vllm": "off"}, {"vllm": "colocate"}),
    ],
)
def test_a_setting_without_effect_is_refused(
    name: str, value: Any, where: dict[str, str], effective: dict[str, str]
) -> None:
    with pytest.raises(ValidationError, match=f"{name} has no effect"):
        LearnConfig.model_validate({name: value, **where})
    assert getattr(LearnConfig.model_validate({name: value, **effective}), name) == value
    default = LearnConfig.model_fields[name].default
    assert getattr(LearnConfig.model_validate({name: default, **where}), name) == default


@pytest.mark.parametrize("loss_type", get_args(LearnConfig.model_fields["loss_type"].annotation))
def test_the_loss_does_not_depend_on_the_micro_batch(tmp_path: Path, loss_type: str) -> None:
    folder = make_model("llama", tmp_path / "model")
    ends = []
    for micro in (None, 2):
        config = TINY.model_copy(update={"steps": 1, "loss_type": loss_type, "micro_batch": micro})
        learn(ROWS, *load(folder), LetterGate(), config, tmp_path / f"agent-{micro}")
        ends.append(
            next(line["grad_norm"] for line in metrics(tmp_path / f"agent-{micro}") if "grad_norm" in line)
        )
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)


@pytest.mark.parametrize("loss_type", get_args(LearnConfig.model_fields["loss_type"].annotation))
def test_candidates_without_an_advantage_are_left_out_of_the_pass_and_change_nothing(
    tmp_path: Path, loss_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    class EvenRowsGate(LetterGate):
        """Refuses every candidate of every other row: groups without any advantage."""

        def verify_many(self, rows: Sequence[Mapping[str, Any]], *given: Any, **named: Any) -> list[Verdict]:
            refused = Verdict(VerdictStatus.REJECTED, "odd")
            verdicts = super().verify_many(rows, *given, **named)
            return [refused if int(r["row_id"]) % 2 else v for r, v in zip(rows, verdicts, strict=True)]

    config = TINY.model_copy(update={"beta": 0.0, "loss_type": loss_type, "micro_batch": 4, "steps": 2})
    folder = make_model("llama", tmp_path / "model")
    seen: list[float] = []
    real = trl_trainer.with_advantage

    def counted(inputs: dict[str, Any]) -> tuple[dict[str, Any], float]:
        kept, share = real(inputs)
        seen.append(share)
        return kept, share

    weights = []
    for name, chosen in (("part", counted), ("whole", lambda inputs: (inputs, 1.0))):
        monkeypatch.setattr(trl_trainer, "with_advantage", chosen)
        learn(ROWS, *load(folder), EvenRowsGate(), config, tmp_path / name)
        weights.append(load_file(tmp_path / name / "last" / "adapter_model.safetensors"))
    assert len(seen) == 8 and min(seen) < 1.0, "some candidate of the two steps had no advantage"
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-5), name


def test_a_falling_learning_rate_comes_to_rest(tmp_path: Path) -> None:
    folder = make_model("llama", tmp_path / "model")
    config = TINY.model_copy(update={"steps": 4, "schedule": "linear", "lr": 1e-3})
    learn(ROWS, *load(folder), LetterGate(), config, tmp_path / "agent")
    rates = [line["lr"] for line in metrics(tmp_path / "agent") if "lr" in line]
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])


def test_a_cast_of_the_passes_that_learn_reaches_nothing_else(tmp_path: Path) -> None:
    folder = make_model("llama", tmp_path / "model")
    config = TINY.model_copy(update={"steps": 1, "precision": "bf16"})
    learn(ROWS, *load(folder), LetterGate(), config, tmp_path / "agent")
    alone = HFEngine.load(folder, tmp_path / "agent" / "adapter", device="cpu")
    assert probe.check(alone, tmp_path / "agent" / "adapter") is None, (
        "what was recorded is what a job measures"
    )


@pytest.mark.parametrize(
    "precision, native, cast",
    [("auto", True, True), ("auto", False, False), ("fp32", True, False), ("bf16", False, True)],
)
def test_passes_that_learn_are_in_bf16_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, precision: Any, native: bool, cast: bool
) -> None:
    monkeypatch.setattr("recast.train.model.loading.has_fast_bf16", lambda device: native)
    assert trl_trainer.in_bf16(LearnConfig(precision=precision), "cpu") is cast
