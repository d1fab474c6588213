"""Canonical JSON: one text for one value, also for what JSON itself cannot hold."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast.curate.fingerprint import canonical_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_plain_json_is_written_as_ever(value: Any) -> None:
    assert canonical_json(value) == json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


@pytest.mark.parametrize(
    "value, text",
    [
        (math.nan, '{"$float":"NaN"}'),
        ([-math.inf, math.inf], '[{"$float":"-Infinity"},{"$float":"Infinity"}]'),
        (datetime.datetime(1970, 1, 1, 0, 0, 0, 1), '{"$datetime":"1970-01-01T00:00:00.000001"}'),
        (datetime.date(2025, 8, 1), '{"$date":"2025-08-01"}'),
        (datetime.time(23, 59), '{"$time":"23:59:00"}'),
        (datetime.timedelta(days=1), '{"$seconds":"86400"}'),
        (datetime.timedelta(microseconds=-1), '{"$seconds":"-0.000001"}'),
        (Decimal("1.10"), '{"$decimal":"1.10"}'),
        (b"\x89PNG", '{"$base64":"iVBORw=="}'),
        (uuid.UUID(int=1), '{"$uuid":"00000000-0000-0000-0000-000000000001"}'),
        ({"b": 1, "a": (math.nan,)}, '{"a":[{"$float":"NaN"}],"b":1}'),
    ],
)
def test_what_json_cannot_hold_names_its_type(value: Any, text: str) -> None:
    assert canonical_json(value) == text


def test_an_object_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="a object has no place in JSON"):
        canonical_json({"x": object()})
