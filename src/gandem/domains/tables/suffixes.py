"""By which names of files tables are known; imported before any library that reads them."""

from __future__ import annotations

from pathlib import Path

TEXT = (".csv", ".tsv", ".tab", ".psv", ".data", ".txt")
PARQUET = (".parquet", ".parq")
ARROW = (".arrow", ".feather", ".ipc")
EXCEL = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SQLITE = (".sqlite", ".sqlite3", ".db")
ALL = (*TEXT, *PARQUET, *ARROW, *EXCEL, *SQLITE)
PART = "::"
"""Between a file and the table or sheet in it."""


def parted(source: str | Path) -> tuple[Path, str | None]:
    """Divide `file.sqlite::table` into both; a file of that very name comes first."""
    text = str(source)
    path, mark, part = text.rpartition(PART)
    if not mark or Path(text).exists():
        return Path(text).expanduser(), None
    return Path(path).expanduser(), part


def known(source: str | Path) -> bool:
    """Whether a source is named like a table; Parquet files are looked into, as they may hold pictures."""
    path, _ = parted(source)
    name = path.name.lower()
    if name.endswith(PARQUET):
        return path.is_file() and not _holds_pictures(path)
    return name.removesuffix(".gz").endswith((*TEXT, *ARROW, *EXCEL, *SQLITE)) and not path.is_dir()


def _holds_pictures(path: Path) -> bool:
    """Whether a Parquet file has a column of bytes, or cannot be looked into: then it is for others to read."""
    try:
        import polars as pl

        schema = pl.read_parquet_schema(path)
    except Exception:
        return True
    return any(_has_bytes(dtype) for dtype in schema.values())


def _has_bytes(dtype: object) -> bool:
    return str(dtype).startswith("Binary") or any(_has_bytes(field.dtype) for field in getattr(dtype, "fields", ()))
