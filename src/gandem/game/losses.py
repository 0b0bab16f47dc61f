"""Adversarial losses: pure functions of logits, one pair of lines per paper.

Logits are what the discriminator says of n real and n generated samples, paired by index: two tensors of shape (n,).
Every function returns the mean over the pairs, a scalar to be minimised by the player in its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""A loss as function(real logits, fake logits) -> scalar."""


@dataclass(frozen=True)
class Loss:
    """What each player minimises.

    paired: the generator's loss looks at the real logits too, so its turn must score real samples.
    """

    discriminator: LossFunction
    generator: LossFunction
    paired: bool
    description: str


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D(x) - D(G(z)))): each real sample should score above the generated one it is paired with."""
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D(G(z)) - D(x))): the same with the roles exchanged."""
    return softplus(real - fake).mean()


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(x)) + E softplus(D(G(z))): cross-entropy of telling real from generated."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(G(z))): the generator maximises log D instead of minimising log(1 - D)."""
    return softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): no gradient from samples beyond the margin."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E D(G(z))."""
    return -fake.mean()


LOSSES: dict[str, Loss] = {
    "relativistic": Loss(
        relativistic_discriminator,
        relativistic_generator,
        paired=True,
        description="relativistic pairing (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2)",
    ),
    "non_saturating": Loss(
        non_saturating_discriminator,
        non_saturating_generator,
        paired=False,
        description="non-saturating logistic (Goodfellow et al. 2014, section 3)",
    ),
    "hinge": Loss(
        hinge_discriminator,
        hinge_generator,
        paired=False,
        description="hinge (Lim and Ye 2017; Miyato et al. 2018)",
    ),
}


def win_rate(real: Tensor, fake: Tensor) -> Tensor:
    """P(D(x) > D(G(z))) over the pairs, ties as one half: 0.5 when the discriminator cannot tell."""
    return ((real > fake).float() + 0.5 * (real == fake).float()).mean().to(torch.float32)
