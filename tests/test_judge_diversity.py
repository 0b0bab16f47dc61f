"""Variety against plain formulas, and on sets whose support, collapse and missing modes are known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from feature_sets import normal, permuted
from gandem.errors import JudgeError
from gandem.judge.diversity import (
    cell_balance,
    cell_of,
    effective_rank,
    k_means,
    label_balance,
    rank_ratio,
    spread_ratio,
    support,
)


def atoms(seed: int, count: int, n: int, d: int = 8, *, scale: float = 1.0) -> Tensor:
    """Rows drawn from so many equally likely points."""
    generator = torch.Generator().manual_seed(seed)
    return normal(seed, count, d, scale=scale)[torch.randint(count, (n,), generator=generator)]


def rank_by_entropy(rows: np.ndarray) -> float:
    spectrum = np.linalg.eigvalsh(np.cov(rows, rowvar=False))
    shares = spectrum[spectrum > 1e-14] / spectrum.sum()
    return math.exp(-sum(share * math.log(share) for share in shares))


def test_ratios() -> None:
    generated, real = normal(1, 50, 4) @ normal(2, 4, 4), normal(3, 50, 4)
    spread = np.trace(np.cov(generated.numpy(), rowvar=False)) / np.trace(np.cov(real.numpy(), rowvar=False))
    assert spread_ratio(generated, real).value == pytest.approx(spread, rel=1e-9)
    rank = rank_by_entropy(generated.numpy()) / rank_by_entropy(real.numpy())
    assert rank_ratio(generated, real).value == pytest.approx(rank, rel=1e-9)
    assert effective_rank(normal(1, 5, 30)) == pytest.approx(rank_by_entropy(normal(1, 5, 30).numpy()), rel=1e-9)
    assert effective_rank(torch.zeros(9, 3).double()) == 0


@given(st.integers(0, 10**6), st.integers(5, 30), st.integers(2, 6))
@settings(max_examples=8, deadline=None)
def test_what_changes_no_ratio(seed: int, n: int, d: int) -> None:
    generated, real = normal(seed, n, d, scale=2), normal(seed + 1, n, d)
    for ratio in (spread_ratio, rank_ratio):
        value = pytest.approx(ratio(generated, real).value, rel=1e-8)
        assert ratio(generated + 5, real - 3).value == value
        assert ratio(permuted(seed, generated), permuted(seed, real)).value == value
        assert 1 / ratio(real, generated).value == value


def test_ratios_of_equal_collapsed_and_unequal_sets() -> None:
    real = normal(1, 900, 10)
    for ratio in (spread_ratio, rank_ratio):
        figure = ratio(normal(2, 300, 10), real)
        assert figure.low <= 1 <= figure.high and figure.high - figure.low < 0.2
    assert rank_ratio(normal(2, 300, 10), real).n_reference == 300
    point = torch.full((300, 10), 0.3, dtype=torch.float64)
    assert spread_ratio(point, real).value < 1e-12
    assert rank_ratio(point, real).value <= 0.11
    line = normal(3, 300, 1) * torch.ones(10, dtype=torch.float64)
    assert rank_ratio(line, real).high < 0.15 and spread_ratio(line, real).value > 0.8
    with pytest.raises(JudgeError, match="no variety"):
        spread_ratio(real, torch.zeros(20, 10))


def test_support_by_loops() -> None:
    generated, real = atoms(1, 60, 120, d=3), normal(2, 130, 3)
    found = support(generated, real)
    nearby = sorted(min(math.dist(a, b) for j, b in enumerate(real.tolist()) if i != j) for i, a in enumerate(real))
    place = 0.01 * 129
    assert found.threshold == pytest.approx(nearby[1] * (2 - place) + nearby[2] * (place - 1), rel=1e-9)
    rows = generated.tolist()
    pairs = sum(math.dist(rows[i], rows[j]) <= found.threshold for i in range(120) for j in range(i))
    assert found.pairs == pairs > 0
    assert found.generated.value == pytest.approx(120 * 119 / 2 / pairs, rel=1e-9)


@pytest.mark.parametrize("count", [20, 400, 5000])
def test_support_covers_the_number_of_atoms(count: int) -> None:
    """Where the atoms are too far apart for two of them to count as one."""
    real = normal(100, 300, 8)
    figures = [support(atoms(seed, count, 500, scale=50), real).generated for seed in range(60)]
    assert sum(figure.low <= count <= figure.high for figure in figures) / 60 >= 0.9


def test_support_that_no_pair_bounds() -> None:
    found = support(normal(1, 300, 8, scale=50), normal(2, 300, 8))
    assert found.at_least and found.pairs == 0 and math.isinf(found.generated.high)
    assert found.generated.low == found.generated.value == pytest.approx(300 * 299 / 2 / 3.84, rel=1e-3)
    assert found.generated.to_dict()["high"] is None


def test_support_of_as_varied_a_generator_and_of_jittered_atoms() -> None:
    real = torch.cat([normal(1, 900, 8), normal(1, 10, 8)])  # ten rows are there twice
    honest, jittered = (
        support(normal(2, 900, 8), real),
        support(atoms(3, 50, 900) + normal(4, 900, 8, scale=0.01), real),
    )
    assert honest.threshold > 0 and honest.generated.high > honest.real.low
    assert jittered.generated.value == pytest.approx(50, rel=0.1) and jittered.generated.high < jittered.real.low / 100
    few = normal(5, 27, 8).repeat(10, 1)  # where every row is there again, that alone counts as the same
    assert support(few, few).generated.value == pytest.approx(27, rel=0.15)


def test_k_means_finds_what_is_apart() -> None:
    rows = torch.cat([normal(place, 40, 3, shift=30.0 * place) for place in range(5)])
    centres = k_means(rows, 5)
    assert torch.equal(centres, k_means(rows, 5))
    here = cell_of(rows, centres)
    assert all(part.unique().numel() == 1 for part in here.split(40)) and here.unique().numel() == 5
    means = torch.stack([rows[here == cell].mean(0) for cell in range(5)])
    assert (centres - means).abs().max() < 1e-9
    assert len(k_means(rows[:1].repeat(20, 1), 4)) == 1


def test_balance_of_labels_by_loops() -> None:
    generated, real = torch.tensor([0] * 6 + [1] * 2 + [4] * 2), torch.tensor([0] * 5 + [1] * 10 + [2] * 5)
    balance = label_balance(generated, real, 5)
    by_hand = 0.6 * math.log(0.6 / 0.25) + 0.2 * math.log(0.2 / 0.5) + 0.2 * math.log(0.2 / (0.5 / 20))
    assert balance.divergence.value == pytest.approx(by_hand, rel=1e-9)
    assert (balance.cells, balance.missing) == (5, 1)
    assert balance.missing_by_chance == pytest.approx(0.75**10 + 0.5**10 + 0.75**10, rel=1e-9)
    for labels in (torch.tensor([0, 5]), torch.tensor([-1, 2]), torch.tensor([1]), torch.tensor([0.0, 1.0])):
        with pytest.raises(JudgeError, match="generated labels must be"):
            label_balance(labels, real, 5)


def test_balance_of_cells() -> None:
    real = torch.cat([normal(place, 60, 3, shift=30.0 * place) for place in range(6)])
    honest = cell_balance(real + 0.01, real, 6)
    assert (honest.cells, honest.missing, honest.divergence.value) == (6, 0, 0)
    dropped = cell_balance(normal(3, 200, 3, shift=90), real, 6)
    assert dropped.missing == 5 and dropped.divergence.value == pytest.approx(math.log(6), rel=1e-9)
    assert dropped.missing_by_chance < 0.01
    assert cell_balance(real, torch.cat([real, torch.full((1, 3), 1e4)]), 7).missing == 0  # an outlier is no cell
    assert cell_balance(normal(3, 200, 3, shift=90), real, 6, fresh=real - 0.01).missing == dropped.missing


def test_cells_of_a_few_rows_in_many_dimensions_are_accidents() -> None:
    """Fresh rows of the same distribution come to few of them, and have lost nothing."""
    real, fresh, made = (normal(seed, 400, 900) for seed in (1, 2, 3))
    assert cell_balance(made, real).missing > 5
    balance = cell_balance(made, real, fresh=fresh)
    assert balance.missing == 0 and balance.cells >= 1


def test_divergence_of_equal_distributions_is_what_chance_gives() -> None:
    labels = [(atoms_labels(2 * seed, 300), atoms_labels(2 * seed + 1, 500)) for seed in range(60)]
    balances = [label_balance(*pair, 10) for pair in labels]
    chance = balances[0].divergence_by_chance
    assert sum(each.divergence.value for each in balances) / 60 == pytest.approx(chance, rel=0.15)
    assert sum(each.divergence.low <= chance <= each.divergence.high for each in balances) / 60 >= 0.9


def atoms_labels(seed: int, n: int) -> Tensor:
    return torch.randint(10, (n,), generator=torch.Generator().manual_seed(seed))
