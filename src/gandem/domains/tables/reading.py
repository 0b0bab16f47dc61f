"""From a source to a dataset: kinds found, rules found, the codec fitted, everything said in the data report."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

from gandem.domains.domain import Progress
from gandem.domains.given import Frame
from gandem.domains.tables import dtypes
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.data import OtherRows, TableData
from gandem.domains.tables.finding import MOST_COLUMNS, Modelled, find_keys
from gandem.domains.tables.groups import rules_and_groups
from gandem.domains.tables.kinds import Found, look
from gandem.domains.tables.matching import read_as
from gandem.domains.tables.report import data_report
from gandem.domains.tables.rules import Order, Rule
from gandem.domains.tables.source import Table, open_table
from gandem.domains.tables.space import room
from gandem.errors import RecipeError, SourceError, nearest
from gandem.recipe import DataOptions


def read_table(
    source: str | Path | Frame, options: DataOptions, cache: Path | None = None, progress: Progress | None = None
) -> TableData:
    """Read a table: look at every column, find rules, fit the codec, report; raises SourceError, RecipeError.

    cache: folder for what does not fit in a quarter of the free memory; a temporary file when None.
    """
    with closing(open_table(source, cache)) as table:
        return _read(table, options, cache, progress)


def _read(table: Table, options: DataOptions, cache: Path | None, progress: Progress | None) -> TableData:
    if unknown := next((name for name in options.columns if name not in table.names), None):
        raise RecipeError(f"data.columns.{unknown}: {table.name} has no such column.{nearest(unknown, table.names)}")
    if len(table) < 2:
        rows = "no rows" if not len(table) else "only one row"
        raise SourceError(f"{table.name}: holds {rows} below its header; give two or more")
    digest = hashlib.sha256()
    found, columns = _looked_at(table, options, cache, progress, digest)
    if not columns:
        kinds = ", ".join(sorted({each.field.kind for each in found}))
        raise SourceError(
            f"{table.name}: no column to learn from, only {kinds}; say what one is: data.columns.NAME=KIND"
        )
    rules: list[Rule] = []
    looked = options.rules == "auto" and len(columns) <= MOST_COLUMNS
    if looked:
        columns, rules = rules_and_groups(columns, table.names)
    elif options.rules == "auto":
        table.notes.append(f"rules are looked for among {MOST_COLUMNS} columns at most, so not here")
    worked_out = {rule.target.name for rule in rules if not isinstance(rule, Order)}
    kept = [column for column in columns if column.name not in worked_out]
    keys = find_keys(kept) if looked else []
    codec = TableCodec(
        [each.column for each in kept], [each.tokens for each in kept], [each.field for each in found], rules, keys
    )
    codes = room((len(table), len(kept)), np.dtype(np.int32), cache)
    residuals = room((len(table), len(kept)), np.dtype(np.float32), cache)
    for index, each in enumerate(kept):
        codes[:, index], residuals[:, index] = codec.column_codes(index, each.values)
    data = TableData(codes, residuals, codec, {}, digest.hexdigest())
    data.report.update(data_report(table, found, codec, data.copies, options))
    return data


def _looked_at(
    table: Table, options: DataOptions, cache: Path | None, progress: Progress | None, digest: hashlib._Hash
) -> tuple[list[Found], list[Modelled]]:
    """Look at one column after the other; their numbers go to memory, or to a file when they are many."""
    values = room((len(table.names), len(table)), np.dtype(np.float64), cache)
    found: list[Found] = []
    columns: list[Modelled] = []
    for number, name in enumerate(table.names):
        series = table.column(name)
        digest.update(name.encode() + content(series))
        each = look(series, options.columns.get(name), table.text)
        each = dataclasses.replace(each, field=_as_it_stood(each.field, table.dtypes[name]))
        if each.column is not None and each.tokens is not None:
            values[number] = each.values
            columns.append(Modelled(each.column, each.tokens, values[number]))
        found.append(Found(each.field, each.column, each.tokens, None, each.notes))
        if progress:
            progress("columns", number + 1, len(table.names))
    return found, columns


def _as_it_stood(field: Field, dtype: pl.DataType) -> Field:
    """Return a field with what its type in the source says besides: names of a list, and the zone of its dates."""
    listed = dtype == pl.Categorical or (dtype == pl.Enum and field.kind in ("category", "boolean"))
    if listed and field.dtype == "String" and field.kind not in ("integer", "decimal", "date"):  # these come as text
        return dataclasses.replace(field, dtype=dtypes.of_names(dtype))
    return dataclasses.replace(field, by_zone=getattr(dtype, "time_zone", None) is not None)


def read_like(source: str | Path | Frame, codec: TableCodec, cache: Path | None = None) -> OtherRows:
    """Read rows as the numbers of a codec's columns, to be judged beside those of its table; raises SourceError."""
    with closing(open_table(source, cache)) as table:
        return rows_like(table, codec)


def rows_like(table: Table, codec: TableCodec) -> OtherRows:
    """As `read_like`, of a table that is open."""
    notes: list[str] = []
    known = numbers_like(table, codec, notes)
    digest = hashlib.sha256()
    for name in table.names:
        digest.update(name.encode() + content(table.column(name)))
    report = {
        "source": table.name,
        "kind": "table",
        "samples": len(table),
        "classes": {},
        "notes": table.notes + notes,
        "broken": {rule: int(wrong.sum()) for rule, wrong in codec.wrong(known).items()},
        "skipped": {"count": 0, "reasons": {}, "files": []},
    }
    return OtherRows(stacked(known, codec), codec, report, digest.hexdigest())


def numbers_like(table: Table, codec: TableCodec, notes: list[str]) -> dict[str, np.ndarray]:
    """Return the numbers (n,) of all columns that a codec models or works out, by name; raises SourceError.

    notes: gets a line for what is not known.
    """
    if absent := [each.name for each in codec.fields if each.name not in table.names]:
        raise SourceError(f"{table.name}: lacks the column {absent[0]!r} ({len(absent)} in all); give the same columns")
    known: dict[str, np.ndarray] = {}
    learnt = described(codec)
    for field in codec.fields:
        if field.name in learnt:
            known[field.name] = read_as(table.column(field.name), learnt[field.name], field, notes)
    for group in (column for column in codec.columns if column.name not in known):
        members = [known[name] for name in group.categories]
        members = np.nan_to_num(members)  # one that is set tells of the others
        known[group.name] = np.where(np.sum(members, 0) > 0, np.argmax(members, 0), np.nan).astype(np.float64)
    return known


def stacked(known: Mapping[str, np.ndarray], codec: TableCodec) -> np.ndarray:
    """Return the columns that a codec models side by side, float64 (n, c)."""
    return np.stack([known[name] for name in codec.names], 1)


def described(codec: TableCodec) -> dict[str, Column]:
    """Return all columns with numbers, those that rules work out too, by name."""
    columns = {column.name: column for column in codec.columns}
    return columns | {rule.target.name: rule.target for rule in codec.rules if not isinstance(rule, Order)}


def content(series: pl.Series) -> bytes:
    """Return bytes that are equal for equal columns."""
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return f"{series.dtype}{len(series)}".encode()
    if series.dtype != pl.String:
        series = (series.to_physical() if series.dtype == pl.Duration else series).cast(pl.String)
    joined = series.fill_null("\0").str.join("\x1f").item()
    return hashlib.sha256(str(joined).encode()).digest()
