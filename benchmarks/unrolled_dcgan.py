"""The DCGAN that collapses on stacked digits: the networks by which Metz et al. 2017, "Unrolled GANs", provoked it.

A generator of four small stages and a discriminator of three still smaller ones, 3 x 3 kernels and batch normalisation
throughout; Adam with beta1 0.5, beta2 0.99, 1e-4 for the generator and 2e-4 for the discriminator; latents N(0, 1)^256;
batches of 128 stacks that are drawn as they are needed; non-saturating loss, one turn each. With a discriminator of 2,
4 and 8 channels, a quarter of the generator's, and 500,000 such steps Lin et al. 2018, "PacGAN", table 3, count 78.5
modes and a KL of 5.21 (50 trainings).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENT, BATCH, SIDE = 256, 128, 4
GENERATOR, DISCRIMINATOR = (64, 32, 16, 8), (3, 2, 4, 8)
"""Channels from stage to stage: of 4, 7, 14 and 28 pixels, and of 28, 14, 7 and 4."""


def generator() -> nn.Module:
    """Return the network from latents (n, 256) to images (n, 3, 28, 28) in [-1, 1]."""
    first = GENERATOR[0]
    layers = [
        nn.Linear(LATENT, first * SIDE**2),
        nn.Unflatten(1, (first, SIDE, SIDE)),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    ]
    for stage, (before, width) in enumerate(pairwise(GENERATOR)):
        more = int(stage > 0)  # 4 pixels become 7, 7 become 14
        layers += [nn.ConvTranspose2d(before, width, 3, 2, 1, output_padding=more), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(GENERATOR[-1], 3, 3, padding=1), nn.Tanh()).apply(_initialise)


def discriminator() -> nn.Module:
    """Return the network from images (n, 3, 28, 28) to logits (n, 1)."""
    layers: list[nn.Module] = []
    for before, width in pairwise(DISCRIMINATOR):
        layers += [nn.Conv2d(before, width, 3, 2, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.3)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(DISCRIMINATOR[-1] * SIDE**2, 1)).apply(_initialise)


def train(
    draw: Callable[[np.random.Generator], np.ndarray], *, seconds: float, seed: int
) -> tuple[Callable[[int], np.ndarray], int]:
    """Train for so many seconds; return (sample, images shown). Samples are uint8 (n, 28, 28, 3).

    draw: a batch of real images from a generator of random numbers, uint8 (BATCH, 28, 28, 3).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    maker, judge = generator(), discriminator()
    maker_adam = torch.optim.Adam(maker.parameters(), 1e-4, (0.5, 0.99), fused=True)
    judge_adam = torch.optim.Adam(judge.parameters(), 2e-4, (0.5, 0.99), fused=True)
    shown, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        real = torch.from_numpy(draw(rng)).permute(0, 3, 1, 2).float() / 127.5 - 1
        fake = maker(torch.randn(len(real), LATENT))

        judge_adam.zero_grad()
        (F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean()).backward()
        judge_adam.step()

        maker_adam.zero_grad()
        F.softplus(-judge(fake)).mean().backward()
        maker_adam.step()
        shown += len(real)
    return lambda count: _sample(maker.eval(), count, seed), shown


@torch.no_grad()
def _sample(maker: nn.Module, count: int, seed: int) -> np.ndarray:
    latent = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(seed))
    made: list[Tensor] = [maker(part) for part in latent.split(500)]
    return ((torch.cat(made) + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0, 0.02)
        nn.init.zeros_(module.bias)
