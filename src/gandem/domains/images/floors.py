"""Images that must lose against any generator worth the name: what they reach, a metric gives for nothing."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

BLUR = 0.05
"""Deviation of the blur, as a part of the shorter side."""


def floors(images: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Return sets of the same shape made from real images, uint8 (n, H, W, C)."""
    rng = np.random.default_rng(seed)
    flat = images.reshape(len(images), -1, images.shape[3])
    return {
        "blurred": np.stack([blurred(image) for image in images]),
        "pixels shuffled": np.stack([rng.permutation(pixels) for pixels in flat]).reshape(images.shape),
        "one image repeated": np.repeat(images[rng.integers(len(images))][None], len(images), axis=0),
        "noise": rng.integers(0, 256, images.shape, dtype=np.uint8),
    }


def blurred(image: np.ndarray) -> np.ndarray:
    """Blur one image, uint8 (H, W, C), by a Gaussian."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR * min(image.shape[:2])))).reshape(image.shape)
