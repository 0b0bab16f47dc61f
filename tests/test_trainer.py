"""One step is a function of (state, seed, number): all else follows, and what goes wrong leaves a good checkpoint."""

import copy
import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gandem.domains.images.networks import build_networks
from gandem.domains.images.store import ImageData
from gandem.errors import Interrupted, RecipeError, TrainingError
from gandem.game.noise_game import NoiseGame
from gandem.recipe import NetworkOptions, OptimizerOptions, TrainingOptions
from gandem.referee.referee import LOOK
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from helpers import LATENT, perturb, tiny_game, tiny_trainer

TWELVE = Budget(images=12 * 16)


class Notes:
    """A recorder that remembers, and acts at the first preview, which comes after the first step."""

    def __init__(self, act: Any = lambda: None) -> None:
        self.act, self.events, self.kept, self.previews = act, [], [], 0
        self.forgotten: list[int] = []

    def event(self, name: str, **facts: Any) -> None:
        self.events.append({"event": name, **facts})

    def preview(self, generator: nn.Module, images: int) -> None:
        self.previews += 1
        if self.previews == 1:
            self.act()

    def checkpoint(self, trainer: Loop) -> None:
        self.kept.append(copy.deepcopy(trainer.state()))

    def forget(self, images: int) -> None:
        self.forgotten.append(images)

    def saved(self, images: int) -> dict[str, dict[str, torch.Tensor]]:
        kept = [tensors for tensors, numbers in self.kept if images == numbers["images"]]
        return copy.deepcopy(kept[0])


def play(trainer: Loop, steps: int) -> Loop:
    for _ in range(steps):
        trainer.play_step(trainer.progress)
    return trainer


def differences(one: Loop, other: Loop) -> list[str]:
    (tensors, numbers), (others, other_numbers) = one.state(), other.state()
    assert tensors.keys() == others.keys() and numbers.keys() == other_numbers.keys()
    assert all(tensors[name].keys() == others[name].keys() for name in tensors)
    return [
        f"{name}/{key}"
        for name in tensors
        for key in tensors[name]
        if not torch.equal(tensors[name][key], others[name][key])
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("before", [0, 1, 6])
def test_resume_to_the_bit(few: ImageData, tmp_path: Path, precision: str, before: int) -> None:
    whole = play(tiny_trainer(few, TWELVE, precision=precision), 8)
    half = play(tiny_trainer(few, TWELVE, precision=precision), before)
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    resumed = tiny_trainer(few, TWELVE, precision=precision)
    perturb(*resumed.game.players.values(), *resumed.averages.values())  # nothing but the checkpoint may count
    resumed.load_state(saved.tensors, saved.numbers)
    assert differences(play(resumed, 8 - before), whole) == []
    assert resumed.state()[1] == whole.state()[1]
    names = {"generator", "discriminator", "generator_ema", "optimizer_generator", "optimizer_discriminator"}
    assert whole.state()[0].keys() == names and all(whole.state()[0].values())


def test_the_seed_decides(few: ImageData) -> None:
    one, same, other = (play(tiny_trainer(few, TWELVE, seed), 2) for seed in (0, 0, 1))
    assert differences(one, same) == []
    assert any(name.startswith("generator/") for name in differences(one, other))
    play(tiny_trainer(few, TWELVE, 2**63 - 1), 1)  # the largest that a recipe takes


def test_players_take_turns_on_fresh_batches(few: ImageData) -> None:
    trainer = tiny_trainer(few, TWELVE)
    numbers, batch = [], trainer.batch
    trainer.batch = lambda number: numbers.append(number) or batch(number)  # type: ignore[method-assign]
    play(trainer, 3)
    assert numbers == [0, 1, 2, 3, 4, 5] and (trainer.step, trainer.images) == (3, 48)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_nan_is_never_saved(few: ImageData, player: str) -> None:
    """Not even in the very step that brought it, whose losses were still finite."""
    trainer = tiny_trainer(few, TWELVE, checkpoint_seconds=1e-9)
    weight = next(trainer.game.players[player].parameters())
    notes = Notes(lambda: weight.data.view(-1)[0].fill_(float("nan")))
    with pytest.raises(TrainingError, match=r"not finite after \d+ images; the last checkpoint is good"):
        trainer.fit(notes)
    assert all(
        value.isfinite().all() for tensors, _ in notes.kept for group in tensors.values() for value in group.values()
    )


def test_a_finite_training_ends_with_a_checkpoint(few: ImageData) -> None:
    trainer, notes = tiny_trainer(few, TWELVE, checkpoint_seconds=1e9), Notes()
    trainer.fit(notes)
    assert [numbers["images"] for _, numbers in notes.kept] == [0, 192] and notes.previews >= 1
    assert trainer.progress == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(few: ImageData, number: signal.Signals) -> None:
    usual = signal.getsignal(number)
    notes = Notes(lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted) as stopped:
        tiny_trainer(few, TWELVE).fit(notes)
    assert (stopped.value.signal, stopped.value.images) == (number.name, 16)
    assert [numbers["images"] for _, numbers in notes.kept] == [0, 16]
    assert signal.getsignal(number) is usual


def test_the_average_is_its_formula(few: ImageData) -> None:
    """After each step: d * average + (1 - d) * weights, d halving once in `ema` of the images shown so far."""
    trainer = tiny_trainer(few, TWELVE, ema=0.8)
    expected = [parameter.detach().clone() for parameter in trainer.game.generator.parameters()]
    for step in range(1, 5):
        play(trainer, 1)
        decay = 0.5 ** (16 / (0.8 * 16 * step))
        weights = trainer.game.generator.parameters()
        expected = [
            decay * mean + (1 - decay) * weight.detach() for mean, weight in zip(expected, weights, strict=True)
        ]
    for mean, parameter in zip(expected, trainer.averages["generator"].parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), mean, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_warms_up_and_falls(few: ImageData) -> None:
    trainer = Loop(
        tiny_game(few.spec, discriminator_rate=3.0),
        few,
        Engine("cpu"),
        budget=Budget(images=1000),
        optimizer=OptimizerOptions(lr=4e-4, lr_end=1e-4, warmup=64, beta1=0.3, beta2=0.9, beta2_end=0.99),
        training=TrainingOptions(batch=16),
    )
    rates, group = [], trainer.optimizers["generator"].param_groups[0]
    for progress in (0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0):
        trainer.play_step(progress)
        rates.append(group["lr"])
        assert trainer.optimizers["discriminator"].param_groups[0]["lr"] == pytest.approx(3 * group["lr"])
    assert rates == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4, 4e-4, 2.5e-4, 1e-4])
    assert group["betas"] == pytest.approx((0.3, 0.99))


