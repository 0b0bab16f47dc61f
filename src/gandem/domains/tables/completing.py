"""Rows of a person's own, through what a generator has learnt: gaps filled, and how probable each row is."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import torch

from gandem import latents
from gandem.domains.given import Frame
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.following import follow
from gandem.domains.tables.matching import read_as
from gandem.domains.tables.networks import TableGenerator
from gandem.domains.tables.networks import latents as latents_of
from gandem.domains.tables.reading import described, rows_like
from gandem.domains.tables.source import open_table

AT_ONCE, COMPARED = 4_096, 2_000
"""Rows at a time, and new rows beside which others are typical or not."""


@torch.no_grad()
def imputed(codec: TableCodec, generator: TableGenerator, source: str | Path | Frame, seed: int) -> pl.DataFrame:
    """Return the table with every gap in a learnt column filled by a draw, given all that its row holds."""
    learnt, fields = described(codec), {field.name: field for field in codec.fields}
    with closing(open_table(source)) as table:
        filled = rows_like(table, codec).values
        given = {name: table.column(name) for name in fields}
    targets = {name: read_as(given[name], learnt[name], fields[name], []) for name in learnt.keys() - {*codec.names}}
    rng = torch.Generator().manual_seed(seed)
    for start in range(0, len(filled), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        choices = follow(codec, filled[part], {name: numbers[part] for name, numbers in targets.items()})
        gaps = np.isnan(filled[part])
        known = codec.cells(filled[part])
        known[:, : gaps.shape[1]][torch.from_numpy(gaps)] = -1
        for index in np.flatnonzero(gaps.any(0)).tolist():
            rows = torch.from_numpy(np.flatnonzero(gaps[:, index]))
            block = codec.spec.blocks[index]
            allowed = torch.ones(len(rows), block.tokens)
            if (choice := choices.get(index)) is not None:
                allowed = torch.from_numpy(choice.parts(rows.numpy()))
            if block.missing:
                allowed[:, -1] = 0
            quantiles = torch.rand(len(rows), 2, generator=rng).clamp(1e-6, 1 - 1e-6)
            cells, _ = generator.draw(index, known[rows], quantiles, allowed)
            if choice is not None:
                cells = choice.placed(cells, rows.numpy(), rng)
            known[rows[:, None], generator.places(index)] = cells
        filled[part] = np.where(gaps, codec.read(known, ~gaps), filled[part])
    made = codec.given(filled)
    return pl.DataFrame(
        [
            _kept(given[name], made[name], learnt[name], fields[name]) if name in learnt else given[name]
            for name in fields
        ]
    )


def _kept(given: pl.Series, made: pl.Series, column: Column, field: Field) -> pl.Series:
    """Return a filled column in which every cell that was there stays, also one that the data never had.

    As text where its type cannot hold those. Marks for what is missing among numbers and dates are gaps.
    """
    before, after = (read_as(series, column, field, []) for series in (given, made))
    changed = given.is_not_null().to_numpy() & (before != after)
    if column.takes_marks:
        changed &= ~np.isnan(before)
    if not changed.any():
        return made
    if given.dtype != made.dtype:
        made = made.dt.strftime(field.format) if field.format and made.dtype.is_temporal() else made
        given, made = given.cast(pl.String), made.cast(pl.String)
    return given.zip_with(pl.Series(changed), made).alias(field.name)


@torch.no_grad()
def scored(codec: TableCodec, generator: TableGenerator, source: str | Path | Frame) -> pl.DataFrame:
    """Return the table with three more columns: log p(row), the part of new rows that are less probable, and `unseen`.

    unseen: how many of the row's values the training data never held. Each has the probability of half a row of them,
    a number beside that of the nearest one: what nobody has seen makes no row more typical.
    """
    with closing(open_table(source)) as table:
        values = rows_like(table, codec).values
        frame = pl.DataFrame([table.column(name) for name in table.names])
    for column, numbers in zip(codec.columns, values.T, strict=True):
        if not column.takes_marks and column.name in frame.columns:  # there, but unreadable
            strange = np.isnan(numbers) & frame[column.name].is_not_null().to_numpy()
            numbers[strange] = len(column.categories) if column.is_category else np.inf
    unseen = (~codec.held(values)).sum(1)
    parts = [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]
    found = torch.cat([generator.log_likelihood(codec.encode(part)) for part in parts]).double()
    found += torch.from_numpy(unseen * math.log(0.5 / codec.rows))
    new = latents.generate(generator, latents.draw(COMPARED, latents_of(codec.spec), 0), None)
    usual = generator.log_likelihood(codec.encode(codec.decode(new))).double().sort().values
    typical = torch.searchsorted(usual, found) / len(usual)
    scores = {"log_likelihood": found.numpy(), "typical": typical.numpy(), "unseen": unseen}
    return frame.with_columns(pl.Series(name, numbers) for name, numbers in scores.items())
