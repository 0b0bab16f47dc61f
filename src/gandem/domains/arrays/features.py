"""What the judge sees of arrays: their numbers, and smooth functions of them in which any difference of shape shows."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch

from gandem.domains.arrays.codec import ArrayCodec

NUMBERS, WAVES = 64, 64
"""Numbers of a sample that are looked at as they are; longer ones are projected on as many random directions. And
random waves over those."""
LAGS = 12
"""Powers of 2 up to which neighbours are looked at in longer samples: 1, 2, 4, ... places along each side."""
SCALES = (1.0, 0.25)
"""Widths of the kernels that the waves stand for, in units of the distance between two samples."""


class ArrayFeatures:
    """Standardised numbers, and random Fourier features of them (Rahimi and Recht 2007), float64 (n, d).

    Means and covariances of numbers alone know no more of a distribution than that; differences of the waves' means are
    distances between distributions of any shape (a kernel's maximum mean discrepancy). Of a long sample any random
    direction is nearly normal, whatever neighbours have to do with one another, so means of x_t x_(t + k) are added.
    """

    name = "numbers and random Fourier features"

    def __init__(self, codec: ArrayCodec) -> None:
        rng = np.random.default_rng(0)
        numbers = int(np.prod(codec.spec.shape))
        self.codec = codec
        self._project: torch.Tensor | None = None
        if numbers > NUMBERS:
            self._project = torch.from_numpy(rng.standard_normal((numbers, NUMBERS)) / math.sqrt(numbers))
        used = min(numbers, NUMBERS)
        scales = np.repeat(SCALES, WAVES // len(SCALES)) * math.sqrt(2 * used)
        self._waves = torch.from_numpy(rng.standard_normal((used, WAVES)) / scales)
        self._phases = torch.from_numpy(rng.uniform(0, 2 * math.pi, WAVES))
        kept = repr(sorted(codec.to_dict().items())).encode()
        self.fingerprint = hashlib.sha256(kept + self._waves.numpy().tobytes() + b"neighbours").hexdigest()

    def __call__(self, samples: np.ndarray, /) -> torch.Tensor:
        """Return float64 (n, d) of samples as they were given."""
        values, neighbours = self.codec.standardise(samples), []
        if self._project is not None:
            neighbours = products_of_neighbours(values.view(-1, *self.codec.spec.shape))
            values = values @ self._project
        waves = math.sqrt(2) * torch.cos(values @ self._waves + self._phases)
        return torch.cat([values, waves, *neighbours], 1)

    def learnt_from(self, samples: np.ndarray) -> np.ndarray:
        """Return that nothing was learnt from any, bool (n,)."""
        return np.zeros(len(samples), dtype=bool)


def products_of_neighbours(values: torch.Tensor) -> list[torch.Tensor]:
    """Return the mean of x_t x_(t + k) of each sample (n, ...) for k = 0, 1, 2, 4, ... along each side, (n, 1) each."""
    found = [values.flatten(1).square().mean(1, keepdim=True)]
    for side in range(1, values.ndim):
        for lag in (2**power for power in range(LAGS) if 2**power < values.shape[side]):
            length = values.shape[side] - lag
            products = values.narrow(side, 0, length) * values.narrow(side, lag, length)
            found.append(products.flatten(1).mean(1, keepdim=True))
    return found
