"""Layers that the networks of several domains are made of."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + linear(activation(linear(activation(x)))), the last layer zero at first (Zhang et al. 2019, "Fixup")."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.normal_(self.first.weight, 0, math.sqrt(2 / (width * depth)))
        for zero in (self.first.bias, self.last.weight, self.last.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width) to the same shape."""
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))
