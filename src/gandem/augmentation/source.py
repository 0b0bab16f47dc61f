"""From what a person gives to a `Problem`: tables by polars, pictures and arrays by their domains."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gandem.augmentation.problem import Problem
from gandem.domains import domain_of
from gandem.domains.given import Given, opened
from gandem.errors import RecipeError, SourceError, nearest, optional
from gandem.recipe import Recipe
from gandem.training.checkpoint import write_atomic

TABLES = {".csv": ",", ".tsv": "\t", ".parquet": "", ".xlsx": ""}
"""Endings of tables, and what separates their columns."""
MOST_NUMBERS = 20
"""A target of more different whole numbers than this is a quantity, not a class."""
NAMES = 0.5
"""A column of text in which more than this part of the values differ is names or free text; it is left out."""
LABELS = "labels"
"""What the target of pictures and arrays is called."""


@dataclass(frozen=True)
class Source:
    """A problem, what was left out of it, and how rows are written in the form of the source.

    write: called as write(folder, rows, labels) with new rows; writes them behind the real ones, returns the file.
    """

    problem: Problem
    notes: tuple[str, ...]
    write: Callable[[Path, np.ndarray, np.ndarray], Path]


def read(given: Given, target: str, group: str | None = None) -> Source:
    """Read a table (path or DataFrame) or labelled pictures or arrays; raises SourceError and RecipeError."""
    if isinstance(given, (str, Path)) and Path(given).suffix.lower() in TABLES:
        return _table(_frame(Path(given)), str(given), target, group)
    if hasattr(given, "columns") and hasattr(given, "shape"):
        polars = optional("polars", "tables")
        return _table(
            given if isinstance(given, polars.DataFrame) else polars.from_dataframe(given), "the table", target, group
        )
    return _samples(given, target, group)


def _frame(path: Path) -> Any:
    polars = optional("polars", "tables")
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    try:
        if path.suffix.lower() == ".parquet":
            return polars.read_parquet(path)
        if path.suffix.lower() == ".xlsx":
            return polars.read_excel(path)
        return polars.read_csv(
            path, separator=TABLES[path.suffix.lower()], infer_schema_length=None, try_parse_dates=True
        )
    except (polars.exceptions.PolarsError, OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as a table: {str(error).splitlines()[0]}") from error


def _table(frame: Any, name: str, target: str, group: str | None) -> Source:
    for what, column in {"--target": target, "--group": group}.items():
        if column is not None and column not in frame.columns:
            raise RecipeError(f"{what} {column}: {name} has no such column.{nearest(column, frame.columns)}")
    if target == group:
        raise RecipeError(f"--group {group}: is the target itself; choose another column, or leave it out")
    notes = []
    there = frame.filter(frame[target].is_not_null())
    if missing := len(frame) - len(there):
        notes.append(f"{missing:,} rows without a target left out")
    labels, classes = _classes(there[target], name)
    columns, kept, categories = [], [], {}
    for column in there.columns:
        if column in (target, group):
            continue
        values, known = _numbers(there[column])
        if values is None:
            notes.append(f"column {column!r} left out: it holds names, free text or nested values")
        elif len(np.unique(values)) < 2:
            notes.append(f"column {column!r} left out: it is always the same")
        else:
            columns.append(values)
            kept.append(column)
            categories[column] = known
    rows = np.stack(columns, 1) if columns else np.zeros((len(there), 0))
    mask = np.array([categories[column] is not None for column in kept], bool)
    groups = None if group is None else np.unique(_texts(there[group]), return_inverse=True)[1].astype(np.int64)
    problem = Problem(rows, labels, classes, mask, groups, name)

    def write(folder: Path, made: np.ndarray, called: np.ndarray) -> Path:
        new = {column: _given(there[column], made[:, at], categories[column]) for at, column in enumerate(kept)}
        values = there[target].unique().drop_nulls()
        by_name = dict(zip(_texts(values), values, strict=True))
        new[target] = (
            there[target].clear().__class__(target, [by_name[classes[one]] for one in called], there[target].dtype)
        )
        both = [there.with_columns(synthetic=False), there.__class__(new).with_columns(synthetic=True)]
        path = folder / "augmented.csv"
        write_atomic(path, optional("polars", "tables").concat(both, how="diagonal").write_csv().encode())
        return path

    return Source(problem, tuple(notes), write)


def _texts(values: Any) -> list[str]:
    return [str(value).strip() for value in values.to_list()]


def _classes(values: Any, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the classes of a target; raises SourceError where it is a quantity."""
    if values.dtype.is_numeric():
        different = values.unique().to_numpy().astype(np.float64)
        if (different != np.rint(different)).any() or len(different) > MOST_NUMBERS:
            raise SourceError(
                f"{name}: the target {values.name!r} is a quantity ({len(different):,} different numbers); "
                "regression is not supported: make a few classes of it first"
            )
    classes, labels = np.unique(np.array(_texts(values)), return_inverse=True)
    return labels.astype(np.int64), tuple(classes.tolist())


