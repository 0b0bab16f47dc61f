"""Which samples are held out of a training, to be judged against: equal samples always fall on the same side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

SHARE = 0.1
MOST = 5_000
"""Held-out samples that suffice; with more data, more of it is trained on."""
FEWEST = 200
"""With fewer samples, every one is needed for the training."""


def automatic_share(count: int) -> float:
    """Return the part of `count` samples that is held out unless the recipe says otherwise."""
    return 0.0 if count < FEWEST else min(SHARE, MOST / count)


def places(contents: Iterable[bytes | memoryview]) -> np.ndarray:
    """Return a number in [0, 1) for each sample that depends on its content alone, float64 (n,)."""
    return digests(contents).astype(np.float64) / 2.0**64


def digests(contents: Iterable[bytes | memoryview]) -> np.ndarray:
    """Return a 64-bit hash of the content of each sample, uint64 (n,)."""
    joined = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(joined, "<u8")


def split(place: np.ndarray, share: float) -> tuple[Tensor, Tensor]:
    """Return the rows (training, held out) of samples at `place` in [0, 1); copies of a sample stay together."""
    held_out = torch.from_numpy(place < share)
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()
