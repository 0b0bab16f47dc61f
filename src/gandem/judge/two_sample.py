"""Classifier two-sample test (Lopez-Paz and Oquab 2017): can a fresh classifier tell generated from real?"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gandem.judge.figure import Figure, comparable

HIDDEN, BATCH, EPOCHS, STEPS, RATE = 256, 128, 15, 300, 3e-3
"""The classifier: hidden units, rows a step, passes over the rows but no fewer than so many steps, learning rate."""


def two_sample(generated: Tensor, real: Tensor, *, seed: int = 0) -> Figure:
    """AUC of a classifier of generated against real on rows it was not trained on: 0.5 if it cannot tell, at most 1.

    Each half of the rows is scored by a classifier that was trained on the other. Their AUCs are averaged, and so are
    the standard errors: chance in one half is learnt by one classifier and tested in the other, so the errors agree.
    """
    generated, real = comparable(8, generated=generated, real=real)
    generated, real = _shuffled(generated, seed), _shuffled(real, seed + 1)
    halves = [(rows[: len(rows) // 2], rows[len(rows) // 2 :]) for rows in (generated, real)]
    areas, errors = [], []
    for train, test in ((0, 1), (1, 0)):
        score = _classifier(halves[0][train], halves[1][train], seed)
        area, variance = delong(score(halves[0][test]), score(halves[1][test]))
        areas.append(area)
        errors.append(math.sqrt(variance))
    return _figure(sum(areas) / 2, (sum(errors) / 2) ** 2, len(generated), len(real))


def auc(positive_scores: Tensor, negative_scores: Tensor) -> Figure:
    """P(positive > negative), ties as one half, of two sets of scores (n,) and (m,), in [0, 1]."""
    positive, negative = comparable(2, positive=positive_scores[:, None], negative=negative_scores[:, None])
    return _figure(*delong(positive[:, 0], negative[:, 0]), len(positive), len(negative))


def delong(positive: Tensor, negative: Tensor) -> tuple[float, float]:
    """Return the AUC of scores (n,) and (m,) and its variance (DeLong et al. 1988)."""
    above, below = _places(positive, negative), _places(negative, positive)
    return float(above.mean()), float(above.var() / len(above) + below.var() / len(below))


def _places(scores: Tensor, others: Tensor) -> Tensor:
    """Share of the others that each score is above, ties as one half."""
    others, scores = others.sort().values, scores.contiguous()
    ranks = torch.searchsorted(others, scores) + torch.searchsorted(others, scores, right=True)
    return ranks.double() / (2 * len(others))


def _figure(area: float, variance: float, n: int, m: int) -> Figure:
    """Give an AUC the Wilson interval of as many trials as have its variance.

    So it stays within [0, 1], and a perfect AUC, whose variance is 0, still has an interval: trials are at most twice
    the rows of the smaller set, as for an AUC that tends to 1.
    """
    most = 2 * min(n, m)
    trials = min(area * (1 - area) / variance, most) if variance > 0 else most
    figure = Figure.of_share(area * trials, trials)
    return Figure(area, figure.low, figure.high, n, m)


def _shuffled(rows: Tensor, seed: int) -> Tensor:
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]


def _classifier(positive: Tensor, negative: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
    """Train one hidden layer to score positive rows above negative ones; return rows (n, d) -> scores (n,)."""
    rows, signs = torch.cat([positive, negative]), torch.ones(len(positive) + len(negative))
    signs[len(positive) :] = -1
    mean, deviation = rows.mean(0), rows.std(0).clamp(min=torch.finfo(torch.float32).tiny)

    def inputs(raw: Tensor) -> Tensor:
        return ((raw - mean) / deviation).clamp(-10, 10).float()  # one outlier must not swamp a step

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(rows.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        _train(network, inputs(rows), signs)
    return lambda raw: network(inputs(raw)).squeeze(1).detach()


def _train(network: nn.Module, inputs: Tensor, signs: Tensor) -> None:
    """Minimise the logistic loss with AdamW and a rate that falls to zero; order from torch's global generator."""
    steps = max(EPOCHS * len(inputs) // BATCH, STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    passes = -(-steps * BATCH // len(inputs)) + 1
    order = torch.cat([torch.randperm(len(inputs)) for _ in range(passes)])
    with torch.enable_grad():
        for batch in order[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            softplus(-signs[batch] * network(inputs[batch]).squeeze(1)).mean().backward()
            optimizer.step()
            schedule.step()
