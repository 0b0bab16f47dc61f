"""The judge of the image benchmarks: distances between sets of images, and what a CNN learns from generated ones.

Distances compare the features of two sets in a small CNN that has learnt from real images which are never judged:
to tell the classes apart or, where there are none (faces), to recognise the same picture and person under another crop,
mirroring and light (supervised contrastive learning, Khosla et al. 2020; that such features rank generators well:
Morozov et al. 2021). Numbers hold within one benchmark; they are not the Inception numbers of the literature.

Every result is {"value", "low", "high", "n", ...} with a 95 % interval.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FEATURES = 128
BATCH = 128
FEATURE_EPOCHS, CONTRASTIVE_EPOCHS = 4, 20
"""Epochs of the judge's features: a classifier of real images, or contrastive learning where there are no classes."""
CLASSIFIER_IMAGES = 240_000
"""Images, repeated ones counted, that a classifier learns from, be it from 10,000 images or from all."""
CLASSIFIERS = (1, 2, 3)
"""Seeds of the classifiers whose mean accuracy is the train-on-generated accuracy."""


class Encoder(nn.Module):
    """Images (n, C, H, W) in [-1, 1] to features (n, 128); `head` makes logits or an embedding of them."""

    def __init__(self, channels: int, size: int, outputs: int) -> None:
        super().__init__()
        widths = (32, 64, 128) if size < 64 else (32, 64, 128, 128)
        side = 3 if size < 64 else 4
        layers: list[nn.Module] = []
        for before, width in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(side))
        self.project = nn.Linear(widths[-1] * side**2, FEATURES)
        self.head = nn.Linear(FEATURES, outputs)

    def features(self, images: Tensor) -> Tensor:
        """Return the features before the head, (n, 128)."""
        return F.relu(self.project(self.convolutions(images).flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of the head."""
        return self.head(self.features(images))


def to_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Turn uint8 (n, H, W, C) into float32 (n, C, H, W) in [-1, 1], channels_last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device, torch.float32) / 127.5 - 1


def fit_classifier(
    images: np.ndarray, labels: np.ndarray, classes: int, *, epochs: int, seed: int, device: torch.device
) -> Encoder:
    """Train a small CNN to name the class; cross-entropy, Adam, one learning-rate cycle."""
    truth = torch.from_numpy(labels).to(device)

    def loss(encoder: Encoder, rows: np.ndarray) -> Tensor:
        return F.cross_entropy(encoder(to_tensor(images[rows], device)), truth[rows])

    return _fit(Encoder(images.shape[3], images.shape[1], classes), loss, len(images), epochs, seed, device)


def fit_contrastive(
    images: np.ndarray, identities: np.ndarray, *, epochs: int, seed: int, device: torch.device
) -> Encoder:
    """Train a small CNN to pull together two views of a picture, and pictures of one person, among others."""
    people = torch.from_numpy(identities).to(device)

    def loss(encoder: Encoder, rows: np.ndarray) -> Tensor:
        batch = to_tensor(images[rows], device)
        embedded = F.normalize(encoder(torch.cat([random_view(batch), random_view(batch)])), dim=1)
        return contrastive_loss(embedded, people[rows].repeat(2))

    return _fit(Encoder(images.shape[3], images.shape[1], FEATURES), loss, len(images), epochs, seed, device)


def contrastive_loss(embedded: Tensor, identities: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2) of unit vectors (n, d) with identities (n,)."""
    itself = torch.eye(len(embedded), dtype=torch.bool, device=embedded.device)
    same = (identities[:, None] == identities[None]) & ~itself
    log_likely = (embedded @ embedded.T / temperature).masked_fill(itself, -math.inf).log_softmax(dim=1)
    return -(log_likely.masked_fill(~same, 0).sum(1) / same.sum(1)).mean()


def random_view(images: Tensor) -> Tensor:
    """Crop to 70-100 % of a side, mirror half of them, and change contrast by 30 % and brightness by a tenth."""
    count, device = len(images), images.device
    scale = 0.7 + 0.3 * torch.rand(count, device=device)
    shift = (1 - scale)[:, None] * (2 * torch.rand(count, 2, device=device) - 1)
    side = torch.randint(0, 2, (count,), device=device) * 2 - 1
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = side * scale, scale, shift
    views = F.grid_sample(images, F.affine_grid(theta, list(images.shape), align_corners=False), align_corners=False)
    light = torch.rand(2, count, 1, 1, 1, device=device)
    return views * (0.7 + 0.6 * light[0]) + 0.2 * (2 * light[1] - 1)


@torch.no_grad()
def extract(encoder: Encoder, images: np.ndarray, device: torch.device) -> Tensor:
    """Return the features of uint8 images as float64 (n, 128) on the CPU."""
    return torch.cat([encoder.features(part).double().cpu() for part in _parts(images, device)])


@torch.no_grad()
def correct(encoder: Encoder, images: np.ndarray, labels: np.ndarray, device: torch.device) -> int:
    """Count the images whose class the classifier names rightly."""
    named = torch.cat([encoder(part).argmax(1).cpu() for part in _parts(images, device)])
    return int((named == torch.from_numpy(labels)).sum())


def frechet_distance(left: Tensor, right: Tensor) -> float:
    """Return |mean difference|^2 + tr(A + B - 2 (A B)^1/2) of two float64 feature sets (n, d) as Gaussians."""
    a, b = torch.cov(left.T), torch.cov(right.T)
    values, vectors = torch.linalg.eigh(a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b @ root).clamp(min=0).sqrt().sum()
    return float((left.mean(0) - right.mean(0)).square().sum() + a.trace() + b.trace() - 2 * cross)


def kernel_distance(left: Tensor, right: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3; it can be below zero."""
    return float(sum(part.mean() for part in _kernel_parts(left, right)))


def frechet_figure(left: Tensor, right: Tensor, resamples: int = 20) -> dict[str, Any]:
    """Frechet distance of all rows; the interval is 1.96 standard deviations over bootstrap resamples of both sets."""
    rng = np.random.default_rng(0)
    value = frechet_distance(left, right)
    again = [frechet_distance(left[_draw(rng, left)], right[_draw(rng, right)]) for _ in range(resamples)]
    return _figure(value, 1.96 * float(np.std(again, ddof=1)), n=len(left), n_reference=len(right))


def kernel_figure(left: Tensor, right: Tensor) -> dict[str, Any]:
    """Kernel distance of all rows; the interval comes from the variance of a U-statistic (Hoeffding 1948).

    To first order the distance is a sum of independent terms, one for each row, and every row counts twice: once in
    either place of the kernel.
    """
    parts = _kernel_parts(left, right)
    error = 2 * math.sqrt(sum(float(part.var()) / len(part) for part in parts))
    return _figure(float(sum(part.mean() for part in parts)), 1.96 * error, n=len(left), n_reference=len(right))


def wilson_figure(right: float, n: int) -> dict[str, Any]:
    """Return the share right / n with its 95 % Wilson interval."""
    z, share = 1.96, right / n
    centre, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return {"value": share, "low": (centre - half) / (1 + z**2 / n), "high": (centre + half) / (1 + z**2 / n), "n": n}


def accuracy_figure(
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    device: torch.device,
) -> dict[str, Any]:
    """Train classifiers on `images` only; return their mean accuracy on the test set, with its Wilson interval."""
    classes = int(test_labels.max()) + 1
    epochs = max(round(CLASSIFIER_IMAGES / len(images)), 1)
    counts = []
    for seed in CLASSIFIERS:
        classifier = fit_classifier(images, labels, classes, epochs=epochs, seed=seed, device=device)
        counts.append(correct(classifier, test_images, test_labels, device))
    figure = wilson_figure(float(np.mean(counts)), len(test_labels))
    return figure | {"trained_on": len(images), "each": [count / len(test_labels) for count in counts]}


@dataclass(frozen=True)
class Judge:
    """Features that are standardised on a reference set, and the reference's own."""

    encoder: Encoder
    reference: Tensor
    mean: Tensor
    deviation: Tensor
    device: torch.device

    @classmethod
    def of(cls, encoder: Encoder, reference: np.ndarray, device: torch.device) -> Judge:
        """Build a judge that measures distances from `reference`, uint8 (n, H, W, C)."""
        features = extract(encoder, reference, device)
        mean, deviation = features.mean(0), features.std(0) + 1e-2  # a feature that never fires must not divide by zero
        return cls(encoder, (features - mean) / deviation, mean, deviation, device)

    def distances(self, images: np.ndarray) -> dict[str, Any]:
        """Return the Frechet and kernel distance of uint8 images (n, H, W, C) from the reference."""
        features = self.features(images)
        return {
            "frechet_distance": frechet_figure(features, self.reference),
            "kernel_distance": kernel_figure(features, self.reference),
        }

    def kernel_distance(self, images: np.ndarray) -> dict[str, Any]:
        """Return the kernel distance alone, which is quickly found."""
        return kernel_figure(self.features(images), self.reference)

    def features(self, images: np.ndarray) -> Tensor:
        """Return the features (n, d), each scaled to mean 0 and deviation 1 over the reference."""
        return (extract(self.encoder, images, self.device) - self.mean) / self.deviation

    @property
    def fingerprint(self) -> str:
        """Hash of the encoder's weights; numbers with different fingerprints must not be compared."""
        weights = [tensor.detach().cpu().numpy().tobytes() for tensor in self.encoder.state_dict().values()]
        return hashlib.sha256(b"".join(weights)).hexdigest()[:12]


def cached(path: Path, like: Encoder, device: torch.device) -> Encoder | None:
    """Return the encoder saved at `path`, or None; `like` gives the architecture."""
    if not path.is_file():
        return None
    like.load_state_dict(load_file(path))
    return like.to(device, memory_format=torch.channels_last).eval()


def keep(path: Path, encoder: Encoder) -> None:
    """Save an encoder for the next time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in encoder.state_dict().items()}, path)


def _fit(encoder: Encoder, loss: Any, count: int, epochs: int, seed: int, device: torch.device) -> Encoder:
    torch.manual_seed(seed)
    for layer in encoder.modules():  # again, from this seed: the caller's randomness must not reach the judge
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.reset_parameters()
    encoder.to(device, memory_format=torch.channels_last).train()
    batch, rng = min(BATCH, count), np.random.default_rng(seed)
    steps = epochs * (count // batch)
    optimizer = torch.optim.Adam(encoder.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in range(0, count - batch + 1, batch):
            optimizer.zero_grad()
            loss(encoder, order[start : start + batch]).backward()
            optimizer.step()
            schedule.step()
    return encoder.eval()


def _parts(images: np.ndarray, device: torch.device, size: int = 500) -> Iterator[Tensor]:
    return (to_tensor(images[start : start + size], device) for start in range(0, len(images), size))


def _kernel_parts(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return what every row of both sets adds: its mean kernel with its own set less that with the other set."""
    return _kernel_part(left, right), _kernel_part(right, left)


def _kernel_part(rows: Tensor, others: Tensor) -> Tensor:
    own = torch.cat([_cubic(part, rows).sum(1) for part in rows.split(1000)])
    itself = (rows.square().sum(1) / rows.shape[1] + 1) ** 3
    cross = torch.cat([_cubic(part, others).mean(1) for part in rows.split(1000)])
    return (own - itself) / (len(rows) - 1) - cross


def _cubic(left: Tensor, right: Tensor) -> Tensor:
    return (left @ right.T / left.shape[1] + 1) ** 3


def _draw(rng: np.random.Generator, features: Tensor) -> Tensor:
    return torch.from_numpy(rng.integers(0, len(features), len(features)))


def _figure(value: float, half: float, **counts: int) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, **counts}
