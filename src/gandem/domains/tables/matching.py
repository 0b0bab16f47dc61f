"""Values as the numbers of columns that are known already, in whatever form they come."""

from __future__ import annotations

import numpy as np
import polars as pl

from gandem.domains.tables import dates
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.kinds import numbers_of, without_commas


def read_as(series: pl.Series, column: Column, field: Field, notes: list[str]) -> np.ndarray:
    """Return values as the numbers of a column that is known already, float64 (n,), NaN for what is not known.

    notes: gets a line when something is not known.
    """
    if column.is_category:
        texts, names = series.cast(pl.String), column.categories
        if is_truth(column):  # whatever wrote it
            texts, names = texts.str.to_lowercase(), tuple(name.lower() for name in names)
        number = pl.Series(np.arange(len(names), dtype=np.float64))
        found = texts.replace_strict(pl.Series(names, dtype=pl.String), number, default=None)
        values = found.cast(pl.Float64).fill_null(np.nan).to_numpy()
    elif column.kind == "date":
        values = _dates(series, field)
    else:
        number = _number_of(series)
        values = number.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        values = np.where(np.isinf(values), np.nan, values)
    strange = int(np.isnan(values).sum()) - series.null_count()
    if strange > 0 and not column.takes_marks:
        notes.append(f"WARNING: {series.name!r}: {strange:,} values that the real rows never have: read as missing")
    return np.asarray(values, np.float64)


def is_truth(column: Column) -> bool:
    """Whether the categories are true and false, however they are written."""
    names = [name.lower() for name in column.categories]
    return len(names) == len(set(names)) and set(names) <= {"false", "true"} and bool(names)


def _number_of(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Float32:
        return series.cast(pl.String).cast(pl.Float64)
    if series.dtype != pl.String:
        return series.to_physical() if series.dtype == pl.Duration else series
    found = numbers_of(series, [])
    if found is None:  # too few, perhaps, to show what they are
        text = without_commas(series, [])
        found = (series if text is None else text).cast(pl.Float64, strict=False)
    return found


def _dates(series: pl.Series, field: Field) -> np.ndarray:
    if series.dtype != pl.String:
        return dates.seconds(series, field.by_zone) if series.dtype.is_temporal() else np.full(len(series), np.nan)
    values = dates.seconds(dates.read(series, field.format)) if field.format else np.full(len(series), np.nan)
    rest = pl.Series(np.isnan(values)) & series.is_not_null()
    if rest.any() and (guessed := dates.parsed(series.filter(rest))) is not None:
        values[rest.to_numpy()] = dates.seconds(guessed[0])
    return values
