"""The change that `tests.bench.store` measures, in Lance and in Delta Lake, by the best way each offers to both texts.

Both are written as their documentation says for this purpose and otherwise with their defaults; what was set is
printed beside the figures. Needs `pip install recast-sft[bench]`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from tests.bench.store import Cost, Figures

COLUMNS = ["row_id", "completion"]
JOIN_FACTOR = 10.0


def lance(figures: Figures, table: pa.Table, changed: pa.Table, folder: Path, ours: Cost) -> None:
    """Three ways: joining two versions works on every dataset; the others need row ids that the writer kept stable."""
    try:
        import lance as library
    except ImportError:
        print("pylance is not installed: pip install 'recast-sft[bench]'")
        return
    for stable in (False, True):
        kind, path = ("stable row ids" if stable else "defaults"), folder / f"lance-{stable}"
        _upserted(figures, library, table, changed, path, stable, f"pylance ({kind})")
        old, new = (library.dataset(str(path), version=number) for number in (1, 2))
        ways: list[tuple[str, Callable[[], int], bool]] = [
            ("join of both versions", partial(_joined, old, new), True)
        ]
        if stable:
            ways += [
                ("delta, then filter by key", partial(_by_key, old, new), False),
                ("row ids, private take", partial(_by_row_id, old, new), False),
            ]
        for name, way, bound in ways:
            _compared(
                figures,
                f"pylance ({kind}): {name}",
                way,
                changed.num_rows,
                ours,
                JOIN_FACTOR if bound else None,
            )


def _upserted(
    figures: Figures, library: Any, table: pa.Table, changed: pa.Table, path: Path, stable: bool, label: str
) -> None:
    """Write the table and lay the changed rows over it."""
    from tests.bench.store import cost, size

    spent = cost(lambda: library.write_dataset(table, str(path), enable_stable_row_ids=stable))
    figures.say(f"{label}: write", spent.wall_s, "s", note=str(spent))
    before = size(path)
    upsert = library.dataset(str(path)).merge_insert(["row_id"]).when_matched_update_all()
    spent = cost(lambda: upsert.execute(changed))
    figures.say(f"{label}: merge_insert", spent.wall_s, "s", note=str(spent))
    figures.say(f"{label}: growth", 100 * (size(path) - before) / before, "%")


def _joined(old: Any, new: Any) -> int:
    before, after = (version.to_table(columns=COLUMNS) for version in (old, new))
    both = before.join(after, "row_id", right_suffix="_after")
    return both.filter(pc.not_equal(both.column("completion"), both.column("completion_after"))).num_rows


def _by_key(old: Any, new: Any) -> int:
    after = new.delta(compared_against=1).get_updated_rows().read_all().select(COLUMNS)
    return old.to_table(columns=COLUMNS, filter=pc.field("row_id").isin(after.column("row_id"))).num_rows


def _by_row_id(old: Any, new: Any) -> int:
    changed = "_row_last_updated_at_version > 1"
    after = new.to_table(columns=COLUMNS, filter=changed, with_row_id=True)
    return old._take_rows(after.column("_rowid"), columns=COLUMNS).num_rows


def _compared(
    figures: Figures, label: str, way: Callable[[], int], rows: int, ours: Cost, factor: float | None = None
) -> None:
    """Measure one way to both texts of `rows` rows beside ours; `factor`: how many times as fast ours has to be."""
    from tests.bench.store import cost, median

    found: list[int] = []
    spent = median([cost(lambda: found.append(way())) for _ in range(3)])
    assert set(found) == {rows}, f"{label} found {found} rows, not {rows}"
    figures.say(label, spent.wall_s, "s", note=str(spent))
    note = f"{spent.wall_s / ours.wall_s:.1f} times as fast; {spent.cpu_s / ours.cpu_s:.1f} in CPU"
    figures.say("  recast / that", ours.wall_s / spent.wall_s, "x", 1 / factor if factor else None, note)


def delta(figures: Figures, table: pa.Table, changed: pa.Table, folder: Path, ours: Cost) -> None:
    """The change feed holds both images of every updated row, written at the commit."""
    try:
        import deltalake
    except ImportError:
        print("deltalake is not installed: pip install 'recast-sft[bench]'")
        return
    from tests.bench.store import cost, size

    path = folder / "delta"
    settings = {"delta.enableChangeDataFeed": "true"}
    spent = cost(lambda: deltalake.write_deltalake(str(path), table, configuration=settings))
    figures.say("deltalake (change feed on): write", spent.wall_s, "s", note=str(spent))
    before = size(path)
    upsert = deltalake.DeltaTable(str(path)).merge(
        changed, "s.row_id = t.row_id", source_alias="s", target_alias="t"
    )
    spent = cost(lambda: upsert.when_matched_update_all().execute())
    figures.say("deltalake (change feed on): merge", spent.wall_s, "s", note=str(spent))
    figures.say("deltalake (change feed on): growth", 100 * (size(path) - before) / before, "%")

    def feed() -> int:
        reader = deltalake.DeltaTable(str(path)).load_cdf(
            starting_version=1, columns=[*COLUMNS, "_change_type"]
        )
        kinds = pa.table(reader.read_all()).column("_change_type")
        return pc.sum(pc.equal(kinds.cast(pa.string()), "update_preimage")).as_py()

    _compared(figures, "deltalake (change feed on): load_cdf", feed, changed.num_rows, ours)
