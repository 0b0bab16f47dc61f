"""Growth: the game begins with samples of a fraction of their size (Karras et al. 2018, "Progressive growing of GANs").

A small picture costs little, and at that size neither player can win by fine detail before the whole is right. Networks
that can do this add each finer stage as a zero at first, so that nothing jumps when the size doubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Stage(NamedTuple):
    """The game at one size, from `begin` to `end` of the budget, each in [0, 1]."""

    begin: float
    end: float
    halvings: int


@dataclass(frozen=True)
class Growth:
    """At what size the game is played, by the progress of the budget in [0, 1].

    halvings: how often each side is halved at first. until: progress at which the samples have their full size; each of
    the smaller sizes gets an equal part of that.
    """

    halvings: int = 0
    until: float = 0.0

    def at(self, progress: float) -> int:
        """Return how often the samples are halved now."""
        return [stage.halvings for stage in self.stages if stage.begin <= progress][-1]

    @property
    def stages(self) -> list[Stage]:
        """Every size that is played, from the smallest."""
        if not self.halvings or not self.until:
            return [Stage(0.0, 1.0, 0)]
        begins = [self.until * step / self.halvings for step in range(self.halvings + 1)]
        return [Stage(begin, end, self.halvings - step) for step, (begin, end) in enumerate(pairwise([*begins, 1.0]))]


FULL_SIZE = Growth()


def halve(samples: Tensor, times: int) -> Tensor:
    """Return (n, channels, height, width) with each side halved so often, by averaging."""
    return F.avg_pool2d(samples, 2**times) if times else samples


def enlarge(samples: Tensor, times: int) -> Tensor:
    """Undo `halve`: every value becomes a square of equal ones."""
    return F.interpolate(samples, scale_factor=2**times, mode="nearest") if times else samples
