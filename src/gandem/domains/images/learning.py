"""Training of the features that the judge of images looks with, the shipped ones and those of a user's own data.

Three losses are added, all straight on the features. Two random views of an image must be recognised as the same image
among the others of the batch (NT-Xent, Chen et al. 2020); labelled images must be told apart by class; and blur and
noise that both views were given must be readable, because a judge must see them where a contrastive loss would teach
to look through them. At the end the features are scaled to a standard deviation of 1 over what they learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from gandem.domains.domain import Progress
from gandem.domains.images.features import LEARNT_KEY, WIDTH, Encoder, to_square
from gandem.domains.images.store import ImageData
from gandem.holdout import digests

BATCH, RATE, TEMPERATURE = 192, 1e-3, 0.2
SAME, CLASS, DAMAGE = 1.0, 0.5, 3.0
"""Weights of the three losses."""
SPOILT = 0.4
"""Share of images that are blurred, and share of images that get noise."""
MOST = 30_000
"""Images that are learnt from."""
EQUAL = 100
"""Images of every set that the scale of the features is taken from."""


@dataclass(frozen=True)
class Part:
    """Images as float16 RGB (n, 3, 32, 32) in [-1, 1], labels (n,) that no other part uses, or none, and hashes."""

    images: Tensor
    labels: Tensor | None
    hashes: np.ndarray


def view(images: Tensor) -> Tensor:
    """Crop to 60-100 % of a side, mirror half, change contrast by 30 % and brightness by 0.2."""
    count = len(images)
    scale = 0.6 + 0.4 * torch.rand(count)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale * (torch.randint(0, 2, (count,)) * 2 - 1), scale
    theta[:, :, 2] = (1 - scale)[:, None] * (2 * torch.rand(count, 2) - 1)
    places = F.affine_grid(theta, list(images.shape), align_corners=False)
    views = F.grid_sample(images, places, padding_mode="border", align_corners=False)
    light = torch.rand(2, count, 1, 1, 1)
    return (views * (0.7 + 0.6 * light[0]) + 0.4 * (light[1] - 0.5)).clamp(-1, 1)


def damage(images: Tensor, amounts: Tensor) -> Tensor:
    """Mix images (n, 3, 32, 32) with their blur of deviation 1.5, and add noise; amounts (n, 2) in [0, 1]."""
    kernel = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 9)
    padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
    soft = F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.mT, groups=3)
    blur, noise = amounts[:, :, None, None, None].unbind(1)
    return torch.lerp(images, soft, blur) + noise.square() * torch.randn_like(images)


def same_image_loss(one: Tensor, two: Tensor) -> Tensor:
    """NT-Xent of features (n, d) and (n, d) whose rows belong together."""
    both = F.normalize(torch.cat([one, two]), dim=1)
    scores = (both @ both.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(scores, torch.arange(len(both)).roll(len(one)))


def part_of(images: np.ndarray, labels: np.ndarray | None) -> Part:
    """Shrink uint8 (n, H, W, C) to what the network looks at, and remember which images they were."""
    squares = torch.cat([to_square(images[at : at + 500]).half() for at in range(0, len(images), 500)])
    told = None if labels is None else torch.from_numpy(labels.astype(np.int64).ravel())
    return Part(squares, told, digests(np.ascontiguousarray(image).data for image in images))


def learn(data: ImageData, steps: int, seed: int, progress: Progress | None = None) -> bytes:
    """Learn features from (at most MOST) images; return a .safetensors file that `load_features` reads.

    It holds the weights and the hashes of the images, so that none of these is ever scored with them.
    """
    rows = torch.randperm(data.count, generator=torch.Generator().manual_seed(seed))[:MOST]
    part = part_of(*data.samples(rows))
    encoder = train([part], data.spec.num_labels, seed, steps, progress)
    standardise(encoder, [part])
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    learnt = torch.from_numpy(np.unique(part.hashes).view(np.int64))  # safetensors' readers differ on unsigned numbers
    told = {"made_by": "gandem features", "images": len(rows), "steps": steps, "seed": seed}
    return save(weights | {LEARNT_KEY: learnt}, {"gandem": json.dumps(told)})


def train(parts: Sequence[Part], classes: int, seed: int, steps: int, progress: Progress | None = None) -> Encoder:
    """Train; a batch is of one set alone, because images of another set would be told apart too easily."""
    torch.manual_seed(seed)
    encoder = Encoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, 0.1)
    classify, assess = nn.Linear(WIDTH, max(classes, 1)), nn.Linear(WIDTH, 2)
    learnt = [*encoder.parameters(), *classify.parameters(), *assess.parameters()]
    optimizer = torch.optim.AdamW(learnt, RATE, weight_decay=1e-3)
    share = torch.tensor([len(part.images) ** 0.5 for part in parts])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100) * (1 - step / steps)
        part = parts[int(torch.multinomial(share, 1))]
        rows = torch.randperm(len(part.images))[:BATCH]
        images = part.images[rows].float()
        amounts = (torch.rand(len(rows), 2) * (torch.rand(len(rows), 2) < SPOILT)).repeat(2, 1)
        views = damage(torch.cat([view(images), view(images)]), amounts)
        with torch.autocast("cpu", torch.bfloat16):
            found = encoder(views.contiguous(memory_format=torch.channels_last))
        found = found.float()
        same = same_image_loss(*found.chunk(2))
        known = 0.0 if part.labels is None else F.cross_entropy(classify(found), part.labels[rows].repeat(2))
        seen = F.mse_loss(assess(found), amounts)
        optimizer.zero_grad()
        (SAME * same + CLASS * known + DAMAGE * seen).backward()
        optimizer.step()
        if progress and (step % 10 == 9 or step == steps - 1):
            progress("learning features", step + 1, steps)
    return encoder.eval()


@torch.no_grad()
def standardise(encoder: Encoder, parts: list[Part]) -> None:
    """Scale the features to mean 0 and standard deviation 1 over equal numbers from every set."""
    some = [part.images[torch.linspace(0, len(part.images) - 1, EQUAL).long()] for part in parts]
    deviation, mean = torch.std_mean(encoder(torch.cat(some).float()), 0)
    encoder.project.weight /= deviation[:, None]
    encoder.project.bias.copy_((encoder.project.bias - mean) / deviation)
