"""A moving picture of a training, from pictures that were saved on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_MOST_FRAMES = 60


def write(frames: Sequence[Path], out: Path, seconds: float = 8.0) -> None:
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
