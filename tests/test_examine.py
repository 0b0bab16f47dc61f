"""A quick judgement: near for real samples, far for noise, and it sees what a discriminator knows by heart."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gandem
from gandem.domains.images import IMAGES
from gandem.domains.images.store import ImageData
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.loop import EXAMINED, Loop
from gandem.uses.examine import HOPELESS, Examiner
from helpers import LATENT, tiny_trainer


class Recites(nn.Module):
    """A generator that returns given samples in turn."""

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        self.samples = nn.Parameter(samples)
        self.at = 0

    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        rows = (torch.arange(len(latent)) + self.at) % len(self.samples)
        self.at += len(latent)
        return self.samples[rows]


@pytest.fixture(scope="module")
def sides(fashion: ImageData) -> tuple[ImageData, ImageData]:
    return fashion.pick(torch.arange(600)), fashion.pick(torch.arange(600, 1000))


@pytest.fixture(scope="module")
def examiner(sides: tuple[ImageData, ImageData]) -> Examiner:
    return Examiner(IMAGES.features(sides[0].codec), *sides, latent=LATENT, samples=300, seed=0)


def examine(examiner: Examiner, data: ImageData, samples: Tensor, raw: Tensor | None = None) -> dict[str, float]:
    trainer: Any = tiny_trainer(data, Budget(images=64))
    trainer.averages["generator"] = Recites(samples)
    trainer.game.generator = Recites(samples if raw is None else raw)
    return examiner(trainer)


def test_real_samples_noise_and_one_sample(
    examiner: Examiner, sides: tuple[ImageData, ImageData], fashion: ImageData
) -> None:
    real = fashion.batch(torch.arange(1000, 1300))["real"]
    near, far, one = (
        examine(examiner, sides[0], samples) for samples in (real, torch.rand_like(real) * 2 - 1, real[:1])
    )
    assert set(near) == set(EXAMINED)
    assert near["distance"] < 0.2 * far["distance"] and near["distance"] < 0.2 * one["distance"]
    assert near["spread"] == pytest.approx(1, abs=0.15) and near["sensitivity"] == pytest.approx(1, abs=0.15)
    assert one["spread"] < 1e-6 and one["sensitivity"] < 1e-6
    assert near["raw_distance"] == 0
    other = examine(examiner, sides[0], real, raw=real.roll(7, 0))
    assert other["raw_distance"] == pytest.approx(1, abs=0.3)


def test_samples_that_are_not_finite_are_hopeless(examiner: Examiner, sides: tuple[ImageData, ImageData]) -> None:
    found = examine(examiner, sides[0], torch.full((4, 1, 28, 28), float("nan")))
    assert found["distance"] == HOPELESS and found["spread"] == 0 and math.isnan(found["gap"])


def test_looking_leaves_no_trace_in_a_generator(examiner: Examiner, sides: tuple[ImageData, ImageData]) -> None:
    """Statistics of a batch are moved by what is learnt from, not by what is judged."""

    class Normalised(Recites):
        def __init__(self, samples: Tensor) -> None:
            super().__init__(samples)
            self.normalise = nn.BatchNorm1d(LATENT)

        def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
            return super().forward(self.normalise(latent))

    trainer: Any = tiny_trainer(sides[0], Budget(images=64))
    trainer.game.generator = generator = Normalised(sides[0].batch(torch.arange(150))["real"])
    before = generator.normalise.running_mean.clone()
    examiner(trainer)
    assert generator.training and generator.normalise.running_mean.equal(before)


def test_a_discriminator_that_knows_its_samples_by_heart(sides: tuple[ImageData, ImageData]) -> None:
    training, held_out = sides
    examiner = Examiner(IMAGES.features(training.codec), training, held_out, latent=LATENT, samples=200, seed=0)
    known = {row.numpy().tobytes() for row in training.batch(torch.arange(600))["real"]}

    class Heart(nn.Module):
        def forward(self, images: Tensor, label: Tensor | None) -> Tensor:
            return torch.tensor([float(image.numpy().tobytes() in known) for image in images])

    trainer: Loop = tiny_trainer(training, Budget(images=64))
    trainer.game.discriminator = Heart()
    found = examiner(trainer)
    assert found["gap"] == 1
    trainer.game.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0))
    trainer.game.discriminator.forward = lambda images, label: images.mean((1, 2, 3))  # type: ignore[method-assign]
    assert abs(examiner(trainer)["gap"]) < 0.5, "the difference may be chance"


@pytest.mark.parametrize(("made", "gap"), [(-1.0, 0.5), (0.5, 2.0)])
def test_the_gap_is_told_by_samples_of_the_generator_that_plays(
    sides: tuple[ImageData, ImageData], monkeypatch: pytest.MonkeyPatch, made: float, gap: float
) -> None:
    """Training samples score 1, held-out ones 0, generated ones what is given, those of the averaged generator -9."""
    training, held_out = sides
    examiner = Examiner(IMAGES.features(training.codec), training, held_out, latent=LATENT, samples=200, seed=0)
    known = {row.numpy().tobytes() for row in training.batch(torch.arange(600))["real"]}
    scores = {0.25: made, 0.75: -9.0}

    class Heart(nn.Module):
        def forward(self, images: Tensor, label: Tensor | None) -> Tensor:
            flat = [(image.min().item(), image.max().item(), image.numpy().tobytes()) for image in images]
            return torch.tensor([scores[low] if low == high else float(row in known) for low, high, row in flat])

    trainer: Loop = tiny_trainer(training, Budget(images=64))
    trainer.game.discriminator = Heart()
    playing = trainer.game.players["generator"]
    monkeypatch.setattr(
        examiner, "_drawn", lambda by, count: torch.full((count, 1, 28, 28), 0.25 if by is playing else 0.75)
    )
    assert examiner(trainer)["gap"] == pytest.approx(gap)


@pytest.mark.parametrize(
    ("known", "made", "gap"), [(0.2, 0.0, 0.359), (0.2, 5.0, 0.359), (0.2, -1.8, 0.1), (1.0, 0.1, 1.111)]
)
def test_a_difference_that_may_be_chance_is_never_called_much(
    sides: tuple[ImageData, ImageData], monkeypatch: pytest.MonkeyPatch, known: float, made: float, gap: float
) -> None:
    """With 100 scores of deviation 1 on each side, 1.96 errors of their difference are 0.279; twice that divides."""
    examiner = Examiner(IMAGES.features(sides[0].codec), *sides, latent=LATENT, samples=200, seed=0)
    noise = torch.tensor([-1.0, 1.0]).repeat(50).double()
    scores = iter([noise + known, noise, noise + made])
    monkeypatch.setattr("gandem.uses.examine._realness", lambda trainer, batch: next(scores))
    assert examiner(tiny_trainer(sides[0], Budget(images=64)))["gap"] == pytest.approx(gap, abs=0.001)


def test_few_held_out_samples_say_nothing_of_a_gap(sides: tuple[ImageData, ImageData]) -> None:
    training, held_out = sides

    def examined(count: int) -> dict[str, float]:
        few = held_out.pick(torch.arange(count))
        examiner = Examiner(IMAGES.features(training.codec), training, few, LATENT, 100, 0)
        return examiner(tiny_trainer(training, Budget(images=64)))

    found = examined(49)
    assert math.isnan(found["gap"]) and found["distance"] > 0
    assert math.isfinite(examined(50)["gap"])


def test_a_training_is_judged_on_its_way_and_the_best_is_used(npz: Path, tmp_path: Path) -> None:
    settings = {"network.width": 16, "training.batch": 16, "referee.every": 512, "referee.samples": 100}
    run = gandem.train(npz, tmp_path / "run", settings=settings, budget="1536", seed=1, device="cpu")
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    judged = [event for event in events if event["event"] == "judged"]
    assert [event["images"] for event in judged] == [512, 1024, 1536]
    assert all(math.isfinite(event["distance"]) and "gap" not in event for event in judged)
    best = [event["images"] for event in judged if event["best"]][-1]
    referee = run.report["referee"]
    assert referee["best"] == best and len(referee["judgements"]) == 3 and referee["ended"] == "the budget was spent"
    kept = checkpoint.load(checkpoint.at(run.checkpoints, best)).tensors["generator_ema"]
    used = run.generator().state_dict()
    assert all(torch.equal(kept[name], used[name]) for name in kept)
    longer = gandem.resume(run.path, budget="+512")
    assert [each["images"] for each in longer.report["referee"]["judgements"]] == [512, 1024, 1536, 2048]
