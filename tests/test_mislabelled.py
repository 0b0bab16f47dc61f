"""Labels that do not fit the pictures are noticed, and good ones are left alone."""

from importlib import resources

import numpy as np
import pytest

from gandem.domains.images.mislabelled import mislabelled


@pytest.fixture(scope="module")
def fashion() -> tuple[np.ndarray, np.ndarray]:
    with np.load(str(resources.files("gandem") / "data" / "fashion_4000.npz")) as data:
        images, labels = data["images"], data["labels"]
    return (images if images.ndim == 4 else images[..., None]), labels.astype(np.int64)


def test_good_labels_are_left_alone(fashion: tuple[np.ndarray, np.ndarray]) -> None:
    assert mislabelled(*fashion) == []


@pytest.mark.parametrize("wrong", [0, 7])
def test_one_class_of_random_labels_is_found(fashion: tuple[np.ndarray, np.ndarray], wrong: int) -> None:
    images, labels = fashion
    random = np.random.default_rng(1).integers(0, 10, len(labels))
    ((label, agreement, usual),) = mislabelled(images, np.where(labels == wrong, random, labels))
    assert label == wrong
    assert agreement < 0.3 * usual and usual > 0.5


def test_nothing_is_said_where_no_class_can_be_told(fashion: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = fashion
    assert mislabelled(images, np.random.default_rng(2).permutation(labels)) == []


def test_too_few_to_say(fashion: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = fashion
    assert mislabelled(images[:8], labels[:8]) == []
