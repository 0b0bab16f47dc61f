"""The game in the plane: shapes, what is said of them, and the animation."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gandem
from gandem import cli
from gandem.errors import RecipeError, SourceError
from gandem.game.noise_game import NoiseGame
from gandem.judge.figure import Z
from gandem.training.budget import Budget
from gandem.uses.play import play, summary
from gandem.uses.play.pictures import SIDE, frame
from gandem.uses.play.playing import SHOWN, Points, judged, learn_shape, reverse_kl
from gandem.uses.play.shapes import SHAPES, find_shape, picture


def points(name: str, count: int, seed: int = 0) -> torch.Tensor:
    return find_shape(name).draw(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_fill_the_plane_and_are_the_same_again(name: str) -> None:
    drawn = points(name, 2000)
    assert drawn.shape == (2000, 2) and drawn.dtype == torch.float32
    assert 0.9 < drawn.abs().max() < 1.2
    assert drawn.equal(points(name, 2000)) and not drawn.equal(points(name, 2000, seed=1))


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_other_real_points_find_every_mode(name: str, modes: int) -> None:
    """Within three deviations lie 1 - exp(-9 / 2) of a round normal distribution."""
    shape = find_shape(name)
    figures = judged(shape, points(name, 2500), points(name, 2500, seed=1))
    assert figures["modes"].value == modes
    assert figures["high quality"].value == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert figures["coverage"].value > 0.9 and figures["precision"].value > 0.9
    assert figures["reverse KL"].low < (modes - 1) / 5000 < figures["reverse KL"].high


def test_one_mode_is_called_one_mode() -> None:
    shape = find_shape("ring")
    assert shape.centres is not None
    figures = judged(shape, shape.centres[:1].repeat(500, 1), points("ring", 500))
    assert (figures["modes"].value, figures["high quality"].value) == (1, 1)
    assert figures["coverage"].value < 0.2
    assert figures["reverse KL"].value == pytest.approx(math.log(8))


def test_reverse_kl_is_what_is_missing_to_the_largest_entropy() -> None:
    counts = [10, 30, 0, 60]
    entropy = -sum(count / 100 * math.log(count / 100) for count in counts if count)
    found = reverse_kl(torch.tensor(counts))
    assert found.value == pytest.approx(math.log(4) - entropy)
    assert found.low < found.value < found.high and found.n == 100
    assert reverse_kl(torch.tensor([7, 7, 7])).value == pytest.approx(0, abs=1e-12)
    assert reverse_kl(torch.zeros(3)).value == math.inf


def test_reverse_kl_of_equal_modes_varies_as_its_interval_says() -> None:
    rng = torch.Generator().manual_seed(0)
    draws = [torch.bincount(torch.randint(25, (2500,), generator=rng), minlength=25) for _ in range(200)]
    values = torch.tensor([reverse_kl(draw).value for draw in draws], dtype=torch.float64)
    assert values.mean() == pytest.approx(24 / 5000, rel=0.1)
    errors = [(figure.high - figure.value) / Z for figure in map(reverse_kl, draws)]
    assert 1 < sum(errors) / len(errors) / float(values.std()) < 2  # both orders are in it, here the second is all


def test_a_picture_is_as_dense_as_it_is_dark(tmp_path: Path) -> None:
    pixels = np.full((100, 200, 4), 255, dtype=np.uint8)
    pixels[10:20, 20:40, :3] = 0  # near the top left corner
    pixels[60:90, 100:190] = 0  # transparent: white
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    drawn = picture(tmp_path / "spot.png").draw(1000, torch.Generator().manual_seed(0))
    (left, top), (right, bottom) = drawn.amin(0).tolist(), drawn.amax(0).tolist()
    assert (left, right) == (pytest.approx(-0.8, abs=0.02), pytest.approx(-0.6, abs=0.02))
    assert (top, bottom) == (pytest.approx(0.3, abs=0.02), pytest.approx(0.4, abs=0.02))


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"--seed {seed}"):
        gandem.play("ring", tmp_path / "x.gif", seed=seed)


def test_a_penalty_of_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--penalty consistency: not known"):
        play("ring", tmp_path / "x.gif", penalty="consistency")


def test_what_is_no_shape_is_refused(tmp_path: Path) -> None:
    Image.new("L", (20, 20), "white").save(tmp_path / "white.png")
    (tmp_path / "words.png").write_text("words")
    for shape, words in (
        ("rng", "ring"),
        (str(tmp_path / "white.png"), "white"),
        (str(tmp_path / "words.png"), "read"),
    ):
        with pytest.raises(SourceError, match=words):
            play(shape, tmp_path / "x.gif", budget="1k")
    for options, words in (
        ({"loss": "hing"}, "hinge"),
        ({"penalty": "r3"}, "not known"),
        ({"budget": "soon"}, "10m"),
        ({"clip": -0.1}, "--clip -0.1: a number from 0 on"),
        ({"gamma": math.nan}, "--gamma nan"),
    ):
        with pytest.raises(RecipeError, match=words):
            play("ring", tmp_path / "x.gif", **options)
    with pytest.raises(RecipeError, match="gif"):
        play("ring", tmp_path / "x.mp4", budget="1k")
    assert not (tmp_path / "x.gif").exists()


def test_a_game_is_played_drawn_and_told(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    facts = play("two-moons", tmp_path / "a.gif", budget="3k", watch=lambda event: told.append(dict(event)))
    assert facts["steps"] == 24 and facts["figures"]["precision"]["n"] == 2500
    assert [event["event"] for event in told] == ["playing"] * 24 + ["played"]
    assert "points lie in the shape" in str(told[-1]["text"])
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 24 and animation.height > SIDE  # type: ignore[attr-defined]
    play("two-moons", tmp_path / "b.gif", budget="3k")
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_weights_are_clipped_and_penalties_weighed_as_they_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    games: list[NoiseGame] = []

    def made(*players: object, **options: object) -> NoiseGame:
        games.append(NoiseGame(*players, **options))
        return games[-1]

    monkeypatch.setattr("gandem.uses.play.playing.NoiseGame", made)
    budget = Budget(images=500)
    learn_shape(find_shape("ring"), budget, loss="wasserstein", penalty="none", clip=0.05)
    assert max(float(weight.abs().max()) for weight in games[0].discriminator.parameters()) < 0.0501
    for penalty, gamma, ends in (
        ("r1", None, (1, 0.001)),
        ("gradient_penalty", None, (2, 2)),
        ("dragan", 20.0, (20, 20)),
        ("r1_r2", 5.0, (5, 0.005)),
        ("r1_r2", 0.0, (0, 0)),
    ):
        learn_shape(find_shape("ring"), budget, penalty=penalty, gamma=gamma)
        assert [games[-1].gamma(progress) for progress in (0.0, 1.0)] == pytest.approx(ends)


def test_it_finds_every_mode_of_the_ring_in_seconds() -> None:
    played = learn_shape(find_shape("ring"), Budget(images=40_000))
    first, last = played.moments[0].made, played.moments[-1].made
    real = Points(played.shape, SHOWN, seed=5).points
    assert torch.cdist(last, real).min(1).values.median() < 0.1 * torch.cdist(first, real).min(1).values.median()
    assert played.figures["modes"].value == 8 and played.figures["high quality"].value > 0.2
    assert summary(played).startswith("8 of 8 modes") and "reverse KL 0." in summary(played)


def test_numbers_that_are_not_finite_are_still_drawn() -> None:
    played = learn_shape(find_shape("ring"), Budget(images=1_000), loss="wasserstein", penalty="none")
    nowhere = torch.full((2500, 2), math.nan)
    figures = judged(played.shape, nowhere, points("ring", 2500))
    assert {name: figure.value for name, figure in figures.items()} == dict.fromkeys(figures, 0.0) | {
        "reverse KL": math.inf
    }
    moment = played.moments[-1]
    moment.made[:10] = math.nan
    moment.losses["generator/adversarial"] = math.inf
    data = io.BytesIO()
    frame(played, len(played.moments) - 1, "ring").save(data, "PNG")
    assert data.getbuffer().nbytes > 1000


def test_the_command_tells_and_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.gif"
    arguments = ["play", "--shape", "grid", "--budget", "1k", "--out", str(out)]
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert "of 25 modes" in told and f"wrote {out}" in told
    before = out.read_bytes()
    assert cli.main(arguments) == 2 and "--force" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert cli.main([*arguments, "--force", "--json", "--clip", "0.1", "--penalty", "r1", "--gamma", "2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["steps"], facts["clip"], facts["gamma"]) == (8, 0.1, 2)
    for wrong in ("--clip", "--gamma"):
        assert cli.main([*arguments, "--force", wrong, "-1"]) == 2
        told = capsys.readouterr().err
        assert f"{wrong} -1: a number from 0 on" in told and told.count("\n") == 1
