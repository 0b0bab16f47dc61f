"""Everything that can go wrong in a way a person can mend.

GandemError              one line that says what, where and what to do; the command line exits with 2
├── SourceError          the data cannot be read, or hold too little to learn from
├── RecipeError          a choice (recipe key, option, budget) is unknown or out of range
├── RunError             a run folder is missing, damaged, finished or in the way
├── StorageError         the disk is full, read-only or not ours to write
├── DependencyError      an optional library is missing; the message names the extra that brings it
├── ExportError          an exported generator does not agree with the live one
├── JudgeError           two sets cannot be compared: too few rows, other features, or numbers that are not finite
├── TrainingError        the numbers left the finite range and training cannot go on
└── Interrupted          a signal stopped the training; its checkpoint is written and the run can be resumed
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

_Entry = TypeVar("_Entry")


class GandemError(Exception):
    """Root of every error that gandem raises on purpose."""


class SourceError(GandemError):
    """The data cannot be read, or hold too little to learn from."""


class RecipeError(GandemError):
    """A choice is unknown or out of range."""


class RunError(GandemError):
    """A run folder is missing, damaged, finished or in the way."""


class StorageError(GandemError):
    """The disk is full, read-only or not ours to write."""


class DependencyError(GandemError):
    """An optional library is missing."""


class ExportError(GandemError):
    """An exported generator does not agree with the live one."""


class JudgeError(GandemError):
    """Two sets cannot be compared: too few rows, other features, or numbers that are not finite."""


class TrainingError(GandemError):
    """The numbers left the finite range and training cannot go on."""


class Interrupted(GandemError):
    """A signal stopped the training after a checkpoint was written.

    signal: "SIGINT" or "SIGTERM"; images: real images shown so far; path: the run folder, once it is known; again: how
    to go on, if not by resuming that; done: how far it had come, where images do not say it.
    """

    def __init__(
        self,
        signal: str,
        images: int,
        path: str | Path | None = None,
        again: str | None = None,
        done: str | None = None,
    ) -> None:
        super().__init__(signal, images, path, again, done)
        self.signal = signal
        self.images = images
        self.path = path
        self.again = again
        self.done = done

    def __str__(self) -> str:
        """Say where it stopped and how to go on."""
        again = self.again or f"gandem resume {self.path or 'RUN'}"
        return f"stopped at {self.done or f'{self.images:,} images'}; continue with: {again}"


def first_line(error: BaseException) -> str:
    """Return what an error of another library says, in a line: its first one, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as " Did you mean 'gamma'?" for a misspelt name, or the list of known ones."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."


def known(key: str, name: str, table: Mapping[str, _Entry]) -> _Entry:
    """Return the entry of that name, or raise RecipeError with the key and the nearest name that there is."""
    if name not in table:
        raise RecipeError(f"{key} = {name!r} is not known.{nearest(name, table)}")
    return table[name]


def optional(module: str, extra: str) -> ModuleType:
    """Import an optional library or raise a DependencyError that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{module} is not installed; run, where gandem lies: pip install -e '.[{extra}]'"
        ) from error
