"""Averages of any length after the fact, against such as were kept explicitly."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import gandem
from gandem.domains.images.store import ImageData
from gandem.errors import RecipeError, RunError
from gandem.game.schedules import power_decay
from gandem.recording import RunRecorder
from gandem.training.averages import SIGMAS, coefficients, discard_newer, exponent, follow, reconstruct, save
from gandem.training.budget import Budget
from gandem.training.loop import Loop
from helpers import tiny_trainer

STEPS, BATCH, SIZE = 1600, 16, 40


def vector(values: np.ndarray) -> nn.Module:
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor(values, dtype=torch.float64))
    return module


@pytest.mark.parametrize(("sigma", "gamma"), [(0.05, 16.97), (0.10, 6.94), (1 / 12**0.5, 0.0)])
def test_exponents_of_the_paper(sigma: float, gamma: float) -> None:
    """And 0, the plain mean, whose width is that of the uniform distribution."""
    assert exponent(sigma) == pytest.approx(gamma, abs=5e-3)


@pytest.mark.parametrize("sigma", [0.03, 0.05, 0.2])
def test_the_width_is_sigma(sigma: float) -> None:
    """The standard deviation of the profile (gamma + 1) tau^gamma on [0, 1], by numbers."""
    gamma, places = exponent(sigma), (np.arange(200_000) + 0.5) / 200_000
    profile = (gamma + 1) * places**gamma / 200_000
    mean = (profile * places).sum()
    assert profile.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((profile * (places - mean) ** 2).sum()) == pytest.approx(sigma, rel=1e-3)


def test_each_step_weighs_what_the_profile_says() -> None:
    """An average of indicators holds the weight of step j: (j^(gamma + 1) - (j - 1)^(gamma + 1)) / n^(gamma + 1)."""
    n, gamma = 20, exponent(0.1)
    average = vector(np.zeros(n))
    for step in range(1, n + 1):
        follow(average, vector(np.eye(n)[step - 1]), power_decay(BATCH, step * BATCH, gamma))
    places = np.arange(n + 1) / n
    torch.testing.assert_close(average.weight.detach(), torch.tensor(np.diff(places ** (gamma + 1))))


def trajectory(kind: str) -> np.ndarray:
    """Weights (STEPS, SIZE) that wander, or that shake around a place, or that settle."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(STEPS, SIZE)), 0) / np.sqrt(STEPS)
    places = np.arange(STEPS)[:, None] / STEPS
    return {
        "wander": walk,
        "shake": 1 + rng.normal(size=(STEPS, SIZE)),
        "settle": 1 - np.exp(-places * rng.uniform(1, 20, SIZE)) + 0.1 * walk,
    }[kind]


@pytest.mark.parametrize("kind", ["wander", "shake", "settle"])
def test_any_length_from_sixteen_snapshots(kind: str, tmp_path: Path) -> None:
    """Errors of the size of half precision for widths that were kept, and below 1 % from 0.03 to 0.2."""
    wanted = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
    averages = {sigma: vector(np.zeros(SIZE)) for sigma in wanted}
    for step, weights in enumerate(trajectory(kind), 1):
        player = vector(weights)
        for sigma, average in averages.items():
            follow(average, player, power_decay(BATCH, step * BATCH, exponent(sigma)))
        if step % (STEPS // 16) == 0:
            save(tmp_path, step * BATCH, {sigma: averages[sigma] for sigma in SIGMAS})
    for sigma in wanted:
        found, expected = reconstruct(tmp_path, sigma)["weight"], averages[sigma].weight.detach().float()
        error = (found - expected).norm() / expected.norm()
        assert error < (1e-3 if sigma in (0.05, 0.07, 0.1) else 1e-2), sigma


def test_a_kept_average_is_itself() -> None:
    times, sigmas = np.array([100.0, 100, 200, 200]), np.tile(SIGMAS, 2)
    assert coefficients(times, sigmas, 200.0, 0.1) == pytest.approx([0, 0, 0, 1], abs=1e-9)
    assert coefficients(times, sigmas, 200.0, 0.07).sum() == pytest.approx(1)


def test_what_came_later_is_taken_away(tmp_path: Path) -> None:
    for images in (100, 200, 1000):
        save(tmp_path, images, {sigma: vector(np.ones(2) * images) for sigma in SIGMAS})
    discard_newer(tmp_path, 200)
    assert [path.stem for path in sorted(tmp_path.iterdir())] == ["000000000100", "000000000200"]
    assert reconstruct(tmp_path, 0.05)["weight"].tolist() == pytest.approx([200, 200], rel=1e-3)


def test_what_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"ema = 0\.5: must lie between"):
        reconstruct(tmp_path, 0.5)
    with pytest.raises(RunError, match=r"training\.ema_snapshots=16"):
        reconstruct(tmp_path, 0.1)
    save(tmp_path, 100, {sigma: vector(np.ones(2)) for sigma in SIGMAS}).write_bytes(b"half")
    with pytest.raises(RunError, match="000000000100"):
        reconstruct(tmp_path, 0.1)


