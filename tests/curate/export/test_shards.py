"""An export in shards: finished ones stand, an earlier export stays until the new one is whole, and other machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import datasets
import fsspec
import pyarrow.parquet as pq
import pytest

from recast.curate.errors import DataError, MissingDependencyError, UsageError
from recast.curate.export.check.measure import lines_of
from recast.curate.export.destination import Remote, destination, shards, within
from recast.curate.export.export import export
from recast.curate.store.store import Store
from tests.conftest import ROOT
from tests.fakes.exports import kinds_of_rows, sums

KILLED = """
import os, signal, sys
from recast.curate.export import journal
from recast.curate.export.export import export
from recast.curate.store.store import Store

home, out, when, left = sys.argv[1:]

class Fatal(journal.Journal):
    def finish(self, shard, tally):
        if when == "before" and shard == int(left):
            os.kill(os.getpid(), signal.SIGKILL)
        super().finish(shard, tally)

    def put_in_place(self, tally):
        if when == "moving":
            tally.data[0][2:] = []
            super().put_in_place(tally)
            os.kill(os.getpid(), signal.SIGKILL)
        super().put_in_place(tally)

import recast.curate.export.export as module
module.Journal = Fatal
export(Store(home), "a", "trl", out, shard_rows=10, validation=0.2)
"""
"""An export of five shards that is killed: before shard `left` is known to be finished, or with two files in place."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    store.commit([*sums(44), *kinds_of_rows()[:1]], "a")
    return store


def killed(store: Store, out: Path, when: str, left: int = 0) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(store.root), str(out), when, str(left)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def ids(paths: Any) -> list[str]:
    return [json.loads(line)["row_id"] for path in paths for line in Path(path).read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("train-*")}


def test_shards_are_stretches_of_the_version_in_order(store: Store, tmp_path: Path) -> None:
    done = export(store, "a", "trl", tmp_path / "out", shard_rows=10)
    assert names(tmp_path / "out") == ["recast.json", *(f"train-{n:05d}.jsonl" for n in range(5))]
    assert ids(done.data) == [row["row_id"] for row in store.open("a").rows(["row_id"])]
    whole = export(store, "a", "trl", tmp_path / "whole")
    assert b"".join(Path(p).read_bytes() for p in done.data) == Path(whole.data[0]).read_bytes()
    told = done.to_json()
    assert told == json.loads((tmp_path / "out" / "recast.json").read_text())
    assert {k: told[k] for k in ("rows", "lines", "columns")} == {
        k: whole.to_json()[k] for k in ("rows", "lines", "columns")
    }


@pytest.mark.slow
def test_a_killed_export_goes_on_and_ends_in_the_same_bytes(store: Store, tmp_path: Path) -> None:
    out, hidden = tmp_path / "out", tmp_path / "out" / ".train.unfinished"
    killed(store, out, "before", 3)
    first = stamps(hidden)
    assert not list(out.glob("*.jsonl")) and {"train-00000.jsonl", "train-00002.jsonl"} <= set(first)
    killed(store, out, "before", 4)
    second = stamps(hidden)
    assert {name: second[name] for name in first if name < "train-00003"} == {
        name: stamp for name, stamp in first.items() if name < "train-00003"
    }, "finished shards were made again"
    killed(store, out, "moving")
    assert sorted(path.name for path in out.glob("train-*")) == ["train-00000.jsonl", "train-00001.jsonl"]
    done = export(store, "a", "trl", out, shard_rows=10, validation=0.2)
    assert stamps(out)["train-00002.jsonl"] == second["train-00002.jsonl"]
    other = export(store, "a", "trl", tmp_path / "other", shard_rows=10, validation=0.2)
    assert [file.sha256 for file in done.files] == [file.sha256 for file in other.files]
    assert names(out) == names(tmp_path / "other")


