"""An array as a dataset: drawn from by index and encoded on the way, so that a mapped file stays on the disk."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from gandem import holdout
from gandem.domains.arrays.codec import ArrayCodec
from gandem.domains.classes import class_line, label_names, numbered
from gandem.domains.given import Arrays
from gandem.errors import SourceError
from gandem.recipe import DataOptions

_BLOCK = 65_536


class ArrayData:
    """Real samples, ready to be drawn by index.

    values: (m, ...) as given. labels: int64 (m,) or None. rows: which of them belong to this dataset, int64 (n,).
    """

    def __init__(
        self,
        values: np.ndarray,
        labels: np.ndarray | None,
        codec: ArrayCodec,
        report: dict[str, Any],
        rows: torch.Tensor,
        fingerprint: str,
    ) -> None:
        self.values, self.labels, self.codec, self.report = values, labels, codec, report
        self.spec = codec.spec
        self.rows = rows
        self.fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.rows)

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, *spec.shape) in [-1, 1]} and, with classes, {"label": int64 (n,)}."""
        values, labels = self.samples(indices)
        return {"real": self.codec.encode(values)} | ({} if labels is None else {"label": torch.from_numpy(labels)})

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return samples as they were given, (k, ...), and their labels int64 (k,) if any."""
        rows = self.rows[indices].numpy()
        return self.values[rows], None if self.labels is None else self.labels[rows]

    def split(self, share: float, codec: object = None) -> tuple[ArrayData, ArrayData]:
        """Return (for training, held out), about `share` in the second; copies stay together."""
        contents = (np.ascontiguousarray(self.values[row]).data for row in self.rows.tolist())
        training, held_out = holdout.split(holdout.places(contents), share)
        return self._pick(training), self._pick(held_out)

    def _pick(self, indices: torch.Tensor) -> ArrayData:
        return ArrayData(self.values, self.labels, self.codec, self.report, self.rows[indices], self.fingerprint)


def read_arrays(source: Arrays, options: DataOptions) -> ArrayData:
    """Look at an array, leave out rows with NaN or infinity, and report; raises SourceError."""
    values = source.values
    finite = np.concatenate([_finite(values[at : at + _BLOCK]) for at in range(0, len(values), _BLOCK)])
    rows = torch.from_numpy(np.flatnonzero(finite))
    if len(rows) < 2:
        raise SourceError(f"{source}: {len(rows)} samples without NaN or infinity are not enough; give two or more")
    labels, classes = None, tuple[str, ...]()
    if source.labels is not None and options.labels != "none":
        names = label_names(source.labels, f"the labels of {source}")
        known, classes = numbered([names[row] for row in rows.tolist()])  # a class may have no sample but such as those
        if known is not None:
            labels = np.zeros(len(values), np.int64)
            labels[finite] = known
    codec = ArrayCodec.of(values if finite.all() else values[finite], classes)
    contents = (np.ascontiguousarray(values[row]).data for row in rows.tolist())
    copies = len(rows) - len(np.unique(holdout.digests(contents)))
    counts = {} if labels is None else dict(zip(classes, np.bincount(labels[finite]).tolist(), strict=True))
    still = int((codec.deviation == 0).sum()) if codec.deviation.size > 1 else 0
    report = {
        "source": source.name,
        "kind": "array",
        "samples": len(rows),
        "shape": list(codec.shape),
        "dtype": codec.dtype,
        "range": [float(codec.low.min()), float(codec.high.max())],
        "classes": counts,
        "skipped": _skipped(np.flatnonzero(~finite)),
        "duplicates": {"exact": copies},
        "constant": still,
    }
    return ArrayData(values, labels, codec, report, rows, fingerprint(values, labels))


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as a few lines for a terminal."""
    low, high = report["range"]
    shape = " x ".join(map(str, report["shape"])) or "single number"
    found = [f"{report['samples']:,} samples of {report['source']}"]
    found.append(f"each: {shape}, {report['dtype']}, values from {low:g} to {high:g}; no pictures, so plain networks")
    found += [class_line(report["classes"])] if report["classes"] else []
    if report["skipped"]["count"]:
        found.append(f"{report['skipped']['count']:,} skipped: NaN or infinity")
    if report["constant"]:
        found.append(f"{report['constant']:,} of the numbers are always the same")
    copies, count = report["duplicates"]["exact"], report["samples"]
    if copies > count / 2:
        found.append(f"WARNING: {copies / count:.0%} of the samples are exact copies; a generator can only repeat them")
    elif copies:
        found.append(f"{copies:,} exact copies")
    return found


def fingerprint(values: np.ndarray, labels: np.ndarray | None) -> str:
    """Return the SHA-256 of shape, type, numbers and labels."""
    digest = hashlib.sha256(repr((values.shape, str(values.dtype))).encode())
    for start in range(0, len(values), _BLOCK):
        digest.update(np.ascontiguousarray(values[start : start + _BLOCK]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _skipped(rows: np.ndarray) -> dict[str, Any]:
    reason = "holds NaN or infinity"
    files = [{"name": f"sample {row}", "reason": reason} for row in rows[:50]]
    return {"count": len(rows), "reasons": {reason: len(rows)} if len(rows) else {}, "files": files}


def _finite(block: np.ndarray) -> np.ndarray:
    return np.isfinite(block.reshape(len(block), -1)).all(axis=1)
