"""The differentiable changes of images, each against its own plain formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gandem.game.augmentation import DRAWS, augment

RNG = torch.Generator().manual_seed(0)
IMAGES = torch.rand(6, 3, 16, 24, generator=RNG) * 2 - 1
UNIFORM = torch.rand(6, DRAWS, generator=RNG)


def only(kind: int, **values: float) -> Tensor:
    """Draws for six images that choose one kind of change (0 colour, 1 shift, 2 cutout), the rest at 0.5."""
    draws = torch.full((6, DRAWS), 0.5)
    draws[:, :3] = 0.9
    draws[:, kind] = 0.0
    for column, value in values.items():
        draws[:, int(column.removeprefix("at"))] = value
    return draws


def test_strength_zero_changes_nothing() -> None:
    assert torch.equal(augment(IMAGES, UNIFORM, 0.0), IMAGES)


def test_strength_is_the_probability_of_each_kind() -> None:
    draws = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(1))
    images = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).expand(4000, -1, -1, -1)
    changed = ((augment(images, draws, 0.3) - images).abs() > 1e-5).flatten(1).any(1)  # rounding is no change
    assert float(changed.float().mean()) == pytest.approx(1 - 0.7**3, abs=0.03)


def test_equal_draws_change_a_pair_alike() -> None:
    both = augment(IMAGES[:1].repeat(2, 1, 1, 1), UNIFORM[:1].repeat(2, 1), 1.0)
    assert torch.equal(both[0], both[1]) and not torch.equal(both[0], IMAGES[0])


def test_rows_do_not_see_each_other() -> None:
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(augment(IMAGES[order], UNIFORM[order], 0.8), augment(IMAGES, UNIFORM, 0.8)[order])


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 0.999), st.floats(0, 0.999))
def test_shift_moves_whole_pixels(vertical: float, horizontal: float) -> None:
    """Up to an eighth of a side each way, zeros coming in."""
    result = augment(IMAGES, only(1, at6=vertical, at7=horizontal), 0.5).numpy()
    down, right = (
        int(np.floor(np.float32(draw) * (2 * reach + 1))) - reach for draw, reach in ((vertical, 2), (horizontal, 3))
    )
    expected = np.zeros_like(result)
    for row in range(16):
        for column in range(24):
            if 0 <= row + down < 16 and 0 <= column + right < 24:
                expected[:, :, row, column] = IMAGES[:, :, row + down, column + right]
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_shift_reaches_both_ends() -> None:
    draws = torch.rand(500, DRAWS, generator=torch.Generator().manual_seed(2))
    draws[:, 0] = draws[:, 2] = 0.9
    ramp = torch.arange(1.0, 17).view(1, 1, 16, 1).expand(500, 1, 16, 16)
    middle = augment(ramp, draws, 0.5)[:, 0, 8, 8]
    assert {int(value) for value in middle if value} == {7, 8, 9, 10, 11}


@pytest.mark.parametrize(("draw", "factor"), [(0.5, 1.0), (0.0, 0.0), (1.0, 2.0)])
def test_saturation(draw: float, factor: float) -> None:
    grey = IMAGES.mean(1, keepdim=True)
    expected = grey + factor * (IMAGES - grey)
    torch.testing.assert_close(augment(IMAGES, only(0, at4=draw), 0.5), expected)


def test_brightness_and_contrast() -> None:
    torch.testing.assert_close(augment(IMAGES, only(0, at3=0.75), 0.5), IMAGES + 0.25)
    mean = IMAGES.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(augment(IMAGES, only(0, at5=1.0), 0.5), mean + 1.5 * (IMAGES - mean))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 0.999), st.floats(0, 0.999))
def test_cutout_blanks_half_of_each_side_and_nothing_else(vertical: float, horizontal: float) -> None:
    images = torch.ones_like(IMAGES)
    holes = augment(images, only(2, at8=vertical, at9=horizontal), 0.5) == 0
    sides = holes[0, 0].any(1).sum(), holes[0, 0].any(0).sum()
    assert int(holes[0, 0].sum()) == int(sides[0] * sides[1])  # a rectangle
    assert 4 <= sides[0] <= 8 and 6 <= sides[1] <= 12  # at a border half of it is outside
    if 0.25 < vertical < 0.75:
        assert sides[0] in (7, 8)


def test_the_derivative_passes_through_twice() -> None:
    images = IMAGES[:2, :, :8, :8].double().requires_grad_()
    changed = lambda x: augment(x, UNIFORM[:2].double(), 1.0)  # noqa: E731
    assert torch.autograd.gradcheck(changed, (images,))
    assert torch.autograd.gradgradcheck(lambda x: changed(x).pow(2), (images,))
