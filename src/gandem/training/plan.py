"""The plan: how large the networks are, how fast they run here, and how many images the budget will see."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

from gandem.domains.domain import Dataset
from gandem.game.growth import Stage
from gandem.game.noise_game import NoiseGame
from gandem.recipe import Recipe
from gandem.training.budget import Budget
from gandem.training.engine import Engine, best_precision
from gandem.training.loop import Loop, two_rows

IMAGES_PER_GFLOP, SIZE_POWER = 9e6, 1.6
"""Images of 28 x 28 grey pixels that a training should see for each GFLOP that it spends on one of them, and the power
of the size with which that falls: a larger image needs wider networks and fewer repetitions. Measured, see
docs/experiments.md."""

STEPS, SMALLEST_BATCH, LARGEST_BATCH = 5_000, 16, 64
"""About how many steps a training should have before larger ones are worth it: in a short training many small ones
teach more, in a long one they only swing. Measured on Fashion-MNIST, see docs/experiments.md."""

FEWEST_STEPS = 500
"""A plan of fewer is warned of."""

WIDTHS = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
MEASURE_SECONDS, WARMING = 2.0, 2
"""Of one measurement, and its first steps, which are slower: they count only where there is no time for others, and
never on an accelerator, which gets ready in them."""
MEASURE_SHARE, MEASURING_SHARE = 0.01, 0.05
"""Parts of a budget of time after which one measurement ends, at the next step, and after which no other begins."""

IDLE = 1.5
"""How many times more a device must do with other networks to have been waiting for work: then it is asked again."""

FEWEST_JUDGEMENTS, JUDGEMENTS, JUDGING_SHARE = 10, 20, 0.03
"""Quick judgements in a training, if any: fewer do not show where it is going. The part of it that they may take."""
FEWEST_SAMPLES, ENOUGH_SAMPLES, MOST_SAMPLES = 200, 500, 2_000
"""Of a quick judgement; enough of them come before more judgements, more of them after."""
JUDGING_EFFORT, EXAMINING = 2.0, 2.25
"""The time that judging takes for a GFLOP beside training, which is done in larger pieces and lower precision. What a
judgement of n samples costs: n samples made and looked at, n / 2 of the raw generator, and the discriminator asked."""

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
    """The mean over the budget: small images cost less."""
    gflops_at_full_size: float
    images_per_second: float | None
    """Measured here, the mean over the budget: small images come faster. None when the budget counts images, since then
    nothing may depend on the clock."""
    images: int
    growth: list[dict[str, float]]
    """{"until": part of the budget at its end, "halvings": of each side} of every size that is played."""
    seconds: float | None
    measured_seconds: float
    """Time that the measuring took; it counts towards a budget of time."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    def lines(self, noun: str = "images") -> list[str]:
        """Say it in a few lines; noun: what several samples are called."""
        speed = (
            f"not measured: the budget counts {noun}"
            if self.images_per_second is None
            else (f"{self.images_per_second:,.0f} {noun}/s measured here")
        )
        time_given = "" if self.seconds is None else f" in {Budget(seconds=self.seconds)}"
        *small, _ = [f"1/{2 ** stage['halvings']} of each side until {stage['until']:.0%}" for stage in self.growth]
        growth = [f"growth: {', '.join(small)} of the budget, then full size"] if small else []
        width = f"width {self.width}" if self.width else "your own"
        steps = self.images // self.batch
        short = [f"WARNING: {steps:,} steps teach next to nothing; give more time or smaller samples"]
        return [
            f"networks: {width}, generator {self.parameters_generator / 1e6:.2f} M and discriminator "
            f"{self.parameters_discriminator / 1e6:.2f} M parameters, {self.gflops_per_image:.2g} GFLOP for each",
            f"machine: {self.device}, {self.precision}, {self.processes} process(es); {speed}",
            f"budget: {self.images:,} {noun}{time_given}, batch {self.batch}",
            *growth,
            *(short if steps < FEWEST_STEPS else []),
        ]


