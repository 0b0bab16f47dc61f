"""A table of samples as a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import polars as pl

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Field


def written(frame: pl.DataFrame, codec: TableCodec, suffix: str) -> bytes:
    """Return the bytes of a file; dates stand in text as they stood in the source.

    frame: with the columns of the source, and maybe more behind them.
    """
    out = io.BytesIO()
    _WRITERS[suffix](as_text(frame, codec.fields) if suffix in (".csv", ".tsv") else frame, out)
    return out.getvalue()


def as_text(frame: pl.DataFrame, fields: Sequence[Field]) -> pl.DataFrame:
    """Return what a file of text can hold: dates as they stood, durations in seconds, and lists as empty cells."""
    shown = []
    formats = {field.name: field.format for field in fields}
    for series in frame.get_columns():
        if (form := formats.get(series.name)) and series.dtype.is_temporal():
            series = series.dt.strftime(form)
        elif series.dtype == pl.Duration:
            series = series.dt.total_microseconds() / 1e6
        elif series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
            series = pl.Series(series.name, [None] * len(series), pl.String)
        shown.append(series)
    return pl.DataFrame(shown)


_WRITERS: dict[str, Callable[[pl.DataFrame, io.BytesIO], object]] = {
    ".csv": lambda frame, out: frame.write_csv(out),
    ".tsv": lambda frame, out: frame.write_csv(out, separator="\t"),
    ".parquet": lambda frame, out: frame.write_parquet(out),
    ".arrow": lambda frame, out: frame.write_ipc(out),
}
SUFFIXES = tuple(_WRITERS)
