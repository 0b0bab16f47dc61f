"""Make the small real set that ships with gandem: 4,000 Fashion-MNIST training images, 400 of each class.

    python benchmarks/make_demo_data.py FOLDER_WITH_IDX_FILES [src/gandem/data/fashion_4000.npz]

The images of a class are taken at even steps through the second half of the training file, so nobody's taste has a hand
in the choice, and the judge's features, which learnt from the first half, have seen none of them. The file holds
`images` uint8 (4000, 28, 28), `labels` uint8 (4000,) and `label_names` (10,), the same bytes every time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sources import FASHION_NAMES, read_idx

PER_CLASS = 400
DEFAULT_TARGET = Path(__file__).resolve().parents[1] / "src" / "gandem" / "data" / "fashion_4000.npz"


def choose(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Return the rows of `per_class` images of every class at even steps, in the order of the file."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    even = [of_class[np.linspace(0, len(of_class) - 1, per_class).astype(int)] for of_class in rows]
    return np.sort(np.concatenate(even))


def main() -> None:
    """Choose, write, and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=DEFAULT_TARGET)
    options = parser.parse_args()
    images, labels = read_idx(options.source, "train")
    half = len(labels) // 2
    rows = half + choose(labels[half:], PER_CLASS)
    np.savez_compressed(
        options.target,
        images=images[rows, :, :, 0],
        labels=labels[rows].astype(np.uint8),
        label_names=np.array(FASHION_NAMES),
    )
    print(f"{options.target}: {len(rows)} images, {options.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
