"""Settings that say something of pictures, and nothing of other data."""

from __future__ import annotations

from gandem.errors import RecipeError
from gandem.recipe import Recipe


def refuse_settings_of_pictures(recipe: Recipe, what: str) -> None:
    """Raise RecipeError where a recipe sets what only pictures have; what: "this is a table", say."""
    wrong = {
        "data.size": recipe.data.size != "auto",
        "data.channels": recipe.data.channels != "auto",
        "data.mirror": recipe.data.mirror,
        "data.turn": recipe.data.turn,
        "game.augment": recipe.game.augment not in ("auto", 0.0),
        "game.penalty": recipe.game.penalty == "consistency",
    }
    for key in (key for key, is_set in wrong.items() if is_set):
        section, _, name = key.partition(".")
        value = getattr(getattr(recipe, section), name)
        raise RecipeError(f"{key} = {value!r} is for pictures, and {what}: leave it out")
