"""Pictures as tensors and back, without losing a bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from gandem.spec import SampleSpec


class ImageCodec:
    """Maps uint8 pixels 0..255 onto [-1, 1] and back; `decode(encode(x))` is x for every x.

    spec: shape (channels, height, width) with 1 grey, 2 grey + alpha, 3 RGB or 4 RGBA channels.
    """

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    def encode(self, images: np.ndarray) -> torch.Tensor:
        """Turn uint8 (n, H, W, C) into float32 (n, C, H, W) in [-1, 1], channels last in memory."""
        return to_unit(torch.from_numpy(np.ascontiguousarray(images)))

    def decode(self, samples: torch.Tensor) -> np.ndarray:
        """Turn (n, C, H, W) into uint8 (n, H, W, C); values are rounded, those outside [-1, 1] are clamped."""
        pixels = samples.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())

    def to_pictures(self, images: np.ndarray) -> list[Image.Image]:
        """Turn uint8 (n, H, W, C) into Pillow images of mode L, LA, RGB or RGBA."""
        return to_pictures(images)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"domain": "images", "spec": self.spec.to_dict()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ImageCodec:
        """Rebuild from `to_dict`."""
        return cls(SampleSpec.from_dict(state["spec"]))


def to_unit(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (n, H, W, C) into float32 (n, C, H, W) in [-1, 1] without copying the pixels a second time."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)


def to_pictures(images: np.ndarray) -> list[Image.Image]:
    """Turn uint8 (n, H, W, C) into Pillow images of mode L, LA, RGB or RGBA."""
    return [Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image)) for image in images]
