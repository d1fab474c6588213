"""SFT through real TRL steps on a model of some 30 thousand parameters."""

from __future__ import annotations

import json
import random
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from recast.curate.chat import encode, end_of_turn
from recast.curate.curation.split import held_out, parted
from recast.curate.errors import DataError, UsageError
from recast.curate.files import read_lines
from recast.train.model.loading import load
from recast.train.sft.config import SftConfig
from recast.train.sft.examples import IGNORED, Example, collate, order, tokenize
from recast.train.sft.mixture import Source, rows_per_epoch, stream
from recast.train.sft.scoring import add_scoring, mean_nll
from recast.train.sft.sft import SftResult, sft
from tests.fakes import models
from tests.fakes.finetuning import FAST, OTHERS, ROWS
from tests.fakes.runs import killed_at_step


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    return models.make_model("llama", folder, hidden=32, texts=[r["completion"] for r in ROWS], scale=1)


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory) -> SftResult:
    return sft(ROWS, base, SftConfig(**FAST), tmp_path_factory.mktemp("sft") / "out", data_ref="rows@v1")


def weights(folder):
    from safetensors.torch import load_file

    return load_file(Path(folder) / "model.safetensors")


def summed_nll(model, batch):
    """Sum of -log p over the trained tokens, nats."""
    return -add_scoring(model)(**batch, needs=frozenset()).logp.sum()


def same(a, b) -> bool:
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(a[k].equal(b[k]) for k in a)


def test_the_trained_tokens_are_those_that_scoring_sees(base):
    _, tokenizer = load(base)
    examples, too_long = tokenize(ROWS[:3], tokenizer, 512)
    assert too_long == 0
    for row, example in zip(ROWS, examples, strict=False):
        prompt, completion = encode(tokenizer, row["messages"], row["completion"])
        assert example.ids == prompt + completion
        assert [t for t in example.labels if t != IGNORED] == completion
        assert example.labels[-1] == tokenizer.eos_token_id


