"""The small classifiers of features behind the two-sample test and the usefulness: one hidden layer, seeded.

Several are trained at once, each on rows of its own: every step costs its overhead once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

HIDDEN, BATCH, EPOCHS, STEPS, RATE = 256, 128, 15, 300, 3e-3
"""Hidden units, rows a step, passes over the rows but no fewer than so many steps, learning rate."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Called as loss(outputs (c, k, b) of c classifiers, which rows these are (b,)) -> (c, b)."""


def fit(rows: Tensor, outputs: int, loss: Loss, *, seed: int) -> Callable[[Tensor], Tensor]:
    """Train c classifiers on rows (c, n, d) and return a function of rows (c or 1, m, d) -> (c, outputs, m), float32.

    The rows are standardised. All begin with the same weights and see their rows in the same order; equal calls give
    equal classifiers, and the global random state is left as it was.
    """
    mean = rows.mean(1, keepdim=True)
    deviation = rows.std(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)

    def inputs(raw: Tensor) -> Tensor:
        return ((raw - mean) / deviation).clamp(-10, 10).float()  # one outlier must not swamp a step

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(rows.shape[2], HIDDEN), nn.Linear(HIDDEN, outputs)
        weights = [each.detach() for layer in layers for each in (layer.weight, layer.bias[:, None])]
        weights = [each.expand(len(rows), -1, -1).clone().requires_grad_() for each in weights]
        _train(weights, inputs(rows), loss)
    return lambda raw: _outputs(weights, inputs(raw)).detach()


def _outputs(weights: list[Tensor], inputs: Tensor) -> Tensor:
    """Map rows (c, b, d), each a column in the network: so the gradients come out as the weights lie in memory."""
    weight, bias, weight_out, bias_out = weights
    hidden = torch.baddbmm(bias, weight, inputs.mT).relu()
    return torch.baddbmm(bias_out, weight_out, hidden)


def _train(weights: list[Tensor], inputs: Tensor, loss: Loss) -> None:
    """Minimise each loss with AdamW and a rate that falls to zero; order from torch's global generator."""
    count = inputs.shape[1]
    steps = max(EPOCHS * count // BATCH, STEPS)
    optimizer = torch.optim.AdamW(weights, RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    passes = -(-steps * BATCH // count) + 1
    order = torch.cat([torch.randperm(count) for _ in range(passes)])
    with torch.enable_grad():
        for chosen in order[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            loss(_outputs(weights, inputs.index_select(1, chosen)), chosen).mean(1).sum().backward()
            optimizer.step()
            schedule.step()
