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

    def lowered(self, places: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the largest values that are not above places (n,), or below them if `strictly`."""
        values = self.value(places)
        above = values >= places if strictly else values > places
        return np.where(above, self.value(places - self.width), values) if self.step else places

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"grid": [self.origin, self.step, self.decimals]}


HOURS, DAYS = 24, 7
_HOUR = 3600
_MONDAY = 3 * 86_400  # 1970 began on a Thursday
FEWEST_DATES = 100
"""Dates from which it shows which days of the week and which hours they fall on."""


@dataclass(frozen=True)
class Calendar:
    """Dates, whose line runs by how often each day of the week and each hour occurs.

    Seconds since 1970 are multiples of `step` seconds (0: any). Hours that never occur take no room, so that no date
    can fall on them, and those that occur twice as often take twice as much.
    """

    step: int
    days: tuple[float, ...] = (1.0,) * DAYS
    hours: tuple[float, ...] = (1.0,) * HOURS

    @property
    def width(self) -> float:
        """The step in seconds."""
        return float(self.step)

    @classmethod
    def of(cls, values: np.ndarray) -> Calendar:
        """Find the step and the habits of finite seconds (n,)."""
        whole = (values == np.rint(values)).all()
        step = int(np.gcd.reduce(np.unique(np.rint(values)).astype(np.int64))) if whole else 0
        step = next((unit for unit in (86_400, 3600, 1800, 900, 300, 60, 1) if step and step % unit == 0), 0)
        if step == 0 and (values % 86_400 == 0).all():  # the one date is the beginning of 1970
            step = 86_400
        if len(values) < FEWEST_DATES:
            return cls(step)
        into = np.floor((values + _MONDAY) / _HOUR).astype(np.int64) % (HOURS * DAYS)
        days = np.bincount(into // HOURS, minlength=DAYS) / len(values)
        hours = np.bincount(into % HOURS, minlength=HOURS) / len(values) if step < 86_400 else np.ones(HOURS)
        return cls(step, *(tuple(float(f"{part:.4g}") for part in parts) for parts in (days, hours)))

    def _week(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return hours of the week that occur, and where each begins and ends on a line from 0 to 1."""
        weights = np.outer(self.days, self.hours).ravel()
        ends = np.cumsum(weights) / weights.sum()
        hours = np.flatnonzero(weights)
        return hours, np.concatenate([[0], ends[:-1]])[hours], ends[hours]

    def lower(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) begin, in weeks."""
        since = (values + _MONDAY) / _HOUR
        weeks, into = np.divmod(since, HOURS * DAYS)
        hours, starts, ends = self._week()
        edges = np.stack([hours, hours + 1], 1).ravel()
        return weeks + np.interp(into, edges, np.stack([starts, ends], 1).ravel())

    def upper(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) end, in weeks."""
        return self.lower(values + self.step)

    def value(self, places: np.ndarray) -> np.ndarray:
        """Return the dates (n,) in whose room places lie."""
        hours, starts, ends = self._week()
        weeks, into = np.divmod(places, 1)
        at = np.clip(np.searchsorted(starts, into, side="right") - 1, 0, len(hours) - 1)
        part = np.clip((into - starts[at]) / (ends[at] - starts[at]), 0, 1 - 1e-9)
        seconds = (weeks * HOURS * DAYS + hours[at] + part) * _HOUR - _MONDAY
        return np.floor(seconds / self.step) * self.step if self.step else np.round(seconds, 6)

    def raised(self, values: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the earliest dates that are not before seconds (n,), or after them if `strictly`."""
        if not self.step:
            return values
        steps = np.floor(values / self.step) + 1 if strictly else np.ceil(values / self.step)
        return steps * self.step

    def lowered(self, values: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the latest dates that are not after seconds (n,), or before them if `strictly`."""
        if not self.step:
            return values
        steps = np.ceil(values / self.step) - 1 if strictly else np.floor(values / self.step)
        return steps * self.step

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"calendar": [self.step, list(self.days), list(self.hours)]}


@dataclass(frozen=True)
class Months:
    """Dates that are all the first of a month; multiples of `step` months from `origin`, counted from 1970."""

    origin: int
    step: int

    @property
    def width(self) -> float:
        """The step in seconds, about."""
        return self.step * 2_629_746.0

    @classmethod
    def of(cls, values: np.ndarray) -> Months | None:
        """Find the step of seconds (n,), or return None if not all are the first of a month, or all are one."""
        dates = np.unique(values.astype("datetime64[s]"))
        months = dates.astype("datetime64[M]")
        if len(dates) < 2 or (months.astype("datetime64[s]") != dates).any():
            return None
        numbers = months.astype(np.int64)
        return cls(int(numbers[0]), int(np.gcd.reduce(numbers - numbers[0])))

    @staticmethod
    def _number(values: np.ndarray) -> np.ndarray:
        return np.floor(values).astype("datetime64[s]").astype("datetime64[M]").astype(np.float64)

    def lower(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) begin, in months."""
        return self._number(values) - self.step / 2

    def upper(self, values: np.ndarray) -> np.ndarray:
        """Return where values (n,) end, in months."""
        return self._number(values) + self.step / 2

    def value(self, places: np.ndarray) -> np.ndarray:
        """Return the dates (n,) nearest to places, in seconds."""
        numbers = np.rint((places - self.origin) / self.step).astype(np.int64) * self.step + self.origin
        return numbers.astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)

    def raised(self, values: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the earliest dates that are not before seconds (n,), or after them if `strictly`."""
        found = self.value(self._number(values))
        below = found <= values if strictly else found < values
        return np.where(below, self.value(self._number(found) + self.step), found)

    def lowered(self, values: np.ndarray, strictly: bool = False) -> np.ndarray:
        """Return the latest dates that are not after seconds (n,), or before them if `strictly`."""
        found = self.value(self._number(values))
        above = found >= values if strictly else found > values
        return np.where(above, self.value(self._number(found) - self.step), found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"months": [self.origin, self.step]}


Scale = Grid | Calendar | Months


def date_scale(values: np.ndarray) -> Scale:
    """Return the line for finite seconds (n,)."""
    return Months.of(values) or Calendar.of(values)


def scale_from(state: dict[str, Any]) -> Scale:
    """Rebuild a scale from its `to_dict`."""
    if "months" in state:
        return Months(*state["months"])
    if "calendar" in state:
        step, days, hours = state["calendar"]
        return Calendar(step, tuple(days), tuple(hours))
    return Grid(*state["grid"])
