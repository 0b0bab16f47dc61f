"""The Python face of the commands: train, resume, plan_training, inspect_source, evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gandem.domains import domain_of
from gandem.domains.domain import Dataset
from gandem.domains.given import Given, Opened, opened, path_of
from gandem.errors import GandemError, RecipeError, RunError
from gandem.preparation import Prepared, prepare, read
from gandem.recipe import OWN, load_recipe
from gandem.recording import Watch, free_path
from gandem.run import Run, create_run, is_run, must_be_new, open_run
from gandem.session import keep, play, teller
from gandem.training.budget import Budget, parse_budget
from gandem.training.build import build_game
from gandem.training.checkpoint import storing
from gandem.training.engine import Engine
from gandem.uses.evaluate import COUNT
from gandem.uses.evaluate import evaluate as judged


def train(
    source: Given,
    out: str | Path | None = None,
    *,
    recipe: str | Path = "default",
    settings: dict[str, Any] | None = None,
    budget: str = "10m",
    seed: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train a generator on `source` and return the finished run.

    source: a path; an array (n, ...) of pictures or of any other numbers, as NumPy and PyTorch have them; (array,
    labels (n,)); or a data frame of pandas, polars or whatever speaks Arrow. What is trained on an array samples
    arrays, what is trained on a table frames of polars, also where that was a frame of pandas.
    out: the run folder to make (default: a free name under runs/). settings: dotted recipe keys, {"game.gamma": 1.0}.
    budget: "90s", "10m", "2h" or images, "200k". With images, equal calls on one machine give equal bytes,
    on a GPU but for rounding.
    watch: receives every event as a dict while it happens, as in events.jsonl.
    Raises GandemError with one line that says what to do; Interrupted after SIGINT or SIGTERM, with a checkpoint saved.
    """
    given = opened(source)
    path = Path(out) if out is not None else free_path(path_of(given) or "array")
    must_be_new(path)
    prepared = _prepare(given, recipe, settings, budget, seed, device, precision, watch)
    engine = Engine(device, prepared.plan.precision)
    if engine.is_main:
        create_run(path, prepared.recipe, prepared.dataset.codec.to_dict(), prepared.data(given), prepared.report())
    engine.wait()
    run, dataset = open_run(path), prepared.dataset
    game = build_game(run.domain, dataset, run.recipe, int(run.recipe.network.width))
    spent = prepared.plan.measured_seconds
    return play(run, game, dataset, prepared.held_out, prepared.budget, engine, watch, spent)


def resume(
    path: str | Path,
    *,
    budget: str | None = None,
    source: Given = None,
    device: str = "auto",
    watch: Watch | None = None,
) -> Run:
    """Continue a run to the end of its budget, or give it more with budget="+10m" or "+50k".

    source: where the data lie now, if they were moved; the data again if they were an array.
    A finished run without more budget is returned as it is, or judged if it was killed before it was. The continued
    training is the uninterrupted one to the bit, on the same machine, when the budget counts images; on a GPU but for
    rounding.
    """
    run = open_run(path)
    if run.recipe.network.kind == OWN:
        raise RunError(
            f"{run.path} was trained with networks of your own, which only your code can build: continue it in Python, "
            "with gandem.Trainer(game, data, out=...).fit()"
        )
    report = run.report
    allowed = Budget(**report["budget"])
    if report["status"] == "finished" and "evaluation" in report and budget is None:  # else it was killed while judged
        if watch:
            more = "+50k" if allowed.images else "+10m"
            watch({"event": "finished_already", "images": report["images"], "path": str(run.path), "more": more})
        return run
    if budget is not None:
        allowed = allowed.extended(budget)
    training, held_out = data_of(run, source, watch).split(float(run.recipe.data.held_out), run.codec)
    game = build_game(run.domain, training, run.recipe, int(run.recipe.network.width))
    return play(run, game, training, held_out, allowed, Engine(device, run.recipe.training.precision), watch)


