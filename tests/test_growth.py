"""A game that grows: the same game, in which the fine stages wait."""

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gandem.domains.images.networks import build_networks
from gandem.domains.images.store import ImageData
from gandem.game.growth import Growth, halve
from gandem.game.noise_game import NoiseGame
from gandem.recipe import NetworkOptions, OptimizerOptions, TrainingOptions
from gandem.spec import SampleSpec
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from helpers import LATENT

SPECS = {(3, 64, 64): 2, (1, 28, 28): 0, (2, 64, 48): 1, (3, 32, 32): 1, (3, 20, 28): 0, (1, 9, 33): 0, (1, 68, 68): 2}
everywhere = pytest.mark.parametrize(("shape", "times"), SPECS.items())


@pytest.fixture(scope="module")
def padded(few: ImageData) -> ImageData:
    """The few pictures at 32 x 32."""
    images = np.pad(few.images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return ImageData(images, few.labels, SampleSpec((1, 32, 32), few.spec.labels))


def growing(data: ImageData) -> NoiseGame:
    """A game that is played at 16 x 16 for half of the budget."""
    torch.manual_seed(0)
    networks = build_networks(data.spec, NetworkOptions(width=16, latent=LATENT))
    return NoiseGame(*networks, LATENT, growth=Growth(1, 0.5))


def networks(shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_networks(SampleSpec(shape), NetworkOptions(width=32, latent=LATENT))


@given(st.integers(0, 5), st.just(0.0) | st.floats(0.01, 0.9), st.floats(0, 1))
def test_the_sizes_share_the_budget(halvings: int, until: float, progress: float) -> None:
    growth = Growth(halvings, until)
    stages = growth.stages
    assert stages[0].begin == 0 and stages[-1].end == 1 and stages[-1].halvings == 0
    assert all(one.end == other.begin and one.halvings == other.halvings + 1 for one, other in pairwise(stages))
    assert [growth.at(progress)] == [
        each.halvings for each in stages if each.begin <= progress < each.end
    ] or progress == 1
    assert growth.at(1.0) == 0 and growth.at(0.0) == (halvings if until else 0)


def test_halving_averages() -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert halve(images, 0) is images
    assert halve(images, 1).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]] and halve(images, 2).item() == 7.5


@everywhere
def test_every_size_is_drawn_and_scored(shape: tuple[int, ...], times: int) -> None:
    generator, discriminator = networks(shape)
    latent = torch.randn(3, LATENT)
    assert generator.halvings == times
    for halvings in range(times + 1):
        images = generator(latent, None, halvings)
        assert images.shape == (3, shape[0], shape[1] >> halvings, shape[2] >> halvings)
        assert discriminator(images).shape == (3,)


