"""Pictures for people: a grid of images, and a moving picture of saved grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gandem.domains.images.codec import to_pictures

_GAP = 2
_VISIBLE = 64  # shorter sides are enlarged by a whole factor up to about this many pixels
_MOST_FRAMES = 60


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


def animation(frames: Sequence[Path], out: Path, seconds: float = 8.0) -> None:
    """Write a GIF of at most 60 of the saved pictures, evenly chosen, first and last among them; the last one stays.

    All frames share one palette, so that colours do not flicker.
    """
    if not frames:
        return
    count = min(len(frames), _MOST_FRAMES)
    pictures = [_open(frames[round(index)]) for index in np.linspace(0, len(frames) - 1, count)]
    pictures = [picture.resize(pictures[-1].size) for picture in pictures]
    palette = _common_palette(pictures)
    drawn = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    each = max(60, min(round(1000 * seconds / count), 500))
    durations = [each] * (count - 1) + [2500]
    drawn[0].save(out, "GIF", save_all=True, append_images=drawn[1:], duration=durations, loop=0)


def _common_palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return an image whose palette suits four of the pictures, the first and the last among them."""
    chosen = [pictures[round(index)] for index in np.linspace(0, len(pictures) - 1, 4)]
    return Image.fromarray(np.concatenate([np.asarray(picture) for picture in chosen])).quantize(256)


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
