"""Zip and tar archives of a folder of images, read in place: nothing is ever unpacked to disk."""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO

from gandem.domains.images.records import Source, file_source
from gandem.errors import SourceError, first_line

ZIP_SUFFIXES = (".zip",)
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_MAX_MEMBER = 512 * 2**20  # bytes of one image file after decompression
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, ValueError, NotImplementedError)


def zip_source(path: Path) -> Source:
    """Read a .zip; raises SourceError for damaged or locked archives and for paths that leave the folder."""
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except _DAMAGE as error:
            raise _damaged(path, "zip", error) from error
        members = {}
        for info in archive.infolist():
            name = safe_name(info.filename, path)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise SourceError(f"{path}: holds a link ({info.filename}); pack it again without links")
            if info.flag_bits & 1:
                raise SourceError(f"{path}: is protected by a password; unpack it and give the folder")
            if not info.is_dir():
                members[name] = info

        def read(name: str) -> BinaryIO:
            return _whole(archive.open(members[name]), members[name].file_size)

        source = file_source("zip archive", sorted(members), read)
        source.close = stack.pop_all().close
        return source


def tar_source(path: Path) -> Source:
    """Read a .tar, plain or compressed; raises SourceError like `zip_source`."""
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(path, "r:*", errors="replace"))
            infos = archive.getmembers()
        except _DAMAGE as error:
            raise _damaged(path, "tar", error) from error
        members = {}
        for info in infos:
            name = safe_name(info.name, path)
            if info.issym() or info.islnk():
                raise SourceError(f"{path}: holds a link ({info.name}); pack it again without links")
            if info.isfile():
                members[name] = info

        def read(name: str) -> BinaryIO:
            return _whole(archive.extractfile(members[name]), members[name].size)

        # In the order of the archive: a compressed one can only be read forwards at a bearable speed.
        source = file_source("tar archive", list(members), read)
        source.close = stack.pop_all().close
        return source


def safe_name(name: str, path: Path) -> str:
    """Return a member's normal relative path; raises SourceError for one that would leave the folder."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in plain.split("/"):
        raise SourceError(f"{path}: holds a path that leaves the folder ({name!r}); do not trust it, or pack it again")
    return posixpath.normpath(plain)


def _whole(file: IO[bytes] | None, size: int) -> BinaryIO:
    """Read a member whole, so that every kind of damage shows as an OSError here."""
    if file is None or size > _MAX_MEMBER:
        raise OSError("no file, or one that is too large")
    try:
        with file:
            return io.BytesIO(file.read())
    except _DAMAGE as error:
        raise OSError(str(error)) from error


def _damaged(path: Path, kind: str, error: BaseException) -> SourceError:
    reason = first_line(error)
    return SourceError(f"{path}: not a readable {kind} archive ({reason}); pack or download it again")
