"""The commands for data, and for what a training has left."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gandem.cli.app import Budget, Fit, Force, Json, Settings, Size, app, report
from gandem.console import Console, describe
from gandem.options import must_be_free, read_condition, read_settings


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
    ema: float | None = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make new pictures with the generator of RUN.

    Args:
        run: The run folder.
        out: A folder for single PNGs, x.png for one grid, x.npz or x.npy for an array, x.csv or x.parquet for rows of a
            table, x.gif for a walk (with --interpolate).
        count: How many.
        where: One class only, as label=3 or label=Bag.
        seed: Equal seeds give equal pictures.
        truncation: Below 1 more typical and less varied, above 1 the reverse.
        interpolate: Walk through so many random points instead, into x.gif.
        frames: Frames of that walk.
        ema: Another average of the weights, 0.02 to 0.25 of the training wide, if training.ema_snapshots kept any.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    condition = read_condition(where)
    import gandem
    from gandem.uses.sample import write_samples

    written = write_samples(
        gandem.open_run(run, ema=ema),
        out,
        count=count,
        where=condition,
        seed=seed,
        truncation=truncation,
        interpolate=interpolate,
        frames=frames,
    )
    if json:
        report(written, json)
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

    if (path / "recipe.yaml").is_file():
        found = gandem.open_run(path).summary()
        lines = describe(found)
    else:
        from gandem.domains import domain_of
        from gandem.domains.given import opened

        source = opened(path)
        with Console(silent=json) as console:
            found = gandem.inspect_source(source, settings=settings, progress=console.reading)
        lines = domain_of(source).lines(found) + describe({"skipped": found["skipped"]["files"]})
    if json:
        report(found, json)
    else:
        print("\n".join(lines))


@app.command
def evaluate(
    made: Path,
    /,
    *,
    real: str | None = None,
    held_out: str | None = None,
    out: Path | None = None,
    count: int = 10_000,
    features: Path | None = None,
    target: str | None = None,
    seed: int = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Say how good RUN or a set of samples is: a verdict, the numbers behind it, and a page with pictures.

    Args:
        made: A run folder, or samples in any form that train reads.
        real: Real samples; for a run its own held-out part if not given.
        held_out: Real samples to judge by, where those of --real are all that the generator was trained on; only then
            can attacks on training rows be tried out.
        out: The page to write (.html); a run has its own, report.html.
        count: How many samples to judge, if there are as many held-out real ones.
        features: Weights to look with (.onnx or .safetensors) instead of those that ship with gandem.
        target: The column of a table to predict: how well is that learnt from the generated rows?
        seed: Seed of the samples that are drawn.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    if out is not None:
        must_be_free(out, force)
    import gandem

    with Console(silent=json) as console:
        facts = gandem.evaluate(
            made,
            real,
            held_out=held_out,
            out=out,
            count=count,
            features=features,
            target=target,
            seed=seed,
            watch=console,
        )
    report(facts, json)


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
        report(facts, json)
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
    report(facts, json)


@app.command
def export(
    run: Path,
    /,
    *,
    out: Path,
    format: Literal["onnx"] = "onnx",
    ema: float | None = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the generator of RUN in a form that other programs run.

    Args:
        run: The run folder.
        out: The file to write.
        format: ONNX, checked against the live generator before it is called done.
        ema: Another average of the weights, 0.02 to 0.25 of the training wide, if training.ema_snapshots kept any.
        force: Replace what lies at --out.
        json: Print one JSON object.
    """
    must_be_free(out, force)
    import gandem
    from gandem.uses.export import export_onnx

    result = export_onnx(gandem.open_run(run, ema=ema), out)
    if json:
        report(result, json)
    else:
        print(f"wrote {out} ({result['bytes'] / 1e6:.1f} MB); it agrees with the run to {result['max_difference']:.1e}")
