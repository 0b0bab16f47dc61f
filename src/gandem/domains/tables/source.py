"""Finds out what a table comes from and opens it: text, Parquet, Arrow, Excel, SQLite, or a data frame in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from gandem.domains.given import Frame
from gandem.domains.tables.delimited import SEPARATED, read_text
from gandem.domains.tables.suffixes import ARROW, EXCEL, PARQUET, PART, SQLITE, TEXT, parted
from gandem.domains.tables.tidy import COMMA_OR_NOT, header, tidied, with_points
from gandem.errors import SourceError, first_line, optional

_READS = ".csv, .tsv (also .gz), .parquet, .arrow, .xlsx, .sqlite or a data frame"
_CHUNK = 100_000
_NO_DAY = dt.date(1900, 1, 1)
"""Up to which day a moment of a sheet is a time of day alone."""


class Table:
    """A table whose columns are read one by one, so that a large one stays on the disk.

    rows: all of it, in memory or to be read piece by piece. notes: what a person should know of how it was read. text:
    whether all values are texts, as in a file of text. folder: taken away by `close`.
    """

    def __init__(
        self,
        name: str,
        rows: pl.DataFrame | pl.LazyFrame,
        notes: list[str],
        text: bool = False,
        folder: Scratch | None = None,
    ) -> None:
        self.name, self.rows, self.notes, self.text, self.folder = name, rows, notes, text, folder
        self._semicolons = SEPARATED.format("semicolons") in notes
        schema = rows.collect_schema()
        self.names, self.dtypes = schema.names(), dict(schema)
        self._count = rows.height if isinstance(rows, pl.DataFrame) else int(rows.select(pl.len()).collect().item())

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> pl.Series:
        """Return one column, tidied."""
        rows = self.rows if isinstance(self.rows, pl.DataFrame) else self.rows.select(pl.col(name)).collect()
        found = tidied(rows.get_column(name))
        if self._semicolons and (pointed := with_points(found)) is not None:
            found, note = pointed, COMMA_OR_NOT.format(name)
            self.notes += [] if note in self.notes else [note]
        return found

    def close(self) -> None:
        """Take away what lies on the disk."""
        if self.folder is not None:
            self.folder.close()


class Scratch:
    """A folder for what outgrows the memory, made when it is asked for; a temporary one if none is given."""

    def __init__(self, given: Path | None) -> None:
        self._given = given
        self._own: tempfile.TemporaryDirectory[str] | None = None

    def path(self) -> Path:
        """Return the folder."""
        if self._given is not None:
            self._given.mkdir(parents=True, exist_ok=True)
            return self._given
        self._own = self._own or tempfile.TemporaryDirectory(prefix="gandem-")
        return Path(self._own.name)

    def close(self) -> None:
        """Take a temporary folder away."""
        if self._own is not None:
            self._own.cleanup()


def open_table(source: str | Path | Frame, cache: Path | None = None) -> Table:
    """Open a table; raises SourceError with what is wrong. Close it at last.

    cache: folder for what outgrows the memory; a temporary one when None.
    """
    notes: list[str] = []
    if isinstance(source, Frame):
        return Table(source.name, _from_frame(source, notes), notes)
    path, part = parted(source)
    if not path.exists():
        raise SourceError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give {_READS}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty; give {_READS}")
    folder = Scratch(cache)
    name = path.name.lower().removesuffix(".gz")
    small = path.stat().st_size < big()
    readers: dict[tuple[str, ...], Callable[[], pl.DataFrame | pl.LazyFrame]] = {
        PARQUET: lambda: pl.read_parquet(path) if small else pl.scan_parquet(path),
        ARROW: lambda: pl.read_ipc(path),
        EXCEL: lambda: _excel(path, part, notes),
        SQLITE: lambda: _sqlite(path, part, notes),
        TEXT: lambda: read_text(path, big(), folder.path, notes),
    }
    reader = next((reader for suffixes, reader in readers.items() if name.endswith(suffixes)), None)
    if reader is None:
        raise SourceError(f"{path}: not a table; give {_READS}")
    try:
        with contextlib.ExitStack() as undone:
            undone.callback(folder.close)
            table = Table(str(source), reader(), notes, name.endswith(TEXT), folder)
            undone.pop_all()
        return table
    except PermissionError as error:
        raise SourceError(f"{path}: no permission to read it; change its rights with chmod") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or ["?"])[0]
        raise SourceError(f"{path}: cannot be read ({reason}); write it again") from error


def big() -> int:
    """Return the bytes of text from which it is read piece by piece: as a table it takes a few times as much."""
    return int(psutil.virtual_memory().available) // 8


def _from_frame(source: Frame, notes: list[str]) -> pl.DataFrame:
    """Read a data frame of any library that speaks Arrow or the interchange protocol."""
    value = source.value
    try:
        if isinstance(value, pl.LazyFrame):
            value = value.collect()
        frame = value if isinstance(value, pl.DataFrame) else pl.DataFrame(value)
    except Exception as first:  # frames of all libraries come here, each with errors of its own
        try:
            frame = pl.from_dataframe(value)
        except Exception:
            raise SourceError(
                f"the data frame cannot be read ({first_line(first)[:150]}); give each column one type"
            ) from first
    frame = frame.drop([name for name in frame.columns if name.startswith("__index_level_")])
    if not frame.width:
        raise SourceError("the data frame has no columns; give one with columns and rows")
    frame.columns = header([str(name) for name in frame.columns], notes)
    return frame


def _excel(path: Path, sheet: str | None, notes: list[str]) -> pl.DataFrame:
    """Read one sheet, the first if none is named."""
    fastexcel = optional("fastexcel", "tables")
    try:
        book = fastexcel.read_excel(path)
        names = list(book.sheet_names)
    except Exception as error:
        raise SourceError(
            f"{path}: no readable Excel file; if it has a password, save it without, else export the sheet as .csv"
        ) from error
    if sheet is not None and sheet not in names:
        raise SourceError(f"{path}: has no sheet {sheet!r}; it has {', '.join(names)}")
    chosen = sheet or next(iter(names), None)
    if chosen is None:
        raise SourceError(f"{path}: has no sheets; export the table as .csv")
    if len(names) > 1 and sheet is None:
        notes.append(f"only the sheet {chosen!r} of {len(names)} is read; another: {path.name}{PART}{names[1]}")
    try:
        frame: pl.DataFrame = book.load_sheet(chosen).to_polars()
    except Exception as error:
        raise SourceError(f"{path}: the sheet {chosen!r} holds no table; give one with a header and rows") from error
    if not frame.width:
        raise SourceError(f"{path}: the sheet {chosen!r} is empty; give one with a header and rows")
    frame.columns = header([name.strip() for name in frame.columns], notes)
    return frame.select(map(_as_people_have_it, frame))


def _as_people_have_it(series: pl.Series) -> pl.Series:
    """Return a column of a sheet, where all numbers have fractions and all dates are moments, as what it holds."""
    if series.dtype == pl.Float64:
        whole = series.cast(pl.Int64, strict=False)
        same = series.count() and whole.null_count() == series.null_count() and (whole == series).all()
        return whole if same else series
    if not isinstance(series.dtype, pl.Datetime) or not series.count():
        return series
    if (series.dt.time() == dt.time()).all():
        return series.dt.date()
    return series.dt.time() if (series.dt.date() <= _NO_DAY).all() else series


def _sqlite(path: Path, table: str | None, notes: list[str]) -> pl.DataFrame:
    """Read a table of a database, the only one if none is named."""
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise SourceError(f"{path}: cannot be opened ({error}); check its rights") from error
    try:
        listed = database.execute("select name from sqlite_master where type in ('table', 'view') order by rowid")
        names = [name for (name,) in listed if not name.startswith("sqlite_")]
        if not names:
            raise SourceError(f"{path}: the database has no tables; give one that has")
        if table is None and len(names) > 1:
            raise SourceError(f"{path}: holds {len(names)} tables, {', '.join(names)}; say {path}{PART}{names[0]}")
        chosen = table or names[0]
        if chosen not in names:
            raise SourceError(f"{path}: has no table {chosen!r}; it has {', '.join(names)}")
        quoted = chosen.replace('"', '""')
        cursor = database.execute(f'select * from "{quoted}"')
        columns = header([column[0] for column in cursor.description], notes)
        parts = []
        while rows := cursor.fetchmany(_CHUNK):
            parts.append([_column(values) for values in zip(*rows, strict=True)])
    except sqlite3.Error as error:
        raise SourceError(f"{path}: no readable SQLite file ({error})") from error
    finally:
        database.close()
    if not parts:
        return pl.DataFrame({name: pl.Series(name, [], pl.Null) for name in columns})
    series = [_joined(each).alias(name) for name, each in zip(columns, zip(*parts, strict=True), strict=True)]
    return pl.DataFrame(series)


def _column(values: tuple[Any, ...]) -> pl.Series:
    """Return a column of a database, of which every cell has a type of its own."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int} or kinds <= {int, float}:
        return pl.Series(values, dtype=pl.Float64 if float in kinds else pl.Int64 if kinds else pl.Null)
    if kinds == {bytes}:
        return pl.Series(values, dtype=pl.Binary)
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def _joined(parts: tuple[pl.Series, ...]) -> pl.Series:
    kinds = {part.dtype for part in parts} - {pl.Null()}
    if len(kinds) > 1:
        wider = pl.Float64 if all(kind.is_numeric() for kind in kinds) else pl.String
        parts = tuple(part.cast(wider) for part in parts)
    elif kinds:
        parts = tuple(part.cast(next(iter(kinds))) for part in parts)
    return pl.concat(list(parts))
