"""Gradient penalties on the discriminator: what makes the game converge."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_gradient_norm(logits: Tensor, samples: Tensor) -> Tensor:
    """Return |dD(x)/dx|^2 per sample, shape (n,), itself differentiable.

    At real samples its mean is R1, at generated ones R2 (Mescheder et al. 2018, eq. 9 and 10; used together by
    Huang et al. 2024). `samples` (n, ...) must require gradients and have produced `logits` (n,).
    """
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)
