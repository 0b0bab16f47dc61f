"""First weights, spectral norms, dropout and minibatch statistics: by their formulas, on every pair of networks."""

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gandem.domains.images.networks import NETWORKS, build_networks
from gandem.domains.images.store import ImageData
from gandem.game.noise_game import NoiseGame
from gandem.game.regularisation import INITS, WEIGHTED, MinibatchStd, initialise, regularise
from gandem.recipe import NetworkOptions, OptimizerOptions, TrainingOptions
from gandem.spec import SampleSpec
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.uses.examine import _realness
from helpers import perturb, tiny_game, tiny_trainer

SPEC = SampleSpec((1, 28, 28), tuple("0123456789"))
OFF = {"spectral_norm": False, "dropout": 0.0, "minibatch_std": 0}
every = pytest.mark.parametrize("kind", NETWORKS)


def networks(kind: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return build_networks(SPEC, NetworkOptions(kind=kind, width=32, latent=8))


@every
def test_the_defaults_touch_nothing(kind: str) -> None:
    for network in networks(kind):
        before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
        initialise(network, "scaled")
        regularise(network, **OFF)
        assert torch.equal(torch.get_rng_state(), state)
        assert list(network.state_dict()) == list(before)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("name", [name for name in INITS if name != "scaled"])
def test_first_weights_have_the_variance_of_their_paper(name: str) -> None:
    """A 3x3 convolution from 64 to 32 channels: fan-in 576, fan-out 288."""
    layer = nn.Conv2d(64, 32, 3)
    torch.manual_seed(0)
    initialise(nn.Sequential(layer), name)
    assert not layer.bias.any()
    weight = layer.weight.flatten(1)
    if name == "orthogonal":
        torch.testing.assert_close(weight @ weight.T, torch.eye(32), rtol=1e-4, atol=1e-5)
    else:
        variance = {"glorot": 2 / (576 + 288), "he": 2 / (1 + 0.2**2) / 576, "normal": 0.02**2}[name]
        assert weight.std().item() == pytest.approx(math.sqrt(variance), rel=0.02)


@every
@pytest.mark.parametrize("name", [name for name in INITS if name != "scaled"])
def test_no_layer_stays_at_zero(kind: str, name: str) -> None:
    for network in networks(kind):
        initialise(network, name)
        assert all(layer.weight.any() for layer in network.modules() if isinstance(layer, WEIGHTED))


@every
def test_spectral_norm_makes_every_singular_value_at_most_one(kind: str) -> None:
    _, discriminator = networks(kind)
    regularise(discriminator, **OFF | {"spectral_norm": True})
    images, label = torch.rand(4, 1, 28, 28), torch.arange(4)
    for _ in range(60):
        discriminator(images, label)
    discriminator.eval()
    layers = [layer for layer in discriminator.modules() if isinstance(layer, WEIGHTED)]
    largest = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
    assert largest == pytest.approx([1.0] * len(layers), rel=0.05)


def test_dropout_leaves_out_that_part_and_only_in_training() -> None:
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(1000, 1, bias=False))
    nn.init.ones_(discriminator[1].weight)
    regularise(discriminator, **OFF | {"dropout": 0.25})
    torch.manual_seed(0)
    kept = discriminator(torch.ones(50, 1000)) * 0.75 / 1000
    assert kept.mean().item() == pytest.approx(0.75, abs=0.01) and kept.std() > 0.005
    assert torch.equal(discriminator.eval()(torch.ones(2, 1000)), torch.full((2, 1), 1000.0))


def test_minibatch_std_is_its_formula() -> None:
    """Two groups of two rows and two features: deviations 1, 2 and 0, 3, whose means are 1.5 and 1.5; then 2 and 0."""
    layer = MinibatchStd(nn.Linear(2, 1), group=2)
    nn.init.zeros_(layer.last.weight)
    nn.init.zeros_(layer.last.bias)
    nn.init.ones_(layer.weight)
    features = torch.tensor(
        [[0.0, 0.0], [2.0, 4.0], [5.0, 1.0], [5.0, 7.0], [1.0, 0.0], [1.0, 8.0], [3.0, 3.0], [3.0, 3.0]]
    )
    expected = torch.tensor([1.5, 1.5, 1.5, 1.5, 2, 2, 0, 0])
    torch.testing.assert_close(layer(features).squeeze(1), expected, rtol=1e-3, atol=2e-4)
    one_group = layer(features[:3]).squeeze(1)
    assert one_group.eq(one_group[0]).all()
    assert one_group[0].item() == pytest.approx(features[:3].std(0, correction=0).mean().item(), rel=1e-3)