def test_labels_and_padding_by_hand():
    batch = collate([Example([1, 2, 3, 4], 2), Example([5, 6], 1)], pad_id=0)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 3, 4], [-100, 6, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_the_loss_is_the_sum_over_trained_tokens_only(base):
    import torch

    model, tokenizer = load(base)
    examples, _ = tokenize(ROWS[:4], tokenizer, 512)
    batch = collate(examples, tokenizer.pad_token_id)
    expected = 0.0
    for e in examples:  # one row at a time, in float64, no padding
        logits = model.double()(input_ids=torch.tensor([e.ids])).logits[0]
        logp = logits.log_softmax(-1)
        expected -= sum(logp[t - 1, e.ids[t]].item() for t in range(e.num_prompt, len(e.ids)))
    assert summed_nll(model.float(), batch).item() == pytest.approx(expected, rel=1e-5)
    count = sum(e.num_trained for e in examples)
    mean = mean_nll(model, examples, pad_id=0, batch_size=3, bf16=False)
    assert mean == pytest.approx(expected / count, rel=1e-5)


def test_no_gradient_flows_from_prompt_tokens(base):
    """The loss of a row must not change when another token stands in a prompt position's label."""
    import torch

    model, tokenizer = load(base)
    examples, _ = tokenize(ROWS[:1], tokenizer, 512)
    embedded = model.get_input_embeddings()
    batch = collate(examples, tokenizer.pad_token_id)
    summed_nll(model, batch).backward()
    grad = embedded.weight.grad
    # tied embeddings: a token that occurs in no input and no target gets gradient through the softmax only;
    # the logits that enter the softmax are those of completion positions, one a trained token
    hidden = model.model(input_ids=batch["input_ids"]).last_hidden_state[0]
    first = examples[0].num_prompt - 1
    p = (hidden[first:-1] @ embedded.weight.T).softmax(-1)
    unused = next(t for t in range(len(tokenizer)) if t not in examples[0].ids)
    assert torch.allclose(grad[unused], p[:, unused] @ hidden[first:-1], atol=1e-5)


def test_the_loss_equals_that_of_trl(base, tmp_path):
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load(base)
    examples, _ = tokenize(ROWS[:4], tokenizer, 512)
    batch = collate(examples, tokenizer.pad_token_id)
    ours = summed_nll(model, batch) / (batch["labels"] != IGNORED).sum()
    data = Dataset.from_dict({"input_ids": [e.ids for e in examples], "labels": [e.labels for e in examples]})
    args = SFTConfig(
        str(tmp_path), bf16=False, use_cpu=True, report_to="none", max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    trainer = SFTTrainer(model, args, train_dataset=data, processing_class=tokenizer)
    assert trainer.model is model
    theirs = trainer.compute_loss(model.train(), dict(batch))
    assert torch.allclose(ours, theirs, rtol=1e-5)


def test_every_row_is_seen_once_an_epoch_in_batches_of_like_length():
    lengths = [(7 * i) % 50 for i in range(103)]

    def positions(seed: int) -> list[int]:
        drawn = stream([103], [None], epochs=3, seed=seed).tolist()
        assert [sorted(drawn[n : n + 103]) for n in (0, 103, 206)] == [list(range(103))] * 3
        return order(lengths, drawn, batch_size=4, seed=seed)

    seen = positions(1)
    assert sorted(seen) == sorted(list(range(103)) * 3)
    assert seen == positions(1) != positions(2)
    batches = [[lengths[i] for i in seen[n : n + 4]] for n in range(0, len(seen), 4)]
    padding = sum(max(b) * len(b) - sum(b) for b in batches) / sum(map(sum, batches))
    assert padding < 0.06  # random batches of these lengths pad by about 0.6
    assert [len(b) for b in batches[:-1]] == [4] * (len(batches) - 1)


def test_a_weight_is_rows_for_each_row_of_the_first_source_and_all_get_their_turn():
    # 10 rows, 0.3 x 10 = 3 of the 7 others an epoch, and all 4 of the third; epochs of 17
    drawn = stream([10, 7, 4], [None, 0.3, None], epochs=7, seed=0).reshape(7, 17)
    for epoch in drawn:
        assert sorted(i for i in epoch if i < 10) == list(range(10))
        assert sum(10 <= i < 17 for i in epoch) == 3
        assert sorted(i for i in epoch if i >= 17) == list(range(17, 21))
    dealt = [i for epoch in drawn for i in epoch if 10 <= i < 17]  # 21 = three times through the 7
    assert sorted(dealt) == sorted(list(range(10, 17)) * 3)
    assert len(set(dealt[:6])) == 6  # two epochs share none
    assert rows_per_epoch([10, 7], [None, 2.0]) == [10, 20] and rows_per_epoch([10, 7], [None, 0.01])[1] == 1


def test_a_source_is_read_with_or_without_its_weight():
    assert (
        Source.parse("general:0.2") == Source("general", 0.2) and str(Source("general", 0.2)) == "general:0.2"
    )
    assert Source.parse("craft@v3") == Source("craft@v3", None)
    for text in ("craft:0", "craft:lots", ":0.5", "craft:-1"):
        with pytest.raises(UsageError, match=r"a weight above 0, as in general:0\.2"):
            Source.parse(text)


def test_training_lowers_the_loss_from_that_of_the_untouched_model(base, tuned):
    model, tokenizer = load(base)
    examples, _ = tokenize(ROWS, tokenizer, 2048)
    assert tuned.start_loss == pytest.approx(
        mean_nll(add_scoring(model), examples, pad_id=tokenizer.pad_token_id, batch_size=7, bf16=False),
        rel=1e-4,
    )
    assert tuned.final_loss < 0.9 * tuned.start_loss
    after, _ = load(tuned.out)
    assert mean_nll(add_scoring(after), examples, pad_id=0, batch_size=8, bf16=False) < 0.9 * tuned.start_loss


def test_the_manifest_says_what_went_in_and_the_folder_is_a_model(base, tuned):
    out = Path(tuned.out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["data"] == "rows@v1" and manifest["num_rows"] == 24 and manifest["num_too_long"] == 0
    assert manifest["steps"] == 12  # 2 epochs x 24 rows / 4
    assert SftResult(**manifest) == tuned
    curve = read_lines(out / "loss.jsonl")
    assert [p["step"] for p in curve] == list(range(1, 13)) and curve[-1]["epoch"] == 2
    assert not (out / "checkpoints").exists()
    _, tokenizer = load(out)
    assert tokenizer.chat_template == models.CHAT_TEMPLATE


def test_a_finished_run_is_returned_and_another_is_refused(base, tuned):
    assert sft(ROWS, base, SftConfig(**FAST), tuned.out) == tuned
    assert sft(ROWS, base, SftConfig(**FAST, checkpoints=1), tuned.out) == tuned  # the same weights
    with pytest.raises(UsageError, match="holds the finished run"):
        sft(ROWS, base, SftConfig(**FAST, seed=1), tuned.out)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(base, tuned, tmp_path):
    table = pa.Table.from_pylist([r | {"messages": json.dumps(r["messages"])} for r in ROWS])
    again = sft(table, base, SftConfig(**FAST), tmp_path / "again")
    assert same(again.out, tuned.out) and again.fingerprint == tuned.fingerprint
    other = sft(ROWS, base, SftConfig(**FAST, seed=3), tmp_path / "other")
    assert not same(other.out, tuned.out)


def test_accumulated_gradients_are_those_of_the_whole_batch(base, tuned, tmp_path):
    import torch

    split = sft(ROWS, base, SftConfig(**FAST, micro_batch_size=2), tmp_path / "split")
    a, b = weights(split.out), weights(tuned.out)
    assert all(torch.allclose(a[k], b[k], atol=1e-4) for k in a)


def test_saved_in_the_dtype_that_came_in(base, tmp_path):
    import torch

    model, tokenizer = load(base, dtype="bfloat16")
    model.save_pretrained(tmp_path / "bf16")
    tokenizer.save_pretrained(tmp_path / "bf16")
    result = sft(ROWS[:8], tmp_path / "bf16", SftConfig(**{**FAST, "epochs": 1}), tmp_path / "out")
    assert result.dtype == "bfloat16"
    assert {t.dtype for t in weights(result.out).values()} == {torch.bfloat16}


@pytest.mark.parametrize("lora_rank", [None, 4])
def test_the_tuned_model_stops_at_its_templates_end_of_turn_in_other_tools(base, tmp_path, lora_rank):
    from transformers import GenerationConfig

    model, tokenizer = load(base)
    other = tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert end_of_turn(tokenizer) != other
    model.generation_config.eos_token_id = other  # as Gemma's base models name <eos> alone
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    config = SftConfig(**{**FAST, "epochs": 1}, lora_rank=lora_rank)
    result = sft(ROWS[:8], tmp_path / "base", config, tmp_path / "out")
    saved = GenerationConfig.from_pretrained(result.out)
    assert set(saved.eos_token_id) == {end_of_turn(tokenizer), other}


def test_a_mixture_of_experts_keeps_what_its_config_says_of_routing(tmp_path):
    # a model that returns its routing computes a loss of it, which fails beside a cache
    folder = models.make_model("gpt_oss", tmp_path / "base", max_length=256)
    result = sft(ROWS[:4], folder, SftConfig(**{**FAST, "epochs": 1}), tmp_path / "out")
    before, after = (json.loads((Path(f) / "config.json").read_text()) for f in (folder, result.out))
    names = ("output_router_logits", "router_aux_loss_coef")
    assert [after[name] for name in names] == [before[name] for name in names] == [False, 0.001]


def test_lora_leaves_a_merged_model_and_its_adapter(base, tmp_path):
    result = sft(ROWS, base, SftConfig(**FAST, lora_rank=4), tmp_path / "out")
    before, after = weights(base), weights(result.out)
    assert before.keys() == after.keys()
    assert before["model.embed_tokens.weight"].equal(after["model.embed_tokens.weight"])
    assert not before["model.layers.0.mlp.up_proj.weight"].equal(after["model.layers.0.mlp.up_proj.weight"])
    assert (Path(result.out) / "adapter" / "adapter_model.safetensors").exists()
    assert result.final_loss < result.start_loss


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "gpt_oss", "falcon"])
def test_other_architectures_train(architecture, tmp_path):
    folder = models.make_model(architecture, tmp_path / "m", hidden=32, scale=1)
    result = sft(ROWS[:8], folder, SftConfig(**{**FAST, "precision": "bf16", "epochs": 4}), tmp_path / "out")
    assert result.final_loss < result.start_loss


def test_rows_longer_than_allowed_are_left_out_and_counted(base, tmp_path):
    long = {**ROWS[0], "completion": ROWS[0]["completion"] * 20}
    config = SftConfig(**{**FAST, "epochs": 1, "max_length": 200})
    result = sft([*ROWS[:4], long], base, config, tmp_path / "out")
    assert (result.num_rows, result.num_too_long) == (4, 1)
    with pytest.raises(DataError, match="all 1 rows are longer than max_length=200"):
        sft([long], base, config, tmp_path / "none")
    with pytest.raises(DataError, match="no rows to train on"):
        sft([], base, config, tmp_path / "none")


def test_options_without_effect_are_refused():
    with pytest.raises(ValueError, match="no effect without lora_rank"):
        SftConfig(lora_alpha=8)
    with pytest.raises(ValueError, match="no multiple"):
        SftConfig(batch_size=16, micro_batch_size=3)


KILLED = textwrap.dedent(
    """
    import sys, os
    sys.path.insert(0, {root!r})
    from tests.fakes.finetuning import FAST, ROWS
    from recast.train.sft.config import SftConfig
    from recast.train.sft.sft import sft

    def progress(point):
        print(point["step"], flush=True)

    sft(ROWS, {base!r}, SftConfig(**FAST, checkpoints=4), {out!r}, progress)
    """
)


def test_killed_and_resumed_the_weights_equal_those_of_an_uninterrupted_run(base, tuned, tmp_path):
    out = tmp_path / "out"
    root = Path(__file__).parents[3]
    script = KILLED.format(root=str(root), base=str(base), out=str(out))
    killed_at_step(script, 8)  # past the checkpoints of steps 3 and 6
    assert not (out / "manifest.json").exists()
    steps: list[int] = []
    result = sft(ROWS, base, SftConfig(**FAST, checkpoints=4), out, lambda p: steps.append(p["step"]))
    assert steps[0] > 1, "it began anew"
    assert same(out, tuned.out)
    assert [p["step"] for p in read_lines(out / "loss.jsonl")] == list(range(1, 13))
    assert result.start_loss == tuned.start_loss


MIXED = {"objective": "deft", "dropout": 0.1, "weight_decay": 0.1}


@pytest.fixture(scope="module")
def mixed(base, tmp_path_factory) -> SftResult:
    config = SftConfig(**FAST, **MIXED)
    return sft(ROWS, base, config, tmp_path_factory.mktemp("mixed") / "out", mixed=[(OTHERS, 0.5)])


def test_a_mixture_trains_its_share_and_says_so(mixed):
    # 24 rows and 12 of the others, twice: 72 rows in batches of 4
    assert (mixed.num_rows, mixed.steps) == (64, 18)
    assert mixed.config["objective"] == "deft" and mixed.final_loss < mixed.start_loss


@pytest.mark.parametrize(
    ("setting", "value"),
    [("objective", "cayley"), ("dropout", 0.0), ("weight_decay", 0.0), ("weight", 0.25)],
)
def test_every_setting_of_a_mixture_changes_the_weights(setting, value, base, mixed, tmp_path):
    settings = {**FAST, **MIXED, **({} if setting == "weight" else {setting: value})}
    share = value if setting == "weight" else 0.5
    other = sft(ROWS, base, SftConfig(**settings), tmp_path / "out", mixed=[(OTHERS, share)])
    assert other.fingerprint != mixed.fingerprint and not same(other.out, mixed.out)


@pytest.mark.parametrize(
    "objective", ["nll", "p", "dft", "general:0.5", "tsallis:0.5", "cayley", "deft", "eaft"]
)
@pytest.mark.parametrize("rank", [None, 4])
def test_every_objective_trains_whole_models_and_loras(objective, rank, base, tmp_path):
    config = SftConfig(**{**FAST, "lr": 1e-2}, objective=objective, lora_rank=rank)
    result = sft(ROWS, base, config, tmp_path / "out")
    assert result.final_loss < result.start_loss
    points = read_lines(tmp_path / "out" / "loss.jsonl")
    weighs = objective in ("dft", "eaft")
    assert all(("exponent" in p) is not weighs for p in points)
    assert all(0 < p["p"] < 1 and 0 < p["concentration"] < 1 and p["gate"] > 0 for p in points)


def test_training_stops_where_held_out_rows_stop_improving_and_keeps_the_best(base, tmp_path):
    # numbers drawn at random can only be learned by heart: the held-out loss falls, then rises
    draw = random.Random(0)
    noise = [row | {"completion": str(draw.randrange(10**11, 10**12))} for row in ROWS]
    settings = {**FAST, "lr": 2e-2, "epochs": 15, "heldout": 0.25, "evaluations": 15}
    result = sft(noise, base, SftConfig(**settings, patience=2), tmp_path / "out")
    points = read_lines(tmp_path / "out" / "heldout.jsonl")
    losses = [p["loss"] for p in points]
    best = losses.index(min(losses))
    # 4 of the 24 rows are held out by their ids, so 15 epochs are 75 steps of 4
    assert result.num_heldout == 4 and result.steps == points[best + 2]["step"] == points[-1]["step"] < 75
    assert result.best_step == points[best]["step"] and result.heldout_loss == losses[best]
    model, tokenizer = load(result.out)
    examples, _ = tokenize(noise, tokenizer, 512)
    assert _nll(model, _heldout(examples, result), tokenizer) == pytest.approx(losses[best], rel=1e-3)
    whole = sft(noise, base, SftConfig(**settings), tmp_path / "whole")  # measured, not stopped
    assert (whole.steps, whole.best_step) == (75, None)
    assert (
        whole.heldout_loss == read_lines(tmp_path / "whole" / "heldout.jsonl")[-1]["loss"]
    )  # of the last weights


def _nll(model, examples, tokenizer) -> float:
    return mean_nll(add_scoring(model), examples, pad_id=tokenizer.pad_token_id, batch_size=4, bf16=False)


def _heldout(examples, result):
    return parted(examples, held_out([e.row_id for e in examples], result.config["heldout"]))[1]


def test_settings_that_would_have_no_effect_are_refused(base, tmp_path):
    with pytest.raises(ValueError, match="patience has no effect without heldout"):
        SftConfig(patience=2)
    with pytest.raises(ValueError, match="there are nll, p, dft"):
        SftConfig(objective="hinge")
    with pytest.raises(DataError, match="cannot be split"):
        sft(ROWS[:1], base, SftConfig(**FAST, heldout=0.5), tmp_path / "one")


RESUMED = textwrap.dedent(
    """
    import sys
    sys.path.insert(0, {root!r})
    from tests.fakes.finetuning import FAST, OTHERS, ROWS
    from recast.train.sft.config import SftConfig
    from recast.train.sft.sft import sft

    def progress(point):
        print(point["step"], flush=True)

    sft(ROWS, {base!r}, SftConfig(**{settings!r}), {out!r}, progress, mixed=[(OTHERS, 0.5)])
    """
)
STOPPING = {
    **FAST,
    "lr": 2e-2,
    "epochs": 8,
    "heldout": 0.25,
    "evaluations": 8,
    "patience": 1,
    "objective": "cayley",
}
ROUNDS = [
    ({**FAST, **MIXED, "checkpoints": 5}, 7),
    ({**FAST, "objective": "eaft", "lora_rank": 4, "dropout": 0.2, "checkpoints": 5}, 11),
    (STOPPING, 12),
]


def killed_at(step: int, base: Path, out: Path, settings: dict) -> None:
    root = str(Path(__file__).parents[3])
    script = RESUMED.format(root=root, base=str(base), out=str(out), settings=settings)
    killed_at_step(script, step)


def goes_on_to_the_same_weights(settings: dict, step: int, base: Path, folder: Path) -> None:
    config = SftConfig(**settings)
    whole = sft(ROWS, base, config, folder / "whole", mixed=[(OTHERS, 0.5)])
    killed_at(step, base, folder / "cut", settings)
    assert not (folder / "cut" / "manifest.json").exists()
    result = sft(ROWS, base, config, folder / "cut", mixed=[(OTHERS, 0.5)])
    assert same(whole.out, result.out)
    assert (result.steps, result.best_step, result.start_loss) == (
        whole.steps,
        whole.best_step,
        whole.start_loss,
    )
    assert (folder / "whole" / "telemetry.json").read_text() == (
        folder / "cut" / "telemetry.json"
    ).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "step"), [ROUNDS[0], ROUNDS[2]])
