"""Opens a table: text with delimiters for now."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from gandem.errors import SourceError

MISSING = ("", "?", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")


@dataclass
class Table:
    """A table whose columns are read one by one."""

    name: str
    frame: pl.DataFrame
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return self.frame.height

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return self.frame.columns

    def column(self, name: str) -> pl.Series:
        """Return one column."""
        return self.frame.get_column(name)


def open_table(path: str | Path) -> Table:
    """Read a table; raises SourceError."""
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path}: no readable table ({str(error).splitlines()[0]})") from error
    stripped = pl.all().str.strip_chars()
    frame = frame.with_columns(stripped).with_columns(
        pl.when(pl.all().is_in(MISSING)).then(None).otherwise(pl.all()).name.keep()
    )
    return Table(str(path), frame)
