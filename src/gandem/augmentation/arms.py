"""What can be done for nothing before anybody trains a generator, and how a generator's rows are added.

An arm takes the rows to learn from and returns those to learn from instead. It sees nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

from gandem.errors import JudgeError

JITTER = 0.1
"""Standard deviations of the noise beside those of the column; for pictures beside the range of a pixel, halved."""
MIX = 0.2
"""Both parameters of the beta distribution of mixup (Zhang et al. 2018)."""
NEIGHBOURS = 5
COPIES = 3
"""Changed copies of each picture."""
SHIFT = 8
"""Crops are shifted by up to this part of a side, 1/8."""

NOTHING, GENERATOR = "nothing", "generator"


class Training(NamedTuple):
    """Rows (n, ...), their labels int64 (n,), and what each weighs, float64 (n,), None for all the same."""

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None


Arm = Callable[[Training, np.ndarray, int], Training]
"""Called as arm(training, categorical, seed)."""


class Sampler(Protocol):
    """Makes new rows."""

    def __call__(self, n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (rows (n, ...), labels (n,)) of one class."""
        ...


class Generator(Protocol):
    """Learns to make rows: a GAN, or anything else."""

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Learn from rows as in `Problem` and return what samples."""
        ...


def nothing(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Learn from the rows as they are."""
    return training


