"""A fair race: the same data, seeds and budget for several recipes, one training after the other on this machine."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from gandem import api, strict_json
from gandem.comparison.arms import AS_THEY_ARE, Arm, of_arm, parse_arms, standing, table
from gandem.comparison.picture import draw
from gandem.domains import domain_of
from gandem.domains.given import Given, Opened, opened, path_of
from gandem.errors import GandemError, Interrupted, RecipeError, RunError, StorageError
from gandem.preparation import decide, read
from gandem.recipe import Recipe, load_recipe
from gandem.recording import Watch, free_path
from gandem.run import open_run, read_json, write_json
from gandem.session import AT_THE_END
from gandem.training.budget import Budget, parse_budget
from gandem.training.checkpoint import storing, write_atomic

METRICS = {"kernel_distance": "Kernel distance", "frechet_distance": "Frechet distance"}
"""What arms are compared by; the picture shows the first."""
STRIP = 12
"""Samples of each arm in the picture."""
QUESTION = "comparison.json"
SINGLE = {"checkpoint", "finished", "pace"}
"""Events of a training that are of no interest in a race."""


def compare(
    recipes: Sequence[str],
    source: Given,
    out: str | Path | None = None,
    *,
    seeds: int = 3,
    budget: str = "5m",
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train every recipe with seeds 0, 1, ... and say which is better, as in comparison.json.

    recipes: two or more, each a preset or a file, with changes after a plus: "default+game.loss=hinge". The others are
    compared with the first. settings: keys that are changed in all of them. budget: of each training. out: folder of
    the runs, comparison.json, comparison.md and comparison.png; if it holds the same comparison, of the same data and
    with the same recipes, that is continued. All are judged by the samples that are held out, the same for all.
    Raises GandemError, before anything is trained or written where a recipe is wrong; a training that fails, whatever
    the reason, is told as such and does not end the race, but a disk that takes nothing more does.
    """
    arms = parse_arms(recipes)
    if seeds < 1:
        raise RecipeError(f"--seeds {seeds}: at least one")
    parse_budget(budget)
    common, given = dict(settings or {}), opened(source)
    folder = Path(out) if out is not None else free_path("comparison")
    _not_in_the_way(folder)
    tell = watch or (lambda event: None)
    question = {
        **_checked(arms, given, common, device, tell),
        "source": str(path.resolve() if (path := path_of(given)) else given),
        "seeds": seeds,
        "budget": budget,
        "settings": json.loads(strict_json.dumps(common)),
    }
    _open(folder, question)
    names = [arm.name for arm in arms]
    found = []
    order = [(seed, arm) for seed in range(seeds) for arm in arms]  # so that a change of the machine meets all alike
    try:
        for number, (seed, arm) in enumerate(order):
            tell({"event": "comparing", "arm": arm.name, "seed": seed, "number": number + 1, "of": len(order)})
            listen = _without(SINGLE | ({"data"} if number else set()), tell)
            found.append(_train(arm, seed, folder, given, budget, common, device, listen))
    except BaseException:
        if not any(folder.glob("*/seed*")):  # nothing was begun, so nothing stands in the way of another try
            for arm in arms:
                shutil.rmtree(folder / arm.folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                (folder / QUESTION).unlink()
                folder.rmdir()
        raise
    found.sort(key=lambda row: names.index(row["arm"]))
    result = {**question, "trainings": found, "standing": {metric: standing(found, metric) for metric in METRICS}}
    write_json(folder / QUESTION, result)
    page = table(found, METRICS)
    write_atomic(folder / "comparison.md", page.encode())
    write_atomic(folder / "comparison.png", _png(_picture(found, arms, folder)))
    tell({"event": "compared", "path": str(folder), "text": [page, f"the picture: {folder / 'comparison.png'}"]})
    return result


def _checked(arms: Sequence[Arm], given: Opened, common: dict[str, Any], device: str, watch: Watch) -> dict[str, Any]:
    """See that every arm can be trained, and return its whole recipe by its name, and the fingerprint of the data.

    A plan for a single sample builds networks and holds the options against one another, and measures nothing.
    """
    domain, recipes = domain_of(given), dict[str, Recipe]()
    for arm in arms:
        with of_arm(arm.name):
            recipes[arm.name] = load_recipe(arm.recipe, common | arm.settings)
    # They read the same, but for the ways in which samples are shown, which change no network.
    whole = read(domain, given, recipes[arms[0].name].replace(AS_THEY_ARE), watch)
    for name, recipe in recipes.items():
        with of_arm(name):
            decide(domain, whole, recipe, Budget(images=1), device, None)
    states = {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()}
    return {"recipes": states, "data": whole.fingerprint}


def _not_in_the_way(folder: Path) -> None:
    """Raise RunError where something other than a comparison lies in the folder."""
    if (folder / QUESTION).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is in the way: choose another --out")


def _open(folder: Path, question: dict[str, Any]) -> None:
    """Make the folder of a comparison, or see that it holds the same one; the data may lie elsewhere now."""
    path = folder / QUESTION
    if path.is_file():
        known = read_json(path)
        differs = [key for key, value in question.items() if key != "source" and known.get(key) != value]
        if differs:
            raise RunError(f"{folder} holds a comparison with other {', '.join(differs)}; choose another --out")
        return
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(path, question)


def _train(
    arm: Arm,
    seed: int,
    folder: Path,
    source: Opened,
    budget: str,
    common: dict[str, Any],
    device: str,
    watch: Watch,
) -> dict[str, Any]:
    """Train once, or take up what was begun, and return the row of this training."""
    path = _place(folder, arm, seed)
    failed = None
    try:
        if (path / "recipe.yaml").is_file():
            run = open_run(path)
            if run.report["status"] != "finished":
                run = api.resume(path, source=source, device=device, watch=watch)
        else:
            choices = common | arm.settings
            run = api.train(
                source, path, recipe=arm.recipe, settings=choices, budget=budget, seed=seed, device=device, watch=watch
            )
        if "evaluation" not in run.report:  # stopped while it was judged
            api.evaluate(path, source, count=AT_THE_END, watch=watch)
    except Interrupted as stopped:
        again = f"the same command with --out {folder}"
        raise Interrupted(stopped.signal, stopped.images, path, again) from None
    except StorageError as error:
        again = f"the trainings are kept: the same command with --out {folder} goes on"
        raise StorageError(f"{error}; {again}") from error
    except OSError:  # the disk, that of the other trainings too
        raise
    except Exception as error:  # a full memory, perhaps, where the other arms have room
        failed = _line(error)
        watch({"event": "lost", "arm": arm.name, "seed": seed, "reason": failed})
    return _row(arm, seed, _report(path), failed)


def _line(error: Exception) -> str:
    """Return an error in one line; only those that are not gandem's own need their kind, and are long."""
    if isinstance(error, GandemError):
        return str(error)
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")


def _report(path: Path) -> dict[str, Any]:
    """Return the report of a training; one that failed may not have come so far."""
    try:
        return open_run(path).report
    except GandemError:
        return {"images": 0, "seconds": 0.0}


def _row(arm: Arm, seed: int, report: dict[str, Any], failed: str | None) -> dict[str, Any]:
    row = {"arm": arm.name, "seed": seed, "images": report["images"], "seconds": report["seconds"]}
    evaluation = {} if failed else report.get("evaluation", {})
    rows = evaluation.get("judgement", {}).get("rows", {})
    row |= {"failed": failed} | {metric: rows.get("generated", {}).get(metric) for metric in METRICS}
    verdict = f"failed: {failed}" if failed else evaluation["verdict"]["verdict"]
    return row | {"real": rows.get("real", {}).get(next(iter(METRICS))), "verdict": verdict}


def _picture(found: Sequence[dict[str, Any]], arms: Sequence[Arm], folder: Path) -> Image:
    strips = {}
    for arm in arms:
        try:
            run = open_run(_place(folder, arm, 0))
            strips[arm.name] = run.domain.preview(run.sample_array(STRIP)[0], run.codec, STRIP)
        except GandemError:
            continue  # it failed, which its row says
    metric, title = next(iter(METRICS.items()))
    return draw(found, strips, metric, title)


def _without(names: set[str], watch: Watch) -> Watch:
    """Return a watch that does not hear of events of these names."""
    return lambda event: None if event["event"] in names else watch(event)


def _place(folder: Path, arm: Arm, seed: int) -> Path:
    return folder / arm.folder / f"seed{seed}"


def _png(picture: Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
