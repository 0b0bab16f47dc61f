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
    bounded: the discriminator's loss has a floor, so that its size says how the game stands.
    """

    discriminator: LossFunction
    generator: LossFunction
    paired: bool
    description: str
    bounded: bool = True


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D(x) - D(G(z)))): each real sample should score above the generated one it is paired with."""
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D(G(z)) - D(x))): the same with the roles exchanged."""
    return softplus(real - fake).mean()


def relativistic_average_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E softplus(-(D(x) - E D(G(z)))) + 1/2 E softplus(D(G(z)) - E D(x)): each beside the mean of the other kind.

    Halved, so that guessing costs log 2 as it does with pairs. In a parallel training the means are each process's own.
    """
    return 0.5 * (softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean())


def relativistic_average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E softplus(-(D(G(z)) - E D(x))) + 1/2 E softplus(D(x) - E D(G(z))): the same with the roles exchanged."""
    return relativistic_average_discriminator(fake, real)


def minimax_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(x)) + E softplus(D(G(z))): cross-entropy of telling real from generated."""
    return softplus(-real).mean() + softplus(fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 - sigmoid(D(G(z)))) = -E softplus(D(G(z))): a zero-sum game, without gradient where D is sure."""
    return -softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(G(z))): the generator maximises log D instead of minimising log(1 - D)."""
    return softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): no gradient from samples beyond the margin."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E D(G(z))."""
    return -fake.mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E (D(x) - 1)^2 + 1/2 E D(G(z))^2: regression to 1 for real and 0 for generated samples."""
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E (D(G(z)) - 1)^2: scores on the right side of the border are pulled to it too."""
    return 0.5 * (fake - 1).square().mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): minus the earth mover's distance, if something (a penalty, clipping) keeps D Lipschitz."""
    return fake.mean() - real.mean()


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E D(G(z))."""
    return -fake.mean()


LOSSES: dict[str, Loss] = {
    "relativistic": Loss(
        relativistic_discriminator,
        relativistic_generator,
        paired=True,
        description="relativistic pairing (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2)",
    ),
    "relativistic_average": Loss(
        relativistic_average_discriminator,
        relativistic_average_generator,
        paired=True,
        description="relativistic average (Jolicoeur-Martineau 2018)",
    ),
    "minimax": Loss(
        minimax_discriminator,
        minimax_generator,
        paired=False,
        description="saturating minimax (Goodfellow et al. 2014, eq. 1)",
    ),
    "non_saturating": Loss(
        minimax_discriminator,
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
    "least_squares": Loss(
        least_squares_discriminator,
        least_squares_generator,
        paired=False,
        description="least squares (Mao et al. 2017, a = 0, b = c = 1)",
    ),
    "wasserstein": Loss(
        wasserstein_discriminator,
        wasserstein_generator,
        paired=False,
        description="Wasserstein (Arjovsky et al. 2017, algorithm 1)",
        bounded=False,
    ),
}


def win_rate(real: Tensor, fake: Tensor) -> Tensor:
    """P(D(x) > D(G(z))) over the pairs, ties as one half: 0.5 when the discriminator cannot tell."""
    return ((real > fake).float() + 0.5 * (real == fake).float()).mean().to(torch.float32)
