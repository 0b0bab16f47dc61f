"""Rules that all rows of a table keep, and how they are kept by construction.

A determined column is not modelled but worked out from the others; of two ordered numbers the larger one is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gandem.domains.tables.columns import Column

Values = Mapping[str, np.ndarray]
"""Numbers of columns by name, float64 (n,), as `Column` says."""


@dataclass(frozen=True)
class Determined:
    """Each value of one column, missing too, goes with one value of another.

    keys: values of the column `by`, ascending. values: what `target` is at each of them, and where `by` is missing.
    """

    target: Column
    by: str
    keys: tuple[float, ...]
    values: tuple[float, ...]

    def __str__(self) -> str:
        """Say the rule."""
        return f"{self.by} determines {self.target.name}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the columns that it is worked out from."""
        return (self.by,)

    def made(self, columns: Values) -> np.ndarray:
        """Return the values of the target."""
        given = columns[self.by]
        keys = np.asarray(self.keys)
        at = np.searchsorted(keys, np.nan_to_num(given))
        at = np.where(np.isnan(given), len(keys), np.minimum(at, len(keys) - 1))
        result: np.ndarray = np.asarray(self.values, np.float64)[at]
        return result

    def wrong(self, columns: Values) -> np.ndarray:
        """Return which rows do not keep the rule, bool (n,); it says nothing of values of `by` without a key."""
        known = np.isnan(columns[self.by]) | np.isin(columns[self.by], self.keys)
        return known & _different(self.made(columns), columns[self.target.name], 0)

    def reached(self, met: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the values of `by`, NaN for missing, at which the target is one that is `met`, float64 (k,)."""
        return np.append(self.keys, np.nan)[met(np.array(self.values))]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, null for missing."""
        values = [None if np.isnan(value) else value for value in self.values]
        return {"rule": "determined", "target": self.target.to_dict(), "by": self.by, "keys": list(self.keys)} | {
            "values": values
        }


@dataclass(frozen=True)
class Total:
    """A number that is a weighted sum of others; missing where one of them is.

    decimals: to which it is rounded.
    """

    target: Column
    parts: tuple[str, ...]
    weights: tuple[float, ...]
    offset: float
    decimals: int

    def __str__(self) -> str:
        """Say the rule."""
        terms = [
            name if weight == 1 else f"{weight:g} x {name}"
            for name, weight in zip(self.parts, self.weights, strict=True)
        ]
        more = [f"{self.offset:g}"] if self.offset else []
        return f"{self.target.name} = {' + '.join([*terms, *more])}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the columns that it is worked out from."""
        return self.parts

    def made(self, columns: Values) -> np.ndarray:
        """Return the values of the target."""
        terms = [weight * columns[name] for name, weight in zip(self.parts, self.weights, strict=True)]
        result: np.ndarray = np.round(np.sum(terms, axis=0) + self.offset, self.decimals)
        return result

    def wrong(self, columns: Values) -> np.ndarray:
        """Return which rows do not keep the rule, bool (n,)."""
        return _different(self.made(columns), columns[self.target.name], 0.51 * 10.0**-self.decimals)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "rule": "total",
            "target": self.target.to_dict(),
            "parts": list(self.parts),
            "weights": list(self.weights),
            "offset": self.offset,
            "decimals": self.decimals,
        }


@dataclass(frozen=True)
class Order:
    """One number or date is never above another, or always below it if `strictly`, where both are there."""

    low: str
    high: str
    strictly: bool = False

    def __str__(self) -> str:
        """Say the rule."""
        return f"{self.low} {'<' if self.strictly else '<='} {self.high}"

    def wrong(self, columns: Values) -> np.ndarray:
        """Return which rows do not keep the rule, bool (n,)."""
        low, high = columns[self.low], columns[self.high]
        return low >= high if self.strictly else low > high

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rule": "order", "low": self.low, "high": self.high, "strictly": self.strictly}


Rule = Determined | Total | Order


def from_the_bottom(orders: Iterable[Order]) -> list[Order]:
    """Return orders so that all that hold a number from below stand before those by which it holds others."""
    orders = list(orders)
    depth = dict.fromkeys((name for order in orders for name in (order.low, order.high)), 0)
    for _ in depth:
        for order in orders:
            depth[order.high] = max(depth[order.high], depth[order.low] + 1)
    return sorted(orders, key=lambda order: depth[order.low])


def implied(orders: Iterable[Order]) -> list[Order]:
    """Return orders and all that follow from them, where nothing between is missing."""
    found = {(order.low, order.high): order.strictly for order in orders}
    for middle in {name for pair in found for name in pair}:
        for low, high in [(a, c) for a, b in found if b == middle for d, c in found if d == middle]:
            strictly = found[low, middle] or found[middle, high]
            found[low, high] = found.get((low, high), False) or strictly
    return [Order(low, high, strictly) for (low, high), strictly in found.items() if low != high]


def rule_from(state: dict[str, Any]) -> Rule:
    """Rebuild a rule from its `to_dict`."""
    if state["rule"] == "order":
        return Order(state["low"], state["high"], state["strictly"])
    target = Column.from_dict(state["target"])
    if state["rule"] == "total":
        return Total(target, tuple(state["parts"]), tuple(state["weights"]), state["offset"], state["decimals"])
    values = tuple(np.nan if value is None else value for value in state["values"])
    return Determined(target, state["by"], tuple(state["keys"]), values)


def _different(made: np.ndarray, found: np.ndarray, tolerance: float) -> np.ndarray:
    same: np.ndarray = (np.abs(made - found) <= tolerance) | (np.isnan(made) & np.isnan(found))
    return ~same
