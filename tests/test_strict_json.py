"""What is written as JSON can be read by every reader of JSON."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandem.strict_json import dumps

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_is_finite_comes_back(value: object) -> None:
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null(value: float) -> None:
    assert json.loads(dumps({"a": [1, (value,)], "b": value})) == {"a": [1, [None]], "b": None}


def test_other_types_become_text() -> None:
    assert json.loads(dumps([Path("a/b")])) == ["a/b"]
