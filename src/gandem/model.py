"""One file that samples: weights, codec and recipe of a run, without its data, checkpoints and history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gandem.domains import DOMAINS
from gandem.errors import RunError
from gandem.recipe import OWN, Recipe
from gandem.run import Run
from gandem.training import checkpoint
from gandem.training.checkpoint import write_atomic

FORMAT = "gandem model 1"
SUFFIX = ".safetensors"


class Model(Run):
    """A run that is one file: it samples and is judged by data that are given, and cannot be trained on."""

    def __init__(self, path: Path) -> None:
        self.path, self.own, self.ema = path, None, None
        try:
            with safe_open(path, "pt") as file:
                found = file.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} is not a readable model file: {error}") from error
        if found.get("format") != FORMAT:
            raise RunError(f"{path} is not a model that gandem export has written")
        self.recipe = Recipe.model_validate(yaml.safe_load(found["recipe"]))
        self.data_report: dict[str, Any] = {"path": None, "source": found["source"]}
        self._report: dict[str, Any] = json.loads(found["report"])
        state = json.loads(found["codec"])
        self.domain = DOMAINS[state["domain"]]
        self.codec = self.domain.codec(state)
        self.spec = self.codec.spec

    @property
    def report(self) -> dict[str, Any]:
        """Status, plan and budget of the training, and its verdict."""
        return self._report

    def _built(self) -> nn.Module:
        generator, _ = self.domain.networks(self.spec, self.recipe.network)
        return generator

    def _averaged(self) -> dict[str, Tensor]:
        return safetensors.torch.load_file(self.path)


def write_model(run: Run, out: Path) -> dict[str, Any]:
    """Write the averaged generator of a run with all that it takes to sample, as one file; raises RunError.

    No sample of the data is in it: of pictures only their size and classes, of tables the names of categories, counts
    and quantiles.
    """
    if run.recipe.network.kind == OWN:
        raise RunError(f"{run.path} was trained with networks of your own: only your code can build them again")
    report = run.report
    kept = {key: report[key] for key in ("status", "images", "seconds", "budget", "plan") if key in report}
    verdict = report.get("evaluation", {}).get("verdict")
    metadata = {
        "format": FORMAT,
        "recipe": run.recipe.to_yaml(),
        "codec": json.dumps(run.codec.to_dict(), separators=(",", ":")),
        "source": Path(str(run.data_report.get("source"))).name,
        "report": json.dumps(kept | ({"evaluation": {"verdict": verdict}} if verdict else {})),
    }
    weights = checkpoint.weights(run.generator())
    data = safetensors.torch.save({name: value.contiguous() for name, value in weights.items()}, metadata)
    write_atomic(out, data)
    return {"path": str(out), "format": FORMAT, "bytes": len(data)}
