"""What the columns of a table are: found from their values, shown, and open to correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.scales import Grid
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens


@dataclass(frozen=True)
class Found:
    """A column as it was found. values: float64 (n,) of a modelled column."""

    field: Field
    column: Column | None = None
    tokens: CategoryTokens | NumberTokens | None = None
    values: np.ndarray | None = None


def look(series: pl.Series) -> Found:
    """Find out what a column is."""
    name, missing = series.name, series.null_count()
    if series.n_unique() - (missing > 0) <= (not missing):
        value = series.drop_nulls()
        return Found(Field(name, "constant", str(series.dtype), made={"value": value[0] if len(value) else None}))
    if series.dtype == pl.String:
        numbers = series.cast(pl.Float64, strict=False)
        if numbers.null_count() == missing:
            return _number(series, numbers)
    elif series.dtype.is_numeric():
        return _number(series, series.cast(pl.Float64))
    return _category(series.cast(pl.String))


def _category(series: pl.Series) -> Found:
    table = series.drop_nulls().value_counts().sort(["count", series.name], descending=[True, False])
    names, counts = table[series.name], table["count"].to_numpy()
    place = pl.DataFrame({series.name: names, "place": np.arange(len(names), dtype=np.float64)})
    values = series.to_frame().join(place, on=series.name, how="left", maintain_order="left")["place"].to_numpy()
    values = np.where(series.is_null().to_numpy(), np.nan, values)
    missing = series.null_count()
    column = Column(series.name, "category", tuple(names.to_list()), missing=missing > 0)
    return Found(Field(series.name, "category", "String"), column, CategoryTokens(counts, missing), values)


def _number(series: pl.Series, numbers: pl.Series) -> Found:
    values = numbers.fill_null(np.nan).to_numpy().astype(np.float64)
    scale = Grid.of(values[~np.isnan(values)])
    tokens = NumberTokens.of(values, scale)
    kind = "integer" if scale.step and scale.decimals == 0 else "decimal"
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    column = Column(series.name, kind, (), low, high, scale.width or None, series.null_count() > 0)
    dtype = ("Int64" if kind == "integer" else "Float64") if series.dtype == pl.String else str(series.dtype)
    return Found(Field(series.name, kind, dtype), column, tokens, values)
