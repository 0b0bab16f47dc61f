"""Export: the generator as one file, for gandem, or in a form that runs without gandem and without PyTorch."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from gandem.errors import ExportError, RunError, first_line, optional
from gandem.recipe import OWN
from gandem.run import FORMAT, SUFFIX, Run
from gandem.training import checkpoint
from gandem.training.checkpoint import storing, write_atomic

TOLERANCE = 1e-4
"""Largest allowed difference of a pixel, in a range of [-1, 1]."""

BATCHES = (1, 5)
"""Sizes at which the export is compared; neither is the size it was traced with."""


def export(run: Run, out: Path) -> dict[str, Any]:
    """Write a run's generator as .onnx or as .safetensors; see `export_onnx` and `write_model`."""
    if out.is_dir():
        raise ExportError(f"--out {out} is a folder; name the file itself")
    return write_model(run, out) if out.suffix.lower() == SUFFIX else export_onnx(run, out)


def write_model(run: Run, out: Path) -> dict[str, Any]:
    """Write the averaged generator of a run with all that it takes to sample, as one file; raises RunError.

    No sample of the data is in it: of pictures only their size and classes, of tables the names of categories, counts
    and quantiles.
    """
    if run.recipe.network.kind == OWN:
        raise RunError(f"{run.path} was trained with networks of your own: only your code can build them again")
    report = run.report
    kept = {key: report[key] for key in ("status", "images", "seconds", "budget", "plan") if key in report}
    verdict = report.get("evaluation", {}).get("verdict") if run.ema is None else None  # it is of another average
    metadata = {
        "format": FORMAT,
        "recipe": run.recipe.to_yaml(),
        "codec": json.dumps(run.codec.to_dict(), separators=(",", ":")),
        "source": Path(str(run.data_report.get("source"))).name,
        "fingerprint": str(run.data_report["fingerprint"]),
        "report": json.dumps(kept | ({"evaluation": {"verdict": verdict}} if verdict else {})),
    }
    weights = checkpoint.weights(run.generator())
    data = safetensors.torch.save({name: value.contiguous() for name, value in weights.items()}, metadata)
    write_atomic(out, data)
    return {"path": str(out), "format": FORMAT, "bytes": len(data)}


def export_onnx(run: Run, out: Path, check: int = 8) -> dict[str, Any]:
    """Write the averaged generator as one ONNX file and compare it with the live one before it is called done.

    Inputs: latent float32 (n, latent) from a standard normal and, when the run is conditional, label int64 (n,).
    Output: images float32 (n, channels, height, width), nominally in [-1, 1]. n is free.

    check: how many random draws are compared at each of the batch sizes in `BATCHES`, in onnxruntime on the CPU.

    Raises DependencyError without the export extra, and ExportError, leaving nothing behind, when any pixel differs by
    more than `TOLERANCE`.
    """
    for library in ("onnx", "onnxscript", "onnxruntime"):
        optional(library, "export")
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise ExportError(f"--out {out}: give it a name that ends in .onnx")
    generator = run.generator().cpu()
    latent, labels = run.recipe.network.latent, run.spec.num_labels
    partial = out.with_name(f".{out.name}.partial")
    with storing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    try:
        _write(generator, _draw(3, latent, labels, seed=0), partial)
        difference = max(
            _difference(generator, partial, [_draw(n, latent, labels, seed) for seed in range(1, check + 1)])
            for n in BATCHES
        )
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{out}: the exported generator differs from the run by {difference:.1e}, more than {TOLERANCE:.0e}; "
                "nothing was written"
            )
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return {
        "path": str(out),
        "format": "onnx",
        "bytes": out.stat().st_size,
        "max_difference": difference,
        "compared": check * sum(BATCHES),
        "inputs": {"latent": ["n", latent]} | ({"label": ["n"]} if labels else {}),
        "output": {"images": ["n", *run.spec.shape]},
        "labels": list(run.spec.labels),
    }


def _draw(count: int, latent: int, labels: int, seed: int) -> dict[str, Tensor]:
    """Draw random inputs by name."""
    rng = torch.Generator().manual_seed(seed)
    inputs = {"latent": torch.randn(count, latent, generator=rng)}
    if labels:
        inputs["label"] = torch.randint(labels, (count,), generator=rng)
    return inputs


class _Called(nn.Module):
    """Any generator, however its own inputs are named and taken."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        """Pass everything on."""
        made: Tensor = self.generator(*inputs)
        return made


def _write(generator: nn.Module, example: dict[str, Tensor], path: Path) -> None:
    """Trace the generator and write it, weights included, as one file."""
    batch = torch.export.Dim("n")
    arguments = tuple(example.values())
    shapes = (({0: batch},) * len(arguments),)
    try:
        with _quiet():
            torch.onnx.export(
                _Called(generator),
                arguments,
                path,
                input_names=list(example),
                output_names=["images"],
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = first_line(error)
        raise ExportError(f"this generator cannot be written as ONNX: {reason}") from error


def _difference(generator: nn.Module, path: Path, draws: list[dict[str, Tensor]]) -> float:
    """Return the largest absolute difference between the file and the live generator; NaN counts as infinite."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for inputs in draws:
        try:
            (images,) = session.run(["images"], {name: value.numpy() for name, value in inputs.items()})
        except Exception as error:  # onnxruntime's own exceptions share no root
            count = len(inputs["latent"])
            raise ExportError(f"the exported generator does not run on {count} latents: {error}") from error
        with torch.no_grad():
            expected = generator(*inputs.values())
        if images.shape != tuple(expected.shape):
            raise ExportError(
                f"the exported generator makes {images.shape} where the run makes {tuple(expected.shape)}"
            )
        difference = (torch.from_numpy(images) - expected).abs().nan_to_num(nan=float("inf")).max()
        largest = max(largest, float(difference))
    return largest


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, warnings and log off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
