"""A first look at a source, headers only: which images can be used, and at what size and channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from gandem.domains.images import readers
from gandem.domains.images.readers import Header, UnreadableError
from gandem.domains.images.records import Source
from gandem.errors import SourceError

Progress = Callable[[str, int, int], None]

_SIZES = (128, 64, 32)  # tried in this order; larger ones cost more than most budgets hold and must be asked for
_COMMON = range(16, 257)  # pixels of a side up to which a size that all images share is kept as it is
_SAMPLE = 64  # images looked at closely to tell grey and opaque ones that are stored as colour or with alpha


@dataclass
class Survey:
    """The records that look usable, by index into the source, and their headers."""

    indices: list[int]
    headers: list[Header]


def survey(source: Source, progress: Progress | None = None) -> Survey:
    """Read every header; what cannot be used goes to `source.skipped`. Raises SourceError when fewer than 2 remain."""
    found = Survey([], [])
    total = len(source.names)
    for index, name in enumerate(source.names):
        try:
            same = source.pixels is not None and found.headers
            found.headers.append(found.headers[0] if same else _header(source, index))
            found.indices.append(index)
        except UnreadableError as error:
            source.skipped.append((name, str(error)))
        if progress and (index % 500 == 499 or index == total - 1):
            progress("looking", index + 1, total)
    require_two(len(found.indices), source)
    return found


def require_two(count: int, source: Source) -> None:
    """Raise SourceError when fewer than two usable images are left, saying what happened to the others."""
    if count >= 2:
        return
    found = "one image is not enough" if count else "no image can be read"
    reasons = Counter(reason for _, reason in source.skipped).most_common(2)
    why = "".join(f"; {number} skipped: {reason}" for reason, number in reasons)
    raise SourceError(f"{source.where}: {found}; give at least 2 usable images, better 1,000{why}")


def choose_size(headers: list[Header], size: int | tuple[int, int] | Literal["auto"]) -> tuple[tuple[int, int], str]:
    """Return (height, width) and the rule that gave them, in words."""
    if size != "auto":
        height, width = (size, size) if isinstance(size, int) else size
        return (height, width), "as asked for"
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) == 1:
        height, width = next(iter(sizes))
        if height in _COMMON and width in _COMMON:
            return (height, width), "the size that all images share"
    smaller = np.array([min(header.height, header.width) for header in headers])
    side = next((side for side in _SIZES if (smaller >= side).mean() >= 0.9), _SIZES[-1])
    if (smaller >= side).mean() < 0.9:
        return (side, side), f"the smallest size in use; the smaller images are enlarged to {side}"
    return (side, side), f"the largest of {', '.join(map(str, _SIZES[::-1]))} that 90 % of the images can fill"


def choose_channels(source: Source, found: Survey, channels: int | Literal["auto"]) -> tuple[int, str]:
    """Return the number of channels and the rule that gave it, in words.

    Grey when 95 % of the images are grey, with alpha when most are transparent somewhere; images stored as colour or
    with alpha are judged by the pixels of an even sample.
    """
    if channels != "auto":
        return channels, "as asked for"
    colour = [row for row, header in enumerate(found.headers) if not header.grey]
    alpha = [row for row, header in enumerate(found.headers) if header.alpha]
    count = len(found.headers)
    colourless = _share(source, found, colour, readers.is_colourless)
    grey = 1 - len(colour) / count * (1 - colourless) >= 0.95
    transparent = len(alpha) / count * _share(source, found, alpha, readers.is_transparent) > 0.5
    rule = ("grey" if grey else "colour") + (" with alpha" if transparent else "") + ", as most images are"
    return (1 if grey else 3) + transparent, rule


def _share(source: Source, found: Survey, rows: list[int], test: Callable[[Image.Image], bool]) -> float:
    """Return the part of an even sample of these rows that passes a test of its pixels."""
    chosen = [rows[int(place)] for place in np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows)))] if rows else []
    votes = []
    for row in chosen:
        try:
            votes.append(test(load(source, found.indices[row], least=64)))
        except UnreadableError:
            continue  # the pass over all pixels will name it
    return sum(votes) / len(votes) if votes else 0.0


def load(source: Source, index: int, least: int = 0) -> Image.Image:
    """Decode one record; raises UnreadableError."""
    data = fetch(source, index)
    return readers.from_array(data) if isinstance(data, np.ndarray) else readers.decode(data, least)


def fetch(source: Source, index: int) -> bytes | np.ndarray:
    """Read one record without decoding it; raises UnreadableError."""
    with readers.readable():
        record = source.open(index)
        if isinstance(record, np.ndarray):
            return record
        with record:
            return record.read()


def _header(source: Source, index: int) -> Header:
    with readers.readable():
        record = source.open(index)
        if isinstance(record, np.ndarray):
            height, width, channels = record.shape
            readers.check_size(width, height)
            return Header(width, height, "array", channels < 3, channels % 2 == 0)
        with record:
            if not record.read(1):
                raise UnreadableError("the file is empty")
            record.seek(0)
            return readers.header_of(record)
