"""Neighbours, and precision, recall, density and coverage from them, against plain loops and known expectations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from feature_sets import normal, permuted
from gandem.judge import neighbours
from gandem.judge.coverage import Neighbourhood, coverage, density, expected_coverage, precision, recall
from gandem.judge.neighbours import holding, nearest


def every_distance(left: Tensor, right: Tensor) -> np.ndarray:
    return np.sqrt(((left.numpy()[:, None] - right.numpy()[None]) ** 2).sum(2))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 700)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 3, 39])
def test_nearest(k: int) -> None:
    queries, points = normal(1, 70, 4), normal(2, 40, 4)
    distances, indices = nearest(queries, points, k)
    everything = every_distance(queries, points)
    assert (indices.numpy() == everything.argsort(1)[:, :k]).all()
    np.testing.assert_allclose(distances, np.sort(everything, 1)[:, :k], rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 5, 49])
def test_a_row_is_no_neighbour_of_itself_but_its_copy_is(k: int) -> None:
    points = normal(3, 50, 4)
    points[20] = points[10]
    distances, indices = nearest(points, points, k, same=True)
    everything = every_distance(points, points)
    np.fill_diagonal(everything, np.inf)
    np.testing.assert_allclose(distances, np.sort(everything, 1)[:, :k], rtol=1e-12)
    assert indices[10, 0] == 20 and indices[20, 0] == 10 and distances[10, 0] == 0
    assert Neighbourhood.of(points, k).radius(k).equal(distances[:, -1])


def test_near_duplicates_far_from_the_origin() -> None:
    """Ten times more of them than candidates, at distances whose squares vanish in the rounding of a product."""
    points = normal(4, 200, 6, shift=1e3, scale=10)
    points[100:150] = points[0] + normal(5, 50, 6, scale=1e-8)
    everything = every_distance(points, points)
    np.fill_diagonal(everything, np.inf)
    distances, indices = nearest(points, points, 3, same=True)
    assert (indices.numpy() == everything.argsort(1)[:, :3]).all()
    np.testing.assert_allclose(distances, np.sort(everything, 1)[:, :3], rtol=1e-12)
    within = holding(points, points, torch.full((200,), 2e-8, dtype=torch.float64))[0]
    assert within.tolist() == ((everything <= 2e-8).sum(1) + 1).tolist() and within.max() > 10


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_what_float32_cannot_hold(scale: float) -> None:
    queries, points = normal(1, 70, 4), normal(2, 40, 4)
    distances, indices = nearest(queries, points, 3)
    radius = distances.mean().expand(40)
    scaled = nearest(queries * scale, points * scale, 3)
    assert scaled[1].equal(indices)
    torch.testing.assert_close(scaled[0], distances * scale, rtol=1e-12, atol=0)
    for counts, again in zip(
        holding(queries, points, radius), holding(queries * scale, points * scale, radius * scale), strict=True
    ):
        assert counts.equal(again) and counts.max() > 3


@pytest.mark.usefixtures("small_blocks")
def test_what_balls_hold() -> None:
    queries, points, radius = normal(1, 70, 4), normal(2, 40, 4), normal(3, 40, 1)[:, 0].abs()
    inside = every_distance(queries, points) <= radius.numpy()
    balls, held = holding(queries, points, radius)
    assert balls.tolist() == inside.sum(1).tolist() and held.tolist() == inside.sum(0).tolist()


def test_equal_rows_are_at_zero() -> None:
    rows = torch.full((50, 3), 0.1, dtype=torch.float64)
    assert nearest(rows, rows, 5, same=True)[0].eq(0).all()
    assert all(counts.eq(50).all() for counts in holding(rows, rows, torch.zeros(50, dtype=torch.float64)))


def by_loops(generated: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """The four numbers from the whole matrix of distances, the balls by sorting with the row itself at place 0."""
    cross = every_distance(generated, real)
    real_ball, generated_ball = (np.sort(every_distance(rows, rows), 1)[:, k] for rows in (real, generated))
    n, m = cross.shape
    return {
        "precision": sum(any(cross[i, j] <= real_ball[j] for j in range(m)) for i in range(n)) / n,
        "recall": sum(any(cross[i, j] <= generated_ball[i] for i in range(n)) for j in range(m)) / m,
        "density": sum(cross[i, j] <= real_ball[j] for i in range(n) for j in range(m)) / (k * n),
        "coverage": sum(min(cross[:, j]) <= real_ball[j] for j in range(m)) / m,
    }


MEASURES = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("name", MEASURES)
def test_values(name: str, k: int) -> None:
    generated, real = normal(6, 45, 3, shift=0.6), normal(7, 60, 3)
    figure = MEASURES[name](generated, real, k)
    assert figure.value == pytest.approx(by_loops(generated, real, k)[name], rel=1e-12)
    assert (figure.n, figure.n_reference) == ((60, 45) if name in ("recall", "coverage") else (45, 60))
    found_before = MEASURES[name](Neighbourhood.of(generated), Neighbourhood.of(real), k)
    assert found_before == figure


@given(st.integers(0, 10**6), st.integers(7, 40), st.integers(7, 40), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_what_changes_nothing(seed: int, n: int, m: int, d: int) -> None:
    generated, real = normal(seed, n, d, shift=0.5), normal(seed + 1, m, d)
    for name, measure in MEASURES.items():
        figure, other = measure(generated, real), measure(permuted(seed, generated), permuted(seed, real))
        if name == "coverage":  # its error is found by halves of the rows as they stand
            assert (other.value, other.n, other.n_reference) == (figure.value, figure.n, figure.n_reference)
        else:
            assert other.to_dict() == pytest.approx(figure.to_dict())
        assert measure(generated * 8, real * 8).value == figure.value
        assert measure(generated + 3, real + 3).value == figure.value
    assert precision(generated, real).value == recall(real, generated).value


def test_the_interval_of_coverage_counts_that_one_row_lies_in_many_balls() -> None:
    """The interval of a share held the mean of 85 % of such sets."""
    found = [coverage(normal(2 * seed, 150, 16, shift=0.15), normal(2 * seed + 1, 150, 16)) for seed in range(80)]
    mean = sum(figure.value for figure in found) / len(found)
    held = sum(figure.low <= mean <= figure.high for figure in found) / len(found)
    assert held >= 0.86 and all(figure.low <= figure.value <= figure.high for figure in found)


def test_the_same_set_is_all_covered() -> None:
    rows = normal(8, 60, 4)
    assert precision(rows, rows).value == recall(rows, rows).value == coverage(rows, permuted(1, rows)).value == 1


@pytest.mark.parametrize(("n", "m"), [(400, 400), (200, 600)])
def test_equal_distributions_are_where_theory_puts_them(n: int, m: int) -> None:
    """Coverage of the mean of six draws: 1 - the chance that all k neighbours are real; density 1."""
    pairs = [(normal(2 * seed, n, 6), normal(2 * seed + 1, m, 6)) for seed in range(6)]
    covered = sum(coverage(*pair).value for pair in pairs) / len(pairs)
    assert covered == pytest.approx(expected_coverage(n, m), abs=0.015)
    assert sum(density(*pair).value for pair in pairs) / len(pairs) == pytest.approx(1, abs=0.05)
    assert expected_coverage(400, 400) == pytest.approx(1 - 2**-5, abs=2e-3)


def test_a_dropped_mode_costs_coverage_and_an_invented_one_precision() -> None:
    real = torch.cat([normal(1, 100, 3), normal(2, 100, 3, shift=20)])
    assert coverage(normal(3, 200, 3), real).high < 0.6 and precision(normal(3, 200, 3), real).low > 0.8
    invented = torch.cat([normal(3, 100, 3), normal(4, 100, 3, shift=-20)])
    assert precision(invented, real).high < 0.6 and density(invented, real).high < 0.7