def test_objectives_and_mixtures_resume_to_the_same_weights(settings, step, base, tmp_path):
    goes_on_to_the_same_weights(settings, step, base, tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("number", range(12))
def test_killed_at_any_step_the_weights_are_the_same(number, base, tmp_path):
    settings, _ = ROUNDS[number % len(ROUNDS)]
    goes_on_to_the_same_weights(settings, random.Random(number).randint(1, 16), base, tmp_path)


def test_a_run_killed_after_it_decided_to_stop_makes_no_further_step(base, tmp_path):
    config = SftConfig(**STOPPING)
    whole = sft(ROWS, base, config, tmp_path / "whole")
    cut = tmp_path / "cut"

    class Killed(Exception):
        pass

    import recast.train.sft.sft as module

    def die(*args, **kwargs):
        raise Killed

    kept, module.save = module.save, die  # the moment between the last checkpoint and the weights
    try:
        with pytest.raises(Killed):
            sft(ROWS, base, config, cut)
    finally:
        module.save = kept
    steps: list[int] = []
    result = sft(ROWS, base, config, cut, lambda p: steps.append(p["step"]))
    assert not steps and same(cut, whole.out) and result.steps == whole.steps


def write(path: Path, rows: list[dict]) -> None:
    lines = ({"question": r["messages"][0]["content"], "solution": r["completion"]} for r in rows)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def two_versions(recast, tmp_path):
    for name, rows in (("sums", ROWS), ("parity", OTHERS)):
        write(tmp_path / f"{name}.jsonl", rows)
        assert recast("import", f"{name}.jsonl", "--as", name).code == 0
    return recast


def test_the_verb_mixes_versions_and_pins_them_all(two_versions, base, tmp_path):
    sets = ["--set", "sft.epochs=1", "--set", "sft.batch_size=4", "--set", "sft.checkpoints=0"]
    asked = (
        "sft",
        "sums",
        "parity:0.25",
        "-m",
        base,
        "--objective",
        "cayley",
        "--lora",
        2,
        "-o",
        "tuned",
        *sets,
    )
    said = two_versions(*asked, "--json")
    assert said.code == 0, said.err
    assert said.json["data"] == "sums@v1 + parity@v1:0.25" and said.json["steps"] == 8  # (24 + 6) / 4
    assert (said.json["config"]["objective"], said.json["config"]["lora_rank"]) == ("cayley", 2)
    lock = json.loads((tmp_path / "tuned" / "dataset.lock").read_text())
    assert lock["version"] == "sums@v1"
    assert [(m["version"], m["rows"], m["weight"]) for m in lock["mixed"]] == [("parity@v1", 40, 0.25)]
    assert "found finished" in two_versions(*asked).err
    assert two_versions("report", "--sft", "cayley=tuned", "-o", "gate.html").code == 0
    assert "What the objective trusted" in (tmp_path / "gate.html").read_text()
    other = [a if a != "parity:0.25" else "parity:0.5" for a in asked]
    assert "holds the finished run" in two_versions(*other).err  # another weight is another run


def test_the_verb_refuses_what_it_cannot_mean(two_versions, base):
    said = two_versions("sft", "sums:0.5", "parity", "-m", base)
    assert said.code == 2 and "comes first, so weights count rows for each of its own" in said.err
    said = two_versions("sft", "sums", "--objective", "hinge", "-m", base)
    assert said.code == 2 and "there is no objective 'hinge'; there are nll, p, dft" in said.err


def test_the_mask_is_previewed_without_training(two_versions, base, tmp_path):
    said = two_versions("sft", "sums", "-m", base, "--preview-mask", "-o", "never")
    assert said.code == 0, said.err
    assert f"[[{ROWS[0]['completion']}" in said.out and ROWS[0]["messages"][0]["content"] in said.out
    _, tokenizer = load(base)
    examples, _ = tokenize(ROWS, tokenizer, 2048)
    masked, all_ = sum(e.num_prompt for e in examples), sum(len(e.ids) for e in examples)
    assert f"{all_ - masked} of {all_} tokens are trained; {masked / all_:.1%} are masked" in said.out
    assert not (tmp_path / "never").exists()
