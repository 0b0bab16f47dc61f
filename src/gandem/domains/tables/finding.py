"""Finds the rules that all rows of a table keep, and that would not hold by chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gandem.domains.tables.columns import Column
from gandem.domains.tables.keys import Key, hashed
from gandem.domains.tables.rules import Determined, Order, Rule, Total, from_the_bottom
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens

MOST_COLUMNS = 300
"""Columns among which rules are looked for: every pair of them is tried."""
CONTRADICTIONS = 20
"""Rows that would break a rule if its columns had nothing to do with each other, for it to be believed."""
EACH = 5
"""Rows for each value of a column that determines another, on average at least."""
IN_PAIRS, IN_TRIPLES = 64, 24
"""Columns, those of most values, of which pairs and triples are tried as keys: 2,016 and 2,024 of them at most."""
LOOKED = 30
"""Times that all rows are looked at for keys, when a few have not settled it."""
_TRIED, _PROBED = 4096, 64


@dataclass(eq=False)
class Modelled:
    """A column that may take part in rules, with its numbers float64 (n,)."""

    column: Column
    tokens: CategoryTokens | NumberTokens
    values: np.ndarray

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def is_exact(self) -> bool:
        """Whether only values of the training data can come out."""
        return isinstance(self.tokens, CategoryTokens) or bool(self.tokens.exact.all())

    @property
    def is_number(self) -> bool:
        """Whether it can be added up."""
        return self.column.kind in ("integer", "decimal")


def find_rules(columns: Sequence[Modelled]) -> list[Rule]:
    """Return the rules of a table, in the order in which they are to be applied.

    A column that a rule works out stands in no rule before it, so that all can be worked out one after the other: a
    total may determine others, and nothing that is determined is part of a total.
    """
    if len(columns) < 2:
        return []
    rules: list[Rule] = list(_determined(columns))
    worked_out = {rule.target.name for rule in rules if isinstance(rule, Determined)}
    left = [column for column in columns if column.name not in worked_out]
    totals = _totals([column for column in left if column.is_number])
    worked_out = {rule.target.name for rule in totals}
    return [*totals, *rules, *_orders([column for column in left if column.name not in worked_out])]


def _determined(columns: Sequence[Modelled]) -> Iterator[Determined]:
    """Yield functional dependencies, the column with most values first, so that it determines all that it can."""
    distinct = {column.name: len(np.unique(column.values, equal_nan=True)) for column in columns}
    gone: set[str] = set()
    for by in sorted(columns, key=lambda column: -distinct[column.name]):
        rows = len(by.values)
        if by.name in gone or not by.is_exact or rows < EACH * distinct[by.name]:
            continue
        few, whole = by.values[:_TRIED], None
        order = np.argsort(few, kind="stable")
        for target in columns:
            if target is by or target.name in gone or distinct[target.name] > distinct[by.name]:
                continue
            if not _constant_within(few[order], target.values[:_TRIED][order]):
                continue
            whole = np.argsort(by.values, kind="stable") if whole is None else whole
            key, value = by.values[whole], target.values[whole]
            if _constant_within(key, value) and _surprising(key, target.values):
                gone.add(target.name)
                yield _function(by.name, target.column, key, value)


def _constant_within(key: np.ndarray, value: np.ndarray) -> bool:
    """Whether values stay the same as long as a sorted key (n,) does; missing ones come last and count as one."""
    same = _equal(key[1:], key[:-1])
    return bool(_equal(value[1:], value[:-1])[same].all())


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _surprising(key: np.ndarray, values: np.ndarray) -> bool:
    """Whether unrelated values would differ within a key often enough."""
    counts = np.unique(values, return_counts=True, equal_nan=True)[1]
    repeated = len(key) - len(np.unique(key, equal_nan=True))
    differ = 1 - float(((counts / len(values)) ** 2).sum())
    return repeated * differ >= CONTRADICTIONS


def _function(by: str, target: Column, key: np.ndarray, value: np.ndarray) -> Determined:
    """Return the rule of a sorted key and the values at it."""
    keys, first = np.unique(key[~np.isnan(key)], return_index=True)
    missing = value[-1] if np.isnan(key[-1]) else np.nan
    return Determined(target, by, tuple(keys.tolist()), (*value[first].tolist(), float(missing)))


def _totals(columns: Sequence[Modelled]) -> list[Total]:
    """Return numbers that are sums of two others, of several side by side, or another one on another scale."""
    found: list[Total] = []
    rng = np.random.default_rng(0)
    present = [column for column in columns if len(np.unique(column.values[:_TRIED])) > CONTRADICTIONS]
    if len(present) < 2:
        return []
    filled = np.stack([np.nan_to_num(column.values[:_TRIED]) for column in present])
    whole = np.flatnonzero(~np.isnan([column.values[:_TRIED] for column in present]).any(0))
    if len(whole) < CONTRADICTIONS:
        return []
    rows = rng.choice(whole, min(_PROBED, len(whole)), replace=False)
    probes = filled[:, rows]
    used: set[int] = set()
    gone: set[int] = set()
    for target, parts, weights in _candidates(probes):
        if target in used | gone or set(parts) & gone:
            continue
        rule = _checked(present, target, parts, weights)
        if rule is not None:
            found.append(rule)
            gone.add(target)
            used.update(parts)
    return found


def _candidates(probes: np.ndarray) -> Iterator[tuple[int, tuple[int, ...], tuple[float, ...]]]:
    """Yield (target, parts, weights) that hold in a few rows of (columns, rows)."""
    count = len(probes)
    scale = np.abs(probes).max(1) + 1e-12
    for target in range(count):  # the same on another scale
        for part in range(target):
            a, b = probes[part], probes[target]
            low, high = a.argmin(), a.argmax()
            weight = float(f"{(b[high] - b[low]) / max(a[high] - a[low], 1e-12):.9g}")
            offset = b[low] - weight * a[low]
            if weight and np.abs(weight * a + offset - b).max() <= 1e-6 * scale[target]:
                yield target, (part,), (weight,)
    runs: list[tuple[int, ...]] = [tuple(range(i, j)) for i in range(count) for j in range(i + 2, count + 1)]
    pairs: list[tuple[int, ...]] = [(i, j) for i in range(count) for j in range(i + 2, count)]
    for parts in sorted(runs + pairs, key=len, reverse=True):
        total = probes[list(parts)].sum(0)  # differences of running sums would lose cents beside large numbers
        for target in np.flatnonzero((np.abs(probes - total) <= 1e-9 * scale[:, None] + 1e-9).all(1)).tolist():
            if target not in parts:
                yield target, parts, (1.0,) * len(parts)


def _checked(
    columns: Sequence[Modelled], target: int, parts: tuple[int, ...], weights: tuple[float, ...]
) -> Total | None:
    """Return the rule if all rows keep it."""
    tokens = columns[target].tokens
    decimals = getattr(getattr(tokens, "scale", None), "decimals", 0) if columns[target].column.step else 12
    values = {columns[index].name: columns[index].values for index in (target, *parts)}
    names = tuple(columns[index].name for index in parts)
    offset = 0.0
    if len(parts) == 1:
        gaps = columns[target].values - weights[0] * columns[parts[0]].values
        offset = float(np.round(np.nanmedian(gaps), max(decimals, 6)))
    rule = Total(columns[target].column, names, weights, offset, decimals)
    varied = all(_varies(columns[index].values) for index in parts)
    return rule if varied and not rule.wrong(values).any() else None


def _varies(values: np.ndarray) -> bool:
    """Whether enough rows differ from the most frequent value."""
    counts = np.unique(values, return_counts=True, equal_nan=True)[1]
    return bool(len(values) - counts.max() >= CONTRADICTIONS)


def _orders(columns: Sequence[Modelled]) -> list[Order]:
    """Return which numbers or dates are never above which, without those that follow from others."""
    numbers = [column for column in columns if isinstance(column.tokens, NumberTokens)]
    found: dict[tuple[str, str], Order] = {}
    for low in numbers:
        for high in numbers:
            if low is not high and (low.column.kind == "date") == (high.column.kind == "date"):
                rule = _ordered(low, high)
                if rule is not None:
                    found[low.name, high.name] = rule
    between = [column.name for column in numbers if not column.column.missing]  # else a gap would break the chain

    def follows(a: str, c: str) -> bool:
        ways = [(found[a, b], found[b, c]) for b in between if (a, b) in found and (b, c) in found]
        return any(one.strictly or other.strictly or not found[a, c].strictly for one, other in ways)

    return from_the_bottom(rule for pair, rule in found.items() if not follows(*pair))


def _ordered(low: Modelled, high: Modelled) -> Order | None:
    a, b = low.values, high.values
    if (a[:_TRIED] > b[:_TRIED]).any() or (a > b).any():
        return None
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < CONTRADICTIONS or a.max() <= b.min():  # ranges that do not meet keep it anyway
        return None
    unrelated = len(a) - np.searchsorted(np.sort(a), b, side="right").mean()
    if unrelated < CONTRADICTIONS:
        return None
    strictly = bool((a < b).all()) and bool(low.column.step and high.column.step)
    return Order(low.name, high.name, strictly)


def find_keys(columns: Sequence[Modelled]) -> list[Key]:
    """Return pairs of columns, and triples of others, in all of which no two rows agree, where that is no chance.

    Of names and of numbers on a grid, without gaps.
    """
    able = [column for column in columns if _may_be_in_keys(column)]
    values = {column.name: column.values for column in able}
    counts = {column.name: _counts(column) for column in able}
    able.sort(key=lambda column: -len(counts[column.name]))
    found: list[Key] = []
    for size, most in ((2, IN_PAIRS), (3, IN_TRIPLES)):
        taken = {name for key in found for name in key.columns}
        names = [column.name for column in able if column.name not in taken][:most]
        names.sort(key=[column.name for column in columns].index)
        found += _keys_among(names, size, values, counts)
    return found


def _keys_among(
    names: Sequence[str], size: int, values: dict[str, np.ndarray], counts: dict[str, np.ndarray]
) -> list[Key]:
    """Return which sets of so many columns are keys, those first of which most rows would agree by chance.

    Nearly all others are seen to be none in _TRIED rows. Of the rest ever more are looked at, LOOKED times all at most.
    """
    rows = len(values[names[0]]) if names else 0
    chance = {name: _agreeing(counts[name]) / (rows * (rows - 1) / 2) for name in names}
    expected = {
        some: math.prod(chance[name] for name in some) * rows * (rows - 1) / 2
        for some in itertools.combinations(names, size)
        if math.prod(len(counts[name]) for name in some) >= rows
    }
    found, left = [], LOOKED * rows
    for some in sorted(
        (some for some in expected if expected[some] >= CONTRADICTIONS), key=lambda some: -expected[some]
    ):
        part = _TRIED
        while (different := _differ(some, values, part)) and part < rows and left > 0:
            part *= 4
            left -= min(part, rows)
        if different and part >= rows and (size == 2 or _needs_all(some, values, chance)):
            found.append(Key(some))
    return found


def _differ(names: Sequence[str], values: dict[str, np.ndarray], part: int) -> bool:
    """Whether no two of the first rows agree in columns."""
    hashes = hashed([values[name][:part] for name in names])
    return len(np.unique(hashes)) == len(hashes)


def _needs_all(names: Sequence[str], values: dict[str, np.ndarray], chance: dict[str, float]) -> bool:
    """Whether enough rows agree in all columns but any one: else those may be all but a key by themselves."""
    others = {name: hashed([values[other] for other in names if other != name]) for name in names}
    agreeing = {name: _agreeing(np.unique(hashes, return_counts=True)[1]) for name, hashes in others.items()}
    return all(agreeing[name] * chance[name] >= CONTRADICTIONS for name in names)


def _may_be_in_keys(column: Modelled) -> bool:
    on_grid = column.column.kind in ("integer", "date") and bool(column.column.step)
    return (column.is_exact or on_grid) and not column.column.missing


def _counts(column: Modelled) -> np.ndarray:
    """Return how often each value of a column occurs."""
    if column.is_exact:
        return column.tokens.counts[column.tokens.counts > 0]
    return np.unique(column.values, return_counts=True)[1]


def _agreeing(counts: np.ndarray) -> float:
    """Return how many pairs of rows agree, of how often each value occurs."""
    return float((counts * (counts - 1.0)).sum() / 2)
