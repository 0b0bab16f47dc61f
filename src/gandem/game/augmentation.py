"""Differentiable augmentation of images (Zhao et al. 2020, "DiffAugment"), the same for a real sample and its pair.

With little data the discriminator would learn the images by heart; it sees them moved, recoloured and cut instead, and
because the changes are differentiable and drawn alike for both players, the generator does not learn to draw them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gandem.errors import RecipeError

DRAWS = 10
"""Uniform random numbers that one augmented sample uses."""


def augment(images: Tensor, draws: Tensor, strength: float) -> Tensor:
    """Change each image by its own draws; the derivative passes through.

    images: (n, c, h, w) in [-1, 1]; draws: (n, DRAWS), uniform in [0, 1); strength in [0, 1] is the probability of each
    kind of change: colour, shift (up to 1/8 of a side), cutout (half a side). Raises RecipeError for other samples.
    """
    if strength <= 0:
        return images
    if images.ndim != 4:
        raise RecipeError(
            f"augmentation, also that of the penalty 'consistency', is for pictures, and these samples have the shape "
            f"{tuple(images.shape[1:])}: leave it out"
        )
    chosen = (draws[:, :3] < strength).to(images.dtype)
    images = _colour(images, draws[:, 3:6], chosen[:, 0])
    images = _shift(images, draws[:, 6:8], chosen[:, 1])
    return _cutout(images, draws[:, 8:10], chosen[:, 2])


def _colour(images: Tensor, draws: Tensor, chosen: Tensor) -> Tensor:
    """Brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5; an alpha channel (the second or fourth) stays."""
    if images.shape[1] in (2, 4):
        return torch.cat([_colour(images[:, :-1], draws, chosen), images[:, -1:]], 1)
    brightness, saturation, contrast = (value.view(-1, 1, 1, 1).to(images.dtype) for value in draws.unbind(1))
    on = chosen.view(-1, 1, 1, 1)
    images = images + on * (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + on * (2 * saturation - 1))
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + on * (contrast - 0.5))


def _shift(images: Tensor, draws: Tensor, chosen: Tensor) -> Tensor:
    """Move by whole pixels, up to an eighth of a side, filling with zeros."""
    reaches = [max(side // 8, 1) for side in images.shape[2:]]
    steps = [(draw * (2 * reach + 1)).floor() - reach for draw, reach in zip(draws.unbind(1), reaches, strict=True)]
    moved: Tensor = _Shift.apply(images, (torch.stack(steps, 1) * chosen[:, None]).long())
    return moved


class _Shift(torch.autograd.Function):
    """Pixel p of image i comes from p + steps[i], steps (n, 2); its derivative is the shift back.

    Said so, since torch only knows that pixels are picked, and adds their gradients up one by one.
    """

    @staticmethod
    def forward(images: Tensor, steps: Tensor) -> Tensor:
        n, _, *sides = images.shape
        rows, columns = (
            (torch.arange(side, device=steps.device) + step[:, None] + 1).clamp(0, side + 1)
            for side, step in zip(sides, steps.unbind(1), strict=True)
        )
        padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        sample = torch.arange(n, device=steps.device).view(-1, 1, 1)
        return padded[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (steps,) = ctx.saved_tensors
        return _Shift.apply(gradient, -steps), None


def _cutout(images: Tensor, draws: Tensor, chosen: Tensor) -> Tensor:
    """Blank a rectangle of half of each side, centred anywhere."""
    _, _, height, width = images.shape
    rows = (torch.arange(height, device=images.device) - (draws[:, :1] * height)).abs() < height / 4
    columns = (torch.arange(width, device=images.device) - (draws[:, 1:] * width)).abs() < width / 4
    hole = rows[:, None, :, None] & columns[:, None, None, :] & (chosen > 0).view(-1, 1, 1, 1)
    return images * (~hole).to(images.dtype)
