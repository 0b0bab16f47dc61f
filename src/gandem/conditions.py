"""What is asked of samples: conditions such as label=Bag, sex=F or age>=60."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gandem.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

Where = Mapping[str, Any] | Sequence[str]
"""Conditions as a person gives them: {"sex": "F", "age": (60, None)} or ["sex=F", "age>=60"]."""
OPERATORS = (">=", "<=", "!=", "=", ">", "<")
_FORM = re.compile(r"\s*(?P<name>.+?)\s*(?P<operator>>=|<=|!=|=|>|<)\s*(?P<value>.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """What one name must be.

    operator: one of OPERATORS. values: what it is compared with; several for "=" and "!=" mean any of them, none of
    them. None stands for a missing value.
    """

    name: str
    operator: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        return f"{self.name}{self.operator}{'|'.join('' if value is None else str(value) for value in self.values)}"


class Told(NamedTuple):
    """What a generator is told so that its samples meet conditions.

    inputs: one row for each sample, as networks take it: labels int64 (n,), or rows of what is known; None for nothing.
    chance: part of all samples that meet the conditions anyway, as the generator sees it; None where nobody knows.
    fixed: names that must come out of the codec as the generator was told them.
    """

    inputs: Tensor | None
    chance: float | None = None
    fixed: tuple[str, ...] = ()


def conditions(where: Where | None) -> tuple[Condition, ...]:
    """Read conditions; raises RecipeError for what is none.

    A mapping says what names are: a value, a list of which any will do, or a tuple (low, high) of a range with both
    ends, None for open ones. Texts are written as on the command line, with | between several values.
    """
    if where is None:
        return ()
    if isinstance(where, Mapping):
        return tuple(found for name, value in where.items() for found in _mapped(str(name), value))
    texts = [where] if isinstance(where, str) else where
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise RecipeError(f"where = {where!r}: give a mapping, as {{'sex': 'F'}}, or texts, as ['sex=F', 'age>=60']")
    return tuple(_written(text) for text in texts)


def _mapped(name: str, value: Any) -> list[Condition]:
    if isinstance(value, tuple):
        if len(value) != 2:
            raise RecipeError(f"where {name!r}: a range has two ends, as in (60, None), not {value!r}")
        ends = zip((">=", "<="), value, strict=True)
        return [Condition(name, operator, (end,)) for operator, end in ends if end is not None]
    several = value if isinstance(value, list | set) else [value]
    if not several:
        raise RecipeError(f"where {name!r}: the list of values is empty, so no sample meets it")
    return [Condition(name, "=", tuple(map(_plain, several)))]


def _plain(value: Any) -> Any:
    """Return a value as Python has it: None for what stands for missing, and no scalars of numpy."""
    try:
        missing = bool(value != value)
    except TypeError:  # NA of pandas is neither
        missing = True
    except ValueError:  # an array is no value
        missing = False
    return None if missing else value.item() if getattr(value, "ndim", None) == 0 else value


def _written(text: str) -> Condition:
    match = _FORM.fullmatch(text)
    if match is None:
        raise RecipeError(f"--where {text!r} is no condition such as label=3, sex=F or 'age>=60'")
    name, operator, value = match.group("name", "operator", "value")
    if not value and operator not in ("=", "!="):
        raise RecipeError(f"--where {text!r}: say with what to compare, as in 'age>=60'")
    several = value.split("|") if operator in ("=", "!=") else [value]
    return Condition(name, operator, tuple(each or None for each in several))
