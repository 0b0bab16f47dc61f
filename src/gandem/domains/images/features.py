"""What the judge sees of an image: 128 numbers from a small network that was trained once, on other images.

The network ships with gandem (tools/train_features.py made it and lists what it learnt from), so that judging needs no
download. Its numbers compare runs with each other, not with papers; for those, give the Inception or DINO weights that
you have as an ONNX file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from gandem.errors import JudgeError, first_line, optional
from gandem.holdout import digests

SIDE, WIDTH = 32, 128
"""Pixels a side that the shipped network looks at, and the features it gives."""
BLOCK, ONNX_BLOCK = 128, 64
"""Images that are looked at together by gandem's own network, and by one whose appetite is not known."""
INCEPTION_SIDE = 299
"""Side for an ONNX file whose input has no fixed size: that of Inception."""
SHIPPED = Path(__file__).parent / "data" / "encoder.safetensors"
LEARNT = Path(__file__).parent / "data" / "encoder-learnt.npy"
"""Sorted hashes uint64 (n,) of the images, at their own size, that the shipped network learnt from."""
LEARNT_KEY = "learnt"
"""The same in a file that `gandem features` made, as int64."""
Network = tuple[Callable[[np.ndarray], Tensor], int, np.ndarray]
"""Maps a block of images to features, how many are a block, and the hashes of what it learnt from."""
NAME, FINGERPRINT = "gandem-images-1", "e31fec430467"
"""What the shipped weights are called, and their hash: new weights need a new name too."""


class Encoder(nn.Module):
    """Images (n, 3, 32, 32) in [-1, 1] to features (n, 128); each image by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(32, 64, 3, 1, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(64, 96, 3, 2, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(96, 96, 3, 1, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(96, 112, 3, 2, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.AvgPool2d(2),  # what lies two pixels to the side must not look new
        )
        self.project = nn.Linear(112 * 2 * 2, WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        return self.project(self.convolutions(images).flatten(1))


@dataclass(frozen=True)
class ImageFeatures:
    """Decoded images to features: name and fingerprint (of the weights) belong beside every number made with them."""

    name: str
    fingerprint: str
    of_block: Callable[[np.ndarray], Tensor] = field(repr=False)
    block: int
    learnt: np.ndarray = field(repr=False)

    def __call__(self, samples: np.ndarray) -> Tensor:
        """Map uint8 (n, H, W, C), C as in the codec, to float64 (n, d); equal images give equal rows, to rounding."""
        with torch.no_grad():
            blocks = [self.of_block(samples[at : at + self.block]) for at in range(0, len(samples), self.block)]
        return torch.cat(blocks).double()

    def learnt_from(self, samples: np.ndarray) -> np.ndarray:
        """Return which of uint8 (n, H, W, C) the network was trained on, bool (n,), by content at their own size.

        Of a network that gandem did not train nothing is known: all False.
        """
        found = digests(np.ascontiguousarray(image).data for image in samples)
        return np.array([each in self._hashes for each in found.tolist()], bool)

    @cached_property
    def _hashes(self) -> frozenset[int]:
        return frozenset(self.learnt.tolist())


def load_features(path: Path | None = None) -> ImageFeatures:
    """Return the shipped features (None), those of another `Encoder` (.safetensors), or of any network (.onnx).

    An ONNX network takes float32 (n, 3, H, W) in [0, 1]; H and W that it leaves free are 299. Images are resized as
    clean-fid does (Parmar et al. 2022): Pillow's antialiased bicubic on float channels, clipped to 0..255; then they
    are divided by 255 and nothing else. A mean and deviation, such as ImageNet's, belong into the file. Its first
    output is flattened to (n, d). Raises JudgeError for a file that is neither.
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise JudgeError(f"there is no file {path}; features come from a .safetensors or .onnx file")
    makers = {".safetensors": _encoder, ".onnx": _onnx}
    if path.suffix.lower() not in makers:
        raise JudgeError(f"{path} is neither .safetensors nor .onnx; features come from one of these")
    data = path.read_bytes()
    fingerprint = hashlib.sha256(data).hexdigest()[:12]
    if path == SHIPPED and fingerprint != FINGERPRINT:
        raise JudgeError(f"{path} is not the file that came with gandem; install gandem again")
    name = NAME if fingerprint == FINGERPRINT else path.name
    of_block, block, learnt = makers[path.suffix.lower()](path, data)
    learnt = np.load(LEARNT, allow_pickle=False) if fingerprint == FINGERPRINT else learnt
    return ImageFeatures(name, fingerprint, of_block, block, learnt)


