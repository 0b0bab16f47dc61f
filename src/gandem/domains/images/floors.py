"""Images changed on purpose: floors, which must lose against any generator, and changes behind which copies hide."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

BLUR = 0.05
"""Deviation of the blur, as a part of the shorter side."""
SHIFT = 0.07
"""How far images are shifted, as a part of the side: 2 pixels of 28."""


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


def variants(images: np.ndarray, turn: bool = False) -> list[np.ndarray]:
    """Return uint8 (n, H, W, C) as they are, mirrored, and moved by SHIFT of each side toward every corner.

    turn: both turned by one, two and three quarters as well; needs H = W.
    """
    down, right = (max(round(SHIFT * side), 1) for side in images.shape[1:3])
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    corners = [(y, x) for y in (0, 2 * down) for x in (0, 2 * right)]
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    turned = [np.rot90(each, quarters, (1, 2)) for each in (images, mirrored) for quarters in (1, 2, 3) if turn]
    return [images, mirrored, *(padded[:, y : y + height, x : x + width] for y, x in corners), *turned]
