"""Images that come as arrays of numbers: `.npz` files and the IDX files of MNIST."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from gandem.domains.classes import label_names
from gandem.domains.images.codec import PixelArray
from gandem.domains.images.memory import free_memory
from gandem.domains.images.records import Source
from gandem.errors import SourceError

IDX_NAME = re.compile(r"(?P<prefix>.*)images[-.]idx3-ubyte(?P<gz>\.gz)?$")

_IMAGE_KEYS = ("images", "x", "train_images", "x_train", "X", "data", "arr_0")
_LABEL_KEYS = ("labels", "y", "train_labels", "y_train", "label", "Y", "targets")
_NAMES_KEY = "label_names"
_BLOCK = 1024  # images converted at a time
_DAMAGE = (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, NotImplementedError)


def array_source(kind: str, where: str, images: np.ndarray, labels: list[str] | None) -> Source:
    """Make a Source of an array of images; raises SourceError when it cannot be one.

    images: (n, H, W), (n, H, W, 1..4) or (n, 1..4, H, W), of any type that `to_bytes` takes.
    """
    layout = _layout(images, where)
    dtype = str(images.dtype)
    images = images[..., None] if layout == "NHW" else images.transpose(0, 2, 3, 1) if layout == "NCHW" else images
    if labels is not None and len(labels) != len(images):
        raise SourceError(f"{where}: {len(labels)} labels for {len(images)} images; give one label for each image")
    pixels, finite, offset, scale = to_bytes(images, where)
    kept = np.flatnonzero(finite)
    if len(kept) < len(pixels):
        pixels = pixels[kept]
    source = Source(kind, [f"image {index}" for index in kept], lambda index: pixels[index], pixels=pixels)
    source.array = PixelArray(layout, dtype, offset, scale)
    source.labels = None if labels is None else [labels[index] for index in kept]
    source.skipped = [(f"image {index}", "holds NaN or infinity") for index in np.flatnonzero(~finite)]
    return source


def npz_source(path: Path) -> Source:
    """Read a `.npz` with `images` and perhaps `labels`; raises SourceError with what is wrong and what to do."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise SourceError(f"{path}: holds one bare array; save it with numpy.savez(path, images=array)")
    except _DAMAGE as error:
        raise SourceError(f"{path}: not a readable .npz file; write it again with numpy.savez") from error
    with archive:
        image_key, images = _images_of(archive, path)
        label_key = _matching(image_key, archive.files)
        labels = None if label_key is None else label_names(_load(archive, label_key, path), f"{path}['{label_key}']")
        classes = _class_names(archive, labels, path)
    if labels is not None and classes:
        labels = [classes[int(label)] for label in labels]
    source = array_source("npz file", f"{path}['{image_key}']", images, labels)
    source.classes = classes
    others = [key for key in archive.files if key not in (image_key, label_key, _NAMES_KEY)]
    if others:
        source.notes.append(f"'{image_key}' is used; other arrays in the file are left alone: {', '.join(others[:8])}")
    return source


def _class_names(archive: np.lib.npyio.NpzFile, labels: list[str] | None, path: Path) -> tuple[str, ...]:
    """Return the texts in `label_names`, which name the whole numbers in the labels; () when there are none."""
    if labels is None or _NAMES_KEY not in archive.files:
        return ()
    names = tuple(label_names(_load(archive, _NAMES_KEY, path), f"{path}['{_NAMES_KEY}']"))
    if any(not label.isdigit() or int(label) >= len(names) for label in labels):
        raise SourceError(f"{path}: some labels are no index into the {len(names)} label_names; write it again")
    return names


def idx_source(path: Path, others: list[str]) -> Source:
    """Read an IDX file of images and, when `others` (names beside it) hold it, the file of its labels."""
    images = _read_idx(path, dimensions=3)
    found = IDX_NAME.match(path.name)
    stem = found["prefix"] if found else ""
    table = next((name for name in others if re.match(re.escape(stem) + r"labels[-.]idx1-ubyte(\.gz)?$", name)), None)
    labels = None if table is None else [str(value) for value in _read_idx(path.with_name(table), dimensions=1)]
    return array_source("IDX files", str(path), images, labels)


