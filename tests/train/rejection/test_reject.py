"""Rejective fine-tuning through real trainer steps on a model of some 30 thousand parameters."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from recast.curate.errors import DataError, UsageError
from recast.curate.files import read_lines
from recast.train.model.loading import load
from recast.train.rejection.audit import discrimination
from recast.train.rejection.config import RejectConfig
from recast.train.rejection.groups import _differing, encoded, groups
from recast.train.rejection.losses import margin
from recast.train.rejection.preference import preference_trainer
from recast.train.rejection.reject import RejectResult, reject
from recast.train.rejection.trainer import Measured, batch_of, eased, loss_of, measured
from recast.train.sft.objective_names import Objective
from recast.train.sft.scoring import add_scoring
from tests.fakes import models
from tests.fakes.runs import killed_at_step

FAST = {"lr": 3e-3, "epochs": 4, "batch_size": 4, "precision": "fp32", "heldout": 0.25}


def row(i: int, j: int, **changed: Any) -> dict[str, Any]:
    return {
        "row_id": f"{i}-{j}",
        "target": 0,
        "messages": [{"role": "user", "content": f"Tom has {i} apples and buys {j} more. How many?"}],
        "completion": f"Tom starts with {i} apples. {i} + {j} = {i + j}. The answer is {i + j}.",
        "decision": "rewrite",
        **changed,
    }


def candidate(i: int, j: int, k: int, text: str, status: str = "rejected", **changed: Any) -> dict[str, Any]:
    return {
        "row_id": f"{i}-{j}", "target": 0, "k": k, "attempt": 0, "text": text, "finish_reason": "stop",
        "status": status, "reason": "wrong_answer" if status == "rejected" else "", **changed,
    }  # fmt: skip


ROWS = [row(i, j) for i in range(2, 8) for j in range(1, 5)]
CANDIDATES = [
    candidate(
        i, j, k, f"Tom starts with {i} apples. {i} - {j} = {i - j}. The answer is {i - j}." + " Yes." * k
    )
    for i in range(2, 8)
    for j in range(1, 5)
    for k in range(2)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    texts = [r["completion"] for r in ROWS] + [c["text"] for c in CANDIDATES]
    return models.make_model("llama", folder, hidden=32, texts=texts, scale=1)


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory) -> RejectResult:
    return reject(ROWS, CANDIDATES, base, RejectConfig(**FAST), tmp_path_factory.mktemp("reject") / "out")


# what is learned from


def test_what_a_row_teaches():
    rows = [row(2, 1)]
    own = rows[0]["completion"]
    found, left_out = groups(
        rows,
        [
            candidate(2, 1, 0, own, "accepted"),
            candidate(2, 1, 1, "2 + 1 = 3. The answer is 3.", "accepted"),
            candidate(2, 1, 2, "2 + 1 = 4. The answer is 4."),
            candidate(2, 1, 3, "2 + 1 = 4. The answer is 4."),  # the same once more
            candidate(2, 1, 4, "The answer is 3.", reason="too_short"),
            candidate(2, 1, 5, "2 + 1", finish_reason="length", reason="no_answer"),
            candidate(2, 1, 6, "It is as it is.", "unverifiable"),
        ],
        RejectConfig(),
    )
    (group,) = found
    assert group.accepted == (own, "2 + 1 = 3. The answer is 3.")
    assert [(r.text, r.reason) for r in group.refused] == [("2 + 1 = 4. The answer is 4.", "wrong_answer")]
    assert left_out == {"too_short": 1, "length": 1}  # what they say may be right
    # two right, one wrong, one undecided, which counts as half: 2.5 of 4
    assert group.share == 0.625


def test_a_row_that_nobody_passed_keeps_the_expert_as_accepted():
    found, _ = groups([row(2, 1, decision="fallback")], [candidate(2, 1, 0, "It is 4.")], RejectConfig())
    assert found[0].by_expert
    assert found[0].accepted == (row(2, 1)["completion"],)
    assert found[0].share == 0.0


def test_there_are_at_most_so_many_candidates_of_a_row():
    many = [candidate(2, 1, k, f"It is {k + 10}.") for k in range(9)]
    found, _ = groups([row(2, 1)], many, RejectConfig(rejects_per_accepted=3))
    assert [r.k for r in found[0].refused] == [0, 1, 2]
    assert found[0].num_refused == 9


def test_rows_that_all_passed_can_be_dropped():
    passed = [candidate(2, 1, 0, "2 + 1 = 3.", "accepted")]
    failed = [candidate(3, 1, 0, "It is 5.")]
    found, left_out = groups([row(2, 1), row(3, 1)], passed + failed, RejectConfig(), drop_all_passed=True)
    assert [g.row_id for g in found] == ["3-1"]
    assert left_out == {"all_passed": 1}


def test_without_a_refused_candidate_there_is_nothing_to_learn_from():
    with pytest.raises(UsageError, match="none of the 24 rows has a rejected candidate"):
        groups(ROWS, [], RejectConfig())
    with pytest.raises(DataError, match="no rows"):
        groups([], [], RejectConfig())


def test_tokens_of_the_answer_and_those_that_are_wrong(base):
    _, tokenizer = load(base)
    found, _ = groups(ROWS[:1], CANDIDATES[:1], RejectConfig())
    (one,), _ = encoded(found, tokenizer, RejectConfig())
    right, wrong = one.said
    ids = right.example.ids[right.example.num_prompt :]
    assert tokenizer.decode(ids[right.answer[0] : right.answer[1]]).strip() == "3"
    assert right.answer[1] == len(ids) - 2  # before the full stop and the end of turn
    said = wrong.example.ids[wrong.example.num_prompt :]
    # "2 - 1 = 1. The answer is 1." beside "2 + 1 = 3. The answer is 3.": the rest stands in both
    assert [tokenizer.decode(said[i]).strip() for i in wrong.wrong] == ["-", "1", "1"]


def test_what_stands_in_any_accepted_text_is_not_wrong():
    one, other = [1, 2, 3, 4, 5], [1, 9, 3, 6, 5]
    assert _differing([1, 9, 3, 4, 5], [one]) == (1,)
    assert _differing([1, 9, 3, 7, 5], [one, other]) == (3,)
    # 3 was left out: the token in its place came too early
    assert _differing([1, 2, 4, 5], [one]) == (2,)
    assert _differing([1, 2, 3, 4, 5, 8], [one]) == (5,)
    assert _differing([1, 2, 3], [one]) == ()


# the loss of a step


def test_the_loss_of_a_group_by_hand(base):
    _, tokenizer = load(base)
    found, _ = groups(ROWS[:1], CANDIDATES[:1], RejectConfig())
    (one,), _ = encoded(found, tokenizer, RejectConfig())
    num = [s.example.num_trained for s in one.said]
    half, certain = np.log(0.5), np.log(0.01)
    # the right one at 1/2 everywhere, the wrong one at 1/2 but for its end of turn, which is implausible
    right = torch.full((num[0],), half, dtype=torch.float64)
    wrong = torch.full((num[1],), half, dtype=torch.float64)
    wrong[-1] = certain
    begun = [torch.full((n,), half, dtype=torch.float64) for n in num]
    entropy = torch.tensor([np.log(4)], dtype=torch.float64)
    said = [Measured(right, -right, entropy), Measured(wrong, -wrong, entropy[:0])]
    config = RejectConfig(margin=0.2, margin_weight=0.5, unlikelihood_weight=0.25, ambiguity_weight=0.1)
    loss, figures = loss_of(one, said, begun, config, vocabulary=16, scale=0.5)
    fell = (certain - half) / num[1]  # mean change of the refused one
    margin = max(0.0, 0.2 + fell)  # 0.2 - (0 - fell)
    unlikelihood = 0.5  # of the wrong tokens, all plausible
    ambiguity = 4 * 0.5 * 0.5 * np.log(4) / np.log(16)  # one right, one wrong
    expected = np.log(2) + 0.5 * (0.5 * margin + 0.25 * unlikelihood + 0.1 * ambiguity)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert figures["gain_refused"].item() == pytest.approx(fell)
    assert figures["ordered"].item() == 1.0
    assert figures["apart"].item() == float(-fell >= 0.2)


def test_margin_and_likelihood_are_trls_dpo_where_lengths_are_equal(base, tmp_path):
    model, tokenizer = load(base, dtype="float32")
    start, _ = load(base, dtype="float32")
    rows = [row(2, 1, completion="The answer is 3.")]
    config = RejectConfig(method="dpo", batch_size=1, precision="fp32", beta=0.5)
    data, _ = encoded(groups(rows, [candidate(2, 1, 0, "The answer is 7.")], config)[0], tokenizer, config)
    trainer = preference_trainer(
        model, tokenizer, data, [0], config,
        checkpoints=tmp_path, curve=tmp_path / "c", heldout_curve=tmp_path / "h", bf16=False, progress=None,
    )  # fmt: skip
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():  # away from the start, where every gain is 0
        for p in model.parameters():
            p += 0.05 * torch.randn(p.shape, generator=noise)
    batch = next(iter(trainer.get_train_dataloader()))
    theirs = trainer.compute_loss(trainer.model, batch).item()

    def logps(of: Any) -> torch.Tensor:
        """Of the tokens that TRL trains (2, n): the accepted text, then the refused one."""
        of.eval()
        with torch.no_grad():
            logits = of(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        ids = batch["input_ids"][:, 1:, None]
        kept = batch["completion_mask"][:, 1:].bool()
        found = torch.log_softmax(logits, -1).gather(-1, ids).squeeze(-1)
        return torch.stack([f[k] for f, k in zip(found, kept, strict=True)])  # equal lengths

    now, begun = logps(model), logps(start)
    n = now.shape[1]
    gain = (now - begun).mean(1)
    assert gain.abs().max() > 0.1
    m = 1 / (config.beta * n)
    ours = margin(gain[:1], gain[1:], m) / m - now[0].mean()
    assert ours.item() == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("method", ["rejective", "nft"])
def test_padding_and_the_company_of_other_groups_change_no_loss(base, method):
    model, tokenizer = load(base)
    model = add_scoring(model.double())
    config = RejectConfig(method=method)
    data, _ = encoded(groups(ROWS[:3], CANDIDATES[:6], config)[0], tokenizer, config)
    objective = Objective.parse("nll")
    together = measured(model, data, batch_of(data, [0, 1, 2], tokenizer.pad_token_id), objective)
    for i in range(3):
        alone = measured(model, data, batch_of(data, [i], tokenizer.pad_token_id), objective)[0]
        begun = [m.logp.detach() - 0.1 for m in alone]
        a, _ = loss_of(data[i], together[i], begun, config, 100, 1.0)
        b, _ = loss_of(data[i], alone, begun, config, 100, 1.0)
        assert a.item() == pytest.approx(b.item(), rel=1e-6)


def test_weights_are_halved_after_so_many_steps_below_the_start():
    down, up = {"gain_accepted": -0.1}, {"gain_accepted": 0.1}
    assert eased([down] * 2, 3) == 0
    assert eased([down] * 3, 3) == 1
    assert eased([down, down, up, down, down], 3) == 0  # not in a row
    assert eased([down] * 6 + [{"eval_loss": 1.0}] + [down] * 3, 3) == 3


# a run


def test_right_and_wrong_come_apart(tuned):
    before, after = (tuned.discrimination[name] for name in ("before", "after"))
    assert after["auroc"]["value"] > before["auroc"]["value"]
    assert after["auroc"]["value"] >= 0.9
    assert after["mass"]["value"] > before["mass"]["value"]
    moved = {m["kind"]: m["after"] - m["before"] for m in tuned.moved}
    assert moved["accepted"] > moved["wrong_answer"]


def test_the_audit_has_every_candidate_with_its_reason(tuned):
    table = pq.read_table(Path(tuned.out) / "audit.parquet").to_pylist()
    assert len(table) == 24 + 48
    assert sum(r["right"] for r in table) == 24
    assert {r["reason"] for r in table if not r["right"]} == {"wrong_answer"}
    assert sum(r["heldout"] for r in table) == 3 * tuned.num_heldout


def test_the_curve_has_the_terms_of_every_step(tuned):
    curve = read_lines(Path(tuned.out) / "loss.jsonl")
    assert [point["step"] for point in curve] == list(range(1, tuned.steps + 1))
    assert {"accepted", "margin", "apart", "unlikelihood", "ambiguity", "gain_accepted", "ordered"} <= curve[
        0
    ].keys()
    # the first step is taken from the start: nothing has moved yet
    assert curve[0]["gain_accepted"] == pytest.approx(0.0, abs=1e-5)
    heldout = read_lines(Path(tuned.out) / "heldout.jsonl")
    assert heldout[-1]["ordered"] >= heldout[0]["ordered"]


def test_a_finished_run_is_found_again_and_another_one_refused(base, tuned):
    again = reject(ROWS, CANDIDATES, base, RejectConfig(**FAST), tuned.out)
    assert again == tuned
    with pytest.raises(UsageError, match="finished run"):
        reject(ROWS, CANDIDATES, base, RejectConfig(**FAST, margin=0.3), tuned.out)


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_rank": 4, "lr": 1e-2},
        {"method": "nft", "micro_batch_size": 2},
        {"method": "dpo"},
        {"method": "kto", "lora_rank": 4, "lr": 1e-2},
    ],
    ids=lambda s: s.get("method", "lora"),
)
def test_other_ways_push_wrong_ones_away_too(base, tmp_path, settings):
    config = RejectConfig(**{**FAST, "epochs": 2, **settings})
    found = reject(ROWS, CANDIDATES, base, config, tmp_path / "out")
    moved = {m["kind"]: m["after"] - m["before"] for m in found.moved}
    assert moved["accepted"] > moved["wrong_answer"]
    assert found.stopped == "steps"


def test_a_killed_run_ends_in_the_same_weights(base, tuned, tmp_path):
    script = textwrap.dedent(
        f"""
        import json
        from recast.train.rejection.config import RejectConfig
        from recast.train.rejection.reject import reject
        from tests.train.rejection.test_reject import CANDIDATES, FAST, ROWS

        reject(ROWS, CANDIDATES, {str(base)!r}, RejectConfig(**FAST), {str(tmp_path / "out")!r},
               progress=lambda p: print(p["step"], flush=True))
        """
    )
    killed_at_step(script, tuned.steps // 2)
    found = reject(ROWS, CANDIDATES, base, RejectConfig(**FAST), tmp_path / "out")
    assert found.fingerprint == tuned.fingerprint
    a, b = ((Path(folder) / "model.safetensors").read_bytes() for folder in (tuned.out, tmp_path / "out"))
    assert a == b
    assert (tmp_path / "out" / "loss.jsonl").read_text() == (Path(tuned.out) / "loss.jsonl").read_text()
    assert json.loads((tmp_path / "out" / "audit.json").read_text()) == json.loads(
        (Path(tuned.out) / "audit.json").read_text()
    )


# discrimination


def test_discrimination_by_hand():
    right = [np.array([True, False]), np.array([True, False, False]), np.array([True])]
    mean = [np.array([-1.0, -2.0]), np.array([-2.0, -1.0, -3.0]), np.array([-1.0])]
    total = [np.log(np.array([0.6, 0.2])), np.log(np.array([0.1, 0.3, 0.1])), np.array([-1.0])]
    found = discrimination(right, total, mean)
    assert found is not None
    assert found["rows"] == 2  # the third has one kind alone
    # 1 of 1 pairs, 1 of 2 pairs
    assert found["auroc"]["value"] == pytest.approx(0.75)
    # 0.6 / 0.8 and 0.1 / 0.5
    assert found["mass"]["value"] == pytest.approx((0.75 + 0.2) / 2)
    # parts .75 (right), .25 (wrong) | .2 (right), .6 (wrong), .2 (wrong): bins 7, 2 (of .25 .2 .2), 6
    expected = (abs(0.75 - 1) + 3 * abs(0.65 / 3 - 1 / 3) + abs(0.6 - 0)) / 5
    assert found["error"] == pytest.approx(expected, abs=1e-4)
    assert discrimination(right[2:], total[2:], mean[2:]) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "nft", "margin": 0.3}, "reject.margin has no effect with the method nft"),
        ({"beta": 0.2}, "reject.beta has no effect with the method rejective"),
        (
            {"unlikelihood_weight": 0, "floor": 0.2},
            "reject.floor has no effect with reject.unlikelihood_weight 0",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        RejectConfig(**given).check()
