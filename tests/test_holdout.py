"""Held-out samples: chosen by content, so copies never stand on both sides."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gandem import holdout
from gandem.domains.images.store import ImageData


@given(st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=60), st.floats(0, 0.5))
def test_every_sample_is_on_one_side_and_copies_are_on_the_same(contents: list[bytes], share: float) -> None:
    training, held_out = (rows.tolist() for rows in holdout.split(holdout.places(contents), share))
    assert sorted(training + held_out) == list(range(len(contents)))
    assert not {contents[row] for row in training} & {contents[row] for row in held_out}


@given(st.integers(0, 2**32), st.floats(0.05, 0.25))
def test_a_larger_share_only_adds(seed: int, share: float) -> None:
    place = np.random.default_rng(seed).random(100)
    smaller, larger = (set(holdout.split(place, part)[1].tolist()) for part in (share, 2 * share))
    assert smaller <= larger


@pytest.mark.parametrize(("count", "share"), [(10, 0), (199, 0), (200, 0.1), (50_000, 0.1), (100_000, 0.05)])
def test_the_automatic_share(count: int, share: float) -> None:
    assert holdout.automatic_share(count) == share


def test_the_share_is_kept_and_the_halves_share_the_pixels(fashion: ImageData) -> None:
    training, held_out = fashion.split(0.1)
    assert training.count + held_out.count == fashion.count == 4000
    assert abs(held_out.count - 400) < 4 * (4000 * 0.1 * 0.9) ** 0.5
    assert training.images is fashion.images and held_out.fingerprint == fashion.fingerprint
    images, labels = held_out.samples(torch.tensor([0, 5]))
    rows = held_out.rows[[0, 5]]
    assert (images == fashion.images[rows]).all() and (labels == fashion.labels[rows]).all()
    assert held_out.batch(torch.tensor([5]))["label"] == fashion.labels[rows[1]]


def test_mirrored_rows_are_those_of_the_part(fashion: ImageData) -> None:
    data = ImageData(fashion.images[:50], fashion.labels[:50], fashion.spec, mirror=True).split(0.3)[1]
    assert len(data) == 2 * data.count
    plain, turned = data.batch(torch.tensor([1, 1 + data.count]))["real"]
    assert torch.equal(plain.flip(2), turned)
