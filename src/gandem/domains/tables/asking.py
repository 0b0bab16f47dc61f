"""Rows on conditions: cells that a person asks for are drawn first, from what the generator has learnt, then the rest.

A generator that draws in any order needs no rejection for a single value. For ranges, and for several conditions, rows
of known cells are drawn one column after the other, each from the part that is allowed; how probable that part was is
the row's weight, and rows are chosen by their weights (sampling importance resampling, Rubin 1988).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gandem.conditions import Condition, Told
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column
from gandem.domains.tables.networks import TableGenerator
from gandem.domains.tables.rules import Order, implied
from gandem.errors import RecipeError, nearest

DRAWN, FEWEST_DRAWN, AT_ONCE = 8, 2_000, 4_096
"""Rows that are drawn for each that is asked for, the fewest of them, and how many at a time."""
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@torch.no_grad()
def told(codec: TableCodec, generator: TableGenerator, where: Sequence[Condition], count: int, seed: int) -> Told:
    """Return `count` rows of known cells that meet all conditions; raises RecipeError where none can.

    They are the cells of the columns that are asked for and no others, see `whole`.
    """
    if not where:
        return Told(None)
    names = {name: index for index, name in enumerate(codec.names)}
    asked: dict[int, list[Condition]] = {}
    for condition in where:
        if condition.name not in names:
            raise RecipeError(f"--where {condition}: {_unknown(codec, condition.name)}")
        asked.setdefault(names[condition.name], []).append(condition)
    rng = torch.Generator().manual_seed(seed)
    total = max(DRAWN * count, FEWEST_DRAWN)
    wanted = {index: Wanted(codec, index, each) for index, each in asked.items()}
    cells = torch.empty(total, len(_places(generator, asked)))
    weights = torch.empty(total, dtype=torch.float64)
    for start in range(0, total, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, total))
        cells[part], weights[part] = _drawn(codec, generator, wanted, part.stop - start, rng)
    if not float(weights.sum()) > 0:
        raise RecipeError(
            f"--where {' '.join(map(str, where))}: no row meets all of it, as far as this generator knows; ask for less"
        )
    exact = any(condition.operator == "=" and codec.spec.blocks[names[condition.name]].residual for condition in where)
    chance = None if exact else float(weights.mean())  # of one value within a bin nobody knows
    return Told(cells[_resampled(weights, count, rng)], chance, tuple(codec.names[index] for index in asked))


def _drawn(
    codec: TableCodec, generator: TableGenerator, asked: Mapping[int, Wanted], count: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the asked cells of rows, (count, cells), and the rows' weights (count,).

    Nothing else is kept: there are several times as many rows as are asked for.
    """
    rows = generator.nothing(count)
    known: Tensor | None = None
    weights = torch.ones(count, dtype=torch.float64)
    values: dict[str, np.ndarray] = {}
    for index, wanted in asked.items():
        quantiles = torch.rand(count, 2, generator=rng).clamp(1e-6, 1 - 1e-6)
        cells, chance = generator.draw(index, known, quantiles, torch.from_numpy(wanted.tokens))
        cells = wanted.placed(cells, rng)
        rows[:, generator.places(index)] = cells
        known = rows
        found = values[codec.names[index]] = wanted.values(cells)
        weights *= torch.where(torch.from_numpy(wanted.met(found)), chance.double() * wanted.part(cells), 0.0)
    for rule in implied(rule for rule in codec.rules if isinstance(rule, Order)):
        if rule.low in values and rule.high in values:
            weights[torch.from_numpy(rule.wrong(values))] = 0.0
    return rows[:, _places(generator, asked)], weights


def whole(codec: TableCodec, generator: TableGenerator, told: Told, part: slice) -> Tensor | None:
    """Return short rows in which the cells are known that were asked for; only so many at a time as are drawn."""
    if told.inputs is None:
        return None
    cells = told.inputs[part]
    rows = generator.nothing(len(cells))
    rows[:, _places(generator, map(codec.names.index, told.fixed))] = cells
    return rows


def _places(generator: TableGenerator, asked: Iterable[int]) -> list[int]:
    """Return where the cells of columns stand in short rows."""
    return [place for index in asked for place in generator.places(index)]


