"""Schedules: functions of the progress of the budget, from 0 at the first image to 1 at the last."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def cosine(start: float, end: float) -> Schedule:
    """Fall (or rise) from `start` to `end` along half a cosine."""
    return lambda progress: end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def geometric(start: float, end: float) -> Schedule:
    """Go from `start` to `end` by equal factors; linear where one of them is zero."""
    if start <= 0 or end <= 0:
        return lambda progress: start + (end - start) * min(max(progress, 0.0), 1.0)
    return lambda progress: start * (end / start) ** min(max(progress, 0.0), 1.0)


def ema_decay(batch: int, images: int, fraction: float) -> float:
    """Weight of the old average in one step of `batch` images, when `images` have been shown.

    The half-life is `fraction` of the images shown so far, so that the average forgets its beginnings
    (Karras et al. 2020, "ramp-up").
    """
    return 0.5 ** (batch / max(fraction * images, 1e-8))


def power_decay(batch: int, images: int, gamma: float) -> float:
    """Weight of the old average in one step of `batch` images, when `images` have been shown, these included.

    (1 - batch / images)^(gamma + 1): the power-function average, whose width is always the same part of what has
    passed (Karras et al. 2024, "EDM2").
    """
    return float((1 - batch / images) ** (gamma + 1))
