"""Forced weight normalisation: the same networks at first, whose weights then turn and grow apart from each other."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import gandem
from gandem.domains.images import IMAGES
from gandem.domains.images.networks import NETWORKS, build_networks
from gandem.domains.images.store import ImageData
from gandem.errors import RecipeError
from gandem.game.regularisation import WEIGHTED, ForcedNorm, fold, force_norms, normalise
from gandem.recipe import NetworkOptions, OptimizerOptions, TrainingOptions, load_recipe
from gandem.spec import SampleSpec
from gandem.training.budget import Budget
from gandem.training.build import build_game, check
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.uses.export import export_onnx
from helpers import LATENT, perturb

SPEC = SampleSpec((1, 28, 28), tuple("0123456789"))
every = pytest.mark.parametrize("kind", NETWORKS)


def directions(network: nn.Module) -> list[torch.Tensor]:
    return [value for name, value in network.named_parameters() if name.endswith("weight.original1")]


def gains(network: nn.Module) -> list[torch.Tensor]:
    return [value for name, value in network.named_parameters() if name.endswith("weight.original0")]


def test_by_hand() -> None:
    """Gains of 2 and 0.5 on (3, 4) and (0, -7)."""
    weight = ForcedNorm()(torch.tensor([[2.0], [0.5]]), torch.tensor([[3.0, 4.0], [0.0, -7.0]]))
    torch.testing.assert_close(weight, torch.tensor([[1.2, 1.6], [0.0, -0.5]]))
    gain, direction = ForcedNorm().right_inverse(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert gain.tolist() == [[5.0], [0.0]] and direction[0].tolist() == pytest.approx([0.6, 0.8])
    assert direction[1].norm().item() == pytest.approx(1)


@every
def test_the_networks_are_the_same_at_first(kind: str) -> None:
    torch.manual_seed(0)
    for network, inputs in zip(
        build_networks(SPEC, NetworkOptions(kind=kind, width=16, latent=LATENT)),
        (torch.randn(3, LATENT), torch.rand(3, 1, 28, 28)),
        strict=True,
    ):
        before = network(inputs, torch.arange(3))
        count = sum(isinstance(layer, WEIGHTED) for layer in network.modules())
        normalise(network)
        assert len(directions(network)) == len(gains(network)) == count
        torch.testing.assert_close(network(inputs, torch.arange(3)), before, rtol=1e-4, atol=1e-5)


def test_a_gradient_only_turns_a_direction() -> None:
    layer = nn.Linear(5, 3)
    normalise(layer)
    (direction,) = directions(layer)
    layer(torch.randn(7, 5)).square().sum().backward()
    assert direction.grad is not None and direction.grad.any()
    torch.testing.assert_close((direction.grad * direction).sum(1), torch.zeros(3), atol=1e-5, rtol=0)


def test_forcing_changes_lengths_and_nothing_else() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3, 2))
    normalise(network)
    perturb(network)
    inputs = torch.randn(4, 2, 3, 3)
    before, biases = network(inputs), copy.deepcopy([network[0].bias, network[2].bias])
    force_norms(network)
    for direction in directions(network):
        torch.testing.assert_close(direction.flatten(1).norm(dim=1), torch.ones(len(direction)))
    torch.testing.assert_close(network(inputs), before)
    assert all(torch.equal(*pair) for pair in zip(biases, (network[0].bias, network[2].bias), strict=True))


def test_folded_weights_are_plain() -> None:
    layer = nn.Conv2d(2, 3, 3)
    normalise(layer)
    perturb(layer)
    inputs = torch.randn(4, 2, 5, 5)
    before = layer(inputs)
    fold(layer)
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert torch.equal(layer(inputs), before)


@every
def test_layers_that_begin_at_zero_learn(kind: str, few: ImageData) -> None:
    """Their gains move in the first step, and their directions from the second on; all lengths stay at 1."""
    settings = {"network.weight_norm": True, "network.kind": kind, "network.latent": LATENT, "game.growth": 0.0}
    game = build_game(IMAGES, few, IMAGES.decided(few, load_recipe("default", settings)), 16)
    options = {"optimizer": OptimizerOptions(warmup=0), "training": TrainingOptions(batch=16)}
    trainer = Loop(game, few, Engine("cpu"), budget=Budget(images=160), **options)
    players = game.players.values()
    at_zero = [gain for player in players for gain in gains(player) if not gain.any()]
    first = [direction.clone() for player in players for direction in directions(player)]
    assert len(at_zero) >= 2
    for _ in range(4):
        trainer.play_step(0.0)
    assert all(gain.all() for gain in at_zero)
    now = [direction for player in players for direction in directions(player)]
    assert all(each.flatten(1).norm(dim=1).allclose(torch.ones(len(each))) for each in now)
    turned = [(old - new).abs().max() > 1e-5 or new[0].numel() == 1 for old, new in zip(first, now, strict=True)]
    assert all(turned)  # one number cannot turn


def test_a_run_is_sampled_and_exported(npz: Path, tmp_path: Path) -> None:
    settings = {"network.width": 16, "training.batch": 16, "network.weight_norm": True, "referee.every": 0}
    run = gandem.train(npz, tmp_path / "run", settings=settings, budget="96", device="cpu")
    assert not directions(run.generator())
    assert export_onnx(run, tmp_path / "x.onnx", check=1)["max_difference"] <= 1e-4


@pytest.mark.parametrize("line", [{"network.spectral_norm": True}, {"game.clip": 0.01}])
def test_two_rules_for_one_norm_are_refused(line: dict[str, object]) -> None:
    (key,) = line
    with pytest.raises(RecipeError, match=key.replace(".", r"\.")):
        check(load_recipe("default", {"network.weight_norm": True, **line}), 16, 1)
