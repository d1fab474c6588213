"""The proof of the stages: its grid, its plan, what is kept of a cell, its figures, and a small one run whole."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from recast.curate.errors import DataError
from recast.pipelines.config import Config
from recast.pipelines.effect import cells
from recast.pipelines.effect.chains import measurements, plan, proof, table
from recast.pipelines.effect.chains.grid import (
    DEMONSTRATIONS,
    NOISE,
    OWN_ANSWERS,
    QUICK,
    REJECT,
    RL,
    SETTINGS,
    SFT,
    WARM_UP,
    Cell,
    Chain,
    ChainGrid,
)
from recast.pipelines.effect.chains.measurements import Measurement, measured
from recast.pipelines.effect.chains.subject import pocket_world
from recast.pipelines.run import stages
from recast.train.evaluation.results import EvalResult, ItemResult, Outcome

SMALL = ChainGrid(rows=20, target_items=8, disturbed_items=4, general_items=2, samples=2, seeds=1)


def test_the_default_grid_is_the_one_that_was_fixed() -> None:
    chains = ChainGrid().chains()
    # nine ways with right and with noisy labels, six on demonstrations, four on a tenth of the rows; three seeds
    counted = Counter((chain.data, chain.noise, chain.share) for chain in chains)
    assert list(counted.values()) == [9, 9, 6, 4]
    cells = ChainGrid().cells()
    assert len(cells) == 84 and [cell.seed for cell in cells] == [0] * 28 + [1] * 28 + [2] * 28
    assert len({chain.name for chain in chains}) == len(chains)
    assert len({(chain.label, chain.rows) for chain in chains}) == len(chains)
    assert SETTINGS["rl"]["rl"]["steps"] == SETTINGS["ppo"]["rl"]["steps"], "reward at equal steps"
    answers = [
        SETTINGS["rl"]["rl"]["prompts_per_step"] * SETTINGS["rl"]["rl"]["samples"],
        SETTINGS["ppo"]["rl"]["prompts_per_step"],
    ]
    assert answers == [32, 32]


def test_every_chain_stands_in_one_section_of_the_table() -> None:
    for chain in ChainGrid().chains():
        assert sum(bool(holds(chain)) for _, holds in table.SECTIONS) >= 1
    asked = [c for _, first, second in table.questions() for c in (first, second)]
    assert set(asked) <= set(ChainGrid().chains()), "what is asked is measured"


def test_what_chains_share_is_made_once(tmp_path: Path) -> None:
    subject = pocket_world(tmp_path, SMALL)
    cells = SMALL.cells()
    planned = stages.Plan.of(plan.stages(cells, subject, SMALL, "pocket"))
    by_name = {stage.name: stage for stage in planned.stages}
    made = Counter(stage.verb for stage in planned.stages)
    # clean and noisy; two evaluations of every chain and of the backbone
    assert (made["import"], made["learn"], made["rewrite"]) == (2, 2, 2)
    assert made["eval"] == 2 * (len(cells) + 1)
    after = by_name["sft-rl-on-rewrites-n0-0"]
    assert (
        after.args["model"] == "${sft-on-rewrites-n0-0.out}"
        and after.args["name"] == "${rewrites-n0-0.version}"
    )
    assert by_name["rl-on-rewrites-n20-0"].args["name"] == "${import-n20-0.version}", (
        "whoever answered the prompts"
    )
    own = by_name["rl-reject-on-rewrites-n0-0"]
    assert own.args["grader"] and own.config["reject"]["none_passed"] == "drop"
    assert "grader" not in by_name["reject-on-rewrites-n0-0"].args, "candidates lie beside the rewrites"
    assert by_name["reject-on-demonstrations-n0-0"].config["reject"]["samples"] == 4
    few = by_name["sft-on-rewrites-n0-s10-0"]
    assert few.args["limit"] == 2  # a tenth of 20 rows
    high = by_name["sft0-001-rl-on-demonstrations-n0-0"]
    assert high.args["model"] == "${sft0-001-on-demonstrations-n0-0.out}"
    assert by_name["sft0-001-on-demonstrations-n0-0"].config["sft"]["lr"] == 1e-3
    assert all(stages.REFERENCE.fullmatch(f"${{{name}.out}}") for name in by_name)


def evaluation(right: dict[str, int], num: int = 40, samples: int = 0) -> EvalResult:
    """`right`: suite -> how many of its first items are right; of samples to a right item half are."""
    items = [
        ItemResult(
            suite, str(i), suite, Outcome.RIGHT if i < n else Outcome.WRONG, None, "", "a b", None,
            samples=tuple([Outcome.RIGHT, Outcome.WRONG] * (samples // 2)) if i < n else (Outcome.WRONG,) * samples,
        )
        for suite, n in right.items()
        for i in range(num)
    ]  # fmt: skip
    return EvalResult("m", tuple(items))


def record(name: str, craft: int, general: int, badly: int = 10, **changed: object) -> Measurement:
    one = measured(
        name,
        "f" * 16,
        [evaluation({"craft": craft}, samples=2), evaluation({"general": general, "disturbed": badly})],
        tokens=20.0,
        reply_seconds=0.01,
        validation=[
            {"step": 0, "heldout": {"reward": 0.1}},
            {"step": 1, "reward": 0.5},
            {"step": 10, "heldout": {"reward": 0.4}},
        ],
        seconds=100.0,
    )  # fmt: skip
    return one


def test_a_line_of_a_cell_says_all_that_its_figures_need(tmp_path: Path) -> None:
    one = record("a", craft=10, general=30)
    assert one.outcomes["craft/craft"] == "R" * 10 + "W" * 30
    assert one.sampled == [1] * 10 + [0] * 30 and one.samples == 2
    assert one.validation == [(0, 0.1), (10, 0.4)]
    cells.append(tmp_path / "cells.jsonl", one)
    assert measurements.read(tmp_path / "cells.jsonl", {"a": "f" * 16}) == {"a": one}
    assert measurements.read(tmp_path / "cells.jsonl", {"a": "0" * 16}) == {}, (
        "of other settings nothing counts"
    )
    assert measurements.read(tmp_path / "cells.jsonl", {"b": "f" * 16}) == {}, "nor does another cell"
    (tmp_path / "other.jsonl").write_text('{"name": "a"}\n')
    with pytest.raises(DataError, match="line 1 is no measurement"):
        measurements.read(tmp_path / "other.jsonl", {"a": "f" * 16})


def test_a_changed_setting_asks_anew_for_the_cells_that_have_it(tmp_path: Path, monkeypatch) -> None:
    subject, config = pocket_world(tmp_path, SMALL), Config()
    asked = proof.measured_on(SMALL, subject, "pocket")
    before = proof.marks(SMALL, subject, "pocket", config, asked)
    assert before.keys() == {"base", *(cell.name for cell in SMALL.cells())}
    assert len(set(before.values())) == len(before)
    monkeypatch.setitem(SETTINGS, REJECT, {"reject": {**SETTINGS[REJECT]["reject"], "batch_size": 8}})
    after = proof.marks(SMALL, subject, "pocket", config, asked)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {cell.name for cell in SMALL.cells() if REJECT in cell.chain.steps}
    # another gate decides what is rewritten: what is learned from the rewrites is asked anew, RL on bare prompts is not
    gated = proof.marks(SMALL, subject, "pocket", Config.of({"gate": "math"}), asked)
    kept = {name for name in before if after[name] == gated[name]}
    assert {"base", Cell(Chain((RL,)), 0).name} <= kept and Cell(Chain((SFT,)), 0).name not in kept
    assert Cell(Chain((SFT,), DEMONSTRATIONS), 0).name in kept


def test_figures_of_a_chain_by_hand() -> None:
    base = record("base", craft=2, general=40, badly=0)
    runs = {Chain((SFT,)): {0: record("s", craft=20, general=30, badly=10)}}
    (found,) = table.chain_results(base, runs)
    assert found.downstream.value == 50.0 and found.forgetting.value == 25.0
    assert found.disturbed.value == 25.0
    assert found.correct.value == 25.0  # half of the questions, half of the answers to each
    assert found.validation == [(0, 0.1), (10, 0.4)]


def test_a_difference_is_over_the_seeds_that_both_have() -> None:
    base = record("base", craft=0, general=40)
    first, second = Chain((SFT,)), Chain((SFT, RL))
    runs = {
        first: {0: record("a", 10, 40), 1: record("b", 12, 40), 2: record("c", 0, 0)},
        second: {0: record("d", 18, 30), 1: record("e", 20, 30)},
    }
    found = table.difference("?", base, runs, first, second)
    assert found is not None and found.num_seeds == 2
    assert found.downstream.value == pytest.approx(20.0) and found.forgetting.value == pytest.approx(25.0)
    # in both seeds 8 of 40 questions more, half of the answers to each: no spread at all
    assert (found.correct.value, found.correct.low) == (pytest.approx(10.0), pytest.approx(10.0))
    assert table.difference("?", base, runs, Chain((REJECT,)), second) is None


def test_bounds_hold_fail_or_are_not_measured() -> None:
    base = record("base", craft=0, general=40)
    noisy, led = Chain((SFT,), noise=NOISE), Chain((REJECT, RL), noise=NOISE)
    warm, reft = Chain((WARM_UP,)), Chain((WARM_UP, "ppo"))
    runs = {
        noisy: {0: record("a", 20, 40)},
        led: {0: record("b", 24, 40)},
        warm: {0: record("c", 10, 40)},
        reft: {0: record("d", 10, 40)},
    }
    # 4 of 40 questions are 10 points; the same answers differ in nothing; RL alone was not run
    assert [(b.held) for b in table.bounds(base, runs)] == [True, False]
    runs[Chain((RL,))] = {0: record("e", 20, 40)}
    assert table.bounds(base, runs)[-1].held is True
    assert table.bounds(base, {})[0].found == "not measured"


@pytest.mark.slow
def test_a_small_proof_goes_on_from_what_was_measured(
    recast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = [Chain((SFT,)), Chain((SFT, RL)), Chain((REJECT,), DEMONSTRATIONS)]
    monkeypatch.setattr(ChainGrid, "chains", lambda self: chains)
    short = {"steps": 1, "prompts_per_step": 2, "samples": 2, "max_tokens": 16, "heldout_rows": 2}
    monkeypatch.setitem(SETTINGS, RL, {"rl": short})
    monkeypatch.setitem(OWN_ANSWERS, "max_tokens", 96)  # an answer that is cut is not learned from
    sets = [
        p
        for s in ("learn.steps=1", "learn.prompts_per_step=2", "learn.candidates=2", "learn.heldout_rows=2")
        for p in ("--set", s)
    ]
    said = recast("effect", "--stages", "--quick", "-o", "proof", "-j", "1", *sets, "--json")
    assert said.code == 0, said.err
    assert said.json["models"] == 3
    lines = [json.loads(x) for x in (tmp_path / "proof" / "cells.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["base", *(Cell(c, 0).name for c in chains)]
    text = (tmp_path / "proof" / "table.md").read_text()
    assert "| SFT, then RL |" in text and "rewrites against demonstrations" not in text
    monkeypatch.setattr(proof.stages, "run", lambda *a, **k: pytest.fail("nothing is left to run"))
    again = recast(
        "effect", "--stages", "--quick", "-o", "anew", "--cells", "proof/cells.jsonl", *sets, "--json"
    )
    assert again.code == 0 and again.json["arms"] == said.json["arms"]


def test_options_of_the_other_proof_are_refused(recast) -> None:
    for extra in (("--study",), ("--lr", "1e-3"), ("-m", "pocket", "-m", "pocket-small")):
        said = recast("effect", "--stages", *extra)
        assert said.code == 2 and "has no effect with --stages" in said.err
    said = recast("effect", "--stages", "--set", "rl.lr=1e-2")
    assert said.code == 2 and "section rl is decided by the grid" in said.err
    assert QUICK.seeds == 1
