"""Shapes in the plane to play on: small enough that one sees a GAN learn, stall or collapse in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gandem.errors import SourceError, nearest


@dataclass(frozen=True)
class Shape:
    """A distribution of points, about within [-1, 1] on both axes.

    draw: called as draw(count, rng) -> float32 (count, 2). centres (k, 2) and deviation: of its modes, where it is a
    mixture of equally frequent round normal distributions.
    """

    name: str
    draw: Callable[[int, torch.Generator], Tensor]
    centres: Tensor | None = None
    deviation: float = 0.0


def mixture(name: str, centres: Tensor, deviation: float) -> Shape:
    """Return a mixture of round normal distributions."""

    def draw(count: int, rng: torch.Generator) -> Tensor:
        chosen = centres[torch.randint(len(centres), (count,), generator=rng)]
        return chosen + deviation * torch.randn(count, 2, generator=rng)

    return Shape(name, draw, centres, deviation)


def ring() -> Shape:
    """Return 8 modes on a circle, radius 1 and deviation 0.01 (Srivastava et al. 2017, "VEEGAN")."""
    angles = torch.arange(8) * (2 * math.pi / 8)
    return mixture("ring", torch.stack([angles.cos(), angles.sin()], 1), 0.01)


def grid() -> Shape:
    """Return 25 modes, as in the same paper: a spacing of 2 and a deviation of 0.05, all divided by 4."""
    axis = torch.linspace(-1, 1, 5)
    return mixture("grid", torch.cartesian_prod(axis, axis), 0.0125)


def spiral() -> Shape:
    """Return two turns of an Archimedean spiral."""

    def draw(count: int, rng: torch.Generator) -> Tensor:
        along = torch.rand(count, generator=rng).sqrt()  # evenly by length
        angle = 4 * math.pi * along
        line = along[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        return line + 0.015 * torch.randn(count, 2, generator=rng)

    return Shape("spiral", draw)


def two_moons() -> Shape:
    """Return two half circles that reach into each other."""

    def draw(count: int, rng: torch.Generator) -> Tensor:
        angle = math.pi * torch.rand(count, generator=rng)
        lower = torch.rand(count, generator=rng) < 0.5
        x = torch.where(lower, 1 - angle.cos(), angle.cos()) - 0.5
        y = torch.where(lower, 0.5 - angle.sin(), angle.sin()) - 0.25
        return 0.65 * torch.stack([x, y], 1) + 0.03 * torch.randn(count, 2, generator=rng)

    return Shape("two-moons", draw)


SHAPES: dict[str, Callable[[], Shape]] = {"ring": ring, "grid": grid, "spiral": spiral, "two-moons": two_moons}


def picture(path: Path) -> Shape:
    """Return a shape that is as dense as a picture is dark; transparent parts are white. Raises SourceError."""
    try:
        with Image.open(path) as image:
            image.draft("L", (256, 256))
            image.thumbnail((256, 256))
            paper = Image.new("RGBA", image.size, "white")
            paper.alpha_composite(image.convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"{path} is not a picture that can be read: {error}") from error
    ink = 1 - torch.from_numpy(np.asarray(paper.convert("L"), dtype=np.float32)) / 255
    if not ink.sum() > 0:
        raise SourceError(f"{path} is all white: draw the shape in black")
    height, width = ink.shape
    scale = 2 / max(height, width)

    def draw(count: int, rng: torch.Generator) -> Tensor:
        place = torch.multinomial(ink.flatten(), count, replacement=True, generator=rng)
        x, y = place % width + torch.rand(count, generator=rng), place // width + torch.rand(count, generator=rng)
        return scale * torch.stack([x - width / 2, height / 2 - y], 1)

    return Shape(path.name, draw)


def find_shape(name_or_file: str) -> Shape:
    """Return a shape by its name, or that of a picture file; raises SourceError."""
    if name_or_file in SHAPES:
        return SHAPES[name_or_file]()
    if not Path(name_or_file).is_file():
        raise SourceError(f"--shape {name_or_file}: neither a shape nor a picture file.{nearest(name_or_file, SHAPES)}")
    return picture(Path(name_or_file))
