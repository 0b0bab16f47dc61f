"""One sitting of a training: from where a run stands to the end of its budget, and its judgement."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from gandem.domains.domain import Dataset
from gandem.errors import Interrupted, TrainingError
from gandem.game.noise_game import NoiseGame
from gandem.recording import RunRecorder, Silence, Watch
from gandem.referee.referee import Referee
from gandem.run import Run, encoded, locked, model_card, other_networks, write_json
from gandem.training import checkpoint
from gandem.training.budget import Budget
from gandem.training.checkpoint import write_atomic
from gandem.training.engine import Engine
from gandem.training.loop import Loop
from gandem.uses.evaluate import Evaluation, evaluate_run
from gandem.uses.examine import Examiner
from gandem.uses.report import write_report

AT_THE_END = 2_000
"""Samples that are judged when a training ends; `evaluate` takes more."""


def play(
    run: Run,
    game: NoiseGame,
    dataset: Dataset,
    held_out: Dataset,
    budget: Budget,
    engine: Engine,
    watch: Watch | None,
    seconds_spent: float = 0.0,
) -> Run:
    """Play on from where a run stands to the end of its budget, then judge it; raises Interrupted and TrainingError."""
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
            act=watched.act,
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
            with other_networks(run):
                trainer.load_state(saved.tensors, saved.numbers)
            damaged = saved.damaged
            if engine.is_main:
                checkpoint.discard_newer(run.checkpoints, saved.path)
            events_bytes = saved.numbers["events_bytes"]
        recorder = RunRecorder(run, watch, events_bytes, trainer.images) if engine.is_main else Silence(run)
        try:
            if trainer.images:
                recorder.event(
                    "resumed", noun=run.domain.noun, images=trainer.images, seconds=trainer.seconds, damaged=damaged
                )
            recorder.report("training", trainer)
            trainer.fit(recorder)
            recorder.report("finished", trainer)
            recorder.finish()
            facts = {
                "images": trainer.images,
                "seconds": trainer.seconds,
                "path": str(run.path),
                "sample_file": run.domain.sample_file,
            }
            recorder.event("finished", **facts)
            if engine.is_main:
                found = evaluate_run(
                    run, dataset, held_out, count=AT_THE_END, tell=lambda doing: recorder.event("judging", doing=doing)
                )
                keep(found, run, None, run.path.name, recorder.event)
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
    features, samples = run.domain.features(run.codec), int(recipe.referee.samples)
    return Examiner(features, dataset, held_out, recipe.network.latent, samples, recipe.training.seed)


def keep(
    found: Evaluation, run: Run | None, page: Path | None, title: str, tell: Callable[..., None]
) -> dict[str, Any]:
    """Write an evaluation where it belongs and tell the verdict; by default in the run, if it has one.

    Of other data, or another average of the weights, the page alone is written: the run's own verdict stands.
    """
    own = run is not None and run.ema is None and "judged_by" not in found.facts
    if run is not None and page is not None:
        own = own and os.access(run.path, os.W_OK)
    elif run is not None:
        page = run.path / ("report.html" if own else "report-other.html")
    if page is not None:
        write_report(found, page, title, run)
    if run is not None and own:
        write_json(run.path / "report.json", {**run.report, "evaluation": found.facts})
        write_atomic(run.path / "README.md", encoded(model_card(run)))
    where = [] if page is None else [f"the page: {page}"]
    tell("verdict", **found.verdict.to_dict(), path=page and str(page), text=[*found.verdict.lines(), *where])
    return found.facts


def teller(watch: Watch | None) -> Callable[..., None]:
    """Return a function tell(event, **facts) for what happens before there is a run to write it into."""

    def tell(name: str, **facts: Any) -> None:
        if watch:
            watch({"event": name, **facts})

    return tell
