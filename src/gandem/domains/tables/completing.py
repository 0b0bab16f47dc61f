"""Rows of a person's own, through what a generator has learnt: gaps filled, and how probable each row is."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gandem import latents
from gandem.domains.given import Frame
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.completions import COMPLETIONS, chosen, completed, log_weight
from gandem.domains.tables.following import Choices, follow
from gandem.domains.tables.keys import different
from gandem.domains.tables.matching import is_truth, read_as
from gandem.domains.tables.networks import TableGenerator
from gandem.domains.tables.networks import latents as latents_of
from gandem.domains.tables.reading import described, numbers_like, stacked
from gandem.domains.tables.rules import Order
from gandem.domains.tables.source import open_table
from gandem.errors import RecipeError

AT_ONCE, COMPARED = 4_096, 2_000
"""Rows at a time, and new rows beside which others are typical or not."""
TURNS = 100
"""Times that rows are filled, at most, until none repeats a key."""


@torch.no_grad()
def imputed(codec: TableCodec, generator: TableGenerator, source: str | Path | Frame, seed: int) -> pl.DataFrame:
    """Return the table with every gap in a learnt column filled by a draw, given all that its row holds.

    Other columns stay as they are, also those that the generator does not know.
    A row that repeats the key of another one by what it was filled with is filled anew, TURNS times at most: where few
    values are free that may not do, and then its part of the key stays a gap.
    """
    if not 0 <= seed < 2**63:
        raise RecipeError(f"seed = {seed}: must lie between 0 and 2^63")
    learnt, fields = described(codec), {field.name: field for field in codec.fields}
    with closing(open_table(source)) as table:
        known = numbers_like(table, codec, [])
        given = {name: table.column(name) for name in table.names}
    values = stacked(known, codec)
    filled, gaps = values.copy(), np.isnan(values)
    unheard = _unheard_of(codec, values, given)
    rng = torch.Generator().manual_seed(seed)
    rows = np.flatnonzero(gaps.any(1))
    for _ in range(TURNS):
        for part in (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)):
            targets = {name: numbers[part] for name, numbers in known.items() if name not in codec.names}
            filled[part] = _filled(codec, generator, values[part], targets, rng)
        repeating = _repeating(codec, np.where(np.isnan(unheard), filled, unheard), gaps & np.isnan(unheard))
        rows = np.flatnonzero(repeating.any(1))
        if not len(rows):
            break
    filled[repeating] = np.nan
    made = codec.given(filled)
    return pl.DataFrame(
        [
            _kept(column, made[name], learnt[name], fields[name]) if name in learnt else column
            for name, column in given.items()
        ]
    )


def _filled(
    codec: TableCodec,
    generator: TableGenerator,
    values: np.ndarray,
    targets: dict[str, np.ndarray],
    rng: torch.Generator,
) -> np.ndarray:
    """Return rows (n, c) with their gaps filled. values: as they stand. targets: of what rules work out."""
    choices = follow(codec, values, targets)
    gaps = np.isnan(values)
    known = codec.cells(values)
    known[:, : gaps.shape[1]][torch.from_numpy(gaps)] = -1
    drawn = [_drawn(codec, generator, known.clone(), gaps, choices, rng) for _ in range(COMPLETIONS)]
    rows, chances = map(torch.stack, zip(*drawn, strict=True))
    weights = chances + torch.stack([log_weight(codec, generator, each, known) for each in rows])
    taken = chosen(rows, weights, torch.rand(len(values), generator=rng))
    return codec.in_order(np.where(gaps, codec.values(taken), values), ~gaps)


def _drawn(
    codec: TableCodec,
    generator: TableGenerator,
    known: Tensor,
    gaps: np.ndarray,
    choices: Choices,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Fill the gaps of short rows `known`; return these, and the log of how probable what rules leave was, (n,)."""
    chances = torch.zeros(len(known))
    for index in np.flatnonzero(gaps.any(0)).tolist():
        rows = torch.from_numpy(np.flatnonzero(gaps[:, index]))
        block = codec.spec.blocks[index]
        allowed = torch.ones(len(rows), block.tokens)
        if (choice := choices.get(index)) is not None:
            allowed = torch.from_numpy(choice.parts(rows.numpy()))
        if block.missing:
            allowed[:, -1] = 0
        quantiles = torch.rand(len(rows), 2, generator=rng).clamp(1e-6, 1 - 1e-6)
        cells, chance = generator.draw(index, known[rows], quantiles, allowed)
        if choice is not None:  # that a gap must not stay one is no evidence of other cells, what rules leave is
            chances[rows] += chance.log()
            cells = choice.placed(cells, rows.numpy(), rng)
        known[rows[:, None], generator.places(index)] = cells
    return known, chances


