"""Packing: one logit for m samples, whatever the network, the loss and the penalty."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import gandem
from gandem.domains.images import IMAGES
from gandem.domains.images.networks import NETWORKS, build_networks
from gandem.domains.images.store import ImageData
from gandem.errors import RecipeError
from gandem.game.losses import LOSSES
from gandem.game.noise_game import NoiseGame
from gandem.game.packing import Packed, pack_spec
from gandem.game.penalties import PENALTIES
from gandem.game.regularisation import regularise
from gandem.recipe import NetworkOptions, OptimizerOptions, Recipe, TrainingOptions, load_recipe
from gandem.spec import SampleSpec
from gandem.training.budget import Budget
from gandem.training.build import build_game, check, group_size
from gandem.training.engine import Engine
from gandem.training.loop import Loop, two_rows
from gandem.uses.examine import _realness
from helpers import LATENT, perturb

SPEC = SampleSpec((1, 28, 28), tuple("0123456789"))
every = pytest.mark.parametrize("kind", NETWORKS)


def packed(kind: str, m: int, spec: SampleSpec = SPEC) -> Packed:
    torch.manual_seed(0)
    _, discriminator = build_networks(pack_spec(spec, m), NetworkOptions(kind=kind, width=16, latent=LATENT))
    perturb(discriminator)
    return Packed(discriminator, m, spec.num_labels)


class Linear(nn.Module):
    """<weight, x>, and what it is told of labels."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, torch.Size(shape).numel()).view(shape))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        self.label = label
        return (self.weight * x).flatten(1).sum(1)


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
def test_the_samples_of_a_pack_stand_side_by_side(shape: tuple[int, ...]) -> None:
    """Packs of three vectors, and of three images: <w1, x1> + <w2, x2> + <w3, x3>."""
    wide = pack_spec(SampleSpec(shape, ("a", "b")), 3)
    assert wide.shape == (3 * shape[0], *shape[1:]) and wide.num_labels == 6
    linear = Linear(*wide.shape)
    samples = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    logits = Packed(linear, 3, 2)(samples, torch.tensor([0, 1, 1, 1, 0, 0]))
    parts = (linear.weight.view(3, *shape).repeat(2, *[1] * len(shape)) * samples).flatten(1).sum(1)
    torch.testing.assert_close(logits, torch.stack([parts[:3].sum(), parts[3:].sum()]))
    assert linear.label is not None and linear.label.tolist() == [[0, 3, 5], [1, 2, 4]]


@every
def test_a_pack_has_the_labels_of_its_places(kind: str) -> None:
    """With x the same, the logit changes by the sum of what each label adds: <features, sum of the embeddings>."""
    discriminator = packed(kind, 2)
    one, other = torch.tensor([3, 7]), torch.tensor([5, 1])
    x = torch.rand(2, 1, 28, 28)
    inner = discriminator.discriminator
    with torch.no_grad():
        both, first, second, neither = (
            discriminator(x, label)
            for label in (one, torch.stack([one[0], other[1]]), torch.stack([other[0], one[1]]), other)
        )
        torch.testing.assert_close(both - first, second - neither, rtol=1e-3, atol=1e-4)
        assert (both - discriminator(x, one.flip(0))).abs() > 1e-3  # each its own place
        assert inner.embedding.weight.shape[0] == 20


@every
@pytest.mark.parametrize("labels", [(), SPEC.labels])
def test_samples_of_a_pack_meet_and_no_others(kind: str, labels: tuple[str, ...]) -> None:
    discriminator = packed(kind, 3, replace(SPEC, labels=labels))
    images, label = torch.rand(6, 1, 28, 28), torch.arange(6) if labels else None
    jacobian = torch.autograd.functional.jacobian(lambda x: discriminator(x, label), images)
    assert [[bool(jacobian[i, j].any()) for j in range(6)] for i in range(2)] == [
        [True] * 3 + [False] * 3,
        [False] * 3 + [True] * 3,
    ]


