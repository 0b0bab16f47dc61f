"""Arrays as tensors in [-1, 1] and back: ranges, whole numbers and types come back by construction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gandem.spec import SampleSpec

_BLOCK = 65_536


class ArrayCodec:
    """Maps the range of the data onto [-1, 1] and back.

    spec: shape of a sample; numbers on their own, an array (n,), are samples of shape (1,).
    shape: of a sample as it was given. dtype: of its numbers; whole ones come back whole.
    low, high, mean, deviation: of the data, float64; for vectors of every place, for longer shapes of all numbers
    together, so that neighbours stay comparable.
    """

    def __init__(
        self,
        spec: SampleSpec,
        shape: tuple[int, ...],
        dtype: str,
        low: np.ndarray,
        high: np.ndarray,
        mean: np.ndarray,
        deviation: np.ndarray,
    ) -> None:
        self.spec, self.shape, self.dtype = spec, shape, dtype
        self.low, self.high, self.mean, self.deviation = low, high, mean, deviation
        self._half = np.where(high > low, high / 2 - low / 2, 1.0)
        self._middle = low / 2 + high / 2

    @classmethod
    def of(cls, values: np.ndarray, labels: tuple[str, ...]) -> ArrayCodec:
        """Fit to finite numbers (n, ...), block by block."""
        shape = values.shape[1:]
        spec = SampleSpec(shape or (1,), labels)
        axes = (0,) if len(spec.shape) == 1 else None

        def blocks() -> Iterator[np.ndarray]:
            for at in range(0, len(values), _BLOCK):
                yield np.asarray(values[at : at + _BLOCK], np.float64).reshape(-1, *spec.shape)

        low = np.min([block.min(axis=axes) for block in blocks()], axis=0)
        high = np.max([block.max(axis=axes) for block in blocks()], axis=0)
        size = np.where(high > low, high / 2 - low / 2, 1.0)  # squares of the largest numbers would be infinite
        numbers = len(values) * math.prod(spec.shape) // low.size
        mean = np.sum([(block / numbers).sum(axis=axes) for block in blocks()], axis=0)
        squares = np.sum([(((block - mean) / size) ** 2).sum(axis=axes) for block in blocks()], axis=0)
        return cls(spec, shape, str(values.dtype), low, high, mean, size * np.sqrt(squares / numbers))

    @property
    def variance(self) -> float:
        """Mean squared distance of an encoded sample from the mean, at least a little."""
        places = np.prod(self.spec.shape) / self.deviation.size
        return max(float(((self.deviation / self._half) ** 2).sum() * places), 1e-6)

    def encode(self, samples: np.ndarray) -> torch.Tensor:
        """Turn (n, *shape) into float32 (n, *spec.shape) in [-1, 1]; numbers that are always the same become 0."""
        values = np.asarray(samples, np.float64).reshape(-1, *self.spec.shape)
        return torch.from_numpy(((values - self._middle) / self._half).astype(np.float32))

    def decode(self, samples: torch.Tensor) -> np.ndarray:
        """Turn (n, *spec.shape) into (n, *shape); numbers outside [-1, 1] are clamped."""
        values = samples.detach().cpu().double().clamp(-1, 1).numpy() * self._half + self._middle
        values = np.clip(values, self.low, self.high).reshape(-1, *self.shape)
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":  # the largest of 64 bits is no float64, and the next one is a bit too many
            values = np.clip(np.rint(values), np.iinfo(dtype).min, np.nextafter(float(np.iinfo(dtype).max) + 1, 0))
        return (values if dtype.kind != "b" else np.rint(values)).astype(dtype)

    def standardise(self, samples: np.ndarray) -> torch.Tensor:
        """Turn (n, *shape) into float64 (n, numbers) of mean 0 and deviation 1 over the data."""
        values = np.asarray(samples, np.float64).reshape(-1, *self.spec.shape)
        scaled = (values - self.mean) / np.where(self.deviation > 0, self.deviation, 1.0)
        return torch.from_numpy(scaled.reshape(len(scaled), -1))

    def given(self, samples: np.ndarray) -> np.ndarray:
        """Return the array itself."""
        return samples

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        numbers = {name: getattr(self, name).tolist() for name in ("low", "high", "mean", "deviation")}
        return {
            "domain": "arrays",
            "spec": self.spec.to_dict(),
            "shape": list(self.shape),
            "dtype": self.dtype,
            **numbers,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ArrayCodec:
        """Rebuild from `to_dict`."""
        numbers = (np.asarray(state[name], np.float64) for name in ("low", "high", "mean", "deviation"))
        return cls(SampleSpec.from_dict(state["spec"]), tuple(state["shape"]), state["dtype"], *numbers)
