"""A table as a dataset: codes and residuals, from which the rows of a batch are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gandem import holdout
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.fitting import Numbers, fitted
from gandem.domains.tables.space import room

_BLOCK = 65_536
OFTEN, PER_PATTERN = 20, 4
"""More equal rows than this are spread over both parts of a split, and any two where there are more rows than this for
each different one."""
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of this, without their whole part, are spread evenly."""


class TableData:
    """Real rows, ready to be drawn by index.

    codes: int32 (m, c). residuals: float32 (m, c). rows: which of them belong to this dataset, int64 (n,).
    places: a number in [0, 1) for each of the m rows by its content, float64 (m,); worked out when None.
    """

    def __init__(
        self,
        codes: np.ndarray,
        residuals: np.ndarray,
        codec: TableCodec,
        report: dict[str, Any],
        fingerprint: str,
        rows: torch.Tensor | None = None,
        places: np.ndarray | None = None,
    ) -> None:
        self.codes, self.residuals, self.codec, self.report = codes, residuals, codec, report
        self.spec, self.fingerprint = codec.spec, fingerprint
        self.rows = torch.arange(len(codes)) if rows is None else rows
        self.places = self._places() if places is None else places

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    @property
    def copies(self) -> int:
        """How many rows are exact copies of others."""
        return self.count - len(np.unique(self.places[self.rows.numpy()]))

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, *spec.shape) in [-1, 1]}."""
        rows = self.rows[indices].numpy()
        return {"real": self.codec.dense(self.codes[rows], self.residuals[rows])}

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, None]:
        """Return rows as float64 (k, c), see `gandem.domains.tables.columns.Column`, and no labels."""
        rows = self.rows[indices].numpy()
        return self.codec.decoded(self.codes[rows], self.residuals[rows]), None

    def split(self, share: float, codec: TableCodec | None = None) -> tuple[TableData, TableData | OtherRows]:
        """Return (for training, held out), about `share` in the second; copies stay together, but for `dealt` ones.

        Both in terms of one codec, that of the first part alone if none is given.
        """
        training, held_out = holdout.split(dealt(self.places[self.rows.numpy()]), share)
        if codec is None and len(training) and len(held_out):
            codec = fitted(self._numbers(training))
        if codec is None or codec.to_dict() == self.codec.to_dict():
            return self._pick(training), self._pick(held_out)
        return self._read_by(codec, training), self._others(codec, held_out)

    def _pick(self, indices: torch.Tensor) -> TableData:
        return TableData(
            self.codes, self.residuals, self.codec, self.report, self.fingerprint, self.rows[indices], self.places
        )

    def _read_by(self, codec: TableCodec, indices: torch.Tensor) -> TableData:
        """Return rows in terms of a codec that knows them all; others are nothing to it."""
        rows, numbers = self.rows[indices], self._numbers(indices)
        shape = len(self.codes), len(codec.columns)
        codes, residuals = room(shape, np.dtype(np.int32)), room(shape, np.dtype(np.float32))
        for index, column in enumerate(codec.columns):
            codes[rows, index], residuals[rows, index] = codec.column_codes(index, numbers.of(column))
        return TableData(codes, residuals, codec, self.report, self.fingerprint, rows, self.places)

    def _others(self, codec: TableCodec, indices: torch.Tensor) -> OtherRows:
        """Return rows of which a codec may know nothing."""
        numbers = self._numbers(indices)
        values = room((len(indices), len(codec.columns)), np.dtype(np.float64))
        for index, column in enumerate(codec.columns):
            values[:, index] = numbers.of(column)
        return OtherRows(values, codec, self.report, self.fingerprint)

    def _numbers(self, indices: torch.Tensor) -> Numbers:
        return Numbers(self.codec, self.codes, self.residuals, self.rows[indices].numpy())

    def _places(self) -> np.ndarray:
        parts = [places_of(self.samples(part)[0]) for part in torch.arange(len(self.codes)).split(_BLOCK)]
        return np.concatenate(parts)


class OtherRows:
    """Rows that were not trained on, as numbers of a codec's columns, float64 (n, c), also where they leave its range.

    Categories that it has no name for are missing, or have numbers above those that it has.
    broken: how many rows do not keep a rule, by its text, in the report.
    """

    def __init__(self, values: np.ndarray, codec: TableCodec, report: dict[str, Any], fingerprint: str) -> None:
        self.values, self.codec, self.report, self.fingerprint = values, codec, report, fingerprint
        self.spec = codec.spec
        self.rows = torch.arange(len(values))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.values)

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, *spec.shape)}: the nearest numbers that the codec knows, nothing for the rest."""
        return {"real": self.codec.encode(self.values[indices.numpy()])}

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, None]:
        """Return rows as float64 (k, c), and no labels."""
        return self.values[indices.numpy()], None

    def split(self, share: float, codec: TableCodec | None = None) -> tuple[OtherRows, OtherRows]:
        """Return two parts, about `share` in the second; copies stay together, but for `dealt` ones.

        Both in terms of the codec that they have: no generator learns from them.
        """
        training, held_out = holdout.split(dealt(places_of(self.values)), share)
        parts = (self.values[part.numpy()] for part in (training, held_out))
        first, second = (OtherRows(part, self.codec, self.report, self.fingerprint) for part in parts)
        return first, second


def dealt(places: np.ndarray) -> np.ndarray:
    """Return places (n,) in which rows that occur often are spread evenly.

    A row that is there more than twenty times is a pattern of the table and nobody's own, as is every repeated one
    where there are over four rows for each different one: both parts of a split must have it as often, or the held-out
    one is another table.
    """
    _, group, counts = np.unique(places, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    occurrence = np.empty(len(places), np.int64)
    occurrence[order] = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    patterned = len(places) > PER_PATTERN * len(counts)
    often = counts[group] > (1 if patterned else OFTEN)
    return np.where(often, (places + occurrence * GOLDEN) % 1, places)


def places_of(values: np.ndarray) -> np.ndarray:
    """Return a number in [0, 1) for each row (n, c) that depends on its content alone, float64 (n,)."""
    whole = np.ascontiguousarray(values) + 0.0  # one kind of zero
    return holdout.places(row.data for row in whole)
