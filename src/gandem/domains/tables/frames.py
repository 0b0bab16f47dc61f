"""Samples as a table of all columns of the source."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from gandem.domains.tables import dates, dtypes, patterns, personal
from gandem.domains.tables.columns import Column, Field


def frame_of(fields: Sequence[Field], known: Mapping[str, tuple[Column, np.ndarray]], count: int) -> pl.DataFrame:
    """Return a table of `count` rows with all fields: the known columns by name, and the others made up."""
    return pl.DataFrame(
        [_modelled(each, *known[each.name]) if each.name in known else _made(each, count) for each in fields]
    )


def _modelled(field: Field, column: Column, values: np.ndarray) -> pl.Series:
    dtype = dtypes.read(field.dtype)
    if column.is_category:
        names = pl.Series(column.categories, dtype=pl.String)
        series = names.gather(pl.Series(values).fill_nan(None).cast(pl.UInt32))
        if dtype == pl.Boolean:
            series = series == "true"
    elif column.kind == "date":
        zone = "UTC" if (field.format or "").endswith("%:z") else None
        shown = pl.Datetime("us", zone) if dtype == pl.String else dtype
        series = dates.dated(values, shown, field.by_zone)
        if dtype == pl.String:
            series = series.dt.strftime(field.format or "%Y-%m-%d")
    else:
        series = pl.Series(values).fill_nan(None)
        if (dtype == pl.String and column.kind == "integer") or dtype == pl.Duration:
            series = series.cast(pl.Int64)
    return _as_type(series, dtype).alias(field.name)


def _as_type(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return values as a type, or as a wider one where one of them does not fit: a sum, or a number counted on."""
    made = series.cast(dtype, strict=False)
    if made.null_count() == series.null_count():
        return made
    wider = pl.Decimal(38, dtype.scale) if isinstance(dtype, pl.Decimal) else pl.Int64() if dtype.is_integer() else None
    if wider is not None and dtype != wider:
        widened = series.cast(wider, strict=False)
        if widened.null_count() == series.null_count():
            return widened
    if dtype in (pl.Int64, pl.UInt64):  # the float nearest to the largest of them lies just outside
        ends = np.iinfo(str(dtype).lower())
        for end, beyond in ((int(ends.min), series < 0), (int(ends.max), series > 0)):
            made = made.set(made.is_null() & beyond.fill_null(False), end)
    return made


def _made(field: Field, count: int) -> pl.Series:
    """Return a column that no generator made."""
    dtype, how = dtypes.read(field.dtype), field.made
    if field.kind in ("constant", "text"):
        value = how.get("value")
        if value is not None and dtype.is_temporal() and dtype != pl.Duration:
            return dates.dated(np.full(count, value), dtype, field.by_zone).alias(field.name)
        plain = pl.String if isinstance(value, str) else pl.Int64 if dtype == pl.Duration else dtype
        return pl.Series(field.name, [value] * count, plain).cast(dtype)
    if "personal" in how:
        values = pl.Series(personal.made_up(how, count, field.name))
    elif "start" in how and "prefix" not in how:
        values = pl.Series(np.arange(how["start"], how["start"] + count))
    else:
        values = pl.Series(patterns.made_from(how, count, field.name))
    if gone := how.get("missing", 0):
        rng = np.random.default_rng(zlib.crc32(f"missing {field.name}".encode()))
        values = values.set(pl.Series(rng.random(count) < gone), None)
    return _as_type(values, dtype).alias(field.name)
