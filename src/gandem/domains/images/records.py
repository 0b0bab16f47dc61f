"""What every kind of source becomes: named records that are opened one by one, and the rules that give them classes."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from gandem.domains.images.codec import PixelArray

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
                      ".ppm", ".pgm", ".pbm", ".pnm"))  # fmt: skip
"""File name endings that are read as images."""

FOREIGN = frozenset((".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw"))
"""Endings of images that are not read; they are named in the report instead of being passed over."""

TABLES = ("metadata.csv", "labels.csv")
"""Tables beside the images that may hold their labels, in the order they are looked for."""

_FILE_COLUMNS = ("file_name", "filename", "file", "image", "path", "name")
_LABEL_COLUMNS = ("label", "labels", "class", "category")
_TRAIN = frozenset({"train", "training"})
_SPLITS = _TRAIN | {"test", "testing", "val", "valid", "validation", "dev"}


@dataclass
class Source:
    """A source of images before any pixel is decoded.

    kind: what it is, in words, such as "folder" or "zip archive".
    names: one name per record, relative to the source.
    open: opens record i as a binary file, or gives its pixels as a uint8 (H, W, 1..4) array. Records are opened in
        rising order, by one thread at a time; a record that cannot be opened raises OSError or ValueError.
    labels: one class name per record, or None when the records carry no classes.
    classes: the class names in the order of their integer labels, when the source defines that order.
    pixels: all records as one uint8 (n, H, W, C) array, for sources that are one.
    array: how the pixels stood in an array that was given in memory or in a `.npy` file.
    skipped: (name, reason) of everything that was passed over on the way.
    notes: sentences for the data report.
    where: the path, for messages.
    close: called once when nothing is opened any more.
    """

    kind: str
    names: list[str]
    open: Callable[[int], BinaryIO | np.ndarray]
    labels: list[str] | None = None
    classes: tuple[str, ...] = ()
    pixels: np.ndarray | None = None
    array: PixelArray | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    where: str = ""
    close: Callable[[], None] = lambda: None

    def keep_labelled(self, labels: Sequence[str], reason: str) -> None:
        """Set one label per record, and skip the records whose label is empty."""
        self.skipped += [(name, reason) for name, label in zip(self.names, labels, strict=True) if not label]
        self.names = [name for name, label in zip(self.names, labels, strict=True) if label]
        self.labels = [label for label in labels if label]


def is_hidden(name: str) -> bool:
    """Say whether any part of a relative path is hidden or is the rubbish that macOS puts into archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def file_source(kind: str, names: Sequence[str], read: Callable[[str], BinaryIO]) -> Source:
    """Make a Source of image files out of the relative paths in a folder or an archive.

    A folder that is alone on its level is stepped into. Below it, two or more folders are classes, named by the
    first level; train, test and the like are splits, of which only train is used. A table with the columns
    file_name and label goes before the folders.
    """
    source = Source(kind, [], lambda index: read(source.names[index]))
    visible = [name for name in names if not is_hidden(name)]
    for name in visible:
        if (suffix := _suffix(name)) in FOREIGN:
            source.skipped.append((name, f"{suffix} files are not read; convert them to PNG or JPEG"))
    images = [name for name in visible if _suffix(name) in SUFFIXES]
    source.names = _train_only(images, source.notes)
    prefix = _top(source.names)
    above = _top([prefix.rstrip("/")])
    for place in dict.fromkeys((prefix, above)):  # a table may lie beside the only folder of images
        for table in TABLES:
            if place + table in visible and _label_by_table(source, place, prefix, table, read):
                return source
    _label_by_folder(source, prefix)
    return source


def train_split(names: Sequence[str]) -> list[str]:
    """Return the files of the training split when the file names carry several splits, else all of them."""
    train = [name for name in names if "train" in PurePosixPath(name).name.lower()]
    return train or list(names)


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _top(names: Sequence[str]) -> str:
    """Return the deepest folder that holds all the files, with a slash at its end, or nothing."""
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names]) if names else ""
    return folder + "/" if folder else ""


def _train_only(names: list[str], notes: list[str]) -> list[str]:
    """Leave out other splits when the folders are train, test and the like."""
    prefix = _top(names)
    tops = {name[len(prefix) :].partition("/")[0] for name in names}
    train = next((top for top in sorted(tops) if top.lower() in _TRAIN), None)
    if train is None or not all(top.lower() in _SPLITS for top in tops):
        return names
    kept = [name for name in names if name.startswith(f"{prefix}{train}/")]
    notes.append(f"only the split '{train}' is used; {len(names) - len(kept)} images of other splits are left alone")
    return kept


def _label_by_folder(source: Source, prefix: str) -> None:
    """Name the class of every image by the first folder below `prefix`, when there are at least two such folders."""
    tops = [top if slash else "" for top, slash, _ in (name[len(prefix) :].partition("/") for name in source.names)]
    if len(set(tops) - {""}) < 2:
        return
    loose = tops.count("")
    if loose > len(tops) // 10:
        source.notes.append(f"{loose} images lie beside the folders, so the folders are not taken for classes")
        return
    source.keep_labelled(tops, "lies beside the class folders, so it has no class")


def _label_by_table(source: Source, place: str, prefix: str, table: str, read: Callable[[str], BinaryIO]) -> bool:
    """Take the labels from a table in the folder `place`, which names files as seen from there or from `prefix`.

    Returns False with a note when it holds none.
    """
    try:
        with read(place + table) as file:
            rows = list(csv.DictReader(io.StringIO(file.read().decode("utf-8-sig"))))
    except (OSError, ValueError, csv.Error) as error:
        source.notes.append(f"{table} cannot be read ({type(error).__name__}), so it gives no labels")
        return False
    columns = {str(column).strip().lower(): column for column in (rows[0] if rows else ())}
    file_column = next((columns[name] for name in _FILE_COLUMNS if name in columns), None)
    label_column = next((columns[name] for name in _LABEL_COLUMNS if name in columns), None)
    if file_column is None or label_column is None:
        source.notes.append(f"{table} lacks the columns file_name and label, so it gives no labels")
        return False
    there, known = set(source.names), {}
    for row in rows:
        ways = [posixpath.normpath(folder + (row[file_column] or "")) for folder in (place, prefix)]
        known[next((way for way in ways if way in there), ways[0])] = (row[label_column] or "").strip()
    absent = len(known.keys() - there)
    if absent == len(known):
        source.notes.append(f"{table} names none of the images, so it gives no labels")
        return False
    if absent:
        source.notes.append(f"{table} names {absent} files that are not there")
    source.keep_labelled([known.get(name, "") for name in source.names], f"has no label in {table}")
    return True
