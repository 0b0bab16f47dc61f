"""Room for decoded pixels: in memory while they fit, in a mapped file when they do not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import psutil

from gandem.errors import StorageError

_SPARE = 2**26  # bytes left free on the disk


def free_memory() -> int:
    """Return the bytes that can still be used, by this machine and by the limit of this container."""
    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return min(free, max(0, int(limit.read_text()) - int(used.read_text())))
    except (OSError, ValueError):  # no such limit
        return free


def allocate(shape: tuple[int, ...], cache: Path | None) -> np.ndarray:
    """Return an array for uint8 pixels: memory when it fits in half of what is free for a process, else a mapped file.

    cache: folder of the file, which is nameless and gone with the process when None. Raises StorageError.
    """
    size = int(np.prod(shape, dtype=np.int64))
    neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))
    if size <= free_memory() // (2 * neighbours):
        return np.empty(shape, dtype=np.uint8)
    folder = cache or Path(tempfile.gettempdir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A mapped file that outgrows the disk kills the process, so the room is checked beforehand.
        if shutil.disk_usage(folder).free < size + _SPARE:
            raise StorageError(f"{folder}: needs {size / 2**30:.1f} GiB for the decoded images; make room there")
        if cache is None:
            with tempfile.TemporaryFile() as file:
                return np.memmap(file, np.uint8, "w+", shape=shape)
        return np.lib.format.open_memmap(cache / ".images.npy", mode="w+", dtype=np.uint8, shape=shape)
    except OSError as error:
        raise StorageError(f"{folder}: cannot hold the decoded images ({error.strerror}); make room there") from error


def finish(images: np.ndarray, count: int, cache: Path | None) -> np.ndarray:
    """Keep the first `count` images; a file in `cache` is complete now and gets its final name `images.npy`."""
    if isinstance(images, np.memmap):
        images.flush()
        if cache is not None:
            (cache / ".images.npy").replace(cache / "images.npy")
    return images[:count]
