"""Pretraining: packing loses nothing it keeps, attention stays in a document, a killed run goes on."""

import itertools
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from recast.curate.chat import encode
from recast.curate.errors import UsageError
from tests.conftest import ROOT

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

from recast.train.pretraining.corpus import Chat, Corpus  # noqa: E402
from recast.train.pretraining.from_scratch import (  # noqa: E402
    new_model,
    pretrain_from_scratch,
    train_tokenizer,
)
from recast.train.pretraining.pretrain import (  # noqa: E402
    PretrainConfig,
    learning_rate,
    pack,
    pretrain,
    tensors,
    weighted_loss,
)
from tests.fakes.pretraining import CHATS, SHORT, SMALL, TEXTS, scratch  # noqa: E402
from tests.fakes.runs import killed_at_step  # noqa: E402


def llama(seed: int = 0):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        head_dim=32,
        attn_implementation="eager",  # pyright: ignore[reportCallIssue]  # every config takes it, none declares it
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def counting(seed: str):
    """Documents that count upwards from a start that depends on the seed."""
    start = sum(map(ord, seed)) % 7
    for n in itertools.count():
        size = 3 + (start + n) % 5
        ids = [2 + (start + n + i) % 20 for i in range(size)]
        yield ids, [0.0] + [1.0] * (size - 1)


def test_packing_uses_the_shortest_row_that_fits_and_never_overfills() -> None:
    docs = iter(
        [([1] * 5, [1.0] * 5), ([2] * 3, [1.0] * 3), ([3] * 9, [1.0] * 9), *[([4] * 20, [1.0] * 20)] * 2]
    )
    packed = pack(docs, {8: 1, 16: 1}, patience=2)
    # 5 and 3 fill the row of 8 exactly; 9 needs the row of 16; 20 fits nowhere, twice, and that ends it
    assert [[len(d[0]) for d in row] for row in packed[8]] == [[5, 3]]
    assert [[len(d[0]) for d in row] for row in packed[16]] == [[9]]


def test_targets_are_shifted_and_never_cross_a_document() -> None:
    batch = tensors([[([5, 6, 7], [0.0, 0.5, 1.0]), ([8, 9], [0.0, 1.0])]], 6, pad=0)
    assert batch["targets"].tolist() == [[6, 7, 0, 9, 0, 0]]
    assert batch["weights"].tolist() == [[0.5, 1.0, 0.0, 1.0, 0.0, 0.0]]
    assert batch["positions"].tolist() == [[0, 1, 2, 0, 1, 0]]


def test_a_packed_document_has_the_loss_it_has_alone() -> None:
    model = llama().eval()
    a, b = ([5, 6, 7, 8], [0.0, 1.0, 1.0, 1.0]), ([9, 3, 4], [0.0, 1.0, 1.0])
    together, _ = weighted_loss(model, tensors([[a, b]], 8, pad=0))
    apart = [weighted_loss(model, tensors([[d]], len(d[0]), pad=0))[0].item() for d in (a, b)]
    assert together.item() == pytest.approx(sum(apart), rel=1e-5)


def test_the_rate_warms_up_holds_and_falls_to_zero() -> None:
    config = PretrainConfig(steps=100, warmup=10, decay_frac=0.2)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(50, config) == 1.0
    assert learning_rate(90, config) == pytest.approx(0.5)  # 10 of the last 20 steps are left


