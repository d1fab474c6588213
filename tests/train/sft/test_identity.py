"""What a fine-tuning is identified by, and folders of the rules before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recast.curate.chat import template_id
from recast.curate.curation.split import held_out
from recast.curate.errors import UsageError
from recast.curate.fingerprint import fingerprint
from recast.curate.model_folder import identify, identify_revision_1
from recast.train.model.loading import load_tokenizer
from recast.train.sft.config import NOT_IDENTITY, SftConfig
from recast.train.sft.examples import Example, tokenize
from recast.train.sft.identity import Run, data_fingerprint, run_in
from recast.train.sft.sft import sft
from tests.fakes import models

ROWS = [
    {
        "row_id": f"row-{i}",
        "messages": [{"role": "user", "content": f"What is {i} + 2?"}],
        "completion": f"{i} + 2 = {i + 2}.",
    }
    for i in range(12)
]
CONFIG = SftConfig(
    lr=3e-3, epochs=1, batch_size=4, precision="fp32", heldout=0.25, checkpoints=0, telemetry_tokens=0
)
EXAMPLES = [Example([i, i + 1, i + 2], 1, f"row-{i}") for i in range(40)]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A model whose two identities differ: revision 1 did not read merges.txt."""
    folder = models.make_model("llama", tmp_path_factory.mktemp("models") / "base", hidden=32)
    (folder / "merges.txt").write_text("a b")
    assert identify(folder) != identify_revision_1(folder)
    return folder


def of(model: Path, examples: list[Example], out: Path, config: SftConfig = CONFIG) -> Run:
    return run_in(out, [examples], [None], model, config, template_id="t" * 16, precision="fp32")


def revision_1(base: Path, config: SftConfig) -> tuple[str, list[int]]:
    """Fingerprint and held-out positions of the run over ROWS, as they were made at first."""
    tokenizer = load_tokenizer(base)
    examples, _ = tokenize(ROWS, tokenizer, config.max_length)
    identity = {
        "data_fingerprint": data_fingerprint([examples], [None]),
        "model_fingerprint": identify_revision_1(base),
        "template_id": template_id(tokenizer),
        "precision": "fp32",
    }
    settings = config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    held = np.random.default_rng([config.seed, 1]).permutation(len(ROWS))[:3]  # a quarter of 12
    return fingerprint({**identity, "config": settings})[:16], sorted(held.tolist())


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_rows_are_held_out_by_their_ids(base, tmp_path):
    run = of(base, EXAMPLES, tmp_path)
    assert run.held == held_out([e.row_id for e in EXAMPLES], 0.25)
    more = [Example([90, 91], 1, "new"), *EXAMPLES]
    assert of(base, more, tmp_path).held[1:] == run.held
    assert not any(of(base, EXAMPLES, tmp_path, CONFIG.model_copy(update={"heldout": 0.0})).held)


def test_other_ids_that_hold_out_other_rows_are_another_run(base, tmp_path):
    renamed = [Example(e.ids, e.num_prompt, f"other-{e.row_id}") for e in EXAMPLES]
    ours, theirs = of(base, EXAMPLES, tmp_path), of(base, renamed, tmp_path)
    assert ours.data_fingerprint == theirs.data_fingerprint and ours.held != theirs.held
    assert ours.fingerprint != theirs.fingerprint


def test_an_unfinished_folder_of_revision_1_goes_on_by_its_rule(base, tmp_path):
    before, held = revision_1(base, CONFIG)
    write(tmp_path / "old" / "job.json", {"fingerprint": before, "start_loss": 1.25})
    result = sft(ROWS, base, CONFIG, tmp_path / "old")
    assert result.fingerprint == before and result.model_fingerprint == identify_revision_1(base)
    assert (result.start_loss, result.num_heldout) == (1.25, 3)
    examples, _ = tokenize(ROWS, load_tokenizer(base), CONFIG.max_length)
    run = run_in(
        tmp_path / "old", [examples], [None], base, CONFIG, template_id=result.template_id, precision="fp32"
    )
    assert [i for i, h in enumerate(run.held) if h] == held


def test_a_finished_folder_of_revision_1_is_returned_as_it_is(base, tmp_path):
    new = sft(ROWS, base, CONFIG, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    before, _ = revision_1(base, CONFIG)
    assert new.fingerprint != before
    write(manifest, {**json.loads(manifest.read_text()), "fingerprint": before, "steps": 77})
    assert sft(ROWS, base, CONFIG, tmp_path / "out").steps == 77


def test_a_folder_of_neither_rule_is_refused(base, tmp_path):
    write(tmp_path / "job.json", {"fingerprint": "0" * 16, "start_loss": None})
    with pytest.raises(UsageError, match=r"holds the unfinished run 0000.*this one is [0-9a-f]{16}"):
        of(base, EXAMPLES, tmp_path)
