"""Classifier two-sample test (Lopez-Paz and Oquab 2017): can a fresh classifier tell generated from real?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gandem.judge.classifier import fit
from gandem.judge.figure import Figure, Z, comparable


def two_sample(generated: Tensor, real: Tensor, *, seed: int = 0) -> Figure:
    """AUC of a classifier of generated against real on rows it was not trained on: 0.5 if it cannot tell, at most 1.

    Each half of the rows is scored by a classifier that was trained on the other. Their AUCs are averaged, and so are
    the standard errors: chance in one half is learnt by one classifier and tested in the other, so the errors agree.
    """
    generated, real = comparable(8, generated=generated, real=real)
    return two_samples([generated], real, seed=seed)[0]


def two_samples(sets: Sequence[Tensor], real: Tensor, *, seed: int = 0) -> list[Figure]:
    """Return the AUC of each of several float64 sets of equally many rows; their classifiers are trained together."""
    n, m = len(sets[0]), len(real)
    generated = torch.stack([_shuffled(rows, seed) for rows in sets])
    others = _shuffled(real, seed + 1).expand(len(sets), -1, -1)
    halves = [(rows[:, :half], rows[:, half:]) for rows, half in ((generated, n // 2), (others, m // 2))]
    found = []
    for train, test in ((0, 1), (1, 0)):
        score = _classifiers(halves[0][train], halves[1][train], seed)
        scores = zip(score(halves[0][test]), score(halves[1][test]), strict=True)
        found.append([delong(*each) for each in scores])
    return [
        area_figure((one + two) / 2, ((math.sqrt(error) + math.sqrt(other)) / 2) ** 2, n, m)
        for (one, error), (two, other) in zip(*found, strict=True)
    ]


def auc(positive_scores: Tensor, negative_scores: Tensor) -> Figure:
    """P(positive > negative), ties as one half, of two sets of scores (n,) and (m,), in [0, 1]."""
    positive, negative = comparable(2, positive=positive_scores[:, None], negative=negative_scores[:, None])
    return area_figure(*delong(positive[:, 0], negative[:, 0]), len(positive), len(negative))


def delong(positive: Tensor, negative: Tensor) -> tuple[float, float]:
    """Return the AUC of scores (n,) and (m,) and its variance (DeLong et al. 1988)."""
    above, below = _places(positive, negative), _places(negative, positive)
    return float(above.mean()), float(above.var() / len(above) + below.var() / len(below))


def _places(scores: Tensor, others: Tensor) -> Tensor:
    """Share of the others that each score is above, ties as one half."""
    others, scores = others.sort().values, scores.contiguous()
    ranks = torch.searchsorted(others, scores) + torch.searchsorted(others, scores, right=True)
    return ranks.double() / (2 * len(others))


def area_figure(area: float, variance: float, n: int, m: int, z: float = Z) -> Figure:
    """Give an AUC the Wilson interval of as many trials as have its variance, z standard deviations to either side.

    So it stays within [0, 1], and a perfect AUC, whose variance is 0, still has an interval: trials are at most twice
    the rows of the smaller set, as for an AUC that tends to 1.
    """
    most = 2 * min(n, m)
    trials = min(area * (1 - area) / variance, most) if variance > 0 else most
    figure = Figure.of_share(area * trials, trials, z)
    return Figure(area, figure.low, figure.high, n, m)


def _shuffled(rows: Tensor, seed: int) -> Tensor:
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]


def _classifiers(positive: Tensor, negative: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
    """Train c to score positive rows (c, p, d) above negative ones; return rows (c, n, d) -> scores (c, n)."""
    rows = torch.cat([positive, negative], 1)
    signs = torch.ones(rows.shape[1])
    signs[positive.shape[1] :] = -1

    def logistic(scores: Tensor, chosen: Tensor) -> Tensor:
        return softplus(-signs[chosen] * scores.squeeze(1))

    score = fit(rows, 1, logistic, seed=seed)
    return lambda rows: score(rows).squeeze(1)
