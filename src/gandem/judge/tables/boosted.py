"""Boosted trees as the judge uses them, and the headline of a table: can they tell generated rows from real ones?

Nothing popular is as hard to fool: independent columns pass for real with a logistic regression, and with trees do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gandem.errors import optional
from gandem.judge.figure import Figure
from gandem.judge.tables.rows import Columns, checked, codes
from gandem.judge.two_sample import area_figure, delong

FOLDS, TREES, FEWEST, SHUFFLED = 3, 100, 30, 1_000
"""Parts that take turns in being scored, boosting rounds, rows of each kind without which nothing is said, and rows of
each kind in a part among which columns are shuffled."""


@dataclass(frozen=True)
class TwoSample:
    """How well boosted trees tell generated rows from real ones.

    auc: on rows that they were not trained on; 0.5 if they cannot tell, at most 1. drops: by how much the AUC falls
    when a column is shuffled among the scored rows, one for each column: what the trees look at. A column
    that another one replaces has a small drop.
    """

    auc: Figure
    drops: tuple[float, ...]


def two_sample(generated: np.ndarray, real: np.ndarray, columns: Columns, *, seed: int = 0) -> TwoSample:
    """Tell generated rows (n, c) from real ones (m, c) by cross-fitted boosted trees.

    The variance of the mean over k parts is taken as 2/k of a part's: between equal distributions, what one part learns
    of another by chance the other learns of it, so two AUCs correlate by 1 / (k - 1); with two parts they are one.
    Raises JudgeError for fewer than 30 rows, DependencyError without scikit-learn.
    """
    generated, real = checked(columns, FEWEST, generated=generated, real=real)
    generated, real = codes(columns, generated, real)
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(rows)) % FOLDS for rows in (generated, real)]
    areas, variances, drops = [], [], []
    for fold in range(FOLDS):
        learnt = [rows[part != fold] for rows, part in zip((generated, real), parts, strict=True)]
        scored = [rows[part == fold] for rows, part in zip((generated, real), parts, strict=True)]
        trees = classifier(columns.categorical, seed)
        trees.fit(learnable(np.concatenate(learnt)), np.repeat([1, 0], [len(rows) for rows in learnt]))
        area, variance = _area(trees, *scored)
        areas.append(area)
        variances.append(variance)
        few = max(SHUFFLED // max(len(columns) // 50, 1), 100)  # in a wide table there are many to shuffle
        drops.append(_drops(trees, scored[0][:few], scored[1][:few], rng))
    figure = area_figure(sum(areas) / FOLDS, 2 * sum(variances) / FOLDS**2, len(generated), len(real))
    return TwoSample(figure, tuple(np.mean(drops, axis=0).tolist()))


def classifier(categorical: np.ndarray, seed: int, trees: int = TREES) -> Any:
    """Return gradient boosting of scikit-learn that takes categories as they are; equal calls learn equal trees."""
    ensemble = optional("sklearn.ensemble", "tables")
    return ensemble.HistGradientBoostingClassifier(
        max_iter=trees, categorical_features=categorical, early_stopping=False, random_state=seed % 2**32
    )


def learnable(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, c) to learn from, in which columns that hold nothing are 0: scikit-learn fails on such."""
    return np.where(np.isnan(rows).all(0), 0.0, rows)


def regressor(categorical: np.ndarray, seed: int, trees: int = TREES) -> Any:
    """Return the same for a number."""
    ensemble = optional("sklearn.ensemble", "tables")
    return ensemble.HistGradientBoostingRegressor(
        max_iter=trees, categorical_features=categorical, early_stopping=False, random_state=seed % 2**32
    )


def _area(trees: Any, positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    scores = trees.decision_function(np.concatenate([positive, negative]))
    return delong(torch.from_numpy(scores[: len(positive)]), torch.from_numpy(scores[len(positive) :]))


def _drops(trees: Any, made: np.ndarray, real: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Return by how much the AUC falls with each column shuffled among both kinds of rows."""
    whole, drops = _area(trees, made, real)[0], []
    for column in range(made.shape[1]):
        rows = np.concatenate([made, real])
        rows[:, column] = rng.permutation(rows[:, column])
        drops.append(whole - _area(trees, rows[: len(made)], rows[len(made) :])[0])
    return drops
