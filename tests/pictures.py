"""Small pictures, folders of them, and how a source is read: shared by the tests of the image domain."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gandem.domains.images import IMAGES, ImageData
from gandem.errors import SourceError
from gandem.recipe import DataOptions


def pattern(seed: int, height: int = 32, width: int = 32, channels: int = 3) -> np.ndarray:
    """Return a smooth picture (height, width, channels), another one for every seed."""
    y, x, c = np.mgrid[:height, :width, :channels]
    waves = np.sin((x * (1 + seed % 3) + seed) / 5 + c) + np.cos((y * (1 + seed % 5) - seed) / 7 + c * seed)
    return np.uint8(np.clip(127 + 60 * waves, 0, 255))


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture.squeeze())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def folder_of(root: Path, count: int = 4, **files: bytes) -> Path:
    """Write `count` good images and other files, "__" standing for a slash and "_dot_" for a dot."""
    root.mkdir(exist_ok=True)
    for index in range(count):
        (root / f"good{index}.png").write_bytes(encoded(pattern(index)))
    for name, data in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def classes_of(root: Path, **counts: int) -> Path:
    for number, (name, count) in enumerate(counts.items()):
        folder_of(root / name, 0).mkdir(exist_ok=True) if root.exists() else (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(encoded(pattern(10 * number + index)))
    return root


def read(path: Path, cache: Path | None = None, **options) -> ImageData:
    return IMAGES.read(path, DataOptions(**options), cache, None)


def refused(path: Path, *words: str, **options) -> None:
    with pytest.raises(SourceError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def skipped(data: ImageData) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in data.report["skipped"]["files"]}