def _repeating(codec: TableCodec, rows: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Return which cells (n, c) make a row repeat a key by what was filled; rows that had theirs before keep it."""
    columns = dict(zip(codec.names, rows.T, strict=True))
    found = np.zeros(rows.shape, bool)
    for key in codec.keys:
        places = [codec.names.index(name) for name in key.columns]
        filled = gaps[:, places].any(1)
        order = np.argsort(filled, kind="stable")
        kept = np.empty(len(rows), bool)
        kept[order] = different(key.hashes(columns)[order, None])
        found[:, places] |= (filled & ~kept)[:, None] & gaps[:, places]
    return found


def _unheard_of(codec: TableCodec, values: np.ndarray, given: dict[str, pl.Series]) -> np.ndarray:
    """Return a number (n, c) for each name that the data never had, which stays in the table; elsewhere NaN."""
    found = np.full(values.shape, np.nan)
    for place, column in enumerate(codec.columns):
        if column.is_category and column.name in given:
            strange = np.isnan(values[:, place]) & given[column.name].is_not_null().to_numpy()
            texts = given[column.name].cast(pl.String).filter(pl.Series(strange))
            found[strange, place] = len(column.categories) + texts.rank("dense").to_numpy()
    return found


def _kept(given: pl.Series, made: pl.Series, column: Column, field: Field) -> pl.Series:
    """Return a filled column in which every cell that was there stays, also one that the data never had.

    As text where its type cannot hold those. Marks for what is missing among numbers and dates are gaps.
    """
    before, after = (read_as(series, column, field, []) for series in (given, made))
    there = given.is_not_null().to_numpy()
    if column.takes_marks:
        there &= ~np.isnan(before)
    if is_truth(column):
        made = _as_written(made, given)
    if given.dtype != made.dtype:
        if not (there & (before != after)).any():
            return made
        made = made.dt.strftime(field.format) if field.format and made.dtype.is_temporal() else made
        given, made = given.cast(pl.String), made.cast(pl.String)
    return given.zip_with(pl.Series(there), made).alias(field.name)


def _as_written(made: pl.Series, given: pl.Series) -> pl.Series:
    """Return true and false in the type and spelling of the column that is given, where it has any."""
    texts = made.cast(pl.String).str.to_lowercase()
    if given.dtype == pl.Boolean:
        return texts == "true"
    if given.dtype != pl.String:
        return made
    spelt = {text.lower(): text for text in given.drop_nulls().unique()}
    return texts.replace(list(spelt), list(spelt.values())) if spelt else made


@torch.no_grad()
def scored(codec: TableCodec, generator: TableGenerator, source: str | Path | Frame) -> pl.DataFrame:
    """Return the table with more columns: log p(row), the part of new rows that are less probable, and two counts.

    unseen: how many of the row's values the training data never held. Each has the probability of half a row of them,
    a number beside that of the nearest one: what nobody has seen makes no row more typical.
    breaks_rules: how many rules its values contradict, which has no part in how probable it is.
    """
    with closing(open_table(source)) as table:
        known = numbers_like(table, codec, [])
        frame = pl.DataFrame([table.column(name) for name in table.names])
    values = stacked(known, codec)
    for column, numbers in zip(codec.columns, values.T, strict=True):
        if not column.takes_marks and column.name in frame.columns:  # there, but unreadable
            strange = np.isnan(numbers) & frame[column.name].is_not_null().to_numpy()
            numbers[strange] = len(column.categories) if column.is_category else np.inf
    unseen = (~codec.held(values)).sum(1)
    found = _log_likelihood(codec, generator, values)
    found += torch.from_numpy(unseen * math.log(0.5 / codec.rows))
    new = completed(codec, generator, latents.draw(COMPARED, latents_of(codec.spec), 0), None)
    usual = _log_likelihood(codec, generator, codec.read(new)).sort().values
    typical = torch.searchsorted(usual, found) / len(usual)
    scores = {"log_likelihood": found.numpy(), "typical": typical.numpy(), "unseen": unseen}
    scores["breaks_rules"] = _contradictions(codec, known, frame)
    return frame.with_columns(pl.Series(name, numbers) for name, numbers in scores.items())


def _log_likelihood(codec: TableCodec, generator: TableGenerator, values: np.ndarray) -> torch.Tensor:
    """Return log p(row) of rows (n, c), float64 (n,): the probability of what stands for the very values."""
    found = []
    for part in (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)):
        bounds = [tokens.bounds(column) for tokens, column in zip(codec.tokens, part.T, strict=True)]
        found.append(generator.log_likelihood(codec.encode(part), torch.from_numpy(np.stack(bounds, 1))).double())
    return torch.cat(found)


def _contradictions(codec: TableCodec, known: dict[str, np.ndarray], frame: pl.DataFrame) -> np.ndarray:
    """Return how many rules each row breaks, int64 (n,). A gap breaks none; a group of which one is set is one rule."""
    gone = {name: np.isnan(numbers) for name, numbers in known.items()}
    groups = {column.name: column.categories for column in codec.columns if column.name not in frame.columns}
    for name, members in groups.items():
        gone[name] = np.any([gone[member] for member in members], 0)
    broken = {key.said: key.wrong(known) for key in codec.keys}
    for rule in codec.rules:
        wrong, one = rule.wrong(known), str(rule)
        if not isinstance(rule, Order):
            target = rule.target
            empty = gone[target.name]
            if target.is_category:  # a name that nobody has seen is no gap
                empty = frame[target.name].is_null().to_numpy()
            wrong &= ~np.any([empty, *(gone[name] for name in rule.sources)], 0)
            one = rule.sources[0] if target.name in groups.get(rule.sources[0], ()) else one
        broken[one] = broken.get(one, False) | wrong
    return np.sum([np.zeros(len(frame), bool), *broken.values()], 0)
