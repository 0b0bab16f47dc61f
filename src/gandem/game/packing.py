"""Packing: the discriminator judges m samples of one kind at once (Lin et al. 2018, "PacGAN").

A generator that has lost variety gives itself away: a pack of its samples is more alike than one of real samples.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gandem.game.noise_game import ask
from gandem.spec import SampleSpec


def pack_spec(spec: SampleSpec, packing: int) -> SampleSpec:
    """Return what a pack is as one sample: m times the channels, and each of its places has labels of its own."""
    channels, *rest = spec.shape
    return replace(spec, shape=(packing * channels, *rest), labels=spec.labels * packing)


class Packed(nn.Module):
    """D(x_1, ..., x_m): one logit for every m neighbouring samples, whose channels become those of one.

    discriminator: built for `pack_spec`, so that it knows m K labels where a sample has K: with a projection head
    (Miyato and Koyama 2018) a pack gets the sum of the embeddings of its labels, each of its own place.
    """

    def __init__(self, discriminator: nn.Module, packing: int, labels: int) -> None:
        super().__init__()
        self.discriminator, self.packing, self.labels = discriminator, packing, labels
        for layer in discriminator.modules():
            if isinstance(layer, nn.Embedding):
                layer.register_forward_hook(lambda _layer, _label, embedded: embedded.sum(1))

    def forward(self, samples: Tensor, label: Tensor | None = None) -> Tensor:
        """Map samples (m n, channels, ...) and labels (m n,) to logits (n,)."""
        packs = samples.reshape(-1, self.packing * samples.shape[1], *samples.shape[2:])
        if label is not None:
            label = label.view(-1, self.packing) + self.labels * torch.arange(self.packing, device=label.device)
        return ask(self.discriminator, packs, label)