def test_packs_of_small_images() -> None:
    """A game that grows shows the judge of packs images of every size."""
    discriminator = packed("residual", 2, SampleSpec((3, 32, 32)))
    assert [discriminator(torch.rand(4, 3, side, side)).shape for side in (16, 32)] == [(2,), (2,)]


def toy_game(m: int, **options: object) -> NoiseGame:
    torch.manual_seed(0)
    generator = Generator()
    return NoiseGame(generator, Packed(Curved(2 * m), m, 0) if m > 1 else Curved(2), 2, **options)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, latent: Tensor, label: None = None) -> Tensor:
        return self.layer(latent)


class Curved(nn.Module):
    """Sum of tanh(w x): a pack's logit is that of its samples, added up, and its gradient is (1 - tanh^2) w."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, inputs))

    def forward(self, x: Tensor, label: None = None) -> Tensor:
        return torch.tanh(self.weight * x).sum(1)


@pytest.mark.parametrize("fraction", [1.0, 0.5])
@pytest.mark.parametrize("penalty", ["r1_r2", "r1", "r2", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_discriminator_s_loss_is_that_of_packs(loss: str, penalty: str, fraction: float) -> None:
    """Eight samples in packs of two; the penalty is the squared length of a pack's whole gradient."""
    game = toy_game(2, loss=loss, penalty=penalty, penalty_fraction=fraction, gamma=lambda _: 3.0)
    batch = {"real": torch.randn(8, 2, generator=torch.Generator().manual_seed(1))}
    batch |= game.draw(8, torch.Generator().manual_seed(2))
    order = [0, 1, 2, 3, 4, 5, 6, 7] if fraction == 1 else [1, 3, 5, 7, 0, 2, 4, 6]
    penalised = slice(0, 4) if fraction == 1 else slice(2, 4)  # of the four packs
    weight = game.discriminator.discriminator.weight

    def by_hand(samples: Tensor) -> tuple[Tensor, Tensor]:
        bent = torch.tanh(weight * samples[order].reshape(4, 4))
        return bent.sum(1), ((1 - bent.square()) * weight).square().sum(1)[penalised]

    (real, at_real), (fake, at_fake) = by_hand(batch["real"]), by_hand(game.generator(batch["latent"]))
    expected = LOSSES[loss].discriminator(real, fake)
    for kind, slopes in (("real", at_real), ("fake", at_fake)):
        expected = expected + 1.5 * slopes.mean() * (kind in PENALTIES[penalty].at)
    found, parts = game.discriminator_loss(batch, 0.0)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert parts["win_rate"].item() == (real > fake).float().mean().item()


def test_the_generator_s_loss_is_that_of_packs() -> None:
    game = toy_game(2)
    batch = {"real": torch.randn(8, 2, generator=torch.Generator().manual_seed(1))}
    batch |= game.draw(8, torch.Generator().manual_seed(2))
    logits = [
        torch.tanh(game.discriminator.discriminator.weight * samples.reshape(4, 4)).sum(1)
        for samples in (batch["real"], game.generator(batch["latent"]))
    ]
    assert game.generator_loss(batch, 0.0)[0].item() == pytest.approx(softplus(logits[0] - logits[1]).mean().item())


def game_of(data: ImageData, **settings: object) -> NoiseGame:
    recipe = load_recipe("default", {"network.latent": LATENT, **settings})
    return build_game(IMAGES, data, IMAGES.decided(data, recipe), 16)


@every
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_weight_learns_with_every_penalty(kind: str, penalty: str, few: ImageData) -> None:
    settings = {"network.kind": kind, "game.penalty": penalty, "game.loss": "non_saturating"}
    game = game_of(few, **settings | {"network.packing": 2})
    perturb(*game.players.values())
    batch = few.batch(torch.arange(16)) | game.draw(16, torch.Generator().manual_seed(0))
    loss, parts = game.discriminator_loss(batch, 0.0)
    loss.backward()
    assert loss.isfinite() and all(part.isfinite() for part in parts.values())
    assert all(weight.grad is not None and weight.grad.any() for weight in game.discriminator.parameters())


