"""The losses of the game against one straightforward formula over the whole batch."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from gandem.domains.images.store import ImageData
from gandem.game.augmentation import augment
from gandem.game.losses import LOSSES
from gandem.game.noise_game import NoiseGame
from gandem.game.penalties import PENALTIES
from helpers import LATENT, tiny_game

BATCH = 16


def double(game: NoiseGame, data: ImageData) -> dict[str, Tensor]:
    """Turn the game to double precision and return a batch in it."""
    for player in game.players.values():
        player.double()
    batch = data.batch(torch.arange(BATCH)) | game.draw(BATCH, torch.Generator().manual_seed(0))
    return {name: tensor if name == "label" else tensor.double() for name, tensor in batch.items()}


def by_the_paper(game: NoiseGame, batch: dict[str, Tensor], strength: float) -> dict[str, Tensor]:
    """Logits (n,) and |gradient|^2 (n,) of real and generated samples, one sample at a time."""
    fake = game.generator(batch["latent"], batch["label"]).detach()
    found: dict[str, list[Tensor]] = {"real": [], "fake": [], "r1": [], "r2": []}
    for i in range(BATCH):
        for logits, norms, samples in (("real", "r1", batch["real"]), ("fake", "r2", fake)):
            sample = samples[i : i + 1].clone().requires_grad_()
            seen = augment(sample, batch["augment"][i : i + 1], strength)
            logit = game.discriminator(seen, batch["label"][i : i + 1])[0]
            found[logits].append(logit.detach())
            found[norms].append(torch.autograd.grad(logit, sample)[0].square().sum())
    return {name: torch.stack(values) for name, values in found.items()}


def test_only_a_game_with_a_penalty_has_its_dial(few: ImageData) -> None:
    assert "gamma" in tiny_game(few.spec).dials
    assert (
        "gamma" not in tiny_game(few.spec, penalty="none").dials and "gamma" not in tiny_game(few.spec, gamma=0).dials
    )


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_discriminator_loss(few: ImageData, strength: float) -> None:
    """E softplus(D(G(z)) - D(x)) + gamma / 2 (R1 + R2)."""
    game = tiny_game(few.spec, gamma=lambda p: 0.8 + p, penalty_fraction=1.0, augmentation=strength)
    batch = double(game, few)
    loss, parts = game.discriminator_loss(batch, 0.5)
    expected = by_the_paper(game, batch, strength)
    r1, r2 = expected["r1"].mean(), expected["r2"].mean()
    adversarial = softplus(expected["fake"] - expected["real"]).mean()
    assert loss.item() == pytest.approx((adversarial + 1.3 / 2 * (r1 + r2)).item(), rel=1e-5)
    assert parts["adversarial"].item() == pytest.approx(adversarial.item(), rel=1e-5)
    assert [parts["r1"].item(), parts["r2"].item()] == pytest.approx([r1.item(), r2.item()], rel=1e-5)
    assert parts["win_rate"].item() == (expected["real"] > expected["fake"]).double().mean().item()
    assert not any(part.requires_grad for part in parts.values())


@pytest.mark.parametrize(("fraction", "every"), [(0.5, 2), (0.25, 4), (0.125, 8)])
def test_a_part_of_the_rows_is_penalised_and_all_are_scored(few: ImageData, fraction: float, every: int) -> None:
    game = tiny_game(few.spec, penalty_fraction=fraction)
    batch = double(game, few)
    _, parts = game.discriminator_loss(batch, 0.0)
    expected = by_the_paper(game, batch, 0.0)
    for name in ("r1", "r2"):
        assert parts[name].item() == pytest.approx(expected[name][::every].mean().item(), rel=1e-5)
    assert parts["adversarial"].item() == pytest.approx(
        softplus(expected["fake"] - expected["real"]).mean().item(), rel=1e-5
    )


def test_the_same_rows_with_and_without_splitting(few: ImageData) -> None:
    """Scoring the penalised rows apart must not change the gradient of the adversarial part."""
    gradients = []
    for fraction in (1.0, 0.25):
        game = tiny_game(few.spec, penalty_fraction=fraction, gamma=lambda p: 0.0)
        loss, parts = game.discriminator_loss(double(game, few), 0.0)
        assert parts["r1"] == 0
        gradients.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(game.discriminator.parameters()))])
        )
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("fraction", [1.0, 0.25])
def test_every_penalty_is_added_to_the_same_loss(few: ImageData, name: str, fraction: float) -> None:
    game = tiny_game(few.spec, penalty=name, penalty_fraction=fraction, gamma=lambda p: 3.0, augmentation=0.7)
    batch, chosen = double(game, few), PENALTIES[name]
    torch.manual_seed(5)
    loss, parts = game.discriminator_loss(batch, 0.0)
    expected = by_the_paper(game, batch, 0.7)
    every = round(1 / fraction)
    penalty = sum(expected[{"real": "r1", "fake": "r2"}[kind]][::every].mean() for kind in chosen.at)
    if chosen.term:
        torch.manual_seed(5)
        fake = game.generator(batch["latent"], batch["label"]).detach()

        def score(points: Tensor) -> Tensor:
            times = len(points) * every // BATCH
            draws, label = batch["augment"][::every].repeat(times, 1), batch["label"][::every].repeat(times)
            return game.discriminator(augment(points, draws, 0.7), label).float()

        penalty = chosen.term(score, batch["real"][::every], fake[::every]).mean()
    adversarial = softplus(expected["fake"] - expected["real"]).mean()
    assert loss.item() == pytest.approx((adversarial + 1.5 * penalty).item(), rel=1e-4)
    assert parts["adversarial"].item() == pytest.approx(adversarial.item(), rel=1e-5)
    assert parts["regularisation"].item() == pytest.approx(1.5 * float(torch.as_tensor(penalty).detach()), rel=1e-4)
    assert parts.keys() - {"adversarial", "regularisation", "win_rate"} == (
        {"penalty"} if chosen.term else {"r1" if kind == "real" else "r2" for kind in chosen.at}
    )
    loss.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in game.discriminator.parameters())


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_without_weight_costs_nothing(few: ImageData, name: str) -> None:
    game = tiny_game(few.spec, penalty=name, gamma=lambda p: 0.0)
    loss, parts = game.discriminator_loss(double(game, few), 0.0)
    assert loss.item() == parts["adversarial"].item()
    assert all(parts[part] == 0 for part in parts.keys() - {"adversarial", "win_rate"})


def test_clipping_comes_after_the_discriminator_s_turn(few: ImageData) -> None:
    game = tiny_game(few.spec, clip=0.03)
    largest = {name: max(w.abs().max().item() for w in player.parameters()) for name, player in game.players.items()}
    for turn in game.turns:
        turn.after({})
    assert max(w.abs().max().item() for w in game.discriminator.parameters()) == pytest.approx(0.03)
    assert max(w.abs().max().item() for w in game.generator.parameters()) == largest["generator"] > 0.03
    untouched = tiny_game(few.spec)
    untouched.turns[0].after({})
    assert max(w.abs().max().item() for w in untouched.discriminator.parameters()) == largest["discriminator"]


def test_lecam_is_added_to_the_loss_and_follows_the_scores(few: ImageData) -> None:
    """Against the averages of earlier turns, which the discriminator's checkpoint holds."""
    game, plain = tiny_game(few.spec, lecam=0.3), tiny_game(few.spec)
    batch, _ = double(game, few), double(plain, few)
    game.discriminator.lecam = game.discriminator.lecam.float()
    expected = by_the_paper(game, batch, 0.0)
    game.discriminator.lecam.copy_(torch.tensor([0.7, -0.2]))
    penalty = relu(expected["real"] + 0.2).square().mean() + relu(0.7 - expected["fake"]).square().mean()
    loss, parts = game.discriminator_loss(batch, 0.0)
    without, fewer = plain.discriminator_loss(batch, 0.0)
    assert loss.item() == pytest.approx((without + 0.3 * penalty).item(), rel=1e-5)
    assert parts.keys() - fewer.keys() == {"lecam", "real_score", "fake_score"}
    game.turns[0].after(parts)
    real, fake = game.discriminator.state_dict()["lecam"].tolist()
    assert real == pytest.approx(0.99 * 0.7 + 0.01 * expected["real"].mean().item(), rel=1e-5)
    assert fake == pytest.approx(0.99 * -0.2 + 0.01 * expected["fake"].mean().item(), rel=1e-5)
    assert not any(name.startswith("lecam") for name in plain.discriminator.state_dict())


