"""One encoded image: its header without decoding it, and its pixels in the size and channels that are wanted."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM")
"""The Pillow readers in use; what is not here is never opened, whatever a file is called. JPEG includes MPO."""

MAX_PIXELS = 64_000_000
"""Images with more pixels than this are refused by their header, before any memory is spent on them."""

MIN_SIDE = 4
"""Images with a side below this many pixels are refused; they hold nothing to learn from."""

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's name for each number of channels."""

Fit = Literal["crop", "pad", "stretch"]


class UnreadableError(Exception):
    """One image cannot be used; the text is the reason for the data report. It never stops a run."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image say: upright size in pixels, file format, and the channels it may carry."""

    width: int
    height: int
    format: str
    grey: bool
    alpha: bool


def header_of(file: BinaryIO) -> Header:
    """Read the header only; raises UnreadableError for what is no image, or is too large or too small."""
    with readable(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            check_size(width, height)
            # Asking a PNG for EXIF that comes after its pixels would decode it whole; a TIFF is upright already.
            told = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
            if told and image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                width, height = height, width
            grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
            alpha = image.mode.endswith(("A", "a")) or "transparency" in image.info
            return Header(width, height, image.format or "", grey, alpha)


def check_size(width: int, height: int) -> None:
    """Raise UnreadableError for sizes in pixels out of range."""
    if width * height > MAX_PIXELS:
        raise UnreadableError(f"larger than {MAX_PIXELS // 1_000_000} megapixels; scale it down")
    if min(width, height) < MIN_SIDE:
        raise UnreadableError(f"a side is smaller than {MIN_SIDE} pixels")


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn whatever an image library throws at a damaged file into an UnreadableError with a short reason."""
    try:
        yield
    except UnreadableError:
        raise
    except PermissionError as error:
        raise UnreadableError("no permission to read it") from error
    except UnidentifiedImageError as error:
        raise UnreadableError("not an image, whatever its name says") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableError(f"larger than {MAX_PIXELS // 1_000_000} megapixels; scale it down") from error
    except FileNotFoundError as error:
        raise UnreadableError("vanished while it was read") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, IndexError ... on bad bytes
        raise UnreadableError("cut short or damaged") from error


def decode(data: bytes, least: int = 0) -> Image.Image:
    """Decode one image file into mode L, LA, RGB or RGBA, upright, 8 bits a channel.

    `least`: a side in pixels below which detail is not needed; large JPEGs are then decoded at a fraction.
    Raises UnreadableError.
    """
    with readable():
        if not data:
            raise UnreadableError("the file is empty")
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        check_size(*image.size)
        if least and isinstance(image, ImageFile.ImageFile):
            image.draft(image.mode, (least, least))
        image.load()
        with contextlib.suppress(Exception):  # damaged EXIF says nothing about the pixels
            image = ImageOps.exif_transpose(image)
        return _to_8_bits(image)


def from_array(pixels: np.ndarray) -> Image.Image:
    """Make an image of a uint8 (H, W, C) array with 1 to 4 channels."""
    check_size(pixels.shape[1], pixels.shape[0])
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def fitted(image: Image.Image, size: tuple[int, int], fit: Fit, channels: int) -> np.ndarray:
    """Return an image as a uint8 (height, width, channels) array.

    size: (height, width). fit: "crop" scales until the size is covered and cuts the middle out; "pad" scales until
    the image lies inside and fills up with the median colour of its border; "stretch" scales the sides apart.
    Scaling is Lanczos with antialiasing. Alpha that is not wanted is laid on white.
    """
    height, width = size
    image = in_channels(image, channels)
    if image.size != (width, height):
        image = _resized(image, width, height, fit)
    return np.asarray(image).reshape(height, width, channels)


def in_channels(image: Image.Image, channels: int) -> Image.Image:
    """Convert to 1 to 4 channels; alpha that is not wanted is laid on white."""
    if image.mode in ("LA", "RGBA") and channels in (1, 3):
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image if image.mode == MODES[channels] else image.convert(MODES[channels])


def is_colourless(image: Image.Image) -> bool:
    """Say whether red, green and blue are equal everywhere, but for the rounding of JPEG."""
    if image.mode in ("L", "LA"):
        return True
    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    return bool(np.ptp(pixels, axis=2).max() <= 4)


def is_transparent(image: Image.Image) -> bool:
    """Say whether any pixel is transparent."""
    return image.mode in ("LA", "RGBA") and bool(np.asarray(image.getchannel("A")).min() < 255)


def _resized(image: Image.Image, width: int, height: int, fit: Fit) -> Image.Image:
    lanczos = Image.Resampling.LANCZOS
    if fit == "stretch":
        return image.resize((width, height), lanczos, reducing_gap=3.0)
    if fit == "crop":
        # The box is cut and scaled in one go, so that nothing is rounded twice.
        scale = max(width / image.width, height / image.height)
        left = (image.width - width / scale) / 2
        top = (image.height - height / scale) / 2
        box = (max(left, 0), max(top, 0), min(image.width - left, image.width), min(image.height - top, image.height))
        return image.resize((width, height), lanczos, box=box, reducing_gap=3.0)
    scale = min(width / image.width, height / image.height)
    inside = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    paper = Image.new(image.mode, (width, height), border_colour(image))
    paper.paste(image.resize(inside, lanczos, reducing_gap=3.0), ((width - inside[0]) // 2, (height - inside[1]) // 2))
    return paper


def border_colour(image: Image.Image) -> int | tuple[int, ...]:
    """Return the median colour of the outermost pixels."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = tuple(int(value) for value in np.median(border, axis=0))
    return colour if len(colour) > 1 else colour[0]


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Bring any mode of Pillow to L, LA, RGB or RGBA; 16 bits are divided by 257."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return Image.fromarray(_to_bytes(np.asarray(image)))
    if "transparency" in image.info and mode in ("1", "L", "RGB", "P"):
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    elif mode in ("P", "PA"):
        with_alpha = mode == "PA" or (image.palette is not None and image.palette.mode == "RGBA")
        image = image.convert("RGBA" if with_alpha else "RGB")
    elif mode == "1":
        image = image.convert("L")
    elif mode in ("La", "RGBa"):
        image = image.convert(mode.upper())
    elif mode not in MODES.values():
        image = image.convert("RGB")
    return image


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale grey values to uint8: whole numbers are taken for 16 bits, fractions for [0, 1] or [0, 255]."""
    if not np.isfinite(values).all():
        raise UnreadableError("holds NaN or infinity")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        raise UnreadableError("holds values outside 16 bits")
    scale = 1 / 257 if values.dtype.kind in "iu" or high > 255 else 1.0 if high > 1 else 255.0
    return np.rint(values.astype(np.float64) * scale).astype(np.uint8)
