"""The Python face of the commands: train, resume, plan_training, inspect_source."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from gandem.domains import DOMAINS
from gandem.domains.domain import Dataset, Domain
from gandem.errors import GandemError, Interrupted, RecipeError, RunError, TrainingError
from gandem.holdout import automatic_share
from gandem.recipe import Recipe, load_recipe
from gandem.recording import RunRecorder, Silence, Watch, free_path
from gandem.referee.referee import Referee
from gandem.run import Run, create_run, locked, model_card, must_be_new, open_run, other_networks, write_json
from gandem.training import checkpoint
from gandem.training.budget import Budget, parse_budget
from gandem.training.build import build_game, check, group_size
from gandem.training.checkpoint import write_atomic
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.training.plan import Plan, judging_pace, make_plan
from gandem.uses.evaluate import COUNT, Evaluation, evaluate_run
from gandem.uses.evaluate import evaluate as judged
from gandem.uses.examine import Examiner
from gandem.uses.examine import cost as judging_cost
from gandem.uses.report import write_report

AT_THE_END = 2_000
"""Samples that are judged when a training ends; `evaluate` takes more."""
ENOUGH_HELD_OUT = 100
"""Held-out samples by which it shows whether the discriminator knows its training samples by heart."""


def train(
    source: str | Path,
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

    out: the run folder to make (default: a free name under runs/). settings: dotted recipe keys, {"game.gamma": 1.0}.
    budget: "90s", "10m", "2h" or images, "200k". With images, equal calls on one machine give equal bytes.
    watch: receives every event as a dict while it happens, as in events.jsonl.
    Raises GandemError with one line that says what to do; Interrupted after SIGINT or SIGTERM, with a checkpoint saved.
    """
    path = Path(out) if out is not None else free_path(source)
    must_be_new(path)
    prepared = _prepare(source, recipe, settings, budget, seed, device, precision, watch)
    engine = Engine(device, prepared.plan.precision)
    if engine.is_main:
        create_run(path, prepared.recipe, prepared.dataset.codec.to_dict(), prepared.data(source), prepared.report())
    engine.wait()
    return _play(
        open_run(path),
        prepared.dataset,
        prepared.held_out,
        prepared.budget,
        engine,
        watch,
        prepared.plan.measured_seconds,
    )


def resume(
    path: str | Path,
    *,
    budget: str | None = None,
    source: str | Path | None = None,
    device: str = "auto",
    watch: Watch | None = None,
) -> Run:
    """Continue a run to the end of its budget, or give it more with budget="+10m" or "+50k".

    source: where the data lie now, if they were moved.
    A finished run without more budget is returned as it is. The continued training is the uninterrupted one to the bit,
    on the same machine, when the budget counts images.
    """
    run = open_run(path)
    report = run.report
    allowed = Budget(**report["budget"])
    if report["status"] == "finished" and budget is None:
        if watch:
            more = "+50k" if allowed.images else "+10m"
            watch({"event": "finished_already", "images": report["images"], "path": str(run.path), "more": more})
        return run
    if budget is not None:
        allowed = allowed.extended(budget)
    source = run.data_report["path"] if source is None else source
    try:
        dataset = _read(run.domain, source, run.recipe, watch)
    except GandemError as error:
        raise RunError(f"{run.path} cannot be resumed without its data: {error}; moved? add --source") from error
    if dataset.fingerprint != run.data_report["fingerprint"]:
        raise RunError(f"{source} has changed since {run.path} was trained on it; put the old data back or train anew")
    training, held_out = dataset.split(float(run.recipe.data.held_out))
    return _play(run, training, held_out, allowed, Engine(device, run.recipe.training.precision), watch)


