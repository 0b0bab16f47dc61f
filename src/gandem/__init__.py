"""gandem: bring your data; get a generator that is trained, judged and ready to use."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("gandem")

__all__ = [
    "GandemError",
    "NoiseGame",
    "Recipe",
    "Run",
    "TableGAN",
    "Trainer",
    "augment",
    "compare",
    "evaluate",
    "export_onnx",
    "impute",
    "inspect_source",
    "learn_features",
    "load_recipe",
    "open_run",
    "plan_training",
    "play",
    "resume",
    "score",
    "train",
]

if TYPE_CHECKING:
    from gandem.api import evaluate, inspect_source, plan_training, resume, train
    from gandem.augmentation import augment
    from gandem.comparison import compare
    from gandem.errors import GandemError
    from gandem.estimator import TableGAN
    from gandem.game.noise_game import NoiseGame
    from gandem.recipe import Recipe, load_recipe
    from gandem.run import Run, open_run
    from gandem.trainer import Trainer
    from gandem.uses.export import export_onnx
    from gandem.uses.learn import learn_features
    from gandem.uses.play import play
    from gandem.uses.rows import impute, score

# Imported on first use, so that `gandem --help` does not wait for torch.
_HOME = {
    "GandemError": "errors",
    "NoiseGame": "game.noise_game",
    "Recipe": "recipe",
    "Run": "run",
    "TableGAN": "estimator",
    "Trainer": "trainer",
    "augment": "augmentation",
    "compare": "comparison",
    "evaluate": "api",
    "export_onnx": "uses.export",
    "impute": "uses.rows",
    "inspect_source": "api",
    "learn_features": "uses.learn",
    "load_recipe": "recipe",
    "open_run": "run",
    "plan_training": "api",
    "play": "uses.play",
    "resume": "api",
    "score": "uses.rows",
    "train": "api",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gandem.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gandem' has no attribute {name!r}")
