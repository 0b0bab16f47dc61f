"""A table as numbers that a learner takes, and numbers as rows of the table; its columns are read as for training."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gandem.augmentation.problem import Problem
from gandem.domains.given import Frame
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.frames import frame_of
from gandem.domains.tables.kinds import Found, look
from gandem.domains.tables.matching import read_as
from gandem.domains.tables.source import Table, open_table
from gandem.domains.tables.tidy import header
from gandem.domains.tables.writing import as_text
from gandem.errors import RecipeError, SourceError, nearest
from gandem.training.checkpoint import write_atomic

MOST_NUMBERS = 20
"""A target of more different numbers than this is a quantity, not a class."""


@dataclass(frozen=True)
class Form:
    """How the numbers of a `Problem` stand in a table.

    fields: all columns that rows come back with. columns: those that are learnt from, in the order of the numbers.
    target: of classes in the order of the labels.
    """

    fields: tuple[Field, ...]
    columns: tuple[Column, ...]
    target: Column

    @classmethod
    def numbered(cls, problem: Problem) -> Form:
        """Return that of rows without names: c0, c1, ... and the label."""
        columns = []
        for at, (is_category, values) in enumerate(zip(problem.categorical, problem.rows.T, strict=True)):
            names = tuple(str(number) for number in range(int(np.nanmax(values, initial=0)) + 1)) if is_category else ()
            columns.append(Column(f"c{at}", "category" if is_category else "decimal", names))
        target = Column("label", "category", problem.classes)
        fields = [Field(each.name, each.kind, "String" if each.is_category else "Float64") for each in columns]
        return cls((*fields, Field(target.name, "category", "String")), tuple(columns), target)

    def frame(self, rows: np.ndarray, labels: np.ndarray, names: Collection[str] | None = None) -> pl.DataFrame:
        """Return rows (n, d) and labels (n,) as a table of all fields, or of those with such names."""
        known = {column.name: (column, rows[:, at]) for at, column in enumerate(self.columns)}
        known[self.target.name] = (self.target, labels.astype(np.float64))
        return frame_of([each for each in self.fields if names is None or each.name in names], known, len(rows))

    def numbers(self, frame: pl.DataFrame, first: np.ndarray) -> np.ndarray:
        """Return the rows (n, d) of a table; a column that it lacks is always as in `first` (d,)."""
        rows = np.repeat(first[None], len(frame), 0)
        fields = {field.name: field for field in self.fields}
        for at, column in enumerate(self.columns):
            if column.name in frame.columns:
                rows[:, at] = read_as(frame[column.name], column, fields[column.name], [])
        return rows


def read_problem(
    given: str | Path | Frame, target: str, group: str | None
) -> tuple[Problem, Form, tuple[str, ...], pl.DataFrame]:
    """Read a table; raises SourceError and RecipeError.

    Returns the problem, its form, what a person should know, and the real rows that have a target.
    """
    with closing(open_table(given)) as table:
        for what, name in {"--target": target, "--group": group}.items():
            if name is not None and name not in table.names:
                raise RecipeError(f"{what} {name}: {table.name} has no such column.{nearest(name, table.names)}")
        if target == group:
            raise RecipeError(f"--group {group}: is the target itself; choose another column, or leave it out")
        return _read(table, target, group)


def _read(table: Table, target: str, group: str | None) -> tuple[Problem, Form, tuple[str, ...], pl.DataFrame]:
    asked = table.column(target)
    real = pl.DataFrame([table.column(name).filter(asked.is_not_null()) for name in table.names])
    notes = list(table.notes)
    if missing := len(asked) - len(real):
        notes.append(f"{missing:,} rows without a target left out")
    aim, labels, classes = _classes(real[target], table)
    found: list[Found] = []
    for name in table.names:
        if name in (target, group):
            continue
        found.append(look(real[name], text=table.text))
        if (last := found[-1]).column is None:
            notes.append(f"column {name!r} left out: {last.field.kind}, {last.field.why}")
        notes += last.notes
    kept = [(each.column, each.values) for each in found if each.column is not None and each.values is not None]
    columns = tuple(column for column, _ in kept)
    rows = np.stack([values for _, values in kept], 1) if kept else np.zeros((len(real), 0))
    groups = None if group is None else _groups(real[group])
    mask = np.array([column.is_category for column in columns], bool)
    problem = Problem(rows, labels, classes, mask, groups, table.name)
    form = Form((*(each.field for each in found), aim), columns, Column(target, "category", classes))
    shown = form.frame(rows, labels)  # numbers look alike in real and in new rows, whatever marks stood in them
    real = real.with_columns(shown[each.name] for each in columns if each.kind in ("integer", "decimal"))
    return problem, form, tuple(notes), real


def _classes(values: pl.Series, table: Table) -> tuple[Field, np.ndarray, tuple[str, ...]]:
    """Number the classes of a target, in the order of their names; raises SourceError where it is a quantity."""
    if not len(values):
        raise SourceError(f"{table.name}: the target {values.name!r} has no value at all")
    found = look(values, text=table.text)
    if found.column is not None and found.column.kind in ("integer", "decimal") and found.values is not None:
        different = np.unique(found.values)
        if (different != np.rint(different)).any() or len(different) > MOST_NUMBERS:
            raise SourceError(
                f"{table.name}: the target {values.name!r} is a quantity ({len(different):,} different numbers); "
                "regression is not supported: make a few classes of it first"
            )
    named = look(values, "category", table.text)
    assert named.column is not None and named.values is not None
    names = named.column.categories
    order = sorted(range(len(names)), key=names.__getitem__)
    places = np.argsort(order)
    return named.field, places[named.values.astype(np.int64)].astype(np.int64), tuple(names[at] for at in order)


def _groups(values: pl.Series) -> np.ndarray:
    """Number the groups, int64 (n,); rows without one are one of their own."""
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise RecipeError(f"--group {values.name}: its cells are of type {values.dtype}; choose another column")
    return values.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def write(form: Form, real: pl.DataFrame, folder: Path, rows: np.ndarray, labels: np.ndarray) -> Path:
    """Write new rows behind the real ones, with a column that says which they are; return the file."""
    made = form.frame(rows, labels)
    mark = header([*real.columns, "synthetic"], [])[-1]
    both = [frame.with_columns(pl.lit(new).alias(mark)) for frame, new in ((real, False), (made, True))]
    shown = pl.concat([as_text(frame, form.fields) for frame in both], how="diagonal_relaxed")
    path = folder / "augmented.csv"
    write_atomic(path, shown.write_csv().encode())
    return path
