"""Where the schedules begin and end, and that they go one way in between."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gandem.game.schedules import cosine, ema_decay, geometric

positive = st.floats(1e-6, 1e3)
progress = st.floats(0, 1)


@given(positive, positive)
@pytest.mark.parametrize("schedule", [cosine, geometric])
def test_ends(schedule: object, start: float, end: float) -> None:
    at = schedule(start, end)
    assert at(0.0) == pytest.approx(start) and at(1.0) == pytest.approx(end)
    assert at(-1.0) == at(0.0) and at(2.0) == at(1.0)  # nothing happens outside


@given(positive, positive, progress, progress)
@pytest.mark.parametrize("schedule", [cosine, geometric])
def test_one_way(schedule: object, start: float, end: float, one: float, other: float) -> None:
    early, late = sorted((one, other))
    moved = schedule(start, end)(late) - schedule(start, end)(early)
    assert moved * (end - start) >= -1e-9 * max(start, end) ** 2


@given(positive, positive)
def test_middles(start: float, end: float) -> None:
    assert cosine(start, end)(0.5) == pytest.approx((start + end) / 2)
    assert geometric(start, end)(0.5) == pytest.approx((start * end) ** 0.5)


def test_geometric_is_linear_from_or_to_zero() -> None:
    assert geometric(0.0, 2.0)(0.25) == 0.5 and geometric(2.0, 0.0)(0.25) == 1.5


@given(st.integers(1, 512), st.integers(1, 10**9), st.floats(0.001, 1), st.integers(1, 5))
def test_half_life(batch: int, images: int, fraction: float, steps: int) -> None:
    """After fraction * images more images a weight has halved, however they are cut into steps."""
    assume(batch * steps < 100 * fraction * images)  # beyond, it is zero in double precision
    assert ema_decay(batch, images, fraction) ** (fraction * images / batch) == pytest.approx(0.5)
    assert ema_decay(batch, images, fraction) ** steps == pytest.approx(ema_decay(batch * steps, images, fraction))


def test_the_average_starts_at_the_first_step() -> None:
    """The initial weights are all but forgotten at once."""
    assert ema_decay(64, 64, 0.05) < 1e-5
