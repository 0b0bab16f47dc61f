"""What a person may give as data: a path, arrays in memory with labels or without, or a data frame."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from gandem.errors import SourceError

Given = Any
"""A path as str or Path; an array (n, ...) of NumPy, PyTorch or anything that NumPy takes; (array, labels (n,)); or a
data frame of pandas, polars or anything that speaks Arrow."""

PICTURE_SIDE = 16
"""Arrays (n, a, b) whose last two sizes are not below this may be grey pictures, others are series."""
_RANGES = ((0.0, 255.0), (-1.0, 1.0))
_BLOCK = 4096


@dataclass(frozen=True)
class Arrays:
    """Samples that are in memory, or mapped from a `.npy` file.

    values: numbers (n, ...). labels: (n,) or None. name: what it is called in reports. path: of the file, if it is one.
    """

    values: np.ndarray
    labels: np.ndarray | None
    name: str
    path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse labels that are not one for each sample."""
        if self.labels is not None and len(self.labels) != len(self.values):
            raise SourceError(f"{len(self.labels)} labels for {len(self.values)} samples; give one label for each")

    def __str__(self) -> str:
        """Return the name, for messages."""
        return self.name

    def holds_pictures(self) -> bool:
        """Whether the samples are pictures: (n, H, W, 1..4), (n, 1..4, H, W) or (n, H, W), in a range of pixels."""
        values = self.values
        if values.ndim == 4:
            shaped = min(values.shape[1], values.shape[3]) <= 4 and sorted(values.shape[1:])[1] >= 8
        else:
            shaped = values.ndim == 3 and min(values.shape[1:]) >= PICTURE_SIDE
        return shaped and (values.dtype in (np.uint8, bool) or self._in_pixel_range())

    def _in_pixel_range(self) -> bool:
        parts = (self.values[start : start + _BLOCK] for start in range(0, len(self.values), _BLOCK))
        finite = (part[np.isfinite(part)] for part in parts)
        ends = [(float(part.min()), float(part.max())) for part in finite if part.size]
        return any(all(low <= least and most <= high for least, most in ends) for low, high in _RANGES)


@dataclass(frozen=True)
class Frame:
    """A data frame in memory, of whatever library."""

    value: Any

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"data frame of {type(self.value).__module__.partition('.')[0]}"

    def __str__(self) -> str:
        """Return the name, for messages."""
        return self.name


Opened = Arrays | Frame | str | Path
"""What domains read."""


def opened(given: Given) -> Opened:
    """Return arrays as `Arrays`, those of a file too, data frames as `Frame`, and any other path as it is.

    Raises SourceError for what is none of these.
    Files of arrays are .npy, and .npz with `samples` and, if there are any, `labels`.
    """
    if isinstance(given, Arrays | Frame):
        return given
    if _is_frame(given):
        return Frame(given)
    if isinstance(given, (str, Path)):
        given = os.path.expanduser(given)
        return _from_file(Path(given)) or given
    values, labels = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    values = _numbers(values, "the array")
    labels = None if labels is None else np.atleast_1d(np.asarray(_on_the_host(labels)))
    return Arrays(values, labels, f"array of shape {values.shape}, {values.dtype}")


def path_of(given: Given) -> Path | None:
    """Return where data lie, or None if they are in memory only."""
    return Path(given) if isinstance(given, (str, Path)) else given.path if isinstance(given, Arrays) else None


def _is_frame(given: Any) -> bool:
    """Whether something has named columns, as data frames have and arrays have not."""
    speaks = any(hasattr(type(given), name) for name in ("__arrow_c_stream__", "__dataframe__", "collect_schema"))
    return speaks and hasattr(type(given), "columns")


def _from_file(path: Path) -> Arrays | None:
    """Read a file of arrays, or return None if it is something else."""
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz") or not path.is_file():
        return None
    try:
        values, labels = np.load(path, mmap_mode="r", allow_pickle=False), None
        if suffix == ".npz":
            with values as archive:
                if "samples" not in archive.files:
                    return None  # pictures
                values, labels = archive["samples"], archive["labels"] if "labels" in archive.files else None
    except ValueError as error:
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            raise SourceError(f"{path}: holds Python objects; these are never read, save numbers") from error
        raise SourceError(f"{path}: not a readable {suffix} file; write it again with numpy.save") from error
    except (OSError, EOFError, BadZipFile) as error:
        if suffix == ".npz":
            return None  # whoever reads pictures says what is wrong with it
        raise SourceError(f"{path}: not a readable {suffix} file; write it again with numpy.save") from error
    return Arrays(_numbers(values, str(path)), labels, str(path), path)


def _on_the_host(values: Any) -> Any:
    """Return a tensor as NumPy can take it: it may need gradients, lie on a GPU, or have 16 bits of its own kind."""
    if not hasattr(values, "detach"):
        return values
    values = values.detach().cpu()
    return values.float() if str(values.dtype) == "torch.bfloat16" else values


def _numbers(values: Any, where: str) -> np.ndarray:
    """Return an array of numbers (n, ...), or raise SourceError with what it is instead."""
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "biuf":
        values = np.ma.filled(values.astype(np.float64), np.nan) if np.ma.is_masked(values) else values.data
    try:
        array = np.asarray(_on_the_host(values))
    except ValueError as error:
        raise SourceError(f"{where}: is no regular array ({error}); give rows of equal length") from error
    if array.dtype.kind not in "biuf":
        raise SourceError(f"{where}: holds {array.dtype}; give numbers")
    if array.ndim < 1 or 0 in array.shape:
        raise SourceError(f"{where}: has shape {array.shape}; give an array (n, ...) with one sample a row")
    return array
