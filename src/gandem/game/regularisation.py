"""What can be done to any network, of whatever domain: other first weights, and brakes on a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
"""Layers whose weights are one matrix, its rows being the outputs."""

INITS: dict[str, Callable[[Tensor], object] | None] = {
    "scaled": None,
    "glorot": nn.init.xavier_normal_,
    "he": partial(nn.init.kaiming_normal_, a=0.2, nonlinearity="leaky_relu"),
    "orthogonal": nn.init.orthogonal_,
    "normal": partial(nn.init.normal_, std=0.02),
}
"""First weights. scaled: the network's own, as its paper has them; Glorot and Bengio 2010, for a gain of 1; He et al.
2015, for leaky ReLUs of slope 0.2; Saxe et al. 2014; Radford et al. 2016 (DCGAN), N(0, 0.02^2)."""


def initialise(network: nn.Module, how: str) -> None:
    """Draw the weights of every layer anew by an entry of INITS, with zero biases; zero layers are filled as well."""
    draw = INITS[how]
    if draw is None:
        return
    for layer in network.modules():
        if isinstance(layer, WEIGHTED):
            values = torch.empty_like(layer.weight, memory_format=torch.contiguous_format)  # as orthogonal_ needs
            draw(values)
            layer.weight.data.copy_(values)
            if isinstance(bias := getattr(layer, "bias", None), Tensor):
                nn.init.zeros_(bias)


def regularise(discriminator: nn.Module, *, spectral_norm: bool, dropout: float, minibatch_std: int) -> None:
    """Put brakes on a discriminator, in place.

    spectral_norm: every weight matrix is divided by its largest singular value, found by one power iteration a pass,
    so that no layer stretches (Miyato et al. 2018). dropout: part of the last layer's inputs that is left out.
    minibatch_std: size of the groups that `MinibatchStd` looks at, 0 or 1 for none. With none nothing is touched.
    """
    if minibatch_std > 1:
        _wrap_last(discriminator, lambda last: MinibatchStd(last, minibatch_std))
    if dropout:
        _wrap_last(discriminator, lambda last: nn.Sequential(nn.Dropout(dropout), last))
    if spectral_norm:
        for layer in [each for each in discriminator.modules() if isinstance(each, WEIGHTED)]:
            if not layer.weight.any():
                nn.init.xavier_normal_(layer.weight)  # zeros have no singular value to divide by
            parametrizations.spectral_norm(layer)


class MinibatchStd(nn.Module):
    """A last layer that also sees how much neighbouring samples differ (Karras et al. 2018, section 3).

    The standard deviation of every feature over a group of rows, averaged over the features, is one feature more. A
    generator whose samples are alike gives itself away. Calls whose rows do not divide into groups are one group.
    """

    def __init__(self, last: nn.Linear, group: int) -> None:
        super().__init__()
        self.last, self.group = last, group
        self.weight = nn.Parameter(torch.zeros(last.out_features))

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, features) to (n, outputs)."""
        rows = features.shape[0]
        size = self.group if rows % self.group == 0 else rows
        groups = features.view(-1, size, features.shape[1])
        # The small number keeps the slope of the root finite where all samples are alike.
        spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean(1)
        return self.last(features) + spread.repeat_interleave(size)[:, None] * self.weight


def _wrap_last(network: nn.Module, wrapped: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace the last linear layer of a network by what `wrapped` makes of it."""
    name, last = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    network.set_submodule(name, wrapped(last))
