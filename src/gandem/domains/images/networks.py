"""Generator and discriminator for images: dense 3x3 residual networks without normalisation.

Both start as nearly linear maps: every residual branch ends in a zero convolution, the others are scaled by the depth
(Zhang et al. 2019, "Fixup"; Huang et al. 2024), so no normalisation layer is needed to train them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gandem.domains.images.r3gan import build_r3gan
from gandem.errors import RecipeError, nearest
from gandem.recipe import NetworkOptions
from gandem.spec import SampleSpec

NARROWEST = 16
"""Channels of the narrowest stage; fewer would leave the processor's vector units half empty."""


STYLE = 128
"""Numbers in the style that latent and class turn into."""


def stage_widths(spec: SampleSpec, width: int) -> list[int]:
    """Return the channels of each stage, from the coarsest (about 4 to 7 pixels a side) to full resolution."""
    halvings = max(int(math.log2(min(spec.shape[1:]) / 4)), 0)
    return [max(width >> stage, NARROWEST) for stage in range(halvings + 1)]


def convolution(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that divides the size by `stride`, with weights of variance gain^2 / fan-in, zero biases."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(inputs * kernel * kernel))
    nn.init.constant_(cast(Tensor, layer.bias), 0)
    return layer


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer with weights of variance 1 / fan-in and zero biases."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, 0, 1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


def activation(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2."""
    return F.leaky_relu(x, 0.2)


class ResidualBlock(nn.Module):
    """x + convolution(activation(convolution(activation(x)))), the last convolution zero at first."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = convolution(width, width, gain=math.sqrt(2 / depth))
        self.last = convolution(width, width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, h, w) to the same shape."""
        return x + self.last(activation(self.first(activation(x))))


class StyledBlock(ResidualBlock):
    """A residual block whose inner channels are scaled and shifted by a style (Perez et al. 2018, "FiLM").

    So latent and class speak at every size, at next to no cost, and not only through the first layer.
    """

    def __init__(self, width: int, depth: int, style: int) -> None:
        super().__init__(width, depth)
        self.style = nn.Linear(style, 2 * width)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # type: ignore[override]
        """Map (n, width, h, w) and styles (n, style) to the shape of x."""
        scale, shift = self.style(style)[:, :, None, None].chunk(2, dim=1)
        return x + self.last(activation(self.first(activation(x)) * (1 + scale) + shift))


class Generator(nn.Module):
    """Latent and class to image: linear to the coarsest stage, then per stage styled blocks and bilinear doubling."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int, latent: int) -> None:
        super().__init__()
        channels, self.height, self.width = spec.shape
        widths = stage_widths(spec, width)
        scale = 2 ** (len(widths) - 1)
        self.base = (widths[0], math.ceil(self.height / scale), math.ceil(self.width / scale))
        self.latent = latent
        self.embedding = nn.Embedding(spec.num_labels, latent) if spec.num_labels else None
        inputs = latent * (2 if spec.num_labels else 1)
        self.input = linear(inputs, math.prod(self.base))
        self.style = linear(inputs, STYLE)
        depth = blocks * (len(widths) - 1)
        self.stages = nn.ModuleList(
            nn.ModuleList(StyledBlock(width, depth, STYLE) for _ in range(blocks)) for width in widths[:-1]
        )
        self.narrow = nn.ModuleList(convolution(coarse, fine, kernel=1) for coarse, fine in pairwise(widths))
        self.output = convolution(widths[-1], channels)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, latent) and labels (n,) to images (n, channels, height, width) in [-1, 1].

        The hyperbolic tangent lets plain black and white be exact; without it dark backgrounds stay misty for long.
        """
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        style = math.sqrt(2) * activation(self.style(latent))
        x = self.input(latent).view(-1, *self.base).contiguous(memory_format=torch.channels_last)
        for stage, narrow in zip(self.stages, self.narrow, strict=True):
            for block in cast(nn.ModuleList, stage):
                x = block(x, style)
            x = F.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False)
        return torch.tanh(self.output(activation(x)))[:, :, : self.height, : self.width]


class Discriminator(nn.Module):
    """Image and class to a logit: the generator's mirror image, with a projection head (Miyato and Koyama 2018)."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int) -> None:
        super().__init__()
        channels, height, image_width = spec.shape
        widths = stage_widths(spec, width)
        scale = 2 ** (len(widths) - 1)
        rows, columns = math.ceil(height / scale), math.ceil(image_width / scale)
        self.padding = (0, columns * scale - image_width, 0, rows * scale - height)
        # Straight to half size: full resolution with few channels would take time and add nothing that is not linear.
        self.input = convolution(channels, widths[-2], kernel=4, stride=2)
        depth = blocks * (len(widths) - 1)
        self.widen = nn.ModuleList(convolution(fine, coarse, kernel=1) for coarse, fine in pairwise(widths[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(*[ResidualBlock(width, depth) for _ in range(blocks)]) for width in widths[:-1]
        )
        features = widths[0]
        self.features = linear(widths[0] * rows * columns, features)
        self.score = linear(features, 1)
        self.embedding = nn.Embedding(spec.num_labels, features) if spec.num_labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(features))

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Map images (n, channels, height, width) and labels (n,) to logits (n,)."""
        x = self.input(F.pad(images, self.padding) if any(self.padding) else images)
        x = self.stages[-1](x)
        for stage, widen in zip(list(self.stages)[-2::-1], list(self.widen)[::-1], strict=True):
            x = stage(widen(F.avg_pool2d(x, 2)))
        features = activation(self.features(activation(x).flatten(1)))
        score = self.score(features).squeeze(1)
        return score if self.embedding is None else score + (features * self.embedding(label)).sum(1)


def build_residual(spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return the default networks."""
    width, blocks = int(options.width), int(options.blocks)
    return Generator(spec, width, blocks, options.latent), Discriminator(spec, width, blocks)


NETWORKS: dict[str, Callable[[SampleSpec, NetworkOptions], tuple[nn.Module, nn.Module]]] = {
    "residual": build_residual,
    "r3gan": build_r3gan,
}


def decided(spec: SampleSpec, options: NetworkOptions) -> NetworkOptions:
    """Return the options with the blocks of a stage chosen: 1 up to 63 pixels a side, 2 from 64, 3 from 128, ..."""
    if options.blocks != "auto":
        return options
    return options.model_copy(update={"blocks": max(int(math.log2(min(spec.shape[1:]) / 32)), 0) + 1})


def build_networks(spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return (generator, discriminator) as the options name them; raises RecipeError for an unknown kind."""
    if options.kind not in NETWORKS:
        raise RecipeError(f"network.kind = {options.kind!r} is not known.{nearest(options.kind, NETWORKS)}")
    generator, discriminator = NETWORKS[options.kind](spec, decided(spec, options))
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator, discriminator
