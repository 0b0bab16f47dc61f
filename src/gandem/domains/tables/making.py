"""Rows from latents, block by block, on every core."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gandem.conditions import Told
from gandem.domains.tables.asking import whole
from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.completions import completed
from gandem.domains.tables.networks import TableGenerator

BLOCK = 2_048
"""Rows at a time: few enough for a core's cache, and so many that what a call costs does not count."""


def made(codec: TableCodec, generator: TableGenerator, latent: Tensor, told: Told) -> np.ndarray:
    """Return decoded rows (n, c) of latents (n, columns + residuals), with the cells that are known."""
    rows = np.empty((len(latent), len(codec.columns)))

    def make(part: slice) -> None:
        known = whole(codec, generator, told, part)
        rows[part] = codec.read(completed(codec, generator, latent[part], known), told.fixed)

    parts = [slice(start, start + BLOCK) for start in range(0, len(latent), BLOCK)]
    with _one_thread_each() as workers, ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(make, parts):
            pass
    return rows


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """Yield on how many threads torch works, while it computes each block on one: so rows do not hang on their number.

    What is done with a block is too little to be divided, and whole blocks are as many as one likes.
    """
    workers = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield workers
    finally:
        torch.set_num_threads(workers)