def class_weights(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Let every class weigh the same in total."""
    counts = np.bincount(training.labels)
    weight = len(training.labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return training._replace(weights=weight[training.labels])


def oversampling(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Repeat random rows until every class is as large as the largest."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(training.labels)
    again = [
        rng.choice(np.flatnonzero(training.labels == label), counts.max() - count)
        for label, count in enumerate(counts)
        if count
    ]
    chosen = np.concatenate([np.arange(len(training.labels)), *again])
    return Training(training.rows[chosen], training.labels[chosen])


def smote(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Fill the smaller classes up with points between neighbours (Chawla et al. 2002); SMOTENC for categories.

    Missing values are filled for this alone: the real rows keep theirs, the new ones have none.
    """
    counts = np.bincount(training.labels)
    neighbours = min(NEIGHBOURS, int(counts[counts > 0].min()) - 1)
    if neighbours < 1:
        return training
    shape, count = training.rows.shape, len(training.rows)
    flat = _filled(training.rows.reshape(count, -1).astype(np.float64), categorical)
    sampler: SMOTE | SMOTEN | SMOTENC
    if not categorical.any():
        sampler = SMOTE(k_neighbors=neighbours, random_state=seed % 2**32)
    elif categorical.all():
        sampler = SMOTEN(k_neighbors=neighbours, random_state=seed % 2**32)
    else:
        sampler = SMOTENC(np.flatnonzero(categorical).tolist(), k_neighbors=neighbours, random_state=seed % 2**32)
    rows, labels = sampler.fit_resample(flat, training.labels)
    new = np.asarray(rows[count:], np.float64).reshape(-1, *shape[1:])
    return _added(training, new, labels[count:])


def noise(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Add every row once more, its numbers with a little noise."""
    rng = np.random.default_rng(seed)
    rows = training.rows.astype(np.float64)
    if rows.ndim > 2:
        return _added(training, rows + rng.normal(0, JITTER * 255 / 2, rows.shape), training.labels)
    jitter = rng.normal(0, 1, rows.shape) * JITTER * _deviation(rows)
    return _added(training, rows + np.where(categorical, 0.0, jitter), training.labels)


def mixup(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Add as many mixtures of two random rows, which count as both classes in their parts (Zhang et al. 2018).

    A category, and a number that one of the two does not have, come from the one row or the other by the same chance.
    """
    rng = np.random.default_rng(seed)
    one, count = training.rows.astype(np.float64), len(training.rows)
    partner = rng.permutation(count)
    other = one[partner]
    part = rng.beta(MIX, MIX, count)
    weight = part.reshape(-1, *[1] * (one.ndim - 1))
    mixed = weight * one + (1 - weight) * other
    if one.ndim == 2:
        taken = np.where(rng.random(one.shape) < weight, one, other)
        mixed = np.where(categorical | np.isnan(mixed), taken, mixed)
    both = Training(
        np.concatenate([one, mixed, mixed]), np.concatenate([training.labels] * 2 + [training.labels[partner]])
    )
    return Training(_as(training.rows, both.rows), both.labels, np.concatenate([np.ones(count), part, 1 - part]))


def flips_and_crops(training: Training, categorical: np.ndarray, seed: int) -> Training:
    """Add copies of every picture, each mirrored by chance and shifted by up to an eighth of its sides."""
    rng = np.random.default_rng(seed)
    rows, height, width = training.rows, training.rows.shape[1], training.rows.shape[2]
    up, across = max(height // SHIFT, 1), max(width // SHIFT, 1)
    padded = np.pad(rows, ((0, 0), (up, up), (across, across), (0, 0)), mode="edge")
    copies = []
    for _ in range(COPIES):
        tops, lefts = rng.integers(0, 2 * up + 1, len(rows)), rng.integers(0, 2 * across + 1, len(rows))
        moved = [
            padded[i, top : top + height, left : left + width]
            for i, (top, left) in enumerate(zip(tops, lefts, strict=True))
        ]
        mirrored = rng.random(len(rows)) < 0.5
        copies.append(np.where(mirrored[:, None, None, None], np.stack(moved)[:, :, ::-1], np.stack(moved)))
    return _added(training, np.concatenate(copies), np.tile(training.labels, COPIES))


FREE: dict[str, Arm] = {
    "class weights": class_weights,
    "random oversampling": oversampling,
    "SMOTE": smote,
    "noise": noise,
    "mixup": mixup,
}
"""What costs nothing, by name."""
FREE_FOR_PICTURES: dict[str, Arm] = FREE | {"flips and crops": flips_and_crops}

AMOUNTS = ("balance", "x1", "x3")
"""How many rows a generator may add: until the classes are equal, as many as there are, three times as many."""


def wanted(labels: np.ndarray, classes: int, amount: str) -> np.ndarray:
    """Return how many rows of each class an amount means, int64 (k,)."""
    counts = np.bincount(labels, minlength=classes)
    if amount == "balance":
        return counts.max() - counts
    return np.rint(float(amount.removeprefix("x")) * counts).astype(np.int64)


def generated(sampler: Sampler, training: Training, classes: int, amount: str, seed: int) -> Training:
    """Add a generator's rows; raises JudgeError when they are not such rows as it learnt from."""
    rows, labels = [], []
    for label, count in enumerate(wanted(training.labels, classes, amount).tolist()):
        if not count:
            continue
        made, called = sampler(count, label, seed + label)
        if made.shape != (count, *training.rows.shape[1:]) or called.shape != (count,):
            raise JudgeError(
                f"the generator was asked for {count} rows like {training.rows.shape[1:]} and gave "
                f"{made.shape} with labels {called.shape}"
            )
        rows.append(made)
        labels.append(called)
    return _added(training, np.concatenate(rows), np.concatenate(labels)) if rows else training


def _added(training: Training, rows: np.ndarray, labels: np.ndarray) -> Training:
    both = np.concatenate([training.rows, _as(training.rows, rows)])
    return Training(both, np.concatenate([training.labels, labels.astype(np.int64)]))


def _as(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return rows in the type of known ones: pixels are rounded and stay in their range."""
    if known.dtype == np.uint8 and rows.dtype != np.uint8:
        return np.clip(np.rint(rows), 0, 255).astype(np.uint8)
    return rows.astype(known.dtype)


def _filled(rows: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return numbers without gaps: the median of the column, for a category its most frequent one."""
    if not np.isnan(rows).any():
        return rows
    full = rows.copy()
    for column in np.flatnonzero(np.isnan(rows).any(0)):
        there = rows[~np.isnan(rows[:, column]), column]
        usual = (
            np.bincount(there.astype(int)).argmax()
            if categorical[column] and len(there)
            else np.median(there)
            if len(there)
            else 0
        )
        full[np.isnan(rows[:, column]), column] = usual
    return full


def _deviation(rows: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column without its gaps; 0 where there is nothing else."""
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(0), 1)
    mean = np.where(there, rows, 0).sum(0) / count
    return np.sqrt(np.where(there, (rows - mean) ** 2, 0).sum(0) / count)
