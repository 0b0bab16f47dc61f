"""How varied the generated samples are beside real ones: spread, directions, support, and cells that are missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gandem.errors import JudgeError
from gandem.judge.figure import Figure, Z, comparable, error_by_halves
from gandem.judge.moments import Moments, errors_of_moments
from gandem.judge.neighbours import holding, nearest

NEAR = 0.01
"""A near-duplicate is nearer than this share of real rows is to its nearest real row."""

FILLED = 10
"""Real rows that make a k-means cell."""


@dataclass(frozen=True)
class Support:
    """How many different samples there seem to be, for generated and real rows at one threshold of "the same".

    at_least: no near-duplicate was found, so that `generated` is the low end only, and its high end is infinite.
    threshold: the distance below which two rows count as the same; pairs: how many generated pairs do.
    """

    generated: Figure
    real: Figure
    at_least: bool
    threshold: float
    pairs: int


@dataclass(frozen=True)
class Balance:
    """How generated rows fall into the cells that real rows fall into.

    missing: cells with real but no generated rows; missing_by_chance: how many so many rows drawn at the real shares
    would miss; divergence: KL(generated || real) in nats; divergence_by_chance: its mean for equal distributions.
    """

    cells: int
    missing: int
    missing_by_chance: float
    divergence: Figure
    divergence_by_chance: float


def spread_ratio(generated: Tensor, real: Tensor) -> Figure:
    """Ratio of total variances, tr Cov(generated) / tr Cov(real), >= 0: 1 if as spread, 0 if collapsed to a point."""
    generated, real = comparable(4, generated=generated, real=real)
    return spread_ratios([generated], real)[0]


def spread_ratios(sets: Sequence[Tensor], real: Tensor) -> list[Figure]:
    """Return the spread ratio of each of several float64 sets of equally many rows."""
    return _ratios(lambda covariance: float(covariance.trace()), sets, real)


def rank_ratio(generated: Tensor, real: Tensor) -> Figure:
    """Effective rank of Cov(generated) over that of Cov(real), > 0: 1 if in as many directions.

    The rank is exp H of the normalised spectrum (Roy and Vetterli 2007). It falls with the rows, so the larger set is
    cut to the rows of the smaller, at random.
    """
    generated, real = comparable(4, generated=generated, real=real)
    return rank_ratios([generated], real)[0]


def rank_ratios(sets: Sequence[Tensor], real: Tensor) -> list[Figure]:
    """Return the rank ratio of each of several float64 sets of equally many rows."""
    count, generator = min(len(sets[0]), len(real)), torch.Generator().manual_seed(0)
    i, j = (torch.randperm(len(rows), generator=generator)[:count] for rows in (sets[0], real))
    return _ratios(_rank, [rows[i] for rows in sets], real[j])


def effective_rank(rows: Tensor) -> float:
    """Exp of the entropy of the covariance spectrum of rows (n, d), in [1, min(n - 1, d)]; 0 if all are the same."""
    return _rank(Moments.of(rows).covariance)


def _rank(covariance: Tensor) -> float:
    spectrum = torch.linalg.eigvalsh(covariance).clamp(min=0)
    if spectrum.sum() == 0:
        return 0.0
    return float(torch.special.entr(spectrum / spectrum.sum()).sum().exp())


def _ratios(measure: Callable[[Tensor], float], sets: Sequence[Tensor], real: Tensor) -> list[Figure]:
    """Compare what is measured of covariances (d, d)."""
    base, *values = (measure(Moments.of(rows).covariance) for rows in (real, *sets))
    if base == 0:
        raise JudgeError("all real rows have the same features; there is no variety to compare with")

    def of_halves(made: Sequence[Moments], there: Moments) -> list[float]:
        below = max(measure(there.covariance), 1e-300)
        return [measure(moments.covariance) / below for moments in made]

    found = zip(values, errors_of_moments(of_halves, sets, real), strict=True)
    return [Figure.around(value / base, error, len(sets[0]), len(real), floor=0.0) for value, error in found]


def support(generated: Tensor, real: Tensor) -> Support:
    """Estimate the size of the support from near-duplicates, the birthday paradox (Arora and Zhang 2017).

    Two of N equally likely samples are the same with probability 1/N, so N is estimated as all pairs over equal ones;
    where some are likelier, that is less than the support. What counts as the same is calibrated: nearer than 1 % of
    real rows are to their nearest real row, copies within the data set aside. Real rows are not free of such pairs, so
    read the two numbers side by side: as many as for the real rows, and nothing says that the support is small.
    """
    generated, real = comparable(100, generated=generated, real=real)
    nearby = nearest(real, real, same=True)[0]
    apart = nearby[nearby > 0]
    threshold = float(apart.quantile(NEAR)) if len(apart) else 0.0  # where every row has copies: those alone
    limits = [torch.full((len(rows),), threshold, dtype=rows.dtype) for rows in (generated, real)]
    same, real_same = (holding(rows, rows, limit)[0] - 1 for rows, limit in zip((generated, real), limits, strict=True))
    figure = _support(same)
    return Support(figure, _support(real_same), math.isinf(figure.high), threshold, int(same.sum()) // 2)


def _support(same: Tensor) -> Figure:
    """All pairs over equal pairs, given how many rows each row (n,) equals; the interval is a score interval.

    Equal pairs are Poisson if each is on its own; where rows have many equals they vary more, to first order by
    n var(same). Without any pair, the 95 % bound of a Poisson count of 0 gives the low end.
    """
    n, pairs = len(same), float(same.sum()) / 2
    every = n * (n - 1) / 2
    if pairs == 0:
        return Figure(every / Z**2, every / Z**2, math.inf, n)
    excess = max(n * float(same.double().var()) / pairs - 1, 1.0)
    effective = pairs / excess
    middle, half = effective + Z**2 / 2, Z * math.sqrt(effective + Z**2 / 4)
    return Figure(every / pairs, every / (excess * (middle + half)), every / (excess * (middle - half)), n)


def cell_balance(
    generated: Tensor, real: Tensor, cells: int = 50, *, fresh: Tensor | None = None, seed: int = 0
) -> Balance:
    """Balance over at most `cells` k-means cells of the real rows, each with ten of them or more.

    fresh: other real rows (k, d). A cell to which they come less than half as often is no kind of the data but an
    accident of the rows that it was made of, as most cells of a few rows in many dimensions are, and does not count.
    """
    generated, real = comparable(2 * FILLED, generated=generated, real=real)
    centres = k_means(real, min(cells, len(real) // FILLED), seed=seed)
    counts = torch.bincount(cell_of(real, centres), minlength=len(centres))
    filled = counts >= FILLED
    centres, counts = centres[filled], counts[filled]  # what is left over are outliers, which others may miss by chance
    if fresh is not None:
        others = torch.bincount(cell_of(fresh.to(real), centres), minlength=len(centres))
        centres = centres[(others / len(fresh) >= counts / len(real) / 2) | (others == others.max())]
    return label_balance(cell_of(generated, centres), cell_of(real, centres), len(centres))


def label_balance(generated: Tensor, real: Tensor, cells: int) -> Balance:
    """Balance over given labels, integers (n,) and (m,) in [0, cells)."""
    for name, labels in (("generated", generated), ("real", real)):
        if labels.is_floating_point() or len(labels) < 2 or labels.min() < 0 or labels.max() >= cells:
            raise JudgeError(f"{name} labels must be two or more integers from 0 to {cells - 1}")
    q, p = (torch.bincount(labels, minlength=cells) for labels in (generated, real))
    n, m, present = len(generated), len(real), p > 0
    error = error_by_halves(lambda i, j: _divergence(generated[i], real[j], cells), n, m)
    return Balance(
        cells=cells,
        missing=int((present & (q == 0)).sum()),
        missing_by_chance=float(((1 - p[present] / m) ** n).sum()),
        divergence=Figure.around(_divergence(generated, real, cells), error, n, m, floor=0.0),
        divergence_by_chance=(int(present.sum()) - 1) / 2 * (1 / n + 1 / m),
    )


def _divergence(generated: Tensor, real: Tensor, cells: int) -> float:
    """KL divergence of label frequencies; a label that no real row has counts as half a row."""
    q = torch.bincount(generated, minlength=cells).double() / len(generated)
    p = torch.bincount(real, minlength=cells).double().clamp(min=0.5) / len(real)
    return max(float((torch.special.xlogy(q, q) - torch.special.xlogy(q, p)).sum()), 0.0)


def k_means(rows: Tensor, cells: int, *, seed: int = 0, rounds: int = 50) -> Tensor:
    """Centres (at most cells, d) by k-means++ (Arthur and Vassilvitskii 2007) and Lloyd's steps; the same every time.

    There are fewer centres than cells only if there are fewer different rows.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = rows[torch.randint(len(rows), (1,), generator=generator)]
    far = (rows - centres).square().sum(1)
    while len(centres) < cells and far.max() > 0:
        chosen = rows[torch.multinomial(far, 1, generator=generator)]
        centres, far = torch.cat([centres, chosen]), torch.minimum(far, (rows - chosen).square().sum(1))
    before: Tensor | None = None
    for _ in range(rounds):
        here = cell_of(rows, centres)
        if before is not None and here.equal(before):
            break
        before, counts = here, torch.bincount(here, minlength=len(centres))[:, None]
        sums = torch.zeros_like(centres).index_add_(0, here, rows)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)  # an empty cell stays where it is
    return centres


def cell_of(rows: Tensor, centres: Tensor) -> Tensor:
    """Index (n,) of the centre (c, d) that is nearest to each row (n, d)."""
    return torch.addmm(centres.square().sum(1), rows, centres.T, alpha=-2).argmin(1)
