"""Train the features that the judge of images ships with, src/gandem/domains/images/data/encoder.safetensors.

    GANDEM_DATA=data OMP_NUM_THREADS=1 python tools/train_features.py

It learns from the first half of each of these sets, so that the other half can be judged with them:

    Fashion-MNIST (MIT)                            rows 0..29,999 of the training images, 10 classes
    MNIST (CC BY-SA 3.0, recalled)                 rows 0..29,999 of the training images, 10 classes
    CIFAR-10 subset (no licence stated)            the first 500 of train_images of each class, 10 classes
    PneumoniaMNIST (CC BY 4.0)                     rows 0..2,353 of train_images, 2 classes
    BCCD white blood cells (MIT)                   the first 185 of 371 files by name
    Canada goose heads (MIT)                       the first 100 of 200 files by name
    LFWcrop faces (none stated; for research)      the first 5,000 of 10,000 files by name

Only weights leave this script, never pictures; that is why sets whose licence says nothing may be among them. The
flowers, the Olivetti faces and every val and test part are not read.

Three losses are added, all straight on the features. Two random views of an image must be recognised as the same image
among the others of the batch (NT-Xent, Chen et al. 2020); labelled images must be told apart by class; and blur and
noise that both views were given must be readable, because a judge must see them where a contrastive loss would teach
to look through them. At the end the features are scaled to a standard deviation of 1 over what they learnt from.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from gandem.domains.images.features import LEARNT, SHIPPED, WIDTH, Encoder, to_square
from gandem.holdout import digests
from gandem.training.checkpoint import write_atomic

STEPS, BATCH, RATE, TEMPERATURE = 3000, 192, 1e-3, 0.2
SAME, CLASS, DAMAGE = 1.0, 0.5, 3.0
"""Weights of the three losses."""
SPOILT = 0.4
"""Share of images that are blurred, and share of images that get noise."""
EQUAL = 100
"""Images of every set that the scale of the features is taken from."""


@dataclass(frozen=True)
class Part:
    """Images as float16 RGB (n, 3, 32, 32) in [-1, 1], labels (n,) that no other part uses, or none, and hashes."""

    images: Tensor
    labels: Tensor | None
    hashes: np.ndarray


def read_parts(root: Path) -> tuple[dict[str, Part], int]:
    """Read the half of every set that the features may learn from, and count the classes of all."""
    folder, parts, classes = root / "images", {}, 0

    def add(name: str, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        nonlocal classes
        images = images[..., None] if images.ndim == 3 else images
        squares = torch.cat([to_square(images[at : at + 500]).half() for at in range(0, len(images), 500)])
        own = None if labels is None else torch.from_numpy(labels.astype(np.int64).ravel()) + classes
        classes += 0 if labels is None else int(labels.max()) + 1
        parts[name] = Part(squares, own, digests(np.ascontiguousarray(image).data for image in images))

    for name in ("fashion_mnist", "mnist"):
        images = _idx(folder / name / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        add(f"{name} train 0..29999", images[:30_000], _idx(folder / name / "train-labels-idx1-ubyte.gz", 8)[:30_000])
    with np.load(folder / "cifar10" / "cifar10_subset.npz") as cifar:
        images, labels = cifar["train_images"], cifar["train_labels"]
        rows = np.sort(np.concatenate([np.flatnonzero(labels == label)[:500] for label in range(10)]))
        add("cifar10_subset train, first 500 of each class", images[rows], labels[rows])
    with np.load(folder / "medical" / "pneumoniamnist.npz") as lungs:
        add("pneumoniamnist train 0..2353", lungs["train_images"][:2354], lungs["train_labels"][:2354])
    for name, count in (("medical/bccd_wbc_128", 185), ("fewshot/goose_256", 100)):
        files = sorted((folder / name).glob("*.jpg"))[:count]
        add(f"{name} first {count}", np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))
    with zipfile.ZipFile(root / "faces" / "lfwcrop_64.zip") as faces:
        data = [faces.read(name) for name in sorted(name for name in faces.namelist() if name.endswith(".jpg"))[:5000]]
    add("lfwcrop_64 first 5000", np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in data]))
    return parts, classes


def _idx(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


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


def train(parts: list[Part], classes: int, seed: int, steps: int) -> Encoder:
    """Train; a batch is of one set alone, because images of another set would be told apart too easily."""
    torch.manual_seed(seed)
    encoder = Encoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, 0.1)
    classify, assess = nn.Linear(WIDTH, classes), nn.Linear(WIDTH, 2)
    learnt = [*encoder.parameters(), *classify.parameters(), *assess.parameters()]
    optimizer = torch.optim.AdamW(learnt, RATE, weight_decay=1e-3)
    share = torch.tensor([len(part.images) ** 0.5 for part in parts])
    began = time.monotonic()
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
        if step % 100 == 0:
            terms = " ".join(f"{float(torch.as_tensor(term).detach()):.3f}" for term in (same, known, seen))
            spent = time.monotonic() - began
            print(f"{spent:5.0f} s  {step:,} steps  {terms}", flush=True)
    return encoder.eval()


@torch.no_grad()
def standardise(encoder: Encoder, parts: list[Part]) -> None:
    """Scale the features to mean 0 and standard deviation 1 over equal numbers from every set."""
    some = [part.images[torch.linspace(0, len(part.images) - 1, EQUAL).long()] for part in parts]
    deviation, mean = torch.std_mean(encoder(torch.cat(some).float()), 0)
    encoder.project.weight /= deviation[:, None]
    encoder.project.bias.copy_((encoder.project.bias - mean) / deviation)


def main() -> None:
    """Train, standardise, write, and say what must stand in `features.FINGERPRINT`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("GANDEM_DATA", "data"))
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--learnt", type=Path, default=LEARNT, help="where the hashes of what it learnt from go")
    parser.add_argument("--only-hashes", action="store_true", help="write those and do not train")
    options = parser.parse_args()
    parts, classes = read_parts(options.data)
    for name, part in parts.items():
        print(f"{len(part.images):,} images of {name}", flush=True)
    hashes = io.BytesIO()
    np.save(hashes, np.unique(np.concatenate([part.hashes for part in parts.values()])), allow_pickle=False)
    write_atomic(options.learnt, hashes.getvalue())
    if options.only_hashes:
        return
    encoder = train(list(parts.values()), classes, options.seed, options.steps)
    standardise(encoder, list(parts.values()))
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    told = {"made_by": "tools/train_features.py", "rows": list(parts), "seed": options.seed, "steps": options.steps}
    data = save(weights, {"gandem": json.dumps(told)})  # one key: safetensors writes several in any order
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out, data)
    print(f'{options.out}: {len(data):,} bytes, FINGERPRINT = "{hashlib.sha256(data).hexdigest()[:12]}"')


if __name__ == "__main__":
    main()