def make_plan(
    build: Build,
    dataset: Dataset,
    recipe: Recipe,
    budget: Budget,
    device: str,
    tell: Callable[..., None],
    multiple: int = 1,
) -> Plan:
    """Choose width, precision and batch where the recipe says "auto", and measure this machine if the budget is time.

    tell: called as tell("measure", width=..., precision=..., batch=..., halvings=..., images_per_second=...) each time.
    multiple: of what an automatic batch must be one.
    """
    began = time.monotonic()
    engine = Engine(device)  # refuses a device that is not there before anything is measured
    choose = _choose_for_images if budget.images else _choose_for_time
    chosen = choose(_Question(build, dataset, recipe, budget, device, engine, tell, multiple))
    game = build(chosen.width)
    parameters = {name: sum(value.numel() for value in player.parameters()) for name, player in game.players.items()}
    stages = game.stages
    rates = [
        (stage.end - stage.begin) * speed
        for stage, speed in zip(stages, chosen.speeds or [1.0] * len(stages), strict=True)
    ]
    work = sum(rate * cost(game, dataset, stage) for rate, stage in zip(rates, stages, strict=True))
    measuring = time.monotonic() - began
    return Plan(
        width=chosen.width,
        precision=chosen.precision,
        device=str(engine.device),
        processes=engine.processes,
        batch=chosen.batch,
        parameters_generator=parameters["generator"],
        parameters_discriminator=parameters["discriminator"],
        gflops_per_image=work / sum(rates),
        gflops_at_full_size=cost(game, dataset),
        images_per_second=sum(rates) if chosen.speeds else None,
        images=budget.images or max(round(sum(rates) * max((budget.seconds or 0.0) - measuring, 0)), chosen.batch),
        growth=[{"until": stage.end, "halvings": stage.halvings} for stage in game.growth.stages],
        seconds=budget.seconds,
        measured_seconds=measuring,
    )


@dataclass(frozen=True)
class _Question:
    """What a plan is made from."""

    build: Build
    dataset: Dataset
    recipe: Recipe
    budget: Budget
    device: str
    engine: Engine
    tell: Callable[..., None]
    multiple: int

    @property
    def per_gflop(self) -> float:
        """Images that a training should see for each GFLOP that it spends on one."""
        return IMAGES_PER_GFLOP * (28 * 28 / math.prod(self.dataset.spec.shape)) ** SIZE_POWER

    def batch(self, images: float) -> int:
        """Return the recipe's batch, or what suits so many images; less where there is less data."""
        wanted, there = self.recipe.training.batch, len(self.dataset)
        batch = automatic_batch(images, self.multiple) if wanted == "auto" else int(wanted)
        return batch if batch <= there else there // self.multiple * self.multiple or there // 2 * 2


class _Chosen(NamedTuple):
    width: int
    precision: str
    batch: int
    speeds: list[float]
    """Images per second at every size; empty where nothing was measured."""


def _choose_for_images(asked: _Question) -> _Chosen:
    images, wanted = asked.budget.images or 0, asked.recipe.network.width
    width = choose_width(asked.build, asked.dataset, images / asked.per_gflop) if wanted == "auto" else int(wanted)
    precision = asked.recipe.training.precision
    return _Chosen(width, best_precision(asked.device) if precision == "auto" else precision, asked.batch(images), [])


