"""Room for a table: in memory, or in a file where it would not fit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import psutil

from gandem.errors import StorageError


def room(shape: tuple[int, ...], dtype: np.dtype, cache: Path | None = None) -> np.ndarray:
    """Return an array of zeros, in memory or, when it does not fit in a quarter of what is free, in a file."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= int(psutil.virtual_memory().available) // 4:
        return np.zeros(shape, dtype)
    folder = cache or Path(tempfile.gettempdir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if psutil.disk_usage(os.fspath(folder)).free < size + 2**26:
            raise StorageError(f"{folder}: needs {size / 2**30:.1f} GiB for the table; make room there")
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise StorageError(f"{folder}: cannot hold the table ({error.strerror}); make room there") from error
