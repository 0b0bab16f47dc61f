"""Generators whose answer is known beforehand, to see whether the verdict can be trusted.

`Copies` and `Shuffled` know nothing that the training rows do not say, so HELPS is a false alarm. `Fresh` gives real
rows that nobody has seen: new information, a true gain wherever more real rows are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gandem.augmentation.arms import Sampler


def _by_class(labels: np.ndarray, n: int, label: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of n random rows of a class."""
    return rng.choice(np.flatnonzero(labels == label), n)


class Copies:
    """Training rows again, drawn with replacement: the null of an overfitted generator."""

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Keep the rows."""

        def sample(n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            chosen = _by_class(labels, n, label, np.random.default_rng(seed))
            return rows[chosen], labels[chosen]

        return sample


class Shuffled:
    """Every column drawn by itself within the class: right margins, and nothing that holds between columns."""

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Keep the rows."""

        def sample(n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng(seed)
            of = labels[_by_class(labels, n, label, rng)]
            made = np.empty((n, *rows.shape[1:]), rows.dtype)
            for one in np.unique(of):
                here = np.flatnonzero(of == one)
                for column in range(rows.shape[1]):
                    made[here, column] = rows[_by_class(labels, len(here), int(one), rng), column]
            return made, of

        return sample


@dataclass(frozen=True)
class Fresh:
    """Real rows (n, ...) that no fold has seen, given back; each once as long as there are enough."""

    rows: np.ndarray
    labels: np.ndarray

    def fit(self, rows: np.ndarray, labels: np.ndarray, categorical: np.ndarray, seed: int) -> Sampler:
        """Learn nothing."""

        def sample(n: int, label: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            there = np.flatnonzero(self.labels == label)
            chosen = np.random.default_rng(seed).choice(there, n, replace=n > len(there))
            return self.rows[chosen], self.labels[chosen]

        return sample
