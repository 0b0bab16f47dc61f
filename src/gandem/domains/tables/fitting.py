"""What a codec knows of a part of its rows alone: the others have left nothing in it, not even a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gandem.domains.tables.codec import TableCodec, Tokens
from gandem.domains.tables.columns import Column
from gandem.domains.tables.rules import Determined, Order, Rule, Total
from gandem.domains.tables.scales import Grid, date_scale
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens
from gandem.errors import SourceError


class Numbers:
    """Numbers float64 (n,) of the columns of some rows by name, also of those that rules work out.

    They are worked out when they are asked for: those of a whole table may be more than fits in memory.
    codes, residuals: (m, c). rows: which of them are meant, int64 (n,).
    """

    def __init__(self, codec: TableCodec, codes: np.ndarray, residuals: np.ndarray, rows: np.ndarray) -> None:
        self.codec, self.codes, self.residuals, self.rows = codec, codes, residuals, rows
        self._rules = {rule.target.name: rule for rule in codec.rules if not isinstance(rule, Order)}
        self.columns = {column.name: column for column in codec.columns}
        self.columns |= {name: rule.target for name, rule in self._rules.items()}

    def __call__(self, name: str) -> np.ndarray:
        """Return those of one column."""
        if (rule := self._rules.get(name)) is not None:
            return rule.made({part: self(part) for part in rule.sources})
        index = self.codec.names.index(name)
        return self.codec.tokens[index].decode(self.codes[self.rows, index], self.residuals[self.rows, index])

    def of(self, column: Column) -> np.ndarray:
        """Return those of one column as another codec numbers them; a category unknown to it is above all others.

        Raises SourceError where the other codec has another column by that name.
        """
        mine = self.columns.get(column.name)
        emptied = column.is_category and not column.categories
        if mine is None or (mine.is_category != column.is_category and not emptied):
            raise SourceError(f"{column.name!r} is read otherwise than when this run was trained; train anew")
        values = self(column.name)
        if not column.is_category:
            return values
        if not mine.is_category:  # numbers that were all missing where the other codec learnt
            return np.full(len(values), np.nan)
        return _renumbered(values, mine, column)


def fitted(numbers: Numbers) -> TableCodec:
    """Return the codec of some rows: kinds, rules and forms stay, what is in them comes from these rows alone."""
    known = numbers.codec
    learnt = [
        _learnt(column, tokens, numbers(column.name))
        for column, tokens in zip(known.columns, known.tokens, strict=True)
    ]
    columns = {column.name: column for column, _ in learnt}
    rules: list[Rule] = []
    for rule in known.rules:
        if isinstance(rule, Order):
            if not (columns[rule.low].is_category or columns[rule.high].is_category):  # both have numbers still
                rules.append(rule)
            continue
        target = columns[rule.target.name] = _seen(rule.target, numbers(rule.target.name))
        rules.append(
            replace(rule, target=target) if isinstance(rule, Total) else _shortened(rule, target, columns, numbers)
        )
    return TableCodec(
        [column for column, _ in learnt], [tokens for _, tokens in learnt], known.fields, rules, known.keys
    )


def _learnt(column: Column, tokens: Tokens, values: np.ndarray) -> tuple[Column, Tokens]:
    """Return a column and its tokens as these values (n,) have them."""
    present = values[~np.isnan(values)]
    missing = len(values) - len(present)
    if isinstance(tokens, CategoryTokens):
        counts = np.bincount(present.astype(np.int64), minlength=len(column.categories))
        kept = np.arange(len(counts))
        if column.kind != "boolean":
            kept = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        names = tuple(column.categories[index] for index in kept)
        return replace(column, categories=names, missing=missing > 0), CategoryTokens(counts[kept], missing)
    if not len(present):  # as a category without a name it can be nothing but missing
        return Column(column.name, "category", missing=True), CategoryTokens(present, missing)
    scale = date_scale(present) if column.kind == "date" else Grid.of(present)
    found = replace(_seen(column, values), step=scale.width or None)
    return found, NumberTokens.of(values, scale, exact=bool(tokens.exact.all()))


def _seen(column: Column, values: np.ndarray) -> Column:
    """Return a column with the categories and the range of values (n,)."""
    present, missing = values[~np.isnan(values)], bool(np.isnan(values).any())
    if column.is_category:
        names = tuple(column.categories[index] for index in np.unique(present).astype(np.int64))
        return replace(column, categories=names if column.kind != "boolean" else column.categories, missing=missing)
    low, high = (float(present.min()), float(present.max())) if len(present) else (None, None)
    return replace(column, low=low, high=high, missing=missing)


def _shortened(rule: Determined, target: Column, columns: Mapping[str, Column], numbers: Numbers) -> Determined:
    """Return a rule that knows the keys of the rows only."""
    old, new = numbers.columns[rule.by], columns[rule.by]
    keys, found = np.array(rule.keys), np.array(rule.values)
    there = numbers(rule.by)
    if not np.isnan(there).any():
        found[-1] = np.nan
    kept = np.isin(keys, there)
    keys, found = keys[kept], np.append(found[:-1][kept], found[-1])
    if new.is_category:
        keys = _renumbered(keys, old, new)
    if target.is_category:
        found = _renumbered(found, rule.target, target)
    order = np.argsort(keys)
    return replace(
        rule, target=target, keys=tuple(keys[order].tolist()), values=(*found[:-1][order].tolist(), float(found[-1]))
    )


def _renumbered(values: np.ndarray, old: Column, new: Column) -> np.ndarray:
    """Return numbers (n,) of categories in another order; of those without a number there, above all that have one."""
    place = {name: float(number) for number, name in enumerate(new.categories)}
    beyond = len(new.categories)
    numbers = np.array([place.get(name, beyond + at) for at, name in enumerate(old.categories)] + [np.nan])
    return numbers[np.where(np.isnan(values), len(old.categories), values).astype(np.int64)]
