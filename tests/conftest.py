"""What the tests share: the pictures that ship with gandem, a few of them, and a file of some of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from gandem.domains.images.store import ImageData
from helpers import first, shipped

settings.register_profile("always the same", derandomize=True)  # a failure is the change's, not the dice's
settings.load_profile("always the same")


@pytest.fixture(scope="session")
def fashion() -> ImageData:
    """The 4,000 shipped pictures, 28 x 28, ten classes."""
    return shipped()


@pytest.fixture(scope="session")
def few(fashion: ImageData) -> ImageData:
    """64 of them."""
    return first(fashion, 64)


@pytest.fixture(scope="session")
def npz(fashion: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 256 of them, labels by name."""
    path = tmp_path_factory.mktemp("data") / "few.npz"
    names = np.array(fashion.spec.labels)
    np.savez(path, images=fashion.images[:256], labels=names[fashion.labels[:256]])
    return path
