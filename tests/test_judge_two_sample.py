"""The AUC against its definition, its interval against simulation, and what a fresh classifier can and cannot tell."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import normal, permuted
from gandem.errors import JudgeError
from gandem.judge.two_sample import auc, delong, two_sample


def auc_by_pairs(positive: list[float], negative: list[float]) -> tuple[float, float]:
    """Every pair is won, lost or half won; the variance is that of the rows' and the columns' means."""
    wins = [[(a > b) + 0.5 * (a == b) for b in negative] for a in positive]
    area = sum(map(sum, wins)) / (len(positive) * len(negative))
    rows = [sum(row) / len(row) for row in wins]
    columns = [sum(column) / len(column) for column in zip(*wins, strict=True)]
    variance = 0.0
    for means in (rows, columns):
        variance += sum((mean - area) ** 2 for mean in means) / (len(means) - 1) / len(means)
    return area, variance


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=12), st.lists(st.integers(-3, 6), min_size=2, max_size=9))
@settings(max_examples=50, deadline=None)
def test_auc_with_ties(positive: list[int], negative: list[int]) -> None:
    ours, theirs = torch.tensor(positive).double(), torch.tensor(negative).double()
    area, variance = delong(ours, theirs)
    assert (area, variance) == pytest.approx(auc_by_pairs(positive, negative), rel=1e-9, abs=1e-12)
    figure = auc(ours, theirs)
    assert 0 <= figure.low <= figure.value == area <= figure.high <= 1 and figure.low < figure.high
    assert auc(theirs, ours).value == pytest.approx(1 - area, abs=1e-12)
    again = auc(permuted(1, ours) * 3 + 1, permuted(2, theirs) * 3 + 1)
    assert again.to_dict() == pytest.approx(figure.to_dict())


def test_a_perfect_auc_keeps_an_interval() -> None:
    figure = auc(torch.arange(50.0) + 100, torch.arange(80.0))
    assert figure.value == figure.high == 1 and 0.93 < figure.low < 0.99


def test_scores_that_are_none() -> None:
    with pytest.raises(JudgeError, match="1 of 3 negative rows hold NaN"):
        auc(torch.zeros(4), torch.tensor([0.0, math.nan, 1.0]))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_intervals_cover_the_chance_that_a_positive_is_above(shift: float) -> None:
    truth = 0.5 * (1 + math.erf(shift / 2))
    pairs = ((normal(2 * seed, 300, 1, shift=shift)[:, 0], normal(2 * seed + 1, 200, 1)[:, 0]) for seed in range(400))
    figures = [auc(*pair) for pair in pairs]
    assert 0.9 <= sum(figure.low <= truth <= figure.high for figure in figures) / 400 <= 0.99


def test_equal_distributions_cannot_be_told_apart() -> None:
    figures = [two_sample(normal(2 * seed, 200, 6), normal(2 * seed + 1, 150, 6)) for seed in range(4)]
    assert sum(figure.low <= 0.5 <= figure.high for figure in figures) >= 3
    assert sum(figure.value for figure in figures) / 4 == pytest.approx(0.5, abs=0.04)


def test_what_can_be_told() -> None:
    """A shift; and a correlation, of which neither column by itself says anything."""
    rows, real = normal(1, 800, 2), normal(2, 800, 2)
    assert two_sample(rows + 4, real).low > 0.98
    turned = rows @ torch.tensor([[1, 0.8], [0, 0.6]], dtype=torch.float64)
    assert two_sample(turned, real).low > 0.6


def test_features_of_any_scale_or_constant() -> None:
    generated, real = normal(1, 100, 3, shift=1), normal(2, 100, 3)
    constant = torch.full((100, 1), 7.0, dtype=torch.float64)
    scaled = two_sample(torch.cat([generated * 1e6, constant], 1), torch.cat([real * 1e6, constant], 1))
    assert scaled.value == pytest.approx(two_sample(generated, real).value, abs=0.05)


def test_it_trains_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert two_sample(normal(1, 60, 2, shift=3), normal(2, 60, 2)).value > 0.9
