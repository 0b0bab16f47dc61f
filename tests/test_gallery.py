"""What a recipe's line adds to a training must go through everything that a training promises."""

from pathlib import Path

import pytest
import torch

import gandem
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

LINES: list[dict[str, object]] = [
    {"network.packing": 2},
    {"game.lecam": 0.3},
    {"network.weight_norm": True},
    {"training.ema_snapshots": 4},
]
lines = pytest.mark.parametrize("line", LINES, ids=lambda line: ", ".join(line))


def trainer(data: ImageData, settings: dict[str, object]) -> Loop:
    recipe = load_recipe(
        "default",
        {"network.latent": LATENT, "training.batch": 16, "optimizer.warmup": 0, "game.augment": 0.5, **settings},
    )
    game = build_game(IMAGES, data, IMAGES.decided(data, recipe), 16)
    options = {"optimizer": recipe.optimizer, "training": recipe.training}
    return Loop(game, data, Engine("cpu"), budget=Budget(images=96), **options)


def play(one: Loop, steps: int) -> Loop:
    for _ in range(steps):
        one.play_step(one.progress)
    return one


@pytest.mark.parametrize("kind", NETWORKS)
@lines
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


@lines
def test_from_the_line_to_samples(npz: Path, tmp_path: Path, line: dict[str, object]) -> None:
    """Ten steps, a quick judgement, an evaluation, and the run opened again."""
    settings = {"network.width": 16, "training.batch": 16, "referee.every": 160, "referee.samples": 50, **line}
    gandem.train(npz, tmp_path / "run", settings=settings, budget="160", device="cpu")
    run = gandem.open_run(tmp_path / "run")
    assert run.recipe == load_recipe(tmp_path / "run" / "recipe.yaml") and run.report["status"] == "finished"
    assert [each["images"] for each in run.report["referee"]["judgements"]] == [160]
    assert run.sample_array(3)[0].shape == (3, 28, 28, 1)