def _numbers(values: Any) -> tuple[np.ndarray | None, list[Any] | None]:
    """Return (float64 (n,), categories in their order or None), or (None, None) for what nothing can be learnt from."""
    kind = values.dtype
    if kind.is_numeric() or kind.is_temporal():
        if kind.is_temporal():
            values = values.to_physical()
        numbers = values.cast(float).to_numpy().astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan), None
    if kind.is_nested():
        return None, None
    known = sorted(values.drop_nulls().unique().to_list(), key=str)
    if len(known) > max(NAMES * len(values), 2):
        return None, None
    place = {value: number for number, value in enumerate(known)}
    return np.array([np.nan if value is None else place[value] for value in values.to_list()], np.float64), known


def _given(values: Any, numbers: np.ndarray, categories: list[Any] | None) -> Any:
    """Return new numbers of a column as the source has them: its categories, dates, whole numbers; gaps stay gaps."""
    gaps = np.isnan(numbers)
    if categories is not None:
        made = [None if gap else categories[round(number)] for gap, number in zip(gaps, numbers, strict=True)]
        return values.__class__(values.name, made, dtype=values.dtype)
    whole = values.dtype.is_integer() or values.dtype.is_temporal()
    made = [
        None if gap else (round(number) if whole else number)
        for gap, number in zip(gaps, numbers.tolist(), strict=True)
    ]
    if values.dtype.is_temporal():
        return values.__class__(values.name, made).cast(values.to_physical().dtype).cast(values.dtype)
    return values.__class__(values.name, made, dtype=values.dtype)


def _samples(given: Given, target: str, group: str | None) -> Source:
    """Read pictures or arrays, whose target is what they are labelled with."""
    if target != LABELS:
        raise RecipeError(
            f"--target {target}: pictures and arrays have --target {LABELS} only; tables end in {', '.join(TABLES)}"
        )
    if group is not None:
        raise RecipeError(f"--group {group}: only tables have columns to group by")
    opened_source = opened(given)
    domain = domain_of(opened_source)
    data = domain.read(opened_source, Recipe().data)
    samples, labels = data.samples(torch.arange(data.count))
    if labels is None:
        raise SourceError(
            f"{opened_source}: has no labels; put pictures into one folder a class, or give an array with labels"
        )
    pictures = domain.name == "images"
    if not pictures and samples.ndim > 2:
        raise SourceError(f"{opened_source}: samples of shape {samples.shape[1:]} are neither rows nor pictures")
    rows = samples if pictures else samples.astype(np.float64).reshape(len(samples), -1)
    mask = np.zeros(0 if pictures else rows.shape[1], bool)
    problem = Problem(rows, labels, tuple(data.spec.labels), mask, None, str(opened_source), domain.noun)

    def write(folder: Path, made: np.ndarray, called: np.ndarray) -> Path:
        synthetic = np.repeat([False, True], [len(rows), len(made)])
        names = np.array(problem.classes)[np.concatenate([labels, called])]
        file = io.BytesIO()
        both = np.concatenate([samples, made.astype(samples.dtype).reshape(len(made), *samples.shape[1:])])
        np.savez_compressed(file, labels=names, synthetic=synthetic, **{domain.noun: both})  # type: ignore[arg-type]
        write_atomic(folder / "augmented.npz", file.getvalue())
        return folder / "augmented.npz"

    return Source(problem, (), write)
