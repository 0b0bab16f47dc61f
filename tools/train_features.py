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

How they are learnt: gandem/domains/images/learning.py, the same as for the features of a user's own data.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save

from gandem.domains.images.features import LEARNT, SHIPPED
from gandem.domains.images.learning import Part, part_of, standardise, train
from gandem.training.checkpoint import write_atomic

STEPS = 3000


def read_parts(root: Path) -> tuple[dict[str, Part], int]:
    """Read the half of every set that the features may learn from, and count the classes of all."""
    folder, parts, classes = root / "images", {}, 0

    def add(name: str, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        nonlocal classes
        images = images[..., None] if images.ndim == 3 else images
        parts[name] = part_of(images, None if labels is None else labels.astype(np.int64) + classes)
        classes += 0 if labels is None else int(labels.max()) + 1

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


def tell(what: str, done: int, total: int) -> None:
    """Print how far it is."""
    if done % 100 == 0:
        print(f"{what}: {done:,} of {total:,} steps", flush=True)


def weights_from(parts: dict[str, Part], classes: int, seed: int, steps: int = STEPS) -> bytes:
    """Train on the parts and standardise; return a .safetensors file that says what it learnt from."""
    encoder = train(list(parts.values()), classes, seed, steps, tell)
    standardise(encoder, list(parts.values()))
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    told = {"made_by": "tools/train_features.py", "rows": list(parts), "seed": seed, "steps": steps}
    return save(weights, {"gandem": json.dumps(told)})  # one key: safetensors writes several in any order


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
    data = weights_from(parts, classes, options.seed, options.steps)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out, data)
    print(f'{options.out}: {len(data):,} bytes, FINGERPRINT = "{hashlib.sha256(data).hexdigest()[:12]}"')


if __name__ == "__main__":
    main()
