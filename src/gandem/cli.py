"""The commands: parse, call the API, print. `--help` and `--version` answer without importing torch.

Exit codes: 0 done; 1 a bug in gandem; 2 something the caller can mend, said in one line; 130 and 143 stopped by
SIGINT and SIGTERM after a checkpoint.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from gandem import strict_json
from gandem.console import Console, describe
from gandem.exit_codes import explain
from gandem.launch import Relaunch, relaunch, spread
from gandem.options import must_be_free, read_condition, read_settings

app = App(
    name="gandem",
    help="Bring your data; get a generator that is trained and ready to use.",
    version=lambda: metadata.version("gandem"),
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)

DATA = Group("What to learn from")
MACHINE = Group("Machine")
OUTPUT = Group("Output")

Budget = Annotated[str, Parameter(allow_leading_hyphen=True)]
Settings = Annotated[list[str] | None, Parameter(name="--set")]
Size = Annotated[str | None, Parameter(group=DATA)]
Fit = Annotated[Literal["crop", "pad", "stretch"] | None, Parameter(group=DATA)]
Mirror = Annotated[bool | None, Parameter(group=DATA, negative="--no-mirror")]
Device = Annotated[str, Parameter(group=MACHINE)]
Devices = Annotated[int, Parameter(group=MACHINE)]
Precision = Annotated[Literal["auto", "fp32", "bf16"] | None, Parameter(group=MACHINE)]
Json = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]
Quiet = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]
Force = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]


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
        source: A folder of pictures (its subfolders are classes), a .zip or .tar of one, .npz, .parquet, MNIST files.
        out: The run folder to make; it must not exist.
        budget: How long: 90s, 10m, 2h, or how many images to show: 200k, 1M.
        recipe: A recipe by name, or a YAML file.
        set_: Change one key of the recipe, as in --set game.gamma=1; may be repeated.
        seed: Seed of everything random.
        size: Side in pixels, or HEIGHTxWIDTH; otherwise taken from the pictures.
        fit: How pictures of another shape become that size.
        mirror: Show every picture mirrored too; wrong for writing and digits.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: Processes to train with, one per GPU.
        precision: Otherwise the recipe's, which measures what is faster here.
        stop: End early when the quality no longer rises; --no-stop plays to the end of the budget.
        dry_run: Print the plan and stop.
        json: Print nothing but one JSON object at the end.
        quiet: Print nothing but errors.
    """
    spread(devices)
    settings = read_settings(set_, size, fit, mirror) | ({} if stop else {"referee.stop": False})
    import gandem

    console = Console(silent=json or quiet or not _is_main())
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
    _report(result, json)


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

    console = Console(silent=json or quiet or not _is_main())
    with console:
        result = gandem.resume(run, budget=budget, source=source, device=device, watch=console).summary()
    _report(result, json)


