"""Which row of the data comes when: shuffled epochs, one after the other, from a seed and a place alone."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def data_order(size: int, start: int, count: int, seed: int) -> Tensor:
    """Return the indices at places start .. start + count of an endless sequence of shuffled epochs."""
    places = torch.arange(start, start + count)
    epochs = places // size
    return torch.cat([_shuffled(size, seed, int(epoch))[places[epochs == epoch] % size] for epoch in epochs.unique()])


@lru_cache(maxsize=2)
def _shuffled(size: int, seed: int, epoch: int) -> Tensor:
    rng = torch.Generator().manual_seed(((seed * 1_000_003 + epoch) ^ 0x5EED) % 2**63)
    return torch.randperm(size, generator=rng)