def test_training_learns_and_a_killed_run_ends_in_the_same_weights(tmp_path) -> None:
    config = PretrainConfig(
        steps=12, rows={16: 4}, lr=2e-2, lr_embedding=2e-2, warmup=2, save_every=4, compile=False
    )
    whole = llama()
    first = []
    pretrain(
        whole, counting, config, tmp_path / "whole", pad=0, progress=lambda s, t, f: first.append(f["loss"])
    )
    assert first[-1] < 0.7 * first[0]

    class Killed(Exception):
        pass

    def die(step: int, total: int, figures: dict) -> None:
        if step == 7:  # after the checkpoint of step 4, before that of step 8
            raise Killed

    with pytest.raises(Killed):
        pretrain(llama(), counting, config, tmp_path / "cut", pad=0, progress=die)
    resumed = llama(seed=5)  # other initial weights: they must all come from the checkpoint
    pretrain(resumed, counting, config, tmp_path / "cut", pad=0)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_documents_are_whole_or_cut_and_prompts_count_less(tmp_path) -> None:
    tokenizer = train_tokenizer([*TEXTS, *CHATS], 600)
    long = Chat(CHATS[0].messages, "1 " * 100)
    corpus = Corpus.build([TEXTS[0], CHATS[0], long], tokenizer, tmp_path, 16)
    text = tokenizer(TEXTS[0])["input_ids"]
    pieces = -(-(len(text) + 1) // 16)  # with the end of text, in rows of 16
    assert (len(corpus), corpus.num_too_long) == (pieces + 1, 1)
    together = [i for n in range(pieces) for i in corpus.document(n, 0.1)[0]]
    assert together == [*text, tokenizer.eos_token_id]
    ids, weights = corpus.document(pieces, 0.25)
    prompt, completion = encode(tokenizer, CHATS[0].messages, CHATS[0].completion)
    assert ids == prompt + completion and weights == [0.25] * len(prompt) + [1.0] * len(completion)


def test_what_is_held_out_is_never_drawn(tmp_path) -> None:
    corpus = Corpus.build(TEXTS, train_tokenizer(TEXTS, 600), tmp_path, 64)
    drawn = [ids for ids, _ in itertools.islice(corpus.stream("a", 0.1), 2000)]
    held = [corpus.document(n, 0.1)[0] for n in corpus.held_out()]
    assert held and not any(ids in drawn for ids in held)
    assert drawn[:50] == [ids for ids, _ in itertools.islice(corpus.stream("a", 0.1), 50)]
    assert {tuple(i) for i in drawn} == {
        tuple(corpus.document(n, 0.1)[0]) for n in range(len(corpus)) if n not in corpus.held_out()
    }


def test_a_model_from_nothing_loads_and_its_manifest_says_what_it_saw(tmp_path) -> None:
    from recast.train.model.loading import load

    made = scratch(tmp_path)
    model, tokenizer = load(made["out"])
    assert made["documents"] == len(TEXTS) + len(CHATS) and made["steps"] == 16
    assert made["parameters"] == sum(p.numel() for p in model.parameters())
    assert made["heldout_loss"] < math.log(len(tokenizer)) - 1  # a nat better than guessing
    assert tokenizer.decode(tokenizer("Ça va? 12")["input_ids"]) == "Ça va? 12"  # nothing is unknown to it
    assert not (tmp_path / "work").exists() and scratch(tmp_path) == made
    with pytest.raises(UsageError, match="holds the finished run"):
        pretrain_from_scratch(lambda: TEXTS, SMALL, SHORT, tmp_path / "model", tmp_path / "work")


KILLED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.fakes.pretraining import scratch
scratch(Path({folder!r}), progress=lambda step, total, figures: print(step, flush=True))
"""


def killed_and_resumed(step: int, tmp_path) -> None:
    whole = scratch(tmp_path / "whole")
    script = KILLED.format(root=str(Path(__file__).parents[3]), folder=str(tmp_path / "cut"))
    killed_at_step(script, step)
    assert not (tmp_path / "cut" / "model" / "manifest.json").exists()
    resumed = scratch(tmp_path / "cut")
    a, b = (load_file(Path(made["out"]) / "model.safetensors") for made in (whole, resumed))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    points = [json.loads(line) for line in (Path(resumed["out"]) / "metrics.jsonl").read_text().splitlines()]
    assert [p["step"] for p in points] == list(range(1, 17))
    assert resumed["heldout_loss"] == whole["heldout_loss"]


TWO = """
import json, os, shutil, sys
from pathlib import Path
import torch
from recast.train.pretraining import pretrain as module
from tests.fakes.pretraining import scratch
folder, rank = Path(sys.argv[1]), os.environ["RANK"]
train_steps = module.pretrain

def watched(model, documents, training, work, **given):
    shutil.copytree(work / "corpus", folder / f"corpus-{rank}")
    figures = train_steps(model, documents, training, work, **given)
    torch.save(model.state_dict(), folder / f"weights-{rank}.pt")
    return figures

module.pretrain = watched
(folder / f"made-{rank}.json").write_text(json.dumps(scratch(folder)))
"""


@pytest.mark.slow
def test_two_processes_train_one_model_on_one_corpus(tmp_path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # on the CPU even where there is a GPU, which two processes could not share
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [sys.executable, *launch, str(script), str(tmp_path)], check=True, env=environment, timeout=300
    )
    tokenizer = train_tokenizer([*TEXTS, *CHATS], SMALL.vocabulary)
    alone = Corpus.build([*TEXTS, *CHATS], tokenizer, tmp_path / "corpus", 64)
    for rank in (0, 1):
        corpus = Corpus.open(tmp_path / f"corpus-{rank}")
        assert (corpus.ids == alone.ids).all() and (corpus.documents == alone.documents).all()
    a, b = (torch.load(tmp_path / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert not all(
        torch.equal(a[name], fresh) for name, fresh in new_model(tokenizer, SMALL, 0).state_dict().items()
    )
    made, other = (json.loads((tmp_path / f"made-{rank}.json").read_text()) for rank in (0, 1))
    assert made == other and made["processes"] == 2
    saved = load_file(Path(made["out"]) / "model.safetensors")
    assert all(torch.equal(saved[name], a[name].bfloat16()) for name in saved)
    points = [json.loads(line) for line in (Path(made["out"]) / "metrics.jsonl").read_text().splitlines()]
    assert [p["step"] for p in points] == list(range(1, 17)), "one process writes"


@pytest.mark.slow
def test_pretraining_killed_between_checkpoints_ends_in_the_same_weights(tmp_path) -> None:
    killed_and_resumed(8, tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("number", range(10))
def test_pretraining_killed_at_any_step_ends_in_the_same_weights(number, tmp_path) -> None:
    killed_and_resumed(random.Random(number).randint(1, 15), tmp_path)


def test_rows_longer_than_the_model_is_for_are_refused(tmp_path) -> None:
    config = SMALL.model_copy(update={"max_position": 32})
    with pytest.raises(UsageError, match=r"rows of 64 tokens, the model is for 32"):
        pretrain_from_scratch(lambda: TEXTS, config, SHORT, tmp_path / "m", tmp_path / "w")


def test_the_verb_takes_versions_text_and_rows(recast, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(TEXTS))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    rows = [{"question": c.messages[0]["content"], "solution": c.completion} for c in CHATS]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert recast("import", "c.jsonl", "--as", "sums").code == 0
    sets = [
        "scratch.hidden_size=64",
        "scratch.num_hidden_layers=1",
        "scratch.vocabulary=600",
        "pretrain.compile=false",
    ]
    sets = [x for s in [*sets, "pretrain.rows={64: 4}"] for x in ("--set", s)]
    said = recast("pretrain", "a.txt", "b.jsonl", "sums", "c.jsonl", "-o", "m", "--steps", 3, *sets, "--json")
    assert said.code == 0, said.err
    # the text file in rows of 64 tokens, 54 texts, and 40 chats twice
    assert said.json["documents"] > 54 + 80 and said.json["steps"] == 3
    (tmp_path / "d.jsonl").write_text('{"text": "good"}\n{"txt": "bad"}\n')
    said = recast("pretrain", "d.jsonl", "-o", "n", *sets)
    assert said.code == 2 and "d.jsonl, line 2: no `text`" in said.err
