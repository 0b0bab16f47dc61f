"""Latents: the same numbers however many are asked for; walks that return; samples that do not depend on batches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gandem import latents
from gandem.domains.images.store import ImageData
from helpers import LATENT, tiny_game


@settings(deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([16, 64, 128]), st.integers(0, 2**63 - 1))
def test_fewer_are_the_first_of_more(count: int, more: int, size: int, seed: int) -> None:
    assert torch.equal(latents.draw(count, size, seed), latents.draw(count + more, size, seed)[:count])


@pytest.mark.parametrize("size", [1, 10, 100])
def test_fewer_are_the_first_of_more_at_any_size(size: int) -> None:
    assert all(torch.equal(latents.draw(n, size, 0), latents.draw(40, size, 0)[:n]) for n in range(1, 40))


def test_truncation_scales() -> None:
    assert torch.equal(latents.draw(5, 64, 1, 0.5), latents.draw(5, 64, 1) * 0.5)
    assert not torch.equal(latents.draw(5, 64, 1), latents.draw(5, 64, 2))


@pytest.mark.parametrize(("keys", "frames"), [(1, 5), (2, 10), (4, 60), (5, 7)])
def test_a_walk_is_closed_and_keeps_its_distance(keys: int, frames: int) -> None:
    points = latents.draw(keys, 64, 0)
    path = latents.walk(points, frames)
    assert path.shape == (frames, 64)
    assert torch.allclose(path[0], points[0], atol=1e-4)
    norms = path.norm(dim=1)
    assert norms.min() > 0.9 * points.norm(dim=1).min() and norms.max() < 1.1 * points.norm(dim=1).max()
    steps = (path.roll(-1, 0) - path).norm(dim=1)  # the last one leads back to the start
    assert steps.max() < 2 * torch.pi * 1.1 * norms.max() * max(keys, 1) / frames


def test_a_walk_passes_every_key() -> None:
    points = latents.draw(4, 64, 0)
    assert torch.allclose(latents.walk(points, 12)[::3], points, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_samples_do_not_depend_on_the_batch(batch: int, few: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_game(few.spec).generator.eval()
    noise, labels = latents.draw(20, LATENT, 0), torch.arange(20) % 10
    whole = latents.generate(generator, noise, labels)
    monkeypatch.setattr(latents, "BATCH", batch)
    torch.testing.assert_close(latents.generate(generator, noise, labels), whole, rtol=1e-4, atol=1e-5)
    assert whole.shape == (20, 1, 28, 28) and not whole.requires_grad
