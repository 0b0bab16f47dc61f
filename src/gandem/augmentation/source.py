"""From what a person gives to a `Problem`, read by the domain it belongs to."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gandem.augmentation import table
from gandem.augmentation.problem import Problem
from gandem.augmentation.table import Form
from gandem.domains import domain_of
from gandem.domains.given import Arrays, Given, Opened, opened
from gandem.domains.tables import suffixes
from gandem.errors import RecipeError, SourceError
from gandem.recipe import Recipe
from gandem.training.checkpoint import write_atomic

LABELS = "labels"
"""What the target of pictures and arrays is called."""


@dataclass(frozen=True)
class Source:
    """A problem, what was left out of it, and how rows are written in the form of the source.

    write: called as write(folder, rows, labels) with new rows; writes them behind the real ones, returns the file.
    form: of a table, how its numbers stand in it.
    """

    problem: Problem
    notes: tuple[str, ...]
    write: Callable[[Path, np.ndarray, np.ndarray], Path]
    form: Form | None = None


def read(given: Given, target: str, group: str | None = None) -> Source:
    """Read a table, labelled pictures or arrays, as `train` reads them; raises SourceError and RecipeError."""
    source = opened(given)
    if domain_of(source).name != "tables":
        return _samples(source, target, group)
    assert not isinstance(source, Arrays)
    problem, form, notes, real = table.read_problem(source, target, group)
    return Source(problem, notes, partial(table.write, form, real), form)


def bare(problem: Problem) -> Source:
    """Return rows or pictures that came as a `Problem`; new ones are written as an array."""

    def write(folder: Path, rows: np.ndarray, labels: np.ndarray) -> Path:
        return _written(folder / "synthetic.npz", samples=rows, labels=labels)

    return Source(problem, (), write, None if problem.pictures else Form.numbered(problem))


def _samples(source: Opened, target: str, group: str | None) -> Source:
    """Read pictures or arrays, whose target is what they are labelled with."""
    if target != LABELS:
        raise RecipeError(
            f"--target {target}: pictures and arrays have --target {LABELS} only; "
            f"tables end in {', '.join(suffixes.ALL)}"
        )
    if group is not None:
        raise RecipeError(f"--group {group}: only tables have columns to group by")
    domain = domain_of(source)
    data = domain.read(source, Recipe().data)
    samples, labels = data.samples(torch.arange(data.count))
    if labels is None:
        raise SourceError(
            f"{source}: has no labels; put pictures into one folder a class, or give an array with labels"
        )
    pictures = domain.name == "images"
    if not pictures and samples.ndim > 2:
        raise SourceError(f"{source}: samples of shape {samples.shape[1:]} are neither rows nor pictures")
    rows = samples if pictures else samples.astype(np.float64).reshape(len(samples), -1)
    mask = np.zeros(0 if pictures else rows.shape[1], bool)
    problem = Problem(rows, labels, tuple(data.spec.labels), mask, None, str(source), domain.noun)

    def write(folder: Path, made: np.ndarray, called: np.ndarray) -> Path:
        synthetic = np.repeat([False, True], [len(rows), len(made)])
        names = np.array(problem.classes)[np.concatenate([labels, called])]
        both = np.concatenate([samples, made.astype(samples.dtype).reshape(len(made), *samples.shape[1:])])
        return _written(folder / "augmented.npz", labels=names, synthetic=synthetic, **{domain.noun: both})

    return Source(problem, (), write, None if pictures else Form.numbered(problem))


def _written(path: Path, **arrays: np.ndarray) -> Path:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    write_atomic(path, file.getvalue())
    return path
