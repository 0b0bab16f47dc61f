"""The networks of R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!"), written from the paper.

Inverted bottlenecks with grouped 3x3 convolutions at one width throughout; made for GPUs and millions of images.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gandem.recipe import NetworkOptions
from gandem.spec import SampleSpec

GROUP = 16
"""Channels of one group in the 3x3 convolutions."""
BINOMIAL = (1.0, 2.0, 1.0)
"""The low-pass filter around every change of resolution."""


def _convolution(inputs: int, outputs: int, kernel: int, gain: float, groups: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(inputs // groups * kernel * kernel))
    return layer


class Block(nn.Module):
    """1x1 to twice the width, grouped 3x3, 1x1 back; added to the input. Biases sit before the activations only."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        inner, gain = 2 * width, math.sqrt(2 / 1.04) * depth**-0.25
        self.expand = _convolution(width, inner, 1, gain)
        self.mix = _convolution(inner, inner, 3, gain, groups=inner // GROUP)
        self.reduce = _convolution(inner, width, 1, 0.0)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(inner, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, h, w) to the same shape."""
        inner = F.leaky_relu(self.expand(x) + self.biases[0], 0.2)
        return x + self.reduce(F.leaky_relu(self.mix(inner) + self.biases[1], 0.2))


class Resample(nn.Module):
    """Double or halve the resolution around the binomial low-pass filter."""

    def __init__(self, width: int, up: bool) -> None:
        super().__init__()
        line = torch.tensor(BINOMIAL)
        kernel = torch.outer(line, line) / line.sum() ** 2
        self.kernel: Tensor
        self.register_buffer("kernel", kernel.repeat(width, 1, 1, 1), persistent=False)
        self.width, self.up = width, up

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, h, w) to (n, width, 2h, 2w) or (n, width, h/2, w/2)."""
        kernel = self.kernel.to(x.dtype)
        if self.up:
            return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), kernel, padding=1, groups=self.width)
        return F.avg_pool2d(F.conv2d(x, kernel, padding=1, groups=self.width), 2)


class Generator(nn.Module):
    """A learned 4x4 basis weighted by the latent, then stages of blocks with doubling in between; no tanh."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int, latent: int) -> None:
        super().__init__()
        channels, self.height, self.width = spec.shape
        stages = _stages(spec)
        base = [math.ceil(side / 2 ** (stages - 1)) for side in spec.shape[1:]]
        self.latent = latent
        self.embedding = nn.Embedding(spec.num_labels, latent) if spec.num_labels else None
        inputs = latent * (2 if spec.num_labels else 1)
        self.basis = nn.Parameter(torch.randn(width, *base))
        self.weigh = nn.Linear(inputs, width, bias=False)
        nn.init.normal_(self.weigh.weight, 0, 1 / math.sqrt(inputs))
        self.stages = nn.ModuleList(_stage(width, blocks, blocks * stages) for _ in range(stages))
        self.up = Resample(width, up=True)
        self.output = _convolution(width, channels, 1, 1.0)

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        """Map (n, latent) and labels (n,) to images (n, channels, height, width)."""
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(label)], 1)
        x = self.stages[0](self.basis * self.weigh(latent)[:, :, None, None])
        for stage in self.stages[1:]:
            x = stage(self.up(x))
        return self.output(x)[:, :, : self.height, : self.width]


class Discriminator(nn.Module):
    """The mirror image; a depthwise convolution over what is left of the picture, then one score or a projection."""

    def __init__(self, spec: SampleSpec, width: int, blocks: int) -> None:
        super().__init__()
        channels, height, image_width = spec.shape
        stages = _stages(spec)
        scale = 2 ** (stages - 1)
        base = (math.ceil(height / scale), math.ceil(image_width / scale))
        self.padding = (0, base[1] * scale - image_width, 0, base[0] * scale - height)
        self.input = _convolution(channels, width, 1, 1.0)
        self.stages = nn.ModuleList(_stage(width, blocks, blocks * stages) for _ in range(stages))
        self.down = Resample(width, up=False)
        self.pool = nn.Conv2d(width, width, base, groups=width, bias=False)
        nn.init.normal_(self.pool.weight, 0, 1 / math.sqrt(math.prod(base)))
        outputs = width if spec.num_labels else 1
        self.score = nn.Linear(width, outputs, bias=False)
        nn.init.normal_(self.score.weight, 0, 1 / math.sqrt(width))
        self.embedding = nn.Embedding(spec.num_labels, width) if spec.num_labels else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0, 1 / math.sqrt(width))

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Map images (n, channels, height, width) and labels (n,) to logits (n,)."""
        x = self.stages[0](self.input(F.pad(images, self.padding) if any(self.padding) else images))
        for stage in self.stages[1:]:
            x = stage(self.down(x))
        score = self.score(self.pool(x).flatten(1))
        return score.squeeze(1) if self.embedding is None else (score * self.embedding(label)).sum(1)


def _stages(spec: SampleSpec) -> int:
    return max(int(math.log2(min(spec.shape[1:]) / 4)), 0) + 1


def _stage(width: int, blocks: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*[Block(width, depth) for _ in range(blocks)])


def build_r3gan(spec: SampleSpec, options: NetworkOptions) -> tuple[nn.Module, nn.Module]:
    """Return the published architecture at the chosen width, rounded to whole groups."""
    width = max(int(options.width) // GROUP, 1) * GROUP
    return Generator(spec, width, int(options.blocks), options.latent), Discriminator(spec, width, int(options.blocks))
