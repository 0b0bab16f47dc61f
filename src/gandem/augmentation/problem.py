"""What is asked about: labelled rows or pictures, checked before anything is learnt from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from gandem.errors import RecipeError, SourceError

MOST_CLASSES = 100
MARGIN = 0.01
"""Differences of the AUC below this are of no practical use, unless somebody says otherwise."""


@dataclass(frozen=True)
class Problem:
    """Labelled rows, and the question whether more rows would help to learn their labels.

    rows: float64 (n, d), NaN where a value is missing, categories as whole numbers 0, 1, ...; or pictures, uint8
    (n, H, W, C). labels: int64 (n,), numbers of `classes`. categorical: bool (d,), empty for pictures. groups: int64
    (n,); rows of one group stay on one side of every split. name: what the source is called. noun: what the rows are.
    """

    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    categorical: np.ndarray
    groups: np.ndarray | None = None
    name: str = "the rows"
    noun: str = "rows"

    @property
    def pictures(self) -> bool:
        """Whether the rows are pictures."""
        return self.rows.ndim > 2

    @property
    def counts(self) -> np.ndarray:
        """Rows of each class, int64 (k,)."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def positives(self) -> tuple[int, ...]:
        """Classes that are scored one against the rest: the rarer of two, all of more."""
        return (int(self.counts.argmin()),) if len(self.classes) == 2 else tuple(range(len(self.classes)))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of rows, labels and groups."""
        digest = hashlib.sha256(repr((self.rows.shape, self.classes)).encode())
        for part in (self.rows, self.labels, self.categorical, self.groups):
            digest.update(b"" if part is None else np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def check(self, folds: int) -> None:
        """Raise SourceError, in one line, for what cannot be cross-validated in so many folds."""
        if len(self.classes) < 2:
            raise SourceError(f"{self.name}: the target has one class only, {self.classes}; there is nothing to learn")
        if len(self.classes) > MOST_CLASSES:
            raise SourceError(
                f"{self.name}: the target has {len(self.classes):,} classes, more than {MOST_CLASSES}; "
                "is it a number or a name? Regression is not supported: group the values into a few classes first"
            )
        if len(self.rows) != len(self.labels) or self.rows[:1].size == 0:
            raise SourceError(
                f"{self.name}: {len(self.rows)} {self.noun} of {self.rows[:1].size} values and "
                f"{len(self.labels)} labels; give one label for each, and a column to learn from"
            )
        rarest = int(self.counts.argmin())
        if (fewest := int(self.counts[rarest])) < folds:
            raise SourceError(
                f"{self.name}: class {self.classes[rarest]!r} has {fewest} {self.noun}, fewer than the {folds} folds; "
                f"leave the class out, or take --folds {max(fewest, 2)}"
            )
        if self.groups is not None and (groups := len(np.unique(self.groups))) < folds:
            raise SourceError(f"{self.name}: {groups} groups are fewer than the {folds} folds; take fewer --folds")


def must_be_counts(folds: int, repeats: int, margin: float) -> None:
    """Raise RecipeError unless there is enough to take an interval from."""
    if not 2 <= folds <= 50:
        raise RecipeError(f"--folds {folds}: must lie between 2 and 50")
    if not 1 <= repeats <= 100:
        raise RecipeError(f"--repeats {repeats}: must lie between 1 and 100")
    if not 0 < margin < 0.5:
        raise RecipeError(f"--margin {margin:g}: must lie between 0 and 0.5, in units of the AUC")
