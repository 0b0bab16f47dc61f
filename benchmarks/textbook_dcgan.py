"""The baseline: the class-conditional DCGAN of the textbooks, as plainly as they write it.

Radford et al. 2015 with the settings of every tutorial: BatchNorm, binary cross-entropy, Adam 2e-4 with beta1 0.5,
batch 64, base width 64, weights from N(0, 0.02), latent 100; the class enters as one-hot channels of both networks
(Mirza and Osindero 2014). fp32, NCHW, eager, and the clock says when to stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENT, WIDTH, BATCH = 100, 64, 64


def stages(size: int) -> tuple[int, int]:
    """Return how often `size` halves down to 4 to 7 pixels, and that side: 28 -> (2, 7), 32 -> (3, 4), 64 -> (4, 4)."""
    halvings = 0
    while size % 2 == 0 and size > 4:
        size, halvings = size // 2, halvings + 1
    return halvings, size


class Generator(nn.Module):
    """Latent (n, 100) and label (n,) to images (n, C, size, size) in [-1, 1] by transposed convolutions."""

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        halvings, side = stages(size)
        widths = [WIDTH * 2**level for level in reversed(range(halvings))]
        layers = [
            nn.ConvTranspose2d(LATENT + classes, widths[0], side, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for before, width in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
        self.apply(initialise)

    def forward(self, latent: Tensor, label: Tensor) -> Tensor:
        """Return the images."""
        one_hot = F.one_hot(label, self.classes).to(latent.dtype) if self.classes else latent[:, :0]
        return self.layers(torch.cat([latent, one_hot], 1)[:, :, None, None])


class Discriminator(nn.Module):
    """Images (n, C, size, size) and label (n,) to logits (n,) by strided convolutions."""

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        halvings, side = stages(size)
        widths = [WIDTH * 2**level for level in range(halvings)]
        layers: list[nn.Module] = [nn.Conv2d(channels + classes, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, side))
        self.apply(initialise)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        """Return the logits."""
        if self.classes:
            planes = F.one_hot(label, self.classes).to(images.dtype)[:, :, None, None]
            images = torch.cat([images, planes.expand(-1, -1, *images.shape[2:])], 1)
        return self.layers(images).flatten()


def initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), and those of BatchNorm from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)


@dataclass(frozen=True)
class TrainedDcgan:
    """A trained generator with how far it got."""

    generator: Generator
    device: torch.device
    images: int
    seconds: float

    @torch.no_grad()
    def sample(self, count: int, labels: np.ndarray | None, seed: int = 0, batch: int = 500) -> np.ndarray:
        """Return uint8 (count, H, W, C) images of the classes in `labels` (count,), mixed in each batch as in training.

        BatchNorm uses the statistics of the batch, as the tutorials sample (they never call eval()).
        """
        rng = torch.Generator().manual_seed(seed)
        wanted = torch.zeros(count, dtype=torch.int64) if labels is None else torch.from_numpy(labels)
        order = torch.randperm(count, generator=rng)
        done = []
        for rows in order.split(batch):
            latent = torch.randn(len(rows), LATENT, generator=rng).to(self.device)
            images = self.generator(latent, wanted[rows].to(self.device))
            done.append(((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu())
        return torch.cat(done)[order.argsort()].numpy()


def train_dcgan(
    images: np.ndarray,
    labels: np.ndarray | None,
    *,
    seconds: float,
    seed: int,
    device: torch.device,
    mirror: bool = False,
) -> TrainedDcgan:
    """Train on uint8 (n, size, size, C) images and int64 labels (n,) for so many seconds of the clock."""
    torch.manual_seed(seed)
    real = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    known = torch.zeros(len(real), dtype=torch.int64) if labels is None else torch.from_numpy(labels)
    known = known.to(device)
    classes = 0 if labels is None else int(labels.max()) + 1
    generator = Generator(images.shape[1], images.shape[3], classes).to(device)
    discriminator = Discriminator(images.shape[1], images.shape[3], classes).to(device)
    # The fused Adam is the fastest there is: the baseline shall not lose for want of it.
    generator_adam = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999), fused=True)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999), fused=True)
    ones, zeros = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)
    shown, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        rows = torch.randint(0, len(real), (BATCH,), device=device)
        batch, label = real[rows].float() / 127.5 - 1, known[rows]
        if mirror:
            batch = torch.where(torch.rand(BATCH, 1, 1, 1, device=device) < 0.5, batch.flip(3), batch)
        fake = generator(torch.randn(BATCH, LATENT, device=device), label)

        discriminator_adam.zero_grad()
        loss = F.binary_cross_entropy_with_logits(discriminator(batch, label), ones)
        loss = loss + F.binary_cross_entropy_with_logits(discriminator(fake.detach(), label), zeros)
        loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        F.binary_cross_entropy_with_logits(discriminator(fake, label), ones).backward()
        generator_adam.step()
        shown += BATCH
        if device.type == "cuda" and shown % (100 * BATCH) == 0:
            torch.cuda.synchronize(device)  # the clock must not run ahead of the queue
    return TrainedDcgan(generator, device, shown, time.perf_counter() - began)