def test_a_budget_of_seconds(few: ImageData) -> None:
    trainer = tiny_trainer(few, Budget(seconds=1.0))
    trainer.fit(Notes())
    assert 1.0 <= trainer.seconds < 3.0 and trainer.step > 1


def test_a_batch_that_the_processes_cannot_share(few: ImageData) -> None:
    with pytest.raises(RecipeError, match=r"training\.batch = 16.*3 processes"):
        Loop(
            tiny_game(few.spec),
            few,
            SimpleNamespace(processes=3, device=torch.device("cpu")),
            budget=TWELVE,
            optimizer=OptimizerOptions(),
            training=TrainingOptions(batch=16),
        )


LONG = Budget(images=64 * 16)


def test_gradients_that_are_not_finite_are_left_out(few: ImageData) -> None:
    """The step is counted and changes nothing: not the weights, not Adam's moments."""
    trainer = play(tiny_trainer(few, LONG), 2)
    before = copy.deepcopy(trainer.state()[0])
    loss = trainer.game.discriminator_loss
    trainer.game.discriminator_loss = lambda *given: (loss(*given)[0] * math.nan, loss(*given)[1])  # type: ignore[method-assign]
    trainer.play_step(0.1)
    after, numbers = trainer.state()
    for file in ("discriminator", "optimizer_discriminator"):
        assert all(torch.equal(before[file][name], after[file][name]) for name in before[file])
    assert any(not torch.equal(before["generator"][name], after["generator"][name]) for name in before["generator"])
    assert numbers["window"]["skipped"] == 1


def test_a_step_is_left_out_if_any_of_its_turns_is(few: ImageData) -> None:
    """Two turns of the discriminator, of which the first is NaN."""
    trainer = tiny_trainer(few, LONG)
    trainer.game.critic_steps = 2
    loss, turns = trainer.game.discriminator_loss, iter((math.nan, 1.0))
    trainer.game.discriminator_loss = lambda *given: (loss(*given)[0] * next(turns), loss(*given)[1])  # type: ignore[method-assign]
    parts = trainer.play_step(0.1)
    assert trainer.state()[1]["window"]["skipped"] == 1 and parts["discriminator/gradient"].isfinite()


def test_broken_weights_are_mended(few: ImageData) -> None:
    """The first time only what is broken is taken from the last checkpoint."""
    trainer, notes = tiny_trainer(few, LONG, checkpoint_seconds=1e9), Notes()
    weight = next(trainer.game.discriminator.parameters())
    notes.act = lambda: weight.data.view(-1)[0].fill_(float("nan"))
    trainer.fit(notes)
    (ruling,) = [event for event in notes.events if event["event"] == "ruling"]
    assert (ruling["action"], ruling["dials"]) == ("mend", {})
    assert trainer.images == 1024
    tensors, numbers = notes.kept[-1]
    assert all(value.isfinite().all() for group in tensors.values() for value in group.values())
    assert numbers["referee"]["rollbacks"] == 1 and numbers["referee"]["skipped"] == 15
    assert notes.forgotten == [ruling["images"] - LOOK * 16], "snapshots of before it broke are whole"


