"""What every pair of networks must hold to, whatever the shape of the samples."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gandem.domains.images.networks import NETWORKS, ResidualBlock, build_networks, double, doubled_by_products
from gandem.domains.layers import Residual
from gandem.errors import RecipeError
from gandem.game.noise_game import NoiseGame
from gandem.recipe import NetworkOptions, load_recipe
from gandem.spec import SampleSpec
from helpers import perturb

TEN = tuple("0123456789")
SPECS = [
    SampleSpec((1, 28, 28), TEN),
    SampleSpec((3, 32, 32)),
    SampleSpec((3, 20, 28)),
    SampleSpec((4, 16, 16)),
    SampleSpec((2, 64, 48)),
    SampleSpec((1, 9, 33), TEN[:3]),
]
ROWS, LATENT = 3, 8

every = pytest.mark.parametrize("kind", NETWORKS)
everywhere = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: "x".join(map(str, spec.shape)))


def networks(kind: str, spec: SampleSpec) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_networks(spec, NetworkOptions(kind=kind, width=32, latent=LATENT))


def a_batch(spec: SampleSpec) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    batch = {
        "real": torch.rand(ROWS, *spec.shape, generator=rng) * 2 - 1,
        "latent": torch.randn(ROWS, LATENT, generator=rng),
        "augment": torch.rand(ROWS, 10, generator=rng),
    }
    return batch | ({"label": torch.arange(ROWS) % spec.num_labels} if spec.num_labels else {})


@every
@everywhere
def test_shapes_and_first_values(kind: str, spec: SampleSpec) -> None:
    """Before training: finite, of order one, and different from sample to sample."""
    generator, discriminator = networks(kind, spec)
    batch = a_batch(spec)
    images = generator(batch["latent"], batch.get("label"))
    logits = discriminator(batch["real"], batch.get("label"))
    assert images.shape == (ROWS, *spec.shape) and logits.shape == (ROWS,)
    assert images.abs().max() < 30 and logits.abs().max() < 30
    assert images.std(0).min() > 0 and logits.std() > 0


@pytest.mark.parametrize("depth", [1, 4, 9])
@pytest.mark.parametrize("block", [ResidualBlock, Residual])
def test_branches_of_deep_networks_begin_small(block: type, depth: int) -> None:
    """Weights of deviation sqrt(2 / depth) / sqrt(fan-in), and then zeros (Fixup)."""
    torch.manual_seed(0)
    branch = block(64, depth)
    expected = math.sqrt(2 / depth / branch.first.weight[0].numel())
    assert branch.first.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert not any(zero.any() for zero in (branch.first.bias, branch.last.weight, branch.last.bias))


@pytest.mark.parametrize("blocks", [1, 3])
def test_the_depth_is_that_of_the_whole_network(blocks: int) -> None:
    torch.manual_seed(0)
    options = NetworkOptions(width=64, blocks=blocks, latent=LATENT)
    for network in build_networks(SampleSpec((3, 32, 32)), options):
        branches = [each for each in network.modules() if isinstance(each, ResidualBlock)]
        assert len(branches) == 3 * blocks
        for branch in branches:
            expected = math.sqrt(2 / len(branches) / branch.first.weight[0].numel())
            assert branch.first.weight.std().item() == pytest.approx(expected, rel=0.08)


@every
@everywhere
def test_every_weight_learns(kind: str, spec: SampleSpec) -> None:
    """A loss without pairing, since pairing cancels the last bias of the discriminator by design."""
    generator, discriminator = networks(kind, spec)
    perturb(generator, discriminator)
    game = NoiseGame(generator, discriminator, LATENT, loss="non_saturating", penalty_fraction=1.0)
    for turn in game.turns:
        game.players[turn.player].zero_grad()
        turn.loss(a_batch(spec), 0.0)[0].backward()
        for name, parameter in game.players[turn.player].named_parameters():
            assert parameter.grad is not None, f"{name} takes no part"
            assert parameter.grad.isfinite().all() and parameter.grad.any(), f"{name} learns nothing"


@every
@everywhere
def test_no_layer_of_the_discriminator_mixes_samples(kind: str, spec: SampleSpec) -> None:
    _, discriminator = networks(kind, spec)
    perturb(discriminator)
    images, label = a_batch(spec)["real"], a_batch(spec).get("label")
    together = discriminator(images, label)
    alone = [discriminator(images[i : i + 1], None if label is None else label[i : i + 1]) for i in range(ROWS)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-4)
    whole = torch.autograd.functional.jacobian(lambda x: discriminator(x, label), images)
    assert not any(whole[i, j].any() for i in range(ROWS) for j in range(ROWS) if i != j)


@every
def test_the_penalty_differentiates_right(kind: str) -> None:
    """The derivative of R1 along a random direction of the weights, against central differences in double precision."""
    spec = SPECS[0]
    _, discriminator = networks(kind, spec)
    perturb(discriminator)
    discriminator.double()
    images, label = a_batch(spec)["real"].double().requires_grad_(), a_batch(spec)["label"]

    def r1() -> torch.Tensor:
        (slope,) = torch.autograd.grad(discriminator(images, label).sum(), images, create_graph=True)
        return slope.square().sum() / ROWS

    weights = list(discriminator.parameters())
    rng = torch.Generator().manual_seed(1)
    direction = [torch.randn(weight.shape, generator=rng, dtype=torch.float64) for weight in weights]
    slopes = torch.autograd.grad(r1(), weights, allow_unused=True, materialize_grads=True)
    expected = sum((slope * way).sum() for slope, way in zip(slopes, direction, strict=True))

    def r1_moved(step: float) -> float:
        for weight, way in zip(weights, direction, strict=True):
            weight.data.add_(way, alpha=step)
        value = r1().item()
        for weight, way in zip(weights, direction, strict=True):
            weight.data.sub_(way, alpha=step)
        return value

    step = 1e-7  # small, so that hardly any activation changes its side
    assert (r1_moved(step) - r1_moved(-step)) / (2 * step) == pytest.approx(expected.item(), rel=1e-3)


@every
@everywhere
def test_a_deep_copy_is_equal(kind: str, spec: SampleSpec) -> None:
    batch = a_batch(spec)
    for network, key in zip(networks(kind, spec), ("latent", "real"), strict=True):
        twin = copy.deepcopy(network)
        assert torch.equal(twin(batch[key], batch.get("label")), network(batch[key], batch.get("label")))
        perturb(network)  # and shares nothing
        assert not torch.equal(twin(batch[key], batch.get("label")), network(batch[key], batch.get("label")))


@every
def test_the_label_matters_to_both(kind: str) -> None:
    batch = a_batch(SPECS[0])
    for network, key in zip(networks(kind, SPECS[0]), ("latent", "real"), strict=True):
        perturb(network)
        one, other = (network(batch[key], torch.full((ROWS,), label)) for label in (2, 7))
        assert (one != other).flatten(1).any(1).all() if one.ndim > 1 else (one != other).all()


def test_r3gan_is_as_large_as_published() -> None:
    """Huang et al. 2024, the CIFAR-10 configuration: 20.73 M and 20.68 M parameters."""
    with torch.device("meta"):
        sizes = [
            sum(parameter.numel() for parameter in network.parameters())
            for network in build_networks(SampleSpec((3, 32, 32)), load_recipe("r3gan").network)
        ]
    assert sizes == pytest.approx([20.73e6, 20.68e6], rel=1e-3)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'residual'"):
        build_networks(SPECS[0], NetworkOptions(kind="residul", width=32))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_matrix_products_double_as_interpolation_does(count: int, channels: int, height: int, width: int) -> None:
    images = torch.randn(count, channels, height, width, dtype=torch.float64)
    assert torch.allclose(doubled_by_products(images), double(images), atol=1e-12)
