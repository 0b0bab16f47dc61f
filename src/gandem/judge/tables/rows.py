"""What all numbers about tables share: checked rows, cells to count in, codes for trees, and a space to measure in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gandem.errors import JudgeError

BINS, FREQUENT, IN_CELL = 10, 20, 25
"""Most quantile bins of a number, and categories of a column that are counted each by itself; fewer when there are less
than so many rows for every cell of two columns."""
CODES = 255
"""Most categories of a column that a boosted tree of scikit-learn takes."""
SIGNS, WIDE, DIRECTIONS = 32, 64, 256
"""Categories that have a direction of their own in the space; more are told apart by as many random signs. Columns of a
wide table, and random directions onto which its space is projected."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are. names: of all c columns; categorical: bool (c,).

    labels: the text of every code of a categorical column, and nothing for the others; may be left out. Codes above
    those are categories that no generator could know.
    """

    names: tuple[str, ...]
    categorical: np.ndarray
    labels: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def label(self, column: int, code: int) -> str:
        """Return the text of a category, or its number where no texts are known."""
        known = self.labels[column] if self.labels else ()
        return known[code] if code < len(known) else "a value of held-out rows alone" if known else str(code)

    def index(self, name: str) -> int:
        """Return the place of a column, or raise JudgeError with the names that there are."""
        if name not in self.names:
            raise JudgeError(f"{name!r} is not a column that is modelled; there are: {', '.join(self.names)}")
        return self.names.index(name)


def checked(columns: Columns, least: int, **sets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return tables as float64 (n, c), or raise a JudgeError that names the one that cannot be judged."""
    for name, rows in sets.items():
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise JudgeError(f"{name} rows have the shape {rows.shape}, not (rows, {len(columns)} columns)")
        if len(rows) < least:
            raise JudgeError(f"{len(rows)} {name} rows are too few to judge by; at least {least} are needed")
        if np.isinf(rows).any():
            raise JudgeError(f"{name} rows hold infinity")
    # -0.0 is no other value than 0.0, also where bytes are compared
    return tuple(np.asarray(rows, np.float64) + 0.0 for rows in sets.values())


def some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most so many of the rows, drawn without putting back; all in their order when there are no more."""
    if len(rows) <= most:
        return rows
    return rows[np.random.default_rng(seed).permutation(len(rows))[:most]]


def independent(rows: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle every column by itself: the columns stay as they are, and nothing is left between them. The floor."""
    return np.random.default_rng(seed).permuted(rows, axis=0)


def cells(reference: np.ndarray, columns: Columns, *sets: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return every value's cell, int64 (n, c) of each set, and the count of cells of each column, (c,).

    Numbers: quantile bins of the reference rows. A value that is exactly a border has a cell of its own, so atoms such
    as a capital gain of 0 are not mixed with what lies beside them. Categories: the frequent ones of the reference, and
    the others together. Missing values are a cell, the last. How many depends on the smallest set.
    """
    bins = int(np.clip(np.sqrt(min(len(rows) for rows in sets) / IN_CELL), 2, BINS))
    frequent = bins * FREQUENT // BINS
    found = [np.empty(rows.shape, np.int64) for rows in sets]
    counts = np.empty(len(columns), np.int64)
    for column, categorical in enumerate(columns.categorical):
        values = reference[~np.isnan(reference[:, column]), column]
        if categorical:
            codes, frequency = np.unique(values, return_counts=True)
            borders = np.sort(codes[np.argsort(-frequency, kind="stable")[:frequent]])
        else:
            borders = np.unique(np.quantile(values, np.arange(1, bins) / bins)) if len(values) else values
        counts[column] = 2 * len(borders) + 2
        for cell, rows in zip(found, sets, strict=True):
            value = rows[:, column]
            place = np.searchsorted(borders, value, "left") + np.searchsorted(borders, value, "right")
            if categorical:  # between the frequent ones lie only others
                place = np.where(place % 2, place, 0)
            cell[:, column] = np.where(np.isnan(value), counts[column] - 1, place)
    return tuple(found), counts


def codes(columns: Columns, *sets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return tables as boosted trees take them: of over 255 categories in a column the rarest are thrown together."""
    coded = [rows.copy() for rows in sets]
    for column in np.flatnonzero(columns.categorical):
        values = np.concatenate([rows[:, column] for rows in sets])
        known, frequency = np.unique(values[~np.isnan(values)], return_counts=True)
        kept = np.sort(known[np.argsort(-frequency, kind="stable")[: CODES - 1]])
        for rows in coded:
            value = rows[:, column]
            place = np.searchsorted(kept, value).clip(max=max(len(kept) - 1, 0))
            own = kept[place] == value if len(kept) else np.zeros(len(value), bool)
            rows[:, column] = np.where(np.isnan(value), np.nan, np.where(own, place, CODES - 1))
    return tuple(coded)


def space(reference: np.ndarray, columns: Columns, *sets: np.ndarray) -> tuple[Tensor, ...]:
    """Return rows as points, float64 (n, d), in which every column weighs alike.

    A number is its rank among the reference rows, in [0, 1]; another category is a distance of 1, exactly where there
    are up to SIGNS of them and about so where there are more; missing is a category too. Of more than WIDE columns all
    distances but 0 are right to about a tenth.
    """
    rng = np.random.default_rng(0)
    points: list[list[np.ndarray]] = [[] for _ in sets]
    for column, categorical in enumerate(columns.categorical):
        values = [rows[:, column] for rows in sets]
        parts = _directions(values) if categorical else _ranks(reference[:, column], values)
        turn = rng.standard_normal((parts[0].shape[1], DIRECTIONS)) / np.sqrt(DIRECTIONS)
        for kept, part in zip(points, parts, strict=True):
            if len(columns) <= WIDE:
                kept.append(part)
            else:  # summed up at once: the whole space would not fit in memory
                kept[:] = [part @ turn + (kept[0] if kept else 0.0)]
    return tuple(torch.from_numpy(np.concatenate(kept, 1)) for kept in points)


def _directions(values: list[np.ndarray]) -> list[np.ndarray]:
    known, place = np.unique(np.concatenate(values), return_inverse=True)  # NaN is one of them
    if len(known) <= SIGNS:
        points = np.eye(len(known)) / np.sqrt(2)
    else:
        points = np.random.default_rng(0).choice((-1.0, 1.0), (len(known), SIGNS)) / np.sqrt(2 * SIGNS)
    return np.split(points[place], np.cumsum([len(value) for value in values])[:-1])


def _ranks(reference: np.ndarray, values: list[np.ndarray]) -> list[np.ndarray]:
    ordered = np.sort(reference[~np.isnan(reference)])
    found = []
    for value in values:
        missing = np.isnan(value)
        rank = np.searchsorted(ordered, value, "left") + np.searchsorted(ordered, value, "right")
        rank = np.where(missing, 0.5, rank / max(2 * len(ordered), 1))
        found.append(np.stack([rank, missing.astype(np.float64)], 1))
    return found
