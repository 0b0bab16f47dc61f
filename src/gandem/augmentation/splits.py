"""Who learns, who chooses, who tests: splits that keep the shares of the classes, and groups together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from gandem.augmentation.problem import Problem
from gandem.errors import SourceError

INNER = 5
"""One of so many parts of the training part validates."""
PARTS = 4
"""Parts of the training part that the learning curve adds one after the other."""


@dataclass(frozen=True)
class Split:
    """Rows of one fold, int64: `fit` and `validation` are the training part, `test` is seen by the scores alone.

    parts: the training part in four, for the learning curve. seed: of everything random in this fold.
    """

    fit: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    parts: tuple[np.ndarray, ...]
    seed: int

    @property
    def train(self) -> np.ndarray:
        """The whole training part."""
        return np.sort(np.concatenate([self.fit, self.validation]))


def splits(problem: Problem, folds: int, repeats: int, seed: int) -> Iterator[Split]:
    """Yield folds x repeats splits, the same for equal arguments; raises SourceError where a class is missing."""
    everything = np.arange(len(problem.labels))
    for repeat in range(repeats):
        for fold, test in enumerate(_parts(problem, everything, folds, seed + 1000 * repeat)):
            number = seed + 1000 * repeat + fold
            train = np.setdiff1d(everything, test)
            validation, *others = _parts(problem, train, INNER, number)
            fit = np.sort(np.concatenate(others))
            for name, rows in {"test rows": test, "training rows": fit, "validation rows": validation}.items():
                _must_have_every_class(problem, rows, f"the {name} of fold {fold + 1}")
            yield Split(fit, validation, test, tuple(_parts(problem, train, PARTS, number)), number)


def _parts(problem: Problem, rows: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Return disjoint parts of `rows`, as many as asked for unless the rarest class or the groups are fewer."""
    labels, groups = problem.labels[rows], None if problem.groups is None else problem.groups[rows]
    fewest = int(np.bincount(labels)[np.unique(labels)].min()) if groups is None else len(np.unique(groups))
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than parts is told by ourselves
        folds = kind(max(min(count, fewest), 2), shuffle=True, random_state=seed % 2**32)
        return [rows[part] for _, part in folds.split(rows, labels, groups)]


def _must_have_every_class(problem: Problem, rows: np.ndarray, where: str) -> None:
    missing = np.flatnonzero(np.bincount(problem.labels[rows], minlength=len(problem.classes)) == 0)
    if len(missing):
        why = "its rows are too few" if problem.groups is None else "its rows lie in too few groups"
        raise SourceError(
            f"{problem.name}: class {problem.classes[missing[0]]!r} is missing among {where}: {why}; "
            "take fewer --folds, or leave the class out"
        )
