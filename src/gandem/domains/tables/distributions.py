"""What cells are drawn from: a token from a categorical distribution, a residual from a logistic one within its bin."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

TINY = 1e-6
"""What no probability is below."""


def quantiles_of(latent: Tensor) -> tuple[Tensor, ...]:
    """Return a quantile (n, 1) for each number of latents (n, size)."""
    return torch.special.ndtr(latent.T.contiguous()).clamp(TINY, 1 - TINY)[..., None].unbind()


def cumulated(logits: Tensor) -> Tensor:
    """Return what is in proportion to the probability of each token and all before it, of logits (n, k)."""
    return (logits - logits.amax(1, keepdim=True)).exp_().cumsum_(1)


def tokens_at(logits: Tensor, quantiles: Tensor) -> Tensor:
    """Return the numbers (n, 1) of the tokens at quantiles (n, 1); one row of logits stands for all."""
    reached = cumulated(logits)
    alone = reached[0] if reached.shape[0] == 1 else reached
    places = torch.searchsorted(alone, quantiles * reached[:, -1:])
    return places.clamp_max_(logits.shape[1] - 1)  # of weights that have come apart, anything but a place outside


def logistic_log_density(shift: Tensor, scale: Tensor, residual: Tensor) -> Tensor:
    """Return the log density of residuals in (-1, 1) whose logit((1 + r) / 2) is logistic; all of one shape."""
    part = ((1 + residual) / 2).clamp(1e-3, 1 - 1e-3)
    z = (torch.logit(part) - shift) * torch.exp(-scale)
    return F.logsigmoid(z) + F.logsigmoid(-z) - scale - torch.log(2 * part * (1 - part))


def logistic_log_chance(shift: Tensor, scale: Tensor, bounds: Tensor) -> Tensor:
    """Return the log probability that residuals lie within their bounds (..., 2)."""
    ends = (torch.logit((1 + bounds) / 2, eps=1e-9) - shift.double()[..., None]) * torch.exp(-scale.double())[..., None]
    # Of two ends above 0 the difference is that below it, where small numbers are told apart.
    low, high = torch.where(ends.sum(-1, keepdim=True) > 0, -ends.flip(-1), ends).sigmoid().unbind(-1)
    return (high - low).clamp_min(1e-15).log()


class StraightThrough(torch.autograd.Function):
    """One-hots (n, k) of what was drawn, with the derivative of a softmax of logits + noise, see `gumbel_noise`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, token: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward((logits + gumbel_noise(logits, places)).softmax(1))
        return token

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (relaxed,) = ctx.saved_tensors
        pulled = gradient * relaxed
        return (pulled - relaxed * pulled.sum(1, keepdim=True)).to(gradient.dtype), None, None


def gumbel_noise(logits: Tensor, places: Tensor) -> Tensor:
    """Return Gumbel noise (n, k) under which the largest of logits + noise is at `places` (n,)."""
    exponential = (
        torch.rand_like(logits, dtype=torch.float32).neg_().log1p_().neg_()
    )  # exponential_() takes four to six times as long
    top = logits.logsumexp(1, keepdim=True) - exponential.gather(1, places[:, None]).clamp_min(1e-20).log()
    others = -torch.log(exponential * torch.exp(-logits) + torch.exp(-top))
    return others.scatter(1, places[:, None], top) - logits
