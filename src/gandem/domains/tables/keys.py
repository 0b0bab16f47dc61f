"""Keys of several columns: no two rows of a table agree in all of them, and so no two that are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gandem.domains.tables.rules import Values

_MIXED = (0xBF58476D1CE4E5B9, 30), (0x94D049BB133111EB, 27)
_STEP = np.uint64(0x9E3779B97F4A7C15)
"""Of splitmix64 (Steele et al. 2014)."""


@dataclass(frozen=True)
class Key:
    """Two or three columns in all of which no two rows agree, as in the patient and the day of a visit."""

    columns: tuple[str, ...]

    def __str__(self) -> str:
        """Say the rule."""
        return f"no two rows agree in {self.said}"

    @property
    def said(self) -> str:
        """Its columns, as one names them."""
        return f"{', '.join(self.columns[:-1])} and {self.columns[-1]}"

    def hashes(self, columns: Values) -> np.ndarray:
        """Return a number for what each row has there, uint64 (n,)."""
        return hashed([columns[name] for name in self.columns])

    def wrong(self, columns: Values) -> np.ndarray:
        """Return which rows agree with another one, bool (n,); a gap agrees with nothing."""
        there = ~np.any([np.isnan(columns[name]) for name in self.columns], 0)
        _, place, counts = np.unique(self.hashes(columns), return_inverse=True, return_counts=True)
        wrong: np.ndarray = there & (counts[place] > 1)
        return wrong


def keys_from(state: dict[str, Any]) -> tuple[Key, ...]:
    """Return the keys in the `to_dict` of a codec; those of before have none."""
    return tuple(Key(tuple(names)) for names in state.get("keys", ()))


def hashed(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return a number for each row of some columns, float64 (n,) each, uint64 (n,): 8 bytes a row, however many."""
    found = np.zeros(len(values[0]), np.uint64)
    for each in values:
        found = _mixed((found + _STEP) ^ (each + 0.0).view(np.uint64))  # one kind of zero
    return found


def uniform_from(hashes: np.ndarray, count: int, skip: int) -> np.ndarray:
    """Return so many numbers in (0, 1) for each hash (n,), float64 (n, count): of its stream those after `skip`."""
    places = np.arange(skip + 1, skip + count + 1, dtype=np.uint64) * _STEP
    numbers: np.ndarray = ((_mixed(hashes[:, None] + places) >> np.uint64(11)) + 0.5) * 2.0**-53
    return numbers


def _mixed(numbers: np.ndarray) -> np.ndarray:
    for factor, shift in _MIXED:
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def different(hashes: np.ndarray) -> np.ndarray:
    """Return which rows to keep so that none shares a number of its column with another, bool (n,), the first ones.

    hashes: uint64 (n, keys). One after the other, each row is kept that shares none with those that are kept before it.
    """
    kept = np.zeros(len(hashes), bool)
    left = np.arange(len(hashes))
    while len(left):
        first = np.ones(len(left), bool)
        for column in hashes[left].T:
            earliest = np.zeros(len(left), bool)
            earliest[np.unique(column, return_index=True)[1]] = True
            first &= earliest
        kept[left[first]] = True
        taken = [np.isin(column[left], column[left[first]]) for column in hashes.T]
        left = left[~np.any(taken, 0)]
    return kept
