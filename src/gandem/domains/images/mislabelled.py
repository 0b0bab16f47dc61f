"""Classes whose labels look wrong: the pictures most like theirs carry other labels."""

from __future__ import annotations

import numpy as np
import torch

from gandem.domains.images.features import load_features
from gandem.judge.neighbours import nearest

MOST, NEIGHBOURS = 2_000, 10
"""Images that are looked at, and how many neighbours of each."""
FEWEST = 5
"""Images of a class below which nothing is said of it."""
USUAL, LEFT = 0.5, 0.3
"""A warning needs a median class that agrees with its neighbours at least so often, and one below that part of it."""


def mislabelled(images: np.ndarray, labels: np.ndarray) -> list[tuple[int, float, float]]:
    """Return (class, its agreement, the median class's) for classes of uint8 (n, H, W, C) that stand out.

    Agreement: the mean share of an image's ten nearest neighbours, by the shipped features, that carry its label. Where
    the features cannot tell the classes apart (the median is below one half) nothing can be said.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(images))[:MOST])
    if len(rows) <= NEIGHBOURS:
        return []
    features = load_features()(images[rows])
    features = (features - features.mean(0)) / (features.std(0) + 1e-6)
    told = torch.from_numpy(labels[rows])
    _, neighbours = nearest(features, features, NEIGHBOURS, same=True)
    agreeing = (told[neighbours] == told[:, None]).double().mean(1)
    found = {
        int(label): float(agreeing[told == label].mean()) for label in told.unique() if (told == label).sum() >= FEWEST
    }
    median = float(np.median(list(found.values()))) if found else 0.0
    if median < USUAL:
        return []
    return [(label, share, median) for label, share in found.items() if share < LEFT * median]
