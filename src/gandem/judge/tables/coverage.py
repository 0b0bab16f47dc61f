"""What of a table is reached: its categories, the cells of its most dependent pairs; and which rows are there twice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gandem.judge.figure import Figure
from gandem.judge.tables.rows import Columns, cells, checked

RARE, PAIRS, MOST_COLUMNS = 0.01, 10, 40
"""A category below this share is rare; pairs whose cells are counted; columns among which they are looked for."""


@dataclass(frozen=True)
class Categories:
    """kept: share of the categories of the real rows that a generated row has, too, of all and of the rare ones.

    lost: (column, code) of the others, most frequent first; rare_share: rare values of all columns among generated
    rows beside those among real ones: 1 if as many. None where there are no (rare) categories.
    """

    kept: Figure | None
    rare_kept: Figure | None
    rare_share: float | None
    lost: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class JointCells:
    """Cells of the two-way tables of the most dependent pairs of columns.

    reached: share of the cells with a held-out row that have a generated one; independent columns reach many, too.
    unseen: share of generated rows that are in a cell without any held-out row, in one of the pairs: what never is.
    """

    reached: Figure
    unseen: Figure


@dataclass(frozen=True)
class Duplicates:
    """Shares of rows that are, value by value, a row that stands above them; a training row; a held-out row.

    Held-out rows are what an honest generator meets by chance: only what training rows have beyond them is copied.
    """

    within: Figure
    of_training: Figure
    of_held_out: Figure


def categories(generated: np.ndarray, real: np.ndarray, columns: Columns) -> Categories:
    """Look for every category of real rows (m, c) among generated rows (n, c)."""
    generated, real = checked(columns, 1, generated=generated, real=real)
    kept, rare_kept, lost = [], [], []
    rare_rows = np.zeros(2)
    for column in np.flatnonzero(columns.categorical):
        made, true = (rows[~np.isnan(rows[:, column]), column] for rows in (generated, real))
        codes, counts = np.unique(true, return_counts=True)
        there, rare = np.isin(codes, made), counts < RARE * len(real)
        kept.append(there)
        rare_kept.append(there[rare])
        lost += [(count, int(column), int(code)) for code, count in zip(codes[~there], counts[~there], strict=True)]
        rare_rows += np.isin(made, codes[rare]).sum() / len(generated), counts[rare].sum() / len(real)
    names = tuple((column, code) for _, column, code in sorted(lost, key=lambda one: (-one[0], one[1:])))
    return Categories(
        _share(kept), _share(rare_kept), float(rare_rows[0] / rare_rows[1]) if rare_rows[1] else None, names
    )


def joint_cells(
    generated: np.ndarray, held_out: np.ndarray, columns: Columns, reference: np.ndarray
) -> JointCells | None:
    """Compare which cells are met, by generated rows (n, c) and held-out ones (m, c); None with a single column.

    Dependent is what has the highest mutual information among the reference rows, in whose cells is counted.
    """
    generated, held_out, reference = checked(columns, 1, generated=generated, held_out=held_out, reference=reference)
    (made, true, known), counts = cells(reference, columns, generated, held_out, reference)
    pairs = list(combinations(range(min(len(columns), MOST_COLUMNS)), 2))
    if not pairs:
        return None
    information = [mutual_information(known[:, i], known[:, j]) for i, j in pairs]
    hits = occupied = 0
    strange = np.zeros(len(generated), bool)
    for pair in np.argsort(information, kind="stable")[::-1][:PAIRS]:
        i, j = pairs[pair]
        ours, theirs = (rows[:, i] * counts[j] + rows[:, j] for rows in (made, true))
        met = np.unique(theirs)
        hits += int(np.isin(met, ours).sum())
        occupied += len(met)
        strange |= ~np.isin(ours, met)
    count = len(generated)
    unseen = Figure.of_share(int(strange.sum()), count).against(len(held_out))
    return JointCells(Figure.of_share(hits, occupied).against(count), unseen)


def duplicates(generated: np.ndarray, training: np.ndarray, held_out: np.ndarray, columns: Columns) -> Duplicates:
    """Count exact copies among generated rows (n, c), and of rows of the others; missing equals missing."""
    sets = checked(columns, 1, generated=generated, training=training, held_out=held_out)
    ours, known, unseen = ([row.tobytes() for row in np.where(np.isnan(rows), np.nan, rows)] for rows in sets)
    among, apart = set(known), set(unseen)
    count = len(ours)
    return Duplicates(
        Figure.of_share(count - len(set(ours)), count),
        Figure.of_share(sum(row in among for row in ours), count).against(len(known)),
        Figure.of_share(sum(row in apart for row in ours), count).against(len(unseen)),
    )


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """How much two columns of cells int64 (n,) say of each other, in nats."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1 / len(one))
    expected = np.outer(table.sum(1), table.sum(0))
    there = table > 0
    return float((table[there] * np.log(table[there] / expected[there])).sum())


def _share(parts: list[np.ndarray]) -> Figure | None:
    flags = np.concatenate(parts) if parts else np.zeros(0, bool)
    return Figure.of_share(int(flags.sum()), len(flags)) if len(flags) else None