def data_of(run: Run, source: Given, watch: Watch | None = None) -> Dataset:
    """Return the data that a run was trained on, from `source` or where they were; raises RunError if they differ."""
    source = run.data_report["path"] if source is None else source
    if source is None:
        raise RunError(
            f"{run.path} was trained on data in memory: give them again, as gandem.resume(path, source=data)"
        )
    try:
        given = opened(source)
        if (domain := domain_of(given)) is not run.domain:
            raise RunError(f"it holds {domain.noun}, not {run.domain.noun}")
        dataset = read(run.domain, given, run.recipe, watch)
    except GandemError as error:
        raise RunError(f"{run.path} cannot be resumed without its data: {error}; moved? add --source") from error
    if dataset.fingerprint != run.data_report["fingerprint"]:
        raise RunError(f"{given} has changed since {run.path} was trained on it; put the old data back or train anew")
    return dataset


def plan_training(
    source: Given,
    out: str | Path | None = None,
    *,
    recipe: str | Path = "default",
    settings: dict[str, Any] | None = None,
    budget: str = "10m",
    seed: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Do all that `train` does before the first step and return {"data": ..., "recipe": ..., "plan": ...}."""
    if out is not None:
        must_be_new(Path(out))
    given = opened(source)
    prepared = _prepare(given, recipe, settings, budget, seed, device, precision, watch)
    plan = {**prepared.plan.to_dict(), "text": prepared.plan.lines(domain_of(given).noun)}
    return {"data": prepared.dataset.report, "recipe": prepared.recipe.model_dump(mode="json"), "plan": plan}


def inspect_source(
    source: Given,
    *,
    settings: dict[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the data report of a source: counts, sizes, what would be skipped and why, duplicates."""
    given = opened(source)
    return domain_of(given).read(given, load_recipe("default", settings).data, None, progress).report


def evaluate(
    made: Run | Given,
    real: Given = None,
    *,
    held_out: Given = None,
    out: str | Path | None = None,
    count: int = COUNT,
    features: str | Path | None = None,
    target: str | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Judge a run, or samples as files, and return the verdict with every number behind it, as in report.json.

    made: a run, its folder, or samples in any form that `train` takes. real: real samples; for a run, None takes those
    that were held out of its training, but a model file (.safetensors) needs them. held_out: for samples whose
    generator was trained on `real`, other real ones to judge by. out: an .html page to write; a run has its own,
    report.html, and keeps the facts too (by other data, or of another average, the page alone, report-other.html).
    count: samples to judge at most. features: weights to look with, .onnx or .safetensors. target: the column of a
    table whose prediction is to be judged.
    Raises GandemError with one line that says what to do.
    """
    if count < 1:
        raise RecipeError(f"count = {count}: ask for at least one sample")
    if not 0 <= seed < 2**63:
        raise RecipeError(f"seed = {seed}: must lie between 0 and 2^63")
    if out is not None and Path(out).is_dir():
        raise RunError(f"{out} is a folder; name the page itself, as in {Path(out) / 'page.html'}")
    if out is not None:
        with storing(Path(out)):
            Path(out).absolute().parent.mkdir(parents=True, exist_ok=True)
    tell = teller(watch)
    path = made.path if isinstance(made, Run) else path_of(made)
    run = made if isinstance(made, Run) else open_run(path) if path is not None and is_run(path) else None
    found = judged(
        run or made,
        real,
        held_out=held_out,
        count=count,
        features=features,
        target=target,
        seed=seed,
        tell=lambda doing: tell("judging", doing=doing),
    )
    kept = run if run is not None and run.path.is_dir() else None  # a model file stays as it is
    return keep(found, kept, None if out is None else Path(out), str(path or "samples"), tell)


def _prepare(
    source: Opened,
    recipe: str | Path,
    settings: dict[str, Any] | None,
    budget: str,
    seed: int | None,
    device: str,
    precision: str | None,
    watch: Watch | None,
) -> Prepared:
    choices = dict(settings or {})
    choices |= {} if seed is None else {"training.seed": seed}
    choices |= {} if precision is None else {"training.precision": precision}
    return prepare(source, load_recipe(recipe, choices), parse_budget(budget), device, watch)
