"""A small convolutional network with scikit-learn's manners: enough to tell whether more pictures help one."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

WIDTH, BATCH, STEPS, RATE = 32, 64, 300, 3e-3
"""Channels of the first stage, pictures a step, steps whatever the count of pictures is (so that an arm with more of
them does not also learn longer), learning rate."""
AT_ONCE = 1024


class SmallNetwork(BaseEstimator):
    """Two or three stages of convolutions, each halving the sides; the rate of AdamW falls to zero."""

    def __init__(self, seed: int = 0, steps: int = STEPS) -> None:
        self.seed, self.steps = seed, steps

    def fit(self, rows: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray | None = None) -> SmallNetwork:
        """Learn from uint8 (n, H, W, C); equal calls on one machine give equal networks."""
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        weights = torch.ones(len(rows)) if sample_weight is None else torch.from_numpy(sample_weight).float()
        targets = torch.from_numpy(numbers)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.network_ = _built(rows.shape[1:], len(self.classes_))
            optimizer = torch.optim.AdamW(self.network_.parameters(), RATE, weight_decay=1e-2)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
            for _ in range(self.steps):
                chosen = torch.randint(len(rows), (BATCH,))
                losses = cross_entropy(self.network_(_tensor(rows[chosen.numpy()])), targets[chosen], reduction="none")
                optimizer.zero_grad()
                (losses * weights[chosen]).mean().backward()
                optimizer.step()
                schedule.step()
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities (n, classes)."""
        with torch.no_grad():
            parts = [self.network_(_tensor(rows[at : at + AT_ONCE])).softmax(1) for at in range(0, len(rows), AT_ONCE)]
        return torch.cat(parts).double().numpy()


def _built(shape: tuple[int, ...], classes: int) -> nn.Module:
    height, width, channels = shape
    stages: list[nn.Module] = []
    side, before, after = min(height, width), channels, WIDTH
    while side >= 7 and after <= 4 * WIDTH:
        stages += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side, before, after = side // 2, after, 2 * after
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * before, classes))


def _tensor(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 127.5 - 1
