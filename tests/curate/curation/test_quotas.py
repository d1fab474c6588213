"""Kinds of rows, and quotas of the same mix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recast.curate.curation.quotas import columns, kinds, quotas
from recast.curate.errors import UsageError


def batch(**named: list) -> list[pa.RecordBatch]:
    whole = pa.RecordBatch.from_pydict(named)
    return [whole.slice(0, 2), whole.slice(2)]


def test_quotas_are_whole_and_leave_the_rest_to_the_largest_remainders() -> None:
    # 10 of 60, 30 and 10: 6, 3 and 1; 7 of them: 4.2, 2.1 and 0.7
    assert quotas(np.array([60, 30, 10]), 10).tolist() == [6, 3, 1]
    assert quotas(np.array([60, 30, 10]), 7).tolist() == [4, 2, 1]
    assert quotas(np.array([1, 1, 1]), 2).tolist() == [1, 1, 0], "of like remainders the first ones"
    assert quotas(np.array([5, 5]), 10).tolist() == [5, 5]
    with pytest.raises(UsageError, match="11 accepted rows are wanted of 10"):
        quotas(np.array([5, 5]), 11)


def test_each_value_is_a_kind_and_the_commonest_is_first() -> None:
    found = kinds(batch(task=["b", "a", "a", None, "a"]), ["task"])
    assert found.names == ("task=a", "task=b", "task none")
    assert found.of_row.tolist() == [1, 0, 0, 2, 0] and found.counts.tolist() == [3, 1, 1]


def test_lengths_and_numbers_are_cut_into_fifths() -> None:
    texts = ["x" * n for n in range(1, 11)]
    found = kinds(batch(demonstration=texts), ["length"])
    assert sorted(found.names) == sorted(f"length {n} to {n + 1}" for n in (1, 3, 5, 7, 9))
    assert found.counts.tolist() == [2] * 5
    scored = kinds(batch(pass_rate=[0.25, 0.25, None, 0.25]), ["pass_rate"])
    assert scored.names == ("pass_rate 0.25 to 0.25", "pass_rate none") and scored.counts.tolist() == [3, 1]


def test_kinds_of_several_columns_are_those_that_occur() -> None:
    found = kinds(batch(task=["a", "a", "b"], source=["x", "y", "x"]), ["task", "source"])
    assert set(found.names) == {"task=a, source=x", "task=a, source=y", "task=b, source=x"}
    assert kinds(batch(row_id=["1", "2", "3"]), []).names == ("all rows",)


def test_what_is_no_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="no such column"):
        columns(["difficulty"])
    with pytest.raises(UsageError, match="twice"):
        columns(["task", "task"])
    assert columns(["task", "length"]) == ["task", "demonstration"]
    with pytest.raises(UsageError, match=r"1,001 kinds"):
        kinds(batch(row_id=[str(n) for n in range(1001)]), ["row_id"])
