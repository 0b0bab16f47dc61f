"""Budgets: what is understood, what is refused, what more of it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandem.errors import RecipeError
from gandem.training.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("10m", Budget(seconds=600)),
        ("10min", Budget(seconds=600)),
        ("1.5h", Budget(seconds=5400)),
        ("1d", Budget(seconds=86400)),
        ("20000", Budget(images=20_000)),
        (" 200 k ", Budget(images=200_000)),
        ("1.5M", Budget(images=1_500_000)),
        ("0.5k", Budget(images=500)),
    ],
)
def test_understood(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "m", "0", "0m", "0.0004k", "-5m", "10 parsecs", "10K", "1e6", "nan", "inf", "1:30", "5m 3s"]
)
def test_refused_with_advice(text: str) -> None:
    with pytest.raises(RecipeError, match=r"90s, 10m, 2h or images as 200k, 1\.5M"):
        parse_budget(text)


def test_said_in_words() -> None:
    assert [str(Budget(seconds=each)) for each in (30, 60, 90, 120)] == [
        "30 seconds",
        "1 minute",
        "1.5 minutes",
        "2 minutes",
    ]


def test_what_nobody_lives_to_see_is_still_a_number() -> None:
    assert parse_budget("9" * 401).images == 10**12 and parse_budget("9" * 401 + "d").seconds < float("inf")


@given(st.text())
def test_any_text_is_a_budget_or_a_recipe_error(text: str) -> None:
    try:
        budget = parse_budget(text)
    except RecipeError:
        return
    assert (budget.images or budget.seconds) > 0 and (budget.images is None) != (budget.seconds is None)


@given(st.integers(1, 10**9), st.integers(0, 10**10))
def test_progress(total: int, spent: int) -> None:
    by_images, by_seconds = Budget(images=total).progress(spent, 1e9), Budget(seconds=total).progress(10**9, spent)
    assert by_images == by_seconds == min(spent / total, 1.0)


def test_extended() -> None:
    assert parse_budget("10k").extended("+500") == Budget(images=10_500)
    assert parse_budget("10m").extended("+30s") == parse_budget("10m").extended("30s") == Budget(seconds=630)
    with pytest.raises(RecipeError, match=r"images, as in \+50k"):
        parse_budget("10k").extended("+10m")
    with pytest.raises(RecipeError, match=r"time, as in \+10m"):
        parse_budget("10m").extended("+10k")


@given(st.sampled_from(["s", "m", "h", "", "k", "M"]), st.integers(1, 999))
def test_survives_json(unit: str, number: int) -> None:
    budget = parse_budget(f"{number}{unit}")
    assert Budget(**budget.to_dict()) == budget
