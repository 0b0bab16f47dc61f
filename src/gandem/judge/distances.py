"""Distances between two sets of features, (n, d) and (m, d): zero when the distributions are equal.

The plain values are for repeated calls and check nothing; the figures check the rows and add an interval. An interval
covers what the estimator is on average at these n and m. For the kernel distance that is the distance of the
distributions; the Frechet distance and MIND lie above it, the more so the fewer the rows (Chong and Forsyth 2020),
and must be compared at equal counts only.

What measures several sets takes float64 rows that were checked before, equally many of each set, and asks only once
what it asks of the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gandem.judge.figure import Figure, Rounds, comparable, errors_by_halves, second_order_error
from gandem.judge.moments import Moments, errors_of_moments

DIRECTIONS = 256
"""Lines that the features are projected on for MIND."""
MIND_ROUNDS = 20
BLOCK = 1_000_000
"""Kernel values that are held at a time: 8 MB."""


def frechet_distance(generated: Tensor, real: Tensor) -> Figure:
    """Squared Frechet distance of the two sets as Gaussians (Heusel et al. 2017), >= 0; the interval by halves."""
    generated, real = comparable(4, generated=generated, real=real)
    return frechet_figures([generated], real)[0][0]


def frechet_share(generated: Tensor, real: Tensor) -> Figure:
    """Frechet distance as a share of the most it could be with these means and spreads, in [0, 1]; by halves.

    That most is |mean difference|^2 + tr A + tr B, reached where no direction of one set agrees with one of the other,
    as with one image repeated. So the number is free of the features' scale, and bounded for a hopeless generator.
    """
    generated, real = comparable(4, generated=generated, real=real)
    return frechet_figures([generated], real)[0][1]


def frechet_figures(
    sets: Sequence[Tensor], real: Tensor, tell: Rounds = lambda done, of: None
) -> list[tuple[Figure, Figure]]:
    """Return each set's distance and its share: nearly all of the work is in the halves, which serve for both."""
    n, m = len(sets[0]), len(real)

    def of_halves(made: Sequence[Moments], there: Moments) -> list[float]:
        return [number for part in quick_parts(made, there) for number in _frechet(*part)]

    errors = iter(errors_of_moments(of_halves, sets, real, tell))
    found = []
    for rows in sets:
        distance, share = (
            Figure.around(value, next(errors), n, m, floor=0.0) for value in _frechet(*frechet_parts(rows, real))
        )
        found.append((distance, replace(share, high=min(share.high, 1.0))))
    return found


def frechet_value(generated: Tensor, real: Tensor) -> float:
    """|mean difference|^2 + tr(A + B - 2 (A B)^1/2), the covariances A and B over n - 1."""
    return _frechet(*frechet_parts(generated, real))[0]


def frechet_share_value(generated: Tensor, real: Tensor) -> float:
    """Return the value of `frechet_share`; 0 for two sets of one and the same row."""
    return _frechet(*frechet_parts(generated, real))[1]


def _frechet(most: float, agreement: float) -> tuple[float, float]:
    return max(most - agreement, 0.0), max(1 - agreement / most, 0.0) if most > 0 else 0.0


def frechet_parts(generated: Tensor, real: Tensor) -> tuple[float, float]:
    """|mean difference|^2 + tr A + tr B, and 2 tr (A B)^1/2.

    With A = R'R and B = S'S the last trace is the sum of the singular values of R S'. No covariance is formed or
    inverted, so fewer rows than columns are as good as any, and equal sets are at 1e-12 and not at the root of it.
    """
    shift, roots = generated.mean(0) - real.mean(0), (_root(generated), _root(real))
    agreement = 2 * torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    return float(shift.square().sum() + sum(root.square().sum() for root in roots)), float(agreement)


def quick_parts(sets: Sequence[Moments], real: Moments) -> list[tuple[float, float]]:
    """Return the same of each set, to half of the digits and many times as fast: tr (A B)^1/2 = tr (S A S')^1/2."""
    values, vectors = torch.linalg.eigh(real.covariance)
    root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    parts = []
    for mean, covariance in sets:
        most = (mean - real.mean).square().sum() + covariance.trace() + real.covariance.trace()
        agreement = 2 * torch.linalg.eigvalsh(root @ covariance @ root.T).clamp(min=0).sqrt().sum()
        parts.append((float(most), float(agreement)))
    return parts


def _root(rows: Tensor) -> Tensor:
    """R with R'R the covariance of the rows, (min(n, d), d)."""
    return torch.linalg.qr(rows - rows.mean(0), mode="r")[1] / math.sqrt(len(rows) - 1)


