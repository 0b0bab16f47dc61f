"""Distances against formulas written another way, what leaves them unchanged, and how often their intervals hold."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from feature_sets import normal, permuted
from gandem.judge.distances import (
    directions,
    frechet_distance,
    frechet_parts,
    frechet_value,
    kernel_distance,
    kernel_value,
    mind,
    mind_value,
    quick_parts,
)
from gandem.judge.figure import Figure
from gandem.judge.moments import Halved, Moments

FIGURES = {frechet_value: frechet_distance, kernel_value: kernel_distance, mind_value: mind}
GENERATED = normal(1, 40, 5, shift=0.3) @ normal(2, 5, 5)
REAL = normal(3, 60, 5, scale=1.3)


def frechet_by_eigenvalues(left: Tensor, right: Tensor) -> float:
    """The trace of the root of A B, from the eigenvalues of the product itself."""
    x, y = left.numpy(), right.numpy()
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0))
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * roots.sum())


def kernel_by_loops(left: Tensor, right: Tensor) -> float:
    x, y = left.tolist(), right.tolist()

    def k(a: list[float], b: list[float]) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    own = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (len(x) * (len(x) - 1))
    other = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (len(y) * (len(y) - 1))
    return own + other - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def mind_by_repetition(left: Tensor, right: Tensor) -> float:
    """Every row as often as makes the counts equal; then the sorted rows are paired."""
    count, d = math.lcm(len(left), len(right)), left.shape[1]
    lines = directions(d, 256).numpy()
    x, y = (np.repeat(rows.numpy(), count // len(rows), axis=0) for rows in (left, right))
    return 3 * d * float(np.mean([np.mean((np.sort(x @ line) - np.sort(y @ line)) ** 2) for line in lines]))


@pytest.mark.parametrize(
    ("value", "independent"),
    [(frechet_value, frechet_by_eigenvalues), (kernel_value, kernel_by_loops), (mind_value, mind_by_repetition)],
)
@pytest.mark.parametrize("n", [40, 60])
def test_values(
    value: Callable[[Tensor, Tensor], float], independent: Callable[[Tensor, Tensor], float], n: int
) -> None:
    generated = torch.cat([GENERATED, GENERATED + 0.1])[:n]
    assert value(generated, REAL) == pytest.approx(independent(generated, REAL), rel=1e-6)
    assert FIGURES[value](generated, REAL).value == pytest.approx(value(generated, REAL), rel=1e-12)


def test_frechet_of_fewer_rows_than_columns() -> None:
    left, right = normal(1, 6, 20), normal(2, 9, 20, shift=1)
    assert frechet_value(left, right) == pytest.approx(frechet_by_eigenvalues(left, right), rel=1e-6)
    figure = frechet_distance(left, right)
    assert math.isfinite(figure.low) and math.isfinite(figure.high)


@pytest.mark.parametrize("n", [8, 40])
def test_quick_is_right_to_half_of_the_digits(n: int) -> None:
    generated, real, few = (Moments.of(rows) for rows in (GENERATED[:n], REAL[:n], REAL[:3]))
    assert quick_parts([generated], real)[0] == pytest.approx(frechet_parts(GENERATED[:n], REAL[:n]), rel=1e-6)
    ((most, agreement),) = quick_parts([few], few)  # fewer rows than columns
    assert most - agreement == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n", [4, 41])
def test_moments_of_both_halves(n: int) -> None:
    rows, order = normal(1, n, 3, shift=1e3), torch.randperm(n, generator=torch.Generator().manual_seed(0))
    for found, half in zip(Halved(rows)(order), (order[: n // 2], order[n // 2 :]), strict=True):
        mean, covariance = rows[half].mean(0), np.cov(rows[half].numpy(), rowvar=False)
        torch.testing.assert_close(found.mean, mean, rtol=1e-12, atol=0)
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9, atol=1e-12)


def test_frechet_of_known_gaussians() -> None:
    """Rows whose mean and covariance are exact: |shift|^2 + d (s - t)^2 for covariances s^2 and t^2."""
    d = 6
    rows = torch.cat([torch.eye(d), -torch.eye(d)]).double() * math.sqrt((2 * d - 1) / 2)
    assert frechet_value(3 * rows + 2, rows) == pytest.approx(d * 2**2 + d * (3 - 1) ** 2, rel=1e-12)


@pytest.mark.parametrize(("n", "d", "scale"), [(300, 20, 1.0), (15, 200, 1.0), (300, 20, 100.0), (2, 3, 1.0)])
def test_the_same_set_is_at_no_distance(n: int, d: int, scale: float) -> None:
    rows = normal(4, n, d, scale=scale)
    assert 0 <= frechet_value(rows, permuted(5, rows)) < 1e-6
    assert mind_value(rows, permuted(5, rows)) < 1e-20 * scale**2


def test_the_kernel_distance_of_a_set_from_itself_is_below_zero() -> None:
    """Rows that meet their own copies in the other set only: the estimator is unbiased, not positive."""
    value = kernel_value(REAL, REAL)
    assert value < 0 and value == pytest.approx(kernel_by_loops(REAL, REAL), rel=1e-6)
    assert value == pytest.approx(kernel_distance(REAL, REAL).value, rel=1e-12)


def test_mind_of_a_shift_is_exact() -> None:
    """3 d times the mean over lines of (shift . u)^2 is 3 |shift|^2."""
    rows, shift = normal(6, 50, 16), normal(7, 1, 16)
    assert mind_value(rows + shift, rows) == pytest.approx(3 * float(shift.square().sum()), rel=1e-9)


def test_directions_are_unit_and_as_many_as_asked() -> None:
    for d, count in ((1, 3), (5, 12), (20, 7)):
        assert directions(d, count).shape == (count, d)
        assert directions(d, count).norm(dim=1).sub(1).abs().max() < 1e-12


@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(3, 30), st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_symmetry_and_what_changes_nothing(seed: int, n: int, m: int, d: int) -> None:
    left, right = normal(seed, n, d, shift=0.5), normal(seed + 1, m, d, scale=2)
    for value in FIGURES:
        distance = pytest.approx(value(left, right), rel=1e-8, abs=1e-8)
        assert value(right, left) == distance
        assert value(permuted(seed, left), permuted(seed, right)) == distance
    for value in (frechet_value, mind_value):
        assert value(left - 7, right - 7) == pytest.approx(value(left, right), rel=1e-8, abs=1e-8)
        assert value(3 * left, 3 * right) == pytest.approx(9 * value(left, right), rel=1e-8, abs=1e-8)
    turn = torch.linalg.qr(normal(seed, d, d))[0]
    for value in (frechet_value, kernel_value):
        assert value(left @ turn, right @ turn) == pytest.approx(value(left, right), rel=1e-8, abs=1e-8)


def cubic_moments(shift: float, scale: float, d: int) -> list[Tensor]:
    """Moments 1 to 3 of a normal distribution, each in the weight that the cubic kernel gives it."""
    mean, unit = torch.full((d,), shift, dtype=torch.float64), scale**2 * torch.eye(d, dtype=torch.float64)
    second = torch.outer(mean, mean) + unit
    third = torch.einsum("i,j,k->ijk", mean, mean, mean)
    third += sum(torch.einsum(f"i,jk->{order}", mean, unit) for order in ("ijk", "jik", "jki"))
    return [mean * math.sqrt(3 / d), second * math.sqrt(3) / d, third / d**1.5]


def held(figures: list[Figure], truth: float) -> float:
    return sum(figure.low <= truth <= figure.high for figure in figures) / len(figures)


N, D, TRIALS = 300, 8, 200


def trials(distance: Callable[[Tensor, Tensor], Figure], shift: float, scale: float, count: int) -> list[Figure]:
    pairs = ((normal(2 * seed, N, D, shift=shift, scale=scale), normal(2 * seed + 1, N, D)) for seed in range(count))
    return [distance(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("distance", "count"),
    [(frechet_distance, TRIALS), (partial(mind, count=32), 100)],
    ids=["frechet_distance", "mind"],
)
def test_intervals_cover_the_mean_of_the_estimator(distance: Callable[[Tensor, Tensor], Figure], count: int) -> None:
    """What is covered is the expectation at these n, found from the trials; not the distance of the distributions."""
    figures = trials(distance, 0.3, 1.2, count)
    assert 0.9 <= held(figures, sum(figure.value for figure in figures) / count) <= 0.99


def test_kernel_intervals_cover_the_distance_of_the_distributions() -> None:
    moments = zip(cubic_moments(0.3, 1.2, D), cubic_moments(0, 1, D), strict=True)
    truth = float(sum((left - right).square().sum() for left, right in moments))
    figures = trials(kernel_distance, 0.3, 1.2, TRIALS)
    assert 0.9 <= held(figures, truth) <= 0.99
    assert sum(figure.value for figure in figures) / TRIALS == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_intervals_hold_for_equal_distributions(distance: Callable[[Tensor, Tensor], Figure]) -> None:
    """The first order of the variance vanishes there. The kernel distance covers 0, its skewness on the safe side."""
    figures = trials(distance, 0, 1, 50)
    values = torch.tensor([figure.value for figure in figures])
    half = sum(figure.high - figure.value for figure in figures) / len(figures) / 1.96
    assert held(figures, 0.0 if distance is kernel_distance else float(values.mean())) >= 0.93
    assert half == pytest.approx(float(values.std()), rel=0.3)
