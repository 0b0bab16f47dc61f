"""Finds out what a path is and opens it: a folder, an archive, an array file, IDX files or Parquet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gandem.domains.classes import label_names
from gandem.domains.given import Arrays
from gandem.domains.images.archives import TAR_SUFFIXES, ZIP_SUFFIXES, tar_source, zip_source
from gandem.domains.images.arrays import IDX_NAME, array_source, idx_source, npz_source
from gandem.domains.images.parquet import parquet_source
from gandem.domains.images.records import SUFFIXES, Source, file_source, is_hidden, train_split
from gandem.errors import SourceError

_READS = "a folder of images, .zip, .tar, .tar.gz, .npz, .npy, MNIST IDX files or .parquet"


def open_source(path: str | Path | Arrays) -> Source:
    """Open a source without decoding pixels; raises SourceError with what it is instead and what to do."""
    if isinstance(path, Arrays):
        labels = None if path.labels is None else label_names(path.labels, f"the labels of the {path}")
        return array_source("an", path.name, path.values, labels)
    if not str(path):
        raise SourceError(f"the source is an empty text; give {_READS}")
    if "://" in str(path):
        raise SourceError(f"{path}: is an address; download it first and give the file or the folder")
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            return _folder(path.resolve())
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder; check the path")
        if not path.is_file():
            raise SourceError(f"{path}: is neither a file nor a folder; give {_READS}")
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty; give {_READS}")
        return _file(path)
    except PermissionError as error:
        raise SourceError(f"{path}: no permission to read it; change its rights with chmod") from error


def _file(path: Path) -> Source:
    name = path.name.lower()
    readers: dict[tuple[str, ...], Callable[[Path], Source]] = {
        ZIP_SUFFIXES: zip_source,
        TAR_SUFFIXES: tar_source,
        (".npz",): npz_source,
        (".parquet", ".parq"): lambda file: parquet_source([file]),
    }
    for suffixes, reader in readers.items():
        if name.endswith(suffixes):
            return reader(path)
    if IDX_NAME.match(path.name):
        return idx_source(path, sorted(os.listdir(path.parent)))
    if path.suffix.lower() in SUFFIXES:
        raise SourceError(f"{path}: one image is not enough; give the folder that holds your images")
    raise SourceError(f"{path}: not a source of images; give {_READS}")


def _folder(root: Path) -> Source:
    names, skipped = _walk(root)
    by_name = {name: name.rpartition("/")[2] for name in names}
    idx = [name for name in names if IDX_NAME.match(by_name[name])]
    shards = [name for name in names if name.lower().endswith((".parquet", ".parq"))]
    if idx:
        chosen = root / train_split(idx)[0]
        source = idx_source(chosen, sorted(os.listdir(chosen.parent)))
        if len(idx) > 1:
            source.notes.append(f"only {chosen.name} is used; the folder holds {len(idx)} files of images")
    elif shards and not any(name.lower().endswith(tuple(SUFFIXES)) for name in names):
        chosen_shards = train_split(shards)
        source = parquet_source([root / name for name in chosen_shards])
        if len(chosen_shards) < len(shards):
            source.notes.append(f"only the {len(chosen_shards)} shards of the split 'train' are used")
    else:
        source = file_source("folder", names, lambda name: (root / name).open("rb"))
        _explain_emptiness(root, names, source, skipped)
    source.skipped = skipped + source.skipped
    return source


def _explain_emptiness(root: Path, names: list[str], source: Source, skipped: list[tuple[str, str]]) -> None:
    if source.names or source.skipped or skipped:
        return
    packed = [name for name in names if name.lower().endswith((*ZIP_SUFFIXES, *TAR_SUFFIXES, ".npz"))]
    if packed:
        raise SourceError(f"{root}: holds no images, but {packed[0]}; give {root / packed[0]}")
    raise SourceError(f"{root}: the folder holds no images; give {_READS}")


def _walk(root: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the sorted relative paths of all files that are not hidden, and what was skipped.

    Links to folders are not followed and links to files outside are not read, so a source never reaches beyond itself.
    """
    names: list[str] = []
    skipped: list[tuple[str, str]] = []

    def refuse(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        skipped.append((os.path.relpath(error.filename, root), "no permission to list the folder"))

    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        skipped += [
            ((here / name).relative_to(root).as_posix(), "a link to a folder")
            for name in folders
            if (here / name).is_symlink()
        ]
        for name in files:
            path = here / name
            relative = path.relative_to(root).as_posix()
            if is_hidden(name):
                continue
            if (readable := relative.encode("utf-8", "replace").decode()) != relative:
                skipped.append((readable, "its name is not UTF-8; rename it"))
            elif path.is_symlink() and not path.resolve().is_relative_to(root):
                skipped.append((relative, "a link that leaves the folder"))
            elif not path.is_file():
                skipped.append((relative, "not a regular file"))
            else:
                names.append(relative)
    return sorted(names), skipped