def test_the_generator_is_the_one_without(few: ImageData) -> None:
    alone, together = (game_of(few, **{"network.packing": m}).generator.state_dict() for m in (1, 4))
    assert all(torch.equal(value, together[name]) for name, value in alone.items())


def test_brakes_are_put_on_the_judge_of_packs() -> None:
    discriminator = packed("residual", 2)
    regularise(discriminator, spectral_norm=True, dropout=0.3, minibatch_std=2)
    assert discriminator(torch.rand(8, 1, 28, 28), torch.arange(8)).shape == (4,)


def test_a_pack_costs_one_look(few: ImageData) -> None:
    """A discriminator of packs sees half as many, with a wider first layer."""
    flops = []
    for m in (1, 2):
        game = game_of(few, **{"network.packing": m})
        flops.append(game.flops_per_sample(two_rows(game, few)) - (1 + 3) * generator_flops(game, few))
    assert 0.5 < flops[1] / flops[0] < 0.6


def generator_flops(game: NoiseGame, data: ImageData) -> float:
    """What is left when the discriminator does nothing."""
    batch = two_rows(game, data)

    class Nothing(nn.Module):
        def forward(self, images: Tensor, label: Tensor) -> Tensor:
            return images.flatten(1).sum(1)

    return NoiseGame(game.generator, Nothing(), LATENT).flops_per_sample(batch) / 4


def test_a_quick_judgement_looks_at_whole_packs(few: ImageData) -> None:
    game = game_of(few, **{"network.packing": 3})
    trainer = Loop(
        game,
        few,
        Engine("cpu"),
        budget=Budget(images=96),
        optimizer=OptimizerOptions(),
        training=TrainingOptions(batch=12),
    )
    batch = few.batch(torch.arange(64).repeat(4)[:203])
    found = _realness(trainer, batch)
    assert found.shape == (67,)
    with torch.no_grad():
        last = {name: tensor[198:201] for name, tensor in batch.items()}
        assert found[-1].item() == pytest.approx(game.discriminator(last["real"], last["label"]).item(), abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "rows"), [({}, 8), ({"game.penalty": "none"}, 2), ({"network.minibatch_std": 3}, 24)]
)
def test_a_batch_holds_whole_packs(settings: dict, rows: int) -> None:
    recipe: Recipe = load_recipe("default", {"network.packing": 2, **settings})
    assert group_size(recipe) == rows
    check(recipe, 2 * rows, 2)
    with pytest.raises(RecipeError, match=rf"network\.packing = 2: .* multiple of {rows}, not {rows // 2}") as error:
        check(recipe, rows, 2)
    assert "\n" not in str(error.value)


def table(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"age": [20 + n % 50 for n in range(rows)], "city": [f"city {n % 3}" for n in range(rows)]})


@pytest.mark.parametrize(("rows", "batch"), [(600, 264), (110, 108)])
@pytest.mark.parametrize("data", [lambda rows: np.random.default_rng(0).random((rows, 3)), table])
def test_the_batch_that_arrays_and_tables_have_holds_whole_packs(data: Any, rows: int, batch: int) -> None:
    """256 is no multiple of 12, three samples in each of four parts; nor is 110, all that there are."""
    settings = {"network.packing": 3, "data.held_out": 0.0}
    planned = gandem.plan_training(data(rows), settings=settings, budget="10k", device="cpu")
    assert planned["recipe"]["training"]["batch"] == planned["plan"]["batch"] == batch


def test_a_training_with_packs(npz: Path, tmp_path: Path) -> None:
    """From the recipe's line to samples; a batch that packs do not divide is refused before anything starts."""
    settings = {"network.width": 16, "training.batch": 24, "network.packing": 3, "referee.every": 0}
    run = gandem.train(npz, tmp_path / "run", settings=settings, budget="96", device="cpu")
    assert run.sample_array(3)[0].shape == (3, 28, 28, 1)
    with pytest.raises(RecipeError, match="multiple of 12, not 16"):
        gandem.train(npz, tmp_path / "none", settings=settings | {"training.batch": 16}, budget="96", device="cpu")
    assert not (tmp_path / "none").exists()