def test_batch_normalisation_sees_real_and_generated_samples_apart(few: ImageData) -> None:
    torch.manual_seed(0)
    judge = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 1)
    )
    images = few.batch(torch.arange(16))["real"]
    maker = nn.Sequential(nn.Linear(LATENT, 28 * 28), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    game = NoiseGame(maker, judge, LATENT, loss="hinge", penalty="none")
    batch = {"real": images} | game.draw(16, torch.Generator().manual_seed(0))
    loss, _ = game.discriminator_loss(batch, 0.0)
    expected = LOSSES["hinge"].discriminator(judge(images).flatten(), judge(maker(batch["latent"])).flatten())
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("name", PENALTIES)
def test_with_batch_normalisation_every_row_is_penalised(name: str) -> None:
    """A part of them would be normalised by itself; of four rows one, which has no deviation."""
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 1))
    maker = nn.Sequential(nn.Linear(LATENT, 64), nn.Unflatten(1, (1, 8, 8)))
    batch = {"real": torch.rand(4, 1, 8, 8)}
    losses, passes = [], []
    judge.register_forward_hook(lambda layer, given, logits: passes.append(len(logits)))
    for fraction in (1.0, 0.25):
        game = NoiseGame(maker, judge, LATENT, loss="hinge", penalty=name, penalty_fraction=fraction)
        drawn = game.draw(4, torch.Generator().manual_seed(0))
        torch.manual_seed(1)
        losses.append(game.discriminator_loss(batch | drawn, 0.0)[0])
    torch.testing.assert_close(*losses, rtol=0, atol=0)
    assert passes[:2] == [4, 4] and game.flops_per_sample(batch | drawn) > 0


