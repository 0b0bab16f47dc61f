"""Pictures as tensors and back, without losing a bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from gandem.spec import SampleSpec


@dataclass(frozen=True)
class PixelArray:
    """How pixels stood in an array that a person gave, so that samples come back alike.

    layout: "NHW", "NHWC" or "NCHW". dtype: of its numbers. A pixel is (number + offset) * scale.
    """

    layout: str
    dtype: str
    offset: float = 0.0
    scale: float = 1.0

    def of(self, images: np.ndarray) -> np.ndarray:
        """Turn uint8 (n, H, W, C) into such an array."""
        array = images if self.dtype == "uint8" else (images / self.scale - self.offset)
        if array.dtype != self.dtype:
            array = (array if np.dtype(self.dtype).kind == "f" else np.rint(array)).astype(self.dtype)
        return (
            array[..., 0] if self.layout == "NHW" else array.transpose(0, 3, 1, 2) if self.layout == "NCHW" else array
        )


class ImageCodec:
    """Maps uint8 pixels 0..255 onto [-1, 1] and back; `decode(encode(x))` is x for every x.

    spec: shape (channels, height, width) with 1 grey, 2 grey + alpha, 3 RGB or 4 RGBA channels.
    array: where the images were given as an array, how that looked.
    """

    def __init__(self, spec: SampleSpec, array: PixelArray | None = None) -> None:
        self.spec = spec
        self.array = array

    def encode(self, images: np.ndarray) -> torch.Tensor:
        """Turn uint8 (n, H, W, C) into float32 (n, C, H, W) in [-1, 1], channels last in memory."""
        return to_unit(torch.from_numpy(np.ascontiguousarray(images)))

    def decode(self, samples: torch.Tensor) -> np.ndarray:
        """Turn (n, C, H, W) into uint8 (n, H, W, C); values are rounded, those outside [-1, 1] are clamped."""
        pixels = samples.detach().float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())

    def given(self, images: np.ndarray) -> list[Image.Image] | np.ndarray:
        """Turn uint8 (n, H, W, C) into what the data came as: an array of that form, or Pillow images."""
        return to_pictures(images) if self.array is None else self.array.of(images)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        array = {} if self.array is None else {"array": asdict(self.array)}
        return {"domain": "images", "spec": self.spec.to_dict()} | array

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ImageCodec:
        """Rebuild from `to_dict`."""
        array = PixelArray(**state["array"]) if "array" in state else None
        return cls(SampleSpec.from_dict(state["spec"]), array)


def to_unit(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (n, H, W, C) into float32 (n, C, H, W) in [-1, 1] without copying the pixels a second time."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)


def to_pictures(images: np.ndarray) -> list[Image.Image]:
    """Turn uint8 (n, H, W, C) into Pillow images of mode L, LA, RGB or RGBA."""
    return [Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image)) for image in images]
