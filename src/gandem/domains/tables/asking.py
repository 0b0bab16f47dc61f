"""Rows on conditions: cells that a person asks for are drawn first, from what the generator has learnt, then the rest.

A generator that draws in any order needs no rejection for a single value. For ranges, and for several conditions, rows
of known cells are drawn one column after the other, each from the part that is allowed; how probable that part was is
the row's weight, and rows are chosen by their weights (sampling importance resampling, Rubin 1988). What is asked of a
column that another one determines is asked of that one. Columns of keys are drawn first, too: so no two rows agree.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gandem.conditions import Condition, Told
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.columns import Column
from gandem.domains.tables.keys import different
from gandem.domains.tables.networks import TableGenerator
from gandem.domains.tables.rules import Determined, Total
from gandem.domains.tables.tokens import CategoryTokens
from gandem.errors import RecipeError, nearest

DRAWN, FEWEST_DRAWN, AT_ONCE = 8, 2_000, 4_096
"""Rows that are drawn for each that is asked for, the fewest of them, and how many at a time."""
MOST_DRAWN, LEAST_MOST = 32, 100_000
"""Rows that are drawn for each that is asked for, or in all if that is more, until there are too few different ones."""
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@torch.no_grad()
def told(codec: TableCodec, generator: TableGenerator, where: Sequence[Condition], count: int, seed: int) -> Told:
    """Return `count` rows of known cells that meet all conditions; raises RecipeError where there are none or too few.

    They are the cells of the columns that are asked for, and of keys, and no others, see `whole`. Without conditions
    the first n are the same for every count.
    """
    asked = _asked(codec, where)
    if not asked:
        return Told(None)
    rng = torch.Generator().manual_seed(seed)
    wanted = {index: Wanted(codec, index, each) for index, each in asked.items()}
    draw = partial(_drawn, codec, generator, wanted, rng)
    if codec.keys:
        room = min(math.prod(wanted[codec.names.index(name)].room for name in key.columns) for key in codec.keys)
        cells, chance = _different(codec, draw, count, rng, where, room)
    else:
        cells, chance = _met(draw, count, rng, where)
    exact = any(condition.operator == "=" and _is_binned(codec, condition.name) for condition in where)
    known = bool(where) and not exact  # of one value within a bin nobody knows
    return Told(cells, chance if known else None, tuple(codec.names[index] for index in asked))


def _asked(codec: TableCodec, where: Sequence[Condition]) -> dict[int, list[Condition]]:
    """Return what is asked of which modelled columns, those of keys last, of which nothing may be asked."""
    places = {name: index for index, name in enumerate(codec.names)}
    asked: dict[int, list[Condition]] = {}
    for condition in where:
        rule = _determining(codec, condition.name)
        name = condition.name if rule is None else rule.by
        if name not in places:
            raise RecipeError(f"--where {condition}: {_unknown(codec, condition.name)}")
        asked.setdefault(places[name], []).append(condition)
    for name in (name for key in codec.keys for name in key.columns):
        asked.setdefault(places[name], [])
    return asked


def _determining(codec: TableCodec, name: str) -> Determined | None:
    """Return the rule by which another column determines one, if there is any."""
    rules = (rule for rule in codec.rules if isinstance(rule, Determined) and rule.target.name == name)
    return next(rules, None)


def _is_binned(codec: TableCodec, name: str) -> bool:
    """Whether a column is modelled, and in bins."""
    return name in codec.names and codec.spec.blocks[codec.names.index(name)].residual


Draw = Callable[[int], tuple[Tensor, Tensor, dict[str, np.ndarray]]]
"""Returns the asked cells of so many rows, their weights, and what the cells stand for, see `_drawn`."""


def _met(draw: Draw, count: int, rng: torch.Generator, where: Sequence[Condition]) -> tuple[Tensor, float]:
    """Return asked cells (count, cells) of rows that meet conditions, and which part of all rows does."""
    total = max(DRAWN * count, FEWEST_DRAWN)
    cells, weights = torch.empty(0), torch.empty(total, dtype=torch.float64)
    for start in range(0, total, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, total))
        drawn, weights[part], _ = draw(part.stop - start)
        cells = cells if start else torch.empty(total, drawn.shape[1])
        cells[part] = drawn
    if not float(weights.sum()) > 0:
        raise RecipeError(_none(where))
    return cells[_resampled(weights, count, rng)], float(weights.mean())


def _different(
    codec: TableCodec, draw: Draw, count: int, rng: torch.Generator, where: Sequence[Condition], room: float
) -> tuple[Tensor, float]:
    """As `_met`, of rows no two of which agree in all columns of a key; raises RecipeError if there are too few.

    room: how many there are at most. Rows arrive one after the other, on conditions after times in proportion to
    1 / weight, and one that repeats a key is left out. So each is drawn by its probability among those that are left.
    """
    if room < count:
        raise RecipeError(_too_few(codec, where, count, room) if room else _none(where))
    fewest = max(DRAWN * count, FEWEST_DRAWN) if where else 1
    most = max(MOST_DRAWN * count, LEAST_MOST)
    kept: list[tuple[Tensor, np.ndarray, np.ndarray]] = []
    found, tried, total = 0, 0, 0.0
    while tried < fewest or (found < count and tried < most):
        for _ in range(max(fewest - tried, count - found, count // DRAWN) // AT_ONCE + 1):
            drawn, weights, values = draw(AT_ONCE)
            hashes = np.stack([key.hashes(values) for key in codec.keys], 1)
            times = torch.empty(AT_ONCE).exponential_(generator=rng) / weights if where else torch.arange(AT_ONCE)
            possible = weights > 0
            there = possible.numpy()
            kept.append((drawn[possible], hashes[there], times.double().numpy()[there] + (0 if where else tried)))
            tried, total = tried + AT_ONCE, total + float(weights.sum())
        cells, *others = zip(*kept, strict=True)
        hashes, arrivals = map(np.concatenate, others)
        order = np.argsort(arrivals, kind="stable")
        order = order[different(hashes[order])][:count]
        kept = [(torch.cat(cells)[torch.from_numpy(order)], hashes[order], arrivals[order])]
        found = len(order)
    if found < count:
        raise RecipeError(_too_few(codec, where, count, found) if found else _none(where))
    chosen = kept[0][0]
    return chosen[torch.randperm(count, generator=rng)] if where else chosen, total / tried


def _none(where: Sequence[Condition]) -> str:
    """Say that nothing is left."""
    return f"--where {' '.join(map(str, where))}: no row meets all of it, as far as this generator knows; ask for less"


def _too_few(codec: TableCodec, where: Sequence[Condition], count: int, found: float) -> str:
    """Say that there are fewer different rows than are asked for."""
    given = f" --where {' '.join(map(str, where))}" if where else ""
    return (
        f"--count {count}{given}: {' and '.join(map(str, codec.keys))}, and only {found:,.0f} different ones were "
        "found; ask for fewer, or train with --set data.rules=none"
    )


def _drawn(
    codec: TableCodec, generator: TableGenerator, asked: Mapping[int, Wanted], rng: torch.Generator, count: int
) -> tuple[Tensor, Tensor, dict[str, np.ndarray]]:
    """Return the asked cells of rows, (count, cells), the rows' weights (count,), and the values of the cells by name.

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
    for rule in codec.orders:
        if rule.low in values and rule.high in values:
            weights[torch.from_numpy(rule.wrong(values))] = 0.0
    return rows[:, _places(generator, asked)], weights, values


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
        self._exact: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        """Codes and residuals of the values that are asked for, and the part of its token that each takes."""
        self._tests: list[Callable[[np.ndarray], np.ndarray]] = []
        listed: list[np.ndarray] = []
        for condition in conditions:
            if condition.name == self.column.name:
                self._tests.append(_test(self.column, condition))
                if condition.operator == "=":
                    listed.append(np.array([_value(self.column, value, condition) for value in condition.values]))
            else:
                listed.append(self._giving(condition))
                self._tests.append(partial(_among, listed[-1]))
        if listed:
            values = np.unique(listed[0][self.met(listed[0])])
            start, end = (codec.tokens[index].encode(values, np.full(len(values), at))[1] for at in (0.0, 1.0))
            self._exact = *codec.column_codes(index, values), np.where(end > start, (end - start) / 2, 1.0)
            self.tokens = np.isin(np.arange(block.tokens), self._exact[0])
        else:
            self.tokens = np.array([self._possible(token) for token in range(block.tokens)])

    @property
    def room(self) -> float:
        """How many different values are allowed, at most."""
        tokens = self.codec.tokens[self.index]
        if isinstance(tokens, CategoryTokens):
            return float(self.met(np.arange(float(len(tokens.counts)))).sum())
        if tokens.exact.all():
            return float(self.met(tokens.low).sum())
        return round((tokens.high[-1] - tokens.low[0]) / self.column.step) + 1 if self.column.step else math.inf

    def _giving(self, condition: Condition) -> np.ndarray:
        """Return at which values a column that this one determines is as it shall be, float64 (k,)."""
        rule = _determining(self.codec, condition.name)
        assert rule is not None
        values = rule.reached(_test(rule.target, condition))
        values = values if self.column.missing else values[~np.isnan(values)]
        if not len(values):
            raise RecipeError(f"--where {condition}: no value of {self.column.name} gives that ({rule})")
        return values

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
        return np.logical_and.reduce([np.ones(len(values), bool), *(test(values) for test in self._tests)])


