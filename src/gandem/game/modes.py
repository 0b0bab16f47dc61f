"""Networks put aside for a while: looked at without a trace, or kept from learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def looking(player: nn.Module) -> Iterator[None]:
    """Put a network in eval mode for a while, then each part of it back as it was: some are never in another."""
    modes = [(part, part.training) for part in player.modules()]
    player.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def resting(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Keep parameters from learning for a while; those that never learn are left alone."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
