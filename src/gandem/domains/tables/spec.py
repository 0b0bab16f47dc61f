"""What a row of a table is as a tensor: for each column a one-hot of tokens, and a residual where there are bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from gandem.spec import SampleSpec


@dataclass(frozen=True)
class Block:
    """One modelled column in the flat row: `tokens` places of a one-hot, then one residual in [-1, 1] if `residual`.

    ordered: whether the tokens are a number's, in ascending order (a token for missing values comes last all the same).
    values: place of each token in [-1, 1], its mid-rank in the training data, for ordered ones; 0 for missing.
    log_probabilities: of each token in the training data.
    missing: whether the last token stands for a missing value.
    """

    tokens: int
    residual: bool
    ordered: bool
    values: tuple[float, ...]
    log_probabilities: tuple[float, ...]
    missing: bool = False

    @property
    def width(self) -> int:
        """How many numbers of the flat row are this column's."""
        return self.tokens + self.residual


@dataclass(frozen=True)
class TableSpec(SampleSpec):
    """Shape of a flat row (sum of tokens + residuals,), and what its parts are, in the order of the columns."""

    blocks: tuple[Block, ...] = ()

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> TableSpec:
        """Lay blocks side by side."""
        return cls((sum(block.width for block in blocks),), (), tuple(blocks))

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each block begins in the row."""
        return tuple(accumulate((block.width for block in self.blocks[:-1]), initial=0))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TableSpec:
        """Rebuild from `to_dict`."""
        blocks = (
            Block(
                int(block["tokens"]),
                bool(block["residual"]),
                bool(block["ordered"]),
                tuple(block["values"]),
                tuple(block["log_probabilities"]),
                bool(block["missing"]),
            )
            for block in state["blocks"]
        )
        return cls(tuple(state["shape"]), tuple(state["labels"]), tuple(blocks))
