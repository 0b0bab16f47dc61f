"""Recipes: read whole, written whole, and every wrong key or value named."""

from pathlib import Path

import pytest

from gandem.errors import RecipeError
from gandem.recipe import Recipe, known_keys, load_recipe, parse_settings, presets


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_survive_yaml(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    (tmp_path / "copy.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "copy.yaml") == recipe


def test_changed_keys_survive_yaml(tmp_path: Path) -> None:
    recipe = load_recipe("default", {"data.size": (28, 40), "network.width": 32, "game.gamma": 1e-3})
    (tmp_path / "copy.yaml").write_text(recipe.to_yaml())
    again = load_recipe(tmp_path / "copy.yaml")
    assert again == recipe and again.data.size == (28, 40) and again.network.width == 32


def test_the_default_recipe_is_the_defaults() -> None:
    assert load_recipe() == Recipe()


@pytest.mark.parametrize(
    ("key", "meant"),
    [("game.gama", "game.gamma"), ("gmae.gamma", "game.gamma"), ("optimizer.learning", "Known"), ("game", "Known")],
)
def test_an_unknown_key_names_the_nearest(key: str, meant: str) -> None:
    with pytest.raises(RecipeError, match="unknown recipe key") as error:
        load_recipe("default", {key: 1})
    assert meant in str(error.value) or any(known in str(error.value) for known in known_keys())
    assert "\n" not in str(error.value)


def test_an_unknown_key_in_a_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("game: {gama: 1}")
    with pytest.raises(RecipeError, match=r"'game\.gama'.*Did you mean 'game\.gamma'"):
        load_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize("text", ["- 1\n- 2", "a: [", "\tx", "just words"])
def test_a_file_that_is_no_recipe(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RecipeError, match="not a YAML recipe"):
        load_recipe(tmp_path / "bad.yaml")


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'default'"):
        load_recipe("defalt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.size", 4),
        ("data.size", (28, 1000)),
        ("data.size", "large"),
        ("data.channels", 5),
        ("network.width", 4),
        ("network.width", "wide"),
        ("network.blocks", 0),
        ("game.gamma", -1),
        ("game.gamma", float("nan")),
        ("game.penalty_fraction", 0),
        ("game.augment", 1.5),
        ("optimizer.lr", 0),
        ("optimizer.lr", float("inf")),
        ("optimizer.beta2", 1),
        ("training.batch", 1),
        ("training.batch", None),
        ("training.seed", -1),
        ("training.precision", "fp16"),
    ],
)
def test_out_of_range(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=key.replace(".", r"\.")) as error:
        load_recipe("default", {key: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2E4", 2e4),
        ("-1.5e+2", -150.0),
        ("3", 3),
        ("0.5", 0.5),
        ("auto", "auto"),
        ("[28, 40]", [28, 40]),
        ("true", True),
    ],
)
def test_settings_are_read_as_people_write_them(text: str, value: object) -> None:
    (result,) = parse_settings([f"a.b={text}"]).values()
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize("pair", ["game.gamma", "=1", "game.gamma=["])
def test_settings_that_are_none(pair: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        parse_settings([pair])


@pytest.mark.parametrize(
    ("given", "gammas"),
    [
        ({}, (2.0, 0.5)),
        ({"game.gamma": 8.0}, (8.0, 2.0)),
        ({"game.gamma_end": 0.1}, (2.0, 0.1)),
        ({"game.gamma": 3.0, "game.gamma_end": 3.0}, (3.0, 3.0)),
        ({"game.gamma": 0.0}, (0.0, 0.0)),
    ],
)
def test_the_end_of_gamma_follows_its_start(given: dict[str, float], gammas: tuple[float, float]) -> None:
    game = load_recipe("default", given).with_gamma(2.0, 0.5).game
    assert (game.gamma, game.gamma_end) == gammas
