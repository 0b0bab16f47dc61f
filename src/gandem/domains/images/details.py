"""What is lost when a picture is made small: pieces of it at their own size, as the shipped network sees them."""

from __future__ import annotations

import numpy as np
import torch

from gandem.domains.images.features import SIDE, load_features
from gandem.judge.figure import Figure
from gandem.judge.two_sample import two_sample

PIECES, MOST = 4, 2_000
"""Pieces of each picture, at random places; of their features the mean counts. Pictures that are looked at."""


def told_by_details(generated: np.ndarray, real: np.ndarray, seed: int) -> Figure | None:
    """Return the AUC of a classifier that sees pieces of SIDE pixels only, or None where those are whole pictures.

    generated, real: uint8 (n, H, W, C) and (m, H, W, C), of which MOST are looked at.
    """
    if max(real.shape[1:3]) <= SIDE:
        return None
    features = load_features()
    seen = []
    for number, images in enumerate((generated[:MOST], real[:MOST])):
        rng = np.random.default_rng([seed, number])
        seen.append(torch.stack([features(pieces(images, rng)) for _ in range(PIECES)]).mean(0))
    return two_sample(*seen, seed=seed)


def pieces(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one piece of each image, uint8 (n, h, w, C), at most SIDE pixels high and wide."""
    height, width = (min(side, SIDE) for side in images.shape[1:3])
    tops = rng.integers(0, images.shape[1] - height + 1, len(images))
    lefts = rng.integers(0, images.shape[2] - width + 1, len(images))
    cut = [image[top : top + height, left : left + width] for image, top, left in zip(images, tops, lefts, strict=True)]
    return np.stack(cut)
