"""What the rules of a table say of a row's gaps, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.rules import Determined, Total
from gandem.domains.tables.scales import MOST_DECIMALS, Grid
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens


class Choice:
    """Which values the gaps of one column may become.

    allowed: sets of values, each float64 (k,). which: the set of each row, int64 (n,), -1 where all values are allowed.
    """

    def __init__(self, tokens: CategoryTokens | NumberTokens, allowed: Sequence[np.ndarray], which: np.ndarray) -> None:
        self.tokens, self.allowed, self.which = tokens, allowed, which

    def parts(self, rows: np.ndarray) -> np.ndarray:
        """Return which part of each token is allowed in some of the rows, float32 (rows, tokens)."""
        count = self.tokens.block.tokens
        each = [self.tokens.part(values) for values in self.allowed]
        table = np.stack([*each, np.ones(count)]).astype(np.float32)  # the last one is that of -1
        return table[self.which[rows]]

    def placed(self, cells: Tensor, rows: np.ndarray, rng: torch.Generator) -> Tensor:
        """Put an allowed category in the place of any that shares its token with others, by how often they occur."""
        if not isinstance(self.tokens, CategoryTokens) or not self.tokens.block.residual:
            return cells
        turn = torch.rand(len(rows), dtype=torch.float64, generator=rng).numpy()
        shared = (cells[:, 0].numpy() == self.tokens.head) & (self.which[rows] >= 0)
        for number in np.unique(self.which[rows[shared]]):
            here = np.flatnonzero(shared & (self.which[rows] == number))
            rare = self.allowed[number][self.allowed[number] >= self.tokens.head]
            ends = np.cumsum(np.maximum(self.tokens.counts[rare.astype(np.int64)], 0.5))
            chosen = rare[np.searchsorted(ends, turn[here] * ends[-1])]
            _, residuals = self.tokens.encode(chosen, np.full(len(chosen), 0.5))
            cells[torch.from_numpy(here), 1] = torch.from_numpy(residuals)
        return cells


Choices = dict[int, Choice]
"""What is left to choose from for gaps, by the place of the column."""


def follow(codec: TableCodec, values: np.ndarray, targets: Mapping[str, np.ndarray]) -> Choices:
    """Fill the gaps of rows (n, c) that rules leave no choice for, in place; return what is left to choose from.

    targets: numbers (n,) of the columns that rules work out, by name, NaN where they are not known.
    """
    determining: dict[int, list[Determined]] = {}
    for rule in codec.rules:
        if isinstance(rule, Total) and set(rule.parts) <= set(codec.names):
            _subtract(rule, codec, values, targets[rule.target.name])
        elif isinstance(rule, Determined) and rule.by in codec.names:
            determining.setdefault(codec.names.index(rule.by), []).append(rule)
    choices: Choices = {}
    for index, rules in determining.items():
        allowed, which = _left(rules, np.isnan(values[:, index]), targets)
        only = np.array([each[0] if len(each) == 1 else np.nan for each in allowed] + [np.nan])[which]
        values[:, index] = np.where(np.isnan(values[:, index]), only, values[:, index])
        choices[index] = Choice(codec.tokens[index], allowed, which)
    return choices


def _subtract(rule: Total, codec: TableCodec, values: np.ndarray, total: np.ndarray) -> None:
    """Fill the only gap among the parts of a known sum."""
    columns, weights = np.array([codec.names.index(name) for name in rule.parts]), np.array(rule.weights)
    parts = values[:, columns]
    rows = np.flatnonzero((np.isnan(parts).sum(1) == 1) & ~np.isnan(total))
    gap = np.isnan(parts[rows]).argmax(1)
    rest = total[rows] - rule.offset - np.nansum(parts[rows] * weights, 1)
    for place, column in enumerate(columns):
        scale, filled = codec.tokens[column].scale, rest[gap == place] / weights[place]
        decimals = scale.decimals if isinstance(scale, Grid) and scale.step else MOST_DECIMALS
        values[rows[gap == place], column] = np.round(filled, decimals)


def _left(
    rules: Sequence[Determined], gaps: np.ndarray, targets: Mapping[str, np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return sets of values that go with what is known of columns that they determine, and which is each row's.

    Rows of which the same is known share a set, as there may be very many values: never rows times values.
    """
    rows = np.flatnonzero(gaps)
    known = np.stack([targets[rule.target.name][rows] for rule in rules], 1)
    told, number = np.unique(np.where(np.isnan(known), np.inf, known), axis=0, return_inverse=True)
    at = [_by_value(rule) for rule in rules]
    allowed: list[np.ndarray] = []
    place = np.full(len(told), -1)
    for index, row in enumerate(told):
        sets = [there(value) for there, value in zip(at, row, strict=True) if np.isfinite(value)]
        left = sets[0] if sets else np.empty(0)
        for other in sets[1:]:
            left = np.intersect1d(left, other, assume_unique=True)
        if len(left):  # else nothing is known, or it contradicts itself
            place[index] = len(allowed)
            allowed.append(left)
    which = np.full(len(gaps), -1)
    which[rows] = place[number.ravel()]
    return allowed, which


def _by_value(rule: Determined) -> Callable[[float], np.ndarray]:
    """Return a function that says at which keys of a rule its target has a value."""
    values = np.array(rule.values[: len(rule.keys)])
    order = np.argsort(values, kind="stable")
    keys, values = np.array(rule.keys)[order], values[order]
    return lambda value: keys[np.searchsorted(values, value) : np.searchsorted(values, value, side="right")]
