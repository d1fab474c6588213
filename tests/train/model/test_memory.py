"""Estimates of a training step's memory worked out by hand, and what control groups leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import LlamaConfig

from recast.curate.errors import UsageError
from recast.train.model import memory
from recast.train.model.memory import (
    GIB,
    TILE,
    Pass,
    Room,
    Training,
    available,
    cached,
    cgroup_rooms,
    most_rows,
    parse,
    room,
    taken,
)

LLAMA = LlamaConfig(
    hidden_size=8,
    intermediate_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=4,
    vocab_size=100,
)


def test_a_lora_stands_with_gradients_and_two_moments() -> None:
    # rank 2 over q (8+8), k and v (8+4 each), o (8+8), gate and up (8+16 each), down (16+8): 128 in a layer
    assert Training(LLAMA, 4, lora_rank=2).standing(10_000) == 3 * 2 * 128 * 4 * 4


def test_all_weights_stand_with_gradients_moments_and_a_float32_copy() -> None:
    assert Training(LLAMA, 4).standing(1000) == 1000 * (4 + 8)
    assert Training(LLAMA, 2).standing(1000) == 1000 * (4 + 8 + 4)


def test_a_pass_holds_every_layer_a_quarter_of_one_more_and_its_logits_twice() -> None:
    training = Training(LLAMA, 4, lora_rank=2)
    # of a token in a layer: norms 2*8, attention 4*8, MLP 3*16, adapters' inputs 2*8 + 8 + 16 and 7*2 inside
    token = 4 * (16 + 32 + 48 + 16 + 8 + 16 + 14)
    assert training.peak(Pass(tokens=5, logits=5)) == 5 * token * 3 + 5 * token // 4 + 2 * 4 * 5 * 100
    # of a token read from a cache: key and value of 4, and both repeated to 8
    read = 2 * 4 * 4 + 2 * 8 * 4
    assert (
        training.peak(Pass(tokens=5, read=7, logits=5)) - training.peak(Pass(5, 0, 5))
        == 7 * read * 3 + 7 * read // 4
    )


def test_logits_that_are_not_held_are_a_tile() -> None:
    training = Training(LLAMA, 4, lora_rank=2)
    many = TILE // 100 * 3
    held = training.peak(Pass(tokens=many, logits=many)) - training.peak(Pass(tokens=many))
    assert held == 2 * 4 * (many * 100 - TILE)


def test_checkpointing_keeps_hidden_states_and_one_layer() -> None:
    whole, kept = (
        Training(LLAMA, 4, lora_rank=2, checkpointing=on).peak(Pass(5, logits=5)) for on in (False, True)
    )
    token = 4 * (16 + 32 + 48 + 16 + 8 + 16 + 14)
    assert whole - kept == 3 * 5 * token - (3 * 5 * 8 * 4 + 5 * token)


def test_attention_weights_that_are_held_count_for_every_layer_and_head() -> None:
    training = Training(LLAMA, 2)
    # 2 heads, each pair once in float32 and once in the model's dtype, over 3 layers and a quarter of one more
    assert training.peak(Pass(5, pairs=8)) - training.peak(Pass(5)) == 8 * 2 * 6 * 3 + 8 * 2 * 6 // 4


def test_a_token_in_the_cache_is_a_key_and_a_value_of_every_layer() -> None:
    assert cached(LLAMA, 4) == 2 * 4 * 4 * 3  # one head of 4


def test_a_cpu_process_takes_more_than_its_tensors() -> None:
    assert taken(1000, "cuda") == 1000 and taken(1000, "cpu") == 1350


@pytest.mark.parametrize(
    "text, size",
    [("6GiB", 6 * 2**30), ("800 MB", 800 * 10**6), ("1.5g", 3 * 2**29), ("4096", 4096), ("2kib", 2048)],
)
def test_amounts_of_memory_are_read(text: str, size: int) -> None:
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "six", "0GiB", "-1GiB", "6 pints", "GiB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount of memory; write it as 6GiB or 800MB"):
        parse(text)


@pytest.mark.parametrize("free, usual", [(100, 20), (10, 4), (2, 1.7)])
def test_a_job_plans_with_a_fifth_of_what_is_free_and_with_4_gib_where_they_are(
    monkeypatch: pytest.MonkeyPatch, free: int, usual: float
) -> None:
    monkeypatch.setattr(memory, "available", lambda: free * GIB)
    monkeypatch.setattr(memory, "cgroup_rooms", lambda: [200 * GIB])
    assert room("cpu") == Room(int(usual * GIB), int(0.85 * free * GIB))


def test_more_than_what_is_planned_with_is_taken_for_a_single_row_only() -> None:
    found = Room(200, 850)
    assert most_rows(found, 8, lambda rows: 100 * rows) == 2
    assert most_rows(found, 6, lambda rows: 60 * rows) == 3, "a divisor, so that all passes are of one size"
    assert most_rows(found, 8, lambda rows: 800 * rows) == 1
    assert most_rows(found, 8, lambda rows: 900 * rows) is None


def test_what_is_asked_for_is_of_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr(memory, "cgroup_rooms", lambda: [])
    monkeypatch.setattr(memory, "resident", lambda: 300)
    assert room("cpu", 1100) == Room(800, 800)
    assert room("cpu", 200) == Room(0, 0), "its libraries alone take more"
    with pytest.raises(UsageError, match=r"was asked for, and .* can be had"):
        room("cpu", 1301)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_a_limit_of_version_2_counts_at_every_level_and_cache_is_free(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("0::/outer/inner\n")
    fs = root / "sys/fs/cgroup"
    group(fs / "outer/inner", memory__max="max", memory__current=10, memory__stat="inactive_file 5")
    group(fs / "outer", memory__max=1000, memory__current=700, memory__stat="anon 1\ninactive_file 50")
    assert cgroup_rooms(root) == [1000 - 700 + 50]


def test_a_limit_of_version_1_is_that_of_the_memory_controller(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n")
    names = {"memory__stat": "total_inactive_file 20", "memory__usage_in_bytes": 300}
    group(root / "sys/fs/cgroup/memory/a", memory__limit_in_bytes=400, **names)
    group(root / "sys/fs/cgroup/memory", memory__limit_in_bytes=9223372036854771712, **names)
    assert cgroup_rooms(root) == [400 - 300 + 20]


def test_without_limits_the_machine_decides(root: Path) -> None:
    assert cgroup_rooms(root) == []
    (root / "proc/self/cgroup").write_text("0::/gone\n")
    assert cgroup_rooms(root) == []
    (root / "proc/meminfo").write_text("MemTotal:  100 kB\nMemAvailable:    7 kB\n")
    assert available(root) == 7 * 1024
