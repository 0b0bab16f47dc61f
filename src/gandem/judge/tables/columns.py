"""How far the columns, and the pairs of columns, of two tables are apart.

Every distance is that of the rows as they are: also equal distributions are a little apart at a finite count, by as
much as the row of real samples says. Intervals are of the rows, by the delta method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gandem.judge.figure import Figure
from gandem.judge.tables.rows import Columns, cells, checked

MOST_PAIRS = 500
"""Pairs of columns that are looked at; of more, about so many that are drawn at random."""


class _Distance(NamedTuple):
    """A distance, and what each row of either set adds to it, up to a constant: (n,) and (m,)."""

    value: float
    of_one: np.ndarray
    of_other: np.ndarray


@dataclass(frozen=True)
class Column:
    """A column of generated rows beside the same column of real ones.

    distance: total variation of categories, missing being one of them; of a number the Kolmogorov-Smirnov distance of
    the values that are there; both in [0, 1]. wasserstein: of a number, in standard deviations of the real column; None
    for categories. missing, real_missing: shares of missing values.
    """

    distance: Figure
    wasserstein: float | None
    missing: Figure
    real_missing: Figure


def column_distances(generated: np.ndarray, real: np.ndarray, columns: Columns) -> tuple[Column, ...]:
    """Compare every column of generated rows (n, c) with that of real rows (m, c)."""
    generated, real = checked(columns, 2, generated=generated, real=real)
    return tuple(
        _column(generated[:, column], real[:, column], bool(columns.categorical[column]))
        for column in range(len(columns))
    )


@dataclass(frozen=True)
class Pairs:
    """1 - total variation of the two-way table of each pair, in [0, 1]; 1 if equal.

    mean: over all pairs. values: of each pair (i, j) of columns, i < j.
    """

    mean: Figure
    values: dict[tuple[int, int], float]


def pair_trends(
    generated: np.ndarray, real: np.ndarray, columns: Columns, reference: np.ndarray, *, seed: int = 0
) -> Pairs:
    """Compare the two-way tables of all pairs of columns, of whatever kind; cells by the reference rows.

    SDMetrics' "Column Pair Trends" is another number: there a pair of numbers is compared by its correlation alone,
    which most tables of independent columns pass. Here numbers are counted in cells as categories are, so that every
    kind of dependence shows, and values cannot be compared with theirs. Wrong single columns lower it too.
    """
    generated, real = checked(columns, 2, generated=generated, real=real)
    (ours, theirs), counts = cells(reference, columns, generated, real)
    pairs = _some_pairs(len(columns), seed)
    values, of_one, of_other = {}, np.zeros(len(ours)), np.zeros(len(theirs))
    for i, j in pairs:
        one, other = (rows[:, i] * counts[j] + rows[:, j] for rows in (ours, theirs))
        found = total_variation(one, other, int(counts[i] * counts[j]))
        values[i, j] = 1 - found.value
        of_one += found.of_one / len(pairs)
        of_other += found.of_other / len(pairs)
    mean = sum(values.values()) / len(pairs) if pairs else 1.0
    figure = _figure(_Distance(1 - mean, of_one, of_other))
    return Pairs(Figure(mean, 1 - figure.high, 1 - figure.low, len(ours), len(theirs)), values)


def _some_pairs(count: int, seed: int) -> list[tuple[int, int]]:
    """Return all pairs of columns, or about MOST_PAIRS that are drawn."""
    if count * (count - 1) // 2 <= MOST_PAIRS:
        return list(combinations(range(count), 2))
    drawn = np.sort(np.random.default_rng(seed).integers(count, size=(MOST_PAIRS, 2)), axis=1)
    return [(i, j) for i, j in np.unique(drawn, axis=0).tolist() if i < j]


def missing_patterns(generated: np.ndarray, real: np.ndarray, columns: Columns) -> Figure | None:
    """Total variation between which values are missing together, in [0, 1]; None if nothing is missing at all."""
    generated, real = checked(columns, 2, generated=generated, real=real)
    missing = np.isnan(np.concatenate([generated, real]))
    if not missing.any():
        return None
    patterns, place = np.unique(missing, axis=0, return_inverse=True)
    place = place.reshape(-1)
    return _figure(total_variation(place[: len(generated)], place[len(generated) :], len(patterns)))


def total_variation(one: np.ndarray, other: np.ndarray, count: int) -> _Distance:
    """Half the sum of the differences between the shares of `count` cells, of cells int64 (n,) and (m,)."""
    shares = [np.bincount(cell, minlength=count) / len(cell) for cell in (one, other)]
    difference = shares[0] - shares[1]
    sign = np.sign(difference) / 2
    return _Distance(float(np.abs(difference).sum() / 2), sign[one], -sign[other])


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> _Distance:
    """The largest difference between the shares of values up to any limit, of numbers (n,) and (m,)."""
    limits = np.unique(np.concatenate([one, other]))
    up_to = [np.searchsorted(np.sort(values), limits, "right") / len(values) for values in (one, other)]
    difference = up_to[0] - up_to[1]
    place = int(np.abs(difference).argmax())
    sign = np.sign(difference[place])
    return _Distance(float(abs(difference[place])), sign * (one <= limits[place]), -sign * (other <= limits[place]))


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Area between the shares of values up to any limit, of numbers (n,) and (m,): how far values must be moved."""
    limits = np.unique(np.concatenate([one, other]))
    up_to = [np.searchsorted(np.sort(values), limits[:-1], "right") / len(values) for values in (one, other)]
    return float(np.abs(up_to[0] - up_to[1]) @ np.diff(limits))


def _column(ours: np.ndarray, theirs: np.ndarray, categorical: bool) -> Column:
    missing = [Figure.of_share(int(np.isnan(values).sum()), len(values)) for values in (ours, theirs)]
    if categorical:
        known, place = np.unique(np.concatenate([ours, theirs]), return_inverse=True)  # NaN is one of them
        return Column(_figure(total_variation(place[: len(ours)], place[len(ours) :], len(known))), None, *missing)
    there, true = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    if min(len(there), len(true)) == 0:  # nothing to compare, or all of it missing on one side only
        apart = float(len(there) != len(true))
        return Column(Figure(apart, apart, apart, len(ours), len(theirs)), apart, *missing)
    deviation = float(true.std())
    moved = wasserstein(there, true) / deviation if deviation > 0 else float((there != true[0]).any())
    return Column(_figure(kolmogorov_smirnov(there, true)), moved, *missing)


def _figure(found: _Distance) -> Figure:
    counts = len(found.of_one), len(found.of_other)
    variance = found.of_one.var() / counts[0] + found.of_other.var() / counts[1]
    figure = Figure.around(found.value, math.sqrt(variance), *counts, floor=0.0)
    return Figure(found.value, figure.low, min(figure.high, 1.0), *counts)
