"""All images of a source, decoded once into one uint8 array that training draws from by index."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gandem import holdout
from gandem.domains.classes import sorted_classes
from gandem.domains.given import Arrays
from gandem.domains.images import readers
from gandem.domains.images.codec import ImageCodec, PixelArray, to_unit
from gandem.domains.images.memory import allocate, finish
from gandem.domains.images.readers import Fit, UnreadableError
from gandem.domains.images.records import Source
from gandem.domains.images.report import data_report
from gandem.domains.images.source import open_source
from gandem.domains.images.survey import Progress, choose_channels, choose_size, fetch, require_two, survey
from gandem.errors import SourceError
from gandem.recipe import DataOptions
from gandem.spec import SampleSpec

Record = bytes | np.ndarray | UnreadableError
"""One record on its way: an encoded file, pixels, or the reason why there are none."""

_CHUNK_RECORDS = 32
_CHUNK_BYTES = 8 * 2**20
_HASH_ROWS = 4096


class ImageData:
    """Real images, ready to be drawn by index.

    images: uint8 (m, H, W, C), in memory or mapped from a file. labels: int64 (m,) or None.
    rows: which of them belong to this dataset, int64 (n,); all when None. `pick` and `split` share the memory.
    spec: shape (C, H, W) and the class names. mirror, turn: the same images are there mirrored, and turned by quarters:
    `views` of each, view v at the indices v n to (v + 1) n - 1.
    fingerprint: of images and labels; computed when None. array: how the images stood in an array that was given.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        spec: SampleSpec,
        report: dict[str, Any] | None = None,
        mirror: bool = False,
        *,
        turn: bool = False,
        rows: torch.Tensor | None = None,
        known_fingerprint: str | None = None,
        array: PixelArray | None = None,
    ) -> None:
        self.images = images
        self.labels = labels
        self.spec = spec
        self.codec = ImageCodec(spec, array)
        self.report = report or {}
        self.mirror = mirror
        self.turn = turn
        self.rows = torch.arange(len(images)) if rows is None else rows
        self.fingerprint = known_fingerprint or fingerprint(images, labels)
        self._pixels = torch.from_numpy(images)
        self._labels = None if labels is None else torch.from_numpy(labels)

    def __len__(self) -> int:
        return self.count * self.views

    @property
    def count(self) -> int:
        """How many different images there are, mirrored and turned ones not counted."""
        return len(self.rows)

    @property
    def views(self) -> int:
        """In how many ways every image is shown."""
        return (1 + self.mirror) * (4 if self.turn else 1)

    def batch(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {"real": float32 (n, C, H, W) in [-1, 1], channels last} and, with classes, {"label": int64 (n,)}."""
        rows = self.rows[indices % self.count]
        pixels = self._pixels.index_select(0, rows)
        views = indices // self.count
        for view in range(1, self.views):
            quarters, mirrored = divmod(view, 1 + self.mirror)
            these = views == view
            turned = pixels[these].rot90(quarters, (1, 2))
            pixels[these] = turned.flip(2) if mirrored else turned
        samples = {"real": to_unit(pixels)}
        if self._labels is not None:
            samples["label"] = self._labels.index_select(0, rows)
        return samples

    def samples(self, indices: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return images as people see them, uint8 (k, H, W, C), and their labels int64 (k,) if any."""
        rows = self.rows[indices].numpy()
        return self.images[rows], None if self.labels is None else self.labels[rows]

    def pick(self, indices: torch.Tensor) -> ImageData:
        """Return a dataset of some of the images."""
        return ImageData(
            self.images,
            self.labels,
            self.spec,
            self.report,
            self.mirror,
            turn=self.turn,
            rows=self.rows[indices],
            known_fingerprint=self.fingerprint,
            array=self.codec.array,
        )

    def split(self, share: float, codec: object = None) -> tuple[ImageData, ImageData]:
        """Return (for training, held out), about `share` of the images in the second; copies stay together."""
        images = (np.ascontiguousarray(self.images[row]).data for row in self.rows.tolist())
        training, held_out = holdout.split(holdout.places(images), share)
        return self.pick(training), self.pick(held_out)


def read_images(
    path: str | Path | Arrays, options: DataOptions, cache: Path | None = None, progress: Progress | None = None
) -> ImageData:
    """Read a source whole: look at the headers, settle size and channels, decode, report.

    cache: folder for a memory-mapped file when the pixels do not fit in half of the free memory; a temporary file
    when None. Raises SourceError when the source cannot be read or holds fewer than two usable images, StorageError
    when there is no room for the pixels.
    """
    with closing(open_source(path)) as source:
        source.where = str(path)
        if not isinstance(path, Arrays):
            source.array = None  # who gives files wants pictures back
        return _read(source, options, cache, progress)


def _read(source: Source, options: DataOptions, cache: Path | None, progress: Progress | None) -> ImageData:
    found = survey(source, progress)
    size, size_rule = choose_size(found.headers, options.size)
    channels, channel_rule = choose_channels(source, found, options.channels)
    if options.turn and size[0] != size[1]:
        told = f"with --turn pictures of {size[1]} x {size[0]} cannot be turned by a quarter"
        raise SourceError(f"{source.where}: {told}; add --size {min(size)}")
    images = allocate((len(found.indices), *size, channels), cache)
    rows = _decode_into(images, source, found.indices, options.fit, progress)
    require_two(len(rows), source)
    images = finish(images, len(rows), cache)
    labels, classes = _labels(source, [found.indices[row] for row in rows], options)
    spec = SampleSpec((channels, *size), classes)
    rules = {"size": size_rule, "channels": channel_rule, "fit": options.fit}
    headers = [found.headers[row] for row in rows]
    report = data_report(source, headers, images, labels, spec, rules)
    return ImageData(images, labels, spec, report, options.mirror, turn=options.turn, array=source.array)


def fingerprint(images: np.ndarray, labels: np.ndarray | None) -> str:
    """Return the SHA-256 of shape, pixels and labels."""
    digest = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), _HASH_ROWS):
        digest.update(np.ascontiguousarray(images[start : start + _HASH_ROWS]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _labels(source: Source, kept: list[int], options: DataOptions) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return int64 labels and class names; (None, ()) with fewer than two classes or when they are not wanted."""
    if source.labels is None or options.labels == "none":
        return None, ()
    names = [source.labels[index] for index in kept]
    present = set(names)
    classes = tuple(name for name in source.classes if name in present) or sorted_classes(names)
    if len(classes) < 2:
        source.notes.append(f"all images carry the one label '{classes[0]}', so the training has no classes")
        return None, ()
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[name] for name in names], dtype=np.int64), classes


def _decode_into(
    images: np.ndarray, source: Source, indices: list[int], fit: Fit, progress: Progress | None
) -> list[int]:
    """Decode records into the first rows of `images`, in order; return the positions in `indices` that went well."""
    if source.pixels is not None and source.pixels.shape[1:] == images.shape[1:]:
        images[:] = source.pixels
        return list(range(len(indices)))
    rows: list[int] = []
    position = 0
    workers = min(8, max(2, os.cpu_count() or 2))
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[list[np.ndarray | UnreadableError]]] = deque()
        chunks = _chunks(source, indices)
        while True:
            while len(waiting) < 2 * workers and (chunk := next(chunks, None)) is not None:
                waiting.append(pool.submit(_decode_chunk, chunk, images.shape, fit))
            if not waiting:
                return rows
            for pixels in waiting.popleft().result():
                if isinstance(pixels, UnreadableError):
                    source.skipped.append((source.names[indices[position]], str(pixels)))
                else:
                    images[len(rows)] = pixels
                    rows.append(position)
                position += 1
            if progress:
                progress("reading", position, len(indices))


def _decode_chunk(chunk: list[Record], shape: tuple[int, ...], fit: Fit) -> list[np.ndarray | UnreadableError]:
    _, height, width, channels = shape
    decoded: list[np.ndarray | UnreadableError] = []
    for record in chunk:
        try:
            if isinstance(record, UnreadableError):
                raise record
            # A JPEG may come at a fraction of its size, but large enough for the scaling to smooth it.
            if isinstance(record, bytes):
                picture = readers.decode(record, 2 * max(height, width))
            else:
                picture = readers.from_array(record)
            with readers.readable():
                decoded.append(readers.fitted(picture, (height, width), fit, channels))
        except UnreadableError as error:
            decoded.append(error)
    return decoded


def _chunks(source: Source, indices: list[int]) -> Iterator[list[Record]]:
    """Read records in order, by this thread alone, in bundles of bounded size."""
    chunk: list[Record] = []
    size = 0
    for index in indices:
        try:
            data: Record = fetch(source, index)
        except UnreadableError as error:
            data = error
        chunk.append(data)
        size += len(data) if isinstance(data, bytes) else 0
        if len(chunk) == _CHUNK_RECORDS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