@every
def test_minibatch_std_mixes_the_samples_of_a_group_only(kind: str) -> None:
    _, discriminator = networks(kind)
    regularise(discriminator, **OFF | {"minibatch_std": 2})
    perturb(discriminator)
    images, label = torch.rand(4, 1, 28, 28), torch.arange(4)
    whole = torch.autograd.functional.jacobian(lambda x: discriminator(x, label), images)
    mixes = [[bool(whole[i, j].any()) for j in range(4)] for i in range(4)]
    assert mixes == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2


@every
@pytest.mark.parametrize("brake", [{"spectral_norm": True}, {"dropout": 0.3}, {"minibatch_std": 4}])
@pytest.mark.parametrize("penalty", ["r1_r2", "gradient_penalty"])
def test_every_weight_still_learns(kind: str, brake: dict, penalty: str, few: ImageData) -> None:
    """One turn with second derivatives; a weight that starts at zero and one that stands behind it count as well."""
    generator, discriminator = networks(kind)
    regularise(discriminator, **OFF | brake)
    perturb(generator, discriminator)
    game = NoiseGame(generator, discriminator, 8, loss="non_saturating", penalty=penalty, penalty_fraction=0.5)
    batch = few.batch(torch.arange(8)) | game.draw(8, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    game.discriminator_loss(batch, 0.0)[0].backward()
    for name, weight in discriminator.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_spectral_norm_is_torch_s(few: ImageData) -> None:
    layer = nn.Conv2d(1, 4, 3)
    other = copy.deepcopy(layer)
    torch.manual_seed(0)
    regularise(nn.Sequential(layer), **OFF | {"spectral_norm": True})
    torch.manual_seed(0)
    parametrizations.spectral_norm(other)
    assert torch.equal(layer.weight, other.weight)


@pytest.mark.parametrize("penalty", ["dragan", "r1_finite", "consistency"])
def test_a_training_with_all_that_is_random_resumes_to_the_bit(few: ImageData, tmp_path: Path, penalty: str) -> None:
    """The vectors of the power iteration are saved; what dropout and penalties draw follows from the step's number."""

    def trainer() -> Loop:
        game = tiny_game(few.spec, penalty=penalty, critic_steps=2)
        torch.manual_seed(0)
        regularise(game.discriminator, spectral_norm=True, dropout=0.3, minibatch_std=4)
        return Loop(
            game,
            few,
            Engine("cpu"),
            budget=Budget(images=96),
            optimizer=OptimizerOptions(warmup=0),
            training=TrainingOptions(batch=16),
        )

    def play(one: Loop, steps: int) -> Loop:
        for _ in range(steps):
            one.play_step(one.progress)
        return one

    whole, half, resumed = play(trainer(), 4), play(trainer(), 2), trainer()
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    perturb(*resumed.game.players.values(), *resumed.averages.values())
    resumed.load_state(saved.tensors, saved.numbers)
    expected, found = whole.state()[0], play(resumed, 2).state()[0]
    assert any("_u" in name for name in expected["discriminator"])
    assert all(torch.equal(value, found[file][name]) for file in expected for name, value in expected[file].items())


def test_an_examination_changes_nothing(few: ImageData) -> None:
    """The power iteration stands still and nothing is left out while the discriminator is asked."""
    trainer = tiny_trainer(few, Budget(images=96))
    regularise(trainer.game.discriminator, spectral_norm=True, dropout=0.5, minibatch_std=4)
    before = copy.deepcopy(trainer.state()[0]["discriminator"])
    batch = few.batch(torch.arange(10))
    assert torch.equal(_realness(trainer, batch), _realness(trainer, batch))
    assert all(torch.equal(value, before[name]) for name, value in trainer.state()[0]["discriminator"].items())
    assert trainer.game.discriminator.training
