"""The plan: how large the networks are, how fast they run here, and how many images the budget will see."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

import torch

from gandem.domains.domain import Dataset
from gandem.errors import RecipeError
from gandem.game.noise_game import NoiseGame
from gandem.recipe import Recipe
from gandem.training.budget import Budget
from gandem.training.engine import Engine, best_precision
from gandem.training.loop import Trainer, two_rows

IMAGES_PER_GFLOP, LARGER = 4.5e6, 1.6
"""Images of 28 x 28 grey pixels that a training should see for each GFLOP that it spends on one of them, and the power
of the size with which that falls: a larger image needs wider networks and fewer repetitions. Measured, see
docs/experiments.md."""

LARGEST_BATCH, SMALLEST_BATCH, BATCH_TIMES_SIDE = 64, 8, 900
"""On a CPU the many small steps of few minutes teach more than few large ones, though each costs some speed: measured
at 28 and 64 pixels a side, see docs/experiments.md."""

WIDTHS = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
MEASURE_SECONDS = 2.0
MEASURE_SHARE = 0.02
"""Longest single measurement, in seconds and as a part of a budget of time."""

JUDGEMENTS, JUDGING_SHARE, JUDGING_EFFORT = 20, 0.03, 3.0
"""Quick judgements in a training at most, the part of its work that they may take, and the time that judging takes for
a GFLOP beside training, which is done in larger pieces and lower precision."""
MOST_SAMPLES, FEWEST_SAMPLES = 2_000, 500

Build = Callable[[int], NoiseGame]
"""Returns a game with networks of a width, as build(width)."""


@dataclass(frozen=True)
class Plan:
    """What will be trained, and what it will cost."""

    width: int
    precision: str
    device: str
    processes: int
    batch: int
    parameters_generator: int
    parameters_discriminator: int
    gflops_per_image: float
    """The mean over the budget, as the next: small images cost less and come faster."""
    gflops_at_full_size: float
    images_per_second: float | None
    """Measured here; None when the budget counts images, since then nothing may depend on the clock."""
    images: int
    growth: list[tuple[float, int]]
    """(part of the budget at its end, halvings of each side) of every size that is played."""
    seconds: float | None
    measured_seconds: float
    """Time that the measuring took; it counts towards a budget of time."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Say it in a few lines."""
        speed = (
            "not measured: the budget counts images"
            if self.images_per_second is None
            else (f"{self.images_per_second:,.0f} images/s measured here")
        )
        time_given = "" if self.seconds is None else f" in {Budget(seconds=self.seconds)}"
        *small, _ = [f"1/{2**halvings} of each side until {100 * end:.0f} %" for end, halvings in self.growth]
        growth = [f"growth: {', '.join(small)} of the budget, then full size"] if small else []
        return [
            f"networks: width {self.width}, generator {self.parameters_generator / 1e6:.2f} M and discriminator "
            f"{self.parameters_discriminator / 1e6:.2f} M parameters, {self.gflops_per_image:.2f} GFLOP an image",
            f"machine: {self.device}, {self.precision}, {self.processes} process(es); {speed}",
            f"budget: {self.images:,} images{time_given}, batch {self.batch}",
            *growth,
        ]