def _choose_for_time(asked: _Question) -> _Chosen:
    seconds, wanted = asked.budget.seconds or 0.0, asked.recipe.network.width
    began, gflops_per_second = time.monotonic(), 0.0

    @cache
    def measured(width: int, precision: str, batch: int, stage: Stage) -> float:
        nonlocal gflops_per_second
        each = cost(asked.build(width), asked.dataset, stage)
        if gflops_per_second and asked.engine.agree(time.monotonic() - began) > MEASURING_SHARE * seconds:
            return gflops_per_second / each
        recipe = asked.recipe.replace({"training.batch": batch})
        speed = measure(asked.build, width, precision, asked.dataset, recipe, asked.device, seconds, stage.begin)
        told = {"width": width, "precision": precision, "batch": batch, "halvings": stage.halvings}
        asked.tell("measure", **told, images_per_second=speed)
        gflops_per_second = speed * each
        return speed

    def expected(game: NoiseGame, gflops: float) -> float:
        """Return the images that so many GFLOP are enough for."""
        stages = game.stages
        return sum((each.end - each.begin) * gflops / cost(game, asked.dataset, each) for each in stages)

    width, batch = WIDTHS[2] if wanted == "auto" else int(wanted), asked.batch(0)
    game = asked.build(width)
    full = game.stages[-1]
    candidates = ("fp32", "bf16") if asked.recipe.training.precision == "auto" else (asked.recipe.training.precision,)
    precision = max(candidates, key=lambda candidate: measured(width, candidate, batch, full))
    # Small steps are slow ones, so what the machine can do is measured in steps of the size that will be taken.
    gflops = seconds * cost(game, asked.dataset)
    batch = asked.batch(expected(game, gflops * measured(width, precision, batch, full)))
    gflops *= measured(width, precision, batch, full)
    idle = False
    while wanted == "auto":
        # images * GFLOP is what the machine can do; images / GFLOP is what the networks need.
        width = choose_width(asked.build, asked.dataset, (gflops / asked.per_gflop) ** 0.5)
        game = asked.build(width)
        # The one so far comes first: it stays where there was no time to measure another.
        others = [each for each in candidates if idle and each != precision]
        precision = max([precision, *others], key=lambda each: measured(width, each, batch, full))
        found = seconds * cost(game, asked.dataset) * measured(width, precision, batch, full)
        idle = found > IDLE * gflops
        if not idle:
            break
        gflops = found
    batch = asked.batch(expected(game, gflops))
    return _Chosen(width, precision, batch, [measured(width, precision, batch, each) for each in game.stages])


def automatic_batch(images: float, multiple: int = 1) -> int:
    """Return the samples of one step where a training sees so many images: 16, 32 or 64, for about STEPS steps.

    multiple: of what it must be one, so that every process has whole groups.
    """
    fitting = 2 ** round(math.log2(max(images, 1) / STEPS))
    return whole_groups(max(min(fitting, LARGEST_BATCH), SMALLEST_BATCH), multiple)


def whole_groups(batch: int, multiple: int) -> int:
    """Return a batch of at least so many samples that is a multiple."""
    return -(-batch // multiple) * multiple


def judging_pace(plan: Plan, cost_of_one: float) -> tuple[int, int]:
    """Return (images of full size between quick judgements, samples of one); (0, samples) for none at all.

    cost_of_one: of making a sample and looking at it, in seconds where the budget is time, else in GFLOP: then nothing
    may depend on the clock.
    """
    work = plan.images * plan.gflops_per_image
    share = cost_of_one / plan.seconds if plan.seconds else JUDGING_EFFORT * cost_of_one / work
    affordable = JUDGING_SHARE / (EXAMINING * max(share, 1e-12))
    samples = max(affordable / JUDGEMENTS, min(affordable / FEWEST_JUDGEMENTS, ENOUGH_SAMPLES), FEWEST_SAMPLES)
    samples = int(min(samples, MOST_SAMPLES) + 1e-6)
    times = min(int(affordable / samples + 1e-6), JUDGEMENTS)
    if times < FEWEST_JUDGEMENTS:
        return 0, samples
    return max(round(work / plan.gflops_at_full_size / times), 1), samples


def cost(game: NoiseGame, dataset: Dataset, stage: Stage | None = None) -> float:
    """Return the GFLOP that one step of a stage spends on each image, by default of the game at full size."""
    counted = game.flops_per_sample(two_rows(game, dataset), stage)
    return max(counted, 1.0) / 1e9  # networks of one's own may multiply nothing that is counted


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
    trainer = Loop(
        build(width),
        dataset,
        engine,
        budget=Budget(seconds=1.0),
        optimizer=recipe.optimizer.decided(width),
        training=recipe.training,
    )
    began = since = time.monotonic()
    images, on_cpu = 0, engine.device.type == "cpu"
    while True:
        trainer.play_step(progress)
        spent, warm = engine.agree(time.monotonic() - began), trainer.step > WARMING
        if (spent >= MEASURE_SHARE * seconds and (warm or on_cpu)) or (warm and spent >= MEASURE_SECONDS):
            return engine.agree((trainer.images - images) / (time.monotonic() - since))
        if not warm:
            since, images = time.monotonic(), trainer.images
