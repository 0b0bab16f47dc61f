"""Networks of one's own, with everything around them: referee, averages, checkpoints, resuming, judgement, report."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gandem.api import data_of
from gandem.domains.domain import Dataset, Domain
from gandem.domains.given import Given, opened, path_of
from gandem.errors import RecipeError, RunError, first_line
from gandem.game.losses import LOSSES
from gandem.game.noise_game import NoiseGame, ask
from gandem.game.penalties import PENALTIES
from gandem.preparation import prepare
from gandem.recipe import OWN, Recipe, load_recipe
from gandem.recording import Watch, free_path
from gandem.run import Run, create_run, must_be_new, open_run
from gandem.session import play
from gandem.training.budget import Budget, parse_budget
from gandem.training.engine import Engine
from gandem.training.loop import two_rows

OPEN = ("data", "optimizer", "training", "referee")
"""Sections of a recipe that can be set; the others are the game itself."""


class Trainer:
    """Plays a game between any two modules: `Trainer(NoiseGame(generator, discriminator), data).fit("5m").sample(16)`.

    game: with modules for the samples of `data` as tensors in [-1, 1], (n, channels, height, width) for pictures and
    (n, *shape) for other arrays. Their weights are where the training starts, and those of the discriminator and of the
    generator as they are in the end are left in them; the averaged generator is in the run.
    data: as for `gandem.train`. out: the run folder, by default a free name under runs/; if a run of these networks
    lies there, `fit` continues it. settings: recipe keys outside network and game, {"optimizer.lr": 2e-4}.
    precision: "fp32", "bf16" or "auto" for the faster one.
    """

    def __init__(
        self,
        game: NoiseGame,
        data: Given,
        out: str | Path | None = None,
        *,
        settings: dict[str, Any] | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "fp32",
    ) -> None:
        self.game = game
        self.data = opened(data)
        self.path = Path(out) if out is not None else free_path(path_of(self.data) or "array")
        self.device = device
        for key in settings or {}:
            if key.partition(".")[0] not in OPEN:
                raise RecipeError(f"settings: {key!r} is up to the game that you give; open are {', '.join(OPEN)}")
        self.choices = {"training.seed": seed, "training.precision": precision} | (settings or {})
        self.recipe = _described(game, load_recipe("default", self.choices))

    def fit(self, budget: str = "10m", watch: Watch | None = None) -> Run:
        """Train and return the run; again, or where a run lies, go on.

        budget: "90s", "10m", "2h" or images, "200k"; of a run that was interrupted, what is left of its own comes
        first and this is not added; a finished one is given so much more.
        Raises GandemError with one line that says what to do; Interrupted after SIGINT or SIGTERM, with a checkpoint
        saved.
        """
        allowed = parse_budget(budget)
        if (self.path / "recipe.yaml").is_file():
            return self._go_on(budget, watch)
        must_be_new(self.path)
        prepared = prepare(self.data, self.recipe, allowed, self.device, watch, self._copy)
        engine = Engine(self.device, prepared.plan.precision)
        if engine.is_main:
            codec, data = prepared.dataset.codec.to_dict(), prepared.data(self.data)
            create_run(self.path, prepared.recipe, codec, data, prepared.report())
        engine.wait()
        torch.manual_seed(self.recipe.training.seed)
        spent = prepared.plan.measured_seconds
        return play(self._run(), self.game, prepared.dataset, prepared.held_out, prepared.budget, engine, watch, spent)

    def _go_on(self, budget: str, watch: Watch | None) -> Run:
        run = self._run()
        self._must_be_the_same(run)
        allowed = Budget(**run.report["budget"])
        if run.report["status"] == "finished":
            allowed = allowed.extended(f"+{budget}")
        training, held_out = data_of(run, self.data, watch).split(float(run.recipe.data.held_out), run.codec)
        _fit_together(self.game, training)
        engine = Engine(self.device, run.recipe.training.precision)
        return play(run, self.game, training, held_out, allowed, engine, watch)

    def _run(self) -> Run:
        run = open_run(self.path)
        if run.recipe.network.kind != OWN:
            raise RunError(f"{self.path} is a run of gandem's own networks: choose another out")
        return open_run(self.path, copy.deepcopy(self.game.generator))

    def _must_be_the_same(self, run: Run) -> None:
        """Raise RunError if a run was trained in another game, or with other settings than those that are given."""
        recipe = run.recipe
        given = {key: value for key, value in self.choices.items() if value != "auto"}
        if isinstance(batch := given.get("training.batch"), int) and batch > run.report["dataset_size"]:
            del given["training.batch"]  # there was less data, and the batch as small
        then, now = recipe.model_dump(), _described(self.game, recipe.replace(given)).model_dump()
        for section in ("network", "game", "optimizer", "training", "referee"):  # of data the fingerprint tells
            for key, value in now[section].items():
                if value != then[section][key] != "auto":  # which stands where older runs did not say
                    raise RunError(
                        f"{self.path} was trained with {section}.{key} = {then[section][key]!r}, not {value!r}: "
                        "give the same to go on, or another out"
                    )

    def _copy(self, domain: Domain, dataset: Dataset, recipe: Recipe, width: int) -> NoiseGame:
        """Return a game that may be thrown away."""
        _fit_together(self.game, dataset)
        return copy.deepcopy(self.game)


def _described(game: NoiseGame, recipe: Recipe) -> Recipe:
    """Return the recipe with what can be said of a game in it: of a schedule of gamma both ends, not the way."""
    return recipe.replace(
        {
            "network.kind": OWN,
            "network.width": 0,
            "network.latent": game.latent,
            "network.packing": game.packing,
            "game.loss": next((name for name, loss in LOSSES.items() if loss is game.loss), OWN),
            "game.penalty": next((name for name, penalty in PENALTIES.items() if penalty is game.penalty), OWN),
            "game.gamma": game.schedule(0.0),
            "game.gamma_end": game.schedule(1.0),
            "game.penalty_fraction": game.penalty_fraction,
            "game.discriminator_rate": game.rates["discriminator"] / game.rates["generator"],
            "game.critic_steps": game.critic_steps,
            "game.clip": game.clip,
            "game.lecam": game.lecam,
            "game.likelihood": game.likelihood,
            "game.opening": game.opening,
            "game.growth": game.growth.until,
            "game.augment": game.dials["augmentation"],
        }
    )


def _can_be_kept(name: str, player: nn.Module) -> None:
    """Raise RecipeError for a network that cannot learn, be copied or be saved."""
    if any(map(is_lazy, [*player.parameters(), *player.buffers()])):
        raise RecipeError(f"the {name} has lazy layers, whose sizes are not known: call it once on a batch first")
    if not any(parameter.requires_grad for parameter in player.parameters()):
        raise RecipeError(f"the {name} has nothing to learn: call its requires_grad_(True), or that of a part")
    if others := [key for key, value in player.state_dict().items() if not isinstance(value, Tensor)]:
        raise RecipeError(f"the {name} keeps {others[0]!r}, which is no tensor: a checkpoint holds tensors only")
    try:
        copy.deepcopy(player)
    except Exception as error:  # a module may hold anything
        raise RecipeError(
            f"the {name} cannot be copied, as its averages must be ({first_line(error)}); of torch.nn.utils take "
            "parametrizations.spectral_norm or .weight_norm, which can"
        ) from error


@torch.no_grad()
def _fit_together(game: NoiseGame, dataset: Dataset) -> None:
    """Try two samples, or two packs of them, and raise RecipeError with what does not fit."""
    for name, player in game.players.items():
        _can_be_kept(name, player)
    batch, wanted = two_rows(game, dataset), tuple(dataset.spec.shape)
    count = len(batch["real"])
    classes = ", label" if dataset.spec.num_labels else ""
    players = copy.deepcopy(game.players)  # a pass may change a batch normalisation
    device = next(game.generator.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    label = batch.get("label")
    calls = {"generator": ("latent", (count, *wanted)), "discriminator": ("real", (2,))}
    for name, (given, shape) in calls.items():
        try:
            made = ask(players[name], batch[given], label)
        except (TypeError, RuntimeError, ValueError) as error:
            raise RecipeError(
                f"the {name} cannot be called with {tuple(batch[given].shape)}{classes}, as these data ask: "
                f"{first_line(error)}"
            ) from error
        made_shape = tuple(getattr(made, "shape", ()))
        if made_shape != shape and (name == "generator" or math.prod(made_shape) != 2):
            what = "samples" if name == "generator" else "logits"
            raise RecipeError(
                f"the {name} makes {what} of shape {made_shape} for {count} samples, where {shape} is asked for"
            )