def test_what_does_not_learn_is_copied(tmp_path: Path) -> None:
    """Whole numbers have no average, neither while they are kept nor afterwards."""

    def player(order: list[int], frozen: float) -> nn.Module:
        module = vector(np.ones(2))
        module.order = nn.Parameter(torch.tensor(order), requires_grad=False)
        module.frozen = nn.Parameter(torch.tensor(frozen), requires_grad=False)
        return module

    average, other = player([0, 0], 0.0), player([2**20 + 1, 7], -np.inf)
    follow(average, other, 0.5)
    assert torch.equal(average.order, other.order) and torch.equal(average.frozen, other.frozen)
    for images in (100, 200, 300):
        save(tmp_path, images, {sigma: copy.deepcopy(average) for sigma in SIGMAS})
    found = reconstruct(tmp_path, 0.07)
    assert torch.equal(found["order"], other.order) and torch.equal(found["frozen"], other.frozen)


class Keeps:
    """A recorder that writes snapshots and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snapshot(self, trainer: Loop) -> None:
        save(self.folder, trainer.images, trainer.power_averages)

    def event(self, name: str, **facts: object) -> None: ...

    def preview(self, generator: nn.Module, images: int) -> None: ...

    def checkpoint(self, trainer: Loop) -> None: ...

    def forget(self, images: int) -> None: ...

    def saved(self, images: int) -> dict: ...


def test_an_interrupted_training_keeps_the_same_snapshots(few: ImageData, tmp_path: Path) -> None:
    """At equal parts of the budget, to the byte, though it stopped between two of them."""
    whole, half, resumed = (tiny_trainer(few, Budget(images=192), ema_snapshots=4) for _ in range(3))
    for _ in range(5):
        half.play_step(half.progress)
    tensors, numbers = half.state()
    resumed.load_state(copy.deepcopy(tensors), numbers)
    whole.fit(Keeps(tmp_path / "whole"))
    resumed.fit(Keeps(tmp_path / "resumed"))
    one, other = (
        {path.stem: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "resumed")
    )
    assert sorted(map(int, one)) == [48, 96, 144, 192] and sorted(map(int, other)) == [96, 144, 192]
    assert all(one[name] == data for name, data in other.items())


def test_a_run_with_snapshots(npz: Path, tmp_path: Path) -> None:
    """From the recipe's line to pictures of two lengths; with more budget it goes on from where it was."""
    settings = {"network.width": 16, "training.batch": 16, "referee.every": 0, "training.ema_snapshots": 4}
    run = gandem.train(npz, tmp_path / "run", settings=settings, budget="320", device="cpu")
    files = sorted(run.averages.iterdir())
    assert [int(path.stem) for path in files] == [80, 160, 240, 320]
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [event["images"] for event in events if event["event"] == "snapshot"] == [80, 160, 240, 320]
    wide, narrow = (gandem.open_run(run.path, ema=sigma) for sigma in (0.2, 0.05))
    kept = load_file(files[-1])
    for name, value in narrow.generator().state_dict().items():
        torch.testing.assert_close(value, kept[f"0.05/{name}"].float(), rtol=1e-3, atol=1e-6)
    assert not np.array_equal(wide.sample_array(4)[0], narrow.sample_array(4)[0])
    RunRecorder(run, None, 0, 200).close()  # as a training that continues from there does
    assert [int(path.stem) for path in sorted(run.averages.iterdir())] == [80, 160]
    shutil.rmtree(run.averages)
    with pytest.raises(RunError, match="kept no averages"):
        wide.generator()
