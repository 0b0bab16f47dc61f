"""Latents and what a generator makes of them: the same seed gives the same samples wherever the run lies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gandem.game.noise_game import ask

BATCH = 64
"""Samples that are made at a time; generators of small ones say `at_once` themselves."""


def draw(count: int, size: int, seed: int, truncation: float = 1.0) -> Tensor:
    """Return (count, size) normal latents scaled by `truncation`; the first n are the same for every count."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((count, size), dtype=np.float32)) * truncation


def walk(keys: Tensor, frames: int) -> Tensor:
    """Return `frames` latents on a closed path through the rows of `keys` (k, size).

    Spherical interpolation (Shoemake 1985) keeps the length that normal latents have; a straight line would pass near
    the origin, where the generator has never been.
    """
    places = torch.arange(frames) * (len(keys) / frames)
    start, part = places.long(), (places % 1)[:, None]
    a, b = keys[start], keys[(start + 1) % len(keys)]
    cosine = (torch.nn.functional.cosine_similarity(a, b, dim=1))[:, None].clamp(-0.9995, 0.9995)
    angle = torch.arccos(cosine)
    return (torch.sin((1 - part) * angle) * a + torch.sin(part * angle) * b) / torch.sin(angle)


@torch.no_grad()
def generate(generator: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
    """Return what the generator makes of latents (n, size) and labels (n,), computed in fp32 on its own device."""
    device = next(generator.parameters()).device
    many = int(getattr(generator, "at_once", BATCH))
    return torch.cat(
        [
            ask(
                generator,
                latents[at : at + many].to(device),
                None if labels is None else labels[at : at + many].to(device),
            )
            .float()
            .cpu()
            for at in range(0, len(latents), many)
        ]
    )