def to_bytes(images: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return (uint8 images, finite (n,), offset, scale): a pixel is (number + offset) * scale, where that is finite.

    uint8 stays as it is; other whole numbers and fractions are read as [0, 1], [-1, 1], [0, 255] or 16 bits, whichever
    is the smallest range that holds all of them (whole numbers: [0, 255] or 16 bits). Raises SourceError for the rest.
    """
    finite = np.ones(len(images), dtype=bool)
    if images.dtype == np.uint8:
        return images, finite, 0.0, 1.0
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255), finite, 0.0, 255.0
    if images.dtype.kind not in "iuf":
        raise SourceError(f"{where}: holds {images.dtype}; give uint8, uint16 or floats in [0, 1]")
    low, high = math.inf, -math.inf
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        good = np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
        finite[start : start + _BLOCK] = good
        if good.any():
            low, high = min(low, float(block[good].min())), max(high, float(block[good].max()))
    if not finite.any():
        raise SourceError(f"{where}: every image holds NaN or infinity; save finite values")
    offset, scale = _range(images.dtype.kind, low, high, where)
    pixels = np.zeros(images.shape, dtype=np.uint8)
    for start in range(0, len(images), _BLOCK):
        part = slice(start, start + _BLOCK)
        values = images[part][finite[part]].astype(np.float64)
        pixels[part][finite[part]] = np.rint((values + offset) * scale)
    return pixels, finite, offset, scale


def _range(kind: str, low: float, high: float, where: str) -> tuple[float, float]:
    """Return (offset, scale) that bring values between `low` and `high` onto 0..255."""
    if kind == "f" and low >= 0 and high <= 1:
        return 0.0, 255.0
    if low < 0 and low >= -1 and high <= 1:
        return 1.0, 127.5
    if low >= 0 and high <= 255:
        return 0.0, 1.0
    if low >= 0 and high <= 65535:
        return 0.0, 1 / 257
    raise SourceError(f"{where}: values from {low:g} to {high:g} are no known range; scale them to 0..255 or [0, 1]")


def _layout(images: np.ndarray, where: str) -> str:
    if images.ndim == 3 and images.shape[2] > 4:
        return "NHW"
    if images.ndim == 4 and images.shape[3] in (1, 2, 3, 4):
        return "NHWC"
    if images.ndim == 4 and images.shape[1] in (1, 2, 3, 4):
        return "NCHW"
    raise SourceError(f"{where}: has shape {images.shape}; give (n, height, width) or (n, height, width, 1 to 4)")


def _images_of(archive: np.lib.npyio.NpzFile, path: Path) -> tuple[str, np.ndarray]:
    key = next((key for key in _IMAGE_KEYS if key in archive.files), None)
    if key is not None:
        return key, _load(archive, key, path)
    arrays = {key: _load(archive, key, path) for key in archive.files}
    candidates = [key for key, array in arrays.items() if array.ndim in (3, 4)]
    if len(candidates) != 1:
        found = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
        raise SourceError(f"{path}: has no array 'images' (it holds {found}); name it so in numpy.savez")
    return candidates[0], arrays[candidates[0]]


def _matching(image_key: str, keys: list[str]) -> str | None:
    """Return the key of the labels that belong to the images: train_labels to train_images, else labels or y."""
    twin = image_key.replace("images", "labels").replace("x", "y")
    wanted = [twin] if twin != image_key and twin in keys else []
    return next((key for key in (*wanted, *_LABEL_KEYS) if key in keys and key != image_key), None)


def _load(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        if any(info.file_size > free_memory() for info in archive.zip.infolist()):  # type: ignore[union-attr]
            raise SourceError(f"{path}: holds more than fits in memory; give the images as files or as several parts")
        array = archive[key]
        if not isinstance(array, np.ndarray):  # numpy hands out what is no array as bytes
            raise ValueError(key)
        return array
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise SourceError(f"{path}['{key}']: holds Python objects; these are never read, save numbers") from error
        raise SourceError(f"{path}['{key}']: is damaged; save the file again") from error
    except (*_DAMAGE, MemoryError) as error:
        raise SourceError(f"{path}['{key}']: cannot be read ({type(error).__name__}); save the file again") from error


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read one IDX file of unsigned bytes; raises SourceError when its header or its length is wrong."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
                raise SourceError(f"{path}: not an IDX file of bytes in {dimensions} dimensions; download it again")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            size = math.prod(shape)
            if size > free_memory():
                raise SourceError(f"{path}: promises {size / 2**30:.0f} GiB, more than fits in memory; check the file")
            data = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read ({type(error).__name__}); download it again") from error
    if len(data) != size:
        raise SourceError(f"{path}: holds other than the {size} bytes that its header promises; download it again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
