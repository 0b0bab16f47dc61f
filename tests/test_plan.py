"""What is decided before a training: the size of a step, the rate, and what growth makes of the count of images."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gandem
from gandem.domains.images.store import ImageData
from gandem.errors import RecipeError
from gandem.game.penalties import PENALTIES
from gandem.recipe import OptimizerOptions, load_recipe
from gandem.training.loop import Loop
from gandem.training.plan import automatic_batch, judging_pace, measure
from helpers import tiny_game


@pytest.mark.parametrize(
    ("images", "batch"), [(0, 16), (10_000, 16), (113_000, 16), (114_000, 32), (226_000, 32), (227_000, 64), (1e8, 64)]
)
def test_long_trainings_take_large_steps(images: float, batch: int) -> None:
    assert automatic_batch(images) == batch
    assert automatic_batch(images, 12) % 12 == 0 <= automatic_batch(images, 12) - batch < 12


def test_what_suits_the_images_is_measured_and_played(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gandem.training.plan.MEASURE_SECONDS", 0.0)
    told: list[dict[str, Any]] = []
    settings = {"network.width": 16, "training.precision": "fp32"}
    planned = gandem.plan_training(colours, settings=settings, budget="100h", device="cpu", watch=told.append)
    batches = [event["batch"] for event in told if event["event"] == "measure"]
    assert batches == [16, 64, 64, 64]  # a first guess, then all three sizes
    assert planned["recipe"]["training"]["batch"] == planned["plan"]["batch"] == 64


def test_wide_networks_learn_more_slowly() -> None:
    assert OptimizerOptions().rates(48) == OptimizerOptions().rates(64) == pytest.approx((1e-3, 1e-4))
    assert OptimizerOptions().rates(128) == pytest.approx((5e-4, 5e-6))
    assert OptimizerOptions(lr=2e-3).rates(128) == pytest.approx((2e-3, 2e-5))
    assert OptimizerOptions(lr=2e-3, lr_end=1e-5).rates(128) == (2e-3, 1e-5)


def test_the_second_beta_rises_unless_it_is_given() -> None:
    assert OptimizerOptions().second_betas() == (0.9, 0.99)
    assert OptimizerOptions(beta2=0.5).second_betas() == (0.5, 0.99)
    assert OptimizerOptions(beta2=0.999, beta2_end=0.999).decided(64).beta2_end == 0.999


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 images of noise, 64 x 64."""
    path = tmp_path_factory.mktemp("colours") / "noise.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8))
    return path


def test_small_images_cost_less(colours: Path) -> None:
    def gflops(growth: float) -> float:
        settings = {"game.growth": growth, "network.width": 16}
        return gandem.plan_training(colours, settings=settings, budget="10k", device="cpu")["plan"]["gflops_per_image"]

    assert gflops(0.0) > gflops(0.35) > 0.65 * gflops(0.0)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_has_a_batch(colours: Path, penalty: str) -> None:
    """Without a penalty rows need no partners; a step of two is still the least."""
    settings = {"network.width": 16, "game.penalty": penalty}
    planned = gandem.plan_training(colours, settings=settings, budget="1k", device="cpu")
    assert planned["recipe"]["training"]["batch"] == 16


def test_what_was_auto_is_decided(colours: Path) -> None:
    planned = gandem.plan_training(colours, settings={"network.width": 128}, budget="10k", device="cpu")
    recipe = planned["recipe"]
    assert (recipe["training"]["batch"], recipe["network"]["blocks"]) == (16, 1)
    assert (recipe["optimizer"]["lr"], recipe["optimizer"]["lr_end"]) == pytest.approx((5e-4, 5e-6))
    assert planned["plan"]["images"] == 10_000
    assert planned["plan"]["growth"] == [
        {"until": pytest.approx(0.175), "halvings": 2},
        {"until": pytest.approx(0.35), "halvings": 1},
        {"until": 1.0, "halvings": 0},
    ]
    assert (
        "growth: 1/4 of each side until 18%, 1/2 of each side until 35% of the budget, then full size"
        in planned["plan"]["text"]
    )


@pytest.mark.parametrize("settings", [{"network.init": "he"}, {"network.spectral_norm": True}, {"data.size": 28}])
def test_what_is_something_at_first_does_not_wait(colours: Path, settings: dict[str, object]) -> None:
    settings = {"network.width": 16} | settings
    planned = gandem.plan_training(colours, settings=settings, budget="10k", device="cpu")
    assert planned["plan"]["growth"] == [{"until": 1.0, "halvings": 0}] and planned["recipe"]["game"]["growth"] == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which a plan is made; it stands still unless somebody moves it."""
    now = [0.0]
    monkeypatch.setattr("gandem.training.plan.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(("budget", "steps", "rate"), [(3600, 3, 16.0), (500, 2, 8.0), (100, 1, 4.0)])
def test_one_measurement_ends_with_its_part_of_the_budget(
    few: ImageData, clock: list[float], monkeypatch: pytest.MonkeyPatch, budget: float, steps: int, rate: float
) -> None:
    """The first steps take four seconds and two, all others one; a hundredth of a short budget is over before."""
    taken: list[int] = []

    def step(loop: Loop, progress: float) -> None:
        clock[0] += (4, 2, 1)[min(loop.step, 2)]
        loop.step += 1
        loop.images += loop.rows
        taken.append(loop.step)

    monkeypatch.setattr(Loop, "play_step", step)
    recipe = load_recipe("default", {"training.batch": 16})
    assert measure(lambda width: tiny_game(few.spec), 16, "fp32", few, recipe, "cpu", budget) == pytest.approx(rate)
    assert taken[-1] == steps


def test_where_measuring_takes_long_the_rest_is_reckoned(
    colours: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred seconds five are over with the second measurement; speeds follow the work from there."""
    measured: list[tuple[str, float]] = []

    def slow(build: Any, width: int, precision: str, *_: Any) -> float:
        clock[0] += 4
        measured.append((precision, build(width).dials["augmentation"]))
        return 100.0

    monkeypatch.setattr("gandem.training.plan.measure", slow)
    settings = {"network.width": 16, "game.augment": 1.0}
    planned = gandem.plan_training(colours, settings=settings, budget="100s", device="cpu")["plan"]
    assert measured == [("fp32", 1.0), ("bf16", 1.0)]  # with the augmentation that the training will have
    assert planned["measured_seconds"] == 8
    work = planned["images_per_second"] * planned["gflops_per_image"]
    assert work == pytest.approx(100 * planned["gflops_at_full_size"]) and planned["images_per_second"] > 100


