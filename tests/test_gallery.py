"""What a recipe's line adds to a training must go through everything that a training promises."""

from pathlib import Path

import pytest
import torch

from gandem.domains.images import IMAGES
from gandem.domains.images.networks import NETWORKS
from gandem.domains.images.store import ImageData
from gandem.recipe import load_recipe
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.build import build_game
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from helpers import LATENT, perturb

LINES = [{"network.packing": 2}]


def trainer(data: ImageData, settings: dict[str, object]) -> Loop:
    recipe = load_recipe(
        "default",
        {"network.latent": LATENT, "training.batch": 16, "optimizer.warmup": 0, "game.augment": 0.5, **settings},
    )
    game = build_game(IMAGES, data, recipe, 16)
    options = {"optimizer": recipe.optimizer, "training": recipe.training}
    return Loop(game, data, Engine("cpu"), budget=Budget(images=96), **options)


def play(one: Loop, steps: int) -> Loop:
    for _ in range(steps):
        one.play_step(one.progress)
    return one


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("line", LINES, ids=lambda line: ", ".join(line))
def test_it_resumes_to_the_bit(few: ImageData, tmp_path: Path, line: dict[str, object], kind: str) -> None:
    settings = line | {"network.kind": kind}
    whole, half, resumed = play(trainer(few, settings), 4), play(trainer(few, settings), 2), trainer(few, settings)
    saved = checkpoint.load(checkpoint.save(tmp_path, *half.state()))
    perturb(*resumed.game.players.values(), *resumed.averages.values())
    resumed.load_state(saved.tensors, saved.numbers)
    (expected, numbers), (found, others) = whole.state(), play(resumed, 2).state()
    assert numbers == others and expected.keys() == found.keys()
    for file, group in expected.items():
        assert group.keys() == found[file].keys()
        assert all(torch.equal(value, found[file][name]) for name, value in group.items()), file
