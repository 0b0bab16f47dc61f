"""Decoded samples from latents, as all kinds of data are made whose generators make whole tensors."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from gandem import latents
from gandem.conditions import Told
from gandem.domains.domain import Codec

AT_ONCE = 512
"""Samples that are floating-point numbers at a time, at least; what a generator makes at once may be more."""


def made(codec: Codec, generator: nn.Module, latent: Tensor, told: Told) -> np.ndarray:
    """Return decoded samples of latents (n, size) and of what the generator is told."""
    many = max(AT_ONCE, int(getattr(generator, "at_once", 0)))
    noises = latent.split(many)
    inputs = [None] * len(noises) if told.inputs is None else told.inputs.split(many)
    fixed = (told.fixed,) if told.fixed else ()
    parts = zip(noises, inputs, strict=True)
    return np.concatenate([codec.decode(latents.generate(generator, *part), *fixed) for part in parts])