def kernel_distance(generated: Tensor, real: Tensor) -> Figure:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018); may be < 0.

    All rows are used. The interval is from the variance of the U-statistic, to second order: where the distributions
    are equal the first order vanishes (Gretton et al. 2012, theorem 12).
    """
    generated, real = comparable(4, generated=generated, real=real)
    return kernel_distances([generated], real)[0]


def kernel_distances(sets: Sequence[Tensor], real: Tensor) -> list[Figure]:
    """Return the kernel distance of each set."""
    n, m = len(sets[0]), len(real)
    other, _, other_square = _kernel(real, real, same=True)
    figures = []
    for rows in sets:
        (own, _, own_square), (cross, crossed, cross_square) = _kernel(rows, rows, same=True), _kernel(rows, real)
        value = float(own.mean() + other.mean() - 2 * cross.mean())
        jackknife = 4 * float((own - cross).var() / n + (other - crossed).var() / m)
        second = 2 * own_square / n**2 + 2 * other_square / m**2 + 4 * cross_square / (n * m)
        figures.append(Figure.around(value, second_order_error(jackknife, second), n, m))
    return figures


def kernel_value(generated: Tensor, real: Tensor) -> float:
    """Return the value of `kernel_distance`."""
    own, other = (_kernel(rows, rows, same=True)[0].mean() for rows in (generated, real))
    return float(own + other - 2 * _kernel(generated, real)[0].mean())


def _kernel(left: Tensor, right: Tensor, *, same: bool = False) -> tuple[Tensor, Tensor, float]:
    """Means of the kernel over each row (n,) and column (m,), and the mean square of what these leave unexplained.

    same: both are one set, and no row is paired with itself.
    """
    sums, columns = left.new_empty(len(left)), left.new_zeros(len(right))
    width, squares, start = left.shape[1], 0.0, 0
    for part in left.split(max(BLOCK // len(right), 1)):
        kernel = torch.addmm(left.new_ones(1), part, right.T, alpha=1 / width).pow_(3)
        sums[start : start + len(part)] = kernel.sum(1)
        columns += kernel.sum(0)
        squares += float(kernel.flatten() @ kernel.flatten())
        start += len(part)
    itself = (left.square().sum(1) / width + 1) ** 3 if same else left.new_zeros(len(left))
    row_means = (sums - itself) / (len(right) - same)
    column_means = row_means if same else columns / len(left)
    square = (squares - float(itself @ itself)) / (len(left) * (len(right) - same))
    explained = float(row_means.square().mean() + column_means.square().mean() - row_means.mean() ** 2)
    return row_means, column_means, max(square - explained, 0.0)


def mind(generated: Tensor, real: Tensor, *, count: int = DIRECTIONS, seed: int = 0) -> Figure:
    """3 d times the mean squared Wasserstein-2 distance over `count` lines (MIND, arXiv 2605.06797); >= 0.

    The lines are the same for every call of one seed and d; the interval, by halves, is of the rows and not of them.
    """
    generated, real = comparable(4, generated=generated, real=real)
    return minds([generated], real, count=count, seed=seed)[0]


def minds(sets: Sequence[Tensor], real: Tensor, *, count: int = DIRECTIONS, seed: int = 0) -> list[Figure]:
    """Return MIND of each set."""
    lines, n, m, scale = directions(real.shape[1], count, seed), len(sets[0]), len(real), 3 * real.shape[1]
    there, *here = [(lines @ rows.T).sort(1) for rows in (real, *sets)]

    def of_halves(i: Tensor, j: Tensor) -> list[float]:
        right = _kept(*there, j)
        return [scale * _wasserstein(_kept(*each, i), right) for each in here]

    errors = errors_by_halves(of_halves, n, m, rounds=MIND_ROUNDS)
    values = [scale * _wasserstein(each[0], there[0]) for each in here]
    return [Figure.around(value, error, n, m, floor=0.0) for value, error in zip(values, errors, strict=True)]


def mind_value(generated: Tensor, real: Tensor, *, count: int = DIRECTIONS, seed: int = 0) -> float:
    """Return the value of `mind`."""
    lines = directions(real.shape[1], count, seed)
    return 3 * real.shape[1] * _wasserstein(*((lines @ rows.T).sort(1).values for rows in (generated, real)))


def directions(d: int, count: int, seed: int = 0) -> Tensor:
    """Return `count` unit vectors (count, d), each uniform on the sphere, drawn as whole orthogonal bases.

    A basis sees the square of a shift exactly, where independent directions would add noise of their own.
    """
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randn(-(-count // d), d, d, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(bases)[0].mT.reshape(-1, d)[:count]


def _kept(ordered: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    """Keep those values of sorted projections (count, n) that belong to some of the rows; they stay sorted."""
    chosen = np.zeros(ordered.shape[1], bool)
    chosen[rows] = True
    here = np.flatnonzero(chosen[places])  # several times as fast as a mask, and as torch
    return torch.from_numpy(ordered.numpy().ravel()[here]).view(len(ordered), -1)


def _wasserstein(left: Tensor, right: Tensor) -> float:
    """Mean squared difference of the quantile functions of sorted projections (count, n) and (count, m).

    Both are steps, of widths 1/n and 1/m, so that the integral over their common grid is exact for n unlike m.
    """
    n, m = left.shape[1], right.shape[1]
    if n == m:
        return float((left - right).square().mean())
    edges = torch.cat([torch.arange(n + 1) * m, torch.arange(1, m) * n]).unique()
    widths, starts = edges.diff() / (n * m), edges[:-1]
    return float(((left[:, starts // m] - right[:, starts // n]).square() @ widths.double()).mean())