@pytest.mark.slow
def test_what_is_left_of_another_export_is_thrown_away(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed(store, out, "before", 3)
    done = export(store, "a", "trl", out, shard_rows=20)  # other shards, no validation
    assert names(out) == ["recast.json", *(f"train-{n:05d}.jsonl" for n in range(3))]
    assert len(ids(done.data)) == 45


def test_an_earlier_export_stays_until_the_new_one_is_whole(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(store, "a", "trl", out, shard_rows=10)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    store.commit([*sums(15), {**sums(1)[0], "row_id": "broken", "messages": "[{"}], "a")
    with pytest.raises(json.JSONDecodeError):
        export(store, "a", "trl", out, shard_rows=10)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    store.commit(sums(15), "a")
    export(store, "a", "trl", out, shard_rows=10)
    assert names(out) == ["recast.json", "train-00000.jsonl", "train-00001.jsonl"]


def test_shards_are_for_readers_that_take_several_files(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mlx as sft reads one file of a split; --shard-rows would make"):
        export(store, "a", "mlx", tmp_path / "out", shard_rows=10)
    with pytest.raises(UsageError, match=r"trl as sft is several files; name a folder instead of .*x\.jsonl"):
        export(store, "a", "trl", tmp_path / "x.jsonl", shard_rows=10)
    with pytest.raises(UsageError, match=r"shards of 0 rows"):
        export(store, "a", "trl", tmp_path / "out", shard_rows=0)


def test_refused_rows_of_shards_are_named_and_where_nothing_is_left_nothing_stays(
    store: Store, tmp_path: Path
) -> None:
    store.commit([*sums(3), *kinds_of_rows()], "mixed")
    done = export(store, "mixed", "trl", tmp_path / "out", shard_rows=4)
    assert done.rows + done.refused_rows == 8
    left = [path for path in names(tmp_path / "out") if path.startswith("refused-")]
    assert len(ids(tmp_path / "out" / path for path in left)) == done.refused_rows == 1  # the picture
    store.commit(kinds_of_rows()[:1], "talks")
    with pytest.raises(DataError, match="is left to train"):
        export(store, "talks", "messages", tmp_path / "none", turns="last", shard_rows=1)
    assert names(tmp_path / "none") == []


# other machines


def test_an_address_stays_one_and_a_path_a_path(tmp_path: Path) -> None:
    place = destination(Path("s3://bucket/rows"))  # pathlib takes a slash away
    assert isinstance(place, Remote) and str(place) == "s3://bucket/rows"
    assert str(place / "data" / "a.jsonl") == "s3://bucket/rows/data/a.jsonl"
    assert str((place / "a.jsonl").with_name("b.jsonl").parent) == "s3://bucket/rows"
    assert within(place, place / "data" / "a.jsonl") == "data/a.jsonl"
    assert destination("out/x.jsonl") == Path("out/x.jsonl") and destination(f"file://{tmp_path}") == tmp_path
    with pytest.raises(UsageError, match=r"xyz://rows\S* has a scheme that fsspec does not know"):
        shards(destination("xyz://rows/train.jsonl"))


def test_a_missing_package_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError, match=r"gs://bucket/out.* needs gcsfs: pip install gcsfs"):
        export(store, "a", "trl", "gs://bucket/out")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of a server of this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    pytest.importorskip("s3fs")
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{request.node.name.partition('[')[0]}"
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket"


def content(address: str) -> dict[str, bytes]:
    files, _ = fsspec.core.url_to_fs(address)
    files.invalidate_cache()
    whole = {str(name): files.cat_file(name) for name in files.find(address)}
    folder = next(name for name in whole if name.endswith("recast.json")).removesuffix("recast.json")
    return {name.removeprefix(folder): data for name, data in whole.items()}


def test_an_export_to_an_object_store_is_the_one_to_a_folder(
    bucket: str, store: Store, tmp_path: Path
) -> None:
    for options in cast("tuple[dict[str, Any], ...]", ({}, {"shard_rows": 10})):
        done = export(store, "a", "trl", f"{bucket}/out", validation=0.2, **options)
        here = export(store, "a", "trl", tmp_path / f"out-{len(options)}", validation=0.2, **options)
        found = content(f"{bucket}/out")
        listed = json.loads(found.pop("recast.json"))
        assert listed == done.to_json() and listed["path"] == f"{bucket}/out"
        assert found == {
            name: (Path(here.path) / name).read_bytes()
            for name in names(Path(here.path))
            if name != "recast.json"
        }, "files of the first export stay beside those of the second" if options else ""
        assert f"--dataset_name {bucket}/out" in done.start
        assert len(list(lines_of(done))) == done.rows == 45


def test_a_stopped_export_to_an_object_store_goes_on(bucket: str, store: Store) -> None:
    """As after a kill: two shards are there and listed, a third is there and was not listed yet."""
    out = f"{bucket}/rows"
    store.commit([*sums(30), {**sums(1)[0], "row_id": "broken", "messages": "[{"}, *sums(40)[31:]], "b")
    with pytest.raises(json.JSONDecodeError):
        export(store, "b", "trl", out, shard_rows=10)
    files, _ = fsspec.core.url_to_fs(out)
    journal = json.loads(files.cat_file(f"{out}/.train.unfinished/journal.json"))
    assert sorted(journal["shards"]) == ["0", "1", "2"] and not files.exists(f"{out}/recast.json")
    files.pipe_file(f"{out}/train-00003.jsonl", b"half")
    store.commit(sums(40), "b")  # another version: nothing of the first may stay
    done = export(store, "b", "trl", out, shard_rows=20)
    assert sorted(content(out)) == ["recast.json", "train-00000.jsonl", "train-00001.jsonl"]
    assert {line["row_id"] for line in lines_of(done)} == {f"r{n}" for n in range(40)} and done.lines == 40


def test_a_file_of_somebody_else_is_left_alone(bucket: str, store: Store) -> None:
    files, _ = fsspec.core.url_to_fs(bucket)
    files.pipe_file(f"{bucket}/mine/train.jsonl", b"mine")
    with pytest.raises(UsageError, match=r"mine/train\.jsonl is there already and no export wrote it"):
        export(store, "a", "trl", f"{bucket}/mine")
    assert files.cat_file(f"{bucket}/mine/train.jsonl") == b"mine"


def test_a_folder_of_the_hub_is_written_in_shards_to_an_address(bucket: str, store: Store) -> None:
    done = export(store, "a", "hf", f"{bucket}/hub", shard_rows=20)
    files, _ = fsspec.core.url_to_fs(bucket)
    tables = [pq.read_table(files.open(str(path))) for path in done.data]
    assert [table.num_rows for table in tables] == [20, 20, 5]
    assert b"a@v1" in content(f"{bucket}/hub")["README.md"]


def test_shards_load_as_splits_from_a_folder(store: Store, tmp_path: Path) -> None:
    export(store, "a", "trl", tmp_path / "out", shard_rows=10, validation=0.2)
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(found) == {"train", "validation"}
    assert sum(rows.num_rows for rows in found.values()) == 45
