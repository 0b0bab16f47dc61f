"""A picture for people: a grid of images."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from gandem.domains.images.codec import to_pictures

_GAP = 2
_VISIBLE = 64  # shorter sides are enlarged by a whole factor up to about this many pixels


def grid(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """Lay uint8 (n, H, W, C) images out row by row, two pixels apart on white.

    Small images are enlarged by a whole factor without smoothing, so that every pixel can be seen.
    columns: images in a row; as many columns as rows when None.
    """
    count, height, width = images.shape[:3]
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    factor = max(1, _VISIBLE // min(height, width))
    step_y, step_x = height * factor + _GAP, width * factor + _GAP
    pictures = to_pictures(images)
    mode = "L" if images.shape[3] == 1 else "RGB"
    paper = Image.new(mode, (columns * step_x + _GAP, rows * step_y + _GAP), "white")
    for index, picture in enumerate(pictures):
        place = (_GAP + index % columns * step_x, _GAP + index // columns * step_y)
        picture = picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
        paper.paste(picture, place, picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None)
    return paper
