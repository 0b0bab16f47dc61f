"""Means and covariances of rows, and of opposite halves of them: the sums over one half give those of the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gandem.judge.figure import Rounds, errors_by_opposites


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d), over n - 1, of float64 rows (n, d)."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Moments:
        """Return the moments of all rows."""
        mean = rows.mean(0)
        return cls(mean, _products(rows - mean) / (len(rows) - 1))


class Halved:
    """Float64 rows (n, d) that are halved again and again: halved(order (n,)) -> the moments of both halves."""

    def __init__(self, rows: Tensor) -> None:
        self.rows, self.mean = rows, rows.mean(0)
        self.products = _products(rows - self.mean)  # centred: no digits are lost where sums are subtracted

    def __call__(self, order: Tensor) -> tuple[Moments, Moments]:
        """Return the moments of the first half of the rows in this order, and of the second."""
        count = len(order) // 2
        half = self.rows.index_select(0, order[:count]) - self.mean
        total, products = half.sum(0), _products(half)
        other = self._moments(len(order) - count, -total, self.products - products)
        return self._moments(count, total, products), other

    def _moments(self, count: int, total: Tensor, products: Tensor) -> Moments:
        mean = total / count
        return Moments(self.mean + mean, (products - torch.outer(total, mean)) / (count - 1))


def errors_of_moments(
    statistics: Callable[[Sequence[Moments], Moments], list[float]],
    sets: Sequence[Tensor],
    real: Tensor,
    tell: Rounds = lambda done, of: None,
) -> list[float]:
    """Return the standard errors of statistics(moments of each set, moments of the real rows); see `errors_by_halves`.

    All sets have equally many rows, and are halved in the same way.
    """
    here, there = [Halved(rows) for rows in sets], Halved(real)

    def both(i: Tensor, j: Tensor) -> list[list[float]]:
        sides = zip(zip(*(rows(i) for rows in here), strict=True), there(j), strict=True)
        return [statistics(*side) for side in sides]

    return errors_by_opposites(both, len(sets[0]), len(real), tell=tell)


def _products(rows: Tensor) -> Tensor:
    """X'X of rows X. numpy would do half of the work, but its threads and torch's wait for each other."""
    return rows.T @ rows