def test_the_way_back_before_any_judgement_is_not_the_beginning(few: ImageData) -> None:
    trainer, notes = tiny_trainer(few, Budget(images=150 * 16), checkpoint_seconds=1e9), Notes()
    weight, save = next(trainer.game.discriminator.parameters()), notes.checkpoint

    def save_and_break(trainer: Loop) -> None:
        save(trainer)
        if trainer.step == 8 * LOOK:
            weight.data.view(-1)[0] = float("nan")

    notes.checkpoint = save_and_break  # type: ignore[method-assign]
    trainer.fit(notes)
    (ruling,) = [event for event in notes.events if event["event"] == "ruling"]
    assert (ruling["action"], ruling["back_to"]) == ("mend", 8 * LOOK * 16)
    assert weight.isfinite().all()


def test_the_best_is_kept_and_gone_back_to(few: ImageData) -> None:
    """Judged every 16 steps: good, best, then twice far away; what follows starts from the best."""
    distances = iter([2.0, 1.0, 5.0, 5.0, 0.5, 0.5])
    rest = {"spread": 1.0, "sensitivity": 1.0, "raw_distance": 0.1, "gap": 0.0}
    trainer, notes = tiny_trainer(few, Budget(images=96 * 16), checkpoint_seconds=1e9), Notes()
    trainer.referee.every = 256
    trainer.examine = lambda trainer: {"distance": next(distances), **rest}
    trainer.fit(notes)
    judged = [event for event in notes.events if event["event"] == "judged"]
    assert [event["best"] for event in judged] == [True, True, False, False, True, True]
    saved = {numbers["images"]: tensors for tensors, numbers in notes.kept}
    assert list(saved) == [0, 256, 512, 1024, 1280, 1536]
    best, back = (saved[images]["generator_ema"] for images in (512, 1024))
    assert all(torch.equal(best[name], back[name]) for name in best)
    assert trainer.game.dials["learning rate"] == 0.5 and trainer.referee.memory.best == 1536


def test_a_settled_training_ends_before_its_budget(few: ImageData) -> None:
    rest = {"spread": 1.0, "sensitivity": 1.0, "raw_distance": 0.1, "gap": 0.0}
    trainer, notes = tiny_trainer(few, Budget(images=320 * 16), checkpoint_seconds=1e9), Notes()
    trainer.referee.every = 256
    trainer.examine = lambda trainer: {"distance": 1.0, **rest}
    trainer.fit(notes)
    assert trainer.images == pytest.approx((0.45 + 0.15) * 320 * 16, abs=16 * 16) and trainer.progress == 1
    assert trainer.referee.summary()["ended"] == "it settled"


def test_pictures_take_a_small_part_of_the_time(few: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second here, and a picture half of one: one in ten seconds, not with every step."""
    now = [0.0]
    monkeypatch.setattr("gandem.training.loop.time", SimpleNamespace(monotonic=lambda: now[0]))
    trainer, notes = tiny_trainer(few, Budget(images=48 * 16), checkpoint_seconds=1e9), Notes()
    play_step, preview = trainer.play_step, notes.preview

    def step(progress: float) -> dict[str, Tensor]:
        now[0] += 1
        return play_step(progress)

    def draw(generator: nn.Module, images: int) -> None:
        now[0] += 0.5
        preview(generator, images)

    monkeypatch.setattr(trainer, "play_step", step)
    monkeypatch.setattr(notes, "preview", draw)
    trainer.fit(notes)
    assert notes.previews == 5


@pytest.mark.parametrize(("rate", "dial"), [(1e-2, 0.1), (1e-3, 1.0)])
def test_a_rate_that_is_too_high_is_seen_long_before_the_warm_up_is_over(
    few: ImageData, rate: float, dial: float
) -> None:
    torch.manual_seed(0)
    trainer = Loop(
        NoiseGame(*build_networks(few.spec, NetworkOptions(width=16, latent=LATENT)), LATENT, discriminator_rate=2.0),
        few,
        Engine("cpu"),
        budget=Budget(images=3 * LOOK * 16),
        optimizer=OptimizerOptions(lr=rate, lr_end=rate, warmup=100_000),
        training=TrainingOptions(batch=16),
    )
    trainer.fit(Notes())
    assert trainer.game.dials["learning rate"] == dial


def test_more_processes_than_gpus_get_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match=r"2 processes cannot share 1 GPU.*--devices 1, or --device cpu"):
        Engine("auto")
    monkeypatch.delenv("RANK")
    assert Engine("cpu").device.type == "cpu"
