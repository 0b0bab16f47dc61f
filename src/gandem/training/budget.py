"""How long a training lasts: "10m", "2h" (time) or "200k" (images shown)."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from gandem.errors import RecipeError

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_IMAGES = {"": 1, "k": 1_000, "M": 1_000_000}
_LONGEST = 1e12
"""Of any unit: nobody lives to see it, and the sums stay finite."""


@dataclass(frozen=True)
class Budget:
    """Exactly one of `images` and `seconds` is set.

    The progress of the budget in [0, 1] is the clock of every schedule. With images it depends on nothing but the count
    of images shown, so that equal commands give equal bytes.
    """

    images: int | None = None
    seconds: float | None = None

    def progress(self, images: int, seconds: float) -> float:
        """Return the part of the budget that is spent, in [0, 1]."""
        spent = images / self.images if self.images else seconds / (self.seconds or 1.0)
        return min(spent, 1.0)

    def extended(self, text: str) -> Budget:
        """Return the budget with "+10m" or "+50k" added; the unit must be the one that it already has."""
        more = parse_budget(text.removeprefix("+"))
        if (more.images is None) != (self.images is None):
            unit = "images, as in +50k" if self.images else "time, as in +10m"
            raise RecipeError(f"budget {text!r}: this run is measured in {unit}")
        if self.images:
            return Budget(images=self.images + (more.images or 0))
        return Budget(seconds=(self.seconds or 0) + (more.seconds or 0))

    def __str__(self) -> str:
        """Say it in words."""
        if self.images:
            return f"{self.images:,} images"
        seconds = self.seconds or 0
        if seconds == 60:
            return "1 minute"
        return f"{seconds / 60:g} minutes" if seconds > 60 else f"{seconds:g} seconds"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def parse_budget(text: str) -> Budget:
    """Read "90s", "10m", "2h", "1d" as time and "20000", "200k", "1.5M" as images; raises RecipeError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    advice = "write time as 90s, 10m, 2h or images as 200k, 1.5M"
    if not match:
        raise RecipeError(f"budget {text!r} is not understood: {advice}")
    value, unit = min(float(match[1]), _LONGEST), match[2]
    if unit in _IMAGES and round(value * _IMAGES[unit]) >= 1:
        return Budget(images=round(value * _IMAGES[unit]))
    if unit in _SECONDS and value > 0:
        return Budget(seconds=value * _SECONDS[unit])
    raise RecipeError(f"budget {text!r} is not understood: {advice}")
