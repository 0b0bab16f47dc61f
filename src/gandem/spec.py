"""What one sample is as a tensor: all that codecs, networks, games and the trainer share about the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SampleSpec:
    """Shape, range and labels of one sample.

    shape: sizes without the batch, (channels, height, width) for images; values lie in [-1, 1].
    labels: the class names in the order of their integer labels; empty when the data have no labels.
    """

    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()

    @property
    def num_labels(self) -> int:
        """Number of classes, 0 when unconditional."""
        return len(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> SampleSpec:
        """Rebuild from `to_dict`."""
        return cls(tuple(state["shape"]), tuple(state["labels"]))
