"""Any one file of a store is lost, cut, changed or replaced by an older copy while imports, merges and gc run.

A round is a process that commits, merges and collects, a file damaged under its hands, a kill, and then: what was
acknowledged reads as it was or is refused, gc removes nothing that is needed, and the store is whole again after
`rebuild` (a damaged part: after its file was put back). Every kind of file is damaged in every way once; counts are
printed, and `make torture` runs 200 rounds.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from recast.curate.errors import IntegrityError
from recast.curate.store import maintenance
from recast.curate.store.rebuild import rebuild
from recast.curate.store.store import Store
from tests.curate.store.store_workers import KEYS, row, said, texts, work_until_refused
from tests.curate.store.test_faults import CONTEXT

KINDS: dict[str, Callable[[Path], list[Path]]] = {
    "catalog": lambda root: [root / "catalog.duckdb"],
    "beside the catalog": lambda root: [p for p in root.glob("catalog.*") if p.suffix != ".duckdb"],
    "manifests": lambda root: list((root / "manifests").glob("*.json")),
    "parts": lambda root: list((root / "parts").rglob("*.parquet")),
}
DAMAGES = [*itertools.product(("lost", "cut", "flipped"), KINDS), ("older", "catalog")]


def damage(file: Path, how: str, older: dict[Path, bytes], rng: random.Random) -> bytes | None:
    """Damage `file` and return what it held; None where there was nothing to damage."""
    try:
        held = file.read_bytes()
        if how == "lost":
            file.unlink()
        elif how == "cut" and held:
            os.truncate(file, rng.randrange(len(held)))
        elif how == "flipped" and held:
            at = rng.randrange(len(held))
            with file.open("r+b") as opened:
                opened.seek(at)
                opened.write(bytes([held[at] ^ 1 << rng.randrange(8)]))
        elif how == "older" and older.get(file, held) != held:
            file.with_name("replaced").write_bytes(older[file])
            file.with_name("replaced").replace(file)
        else:
            return None
    except FileNotFoundError:  # gc or a rename was faster
        return None
    return held


def copied(root: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and p.suffix != ".parquet"}


def check(store: Store, known: dict[str, dict[str, str]], counts: Counter[str]) -> None:
    """Everything acknowledged reads as it was or is refused as damaged; nothing else."""
    for ref, rows in known.items():
        try:
            assert texts(store, ref) == rows, f"a wrong read of {ref}"
            counts["reads right"] += 1
        except IntegrityError:
            counts["reads refused"] += 1


def rounds_of_damage(rounds: int, seed: int = 7) -> Counter[str]:
    """Every damage of `DAMAGES` comes as often as every other, in an order of chance."""
    rng, counts = random.Random(seed), Counter[str]()
    orders = (rng.sample(DAMAGES, len(DAMAGES)) for _ in itertools.count())
    damages = itertools.chain.from_iterable(orders)
    with tempfile.TemporaryDirectory() as folder:
        store, acks = Store(Path(folder) / "home"), Path(folder) / "acks"
        store.commit([row(k, "first") for k in KEYS], "d")
        store.branch("d", "side")
        older = copied(store.root)
        known: dict[str, dict[str, str]] = {}
        for number in range(rounds):
            process = CONTEXT.Process(target=work_until_refused, args=(str(store.root), str(acks), number))
            process.start()
            told, deadline = len(said(acks)), time.monotonic() + 60
            while len(said(acks)) == told and process.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.random() * 0.5)
            first = rng.random() < 0.5  # killed, then damaged; or damaged while it works, then killed
            if first:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                process.join()
            how, kind = next(damages)
            file = rng.choice(KINDS[kind](store.root))
            held = damage(file, how, older, rng)
            if not first:
                process.join(rng.random())
                process.kill()
                process.join()
            recent = {a["ref"]: a["rows"] for a in said(acks)[told:] if a["rows"] is not None}
            known |= recent
            what = f"round {number}: {file.relative_to(store.root)} {how} {'after' if first else 'before'} the kill"
            try:
                look = recent | {ref: known[ref] for ref in rng.sample(sorted(known), min(5, len(known)))}
                check(store, look, counts)
                found = maintenance.verify(store)
                counts[f"{how}: {'named' if found.problems else 'harmless'}"] += held is not None
                counts[f"{kind}, {how}"] += held is not None
                try:
                    counts["files that gc removed"] += len(maintenance.gc(store, grace_s=0).files)
                except IntegrityError:
                    counts["gc refused"] += 1
                if held is not None and file.suffix == ".parquet":
                    file.write_bytes(held)  # from a copy: nothing else has the rows
                counts[f"rebuilt: {rebuild(store).made_from}"] += 1
                for ref in look:
                    assert texts(store, ref) == known[ref], f"{ref} is not as it was"
                assert {ack["ref"] for ack in said(acks)} <= {v.ref for v in store.log("d")}, (
                    "a version is lost"
                )
                found = maintenance.verify(store, deep=number % 5 == 4)
                assert [str(p) for p in found.problems] == []
            except BaseException as wrong:
                wrong.add_note(what)
                raise
            if rng.random() < 0.3:
                older = copied(store.root)
            counts["rounds"] += 1
        counts["acknowledged"] = len(said(acks))
    return counts


@pytest.mark.parametrize("how", ["lost", "cut", "flipped", "checksum lost"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, how: str) -> None:
    store, rng = Store(tmp_path / "home"), random.Random(how)
    store.commit([row(f"r{n}", f"text {n} " * 20) for n in range(5000)], "d")
    read = store.open("d")
    was = read.dataset()["completion"][:]
    (cache,) = (store.root / "cache").glob("*.arrow")
    checksum = cache.with_name(f"{cache.name}.xxh3")
    assert maintenance.gc(store, grace_s=0).files == ()
    for _ in range(8):
        damage(checksum if how == "checksum lost" else cache, how.split()[-1], {}, rng)
        assert read.dataset()["completion"][:] == was
        assert cache.exists() and checksum.exists()


@pytest.mark.slow
def test_every_damage_of_one_file_once(capsys: pytest.CaptureFixture[str]) -> None:
    counts = rounds_of_damage(len(DAMAGES))
    with capsys.disabled():
        print(f"\none damaged file: {dict(sorted(counts.items()))}")


@pytest.mark.torture
def test_two_hundred_rounds_of_one_damaged_file(capsys: pytest.CaptureFixture[str]) -> None:
    counts = rounds_of_damage(200, seed=1)
    with capsys.disabled():
        print(f"\none damaged file: {dict(sorted(counts.items()))}")
