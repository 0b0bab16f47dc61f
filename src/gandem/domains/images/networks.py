"""Generator and discriminator for images: dense 3x3 residual networks without normalisation.

Both start as nearly linear maps: every residual branch ends in a zero convolution, the others are scaled by the depth
(Zhang et al. 2019, "Fixup"; Huang et al. 2024), so no normalisation layer is needed to train them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gandem.domains.images.r3gan import build_r3gan
from gandem.errors import RecipeError, nearest
from gandem.recipe import NetworkOptions
from gandem.spec import SampleSpec

NARROWEST, GRAIN = 16, 8
"""Channels of the narrowest stage, and what others are a multiple of, so that a processor's vectors are full."""


SMALLEST = 16
"""Pixels of a side at which a game that grows begins: from 14, Fashion-MNIST gained nothing."""

STYLE = 128
"""Numbers in the style that latent and class turn into."""


def stage_widths(spec: SampleSpec, width: int) -> list[int]:
    """Return the channels of each stage, from the coarsest (about 4 to 7 pixels a side) to half of the full size.

    Two thirds of a halving for each doubling of the sides, so that a fine stage costs 1.6 times the one before.
    """
    stages = max(int(math.log2(min(spec.shape[1:]) / 4)), 1)
    wanted = [width * 2 ** (-2 * stage / 3) for stage in range(1, stages)]
    return [width, *(max(int(each) // GRAIN * GRAIN, NARROWEST) for each in wanted)]


def most_halvings(spec: SampleSpec) -> int:
    """Return how often the images can be halved and still be of some use: not below SMALLEST pixels a side."""
    sides, times = spec.shape[1:], 0
    while all(side % 2 ** (times + 1) == 0 and side >> (times + 1) >= SMALLEST for side in sides):
        times += 1
    return times


def convolution(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that divides the size by `stride`, with weights of variance gain^2 / fan-in, zero biases."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(inputs * kernel * kernel))
    nn.init.constant_(cast(Tensor, layer.bias), 0)
    return layer


def double(images: Tensor) -> Tensor:
    """Double each side, bilinearly."""
    if images.is_cuda:  # there the gradient of F.interpolate is another each time, and slow where it must not be
        return doubled_by_products(images)
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def doubled_by_products(images: Tensor) -> Tensor:
    """Double each side as `double` does, by a matrix product for each: (n, c, h, w) -> (n, c, 2 h, 2 w)."""
    n, channels, height, width = images.shape
    rows, columns = (_doubling(side, images.device, images.dtype) for side in (height, width))
    pixels = images.permute(0, 2, 3, 1).reshape(n * height, width, channels)
    with torch.autocast(images.device.type, enabled=False):  # in the precision of the images
        wide = (columns.expand(n * height, -1, -1) @ pixels).view(n, height, 2 * width * channels)
        return (rows.expand(n, -1, -1) @ wide).view(n, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _doubling(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the matrix (2 side, side) that doubles a row of pixels."""
    with torch.inference_mode(False), torch.no_grad():  # or who asks first in that mode spoils it for trainings
        each_pixel = torch.eye(side)[None]
        return F.interpolate(each_pixel, scale_factor=2, mode="linear", align_corners=False)[0].T.to(device, dtype)


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
    """Latent and class to image: linear to the coarsest stage, then per stage styled blocks and bilinear doubling.

    The image is a sum over the sizes: each finer stage adds what the doubled coarser image lacks, nothing at first
    (Karras et al. 2020, "StyleGAN2", for the sum), so the image is drawn at a fraction of its size as well.
    """

    def __init__(self, spec: SampleSpec, width: int, blocks: int, latent: int) -> None:
        super().__init__()
        channels, self.height, self.width = spec.shape
        self.halvings = most_halvings(spec)
        widths = stage_widths(spec, width)
        scale = 2 ** len(widths)
        self.base = (widths[0], math.ceil(self.height / scale), math.ceil(self.width / scale))
        self.latent = latent
        self.embedding = nn.Embedding(spec.num_labels, latent) if spec.num_labels else None
        inputs = latent * (2 if spec.num_labels else 1)
        self.input = linear(inputs, math.prod(self.base))
        self.style = linear(inputs, STYLE)
        self.stages = nn.ModuleList(
            nn.ModuleList(StyledBlock(width, blocks * len(widths), STYLE) for _ in range(blocks)) for width in widths
        )
        self.narrow = nn.ModuleList(
            convolution(coarse, fine, kernel=1) for coarse, fine in pairwise([*widths, NARROWEST])
        )
        self.coarsest = len(widths) - 1 - self.halvings
        self.outputs = nn.ModuleList(
            convolution(width, channels, gain=0.0 if finer else 1.0)
            for finer, width in enumerate([*widths, NARROWEST][self.coarsest + 1 :])
        )

    def forward(self, latent: Tensor, label: Tensor | None = None, halvings: int = 0) -> Tensor:
        """Map (n, latent) and labels (n,) to images (n, channels, height, width) in [-1, 1], each side halved so often.

        The hyperbolic tangent lets plain black and white be exact; without it dark backgrounds stay misty for long.
        """
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        style = math.sqrt(2) * activation(self.style(latent))
        x = self.input(latent).view(-1, *self.base).contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for position in range(len(self.stages) - halvings):
            for block in cast(nn.ModuleList, self.stages[position]):
                x = block(x, style)
            x = double(self.narrow[position](x))
            if position >= self.coarsest:
                drawn = self.outputs[position - self.coarsest](activation(x))
                image = drawn if image is None else double(image) + drawn
        return torch.tanh(cast(Tensor, image))[:, :, : self.height >> halvings, : self.width >> halvings]


class Discriminator(nn.Module):
    """Image and class to a logit: the generator's mirror image, with a projection head (Miyato and Koyama 2018).

    Every size looks at the image, halved so often, and hands what it finds to the next coarser one: nothing at first.
    """

    def __init__(self, spec: SampleSpec, width: int, blocks: int) -> None:
        super().__init__()
        channels, self.height, self.width = spec.shape
        widths = stage_widths(spec, width)
        self.base = [math.ceil(side / 2 ** len(widths)) for side in spec.shape[1:]]
        self.coarsest = len(widths) - 1 - most_halvings(spec)
        # Straight to half size: full resolution with few channels would take time and add nothing that is not linear.
        self.inputs = nn.ModuleList(
            convolution(channels, width, kernel=4, stride=2) for width in widths[self.coarsest :]
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*[ResidualBlock(width, blocks * len(widths)) for _ in range(blocks)]) for width in widths
        )
        self.widen = nn.ModuleList(
            convolution(fine, coarse, kernel=1, gain=0.0 if position >= self.coarsest else 1.0)
            for position, (coarse, fine) in enumerate(pairwise(widths))
        )
        self.features = linear(widths[0] * math.prod(self.base), widths[0])
        self.score = linear(widths[0], 1)
        self.embedding = nn.Embedding(spec.num_labels, widths[0]) if spec.num_labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(widths[0]))

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Map images (n, channels, height, width), full size or halved, and labels (n,) to logits (n,)."""
        stages = len(self.stages) - round(math.log2(self.height / images.shape[2]))
        rows, columns = (side * 2**stages for side in self.base)
        images = F.pad(images, (0, columns - images.shape[3], 0, rows - images.shape[2]))
        x: Tensor | None = None
        for position in reversed(range(stages)):
            if position >= self.coarsest:
                seen = self.inputs[position - self.coarsest](images)
                x = seen if x is None else x + seen
                images = F.avg_pool2d(images, 2)
            x = self.stages[position](x)
            x = self.widen[position - 1](F.avg_pool2d(x, 2)) if position else x
        features = activation(self.features(activation(cast(Tensor, x)).flatten(1)))
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
    """Return the options with the blocks of a stage chosen: 1 up to 127 pixels a side, 2 from 128, 3 from 256."""
    if options.blocks != "auto":
        return options
    return options.model_copy(update={"blocks": max(int(math.log2(min(spec.shape[1:]) / 64)), 0) + 1})


def build_networks(spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return (generator, discriminator) as the options name them; raises RecipeError for an unknown kind."""
    if options.kind not in NETWORKS:
        raise RecipeError(f"network.kind = {options.kind!r} is not known.{nearest(options.kind, NETWORKS)}")
    generator, discriminator = NETWORKS[options.kind](spec, decided(spec, options))
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator, discriminator
