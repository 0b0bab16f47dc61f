"""What the judge's distances see of rows: numbers by rank, frequent categories, what is missing."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import torch

from gandem.domains.tables.codec import TableCodec
from gandem.domains.tables.tokens import CategoryTokens, NumberTokens

MOST = 200
"""Numbers that a row becomes, about."""


class TableFeatures:
    """Numbers as normal scores of their rank in the training data, categories as scaled one-hots, and what is missing.

    Every column weighs about one unit of variance, so that a table of categories does not drown its numbers.
    """

    name = "normal scores and categories"

    def __init__(self, codec: TableCodec) -> None:
        self.codec = codec
        self._each = max(2, MOST // max(len(codec.columns), 1) - 1)
        self.fingerprint = hashlib.sha256(json.dumps(codec.to_dict(), sort_keys=True).encode()).hexdigest()

    def __call__(self, samples: np.ndarray, /) -> torch.Tensor:
        """Return float64 (n, d) of samples (n, c)."""
        parts = []
        for index, tokens in enumerate(self.codec.tokens):
            values = samples[:, index]
            if isinstance(tokens, NumberTokens):
                parts += self._number(values, tokens)
            else:
                parts += self._category(values, tokens)
            if tokens.missing:
                parts.append(np.isnan(values).astype(np.float64))
        return torch.from_numpy(np.stack(parts, 1))

    def _number(self, values: np.ndarray, tokens: NumberTokens) -> list[np.ndarray]:
        """Return the normal score of the rank (van der Waerden), 0 for missing."""
        codes, residuals = tokens.encode(values, np.full(len(values), 0.5))
        gone = codes >= len(tokens.counts)
        token = np.where(gone, 0, codes)
        before = np.cumsum(tokens.counts) - tokens.counts
        rank = (before[token] + tokens.counts[token] * (residuals + 1) / 2) / tokens.counts.sum()
        rank = np.clip(rank, 0.5 / tokens.counts.sum(), 1 - 0.5 / tokens.counts.sum())
        score = math.sqrt(2) * torch.erfinv(torch.from_numpy(2 * rank - 1)).numpy()
        return [np.where(gone, 0.0, score)]

    def _category(self, values: np.ndarray, tokens: CategoryTokens) -> list[np.ndarray]:
        """Return one-hots of the most frequent categories, whose variances add up to about 1."""
        share = tokens.counts / max(tokens.counts.sum(), 1)
        scale = 1 / math.sqrt(max(1 - float((share**2).sum()), 1e-3))
        return [(values == index) * scale for index in range(min(len(share), self._each))]

    def learnt_from(self, samples: np.ndarray) -> np.ndarray:
        """Return that nothing was learnt from any, bool (n,)."""
        return np.zeros(len(samples), dtype=bool)
