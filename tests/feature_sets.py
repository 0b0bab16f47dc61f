"""Feature sets for the tests of the judge."""

import torch
from torch import Tensor


def normal(seed: int, n: int, d: int, *, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """Float64 rows (n, d) of a normal distribution."""
    generator = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(n, d, dtype=torch.float64, generator=generator)


def permuted(seed: int, rows: Tensor) -> Tensor:
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