def make_plan(
    build: Build, dataset: Dataset, recipe: Recipe, budget: Budget, device: str, tell: Callable[..., None]
) -> Plan:
    """Choose width and precision where the recipe says "auto", and measure this machine if the budget is time.

    tell: called as tell("measure", width=..., precision=..., halvings=..., images_per_second=...) after each.
    """
    began = time.monotonic()
    Engine(device)  # refuses a device that is not there before anything is measured
    batch = int(recipe.training.batch)
    if batch > len(dataset):
        raise RecipeError(f"training.batch = {batch}, but there are only {len(dataset)} images; choose a smaller batch")
    wanted = recipe.network.width
    precision = recipe.training.precision if recipe.training.precision != "auto" else best_precision(device)
    per_gflop = IMAGES_PER_GFLOP * (28 * 28 / math.prod(dataset.spec.shape)) ** LARGER
    speeds = None
    if budget.images:
        width = choose_width(build, dataset, budget.images / per_gflop) if wanted == "auto" else int(wanted)
    else:
        seconds = budget.seconds or 0.0

        def measured(width: int, precision: str, progress: float = 1.0, halvings: int = 0) -> float:
            speed = measure(build, width, precision, dataset, recipe, device, seconds, progress)
            tell("measure", width=width, precision=precision, halvings=halvings, images_per_second=speed)
            return speed

        first = WIDTHS[2] if wanted == "auto" else int(wanted)
        candidates = (precision,) if recipe.training.precision != "auto" else ("fp32", "bf16")
        tried = {candidate: measured(first, candidate) for candidate in candidates}
        precision = max(tried, key=tried.__getitem__)
        width, speed = first, tried[precision]
        if wanted == "auto":
            # images * GFLOP is what the machine can do; images / GFLOP is what the networks need.
            gflops = speed * seconds * cost(build(first), dataset)
            width = choose_width(build, dataset, (gflops / per_gflop) ** 0.5)
            speed = speed if width == first else measured(width, precision)
        small = build(width).growth.stages[:-1]
        speeds = [*(measured(width, precision, stage.begin, stage.halvings) for stage in small), speed]
    game = build(width)
    parameters = {name: sum(value.numel() for value in player.parameters()) for name, player in game.players.items()}
    engine = Engine(device)
    stages = game.growth.stages
    rates = [(stage.end - stage.begin) * speed for stage, speed in zip(stages, speeds or repeat(1.0), strict=False)]
    work = sum(rate * cost(game, dataset, stage.halvings) for rate, stage in zip(rates, stages, strict=True))
    measuring = time.monotonic() - began
    return Plan(
        width=width,
        precision=precision,
        device=str(engine.device),
        processes=engine.processes,
        batch=batch,
        parameters_generator=parameters["generator"],
        parameters_discriminator=parameters["discriminator"],
        gflops_per_image=work / sum(rates),
        gflops_at_full_size=cost(game, dataset),
        images_per_second=None if speeds is None else sum(rates),
        images=budget.images or max(round(sum(rates) * max((budget.seconds or 0.0) - measuring, 0)), batch),
        growth=[(stage.end, stage.halvings) for stage in stages],
        seconds=budget.seconds,
        measured_seconds=measuring,
    )


def automatic_batch(shape: tuple[int, ...], device: torch.device, multiple: int = 1) -> int:
    """Return the samples of one step: 64, or on a CPU fewer of larger images, a power of two.

    multiple: of what it must be one, so that every process has whole groups.
    """
    fitting = LARGEST_BATCH
    if device.type == "cpu":
        fitting = 2 ** round(math.log2(BATCH_TIMES_SIDE / math.sqrt(math.prod(shape[1:]))))
        fitting = max(min(fitting, LARGEST_BATCH), SMALLEST_BATCH)
    return -(-fitting // multiple) * multiple


def judging_pace(plan: Plan, gflops_per_sample: float) -> tuple[int, int]:
    """Return (images of full size between quick judgements, samples of one), by counting work and not by the clock.

    No judgement at all, (0, samples), where not even two are affordable.
    """
    work = plan.images * plan.gflops_per_image
    affordable = JUDGING_SHARE * work / (JUDGING_EFFORT * gflops_per_sample)
    samples = round(min(max(affordable / JUDGEMENTS, FEWEST_SAMPLES), MOST_SAMPLES))
    times = min(int(affordable / samples), JUDGEMENTS)
    every = round(work / plan.gflops_at_full_size / times) if times >= 2 else 0
    return (max(every, 1) if times >= 2 else 0), samples


def cost(game: NoiseGame, dataset: Dataset, halvings: int = 0) -> float:
    """Return the GFLOP that one step spends on each image, halved so often."""
    return game.flops_per_sample(two_rows(game, dataset), halvings) / 1e9


def choose_width(build: Build, dataset: Dataset, gflops: float) -> int:
    """Return the widest networks that cost at most `gflops` an image, and at least the narrowest."""
    chosen = WIDTHS[0]
    for width in WIDTHS[1:]:
        if cost(build(width), dataset) > gflops:
            break
        chosen = width
    return chosen


def measure(
    build: Build,
    width: int,
    precision: str,
    dataset: Dataset,
    recipe: Recipe,
    device: str,
    seconds: float,
    progress: float = 1.0,
) -> float:
    """Play a few steps of a game that is thrown away, as at some progress of the budget; return images per second.

    seconds: of the whole budget.
    """
    engine = Engine(device, precision)
    trainer = Trainer(
        build(width),
        dataset,
        engine,
        budget=Budget(seconds=1.0),
        optimizer=recipe.optimizer.decided(width),
        training=recipe.training,
    )
    for _ in range(2):
        trainer.play_step(progress)
    began, images = time.monotonic(), trainer.images
    allowed = min(MEASURE_SECONDS, MEASURE_SHARE * seconds)
    while trainer.images == images or engine.agree(time.monotonic() - began) < allowed:
        trainer.play_step(progress)
    return engine.agree((trainer.images - images) / (time.monotonic() - began))
