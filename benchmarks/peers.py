"""The judge's numbers beside those of the libraries that people cite: prdc and torch-fidelity, on the same features.

    pip install --no-deps --target peers prdc torch-fidelity scikit-learn scipy joblib cloudpickle narwhals \\
        threadpoolctl
    PYTHONPATH=peers python benchmarks/peers.py

torch-fidelity asks for torchvision to look at images; only its formulas are wanted here, so the rest is left unloaded.
Leaves benchmarks/results/peers.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

import numpy as np
import torch
from measured import save_result

from gandem.judge.coverage import coverage, density, precision, recall
from gandem.judge.distances import frechet_value, kernel_value

ROWS, WIDTH = 1000, 64


def fidelity(*names: str) -> list[Any]:
    """Load files of torch-fidelity's formulas without the networks around them."""
    found = importlib.util.find_spec("torch_fidelity")
    if found is None or not found.submodule_search_locations:
        sys.exit("torch-fidelity is not installed; see the top of this file")
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["torch_fidelity"] = package
    utils = types.ModuleType("torch_fidelity.utils")
    for unused in (
        "create_feature_extractor",
        "extract_featuresdict_from_input_id_cached",
        "get_cacheable_input_name",
        "resolve_feature_extractor",
        "resolve_feature_layer_for_metric",
        "cache_lookup_one_recompute_on_miss",
    ):
        setattr(utils, unused, None)
    sys.modules["torch_fidelity.utils"] = utils
    return [importlib.import_module(f"torch_fidelity.{name}") for name in names]


def main() -> None:
    """Compute every number twice on the same rows, and print how far apart they are."""
    from prdc import compute_prdc  # type: ignore[import-not-found]

    rng = np.random.default_rng(0)
    real = rng.standard_normal((ROWS, WIDTH)) @ rng.standard_normal((WIDTH, WIDTH)) / 8
    made = 1.1 * rng.standard_normal((ROWS, WIDTH)) @ rng.standard_normal((WIDTH, WIDTH)) / 8 + 0.2
    x, y = torch.from_numpy(made), torch.from_numpy(real)

    ours = {
        "frechet_distance": frechet_value(x, y),
        "kernel_distance": kernel_value(x, y),
        "precision": precision(x, y, 5).value,
        "recall": recall(x, y, 5).value,
        "density": density(x, y, 5).value,
        "coverage": coverage(x, y, 5).value,
    }
    theirs = dict(compute_prdc(real_features=real, fake_features=made, nearest_k=5))
    fid, kid = fidelity("metric_fid", "metric_kid")
    statistics = [{"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)} for rows in (made, real)]
    theirs["frechet_distance"] = next(iter(fid.fid_statistics_to_metric(*statistics, verbose=False).values()))
    kernels = [(left @ right.T / WIDTH + 1) ** 3 for left, right in ((made, made), (made, real), (real, real))]
    theirs["kernel_distance"] = kid.mmd2(*kernels)
    figures = {
        name: {"ours": value, "theirs": float(theirs[name]), "relative": abs(value / float(theirs[name]) - 1)}
        for name, value in ours.items()
    }
    for name, row in figures.items():
        print(f"{name:20}{row['ours']:18.12f}{row['theirs']:18.12f}{row['relative']:10.1e}")
    save_result("peers", {"rows": ROWS, "width": WIDTH, "numbers": figures})


if __name__ == "__main__":
    main()
