"""The line on which a number's bins lie: where a value begins and ends on it, and which value a place stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_DECIMALS = 9
_LARGEST = 2.0**53


@dataclass(frozen=True)
class Grid:
    """Numbers that are `origin` and multiples of `step` from there, in units of the last decimal place.

    step 0: any number. On a grid a value takes the room of half a step on both sides, so that every one of them
    gets its share when places are rounded to values.
    """

    origin: int = 0
    step: int = 0
    decimals: int = 0

    @property
    def width(self) -> float:
        """The step as a number, 0 without."""
        return float(self.step / 10.0**self.decimals)

    @classmethod
    def of(cls, values: np.ndarray) -> Grid:
        """Find the coarsest grid that holds all of the finite values (n,)."""
        values = np.unique(values)
        for decimals in range(MOST_DECIMALS + 1):
            scaled = values * 10.0**decimals
            if len(values) == 0 or np.abs(scaled[[0, -1]]).max() >= _LARGEST:
                break
            whole = np.rint(scaled)
            if (whole / 10.0**decimals == values).all():  # exactly what the text of the number gives
                origin = int(whole[0])
                step = int(np.gcd.reduce((whole - origin).astype(np.int64)))
                return cls(origin, max(step, 1), decimals)
        return cls()

    def lower(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) begin."""
        return values - self.width / 2

    def upper(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) end."""
        return values + self.width / 2

    def value(self, places: np.ndarray) -> np.ndarray:
        """Return the values (n,) nearest to places."""
        if not self.step:
            return places
        unit = 10.0**self.decimals
        steps = np.rint((places * unit - self.origin) / self.step)
        result: np.ndarray = (steps * self.step + self.origin) / unit
        return result

    def raised(self, places: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the smallest values that are not below places (n,), or above them if `strictly`."""
        values = self.value(places)
        below = values <= places if strictly else values < places
        return np.where(below, self.value(places + self.width), values) if self.step else places

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"grid": [self.origin, self.step, self.decimals]}


def scale_from(state: dict[str, Any]) -> Grid:
    """Rebuild a scale from its `to_dict`."""
    return Grid(*state["grid"])
