"""From a recipe to the game that it describes."""

from __future__ import annotations

import torch

from gandem.domains.domain import Dataset, Domain
from gandem.errors import RecipeError, known
from gandem.game.growth import Growth
from gandem.game.noise_game import NoiseGame
from gandem.game.packing import Packed, pack_spec
from gandem.game.regularisation import INITS, initialise, normalise, regularise
from gandem.game.schedules import geometric
from gandem.recipe import Recipe
from gandem.training.optimizers import make_optimizer


def build_game(domain: Domain, dataset: Dataset, recipe: Recipe, width: int) -> NoiseGame:
    """Return the game that a recipe describes, with fresh networks drawn from the recipe's seed.

    Raises RecipeError for a name that is not known, with the nearest one.
    """
    game, network = recipe.game, recipe.network
    known("network.init", network.init, INITS)
    torch.manual_seed(recipe.training.seed)
    spec, sized = dataset.spec, network.model_copy(update={"width": width})
    generator, discriminator = domain.networks(spec, sized)
    if network.packing > 1:
        _, judge_of_packs = domain.networks(pack_spec(spec, network.packing), sized)
        discriminator = Packed(judge_of_packs, network.packing, spec.num_labels)
    for player in (generator, discriminator):
        initialise(player, network.init)
    regularise(
        discriminator,
        spectral_norm=network.spectral_norm,
        dropout=network.dropout,
        minibatch_std=network.minibatch_std,
    )
    if network.weight_norm:
        for player in (generator, discriminator):
            normalise(player)
    # Only stages that are nothing at first may wait.
    grows = network.init == "scaled" and not network.spectral_norm
    return NoiseGame(
        generator,
        discriminator,
        latent=network.latent,
        loss=game.loss,
        penalty=game.penalty,
        gamma=geometric(float(game.gamma), float(game.gamma_end)),
        penalty_fraction=game.penalty_fraction,
        augmentation=0.0 if game.augment in ("auto", "adaptive") else float(game.augment),
        discriminator_rate=game.discriminator_rate,
        critic_steps=game.critic_steps,
        clip=game.clip,
        lecam=game.lecam,
        likelihood=0.0 if game.likelihood == "auto" else float(game.likelihood),
        opening=0.0 if game.opening == "auto" else float(game.opening),
        growth=Growth(getattr(generator, "halvings", 0) if grows else 0, game.growth),
    )


def check(recipe: Recipe, batch: int, processes: int) -> None:
    """Refuse choices that make no sense together, with a batch that so many processes share. Raises RecipeError."""
    if batch < 2 or batch % processes:
        raise RecipeError(
            f"a batch of {batch} cannot be shared by {processes} processes: use a training.batch that is a multiple, "
            "fewer --devices, or more data"
        )
    rows = batch // processes
    make_optimizer(recipe.optimizer, torch.nn.Linear(1, 1))
    network, game = recipe.network, recipe.game
    if game.penalty == "r1_finite" and network.minibatch_std > 1:
        raise RecipeError("game.penalty = 'r1_finite' moves whole groups of network.minibatch_std: use penalty r1")
    sized = {"network.weight_norm": network.weight_norm, "network.spectral_norm": network.spectral_norm}
    deciding = [key for key, used in (sized | {"game.clip": game.clip}).items() if used]
    if len(deciding) > 1:
        raise RecipeError(f"{' and '.join(deciding)} both decide how large a weight is: use one of them")
    group = group_size(recipe)
    together = [key for key in ("minibatch_std", "packing") if getattr(network, key) > 1]
    if together and rows % group:
        named = " and ".join(f"network.{key} = {getattr(network, key)}" for key in together)
        raise RecipeError(
            f"{named}: real and generated samples would mix; use a training.batch of which each process gets a "
            f"multiple of {group}, not {rows}"
        )


def group_size(recipe: Recipe) -> int:
    """Return the rows that belong together in a batch: those of one penalty, or of one minibatch statistic in each.

    A minibatch statistic is of packs, where samples are packed.
    """
    parts = 1 if recipe.game.penalty == "none" else round(1 / recipe.game.penalty_fraction)
    return max(recipe.network.minibatch_std, 1) * recipe.network.packing * parts
