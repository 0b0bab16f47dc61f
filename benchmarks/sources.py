"""The real data of the benchmarks, read without gandem so that the judge shares no code with the judged.

The folder of the data ($GANDEM_DATA or --data) holds images/fashion_mnist, images/mnist (each the four IDX files),
images/cifar10/cifar10_subset.npz and faces/lfwcrop_64.zip.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
HELD_OUT_FACES = 2000
TASKS = ("fashion", "mnist", "faces", "cifar")


@dataclass(frozen=True)
class Task:
    """Real images in three roles that never mix. Images are uint8 (n, height, width, channels).

    training: what the generators learn from. feature_rows: the rows of it that the judge's features learn from; the
    other rows stand for "real" in the real-against-real row. reference: what distances are measured against, seen by
    no generator and no feature. labels and reference_labels: int64 (n,), or None when there are no classes.
    identities: who is on each training image, for the features of faces.
    """

    name: str
    training: np.ndarray
    labels: np.ndarray | None
    feature_rows: np.ndarray
    reference: np.ndarray
    reference_labels: np.ndarray | None
    identities: np.ndarray | None = None
    mirror: bool = False

    @property
    def classes(self) -> int:
        """Number of classes, 0 without labels."""
        return 0 if self.labels is None else int(self.labels.max()) + 1

    @property
    def other_rows(self) -> np.ndarray:
        """Training rows that the features did not learn from."""
        return np.setdiff1d(np.arange(len(self.training)), self.feature_rows)

    @property
    def count(self) -> int:
        """How many generated images are judged: as many as there are real ones to put beside them, 10,000 at most."""
        return min(10_000, len(self.other_rows))


def load_task(name: str, root: Path) -> Task:
    """Return one of TASKS; raises FileNotFoundError that says which file is missing."""
    if name == "faces":
        return _faces(root / "faces" / "lfwcrop_64.zip")
    if name == "cifar":
        return _cifar(root / "images" / "cifar10" / "cifar10_subset.npz")
    folder = root / "images" / {"fashion": "fashion_mnist", "mnist": "mnist"}[name]
    images, labels = read_idx(folder, "train")
    reference, reference_labels = read_idx(folder, "t10k")
    return Task(name, images, labels, np.arange(len(images) // 2), reference, reference_labels)


def write_training_file(task: Task, path: Path) -> Path:
    """Write what the generators may see as an .npz, so that every arm learns from the same bytes."""
    arrays = {"images": task.training} | ({} if task.labels is None else {"labels": task.labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


def read_idx(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one split ("train", "t10k") of MNIST-like IDX files as uint8 (n, height, width, 1) and int64 (n,)."""
    with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
        _, count, height, width = np.frombuffer(file.read(16), dtype=">u4").tolist()
        images = np.frombuffer(bytearray(file.read()), dtype=np.uint8).reshape(count, height, width, 1)
    with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8).astype(np.int64)
    return images, labels


def read_faces(archive: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read `lfw/First_Last_0001.jpg` as uint8 (n, 64, 64, 3) and the person on each image as int64 (n,)."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        images = np.stack([np.asarray(Image.open(io.BytesIO(file.read(name))).convert("RGB")) for name in names])
    _, people = np.unique([Path(name).stem.rpartition("_")[0] for name in names], return_inverse=True)
    return images, people.astype(np.int64)


def _cifar(archive: Path) -> Task:
    """Take the 10,000 training images; the 3,000 others are the reference."""
    with np.load(archive) as file:
        images, labels = (
            [file[f"{split}_{what}"] for split in ("train", "val", "test")] for what in ("images", "labels")
        )
    order = np.random.default_rng(0).permutation(len(images[0]))  # the file has one class after the other
    training, truth = images[0][order], labels[0][order].astype(np.int64)
    reference, reference_truth = np.concatenate(images[1:]), np.concatenate(labels[1:]).astype(np.int64)
    return Task("cifar", training, truth, np.arange(len(order) // 2), reference, reference_truth, mirror=True)


def _faces(archive: Path) -> Task:
    """Split by person: about 2,000 images of held-out people; the features learn from half of the others.

    Only people with at most ten images are held out, so that nobody makes up more than half a percent of the reference.
    """
    images, people = read_faces(archive)
    rng = np.random.default_rng(0)
    rare = rng.permutation(np.flatnonzero(np.bincount(people) <= 10))
    reached = np.cumsum(np.bincount(people)[rare])
    held_out = np.isin(people, rare[: int(np.searchsorted(reached, HELD_OUT_FACES)) + 1])
    seen = people[~held_out]
    halves = rng.permutation(np.unique(seen))
    feature_rows = np.flatnonzero(np.isin(seen, halves[: len(halves) // 2]))
    return Task("faces", images[~held_out], None, feature_rows, images[held_out], None, identities=seen, mirror=True)