def plan_training(
    source: str | Path,
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
    prepared = _prepare(source, recipe, settings, budget, seed, device, precision, watch)
    plan = {**prepared.plan.to_dict(), "text": prepared.plan.lines()}
    return {"data": prepared.dataset.report, "recipe": prepared.recipe.model_dump(mode="json"), "plan": plan}


def inspect_source(
    source: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the data report of a source: counts, sizes, what would be skipped and why, duplicates."""
    domain = _domain()
    return domain.read(source, load_recipe("default", settings).data, None, progress).report


def evaluate(
    made: str | Path,
    real: str | Path | None = None,
    *,
    out: str | Path | None = None,
    count: int = COUNT,
    features: str | Path | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Judge a run, or samples as files, and return the verdict with every number behind it, as in report.json.

    made: a run folder, or samples in any form that `train` reads. real: real samples; for a run, None takes those that
    were held out of its training. out: an .html page to write; a run has its own, report.html, and keeps the facts too.
    count: samples to judge at most. features: weights to look with, .onnx or .safetensors.
    Raises GandemError with one line that says what to do.
    """
    if count < 1:
        raise RecipeError(f"count = {count}: ask for at least one sample")
    if out is not None and Path(out).is_dir():
        raise RunError(f"{out} is a folder; name the page itself, as in {Path(out) / 'page.html'}")
    tell = _teller(watch)
    found = judged(
        made, real, count=count, features=features, seed=seed, tell=lambda doing: tell("judging", doing=doing)
    )
    is_run = (Path(made) / "recipe.yaml").is_file()
    return _keep(found, open_run(made) if is_run else None, None if out is None else Path(out), str(made), tell)


def _keep(
    found: Evaluation, run: Run | None, page: Path | None, title: str, tell: Callable[..., None]
) -> dict[str, Any]:
    """Write an evaluation where it belongs and tell the verdict."""
    if run is not None:
        page = page or run.path / "report.html"
        write_json(run.path / "report.json", {**run.report, "evaluation": found.facts})
        write_atomic(run.path / "README.md", model_card(run).encode())
    if page is not None:
        write_report(found, page, title, run)
    where = [] if page is None else [f"the page: {page}"]
    tell("verdict", **found.verdict.to_dict(), path=page and str(page), text=[*found.verdict.lines(), *where])
    return found.facts


class _Prepared:
    """A training that is about to start: data read, plan made, every "auto" decided."""

    def __init__(self, dataset: Dataset, held_out: Dataset, recipe: Recipe, plan: Plan, budget: Budget) -> None:
        self.dataset, self.held_out, self.recipe, self.plan, self.budget = dataset, held_out, recipe, plan, budget

    def data(self, source: str | Path) -> dict[str, Any]:
        """Return what data.json holds."""
        return {
            **self.dataset.report,
            "path": str(Path(source).resolve()),
            "fingerprint": self.dataset.fingerprint,
        }

    def report(self) -> dict[str, Any]:
        """Return what report.json holds before the first step."""
        packages = {name: metadata.version(name) for name in ("gandem", "torch", "numpy", "pillow", "safetensors")}
        return {
            "schema_version": 1,
            "status": "training",
            "images": 0,
            "seconds": 0.0,
            "budget": self.budget.to_dict(),
            "plan": self.plan.to_dict(),
            "dataset_size": len(self.dataset),
            "held_out_size": self.held_out.count,
            "versions": {**packages, "python": platform.python_version()},
            "command": sys.argv,
        }


def _prepare(
    source: str | Path,
    recipe: str | Path,
    settings: dict[str, Any] | None,
    budget: str,
    seed: int | None,
    device: str,
    precision: str | None,
    watch: Watch | None,
) -> _Prepared:
    choices = dict(settings or {})
    choices |= {} if seed is None else {"training.seed": seed}
    choices |= {} if precision is None else {"training.precision": precision}
    wanted = load_recipe(recipe, choices)
    allowed = parse_budget(budget)
    domain = _domain()
    tell = _teller(watch)
    whole = _read(domain, source, wanted, watch)
    share = automatic_share(whole.count) if wanted.data.held_out == "auto" else float(wanted.data.held_out)
    dataset, held_out = whole.split(share)
    if not dataset.count:
        raise RecipeError(f"data.held_out = {share:g} leaves nothing of {whole.count} images to train on")
    tell("data", report=whole.report, text=[*domain.lines(whole.report), f"held out to judge by: {held_out.count:,}"])
    processes = Engine(device).processes
    multiple = processes * group_size(wanted)
    wanted = wanted.model_copy(update={"network": domain.decided(dataset.spec, wanted.network)})
    check(wanted, max(multiple, 2) if wanted.training.batch == "auto" else int(wanted.training.batch), processes)
    plan = make_plan(
        lambda width: build_game(domain, dataset, wanted, width), dataset, wanted, allowed, device, tell, multiple
    )
    check(wanted, plan.batch, processes)  # there may be less data than for what was asked
    tell("plan", **plan.to_dict(), text=plan.lines())
    augment: float | str = wanted.game.augment
    if augment == "auto":
        augment = "adaptive" if held_out.count >= ENOUGH_HELD_OUT else 1.0
    optimizer = wanted.optimizer.decided(plan.width)
    decided = wanted.replace(
        {
            "data.size": tuple(dataset.spec.shape[1:]),
            "data.channels": dataset.spec.shape[0],
            "data.labels": "auto" if dataset.spec.num_labels else "none",
            "data.held_out": share,
            "network.width": plan.width,
            "optimizer.lr": optimizer.lr,
            "optimizer.lr_end": optimizer.lr_end,
            "game.growth": wanted.game.growth if len(plan.growth) > 1 else 0.0,
            "game.augment": augment,
            "training.batch": plan.batch,
            "training.precision": plan.precision,
        }
    )
    every, samples = judging_pace(plan, _judging_cost(domain, dataset, decided))
    referee = {"every": every, "samples": samples}
    decided = decided.replace(
        {f"referee.{key}": value for key, value in referee.items() if getattr(decided.referee, key) == "auto"}
    )
    tell("pace", every=decided.referee.every, samples=decided.referee.samples)
    return _Prepared(dataset, held_out, decided, plan, allowed)


def _play(
    run: Run,
    dataset: Dataset,
    held_out: Dataset,
    budget: Budget,
    engine: Engine,
    watch: Watch | None,
    seconds_spent: float = 0.0,
) -> Run:
    game = build_game(run.domain, dataset, run.recipe, int(run.recipe.network.width))
    options = run.recipe
    watched = options.referee
    trainer = Loop(
        game,
        dataset,
        engine,
        budget=budget,
        optimizer=options.optimizer,
        training=options.training,
        referee=Referee(
            int(watched.every),
            stop=watched.stop,
            adapt=options.game.augment == "adaptive",
            grown=game.growth.stages[-1].begin,
        ),
        examine=_examiner(run, dataset, held_out) if watched.every and engine.is_main else lambda trainer: {},
    )
    trainer.seconds = seconds_spent
    with locked(run.path) if engine.is_main else nullcontext():
        events_bytes, damaged = 0, tuple[str, ...]()
        if checkpoint.paths(run.checkpoints):
            saved = checkpoint.newest(run.checkpoints)
            with other_networks(run.path):
                trainer.load_state(saved.tensors, saved.numbers)
            damaged = saved.damaged
            if engine.is_main:
                checkpoint.discard_newer(run.checkpoints, saved.path)
            events_bytes = saved.numbers["events_bytes"]
        recorder = RunRecorder(run, watch, events_bytes, trainer.images) if engine.is_main else Silence(run)
        try:
            if trainer.images:
                recorder.event("resumed", images=trainer.images, seconds=trainer.seconds, damaged=damaged)
            recorder.report("training", trainer)
            trainer.fit(recorder)
            recorder.report("finished", trainer)
            recorder.finish()
            facts = {"images": trainer.images, "seconds": trainer.seconds, "path": str(run.path)}
            recorder.event("finished", **facts)
            if engine.is_main:
                found = evaluate_run(
                    run, dataset, held_out, count=AT_THE_END, tell=lambda doing: recorder.event("judging", doing=doing)
                )
                _keep(found, run, None, run.path.name, recorder.event)
        except Interrupted as stopped:
            recorder.report("interrupted", trainer)
            recorder.event("interrupted", signal=stopped.signal, images=stopped.images)
            raise Interrupted(stopped.signal, stopped.images, run.path) from None
        except TrainingError as error:
            recorder.report("failed", trainer)
            recorder.event("failed", reason=str(error), images=trainer.images)
            raise
        finally:
            recorder.close()
    engine.wait()
    return run


def _examiner(run: Run, dataset: Dataset, held_out: Dataset) -> Examiner:
    recipe = run.recipe
    features, samples = run.domain.features(None), int(recipe.referee.samples)
    return Examiner(features, dataset, held_out, recipe.network.latent, samples, recipe.training.seed)


def _judging_cost(domain: Domain, dataset: Dataset, recipe: Recipe) -> float:
    generator = build_game(domain, dataset, recipe, int(recipe.network.width)).generator
    return judging_cost(domain.features(None), dataset, generator, recipe.network.latent)


def _read(domain: Domain, source: str | Path, recipe: Recipe, watch: Watch | None) -> Dataset:
    tell = _teller(watch)
    return domain.read(
        source, recipe.data, None, lambda what, done, total: tell("reading", what=what, done=done, total=total)
    )


def _domain() -> Domain:
    return DOMAINS["images"]


def _teller(watch: Watch | None) -> Callable[..., None]:
    """Return a function tell(event, **facts) for what happens before there is a run to write it into."""

    def tell(name: str, **facts: Any) -> None:
        if watch:
            watch({"event": name, **facts})

    return tell
