"""Features of the user's own data for the judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from gandem.domains import domain_of
from gandem.domains.domain import Progress
from gandem.domains.given import Given, opened
from gandem.errors import RecipeError, SourceError
from gandem.recipe import load_recipe
from gandem.training.checkpoint import storing, write_atomic

SHARE = 0.4
"""Part of the data that is learnt from. The judge holds out at most one half, by the same order, from the other end; so
some of the data that a generator was trained on remain, as the ceiling."""
FEWEST = 500
"""Samples below which there is too little to learn from."""


def learn_features(
    source: Given,
    out: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    steps: int = 1500,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Learn features from 40 % of the data and write them to `out`, for `evaluate(..., features=out)`.

    settings: recipe keys of the section data, as in the training that is to be judged: what was learnt from is told by
    the pixels. Returns {"path", "images", "bytes"}. Raises GandemError with one line that says what to do.
    """
    out = Path(out)
    if out.suffix != ".safetensors":
        raise RecipeError(f"{out} does not end in .safetensors; features are kept in such a file")
    if steps < 1:
        raise RecipeError(f"steps = {steps}: must be 1 or more")
    with storing(out):  # found out now, and not after the learning
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out.with_name(f".{out.name}.try"), b"")
        out.with_name(f".{out.name}.try").unlink()
    given = opened(source)
    domain = domain_of(given)
    data = domain.read(given, load_recipe("default", settings).data, None, progress)
    if data.count < FEWEST:
        raise SourceError(f"{given}: {data.count} samples are too few to learn features from; give {FEWEST} or more")
    learnt, _ = data.split(1 - SHARE)
    content = domain.learn_features(learnt, steps, seed, progress)
    write_atomic(out, content)
    with safe_open(out, "pt") as file:
        told = json.loads(file.metadata()["gandem"])
    return {"path": str(out), "images": told["images"], "bytes": len(content)}
