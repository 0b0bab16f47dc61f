"""Conditions, as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from gandem.conditions import Condition, conditions
from gandem.errors import RecipeError


@pytest.mark.parametrize(
    ("where", "read"),
    [
        (None, ()),
        (["sex=F"], (Condition("sex", "=", ("F",)),)),
        ("age >= 60", (Condition("age", ">=", ("60",)),)),
        (["age>=60", "age<70"], (Condition("age", ">=", ("60",)), Condition("age", "<", ("70",)))),
        (["education=Masters|Doctorate"], (Condition("education", "=", ("Masters", "Doctorate")),)),
        (["income=<=50K"], (Condition("income", "=", ("<=50K",)),)),
        (["workclass!="], (Condition("workclass", "!=", (None,)),)),
        ({"label": 3}, (Condition("label", "=", (3,)),)),
        ({"age": (60, None)}, (Condition("age", ">=", (60,)),)),
        ({"age": (20, 30)}, (Condition("age", ">=", (20,)), Condition("age", "<=", (30,)))),
        ({"sex": ["F", None]}, (Condition("sex", "=", ("F", None)),)),
        ({"pay": float("nan")}, (Condition("pay", "=", (None,)),)),
        ({"pay": np.float64("nan")}, (Condition("pay", "=", (None,)),)),
        ({"sex": np.str_("F"), "age": np.int64(3)}, (Condition("sex", "=", ("F",)), Condition("age", "=", (3,)))),
    ],
)
def test_conditions_are_read(where: object, read: tuple[Condition, ...]) -> None:
    assert conditions(where) == read  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [["Bag"], ["age>="], ["=3"], {"age": (1, 2, 3)}, [""], 5, [5], {"age": []}])
def test_what_is_no_condition_is_refused(wrong: object) -> None:
    with pytest.raises(RecipeError, match="where"):
        conditions(wrong)  # type: ignore[arg-type]


def test_a_condition_says_itself() -> None:
    assert str(conditions(["education=Masters|Doctorate"])[0]) == "education=Masters|Doctorate"


def test_true_of_numpy_is_true() -> None:
    assert conditions({"flag": np.bool_(True)})[0].values[0] is True
