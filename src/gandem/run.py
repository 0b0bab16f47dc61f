"""The run: a folder that says everything about a training. Copied to another machine, it samples there.

RUN/
  recipe.yaml      every choice, "auto" replaced by what was decided
  data.json        the data report, the source and its fingerprint
  codec/           how tensors become pictures
  checkpoints/     the newest two and the best: players, averages, optimisers, counters
  averages/        snapshots of which averages of other lengths are made, where training.ema_snapshots asks for them
  events.jsonl     everything that happened, a JSON object a line
  tensorboard/     the same curves for TensorBoard
  samples/         grids by images shown, and training.gif
  report.json      plan, budget, status, cost, and the evaluation once it is judged
  report.html      the evaluation as a page
  README.md        model card
"""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gandem import latents, strict_json
from gandem.conditions import Told, Where, conditions
from gandem.domains import DOMAINS
from gandem.errors import RecipeError, RunError
from gandem.game.regularisation import fold, normalise
from gandem.judge.figure import shown
from gandem.recipe import OWN, Recipe, load_recipe, validated
from gandem.training import averages, checkpoint
from gandem.training.checkpoint import storing, write_atomic

FORMAT, SUFFIX = "gandem model 1", ".safetensors"
"""Of a model file: weights, codec and recipe of a run, without its data, checkpoints and history."""


