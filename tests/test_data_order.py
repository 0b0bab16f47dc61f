"""The order of the data: endless shuffled epochs that anyone can look up anywhere."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gandem.training.data_order import data_order

sizes, places, seeds = st.integers(1, 50), st.integers(0, 500), st.integers(0, 2**63 - 1)


@settings(deadline=None)
@given(sizes, st.integers(0, 20), seeds)
def test_every_epoch_shows_everything_once(size: int, epoch: int, seed: int) -> None:
    assert sorted(data_order(size, epoch * size, size, seed).tolist()) == list(range(size))


@settings(deadline=None)
@given(sizes, places, st.integers(1, 100), st.integers(1, 100), seeds)
def test_however_it_is_cut_into_batches(size: int, start: int, one: int, other: int, seed: int) -> None:
    whole = data_order(size, start, one + other, seed)
    parts = torch.cat([data_order(size, start, one, seed), data_order(size, start + one, other, seed)])
    assert torch.equal(whole, parts)


def test_epochs_and_seeds_differ() -> None:
    orders = [data_order(50, start, 50, seed).tolist() for start, seed in ((0, 0), (50, 0), (0, 1))]
    assert len({tuple(order) for order in orders}) == 3