class Wanted:
    """What the conditions on one column allow.

    tokens: which tokens can hold an allowed value, bool (tokens,).
    """

    def __init__(self, codec: TableCodec, index: int, conditions: Sequence[Condition]) -> None:
        self.codec, self.index = codec, index
        self.column, block = codec.columns[index], codec.spec.blocks[index]
        self._tests = [_test(self.column, condition) for condition in conditions]
        self._exact: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        """Codes and residuals of the values that are asked for, and the part of its token that each takes."""
        equal = [condition for condition in conditions if condition.operator == "="]
        if equal:
            values = np.array([_value(self.column, value, equal[0]) for value in equal[0].values])
            values = np.unique(values[self.met(values)])
            start, end = (codec.tokens[index].encode(values, np.full(len(values), at))[1] for at in (0.0, 1.0))
            self._exact = *codec.column_codes(index, values), np.where(end > start, (end - start) / 2, 1.0)
            self.tokens = np.isin(np.arange(block.tokens), self._exact[0])
        else:
            self.tokens = np.array([self._possible(token) for token in range(block.tokens)])

    def _possible(self, token: int) -> bool:
        """Whether a token has an allowed value: at one of many places within it."""
        places = np.linspace(-1, 1, 257) if self.codec.spec.blocks[self.index].residual else np.zeros(1)
        values = self.codec.tokens[self.index].decode(np.full(len(places), token), places)
        return bool(self.met(values).any())

    def placed(self, cells: Tensor, rng: torch.Generator) -> Tensor:
        """Put the very values that are asked for in the place of drawn ones that share their token."""
        if self._exact is None or not self.codec.spec.blocks[self.index].residual:
            return cells
        codes, residuals, shares = self._exact
        drawn = cells[:, 0].numpy()
        turn = torch.rand(len(cells), generator=rng).numpy()
        for code in np.unique(codes):
            those, here = residuals[codes == code], drawn == code
            ends = np.cumsum(shares[codes == code])
            cells[torch.from_numpy(here), -1] = torch.from_numpy(those[np.searchsorted(ends, turn[here] * ends[-1])])
        return cells

    def part(self, cells: Tensor) -> Tensor:
        """Return how much of its token is allowed for each of the drawn cells (n, width), float64 (n,)."""
        if self._exact is None:
            return torch.ones(len(cells), dtype=torch.float64)
        codes, _, shares = self._exact
        return torch.from_numpy(np.bincount(codes, shares, minlength=len(self.tokens)))[cells[:, 0].long()]

    def values(self, cells: Tensor) -> np.ndarray:
        """Return what cells (n, width) stand for, float64 (n,)."""
        codes = cells[:, 0].numpy().astype(np.int32)
        residuals = cells[:, 1].numpy() if self.codec.spec.blocks[self.index].residual else np.zeros(len(cells))
        return self.codec.tokens[self.index].decode(codes, residuals)

    def met(self, values: np.ndarray) -> np.ndarray:
        """Return which values (n,) meet all conditions, bool (n,)."""
        return np.all([test(values) for test in self._tests], axis=0)


def _test(column: Column, condition: Condition) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of values float64 (n,) that says which meet a condition."""
    wanted = [_value(column, value, condition) for value in condition.values]
    if condition.operator in COMPARE:
        if column.is_category:
            raise RecipeError(f"--where {condition}: {column.name} is a category; ask with = or !=")
        compare = COMPARE[condition.operator]
        return lambda values: np.asarray(compare(values, wanted[0]))

    def equal(values: np.ndarray) -> np.ndarray:
        return np.any([np.isnan(values) if np.isnan(each) else values == each for each in wanted], axis=0)

    return equal if condition.operator == "=" else lambda values: ~equal(values)


def _value(column: Column, value: Any, condition: Condition) -> float:
    """Return what a value is among the samples of a column; raises RecipeError for one that it does not have."""
    if value is None:
        if not column.missing:
            raise RecipeError(f"--where {condition}: nothing is missing in {column.name}")
        return float("nan")
    if column.is_category:
        text = str(value)
        if isinstance(value, bool) and [name.lower() for name in column.categories] in (["false", "true"], ["0", "1"]):
            text = column.categories[value]
        if text not in column.categories:
            raise RecipeError(
                f"--where {condition}: {column.name} has no such value.{nearest(text, column.categories)}"
            )
        return float(column.categories.index(text))
    try:
        number = _seconds(column, value) if column.kind == "date" else float(value)
    except (TypeError, ValueError):
        like = "a number"
        if column.kind == "date":
            like = "a time such as 08:30" if _is_clock(column) else "a date such as 2024-05-31"
        raise RecipeError(f"--where {condition}: {column.name} takes {like}") from None
    low, high = column.low, column.high
    if condition.operator == "=" and low is not None and high is not None and not low <= number <= high:
        raise RecipeError(f"--where {condition}: the data know {column.name} only from {low:g} to {high:g}")
    return number


def _is_clock(column: Column) -> bool:
    """Whether dates are times of a day: all of them within the first one."""
    return column.low is not None and column.high is not None and 0 <= column.low <= column.high < 86_400


def _seconds(column: Column, value: Any) -> float:
    """Return a date, or a time of day, as the numbers of its column."""
    from datetime import UTC, date, datetime, time

    if _is_clock(column):
        clock = time.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(clock, time):
            raise TypeError(value)
        return clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return float(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def _resampled(weights: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return `count` rows by their weights, each as often as its share to within one (Kitagawa 1996), in any order."""
    ends = (weights / weights.sum()).cumsum(0)
    places = (torch.arange(count, dtype=torch.float64) + torch.rand(1, generator=rng, dtype=torch.float64)) / count
    chosen = torch.searchsorted(ends, places).clamp_max(len(weights) - 1)
    return chosen[torch.randperm(count, generator=rng)]


def _unknown(codec: TableCodec, name: str) -> str:
    for rule in codec.rules:
        if not isinstance(rule, Order) and rule.target.name == name:
            return f"{name} is worked out from other columns ({rule}); ask for those"
    kinds = {field.name: field.kind for field in codec.fields}
    if name in kinds:
        return f"{name} is not learnt ({kinds[name]}), so nothing can be asked of it"
    return f"there is no such column.{nearest(name, codec.names)}"