def to_square(images: np.ndarray, side: int = SIDE) -> Tensor:
    """Return uint8 (n, H, W, C) as float32 RGB (n, 3, side, side) in [-1, 1], stretched if H is not W."""
    pixels = torch.from_numpy(_opaque(images)).permute(0, 3, 1, 2) / 127.5 - 1
    if pixels.shape[2:] != (side, side):
        # antialias only matters where an image shrinks; where it grows this is the plain bilinear
        pixels = F.interpolate(pixels, (side, side), mode="bilinear", align_corners=False, antialias=True).clamp(-1, 1)
    return pixels.expand(-1, 3, -1, -1)  # grey is repeated last: resizing costs by the channel


def _encoder(path: Path, data: bytes) -> Network:
    encoder = Encoder().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        weights = safetensors.torch.load(data)
        learnt = weights.pop(LEARNT_KEY, torch.zeros(0, dtype=torch.int64))
        encoder.load_state_dict(weights)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise JudgeError(f"{path} holds no weights of gandem's feature network; give another file: {reason}") from error

    def of_block(images: np.ndarray) -> Tensor:
        found: Tensor = encoder(to_square(images).contiguous(memory_format=torch.channels_last))
        return found

    return of_block, BLOCK, learnt.numpy().view(np.uint64)


def _onnx(path: Path, _: bytes) -> Network:
    """Open by the path and not the bytes: large weights may lie in a second file beside it."""
    onnxruntime: Any = optional("onnxruntime", "export")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no root
        raise JudgeError(f"{path} is not a readable ONNX file; export it again: {first_line(error)}") from error
    entry, *others = session.get_inputs()
    shape = [size if isinstance(size, int) else None for size in entry.shape]
    fits = len(shape) == 4 and shape[0] is None and shape[1] in (None, 3) and not others
    if not fits or entry.type != "tensor(float)":
        given = f"{entry.type} {entry.shape}" + " and more" * bool(others)
        raise JudgeError(f"{path} takes {given}; export it for float32 images (n, 3, height, width), n free")
    height, width = (size or INCEPTION_SIDE for size in shape[2:])

    def of_block(images: np.ndarray) -> Tensor:
        batch = np.stack([_clean_resize(pixels, height, width) for pixels in _opaque(images)])
        try:
            found = torch.from_numpy(np.asarray(session.run(None, {entry.name: batch})[0]))
            return found.reshape(len(images), -1)
        except Exception as error:
            what = f"does not map images {batch.shape} to one row each"
            raise JudgeError(f"{path} {what}; export it again: {first_line(error)}") from error

    return of_block, ONNX_BLOCK, np.zeros(0, np.uint64)


def _clean_resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize float32 (H, W, 1 or 3) in 0..255 to (3, height, width) in [0, 1], each channel as a float image."""
    channels = (Image.fromarray(channel) for channel in np.moveaxis(pixels, -1, 0))
    resized = [np.asarray(channel.resize((width, height), Image.Resampling.BICUBIC)) for channel in channels]
    return np.stack(resized).clip(0, 255).repeat(3 // len(resized), axis=0) / np.float32(255)


def _opaque(images: np.ndarray) -> np.ndarray:
    """Lay alpha on white, uint8 (..., C) to float32 (..., 1 or 3) in [0, 255]."""
    pixels: np.ndarray = images.astype(np.float32)
    if pixels.shape[-1] in (2, 4):
        opaque = pixels[..., -1:] / 255
        pixels = pixels[..., :-1] * opaque + 255 * (1 - opaque)
    return pixels
