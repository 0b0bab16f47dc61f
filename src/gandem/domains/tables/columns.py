"""What a column of a table is: those that are modelled, and those that the source has."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

CATEGORIES = ("category", "boolean")
NUMBERS = ("integer", "decimal", "date")
MODELLED = (*CATEGORIES, *NUMBERS)
"""Kinds that a generator learns."""
KINDS = (*MODELLED, "identifier", "personal", "constant", "text")
"""All kinds; the others are made by their pattern, put back, or left empty."""


@dataclass(frozen=True)
class Column:
    """A modelled column: one column of the samples, float64.

    A category's number is the place of its name in `categories`, those that occur most first; a boolean is 0 or 1; a
    number is itself; a date is seconds since 1970 (UTC); a missing value is NaN.
    low, high: range in the training data, of numbers and dates. step: what their differences are whole multiples of,
    in seconds for dates; None where there is none. missing: whether values were missing in the training data.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    missing: bool = False

    @property
    def is_category(self) -> bool:
        """Whether its numbers are names."""
        return self.kind in CATEGORIES

    @property
    def takes_marks(self) -> bool:
        """Whether text among its numbers or dates stands for what is missing, as it may have in the training data."""
        return self.missing and self.kind in NUMBERS

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Column:
        """Rebuild from `to_dict`."""
        return cls(**{**state, "categories": tuple(state["categories"])})


@dataclass(frozen=True)
class Field:
    """A column of the source: what its values are, as which type they come back, and from what they are made.

    dtype: of polars, as text. why: how the kind was found. format: of dates that stood as text, as strftime has it.
    made: what makes the values of a column that is not modelled, in plain JSON types: the constant, or the pattern.
    by_zone: whether dates go by the clock of their zone; in older runs by UTC.
    """

    name: str
    kind: str
    dtype: str
    why: str = ""
    format: str | None = None
    made: dict[str, Any] = field(default_factory=dict)
    by_zone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Field:
        """Rebuild from `to_dict`."""
        return cls(**state)
