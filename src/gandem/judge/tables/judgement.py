"""All numbers about a table, for generated rows and beside them for a fresh part of the real ones and for the floor.

The floor are independent columns: every column as it is, and nothing between them. What they reach proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from gandem.judge.figure import Figure
from gandem.judge.tables.boosted import TwoSample, two_sample
from gandem.judge.tables.columns import Column, Pairs, column_distances, missing_patterns, pair_trends
from gandem.judge.tables.coverage import (
    Categories,
    Duplicates,
    JointCells,
    categories,
    duplicates,
    joint_cells,
)
from gandem.judge.tables.privacy import Privacy
from gandem.judge.tables.regression import Regression, regression
from gandem.judge.tables.rows import Columns, checked
from gandem.judge.tables.utility import GlobalUtility, Utility, global_utility, utility

GENERATED, REAL, FLOOR = "generated", "real", "independent columns"
"""The rows of every table of figures."""


@dataclass(frozen=True)
class Row:
    """The figures of one set of rows against the held-out ones, by the room of the judge that they come from."""

    two_sample: TwoSample
    columns: tuple[Column, ...]
    pairs: Pairs
    missing: Figure | None
    categories: Categories
    cells: JointCells | None
    duplicates: Duplicates
    regression: Regression | None


@dataclass(frozen=True)
class TableJudgement:
    """rows: of generated rows, of real ones (the ceiling) and of independent columns (the floor), by name.

    utility: of the chosen target; None without one. privacy: None where nobody knows who was trained on.
    """

    columns: Columns
    rows: dict[str, Row]
    utility: Utility | None
    global_utility: GlobalUtility | None
    privacy: Privacy | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "columns": list(self.columns.names),
            "rows": {name: _plain(row) for name, row in self.rows.items()},
            "utility": _plain(self.utility),
            "global_utility": _plain(self.global_utility),
            "privacy": None if self.privacy is None else {**_plain(self.privacy), "works": self.privacy.works},
        }


def judge_table(
    generated: np.ndarray,
    real: np.ndarray,
    held_out: np.ndarray,
    floor: np.ndarray,
    columns: Columns,
    *,
    target: int | None = None,
    privacy: Privacy | None = None,
    seed: int = 0,
) -> TableJudgement:
    """Compare generated rows (n, c) with held-out real ones (m, c), beside other real rows and independent columns.

    target: column to predict, in `utility` and `regression`. Raises JudgeError where that cannot be done.
    """
    named = {GENERATED: generated, REAL: real, FLOOR: floor}
    *rows, held_out = checked(columns, 2, **named, held_out=held_out)
    sets = dict(zip(named, rows, strict=True))
    return TableJudgement(
        columns,
        {name: _row(these, sets[REAL], held_out, columns, target, seed) for name, these in sets.items()},
        None if target is None else utility(sets, held_out, columns, target, seed=seed),
        global_utility(sets, held_out, columns, real=REAL, seed=seed) if len(columns) > 1 else None,
        privacy,
    )


def _row(
    these: np.ndarray, real: np.ndarray, held_out: np.ndarray, columns: Columns, target: int | None, seed: int
) -> Row:
    return Row(
        two_sample(these, held_out, columns, seed=seed),
        column_distances(these, held_out, columns),
        pair_trends(these, held_out, columns, real, seed=seed),
        missing_patterns(these, held_out, columns),
        categories(these, held_out, columns),
        joint_cells(these, held_out, columns, real),
        duplicates(these, real, held_out, columns),
        None if target is None else regression(these, held_out, columns, target, real),
    )


def _plain(value: Any) -> Any:
    """Turn figures and dataclasses of them into JSON types; pairs of columns become "i,j"."""
    if isinstance(value, Figure):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {",".join(map(str, key)) if isinstance(key, tuple) else key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