@pytest.mark.parametrize(("statistics", "training", "every"), [(True, True, 1), (True, False, 4), (False, False, 1)])
def test_batch_normalisation_in_eval_mode_mixes_nothing(statistics: bool, training: bool, every: int) -> None:
    """But where it keeps no statistics it takes those of the batch in every mode."""
    normalised = nn.BatchNorm1d(8, track_running_stats=statistics)
    judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), normalised, nn.LeakyReLU(), nn.Linear(8, 1))
    game = NoiseGame(nn.Sequential(nn.Linear(LATENT, 64), nn.Unflatten(1, (1, 8, 8))), judge, LATENT)
    normalised.train(training)
    passes: list[int] = []
    judge.register_forward_hook(lambda layer, given, logits: passes.append(len(logits)))
    game.discriminator_loss({"real": torch.rand(8, 1, 8, 8)} | game.draw(8, torch.Generator()), 0.0)
    assert game.every == every and passes == ([8, 8] if every == 1 else [12, 4])


def test_critic_steps(few: ImageData) -> None:
    players = [turn.player for turn in tiny_game(few.spec, critic_steps=3).turns]
    assert players == ["discriminator"] * 3 + ["generator"]


@pytest.mark.parametrize("name", LOSSES)
def test_generator_loss(few: ImageData, name: str) -> None:
    game = tiny_game(few.spec, loss=name, augmentation=0.7)
    batch = double(game, few)
    loss, parts = game.generator_loss(batch, 0.7)
    expected = by_the_paper(game, batch, 0.7)
    assert loss.item() == pytest.approx(LOSSES[name].generator(expected["real"], expected["fake"]).item(), rel=1e-5)
    assert parts["adversarial"].item() == loss.item()


def test_each_turn_moves_its_own_player(few: ImageData) -> None:
    """The discriminator's loss says nothing about the generator's weights."""
    game = tiny_game(few.spec)
    loss, _ = game.discriminator_loss(double(game, few), 0.0)
    loss.backward()
    assert all(parameter.grad is None for parameter in game.generator.parameters())
    assert [turn.player for turn in game.turns] == ["discriminator", "generator"]


def test_draws_are_the_seed_s(few: ImageData) -> None:
    game = tiny_game(few.spec)
    one, same, other = (game.draw(50, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert one["latent"].shape == (50, LATENT) and one["augment"].min() >= 0 and one["augment"].max() < 1
    for name in one:
        assert torch.equal(one[name], same[name]) and not torch.equal(one[name], other[name])


class Toy(nn.Module):
    """One matrix product, whose operations are easy to count."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.linear(x).squeeze(1)


@pytest.mark.parametrize("fraction", [1.0, 0.25])
def test_flops(fraction: float) -> None:
    game = NoiseGame(Toy(6, 10), Toy(10, 1), latent=6, penalty_fraction=fraction)
    batch = {"real": torch.zeros(4, 10), **game.draw(4, torch.Generator())}
    assert game.flops_per_sample(batch) == 4 * (2 * 6 * 10) + (9 + 6 * fraction) * (2 * 10)


def test_flops_of_other_games() -> None:
    """n turns of the discriminator, and no look at real samples in the generator's."""
    options = {"loss": "wasserstein", "penalty": "none", "critic_steps": 5}
    game = NoiseGame(Toy(6, 10), Toy(10, 1), latent=6, **options)
    batch = {"real": torch.zeros(4, 10), **game.draw(4, torch.Generator())}
    assert game.flops_per_sample(batch) == 8 * (2 * 6 * 10) + (5 * 6 + 2) * (2 * 10)
