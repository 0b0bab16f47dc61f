"""The commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gandem.cli.app import (
    DATA,
    Budget,
    Device,
    Devices,
    Fit,
    Json,
    Mirror,
    Precision,
    Quiet,
    Settings,
    Size,
    Turn,
    app,
    is_main,
    report,
)
from gandem.console import Console
from gandem.launch import spread
from gandem.options import read_settings


@app.command
def train(
    source: str,
    /,
    *,
    out: Path | None = None,
    budget: Budget = "10m",
    recipe: str = "default",
    set_: Settings = None,
    seed: int | None = None,
    size: Size = None,
    fit: Fit = None,
    mirror: Mirror = None,
    turn: Turn = None,
    device: Device = "auto",
    devices: Devices = 1,
    precision: Precision = None,
    stop: Annotated[bool, Parameter(negative="--no-stop", show_default=False)] = True,
    dry_run: Annotated[bool, Parameter(show_default=False)] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a generator on SOURCE.

    Args:
        source: A folder of pictures (its subfolders are classes), a .zip or .tar of one, .npz, .parquet, MNIST files; a
            table as .csv, .tsv, .parquet, .arrow, .xlsx, .sqlite or file.sqlite::table.
        out: The run folder to make; it must not exist.
        budget: How long: 90s, 10m, 2h, or how many images to show: 200k, 1M.
        recipe: A recipe by name, or a YAML file.
        set_: Change one key of the recipe, as in --set game.gamma=1; may be repeated.
        seed: Seed of everything random.
        size: Side in pixels, or HEIGHTxWIDTH; otherwise taken from the pictures.
        fit: How pictures of another shape become that size.
        mirror: Show every picture mirrored too; wrong for writing and digits.
        turn: Show every picture turned by quarters too, for what has no up and down: cells, tissue, land from above.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: Processes to train with, one per GPU.
        precision: Otherwise the recipe's: what is faster, measured here, or said by the hardware if the budget counts
            images; for tables fp32.
        stop: End early when the quality no longer rises; --no-stop plays to the end of the budget, unless a trouble
            ends it.
        dry_run: Print the plan and stop.
        json: Print nothing but one JSON object at the end.
        quiet: Print nothing but errors.
    """
    spread(devices)
    settings = read_settings(set_, size, fit, mirror=mirror, turn=turn) | ({} if stop else {"referee.stop": False})
    import gandem

    console = Console(silent=json or quiet or not is_main())
    choices: dict[str, Any] = {
        "recipe": recipe,
        "settings": settings,
        "budget": budget,
        "seed": seed,
        "device": device,
        "precision": precision,
        "watch": console,
    }
    with console:
        if dry_run:
            result = gandem.plan_training(source, out, **choices)
        else:
            result = gandem.train(source, out, **choices).summary()
    report(result, json)


@app.command
def resume(
    run: Path,
    /,
    *,
    budget: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    source: str | None = None,
    device: Device = "auto",
    devices: Devices = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a run that was stopped, or give a finished one more.

    Args:
        run: The run folder.
        budget: More of it for a finished run: +10m or +50k.
        source: Where the data lie now, if they were moved.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: Processes to train with, one per GPU.
        json: Print nothing but one JSON object at the end.
        quiet: Print nothing but errors.
    """
    spread(devices)
    import gandem

    console = Console(silent=json or quiet or not is_main())
    with console:
        result = gandem.resume(run, budget=budget, source=source, device=device, watch=console).summary()
    report(result, json)


@app.command
def compare(
    *recipes: str,
    data: Annotated[str, Parameter(group=DATA)],
    out: Path | None = None,
    seeds: int = 3,
    budget: Budget = "5m",
    set_: Settings = None,
    size: Size = None,
    fit: Fit = None,
    mirror: Mirror = None,
    turn: Turn = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Race RECIPES on the same data for the same time, and say which is better than the first.

    Args:
        recipes: Two or more: a recipe by name or a YAML file, and what differs after a plus, as in
            default default+game.loss=hinge default+game.gamma=4+game.augment=0.
        data: What all of them learn from, as for train.
        out: Folder of the runs and the result; the same command again continues what is unfinished.
        seeds: Trainings of each; fewer than three can hardly tell a difference from luck.
        budget: Of each training: 90s, 10m, 2h, or how many images to show: 200k.
        set_: Change one key in all of them, as in --set game.growth=0; may be repeated.
        size: Side in pixels, or HEIGHTxWIDTH; otherwise taken from the pictures.
        fit: How pictures of another shape become that size.
        mirror: Show every picture mirrored too; wrong for writing and digits.
        turn: Show every picture turned by quarters too, for what has no up and down: cells, tissue, land from above.
        device: auto, cpu, cuda, cuda:1 or mps.
        json: Print nothing but one JSON object at the end.
        quiet: Print nothing but errors.
    """
    settings = read_settings(set_, size, fit, mirror=mirror, turn=turn)
    import gandem

    with Console(silent=json or quiet) as console:
        result = gandem.compare(
            recipes, data, out, seeds=seeds, budget=budget, settings=settings, device=device, watch=console
        )
    report(result, json)
