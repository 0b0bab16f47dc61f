"""All that comes before the first step of a training: data read, plan made, every "auto" decided."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from gandem.domains import domain_of
from gandem.domains.domain import Dataset, Domain
from gandem.domains.given import Opened, path_of
from gandem.errors import RecipeError
from gandem.game.noise_game import NoiseGame
from gandem.holdout import automatic_share
from gandem.recipe import Recipe
from gandem.recording import Watch
from gandem.session import teller
from gandem.training.budget import Budget
from gandem.training.build import build_game, check, group_size
from gandem.training.engine import Engine
from gandem.training.plan import Plan, judging_pace, make_plan, whole_groups
from gandem.uses import examine

ENOUGH_HELD_OUT = 100
"""Held-out samples by which a verdict can be given."""

Build = Callable[[Domain, Dataset, Recipe, int], NoiseGame]
"""Returns a game with networks of a width, as build(domain, dataset, recipe, width)."""


class Prepared:
    """A training that is about to start: data read, plan made, every "auto" decided."""

    def __init__(self, dataset: Dataset, held_out: Dataset, recipe: Recipe, plan: Plan, budget: Budget) -> None:
        self.dataset, self.held_out, self.recipe, self.plan, self.budget = dataset, held_out, recipe, plan, budget

    def data(self, source: Opened) -> dict[str, Any]:
        """Return what data.json holds; "path" is None for data that are in memory only."""
        path = path_of(source)
        return {
            **self.dataset.report,
            "path": path and str(path.resolve()),
            "fingerprint": self.dataset.fingerprint,
        }

    def report(self) -> dict[str, Any]:
        """Return what report.json holds before the first step."""
        packages = {name: metadata.version(name) for name in ("gandem", "torch", "numpy", "pillow", "safetensors")}
        return {
            "schema_version": 1,
            "status": "training",
            "images": 0,
            "seconds": 0.0,
            "budget": self.budget.to_dict(),
            "plan": self.plan.to_dict(),
            "dataset_size": self.dataset.count,
            "held_out_size": self.held_out.count,
            "versions": {**packages, "python": platform.python_version()},
            "command": sys.argv,
        }


def prepare(
    source: Opened,
    wanted: Recipe,
    allowed: Budget,
    device: str,
    watch: Watch | None,
    build: Build = build_game,
) -> Prepared:
    """Read the data, decide every "auto" and measure this machine; raises GandemError.

    build: returns a game that may be thrown away, as build(domain, dataset, recipe, width).
    """
    domain = domain_of(source)
    return decide(domain, read(domain, source, wanted, watch), wanted, allowed, device, watch, build)


def decide(
    domain: Domain,
    whole: Dataset,
    wanted: Recipe,
    allowed: Budget,
    device: str,
    watch: Watch | None,
    build: Build = build_game,
) -> Prepared:
    """Do what `prepare` does with data that were read already; with a budget in images nothing is measured."""
    tell = teller(watch)
    share = automatic_share(whole.count) if wanted.data.held_out == "auto" else float(wanted.data.held_out)
    dataset, held_out = whole.split(share)
    if not dataset.count:
        raise RecipeError(f"data.held_out = {share:g} leaves nothing of {whole.count} {domain.noun} to train on")
    tell(
        "data",
        noun=domain.noun,
        report=whole.report,
        text=[*domain.lines(whole.report), _held_out_line(held_out.count, whole.count)],
    )
    engine = Engine(device)
    processes = engine.processes
    multiple = processes * group_size(wanted)
    asked, wanted = wanted.training.batch, domain.decided(dataset, wanted)
    if asked == "auto" and wanted.training.batch != "auto":  # a domain knows nothing of packs, nor of processes
        wanted = wanted.replace({"training.batch": whole_groups(int(wanted.training.batch), multiple)})
    check(wanted, max(multiple, 2) if wanted.training.batch == "auto" else int(wanted.training.batch), processes)
    if wanted.game.augment == "adaptive" and wanted.referee.every == 0:
        raise RecipeError("game.augment = adaptive follows the quick judgements, and referee.every = 0 makes none")
    plan = make_plan(
        lambda width: build(domain, dataset, wanted, width), dataset, wanted, allowed, device, tell, multiple
    )
    check(wanted, plan.batch, processes)  # there may be less data than for what was asked
    tell("plan", **plan.to_dict(), text=plan.lines(domain.noun))
    optimizer = wanted.optimizer.decided(plan.width)
    decided = wanted.replace(
        {
            **domain.like(dataset.spec),
            "data.labels": "auto" if dataset.spec.num_labels else "none",
            "data.held_out": share,
            "network.width": plan.width,
            "optimizer.lr": optimizer.lr,
            "optimizer.lr_end": optimizer.lr_end,
            "optimizer.beta2": optimizer.beta2,
            "optimizer.beta2_end": optimizer.beta2_end,
            "game.growth": wanted.game.growth if len(plan.growth) > 1 else 0.0,
            "training.batch": plan.batch,
            "training.precision": plan.precision,
        }
    )
    every, samples = judging_pace(plan, _cost_of_looking(domain, dataset, decided, plan, engine, build))
    decided = decided.fill({"referee.every": every, "referee.samples": samples})
    decided = decided.fill({"game.augment": "adaptive" if decided.referee.every else 0.0})  # it follows the judgements
    tell("pace", every=decided.referee.every, samples=decided.referee.samples)
    return Prepared(dataset, held_out, decided, plan, allowed)


def _cost_of_looking(
    domain: Domain, dataset: Dataset, recipe: Recipe, plan: Plan, engine: Engine, build: Build
) -> float:
    """Return what `judging_pace` wants to know: measured here, or counted where the budget is no time."""
    generator = build(domain, dataset, recipe, plan.width).generator.to(engine.device)
    looking = domain.features(dataset.codec), dataset, generator, recipe.network.latent
    return engine.agree(examine.seconds(*looking)) if plan.seconds else examine.cost(*looking)


def _held_out_line(held_out: int, count: int) -> str:
    """Say what is held out, before anybody trains for an hour what nobody can judge."""
    line = f"held out to judge by: {held_out:,}"
    if held_out >= ENOUGH_HELD_OUT:
        return line
    share = math.ceil(110 * ENOUGH_HELD_OUT / count) / 100  # a tenth more: the share is met on average
    more = f"; --set data.held_out={share:g} holds out enough" if share <= 0.5 else ""
    return f"{line}, too few for a verdict{more}"


def read(domain: Domain, source: Opened, recipe: Recipe, watch: Watch | None) -> Dataset:
    """Read a source whole, and tell how far it is."""
    tell = teller(watch)
    return domain.read(
        source, recipe.data, None, lambda what, done, total: tell("reading", what=what, done=done, total=total)
    )