def test_a_device_that_waited_for_work_is_asked_again(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step takes equally long whatever the networks, they grow until it no longer does."""
    asked: list[tuple[int, str]] = []

    def launch_bound(build: Any, width: int, precision: str, *_: Any) -> float:
        asked.append((width, precision))
        return 2000.0 * min(1.0, 192 / width) * (1.1 if (precision == "bf16") == (width > 64) else 1.0)

    monkeypatch.setattr("gandem.training.plan.measure", launch_bound)
    planned = gandem.plan_training(colours, budget="10h", device="cpu")["plan"]
    widths = [width for width, _ in asked]
    assert widths[0] == 64 and widths == sorted(widths) and planned["width"] > 192
    assert planned["precision"] == "bf16"  # which was the slower one of the first two


def test_what_was_measured_first_stays_where_time_is_up(
    colours: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fourth measurement is the last one: of the width that follows no precision is known to be faster."""

    def slow(build: Any, width: int, precision: str, *_: Any) -> float:
        clock[0] += 600
        return 2000.0 * (1.6 if precision == "bf16" else 1.0)

    monkeypatch.setattr("gandem.training.plan.measure", slow)
    planned = gandem.plan_training(colours, budget="10h", device="cpu")["plan"]
    assert planned["width"] > 64 and planned["precision"] == "bf16"


def test_groups_decide_what_the_batch_is_a_multiple_of(colours: Path) -> None:
    settings = {"network.width": 16, "network.minibatch_std": 12}
    planned = gandem.plan_training(colours, settings=settings, budget="10k", device="cpu")
    assert planned["recipe"]["training"]["batch"] == 48  # 16 would be too few


def test_judgements_are_paced_by_images_of_full_size() -> None:
    """20 judgements of 2,000 in a million images that cost half as much in the mean: one each 25,000 large ones."""
    plan = SimpleNamespace(images=1_000_000, gflops_per_image=0.5, gflops_at_full_size=1.0, seconds=None)
    assert judging_pace(plan, 1e-3) == (25_000, 2_000)


@pytest.mark.parametrize(
    ("minutes", "each"),
    [
        (1, (0, 200)),
        (2, (10_000, 320)),
        (2.0859, (10_000, 333)),
        (4, (8_333, 500)),
        (10, (5_000, 800)),
        (60, (5_000, 2_000)),
    ],
)
def test_judgements_take_three_percent_of_the_time(minutes: float, each: tuple[int, int]) -> None:
    """A minute is too short for ten of them; then they grow in size to 500, in number to 20, and in size again."""
    plan = SimpleNamespace(images=100_000, gflops_per_image=1.0, gflops_at_full_size=1.0, seconds=60.0 * minutes)
    assert judging_pace(plan, 5e-4) == each


def test_augmentation_cannot_follow_judgements_that_are_not_made(colours: Path) -> None:
    settings = {"game.augment": "adaptive", "referee.every": 0, "network.width": 16}
    with pytest.raises(RecipeError, match="follows the quick judgements"):
        gandem.plan_training(colours, settings=settings, budget="10k", device="cpu")


@pytest.mark.parametrize(("every", "augment"), [(0, 0.0), (512, "adaptive")])
def test_augmentation_is_adaptive_where_judgements_are_made(
    colours: Path, tmp_path: Path, every: int, augment: float | str
) -> None:
    settings = {"referee.every": every, "network.width": 16}
    recipe = gandem.plan_training(colours, settings=settings, budget="10k", device="cpu")["recipe"]
    assert recipe["game"]["augment"] == augment
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    again = gandem.plan_training(colours, recipe=tmp_path / "recipe.yaml", budget="10k", device="cpu")["recipe"]
    assert again["game"]["augment"] == augment, "what was decided can be asked for"


def test_the_machine_is_measured_at_the_rate_that_is_played(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float | str] = []

    class Watched(Loop):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            rates.append(options["optimizer"].lr)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("gandem.training.plan.Loop", Watched)
    monkeypatch.setattr("gandem.training.plan.MEASURE_SECONDS", 0.0)
    settings = {"network.width": 128, "training.precision": "fp32", "training.batch": 16}
    planned = gandem.plan_training(colours, settings=settings, budget="100h", device="cpu")
    assert rates == [planned["recipe"]["optimizer"]["lr"]] * 3 == [pytest.approx(5e-4)] * 3  # of three sizes
