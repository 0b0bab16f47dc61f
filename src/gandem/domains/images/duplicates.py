"""Images that are there twice, to the bit or nearly."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

_MOST = 20_000  # images compared in pairs
_BITS = 3  # difference hashes at most this many bits apart are candidates
_DIFFERENCE = 8.0  # mean grey levels between near duplicates
_CORRELATION = 0.97  # of the pixels of near duplicates
_TRIES = 32  # candidates looked at for one image
_BLOCK = 256


def find_duplicates(images: np.ndarray) -> dict[str, Any]:
    """Count the images that repeat an earlier one of uint8 (n, H, W, C).

    exact: same pixels. near: among an even sample of at most 20,000, 64-bit difference hashes at most 3 bits apart and
    pixels less than 8 grey levels apart that correlate by 0.97, exact ones not counted. The correlation tells the
    strokes of two digits apart, whose hashes are alike because they hold little.
    examples: up to 10 [later, earlier, kind] by row.
    """
    repeats = _exact(images)
    rows = np.linspace(0, len(images) - 1, min(len(images), _MOST)).astype(np.int64)
    rows = rows[~np.isin(rows, [later for later, _ in repeats])] if repeats else rows
    pairs = _near(images, rows)
    examples = [[*pair, "exact"] for pair in repeats[:5]] + [[*pair, "near"] for pair in pairs[:5]]
    return {"exact": len(repeats), "near": len(pairs), "looked_at": min(len(images), _MOST), "examples": examples}


def difference_hashes(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return uint64 (n,) hashes of some rows, whether brightness rises from cell to cell, and the (n, 8, 9) cells."""
    count, (height, width) = len(rows), images.shape[1:3]
    left, right = _averaging(height, 8), _averaging(width, 9).T
    cells = np.empty((count, 8, 9), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        grey = images[rows[start : start + _BLOCK]].mean(axis=3, dtype=np.float32)
        cells[start : start + _BLOCK] = left @ (grey @ right)
    bits = (cells[:, :, 1:] > cells[:, :, :-1] + 0.5).reshape(count, 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0], cells


def _exact(images: np.ndarray) -> list[tuple[int, int]]:
    """Return (later, earlier) for every image that has the pixels of an earlier one."""
    first: dict[bytes, int] = {}
    repeats = []
    for row, image in enumerate(images):
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        earlier = first.setdefault(key, row)
        if earlier != row:
            repeats.append((row, earlier))
    return repeats


def _near(images: np.ndarray, rows: np.ndarray) -> list[tuple[int, int]]:
    """Return (later, earlier) for every row that nearly repeats an earlier one."""
    hashes, cells = difference_hashes(images, rows)
    pairs = []
    for start in range(0, len(rows), _BLOCK):
        block = hashes[start : start + _BLOCK]
        close = np.bitwise_count(block[:, None] ^ hashes[None, : start + len(block)]) <= _BITS
        for offset in np.flatnonzero(close.sum(axis=1) > 1):  # every hash is close to itself
            later = start + int(offset)
            # Images with little in them are close to thousands; the most alike of a few tell enough.
            earlier = np.flatnonzero(close[offset, :later])[:_TRIES]
            distance = np.abs(cells[earlier] - cells[later]).mean(axis=(1, 2))
            for candidate in earlier[np.argsort(distance)][: (distance < _DIFFERENCE).sum()]:
                if _alike(images[rows[later]], images[rows[candidate]]):
                    pairs.append((int(rows[later]), int(rows[candidate])))
                    break
    return pairs


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    one, other = one.astype(np.float32), other.astype(np.float32)
    if np.abs(one - other).mean() >= _DIFFERENCE:
        return False
    one, other = one - one.mean(), other - other.mean()
    return bool((one * other).mean() >= _CORRELATION * np.sqrt((one**2).mean() * (other**2).mean()))


def _averaging(length: int, cells: int) -> np.ndarray:
    """Return (cells, length) weights that average equal stretches of a line, fractions of pixels included."""
    edges = np.linspace(0, length, cells + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    places = np.arange(length)[None]
    weights = np.clip(np.minimum(ends, places + 1) - np.maximum(starts, places), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
