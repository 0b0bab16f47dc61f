"""What the rules of a table say of a row's gaps, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.rules import Determined, Total

Choices = dict[int, np.ndarray]
"""Categories that a gap may become, bool (n, categories), by the place of the column; all where nothing is known."""


def follow(codec: TableCodec, values: np.ndarray, targets: Mapping[str, np.ndarray]) -> Choices:
    """Fill the gaps of rows (n, c) that rules leave no choice for, in place; return what is left to choose from.

    targets: numbers (n,) of the columns that rules work out, by name, NaN where they are not known.
    """
    choices: Choices = {}
    for rule in codec.rules:
        if isinstance(rule, Total) and set(rule.parts) <= set(codec.names):
            _subtract(rule, codec, values, targets[rule.target.name])
        elif isinstance(rule, Determined) and rule.by in codec.names:
            _narrow(rule, codec, values, targets[rule.target.name], choices)
    for index, choice in choices.items():
        sure = np.isnan(values[:, index]) & (choice.sum(1) == 1)
        values[sure, index] = choice[sure].argmax(1)
        choice[~choice.any(1)] = True  # what is known contradicts itself
    return choices


def _subtract(rule: Total, codec: TableCodec, values: np.ndarray, total: np.ndarray) -> None:
    """Fill the only gap among the parts of a known sum."""
    columns, weights = np.array([codec.names.index(name) for name in rule.parts]), np.array(rule.weights)
    parts = values[:, columns]
    rows = np.flatnonzero((np.isnan(parts).sum(1) == 1) & ~np.isnan(total))
    gap = np.isnan(parts[rows]).argmax(1)
    rest = total[rows] - rule.offset - np.nansum(parts[rows] * weights, 1)
    values[rows, columns[gap]] = np.round(rest / weights[gap], rule.decimals)


def _narrow(rule: Determined, codec: TableCodec, values: np.ndarray, known: np.ndarray, choices: Choices) -> None:
    """Leave the values of a column that go with what is known of one that it determines."""
    index = codec.names.index(rule.by)
    rows = np.flatnonzero(np.isnan(values[:, index]) & ~np.isnan(known))
    keys = np.array(rule.keys)
    fits = np.array(rule.values[: len(keys)]) == known[rows, None]
    if not codec.columns[index].is_category:
        sure = fits.sum(1) == 1
        values[rows[sure], index] = keys[fits[sure].argmax(1)]
        return
    allowed = np.zeros((len(rows), len(codec.columns[index].categories)), bool)
    allowed[:, keys.astype(np.int64)] = fits
    choice = choices.setdefault(index, np.ones((len(values), allowed.shape[1]), bool))
    choice[rows] &= allowed