class Run:
    """An open run folder. Use `open_run`.

    own: the generator of a run that was trained with networks of the user's own; its weights do not matter.
    ema: see `open_run`.
    """

    def __init__(self, path: Path, own: nn.Module | None = None, ema: float | None = None) -> None:
        self.path = path
        self.own = own
        self.ema = ema
        self.recipe: Recipe = load_recipe(path / "recipe.yaml")
        self.data_report: dict[str, Any] = read_json(path / "data.json")
        state = read_json(path / "codec" / "codec.json")
        if state.get("domain") not in DOMAINS:
            raise RunError(f"{path} holds data of a kind {state.get('domain')!r} that this gandem does not know")
        self.domain = DOMAINS[state["domain"]]
        self.codec = self.domain.codec(state)
        self.spec = self.codec.spec

    @property
    def report(self) -> dict[str, Any]:
        """Plan, budget, status and cost, as in report.json."""
        return read_json(self.path / "report.json")

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def averages(self) -> Path:
        """The folder of snapshots of averages, where there are any."""
        return self.path / "averages"

    def generator(self) -> nn.Module:
        """Return the averaged generator, fp32, in eval mode: the best by the referee, else the newest.

        In a run that was opened with another `ema`, that average at the last snapshot.
        """
        generator = copy.deepcopy(self.own) if self.own is not None else self._built()
        weights = self._averaged() if self.ema is None else averages.reconstruct(self.averages, self.ema)
        with other_networks(self):
            checkpoint.load_weights(generator, weights)
        if self.own is None:  # or its owner's would lose the weight that the copy shares a class with
            fold(generator)
        return generator.eval().requires_grad_(False)

    def _built(self) -> nn.Module:
        if self.recipe.network.kind == OWN:
            raise RunError(
                f"{self.path} was trained with networks of your own, which only your code can build: in Python, "
                "gandem.open_run(path, generator=your_generator)"
            )
        generator, _ = self.domain.networks(self.spec, self.recipe.network)
        if self.recipe.network.weight_norm:
            normalise(generator)
        return generator

    def sample(self, count: int, where: Where | None = None, seed: int = 0, truncation: float = 1.0) -> Any:
        """Return `count` new samples: pictures, an array of the form that the training was given, or a frame of polars.

        where: {"label": 3} or {"label": "Bag"} for one class only; classes in turn when None. Of tables any columns
        that were learnt or that one of those determines: {"sex": "F", "age": (60, None)}, or as on the command line,
        ["sex=F", "age>=60"].
        truncation: factor on the latents; below 1 more typical and less varied.
        """
        samples, _ = self.sample_array(count, where, seed, truncation)
        return self.codec.given(samples)

    def sample_array(
        self, count: int, where: Where | None = None, seed: int = 0, truncation: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (decoded samples, labels (count,) int64 or None); as `sample`, for images uint8 (count, H, W, C)."""
        return self.made(self.told(count, where, seed), count, seed, truncation)

    def told(self, count: int, where: Where | None = None, seed: int = 0) -> Told:
        """Return what the generator is told so that `count` samples meet `where`."""
        if count < 1:
            raise RecipeError(f"count = {count}: ask for at least one sample")
        if not 0 <= seed < 2**63:
            raise RecipeError(f"seed = {seed}: must lie between 0 and 2^63")
        return self.domain.told(self.codec, self.generator, conditions(where), count, seed)

    def made(
        self, told: Told, count: int, seed: int = 0, truncation: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what the generator makes of what it is told, as `sample_array` does."""
        if not 0 <= truncation <= 4:
            raise RecipeError(f"truncation = {truncation}: must lie between 0 and 4")
        generator = self.generator()
        noise = latents.draw(count, self.recipe.network.latent, seed, truncation)
        labels = told.inputs.numpy() if told.inputs is not None and self.spec.num_labels else None
        return self.domain.made(self.codec, generator, noise, told), labels

    def summary(self) -> dict[str, Any]:
        """Return what matters about the run, in plain JSON types."""
        report = self.report
        saved = checkpoint.paths(self.checkpoints)
        verdict = report.get("evaluation", {}).get("verdict", {})
        return {
            "path": str(self.path),
            "status": report["status"],
            "images": report.get("images", 0),
            "seconds": report.get("seconds", 0.0),
            "verdict": verdict.get("verdict"),
            "advice": verdict.get("advice"),
            "budget": report["budget"],
            "plan": report["plan"],
            "shape": list(self.spec.shape),
            "labels": list(self.spec.labels),
            "checkpoints": [path.name for path in saved],
            "source": self.data_report.get("source"),
        }

    def _averaged(self) -> dict[str, Tensor]:
        """Return the state of the averaged generator in the best checkpoint."""
        saved = checkpoint.best(self.checkpoints, only={"generator_ema"})
        for problem in saved.damaged:
            warnings.warn(f"{problem}; using {saved.path} instead", stacklevel=3)
        return saved.tensors["generator_ema"]


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
        self.recipe = validated(yaml.safe_load(found["recipe"]), str(path))
        self.data_report: dict[str, Any] = {
            "path": None,
            "fingerprint": found.get("fingerprint"),
            "source": found["source"],
        }
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


def open_run(path: str | Path, generator: nn.Module | None = None, ema: float | None = None) -> Run:
    """Open a run folder, or a model file that was exported from one; raises RunError when it is none or is damaged.

    generator: a module like the one that was trained, for runs of `gandem.Trainer`; its weights come from the run.
    ema: width of the generator's average, as a part of the training, 0.02 to 0.25, where snapshots were kept
    (training.ema_snapshots); None for the average that the training made.
    """
    path = Path(path)
    if path.is_file():
        if generator is not None or ema is not None:
            raise RunError(f"{path} is a model file, which has one generator: open it without generator= and ema=")
        return Model(path)
    if not path.is_dir():
        raise RunError(f"there is no run folder {path}")
    if not (path / "recipe.yaml").is_file():
        raise RunError(f"{path} is not a run folder: it has no recipe.yaml")
    run = Run(path, generator, ema)
    if generator is not None and run.recipe.network.kind != OWN:
        raise RunError(f"{path} was trained with gandem's own networks: open it without generator=")
    return run


def is_run(path: Path) -> bool:
    """Whether a path is a run folder, or looks like a model file."""
    return (path / "recipe.yaml").is_file() or (path.suffix.lower() == SUFFIX and path.is_file())


def create_run(path: Path, recipe: Recipe, codec: dict[str, Any], data: dict[str, Any], report: dict[str, Any]) -> Run:
    """Make the folder of a training that is about to start, all at once."""
    path = path.absolute()
    aside = path.with_name(f".{path.name}.new")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        for folder in ("codec", "checkpoints", "samples"):
            (aside / folder).mkdir(parents=True)
        (aside / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        write_json(aside / "codec" / "codec.json", codec)
        write_json(aside / "data.json", data)
        write_json(aside / "report.json", report)
        aside.rename(path)
    return Run(path)


def must_be_new(path: Path) -> None:
    """Raise RunError when there is something where a new run should go, or its name is none for every library."""
    if str(path) != encoded(str(path)).decode():
        raise RunError(f"{str(path)!r} is no name in UTF-8: choose another --out")
    if (path / "recipe.yaml").is_file():
        raise RunError(f"{path} is a run already; continue it with: gandem resume {path}, or choose another --out")
    if path.exists() and (not path.is_dir() or any(path.iterdir()) or path.resolve() == Path.cwd()):
        raise RunError(f"{path} is in the way: choose another --out")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a second process from working in the same folder (where the system has file locks)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with storing(path):
        file = (path / ".lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{path} is in use by another process; wait for it or stop it") from error
        yield


@contextlib.contextmanager
def other_networks(run: Run) -> Iterator[None]:
    """Turn weights that do not fit the networks of a run into one line."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, KeyError) as error:
        whose = "by another version of gandem, with other networks: use that version, or train anew"
        if run.recipe.network.kind == OWN:
            whose = "with other networks than the given ones: give those, or train anew"
        raise RunError(f"{run.path} was trained {whose}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the run's JSON files; raises RunError when it is missing or damaged."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); copy the run folder again") from error
    if not isinstance(state, dict):
        raise RunError(f"{path} cannot be read (no JSON object); copy the run folder again")
    return state


def write_json(path: Path, state: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_atomic(path, encoded(strict_json.dumps(state, indent=1) + "\n"))


def encoded(text: str) -> bytes:
    """Return UTF-8; what is none in the name of a file becomes the escape that JSON has for it."""
    return text.encode(errors="backslashreplace")


def _quality(report: dict[str, Any]) -> str:
    if "evaluation" not in report:
        return "**not judged**"
    found = report["evaluation"]
    because = "; ".join(f"{name} {shown(figure)}" for name, figure in found["verdict"]["because"].items())
    return f"**{found['verdict']['verdict']}** ({because}), {found['counts']['generated']:,} samples judged"


def model_card(run: Run) -> str:
    """Return the README.md of a run."""
    report, data = run.report, run.data_report
    plan = report["plan"]
    classes = ", ".join(run.spec.labels) if run.spec.labels else "none"
    width = f"width {plan['width']}, " if plan["width"] else ""
    use = f"gandem sample {run.path.name} --count 64 --out {run.domain.sample_file}"
    if run.recipe.network.kind == OWN:
        use = f"gandem.open_run({run.path.name!r}, generator=your_generator).sample(64)"
    front = yaml.safe_dump({"library_name": "gandem", "tags": ["gan", run.domain.name]}, sort_keys=False)
    lines = [
        f"---\n{front}---",
        f"# {run.path.name}",
        "",
        f"A generator of samples of shape {tuple(run.spec.shape)}, trained by gandem {report['versions']['gandem']}.",
        "",
        f"- data: {data['source']}, {report['dataset_size']:,} samples; classes: {classes}",
        f"- training: {report['images']:,} {run.domain.noun} in {report['seconds'] / 60:.1f} minutes on "
        f"{plan['device']} ({plan['precision']}), seed {run.recipe.training.seed}; status: {report['status']}",
        f"- networks: {run.recipe.network.kind}, {width}generator "
        f"{plan['parameters_generator'] / 1e6:.2f} M parameters",
        f"- quality: {_quality(report)}. Look at the samples; nothing here says that they are private.",
        "",
        "![samples](samples/latest.png)",
        "",
        "```",
        use,
        "```",
        "",
    ]
    return "\n".join(lines)
