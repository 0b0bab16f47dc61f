"""Rows of a table as flat tensors and back, and as a table of all columns of the source."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gandem.domains.tables.columns import Column, Field
from gandem.domains.tables.keys import Key, keys_from
from gandem.domains.tables.rules import Order, Rule, Values, from_the_bottom, implied, rule_from
from gandem.domains.tables.spec import TableSpec
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens, tokens_from

if TYPE_CHECKING:
    import polars as pl

Tokens = CategoryTokens | NumberTokens
Fixed = Collection[str] | np.ndarray
"""Names of columns, or cells bool (n, c), that a rule must leave as they are."""


class TableCodec:
    """Turns samples into tensors and back; ranges, steps, types, order and missing patterns come back by construction.

    columns: those that are modelled, and `tokens` for each. fields: all columns of the source. rules: what all rows
    keep, in the order in which it is applied. keys: of several modelled columns, in all of which no two rows agree.
    Samples are float64 (n, c), one column for each modelled one (`gandem.domains.tables.columns.Column`).
    """

    def __init__(
        self,
        columns: Sequence[Column],
        tokens: Sequence[Tokens],
        fields: Sequence[Field],
        rules: Sequence[Rule] = (),
        keys: Sequence[Key] = (),
    ) -> None:
        self.columns, self.tokens, self.fields, self.rules = tuple(columns), tuple(tokens), tuple(fields), tuple(rules)
        self.keys = tuple(keys)
        self.spec = TableSpec.of([each.block for each in self.tokens])
        self._with_bins = [index for index, block in enumerate(self.spec.blocks) if block.residual]
        self._starts = np.cumsum([0, *(block.width for block in self.spec.blocks)])

    @property
    def rows(self) -> int:
        """How many rows it has learnt from."""
        return int(self.tokens[0].counts.sum()) + self.tokens[0].missing

    @property
    def categorical(self) -> np.ndarray:
        """Which modelled columns are categories, bool (c,)."""
        return np.array([column.is_category for column in self.columns], dtype=bool)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modelled columns."""
        return tuple(column.name for column in self.columns)

    def codes(self, samples: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (codes int32 (n, c), residuals float32 (n, c)) of samples (n, c).

        Where several residuals stand for the same value, one is drawn; the same by the same seed.
        """
        codes = np.empty(samples.shape, np.int32)
        residuals = np.zeros(samples.shape, np.float32)
        for index in range(len(self.columns)):
            codes[:, index], residuals[:, index] = self.column_codes(index, samples[:, index], seed)
        return codes, residuals

    def column_codes(self, index: int, values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (codes int32 (n,), residuals float32 (n,)) of one column's numbers (n,)."""
        rng = np.random.default_rng([seed, zlib.crc32(self.columns[index].name.encode())])
        return self.tokens[index].encode(values, rng.random(len(values)))

    def decoded(self, codes: np.ndarray, residuals: np.ndarray, fixed: Fixed = ()) -> np.ndarray:
        """Return samples float64 (n, c) of codes and residuals (n, c).

        fixed: names of columns, or cells bool (n, c), that must come out as they stand there, as somebody has asked for
        them; where a rule puts two numbers in order, the other one gives way; two that are fixed stay as they are.
        """
        return self.in_order(self._values(codes, residuals), fixed)

    def _values(self, codes: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        return np.stack([each.decode(codes[:, at], residuals[:, at]) for at, each in enumerate(self.tokens)], 1)

    @property
    def orders(self) -> list[Order]:
        """The rules that put two numbers in order, and what follows from them."""
        return implied(rule for rule in self.rules if isinstance(rule, Order))

    def in_order(self, samples: np.ndarray, fixed: Fixed = ()) -> np.ndarray:
        """Return samples (n, c) with numbers in the order that rules want; fixed: as for `decoded`.

        What leaves no room above it is lowered, then the others are raised.
        """
        parts = list(samples.T.copy())
        place = {name: index for index, name in enumerate(self.names)}
        orders = from_the_bottom(rule for rule in self.rules if isinstance(rule, Order))
        most, held = {}, {}
        for name in {name for rule in orders for name in (rule.low, rule.high)}:
            values, index = parts[place[name]], place[name]
            held[name] = fixed[:, index] if isinstance(fixed, np.ndarray) else np.full(len(values), name in fixed)
            most[name] = np.where(held[name], values, self._numbers(name).high[-1])
            most[name][np.isnan(values)] = np.inf
        for rule in reversed(orders):
            low, bound = parts[place[rule.low]], most[rule.high]
            if (there := np.isfinite(bound) & ~np.isnan(low) & ~held[rule.low]).any():
                room = self._numbers(rule.low).lowered(bound[there], rule.strictly)
                most[rule.low][there] = np.minimum(most[rule.low][there], room)
                low[there] = np.minimum(low[there], room)
        for rule in orders:
            low, high = parts[place[rule.low]], parts[place[rule.high]]
            if (wrong := rule.wrong({rule.low: low, rule.high: high}) & ~held[rule.high]).any():
                high[wrong] = self._numbers(rule.high).raised(low[wrong], rule.strictly)
        return np.stack(parts, 1)

    def _numbers(self, name: str) -> NumberTokens:
        tokens = self.tokens[self.names.index(name)]
        assert isinstance(tokens, NumberTokens)
        return tokens

    def worked_out(self, samples: np.ndarray) -> dict[str, tuple[Column, np.ndarray]]:
        """Return the numbers (n,) of all columns that are modelled or follow from those by rules, by name."""
        found = dict(zip(self.names, zip(self.columns, samples.T, strict=True), strict=True))
        for rule in self.rules:
            if not isinstance(rule, Order):
                found[rule.target.name] = rule.target, rule.made({name: values for name, (_, values) in found.items()})
        return found

    def wrong(self, columns: Values) -> dict[str, np.ndarray]:
        """Return which rows do not keep each rule and key, bool (n,), by its text; columns: all, by name."""
        return {str(rule): rule.wrong(columns) for rule in (*self.rules, *self.keys)}

    def dense(self, codes: np.ndarray, residuals: np.ndarray) -> Tensor:
        """Return flat rows, float32 (n, *spec.shape), of codes and residuals (n, c)."""
        rows = torch.zeros(len(codes), *self.spec.shape)
        starts = torch.from_numpy(self._starts[:-1])
        rows.scatter_(1, torch.from_numpy(np.ascontiguousarray(codes)).long() + starts, 1.0)
        if self._with_bins:
            ends = torch.from_numpy(self._starts[1:])[self._with_bins] - 1
            rows[:, ends] = torch.from_numpy(np.ascontiguousarray(residuals[:, self._with_bins]))
        return rows

    def knows(self, samples: np.ndarray) -> np.ndarray:
        """Return which cells (n, c) hold a token: not categories without a name, nor gaps where there were none."""
        names = np.array([len(column.categories) if column.is_category else np.inf for column in self.columns])
        missing = np.array([block.missing for block in self.spec.blocks])
        known: np.ndarray = np.where(np.isnan(samples), missing, samples < names)
        return known

    def held(self, samples: np.ndarray) -> np.ndarray:
        """Return which cells (n, c) hold what the training data held, as far as ranges and single values say."""
        held = self.knows(samples)
        for index, each in enumerate(self.tokens):
            if isinstance(each, NumberTokens):
                held[:, index] &= np.isnan(samples[:, index]) | each.held(samples[:, index])
        return held

    def encode(self, samples: np.ndarray, seed: int = 0) -> Tensor:
        """Turn samples (n, c) into float32 (n, *spec.shape) in [-1, 1]; cells without a token are zeros."""
        known = self.knows(samples)
        nameless = [column.is_category and not column.categories for column in self.columns]
        stand_in = np.where(nameless, np.nan, [column.low or 0.0 for column in self.columns])
        rows = self.dense(*self.codes(np.where(known, samples, stand_in), seed))
        for index in np.flatnonzero(~known.all(0)):
            rows[torch.from_numpy(~known[:, index]), self._starts[index] : self._starts[index + 1]] = 0
        return rows

    def decode(self, samples: Tensor, fixed: Fixed = ()) -> np.ndarray:
        """Turn tensors (n, *spec.shape) into samples (n, c); of each block the largest token counts.

        fixed: as for `decoded`.
        """
        rows = samples.detach().cpu()
        codes = np.empty((len(rows), len(self.columns)), np.int32)
        residuals = np.zeros(codes.shape, np.float32)
        for index, (start, block) in enumerate(zip(self._starts.tolist(), self.spec.blocks, strict=False)):
            codes[:, index] = rows[:, start : start + block.tokens].argmax(1).numpy()
            if block.residual:
                residuals[:, index] = rows[:, start + block.tokens].float().clamp(-1, 1).numpy()
        return self.decoded(codes, residuals, fixed)

    def cells(self, samples: np.ndarray) -> Tensor:
        """Turn samples (n, c) into the short rows of `TableGenerator.cells`, float32 (n, columns + residuals)."""
        codes, residuals = self.codes(samples)
        return torch.from_numpy(np.concatenate([codes, residuals[:, self._with_bins]], 1, dtype=np.float32))

    def read(self, cells: Tensor, fixed: Fixed = ()) -> np.ndarray:
        """Turn such short rows into samples (n, c). fixed: as for `decoded`."""
        return self.in_order(self.values(cells), fixed)

    def values(self, cells: Tensor) -> np.ndarray:
        """Return what such short rows stand for (n, c), in whatever order."""
        codes, found = np.split(cells.numpy(), [len(self.columns)], 1)
        residuals = np.zeros(codes.shape, np.float32)
        residuals[:, self._with_bins] = found
        return self._values(codes.astype(np.int32), residuals)

    def given(self, samples: np.ndarray) -> pl.DataFrame:
        """Turn samples (n, c) into a table with all columns of the source, in their order, by their names and types."""
        from gandem.domains.tables.frames import frame_of  # polars comes with an extra

        return frame_of(self.fields, self.worked_out(np.where(self.knows(samples), samples, np.nan)), len(samples))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: names of categories, counts and quantiles, and no row."""
        return {
            "domain": "tables",
            "columns": [column.to_dict() for column in self.columns],
            "tokens": [each.to_dict() for each in self.tokens],
            "fields": [field.to_dict() for field in self.fields],
            "rules": [rule.to_dict() for rule in self.rules],
            "keys": [list(key.columns) for key in self.keys],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TableCodec:
        """Rebuild from `to_dict`."""
        return cls(
            [Column.from_dict(each) for each in state["columns"]],
            [tokens_from(each) for each in state["tokens"]],
            [Field.from_dict(each) for each in state["fields"]],
            [rule_from(each) for each in state["rules"]],
            keys_from(state),
        )