@app.command
def sample(
    run: Path,
    /,
    *,
    out: Path,
    count: int = 16,
    where: str | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    interpolate: int | None = None,
    frames: int = 60,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make new pictures with the generator of RUN.

    Args:
        run: The run folder.
        out: A folder for single PNGs, x.png for one grid, x.npz for arrays, x.gif for a walk (with --interpolate).
        count: How many.
        where: One class only, as label=3 or label=Bag.
        seed: Equal seeds give equal pictures.
        truncation: Below 1 more typical and less varied, above 1 the reverse.
        interpolate: Walk through so many random points instead, into x.gif.
        frames: Frames of that walk.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    condition = read_condition(where)
    import gandem
    from gandem.uses.sample import write_samples

    written = write_samples(
        gandem.open_run(run),
        out,
        count=count,
        where=condition,
        seed=seed,
        truncation=truncation,
        interpolate=interpolate,
        frames=frames,
    )
    if json:
        _report(written, json)
    else:
        print(f"wrote {out}")


@app.command
def inspect(
    path: Path,
    /,
    *,
    size: Size = None,
    fit: Fit = None,
    set_: Settings = None,
    json: Json = False,
) -> None:
    """Say what a source holds and how it would be read, or how a run went.

    Args:
        path: A source, as for train, or a run folder.
        size: Side in pixels, or HEIGHTxWIDTH; otherwise taken from the pictures.
        fit: How pictures of another shape become that size.
        set_: Change one key of the recipe, as in --set data.channels=1; may be repeated.
        json: Print one JSON object.
    """
    settings = read_settings(set_, size, fit, None)
    import gandem
    from gandem.domains import DOMAINS

    if (path / "recipe.yaml").is_file():
        report = gandem.open_run(path).summary()
        lines = describe(report)
    else:
        with Console(silent=json) as console:
            report = gandem.inspect_source(path, settings=settings, progress=console.reading)
        lines = DOMAINS["images"].lines(report) + describe({"skipped": report["skipped"]["files"]})
    if json:
        _report(report, json)
    else:
        print("\n".join(lines))


@app.command
def evaluate(
    made: Path,
    /,
    *,
    real: str | None = None,
    out: Path | None = None,
    count: int = 10_000,
    features: Path | None = None,
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say how good RUN or a set of samples is: a verdict, the numbers behind it, and a page with pictures.

    Args:
        made: A run folder, or samples in any form that train reads.
        real: Real samples; for a run its own held-out part if not given.
        out: The page to write (.html); a run has its own, report.html.
        count: How many samples to judge, if there are as many held-out real ones.
        features: Weights to look with (.onnx or .safetensors) instead of those that ship with gandem.
        seed: Seed of the samples that are drawn.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    if out is not None:
        must_be_free(out, force)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.evaluate(made, real, out=out, count=count, features=features, seed=seed, watch=console)
    _report(facts, json)


@app.command
def features(
    source: str,
    /,
    *,
    out: Path,
    steps: int = 1500,
    seed: int = 0,
    size: Size = None,
    fit: Fit = None,
    set_: Settings = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Learn features from your own data, to judge with: for data that look like nothing that others have.

    Then: gandem evaluate RUN --features FILE. What they learnt from is never scored with them.

    Args:
        source: Real data, as for train.
        out: The file to write (.safetensors).
        steps: Steps of training.
        seed: Seed of the first weights.
        size: As in the training whose run is to be judged.
        fit: As in the training whose run is to be judged.
        set_: Change one key of the recipe, as in --set data.channels=1; may be repeated.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    settings = read_settings(set_, size, fit, None)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.learn_features(source, out, settings=settings, steps=steps, seed=seed, progress=console.reading)
    if json:
        _report(facts, json)
    else:
        print(f"wrote {out}, learnt from {facts['images']:,} images; use it with gandem evaluate RUN --features {out}")


@app.command
def play(
    *,
    shape: str = "ring",
    out: Path = Path("play.gif"),
    budget: Budget = "30s",
    loss: str = "relativistic",
    penalty: str = "r1_r2",
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Watch two small networks learn a shape in the plane: the whole game in seconds, as an animation.

    Args:
        shape: ring, grid, spiral or two-moons, or a picture whose dark parts are the shape.
        out: The .gif to write.
        budget: How long: 30s, 2m, or how many points to show: 500k.
        loss: minimax, non_saturating, hinge, ... as in a recipe's game.loss.
        penalty: none, r1, gradient_penalty, ... as in a recipe's game.penalty.
        seed: Seed of everything random.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.play(shape, out, budget=budget, loss=loss, penalty=penalty, seed=seed, watch=console)
    _report(facts, json)


@app.command
def export(
    run: Path,
    /,
    *,
    out: Path,
    format: Literal["onnx"] = "onnx",
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the generator of RUN in a form that other programs run.

    Args:
        run: The run folder.
        out: The file to write.
        format: ONNX, checked against the live generator before it is called done.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    import gandem
    from gandem.uses.export import export_onnx

    result = export_onnx(gandem.open_run(run), out)
    if json:
        _report(result, json)
    else:
        print(f"wrote {out} ({result['bytes'] / 1e6:.1f} MB); it agrees with the run to {result['max_difference']:.1e}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (default: the arguments of this process) and return its exit code."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        app(tokens)
        return 0
    except Relaunch as request:
        return relaunch(tokens, request.devices)
    except (Exception, KeyboardInterrupt) as error:
        return explain(error)


def _report(result: dict[str, Any], json: bool) -> None:
    """Print a result as JSON where it was asked for; without, the console has told the story already."""
    if json and _is_main():
        print(strict_json.dumps(result, indent=2))


def _is_main() -> bool:
    """Whether this process is the one that speaks."""
    return os.environ.get("RANK", "0") == "0"
