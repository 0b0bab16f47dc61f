"""The small classifier of features behind the two-sample test and the usefulness: one hidden layer, seeded."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

HIDDEN, BATCH, EPOCHS, STEPS, RATE = 256, 128, 15, 300, 3e-3
"""Hidden units, rows a step, passes over the rows but no fewer than so many steps, learning rate."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Called as loss(outputs (b, k), which rows these are (b,)) -> scalar."""


def fit(rows: Tensor, outputs: int, loss: Loss, *, seed: int) -> Callable[[Tensor], Tensor]:
    """Train on rows (n, d) and return a function of rows (m, d) -> outputs (m, outputs), float32.

    The rows are standardised; equal calls give equal classifiers, and the global random state is left as it was.
    """
    mean, deviation = rows.mean(0), rows.std(0).clamp(min=torch.finfo(torch.float32).tiny)

    def inputs(raw: Tensor) -> Tensor:
        return ((raw - mean) / deviation).clamp(-10, 10).float()  # one outlier must not swamp a step

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(rows.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))
        _train(network, inputs(rows), loss)
    return lambda raw: network(inputs(raw)).detach()


def _train(network: nn.Module, inputs: Tensor, loss: Loss) -> None:
    """Minimise the loss with AdamW and a rate that falls to zero; order from torch's global generator."""
    steps = max(EPOCHS * len(inputs) // BATCH, STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    passes = -(-steps * BATCH // len(inputs)) + 1
    order = torch.cat([torch.randperm(len(inputs)) for _ in range(passes)])
    with torch.enable_grad():
        for chosen in order[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            loss(network(inputs[chosen]), chosen).backward()
            optimizer.step()
            schedule.step()
