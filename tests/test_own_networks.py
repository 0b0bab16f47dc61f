"""A user's own networks: trained, resumed to the bit, judged, sampled and exported like gandem's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gandem
from gandem.errors import GandemError, Interrupted
from gandem.game.losses import Loss
from gandem.game.penalties import PENALTIES, Penalty, consistency
from test_arrays import ellipse

LATENT = 4
SMALL = {"training.batch": 32}


def generator(outputs: int = 2) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(LATENT, 16), nn.ReLU(), nn.Linear(16, outputs))


def discriminator(inputs: int = 2) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(inputs, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))


def trainer(out: Path, data: Any = None, settings: dict[str, Any] | None = None, **options: Any) -> gandem.Trainer:
    game = gandem.NoiseGame(generator(), discriminator(), LATENT, **options)
    return gandem.Trainer(game, ellipse() if data is None else data, out, settings=SMALL | (settings or {}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> gandem.Run:
    out = tmp_path_factory.mktemp("own") / "run"
    return trainer(out, loss="hinge", penalty="r1", gamma=0.1).fit("2k")


def test_the_cost_is_counted_where_the_networks_lie() -> None:
    """A device that only knows shapes stands for a GPU."""
    game = gandem.NoiseGame(generator().to("meta"), discriminator().to("meta"), LATENT)
    batch = {"real": torch.zeros(2, 2), "latent": torch.zeros(2, LATENT), "augment": torch.zeros(2, 10)}
    assert game.flops_per_sample(batch) > 0


def test_what_a_run_of_own_networks_says(trained: gandem.Run) -> None:
    recipe = trained.recipe
    assert (recipe.network.kind, recipe.network.width, recipe.network.latent) == ("own", 0, LATENT)
    assert (recipe.game.loss, recipe.game.penalty, recipe.game.gamma) == ("hinge", "r1", 0.1)
    assert trained.report["status"] == "finished" and "verdict" in trained.report["evaluation"]
    assert "open_run" in (trained.path / "README.md").read_text()


def test_its_samples_come_from_the_averaged_generator(trained: gandem.Run) -> None:
    again = gandem.open_run(trained.path, generator=generator())
    made = again.sample(20, seed=5)
    assert isinstance(made, np.ndarray) and np.array_equal(made, trained.sample(20, seed=5))
    assert gandem.evaluate(again, ellipse(700, 3), count=200)["counts"]["generated"] == 200


def test_onnx(trained: gandem.Run, tmp_path: Path) -> None:
    assert gandem.export_onnx(trained, tmp_path / "x.onnx")["max_difference"] < 1e-4


def test_without_the_modules_there_is_one_line(trained: gandem.Run) -> None:
    with pytest.raises(GandemError, match="generator=your_generator"):
        gandem.open_run(trained.path).sample(2)
    with pytest.raises(GandemError, match=r"gandem\.Trainer"):
        gandem.resume(trained.path, budget="+1k", source=ellipse())
    with pytest.raises(GandemError, match="with other networks than the given ones"):
        gandem.open_run(trained.path, generator=generator(3)).sample(2)


def test_a_stopped_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole").fit("1k")

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "checkpoint" and event["images"] > 300:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        often = trainer(tmp_path / "parts", settings={"training.checkpoint_seconds": 1e-3})
        often.fit("1k", watch=stop)
    parts = trainer(tmp_path / "parts").fit("1k")
    assert parts.report["images"] == whole.report["images"]
    for a, b in zip(whole.generator().parameters(), parts.generator().parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_finished_one_is_given_more(tmp_path: Path) -> None:
    training = trainer(tmp_path / "run")
    first = training.fit("1k").report["images"]
    assert training.fit("1k").report["images"] > first + 900
    with pytest.raises(GandemError, match="has changed"):
        trainer(tmp_path / "run", data=ellipse(seed=9)).fit("1k")


def test_a_run_goes_on_in_its_own_game_only(trained: gandem.Run) -> None:
    with pytest.raises(GandemError, match=r"game\.loss = 'hinge', not 'minimax'"):
        trainer(trained.path, loss="minimax", penalty="r1", gamma=0.1).fit("1k")
    with pytest.raises(GandemError, match=r"optimizer\.beta1 = 0\.5, not 0\.0"):
        trainer(trained.path, loss="hinge", penalty="r1", gamma=0.1, settings={"optimizer.beta1": 0.0}).fit("1k")


def test_a_batch_that_was_larger_than_the_data_goes_on(tmp_path: Path) -> None:
    settings = {"training.batch": 64}
    few = ellipse()[:50]
    assert trainer(tmp_path / "run", few, settings).fit("200").recipe.training.batch < 50
    assert trainer(tmp_path / "run", few, settings).fit("200").report["images"] >= 400


def test_pictures_with_classes_and_a_loss_of_ones_own(tmp_path: Path) -> None:
    class Maker(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classes, self.layer = nn.Embedding(2, LATENT), nn.Linear(LATENT, 256)

        def forward(self, latent: Tensor, label: Tensor) -> Tensor:
            return self.layer(latent * self.classes(label)).tanh().view(-1, 1, 16, 16)

    class Judge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(256, 2)

        def forward(self, images: Tensor, label: Tensor) -> Tensor:
            return self.layer(images.flatten(1)).gather(1, label[:, None])

    squared = Loss(
        lambda real, fake: ((real - fake - 1) ** 2).mean(), lambda real, fake: ((fake - real) ** 2).mean(), True, "mine"
    )
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16), dtype=np.uint8)
    game = gandem.NoiseGame(Maker(), Judge(), LATENT, loss=squared, penalty=PENALTIES["none"])
    run = gandem.Trainer(game, (images, np.arange(80) % 2), tmp_path / "run", settings={"training.batch": 16}).fit(
        "320"
    )
    assert run.recipe.game.loss == "own" and run.recipe.game.penalty == "none"
    assert run.sample(3, where={"label": 1}).shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("players", "words"),
    [
        ((generator(3), discriminator()), "shape \\(2, 3\\)"),
        ((nn.Linear(7, 2), discriminator()), "the generator cannot be called with \\(2, 4\\)"),
        ((generator(), discriminator(5)), "the discriminator cannot be called"),
        ((generator(), nn.Linear(2, 3)), "logits of shape \\(2, 3\\)"),
        ((generator().requires_grad_(False), discriminator()), "the generator has nothing to learn"),
    ],
)
def test_modules_that_do_not_fit(players: tuple[nn.Module, nn.Module], words: str, tmp_path: Path) -> None:
    with pytest.raises(GandemError, match=words) as caught:
        gandem.Trainer(gandem.NoiseGame(*players, LATENT), ellipse(), tmp_path / "run").fit("1k")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("budget", ["500", "1s"])
@pytest.mark.parametrize(
    "options",
    [{"augmentation": 0.5}, {"penalty": "consistency"}, {"penalty": Penalty("mine", term=consistency)}],
)
def test_what_is_for_pictures_is_refused_in_one_line(options: dict[str, Any], budget: str, tmp_path: Path) -> None:
    with pytest.raises(GandemError, match="for pictures") as caught:
        trainer(tmp_path / "run", **options).fit(budget)
    assert "\n" not in str(caught.value)


class Pairs(nn.Module):
    """One logit for every two samples."""

    packing = 2

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.judge = discriminator(inputs)

    def forward(self, samples: Tensor) -> Tensor:
        return self.judge(samples.reshape(len(samples) // 2, -1))


def test_a_critic_of_packs(tmp_path: Path) -> None:
    def training(batch: int, out: str) -> gandem.Trainer:
        game = gandem.NoiseGame(generator(), Pairs(4), LATENT)
        return gandem.Trainer(game, ellipse(), tmp_path / out, settings={"training.batch": batch})

    run = training(32, "run").fit("1k")
    assert run.recipe.network.packing == 2 and run.sample(3).shape == (3, 2)
    assert training(32, "run").fit("1k").report["images"] >= 2000
    with pytest.raises(GandemError, match="multiple of 8, not 12"):
        training(12, "none").fit("1k")
    game = gandem.NoiseGame(generator(), Pairs(2), LATENT)
    with pytest.raises(GandemError, match="the discriminator cannot be called with \\(4, 2\\)"):
        gandem.Trainer(game, ellipse(), tmp_path / "none", settings=SMALL).fit("1k")


def test_likelihood_and_opening_are_written_down(tmp_path: Path) -> None:
    class Knows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(LATENT, 2)

        def forward(self, latent: Tensor) -> Tensor:
            return self.layer(latent)

        def log_likelihood(self, samples: Tensor) -> Tensor:
            return -(samples - self.layer.bias).square().sum(1)

    def training(**options: float) -> gandem.Trainer:
        game = gandem.NoiseGame(Knows(), discriminator(), LATENT, **options)
        return gandem.Trainer(game, ellipse(), tmp_path / "run", settings=SMALL)

    run = training(likelihood=0.7, opening=0.25).fit("1k")
    assert (run.recipe.game.likelihood, run.recipe.game.opening) == (0.7, 0.25)
    with pytest.raises(GandemError, match=r"game\.likelihood = 0\.7, not 0\.0"):
        training().fit("1k")
    recipe = run.path / "recipe.yaml"  # as runs have it that were made before this was said
    said = recipe.read_text()
    assert "likelihood: 0.7" in said and "opening: 0.25" in said
    recipe.write_text(said.replace("likelihood: 0.7", "likelihood: auto").replace("opening: 0.25", "opening: auto"))
    assert training(likelihood=0.7, opening=0.25).fit("1k").report["images"] >= 2000


def test_what_the_game_decides_is_not_set_twice(tmp_path: Path) -> None:
    game = gandem.NoiseGame(generator(), discriminator(), LATENT)
    with pytest.raises(GandemError, match=r"game\.loss"):
        gandem.Trainer(game, ellipse(), tmp_path / "run", settings={"game.loss": "hinge"})
    with pytest.raises(GandemError, match="Did you mean 'hinge'"):
        gandem.NoiseGame(generator(), discriminator(), loss="hing")
    with pytest.raises(GandemError, match="alone"):
        gandem.train(ellipse(), tmp_path / "run", settings={"network.kind": "own"}, budget="1k")


def test_layers_that_share_their_weights(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = (
                nn.Linear(LATENT, LATENT),
                nn.Linear(LATENT, LATENT),
                nn.Linear(LATENT, 2),
            )
            self.second.weight = self.first.weight

        def forward(self, latent: Tensor) -> Tensor:
            return self.last(self.second(self.first(latent).relu()).relu())

    game = gandem.NoiseGame(Tied(), discriminator(), LATENT)
    run = gandem.Trainer(game, ellipse(), tmp_path / "run", settings=SMALL).fit("320")
    again = gandem.open_run(run.path, generator=Tied()).generator()
    assert again.first.weight is again.second.weight and torch.equal(again.first.weight, run.generator().second.weight)


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_normalised_weights_stay_with_their_owner(norm: Any, tmp_path: Path) -> None:
    """Torch takes the weight of such a layer away from a class that copies share."""
    maker = nn.Sequential(norm(nn.Linear(LATENT, 8)), nn.ReLU(), nn.Linear(8, 2))
    game = gandem.NoiseGame(maker, discriminator(), LATENT)
    training = gandem.Trainer(game, ellipse(), tmp_path / "run", settings=SMALL)
    run = training.fit("320")
    assert run.sample(3).shape == (3, 2) and maker(torch.zeros(1, LATENT)).shape == (1, 2)
    assert training.fit("320").report["images"] >= 640


def test_networks_that_cannot_be_kept_are_refused_in_a_line(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"count": 1}

        def set_extra_state(self, state: Any) -> None: ...

    uncopied = nn.Sequential(nn.utils.weight_norm(nn.Linear(LATENT, 8)), nn.Linear(8, 2))
    for maker, said in (
        (nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2)), "lazy"),
        (nn.Sequential(Extra(LATENT, 2)), "_extra_state"),
        (uncopied, "parametrizations"),
    ):
        with pytest.raises(GandemError, match=said):
            game = gandem.NoiseGame(maker, discriminator(), LATENT)
            gandem.Trainer(game, ellipse(), tmp_path / "run", settings=SMALL).fit("320")


def test_networks_without_products_play(tmp_path: Path) -> None:
    """The Dirac GAN (Mescheder et al. 2018): a point and a slope, whose operations nobody counts."""

    class Point(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.ones(2))

        def forward(self, latent: Tensor) -> Tensor:
            return self.place + 0 * latent[:, :2]

    class Slope(Point):
        def forward(self, samples: Tensor) -> Tensor:
            return (self.place * samples).sum(1)

    for number, budget in enumerate(("640", "1s")):
        game = gandem.NoiseGame(Point(), Slope(), LATENT)
        assert gandem.Trainer(game, ellipse(), tmp_path / str(number), settings=SMALL).fit(budget).sample(2).any()


def test_finite_differences_measure_no_dropout() -> None:
    layers = [nn.Linear(2, 16), nn.Dropout(0.3), nn.Linear(16, 1)]
    with pytest.raises(GandemError, match="penalty r1"):
        gandem.NoiseGame(generator(), nn.Sequential(*layers), LATENT, penalty="r1_finite")
    layers[1].eval()
    gandem.NoiseGame(generator(), nn.Sequential(*layers), LATENT, penalty="r1_finite")
