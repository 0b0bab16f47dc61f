"""What can be done to any network, of whatever domain: other first weights, and brakes on a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
"""Layers whose weights are one matrix, its rows being the outputs."""

INITS: dict[str, Callable[[Tensor], object] | None] = {
    "scaled": None,
    "glorot": nn.init.xavier_normal_,
    "he": partial(nn.init.kaiming_normal_, a=0.2, nonlinearity="leaky_relu"),
    "orthogonal": nn.init.orthogonal_,
    "normal": partial(nn.init.normal_, std=0.02),
}
"""First weights W of a layer with so many inputs and outputs (those of a convolution times the places of its kernel):

scaled      the network's own, as its paper has them
glorot      N(0, 2 / (inputs + outputs)): signals and gradients keep their size where layers are linear (Glorot and
            Bengio 2010, eq. 12)
he          N(0, 2 / ((1 + a^2) inputs)): signals keep their size through leaky ReLUs of slope a, here 0.2 (He et al.
            2015, eq. 15)
orthogonal  W W^T = I, or W^T W = I where there are more outputs than inputs: no direction is stretched; Q of the QR
            decomposition of a matrix from N(0, 1) (Saxe et al. 2014)
normal      N(0, 0.02^2) (Radford et al. 2016, "DCGAN")
"""


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
    so that no layer stretches (Miyato et al. 2018). dropout: part p of the last layer's inputs h that is left out while
    it learns: h m / (1 - p), every m being 0 with probability p and else 1 (Srivastava et al. 2014).
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


class ForcedNorm(nn.Module):
    """w = g v / |v| for every output: what a weight is multiplied by and where it points are learnt apart.

    So a gradient only turns v (Salimans and Kingma 2016), and v is brought back to |v| = 1 after every step, so that it
    neither grows nor turns more slowly for that ("forced weight normalisation", Karras et al. 2024, who have |v| =
    sqrt(fan-in) and no gains to learn). The gains begin as the norms of the first weights: zero layers stay at zero,
    with a random v, until their gains move.
    """

    def forward(self, gain: Tensor, direction: Tensor) -> Tensor:
        """Map gains (outputs, 1, ...) and directions (outputs, inputs, ...) to weights of the latter shape."""
        return gain * (direction / _norm(direction))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gains and directions of some weights."""
        gain = _norm(weight)
        direction = torch.where(gain > 0, weight, torch.randn_like(weight))
        return gain, direction / _norm(direction)


def normalise(network: nn.Module) -> None:
    """Give every weight of a network a `ForcedNorm`, in place."""
    for layer in list(network.modules()):
        if isinstance(layer, WEIGHTED):
            parametrize.register_parametrization(layer, "weight", ForcedNorm())


@torch.no_grad()
def force_norms(network: nn.Module) -> None:
    """Bring every direction of `ForcedNorm` back to length 1; there may be none."""
    for each in network.modules():
        if isinstance(each, parametrize.ParametrizationList) and isinstance(each[0], ForcedNorm):
            direction = each.get_parameter("original1")
            direction.div_(_norm(direction))


def fold(network: nn.Module) -> None:
    """Turn normalised weights into plain ones of the same values, in place: for networks that learn no more."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")


def _norm(weight: Tensor) -> Tensor:
    """Return the norm of every row, (outputs, 1, ...)."""
    return torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.ndim)), keepdim=True)


def _wrap_last(network: nn.Module, wrapped: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace the last linear layer of a network by what `wrapped` makes of it."""
    name, last = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    network.set_submodule(name, wrapped(last))
