"""A table as a dataset: codes and residuals, from which the rows of a batch are made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gandem import holdout
from gandem.domains.domain import Progress
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.kinds import look
from gandem.domains.tables.source import open_table
from gandem.errors import SourceError
from gandem.recipe import DataOptions

_BLOCK = 65_536


class TableData:
    """Real rows, ready to be drawn by index.

    codes: int32 (m, c). residuals: float32 (m, c). rows: which of them belong to this dataset, int64 (n,).
    """

    def __init__(
        self,
        codes: np.ndarray,
        residuals: np.ndarray,
        codec: TableCodec,
        report: dict[str, Any],
        rows: torch.Tensor,
        fingerprint: str,
    ) -> None:
        self.codes, self.residuals, self.codec, self.report = codes, residuals, codec, report
        self.spec = codec.spec
        self.rows = rows
        self.fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, *spec.shape) in [-1, 1]}."""
        rows = self.rows[indices].numpy()
        return {"real": self.codec.dense(self.codes[rows], self.residuals[rows])}

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, None]:
        """Return rows as float64 (k, c), see `gandem.domains.tables.columns.Column`, and no labels."""
        rows = self.rows[indices].numpy()
        return self.codec.decoded(self.codes[rows], self.residuals[rows]), None

    def split(self, share: float) -> tuple[TableData, TableData]:
        """Return (for training, held out), about `share` in the second; copies stay together."""
        places = [
            holdout.places(row.data for row in self.samples(part)[0]) for part in torch.arange(self.count).split(_BLOCK)
        ]
        training, held_out = holdout.split(np.concatenate(places), share)
        return self._pick(training), self._pick(held_out)

    def _pick(self, indices: torch.Tensor) -> TableData:
        return TableData(self.codes, self.residuals, self.codec, self.report, self.rows[indices], self.fingerprint)


def read_table(
    source: Any, options: DataOptions, cache: Path | None = None, progress: Progress | None = None
) -> TableData:
    """Read a table, find kinds, fit the codec, and report; raises SourceError."""
    table = open_table(source, cache)
    found = [look(table.column(name)) for name in table.names]
    modelled = [each for each in found if each.column is not None]
    if len(table) < 2:
        raise SourceError(f"{source}: {len(table)} rows are not enough; give two or more")
    if not modelled:
        raise SourceError(f"{source}: no column to learn from, all are constant, identifiers or text")
    codec = TableCodec(
        [each.column for each in modelled if each.column],
        [each.tokens for each in modelled if each.tokens],
        [each.field for each in found],
    )
    codes = np.empty((len(table), len(modelled)), np.int32)
    residuals = np.zeros(codes.shape, np.float32)
    for index, each in enumerate(modelled):
        assert each.values is not None
        codes[:, index], residuals[:, index] = codec.column_codes(index, each.values)
    report = {
        "source": table.name,
        "kind": "table",
        "samples": len(table),
        "columns": {each.field.name: {"kind": each.field.kind} for each in found},
        "classes": {},
        "skipped": {"count": 0, "reasons": {}, "files": []},
        "notes": table.notes,
    }
    digest = hashlib.sha256(repr(codec.to_dict()).encode())
    digest.update(codes.data)
    digest.update(residuals.data)
    return TableData(codes, residuals, codec, report, torch.arange(len(table)), digest.hexdigest())


def lines(report: dict[str, Any]) -> list[str]:
    """Say a data report in a few lines."""
    columns = report["columns"]
    return [f"{report['samples']:,} rows x {len(columns)} columns of {report['source']}"] + [
        f"  {name}: {facts['kind']}" for name, facts in columns.items()
    ]
