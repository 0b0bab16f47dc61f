"""Generator and discriminator for numbers without a grid: residual layers without normalisation."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gandem.domains.layers import Residual
from gandem.errors import RecipeError, nearest
from gandem.recipe import NetworkOptions
from gandem.spec import SampleSpec


class ArrayGenerator(nn.Module):
    """Latent and class to a sample of any shape."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int, latent: int) -> None:
        super().__init__()
        self.shape, numbers = spec.shape, math.prod(spec.shape)
        self.embedding = nn.Embedding(spec.num_labels, latent) if spec.num_labels else None
        self.first = nn.Linear(2 * latent if spec.num_labels else latent, width)
        self.blocks = nn.Sequential(*(Residual(width, blocks) for _ in range(blocks)))
        self.last = nn.Linear(width, numbers)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, latent) and int64 (n,) to (n, *shape)."""
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        return self.last(F.leaky_relu(self.blocks(self.first(latent)), 0.2)).view(-1, *self.shape)


class ArrayDiscriminator(nn.Module):
    """Sample and class to a logit; the class by projection (Miyato and Koyama 2018)."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(math.prod(spec.shape), width)
        self.blocks = nn.Sequential(*(Residual(width, blocks) for _ in range(blocks)))
        self.embedding = nn.Embedding(spec.num_labels, width) if spec.num_labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(width))
        self.last = nn.Linear(width, 1)

    def forward(self, samples: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, *shape) and int64 (n,) to logits (n,)."""
        features = F.leaky_relu(self.blocks(self.first(samples.flatten(1))), 0.2)
        logits = self.last(features).squeeze(1)
        return logits if self.embedding is None else logits + (features * self.embedding(label)).sum(1)


NETWORKS: dict[str, Any] = {
    "residual": lambda spec, options: (
        ArrayGenerator(spec, options.width, options.blocks, options.latent),
        ArrayDiscriminator(spec, options.width, options.blocks),
    )
}


def build_networks(spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return (generator, discriminator) by `options.kind`; raises RecipeError for one that arrays do not have."""
    if options.kind not in NETWORKS:
        raise RecipeError(f"network.kind = {options.kind!r} is not known for arrays.{nearest(options.kind, NETWORKS)}")
    networks: tuple[nn.Module, nn.Module] = NETWORKS[options.kind](spec, options)
    return networks
