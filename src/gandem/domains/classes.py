"""Labels as people give them: names, numbers or one-hot rows, turned into classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from gandem.conditions import Condition, Told
from gandem.errors import RecipeError, SourceError, nearest
from gandem.spec import SampleSpec


def label_names(values: np.ndarray, where: str) -> list[str]:
    """Turn an array of whole numbers, texts or one-hot rows into one class name per sample; raises SourceError."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "biuf" and len(values) and (values.sum(axis=1) == 1).all():
        values = values.argmax(axis=1)
    if values.ndim != 1:
        raise SourceError(f"{where}: has shape {values.shape}; give one label per sample, or --set data.labels=none")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.rint(values)).any():
            raise SourceError(f"{where}: holds fractions or NaN; give whole numbers, or --set data.labels=none")
        values = values.astype(np.int64)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    if values.dtype.kind not in "biuU":
        raise SourceError(f"{where}: holds {values.dtype}; give whole numbers or texts, or --set data.labels=none")
    return [str(int(value) if values.dtype.kind in "biu" else value) for value in values.tolist()]


def sorted_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct class names: whole numbers by value, anything else by name."""
    names = set(labels)
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def numbered(labels: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return (int64 (n,), class names), or (None, ()) where there are fewer than two classes."""
    classes = sorted_classes(labels)
    if len(classes) < 2:
        return None, ()
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[name] for name in labels], dtype=np.int64), classes


def class_line(classes: dict[str, int]) -> str:
    """Say how often each class occurs."""
    shown = ", ".join(f"{name}: {count:,}" for name, count in list(classes.items())[:10])
    more = f" and {len(classes) - 10:,} more" if len(classes) > 10 else ""
    return f"{len(classes):,} classes: {shown}{more}"


def told(spec: SampleSpec, count: int, where: Sequence[Condition]) -> Told:
    """Return the labels of `count` samples that meet conditions: of one class, else of all in turn."""
    names = spec.labels
    for condition in where:
        if condition.name != "label" or condition.operator != "=" or len(condition.values) > 1:
            raise RecipeError(f"--where {condition}: only label=... can be asked for")
        if not names:
            raise RecipeError(f"--where {condition}: this run was trained without classes")
    if not names:
        return Told(None)
    if not where:
        return Told(torch.arange(count) % len(names))
    asked = dict.fromkeys(str(condition.values[0]) for condition in where)
    if len(asked) > 1:
        raise RecipeError(f"--where label={' label='.join(asked)}: a sample has one class; ask for one of them")
    (label,) = asked
    numbers = {} if any(map(str.isdecimal, names)) else {str(index): index for index in range(len(names))}
    if label not in names and label not in numbers:
        raise RecipeError(f"--where label={label}: no such class.{nearest(label, names)}")
    return Told(torch.full((count,), names.index(label) if label in names else numbers[label], dtype=torch.int64))
