"""What a user's networks are set to stays so: frozen weights, whole numbers, parts in eval mode, masks of -inf."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gandem.game.noise_game import NoiseGame
from gandem.recipe import OptimizerOptions, TrainingOptions
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.uses.examine import _realness
from test_trainer import Notes, differences, play

LATENT, HIDDEN = 4, 8


class Rows:
    """Pairs of normal numbers."""

    def __len__(self) -> int:
        return 256

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        return {"real": torch.randn(256, 2, generator=torch.Generator().manual_seed(7))[indices]}


class Backbone(nn.Module):
    """Features that are frozen, in an order that may be a parameter of whole numbers, and a head that learns."""

    def __init__(self, inputs: int, outputs: int, whole: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.BatchNorm1d(HIDDEN)).requires_grad_(False).eval()
        order = torch.arange(HIDDEN).flip(0)
        self.order = nn.Parameter(order, requires_grad=False) if whole else order
        self.register_buffer("mask", torch.tensor([0.0, -math.inf]))
        self.head = nn.Linear(HIDDEN, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[:, self.order].relu())


def trainer(generator: nn.Module | None = None, whole: bool = True, **game: object) -> Loop:
    torch.manual_seed(0)
    players = Backbone(LATENT, 2, whole), Backbone(2, 1, whole)
    return Loop(
        NoiseGame(generator or players[0], players[1], LATENT, gamma=0.1, **game),
        Rows(),
        Engine("cpu"),
        budget=Budget(images=64 * 16),
        optimizer=OptimizerOptions(warmup=0, weight_decay=0.1),
        training=TrainingOptions(batch=16, checkpoint_seconds=1e-9),
    )


def kept(loop: Loop) -> dict[str, Tensor]:
    """Everything in both players and all averages but the heads."""
    state = loop.state()[0]
    return {
        f"{file}/{name}": value.clone()
        for file, group in state.items()
        if not file.startswith("optimizer")
        for name, value in group.items()
        if not name.startswith("head")
    }


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_frozen_weights_stay_as_they_are(clip: float, whole: bool) -> None:
    loop = trainer(clip=clip, whole=whole)
    before, head = kept(loop), loop.game.discriminator.head.weight.detach().clone()
    flags = [weight.requires_grad for player in loop.game.players.values() for weight in player.parameters()]
    play(loop, 3)
    after = kept(loop)
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())
    assert not torch.equal(loop.game.discriminator.head.weight, head)
    now = [weight.requires_grad for player in loop.game.players.values() for weight in player.parameters()]
    assert flags == now and any(flags) and not all(flags)


def test_a_whole_training_of_a_part() -> None:
    loop, notes = trainer(), Notes()
    before = kept(loop)
    loop.fit(notes)
    assert [event["event"] for event in notes.events if event["event"] == "ruling"] == []
    after = kept(loop)
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_flags_come_back_after_a_loss_that_fails() -> None:
    loop = trainer(whole=False)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    loop.game.discriminator_loss = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        loop.play_step(0.0)
    assert loop.game.generator.head.weight.requires_grad


def test_it_resumes_to_the_bit(tmp_path: Path) -> None:
    whole, half, resumed = play(trainer(), 6), play(trainer(), 3), trainer()
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    resumed.load_state(saved.tensors, saved.numbers)
    assert differences(play(resumed, 3), whole) == []


def test_parts_in_eval_mode_stay_in_it() -> None:
    """Counting operations and quick judgements put each part back as it was."""
    loop = trainer(whole=False)
    modes = [part.training for player in loop.game.players.values() for part in player.modules()]
    batch = Rows().batch(torch.arange(4)) | loop.game.draw(4, torch.Generator())
    loop.game.flops_per_sample(batch)
    _realness(loop, Rows().batch(torch.arange(4)))
    now = [part.training for player in loop.game.players.values() for part in player.modules()]
    assert modes == now and any(modes) and not all(modes)


def test_noise_in_a_network_is_not_its_latents() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(LATENT, 2)
            self.seen: list[tuple[Tensor, Tensor]] = []

        def forward(self, latent: Tensor) -> Tensor:
            noise = torch.randn(latent.shape)
            self.seen.append((latent.detach(), noise))
            return self.layer(latent + noise)

    loop = trainer(Noisy(), whole=False)
    loop.game.generator.seen.clear()
    play(loop, 2)
    seen = loop.game.generator.seen
    assert len(seen) == 4 and not any(torch.equal(latent, noise) for latent, noise in seen)


def test_statistics_that_are_not_finite_are_mended_and_never_saved() -> None:
    """A step that is left out has moved them all the same; a mask of -inf is no damage."""
    torch.manual_seed(0)
    hidden = nn.Linear(LATENT, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()
    loop = trainer(nn.Sequential(*hidden, nn.Linear(HIDDEN, 2)), whole=False)
    statistics = loop.game.generator[1].running_var
    notes = Notes(lambda: statistics[0].fill_(float("nan")))
    loop.fit(notes)
    (ruling,) = [event for event in notes.events if event["event"] == "ruling"]
    assert ruling["action"] == "mend" and statistics.isfinite().all()
    assert all(
        value.isfinite().all()
        for tensors, _ in notes.kept
        for file, group in tensors.items()
        for name, value in group.items()
        if name != "mask"
    )


def test_no_gradient_is_computed_for_who_does_not_move() -> None:
    loop = trainer()
    critic, generator = loop.game.turns
    loop.gradients(critic, loop.batch(0), 0.0)
    assert all(each.grad is None for each in loop.game.generator.parameters())
    loop.game.discriminator.zero_grad(set_to_none=True)
    loop.gradients(generator, loop.batch(0), 0.0)
    assert all(each.grad is None for each in loop.game.discriminator.parameters())
    assert loop.game.generator.head.weight.grad is not None