def _among(listed: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return which values (n,) are listed, a gap too, bool (n,)."""
    return np.isin(values, listed) | (np.isnan(values) & np.isnan(listed).any())


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
        ends = (_said(column, end) for end in (low, high))
        raise RecipeError(f"--where {condition}: the data know {column.name} only from {' to '.join(ends)}")
    return number


def _said(column: Column, number: float) -> str:
    """Return a number, date or time of a column as a person writes it."""
    if column.kind != "date":
        return f"{number:g}"
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(number, UTC).replace(tzinfo=None)
    return str(moment.time() if _is_clock(column) else moment).removesuffix(" 00:00:00")


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
    sums = {rule.target.name: rule for rule in codec.rules if isinstance(rule, Total)}
    by = _determining(codec, name)
    rule = sums.get(name if by is None else by.by)
    if rule is not None:
        through = "" if by is None else f"{by}, and "
        return (
            f"{name} is worked out from other columns ({through}{rule}); ask for {' or '.join(rule.parts)}, or train "
            "with --set data.rules=none"
        )
    kinds = {field.name: field.kind for field in codec.fields}
    if name in kinds:
        return f"{name} is not learnt ({kinds[name]}), so nothing can be asked of it"
    return f"there is no such column.{nearest(name, codec.names)}"
