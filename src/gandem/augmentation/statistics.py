"""Differences of cross-validated scores, with intervals that know the folds share their training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

HELPS, SAME, HURTS, UNKNOWN = "HELPS", "NO DIFFERENCE", "HURTS", "CANNOT TELL"
LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval.

    error: standard error, corrected. p: two-sided, of no difference at all. n: folds that it is the mean of.
    """

    value: float
    low: float
    high: float
    error: float
    p: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def corrected(differences: Sequence[float], test_share: float) -> Difference:
    """Return the corrected resampled t-test (Nadeau and Bengio 2003) of J differences, one a fold.

    test_share: test rows for each training row. The variance of the mean is s^2 (1/J + n_test/n_train): the folds
    share training rows, and the naive s^2 / J would be far too sure of itself. J - 1 degrees of freedom.
    """
    values = np.asarray(differences, np.float64)
    mean, count = float(values.mean()), len(values)
    spread = float(values.var(ddof=1)) if count > 1 else math.inf
    error = math.sqrt(spread * (1 / count + test_share))
    if error == 0:  # every fold says the same
        return Difference(mean, mean, mean, 0.0, float(mean == 0), count)
    if not math.isfinite(error):
        return Difference(mean, -math.inf, math.inf, math.inf, 1.0, count)
    half = float(student.ppf(1 - LEVEL / 2, count - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, count - 1))
    return Difference(mean, mean - half, mean + half, error, p, count)


def ratio_interval(above: Sequence[float], below: Sequence[float], test_share: float) -> tuple[float, float] | None:
    """Return the 95 % interval of the ratio of two mean differences of J folds (Fieller 1954), or None for no bounds.

    It holds the ratios d for which the corrected test of `above - d below` does not exclude 0.
    """
    pair = np.array([above, below], np.float64)
    (a, b), count = pair.mean(1), pair.shape[1]
    if count < 2:
        return None
    t = float(student.ppf(1 - LEVEL / 2, count - 1))
    (vaa, vab), (_, vbb) = t**2 * np.cov(pair) * (1 / count + test_share)
    square, half, rest = b**2 - vbb, a * b - vab, a**2 - vaa
    root = half**2 - square * rest
    if square <= 0 or root < 0:  # the divisor may be 0
        return None
    return (half - math.sqrt(root)) / square, (half + math.sqrt(root)) / square


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for their number (Holm 1979): the chance of one false alarm in all stays below."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min((len(p_values) - rank) * p_values[name], 1.0))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def answer(difference: Difference, p: float, margin: float) -> str:
    """Answer whether an arm helps, for a score of which more is better.

    p: of no difference, adjusted where it is one of several. Equivalence first (the whole interval within the
    margin), then a difference that is both beyond chance and as large as the margin; everything else cannot be told.
    """
    if -margin < difference.low and difference.high < margin:
        return SAME
    if p < LEVEL and abs(difference.value) >= margin:
        return HELPS if difference.value > 0 else HURTS
    return UNKNOWN


def smallest(error: float, count: int, margin: float) -> float:
    """Return the true difference that would be found in four of five experiments like this one."""
    if count < 2 or not math.isfinite(error):
        return math.inf
    sure, often = (float(student.ppf(part, count - 1)) for part in (1 - LEVEL / 2, POWER))
    return max(sure * error, margin) + often * error  # `answer` asks that the estimate itself be as large as both