@everywhere
def test_a_finer_stage_adds_nothing_at_first(shape: tuple[int, ...], times: int) -> None:
    """So the whole networks are those of the small images until the large ones come, and nothing jumps then."""
    generator, discriminator = networks(shape)
    latent = torch.randn(3, LATENT)
    for halvings in range(1, times + 1):
        small = generator(latent, None, halvings)
        larger = nn.functional.interpolate(torch.atanh(small), scale_factor=2, mode="bilinear").tanh()
        finer = generator(latent, None, halvings - 1)
        within = (..., slice(-1), slice(-1))  # beside the border, where what is cut off reaches in
        torch.testing.assert_close(finer[within], larger[within], rtol=1e-4, atol=1e-4)
        images = torch.randn(3, *shape)
        torch.testing.assert_close(
            discriminator(halve(images, halvings)), discriminator(halve(images, halvings - 1)), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("halvings", [1, 2])
def test_the_penalty_is_that_of_full_size(halvings: int) -> None:
    game = NoiseGame(*networks((3, 64, 64)), LATENT, penalty="r1", penalty_fraction=1.0, gamma=lambda progress: 2.0)
    rng = torch.Generator().manual_seed(0)
    batch = {"real": torch.rand(4, 3, 64, 64, generator=rng) * 2 - 1} | game.draw(4, rng)
    whole = game.discriminator_loss(batch, 0.0)[1]["r1"]
    game.growth, game.dials["halvings"] = Growth(halvings, 0.5), halvings
    loss, parts = game.discriminator_loss(batch, 0.0)
    assert whole.item() == pytest.approx(parts["r1"].item(), rel=1e-3)
    assert loss.item() == pytest.approx(parts["adversarial"].item() + whole.item(), rel=1e-3)


@pytest.mark.parametrize("penalty", ["zero_centred", "gradient_penalty"])
def test_penalties_with_points_of_their_own_are_those_of_full_size(penalty: str) -> None:
    """Between a real and a generated sample; both of one value everywhere, so that no halving changes them."""
    networks_of_64 = networks((3, 64, 64))
    found = []
    for growth in (Growth(), Growth(2, 0.5)):
        game = NoiseGame(*networks_of_64, LATENT, penalty=penalty, penalty_fraction=1.0, growth=growth)
        real, fake = (torch.full((4, 3, 64 >> growth.halvings, 64 >> growth.halvings), value) for value in (0.5, -0.5))
        batch = game.draw(4, torch.Generator().manual_seed(0)) | {"real": real, "fake": fake}
        seen: list[int] = []
        hook = game.discriminator.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0].shape[2]))
        torch.manual_seed(0)
        found.append(game._penalty(game.penalty.term, batch, 4, growth.halvings).item())
        hook.remove()
        assert set(seen) == {64 >> growth.halvings}  # small samples stay cheap, and the fine stages out of it
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def trainer_of(data: ImageData, images: int = 64) -> Loop:
    return Loop(
        growing(data),
        data,
        Engine("cpu"),
        budget=Budget(images=images),
        optimizer=OptimizerOptions(warmup=0),
        training=TrainingOptions(batch=16),
    )


@pytest.mark.parametrize("before", [1, 2, 3])
def test_resume_to_the_bit_across_a_doubling(padded: ImageData, tmp_path: Path, before: int) -> None:
    """Also before it, when the optimisers know nothing of the stages that wait."""
    whole, half, resumed = (trainer_of(padded) for _ in range(3))
    for trainer, steps in ((whole, 4), (half, before)):
        for _ in range(steps):
            trainer.play_step(trainer.progress)
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    resumed.load_state(saved.tensors, saved.numbers)
    for _ in range(4 - before):
        resumed.play_step(resumed.progress)
    (tensors, numbers), (others, other_numbers) = resumed.state(), whole.state()
    assert numbers == other_numbers
    assert all(torch.equal(tensors[name][key], value) for name, group in others.items() for key, value in group.items())


def test_going_back_to_before_a_doubling_and_a_larger_budget_keep_the_size(padded: ImageData) -> None:
    trainer = trainer_of(padded)
    trainer.play_step(trainer.progress)
    early = copy.deepcopy(trainer.state()[0])
    for _ in range(3):
        trainer.play_step(trainer.progress)
    trainer.load_tensors(early)
    trainer.play_step(trainer.progress)
    longer = trainer_of(padded, images=1000)
    longer.load_state(*trainer.state())
    assert longer.progress < 0.5 and longer.game.halvings(longer.progress) == 0
    assert trainer_of(padded, images=1000).game.halvings(longer.progress) == 1


def test_fine_stages_wait_their_turn(padded: ImageData) -> None:
    trainer = trainer_of(padded)
    outputs, inputs = trainer.game.generator.outputs, trainer.game.discriminator.inputs
    finest = [part.weight.detach().clone() for part in (outputs[-1], inputs[-1])]
    for _ in range(2):
        trainer.play_step(trainer.progress)
    assert torch.equal(outputs[-1].weight, finest[0]) and torch.equal(inputs[-1].weight, finest[1])
    for _ in range(2):
        trainer.play_step(trainer.progress)
    assert not torch.equal(outputs[-1].weight, finest[0]) and not torch.equal(inputs[-1].weight, finest[1])


def test_effort_counts_small_images_as_less(padded: ImageData) -> None:
    game = growing(padded)
    batch = padded.batch(torch.arange(2)) | game.draw(2, torch.Generator().manual_seed(0))
    small, whole = game.flops_per_sample(batch, game.stages[0]), game.flops_per_sample(batch)
    done = game.effort(batch)
    assert small < whole
    assert [done(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx(
        [0, small / 4, small / 2, small / 2 + whole / 4, (small + whole) / 2]
    )
