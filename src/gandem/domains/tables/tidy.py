"""What every table needs before anybody looks at it: names for all columns, one kind of missing, no stray spaces."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "<NA>")
"""Texts that stand for a missing value."""

MOST_MARKS = 3
"""Different texts in a column of numbers or dates that may stand for a missing value."""


def header(names: Sequence[str], notes: list[str]) -> list[str]:
    """Return names that are there and different."""
    found: dict[str, None] = {}
    taken = set(names)
    for number, name in enumerate(names, 1):
        chosen = name
        if not name:
            chosen = f"column_{number}"
        count = 2
        while chosen in found or (chosen != name and chosen in taken):
            chosen, count = f"{name or f'column_{number}'}_{count}", count + 1
        if chosen != name:
            what = f"two columns are called {name!r}" if name else f"column {number} has no name"
            notes.append(f"{what}: it is read as {chosen!r}")
        found[chosen] = None
    return list(found)


def tidied(series: pl.Series) -> pl.Series:
    """Return a column without spaces around its texts and with null for what is missing."""
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        stripped = series.str.strip_chars()
        gone = stripped.is_in(MISSING)
        return stripped.set(gone, None) if gone.any() else stripped
    if series.dtype.is_float():
        return series.fill_nan(None)
    return series


COMMA_OR_NOT = "{!r}: commas before three digits are read as points, as semicolons separate the values"


def with_points(series: pl.Series) -> pl.Series | None:
    """Return numbers such as 1,250 with points, None where the comma leaves no doubt or where there is none.

    Whoever separates values by semicolons needs the comma for decimals; two commas, or a point behind one, tell of
    thousands all the same.
    """
    if series.dtype != pl.String or not series.str.contains(",").any():
        return None
    doubtful = r"^[+-]?([1-9]\d{0,2}(,\d{3})?|0)$"
    return series.str.replace(",", ".", literal=True) if series.str.contains(doubtful).all() else None
